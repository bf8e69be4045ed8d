"""Ridge and logistic regression against scikit-learn, and the choice of their penalty."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss
from sklearn.model_selection import LeaveOneOut, StratifiedKFold, cross_val_predict

from tf_transfer.strategies import linear_models
from tf_transfer.strategies.linear_models import (
    BIAS_PENALTY,
    CLASS_PENALTIES,
    PENALTIES,
    TEMPERATURES,
    fit_logistic,
    fit_ridge,
    logistic,
    spread,
)
from tf_transfer.strategies.linear_probe import logistic as also_here

DRAWS = np.random.default_rng(0)
X = DRAWS.normal(size=(60, 5)) * [1, 2, 0.5, 3, 1] + 4
TRUE = DRAWS.normal(size=(5, 3))
CLASSES = (X @ TRUE + DRAWS.gumbel(size=(60, 3)) * 3).argmax(1)
ONE_HOT = np.eye(3)[CLASSES]
ONES, ZEROS = np.ones(60), np.zeros((60, 3))
SPREAD = np.square(X - X.mean(0)).sum(1).mean()


def test_the_probe_gives_the_function_too():
    assert also_here is logistic


# -- solutions -------------------------------------------------------------------------------------


class Oracle:
    """scikit-learn's logistic regression with a penalty on the bias: the weight of a feature that
    never varies.
    """

    def __init__(self, penalty: float, root: float | None = None):
        self.root = np.sqrt(penalty / BIAS_PENALTY) if root is None else root
        self.model = LogisticRegression(
            C=1 / penalty, max_iter=10_000, tol=1e-10, fit_intercept=False
        )

    def fit(self, x, y, **options):
        self.centre = x.mean(0)
        self.model.fit(self._wide(x), y, **options)
        return self

    def logits(self, x):
        return self._wide(x) @ np.atleast_2d(self.model.coef_).T

    def predict_proba(self, x):
        return self.model.predict_proba(self._wide(x))

    def _wide(self, x):
        return np.hstack([x - self.centre, np.full((len(x), 1), self.root)])


@pytest.fixture
def one_penalty(monkeypatch):
    monkeypatch.setattr(linear_models, "CLASS_PENALTIES", (2.0 / SPREAD,))
    monkeypatch.setattr(linear_models, "TEMPERATURES", (1.0,))


def assert_logits(solved, expected):
    """Softmax logits are free up to a constant; a centred view takes it away."""
    change, shift = solved
    logits = X @ change + shift
    if expected.shape[1] > 2:
        logits, expected = (v - v.mean(1, keepdims=True) for v in (logits, expected))
    np.testing.assert_allclose(logits, expected, atol=0.02)


@pytest.mark.parametrize("weighted", [False, True])
def test_classification_is_scikit_learns_logistic_regression(one_penalty, weighted):
    weights = 1.0 + 2 * (CLASSES == 1) if weighted else ONES
    expected = Oracle(2.0).fit(X, CLASSES, sample_weight=weights).logits(X)
    assert_logits(logistic(X, ONE_HOT, ZEROS, weights, exclusive=True), expected)


def test_multilabel_is_one_logistic_regression_a_label(one_penalty):
    targets = (
        X @ TRUE[:, :2] + DRAWS.logistic(size=(60, 2)) * 3 > (X @ TRUE[:, :2]).mean(0)
    ).astype(float)
    expected = np.hstack([Oracle(2.0).fit(X, t).logits(X) for t in targets.T])
    assert_logits(logistic(X, targets, ZEROS[:, :2], ONES, exclusive=False), expected)


def test_more_features_than_rows_are_solved_in_the_space_of_the_rows(one_penalty):
    wide, y = np.random.default_rng(1).normal(size=(12, 100)), np.arange(12) % 3
    solved = fit_logistic(wide, np.eye(3)[y], np.zeros((12, 3)), np.ones(12), exclusive=True)
    oracle = Oracle(solved.penalty * spread(wide)).fit(wide, y)
    np.testing.assert_allclose(solved.kernel, oracle.model.coef_.T[:-1], atol=1e-3)


# -- penalties -------------------------------------------------------------------------------------


def test_the_penalty_of_a_ridge_has_the_greatest_posterior():
    y = X @ TRUE[:, 0] + DRAWS.normal(size=60) * 4
    alphas = np.array(PENALTIES) * SPREAD
    errors = [
        np.mean((cross_val_predict(Ridge(a), X, y, cv=LeaveOneOut()) - y) ** 2) for a in alphas
    ]
    best = int(np.argmin(30 * np.log(errors) - np.log(PENALTIES)))
    assert 0 < best < len(PENALTIES) - 1
    oracle = Ridge(alphas[best]).fit(X, y)
    solved = fit_ridge(X, y)
    np.testing.assert_allclose(solved.kernel[:, 0], oracle.coef_, rtol=1e-6)
    assert solved.bias == pytest.approx(oracle.intercept_)
    assert solved.penalty == PENALTIES[best] and solved.end == ""


def test_the_skill_of_a_ridge_is_what_it_saves_against_the_mean_of_the_other_rows():
    y = X @ TRUE[:, 0] + DRAWS.normal(size=60) * 4
    solved = fit_ridge(X, y)
    left_out = cross_val_predict(Ridge(solved.penalty * SPREAD), X, y, cv=LeaveOneOut())
    means = (y.sum() - y) / 59
    expected = 30 * np.log(np.mean((y - means) ** 2) / np.mean((y - left_out) ** 2))
    assert solved.skill == pytest.approx(expected)
    noise = np.random.default_rng(0)
    assert np.median([fit_ridge(X, noise.permutation(y)).skill for _ in range(20)]) < 0.5


def cross_validated(x, y, penalties):
    """(penalties, rows, classes): logits of rows that were left out in stratified folds, by
    scikit-learn.
    """
    logits = np.zeros((len(penalties), len(y), y.max() + 1))
    for learn, check in StratifiedKFold(5, shuffle=True, random_state=0).split(x, y):
        for place, penalty in enumerate(penalties):
            logits[place, check] = (
                Oracle(penalty * spread(x)).fit(x[learn], y[learn]).logits(x[check])
            )
    return logits


def total(logits, y):
    """The log-loss of all rows, in nats."""
    odds = np.exp(logits - logits.max(1, keepdims=True))
    return len(y) * log_loss(y, odds / odds.sum(1, keepdims=True))


def sureness(temperature):
    """What it must save, in nats."""
    return (4 if temperature > 1 else 0.5) * np.log(temperature)


EQUAL = np.arange(60) % 3
NEAR = np.random.default_rng(4).normal(size=(60, 30)) + 3 * np.eye(30)[EQUAL]
"""Vectors that lie a little nearer to their class's mean than to another's."""


@pytest.mark.parametrize("noise", [False, True])
def test_penalty_and_temperature_of_a_classification_have_the_greatest_posterior(noise):
    order, x = np.random.default_rng(0).permutation(60), NEAR
    y = np.random.default_rng(1).permutation(EQUAL) if noise else EQUAL
    logits = cross_validated(x[order], y[order], CLASS_PENALTIES)
    losses = np.array([[total(t * v, y[order]) for t in TEMPERATURES] for v in logits])
    sure = np.array([sureness(t) for t in TEMPERATURES])
    penalty, temperature = np.unravel_index(
        np.argmin(losses + sure - np.log(CLASS_PENALTIES)[:, None]), losses.shape
    )
    solved = fit_logistic(x, np.eye(3)[y], ZEROS, ONES, exclusive=True)
    assert (solved.penalty, solved.temperature) == (
        CLASS_PENALTIES[penalty],
        TEMPERATURES[temperature],
    )
    assert noise == (solved.temperature < 0.2) == (solved.skill < 1) and noise != (
        solved.temperature > 1
    )


def test_labels_that_no_row_has_make_it_no_surer():
    """Of several labels a row: those that are never on are answered right however sure it is."""
    x, y = NEAR[:16], np.eye(3)[EQUAL[:16]]
    few, more = (
        fit_logistic(x, targets, np.zeros(targets.shape), ONES[:16], exclusive=False)
        for targets in (y, np.hstack([y, np.zeros((16, 40))]))
    )
    assert (more.penalty, more.temperature) == (few.penalty, few.temperature)
    assert more.skill == pytest.approx(few.skill, rel=1e-3)


def test_classes_that_were_met_once_keep_it_from_being_sure():
    """Where rows have classes that no other row has, so will other texts."""
    common = fit_logistic(
        NEAR[:20], np.eye(8)[EQUAL[:20]], np.zeros((20, 8)), ONES[:20], exclusive=True
    )
    classes = np.concatenate([EQUAL[:20], np.arange(3, 8)])
    rare = fit_logistic(NEAR[:25], np.eye(8)[classes], np.zeros((25, 8)), ONES[:25], exclusive=True)
    assert common.temperature > rare.temperature


def test_the_temperature_leaves_every_answer_as_it_is(monkeypatch):
    y = np.random.default_rng(1).permutation(EQUAL)
    warm = fit_logistic(NEAR, np.eye(3)[y], ZEROS, ONES, exclusive=True)
    monkeypatch.setattr(linear_models, "TEMPERATURES", (1.0,))
    sure = fit_logistic(NEAR, np.eye(3)[y], ZEROS, ONES, exclusive=True)
    assert warm.temperature < 1
    expected = warm.temperature * (NEAR @ sure.kernel + sure.bias)
    np.testing.assert_allclose(NEAR @ warm.kernel + warm.bias, expected, atol=1e-9)


def test_labels_without_a_pattern_are_not_lost_in_rounding_and_cost_no_more_than_the_class_shares():
    losses = []
    for seed in range(20):
        draw = np.random.default_rng(seed)
        x, fresh = draw.normal(size=(8, 64)), draw.normal(size=(200, 64))
        classes = np.arange(8) % 2
        solved = fit_logistic(x, np.eye(2)[classes], np.zeros((8, 2)), np.ones(8), exclusive=True)
        exact = fresh @ solved.kernel + solved.bias
        rounded = fresh.astype(np.float32) @ solved.kernel.astype(np.float32) + solved.bias.astype(
            np.float32
        )
        assert (exact.argmax(1) == rounded.argmax(1)).all()
        losses.append(total(exact, draw.integers(0, 2, 200)) / 200)
    assert np.mean(losses) < np.log(2) + 0.01


@pytest.mark.parametrize("shot", [2, 8])
def test_few_rows_are_solved_as_well_as_with_c_1(shot):
    ours, theirs = [], []
    for seed in range(40):
        draw = np.random.default_rng(seed)
        direction = draw.normal(size=96) / np.sqrt(96)
        y, fresh = np.repeat([0, 1], shot), draw.integers(0, 2, 400)
        x, more = (
            draw.normal(size=(len(t), 96)) / np.sqrt(96) + 0.15 * np.outer(2 * t - 1, direction)
            for t in (y, fresh)
        )
        change, shift = logistic(
            x, np.eye(2)[y], np.zeros((len(y), 2)), np.ones(len(y)), exclusive=True
        )
        ours.append(((more @ change + shift).argmax(1) == fresh).mean())
        theirs.append(LogisticRegression(max_iter=1000).fit(x, y).score(more, fresh))
    gap = np.subtract(ours, theirs)
    assert gap.mean() - 1.96 * gap.std() / np.sqrt(40) > -0.01


@pytest.mark.slow
def test_few_rows_of_unequal_classes_do_not_all_get_the_most_frequent_one():
    """Twelve rows of one class and four of the other, with a pattern that is hard to see in so few:
    as with C = 1.
    """
    ours, theirs = [], []
    for seed in range(40):
        draw = np.random.default_rng(seed)
        y, fresh = np.repeat([0, 1], [12, 4]), np.repeat([0, 1], 200)
        direction = draw.normal(size=96) / np.sqrt(96)
        x, more = (
            draw.normal(size=(len(t), 96)) / np.sqrt(96) + 0.15 * np.outer(2 * t - 1, direction)
            for t in (y, fresh)
        )
        change, shift = logistic(x, np.eye(2)[y], np.zeros((16, 2)), np.ones(16), exclusive=True)
        ours.append((more @ change + shift).argmax(1).mean())
        theirs.append(LogisticRegression(max_iter=1000).fit(x, y).predict(more).mean())
    assert np.mean(ours) > np.mean(theirs)


@pytest.mark.parametrize(("classes", "validated"), [([0, 1, 2, 3], False), ([0, 1, 2, 2], True)])
def test_with_a_row_a_class_nothing_is_left_out_to_be_found(classes, validated):
    solved = fit_logistic(X[:4], np.eye(4)[classes], np.zeros((4, 4)), np.ones(4), exclusive=True)
    assert np.isfinite(solved.skill) == validated
    assert validated or (
        solved.penalty == PENALTIES[-1] and solved.end == "" and solved.temperature == 1
    )


def test_a_class_of_one_row_is_learned_from_and_not_looked_for():
    """Rows of such a class would make the strongest penalty look best; they are left out of what is
    checked.
    """
    x, y = X[:31].copy(), np.array([0] * 15 + [1] * 15 + [2])
    x[:15] += 8
    solved = fit_logistic(x, np.eye(3)[y], np.zeros((31, 3)), np.ones(31), exclusive=True)
    assert solved.temperature == 1 and solved.skill > 15 * np.log(2)


@pytest.mark.parametrize("rows", [1, 2, 3, 4])
@pytest.mark.parametrize("exclusive", [True, False])
def test_few_rows_of_one_class_stay_finite(rows, exclusive):
    targets = np.tile([1.0, 0.0], (rows, 1))
    change, shift = logistic(X[:rows], targets, ZEROS[:rows, :2], ONES[:rows], exclusive=exclusive)
    assert np.isfinite(change).all() and np.abs(shift).max() < 100
    scores = X[:rows] @ change + shift
    assert (scores[:, 0] > scores[:, 1]).all()


def test_ridge_of_one_row_is_its_label():
    solved = fit_ridge(X[:1], np.array([2.5]))
    assert not solved.kernel.any() and solved.bias == 2.5


# -- anchors ---------------------------------------------------------------------------------------


def test_an_anchor_is_added_to_and_warmed_as_one(monkeypatch):
    """The logits of the anchor beside those of the change, with one temperature for both."""
    start = X @ TRUE
    monkeypatch.setattr(linear_models, "PENALTIES", (1e9,))
    solved = fit_logistic(X, ONE_HOT, start, ONES, exclusive=True, anchored=True)
    assert np.abs(solved.kernel).max() < 1e-6
    posterior = [total(t * start + solved.bias, CLASSES) + sureness(t) for t in TEMPERATURES]
    assert abs(TEMPERATURES.index(solved.temperature) - int(np.argmin(posterior))) <= 1


def test_an_anchor_that_is_wrong_is_left():
    """A source that says the opposite is outvoted by many rows."""
    start = -3 * np.eye(3)[EQUAL] + np.random.default_rng(5).normal(size=(60, 3))
    solved = fit_logistic(NEAR, np.eye(3)[EQUAL], start, ONES, exclusive=True, anchored=True)
    logits = solved.temperature * start + NEAR @ solved.kernel + solved.bias
    assert (start.argmax(1) == EQUAL).mean() < 0.1
    assert (logits.argmax(1) == EQUAL).mean() > 0.9 and solved.penalty < PENALTIES[-1]


def test_an_anchor_that_is_right_is_kept():
    """Labels drawn from the anchor's own probabilities: the penalty is the strongest, and nothing
    need be warmed.
    """
    start = X @ TRUE / 2
    classes = (start + np.random.default_rng(3).gumbel(size=start.shape)).argmax(1)
    solved = fit_logistic(X, np.eye(3)[classes], start, ONES, exclusive=True, anchored=True)
    assert solved.penalty == PENALTIES[-1] and solved.temperature > 0.7


# -- words -----------------------------------------------------------------------------------------


def words_of_rows():
    """Words of 60 rows, of which those of a row lie together, with five tags, one of them rare."""
    draws = np.random.default_rng(4)
    rows = np.repeat(np.arange(60), 5)
    x = draws.normal(size=(300, 8)) + draws.normal(size=(60, 8))[rows]
    tags = (x @ draws.normal(size=(8, 5)) + draws.gumbel(size=(300, 5)) + [1, 0, 0, 0, -4]).argmax(
        1
    )
    return x, np.eye(5)[tags], np.zeros((300, 5)), np.ones(300), rows


def test_heads_of_words_are_those_of_a_search_of_all_penalties(monkeypatch):
    """Against the same folds, solved to the end at every penalty."""
    *problem, rows = words_of_rows()
    quick = fit_logistic(*problem, exclusive=True, groups=rows)
    monkeypatch.setattr(linear_models, "TOLERANCE_OF_WORDS", linear_models.TOLERANCE)
    monkeypatch.setattr(linear_models, "_has_risen", lambda posteriors: False)
    slow = fit_logistic(*problem, exclusive=True, groups=rows)
    assert (quick.penalty, quick.temperature) == (slow.penalty, slow.temperature)
    assert quick.skill == pytest.approx(slow.skill, abs=0.1)
    np.testing.assert_allclose(*(problem[0] @ s.kernel + s.bias for s in (quick, slow)), atol=0.05)


def test_penalties_of_words_are_tried_until_two_were_worse(monkeypatch):
    tried = []
    solve = linear_models._Fold.solve
    monkeypatch.setattr(
        linear_models._Fold,
        "solve",
        lambda fold, drawn, penalty: tried.append(penalty) or solve(fold, drawn, penalty),
    )
    *problem, rows = words_of_rows()
    solved = fit_logistic(*problem, exclusive=True, groups=rows)
    place = CLASS_PENALTIES.index(solved.penalty)
    assert len(set(tried)) == len(CLASS_PENALTIES) - max(place - 2, 0) < len(CLASS_PENALTIES)
    tried.clear()
    fit_logistic(*problem, exclusive=True)
    assert len(set(tried)) == len(CLASS_PENALTIES)
