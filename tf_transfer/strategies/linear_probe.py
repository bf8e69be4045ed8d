"""Frozen features: the encoder stays, each head is solved exactly.

Alain & Bengio 2016, "Understanding intermediate layers using linear classifier probes". With source
data, the target's head is drawn towards the source's: the penalty is the squared distance from it
(Chelba & Acero 2004, "Adaptation of Maximum Entropy Capitalizer").
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold
from threadpoolctl import threadpool_limits

from tf_transfer.labels import encode_labels
from tf_transfer.strategies.base import Strategy, source_tables
from tf_transfer.tables import join_tables

PENALTIES = tuple(np.logspace(-3, 4, 15))
"""Tried by cross-validation, times the mean squared length of a centred feature vector."""

VALIDATED_ROWS = 2000
"""With more rows than this, penalties of a classification are chosen on this many of them."""


@dataclasses.dataclass(frozen=True)
class LinearProbe(Strategy):
    """Solve the heads on the encoder's frozen features; the penalty comes from cross-validation.

    Features are computed once for a table and kept (`TransferModel.encode`).

    Args:
        uses_source: solve the heads on the source first; False shows the probe on the target alone.

    Example:
        >>> from tf_transfer import Task, TransferModel, tiny_encoder
        >>> table = pd.DataFrame({"text": ["warm light", "cold rain"] * 4, "mood": ["glad", "sad"] * 4})
        >>> model = TransferModel(tiny_encoder(texts=table["text"]), Task("mood"), max_length=8)
        >>> adapted = LinearProbe(uses_source=False).adapt(model, table)
        >>> adapted.predict(table.head(2), verbose=0)["mood"].labels.tolist()
        ['glad', 'sad']
    """

    name: ClassVar[str] = "linear_probe"
    search_space: ClassVar[Mapping[str, object]] = {"uses_source": [True, False]}

    uses_source: bool = True

    def fit(self, model, source=None, *, seed=0, verbose=0, callbacks=None):
        if not self.uses_source:
            return model
        tables = list(source_tables(source).values())
        model.resolve(join_tables(tables))
        solve_heads(model, *tables)
        return model

    def adapt(self, model, support, *, seed=0, out=None, verbose=0, callbacks=None):
        model.resolve(support)
        adapted = model.copy(out=out)
        adapted.share_vectors(model)
        solve_heads(adapted, support, anchored=self.uses_source)
        return adapted


def solve_heads(model, *tables: pd.DataFrame, anchored: bool = False) -> None:
    """Sets each head to the best one on the encoder's frozen features of all rows.

    Each table is encoded by itself, so that any choice of the same tables shares their vectors.

    A regression is ridge regression, with the penalty of least leave-one-out error; a classification
    is multinomial (multilabel: binary) logistic regression, with the penalty of least
    cross-validated log-loss.

    Args:
        anchored: penalise the distance from the head's present weights, not from 0. The random weights
            of a head that nothing has trained are no anchor: under a large penalty they would be all that is left.
    """
    joined = join_tables(list(tables))
    tables = [table.reindex(columns=joined.columns) for table in tables]  # what one lacks is missing in its rows
    x = np.concatenate([model.encode(table, verbose=0) for table in tables]).astype(np.float64)
    y, w = encode_labels(model.tasks, joined)
    for task in model.tasks:
        rows = w[task.name] > 0
        if not rows.any() or not task.loss_weight or task.name in model.frozen["heads"]:
            continue
        head, labels, weights = (
            model.heads[task.name],
            y[task.name][rows],
            w[task.name][rows].astype(np.float64),
        )
        head.learn_scale(labels)
        kernel, bias = (v.numpy().astype(np.float64) * anchored for v in (head.kernel, head.bias))
        start = x[rows] @ kernel + bias
        if task.kind == "regression":
            mean, deviation, _ = head.scale.numpy().astype(np.float64)
            change, shift = ridge(x[rows], (labels - mean) / deviation - start[:, 0])
        else:
            targets = labels if task.kind == "multilabel" else np.eye(task.outputs)[labels]
            change, shift = logistic(x[rows], targets, start, weights, exclusive=task.kind == "classification")
        head.kernel.assign(kernel + change.reshape(kernel.shape))
        head.bias.assign(bias + shift)


def ridge(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights (width,) and bias () of the ridge regression of y (rows,) on x (rows, width).

    The penalty has the least leave-one-out error, by scikit-learn's `RidgeCV`.
    """
    if len(x) < 2:
        return np.zeros(x.shape[1]), np.asarray(y.mean())
    solved = RidgeCV(alphas=np.array(PENALTIES) * _spread(x)).fit(x, y)
    return solved.coef_, np.asarray(solved.intercept_)


# The matrices are small: threads would wait for each other ten times longer than they compute.
@threadpool_limits.wrap(limits=1, user_api="blas")
def logistic(x, targets, start, weights, *, exclusive: bool) -> tuple[np.ndarray, np.ndarray]:
    """Weights (width, classes) and bias (classes,) to add to the logits ``start``.

    Args:
        x: (rows, width) features.
        targets: (rows, classes) of 0 and 1.
        start: (rows, classes) logits that the penalty pulls towards.
        weights: (rows,) factors of the rows' losses.
        exclusive: one class a row (softmax), or any number (sigmoid).
    """
    centre, scale = x.mean(0), _spread(x) if len(x) > 1 else 1.0
    x = x - centre
    penalties = [p * scale for p in PENALTIES[::2]]
    best = _validate(x, targets, start, weights, penalties, exclusive)
    change, shift = _solve(x, targets, start, weights, best, exclusive)
    return change, shift - centre @ change


def _validate(x, targets, start, weights, penalties, exclusive) -> float:
    rows = np.random.default_rng(0).permutation(len(x))[:VALIDATED_ROWS]
    # A class that no other row has cannot be found by leaving its row out: the weakest head would win.
    nothing_to_find = exclusive and targets[rows].sum(0).max() < 2
    if len(rows) < 4 or nothing_to_find:
        return penalties[len(penalties) // 2]
    folds = list(KFold(min(5, len(rows))).split(rows))
    # The loss is a sum over rows: a penalty chosen on a part is for as many rows as a fold has.
    share = len(x) / len(rows)
    losses = []
    for penalty in penalties:
        loss = 0.0
        for learn, check in folds:
            a, b = rows[learn], rows[check]
            change, shift = _solve(x[a], targets[a], start[a], weights[a], penalty / share, exclusive)
            loss += _loss(start[b] + x[b] @ change + shift, targets[b], weights[b], exclusive)[0]
        losses.append(loss)
    return penalties[int(np.argmin(losses))]


def _solve(x, targets, start, weights, penalty, exclusive) -> tuple[np.ndarray, np.ndarray]:
    """The minimum of Σ w loss + penalty/2 |change|², by L-BFGS."""
    shape = (x.shape[1] + 1, targets.shape[1])

    def objective(flat):
        change = flat.reshape(shape)
        loss, error = _loss(start + x @ change[:-1] + change[-1], targets, weights, exclusive)
        gradient = np.vstack([x.T @ error + penalty * change[:-1], error.sum(0)])
        loss += penalty / 2 * np.square(change[:-1]).sum()
        # The bias is free, but for a touch that keeps it finite when one class is all there is.
        loss += 0.5e-3 * np.square(change[-1]).sum()
        gradient[-1] += 1e-3 * change[-1]
        return loss, gradient.ravel()

    found = minimize(objective, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 200})
    change = found.x.reshape(shape)
    return change[:-1], change[-1]


def _loss(logits, targets, weights, exclusive) -> tuple[float, np.ndarray]:
    """The loss, and its gradient (rows, classes) by the logits."""
    # The probabilities serve both, and scipy's softmax and log_softmax take longer than the rest of a small solve.
    if exclusive:
        logits = logits - logits.max(1, keepdims=True)
        odds = np.exp(logits)
        total = odds.sum(1, keepdims=True)
        losses, found = targets * (np.log(total) - logits), odds / total
    else:
        losses, found = np.logaddexp(0, logits) - targets * logits, expit(logits)
    return float((weights[:, None] * losses).sum()), weights[:, None] * (found - targets)


def _spread(x: np.ndarray) -> float:
    """Mean squared length of a centred feature vector; 1 when all are equal."""
    return float(np.square(x - x.mean(0)).sum(1).mean()) or 1.0
