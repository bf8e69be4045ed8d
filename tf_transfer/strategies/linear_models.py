"""Ridge and logistic regression on few rows: how strongly to penalise, and how sure to be.

A penalty λ is a multiple of the features' spread, the mean squared length of a centred vector. It
says how far a solution goes from the class means to the rows themselves. How sure the answers are
is another question: the logits of a classification are multiplied by a temperature t, which leaves
every answer as it is.

The cross-validated loss of all rows is, in nats, the negative logarithm of a likelihood; with few
rows it is mostly noise, and least at either end as often as not. So both have a prior, and the
greatest posterior is taken:

    λ*, t* = argmin  loss(λ, t) − ln λ + s(t),    s(t) = 4 ln t above t = 1, and ½ ln t below.

A penalty that is e times smaller must save one nat on all rows together. To be e times as sure must
save half a nat, and four where it is surer than the solution itself. Where each row has one class,
a rare one may be in no row that was learned from. Such rows are left out of the loss by which λ is
chosen, for they ask for the strongest. In that by which t is chosen they stay, since other texts
will have such classes too.

The ends of the grid are such that no harm comes from them: its greatest λ leaves weights that
single precision keeps, and that point where those of any greater λ would. Weights of classes that
are drawn to 0 get less, and biases have a penalty of their own: without both, a few rows of unequal
classes make a classifier that gives the most frequent class to every row.

Grids and priors were chosen on phrases, reviews, films and requests (mpqa, fdu_mtl, vader's films
and shops, clinc150's first 75 intents, snips).

Reference:
    Guo et al. 2017, "On Calibration of Modern Neural Networks" (temperature scaling). Chelba &
    Acero 2004, "Adaptation of Maximum Entropy Capitalizer: Little Data Can Help a Lot" (penalised
    distance from a source's weights).
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold
from threadpoolctl import threadpool_limits

PENALTIES = tuple((10.0 ** np.arange(-4, 1, 0.5)).tolist())
"""From 10⁻⁴ to 10^½."""

CLASS_PENALTIES = PENALTIES[:8]
"""Of the weights of classes that are drawn to 0: to 10^-½."""

BIAS_PENALTY = 1.0
"""That of the bias of a class: a normal prior of deviation 1 around 0, or the bias of a source's
head.
"""

TEMPERATURES = tuple((2.0 ** np.arange(-5, 5.5, 0.5)).tolist())
SURER, LESS_SURE = 4.0, 0.5
"""Nats that being e times as sure must save, above a temperature of 1 and below it."""

TOLERANCE = 2.220446049250313e-09
"""The relative fall of the loss in a step at which a solution is good enough: scipy's own."""

TOLERANCE_OF_WORDS = 1e-5
"""That of the solutions for words, of which there are thousands, with two outputs a type.

With it, and with no smaller penalty tried after two that were worse each, heads of 79 tags on 2,500
words of snips take a fifth of the time (BERT-tiny: 23 s and 4 s; MiniLM: 33 s and 7 s), and their
loss on other words is the same to .001 nats.
"""

FOLDS = 5
VALIDATED_ROWS = 2000
"""With more rows than this, penalties of a classification are chosen on this many of them."""


@dataclasses.dataclass(frozen=True)
class LinearModel:
    """What was solved.

    Args:
        kernel: (width, outputs) float64.
        bias: (outputs,) float64.
        penalty: the chosen λ.
        temperature: by which an anchor's logits, too, are to be multiplied; those of ``kernel`` and
            ``bias`` are.
        skill: how much less the cross-validated loss of all rows is than that of saying the same of
            each, in nats; NaN where too few rows are there to validate.
        end: ``"least"`` or ``"greatest"`` where the penalty was that end of the grid, else empty.
    """

    kernel: np.ndarray
    bias: np.ndarray
    penalty: float
    temperature: float = 1.0
    skill: float = np.nan
    end: str = ""


def fit_ridge(x: np.ndarray, y: np.ndarray) -> LinearModel:
    """Ridge regression, validated by leaving each row out.

    Args:
        x: (rows, width) features.
        y: (rows,) labels, or what an anchor leaves of them.
    """
    if len(x) < 2:
        return LinearModel(np.zeros((x.shape[1], 1)), np.full(1, y.mean()), PENALTIES[-1])
    alphas = np.array(PENALTIES) * spread(x)
    errors = RidgeCV(alphas=alphas, store_cv_results=True).fit(x, y).cv_results_.mean(0)
    # Errors are normal, of the variance that suits them best.
    losses = len(y) / 2 * np.log(np.maximum(errors, np.finfo(float).tiny))
    best = _likeliest(losses, PENALTIES)
    solved = Ridge(alphas[best]).fit(x, y)
    kernel, bias = solved.coef_.reshape(-1, 1), np.full(1, solved.intercept_)
    # The mean of the other rows is off by rows / (rows - 1) of the distance from the mean of all.
    constant = y.var() * (len(y) / (len(y) - 1)) ** 2
    skill = len(y) / 2 * np.log(constant) - losses[best] if constant else 0.0
    return LinearModel(kernel, bias, PENALTIES[best], skill=skill, end=_end(best, PENALTIES))


# The matrices are small: threads would wait for each other ten times longer than they compute.
@threadpool_limits.wrap(limits=1, user_api="blas")
def fit_logistic(
    x: np.ndarray,
    targets: np.ndarray,
    start: np.ndarray,
    weights: np.ndarray,
    *,
    exclusive: bool,
    anchored: bool = False,
    groups: np.ndarray | None = None,
) -> LinearModel:
    """Logistic regression, multinomial or one a label, validated on folds with equal shares of each
    class.

    Args:
        x: (rows, width) features.
        targets: (rows, classes) of 0 and 1.
        start: (rows, classes) logits to which those of the solution are added.
        weights: (rows,) factors of the rows' losses.
        exclusive: one class a row (softmax), or any number (sigmoid).
        anchored: whether ``start`` comes from a head that was trained.
        groups: (rows,) int; those of a group are in one fold. None: each row is by itself.
    """
    grid = PENALTIES if anchored else CLASS_PENALTIES
    scale = spread(x) if len(x) > 1 else 1.0
    centre = x.mean(0)
    # A solution lies in the space of the rows, which is smaller than that of the features when rows
    # are few.
    basis, rotated = np.linalg.qr((x - centre).T)
    problem = _Problem(rotated.T, targets, start, weights, exclusive, groups)
    validated = _validate(problem, grid, scale)
    if validated is None:
        # The prior is all there is: the strongest penalty, which keeps nearest to the class means.
        change, shift = _solve(problem, PENALTIES[-1] * scale)
        kernel = basis @ change
        return LinearModel(kernel, shift - centre @ kernel, PENALTIES[-1])
    best, temperature, skill = validated
    change, shift = _solve(problem, grid[best] * scale)
    kernel = temperature * basis @ change
    bias = temperature * shift - centre @ kernel
    return LinearModel(kernel, bias, grid[best], temperature, skill, _end(best, grid))


def logistic(x, targets, start, weights, *, exclusive: bool) -> tuple[np.ndarray, np.ndarray]:
    """Kernel and bias of `fit_logistic`."""
    solved = fit_logistic(x, targets, start, weights, exclusive=exclusive)
    return solved.kernel, solved.bias


def spread(x: np.ndarray) -> float:
    """Mean squared length of a centred feature vector; 1 when all are equal."""
    return float(np.square(x - x.mean(0)).sum(1).mean()) or 1.0


def _likeliest(losses: np.ndarray, grid: tuple) -> int:
    """The place of the penalty of the greatest posterior; see the module."""
    return int(np.argmin(losses - np.log(grid)))


def _end(place: int, grid: tuple) -> str:
    return {0: "least", len(grid) - 1: "greatest"}.get(place, "")


@dataclasses.dataclass(frozen=True)
class _Problem:
    """The rows of a logistic regression; the arguments of `fit_logistic`."""

    x: np.ndarray
    targets: np.ndarray
    start: np.ndarray
    weights: np.ndarray
    exclusive: bool
    groups: np.ndarray | None = None

    def of(self, rows: np.ndarray) -> _Problem:
        """The same of some rows."""
        arrays = self.x, self.targets, self.start, self.weights
        groups = None if self.groups is None else self.groups[rows]
        return _Problem(*(array[rows] for array in arrays), self.exclusive, groups)


def _validate(problem: _Problem, grid: tuple, scale: float) -> tuple[int, float, float] | None:
    """The place of the best penalty in the grid, the temperature, and the skill; None where too few
    rows are there.
    """
    rows = np.random.default_rng(0).permutation(len(problem.x))[:VALIDATED_ROWS]
    drawn = problem.of(rows)
    # The loss is a sum over rows: a penalty chosen on a part of them is for as many as a fold has.
    share = len(problem.x) / len(rows)
    folds = [_Fold(drawn.of(learned), checked) for learned, checked in _folds(drawn)]
    constant, counted = np.zeros(drawn.targets.shape), np.zeros(drawn.targets.shape)
    for fold in folds:
        checked, learning = fold.checked, fold.learning
        counted[checked] = _countable(learning.targets, drawn.targets[checked], drawn.exclusive)
        constant[checked] = _shares(learning)
    if not counted.any():
        return None
    weights = np.repeat(share * drawn.weights[:, None], drawn.targets.shape[1], axis=1)
    counted *= weights
    # A label that no row has is answered right whatever the temperature is.
    asked = weights if drawn.exclusive else counted
    log_t = np.log(TEMPERATURES)
    prior = np.where(log_t > 0, SURER, LESS_SURE) * log_t

    def loss(outputs: np.ndarray, entries: np.ndarray) -> float:
        return float((_losses(outputs, drawn.targets, drawn.exclusive)[0] * entries).sum())

    posteriors, least_losses = np.full(len(grid), np.inf), np.full(len(grid), np.inf)
    temperatures = np.zeros(len(grid), int)
    for place in reversed(range(len(grid))):
        logits = np.zeros(drawn.targets.shape)
        for fold in folds:
            logits[fold.checked] = fold.solve(drawn, grid[place] * scale / share)
        at_t = [loss(t * logits, asked) for t in TEMPERATURES] + prior
        chosen = temperatures[place] = int(np.argmin(at_t))
        least_losses[place] = loss(TEMPERATURES[chosen] * logits, counted)
        posteriors[place] = least_losses[place] + prior[chosen] - np.log(grid[place])
        if drawn.groups is not None and _has_risen(posteriors[place:]):
            break
    best = int(np.argmin(posteriors))
    skill = loss(constant, counted) - least_losses[best]
    return best, TEMPERATURES[temperatures[best]], skill


@dataclasses.dataclass
class _Fold:
    """The rows to learn from, those to check, and the last solution, which the next one begins
    at.
    """

    learning: _Problem
    checked: np.ndarray
    solution: tuple[np.ndarray, np.ndarray] | None = None

    def solve(self, drawn: _Problem, penalty: float) -> np.ndarray:
        """(checked rows, classes): the logits of a solution for the rows that it has not seen."""
        self.solution = _solve(self.learning, penalty, self.solution)
        change, shift = self.solution
        return drawn.start[self.checked] + drawn.x[self.checked] @ change + shift


def _has_risen(posteriors: np.ndarray) -> bool:
    """Whether the last two penalties tried, the first of ``posteriors``, were each worse than the
    one before.
    """
    return len(posteriors) > 2 and bool(posteriors[0] > posteriors[1] > posteriors[2])


def _countable(learned: np.ndarray, checked: np.ndarray, exclusive: bool) -> np.ndarray:
    """(rows, classes): which entries of the checked targets can be found: not a class that no
    learned row has.
    """
    known = learned.any(0)
    if exclusive:
        return np.repeat((checked * known).any(1)[:, None], checked.shape[1], axis=1)
    return np.repeat((known & ~learned.all(0))[None], len(checked), axis=0)


def _shares(problem: _Problem) -> np.ndarray:
    """(classes,) logits of the class shares."""
    counts = (problem.weights[:, None] * problem.targets).sum(0)
    total = problem.weights.sum()
    with np.errstate(divide="ignore"):
        likely = np.maximum(counts, 1e-6 * total)
        return (
            np.log(likely)
            if problem.exclusive
            else np.log(likely / np.maximum(total - counts, 1e-6 * total))
        )


def _folds(problem: _Problem) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Which rows to learn from and which to check; nothing where too few rows are there."""
    rows = np.arange(len(problem.x))
    options = {"shuffle": True, "random_state": 0}
    if not problem.exclusive:
        return KFold(min(FOLDS, len(rows)), **options).split(rows) if len(rows) >= 4 else iter(())
    if problem.groups is not None:
        folds = min(FOLDS, len(np.unique(problem.groups)))
        return GroupKFold(folds).split(rows, groups=problem.groups) if folds > 1 else iter(())
    classes = problem.targets.argmax(1)
    most = np.bincount(classes).max()
    if most < 2:
        return iter(())
    with warnings.catch_warnings():
        # A class may have fewer rows than there are folds: `_countable` reckons with it.
        warnings.filterwarnings("ignore", message="The least populated class")
        return iter(list(StratifiedKFold(min(FOLDS, most), **options).split(rows, classes)))


def _solve(problem: _Problem, penalty: float, near=None) -> tuple[np.ndarray, np.ndarray]:
    """The minimum of Σ w loss + penalty/2 |kernel|² + 1/2 |bias|², by L-BFGS, begun ``near``
    another one.
    """
    x, exclusive = problem.x, problem.exclusive
    shape = (x.shape[1] + 1, problem.targets.shape[1])

    def objective(flat):
        change = flat.reshape(shape)
        logits = problem.start + x @ change[:-1] + change[-1]
        entries, error = _losses(logits, problem.targets, exclusive)
        error = problem.weights[:, None] * error
        loss = float((problem.weights[:, None] * entries).sum())
        gradient = np.vstack(
            [x.T @ error + penalty * change[:-1], error.sum(0) + BIAS_PENALTY * change[-1]]
        )
        loss += (
            penalty / 2 * np.square(change[:-1]).sum()
            + BIAS_PENALTY / 2 * np.square(change[-1]).sum()
        )
        return loss, gradient.ravel()

    begin = np.zeros(shape) if near is None else np.vstack([near[0], near[1]])
    tolerance = TOLERANCE if problem.groups is None else TOLERANCE_OF_WORDS
    options = {"maxiter": 200, "ftol": tolerance}
    solved = minimize(objective, begin.ravel(), jac=True, method="L-BFGS-B", options=options)
    change = solved.x.reshape(shape)
    return change[:-1], change[-1]


def _losses(
    logits: np.ndarray, targets: np.ndarray, exclusive: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The losses (rows, classes) in nats, and their gradient (rows, classes) by the logits."""
    # The probabilities serve both, and scipy's softmax and log_softmax take longer than the rest of
    # a small solve.
    if not exclusive:
        return np.logaddexp(0, logits) - targets * logits, expit(logits) - targets
    logits = logits - logits.max(1, keepdims=True)
    odds = np.exp(logits)
    total = odds.sum(1, keepdims=True)
    return targets * (np.log(total) - logits), odds / total - targets
