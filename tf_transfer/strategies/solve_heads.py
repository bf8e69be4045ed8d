"""Heads solved on the encoder's frozen features, drawn towards what a source has taught them where
that helps.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tf_transfer.data.tables import join_tables
from tf_transfer.errors import PenaltyWarning, TrainingError
from tf_transfer.kinds import kind_of
from tf_transfer.kinds.answers import Answers
from tf_transfer.kinds.base import PADDED
from tf_transfer.kinds.labels import encode_labels
from tf_transfer.kinds.tasks import Task
from tf_transfer.strategies.linear_models import LinearModel, fit_logistic, fit_ridge

if TYPE_CHECKING:
    from tf_transfer.model.model import TransferModel

NO_WEIGHT = 1e-6
"""Weights up to this size are what rounding leaves where all the vectors of a source are the
same.
"""

SKILL = 6.0
"""Nats that a head must save on all its rows together, on folds, to be drawn to.

Of film and shop reviews (BERT-tiny) 160 rows save 19, and 1,500 rows 130. Draws of 80 rows with
shuffled labels save up to 5, and 20 rows up to 6: drawn to these, a probe lost .08 macro F1 on 16
tweets.
"""

KNOWN = 0.5
"""Share of a target's rows with a class that a source has taught, from which on its other classes
are expected too.

Below it they stand in the way: with 16 rows of 15 intents (clinc150), none of them the source's,
the source's other 30 intents were answered nearly always, and macro F1 was 0 instead of .26. Above
it they are worth having: with half of the 15 intents known to the source it was .57 with them, and
.29 without.
"""


def solve_heads(
    model: TransferModel,
    *tables: pd.DataFrame,
    tasks: Sequence[Task] | None = None,
    anchored: bool = False,
) -> dict[str, LinearModel]:
    """Sets each head to the best one on the encoder's frozen features of all rows, or of their
    tokens where the head reads those.

    Each table is encoded by itself, so that any choice of the same tables shares their vectors. A
    regression is ridge regression, a classification multinomial (multilabel: binary) logistic
    regression; see `linear_models`.

    Args:
        model: a `TransferModel` with heads.
        tables: rows with labels of any of its tasks.
        tasks: whose heads; None: all.
        anchored: penalise the distance from the present weights of those outputs that labels have
            taught; all others are drawn to 0. Where fewer than `KNOWN` of the rows have a taught
            class, the tables have other classes than the labels before: then only outputs of
            classes that the tables have count as taught.

    The outputs of a solved head count as taught where it saves `SKILL` nats.

    Returns:
        What was solved, by task; a task without a label, with a frozen head, or of a kind that has
        no ``link``, is left out and its head stays.

    Raises:
        TrainingError: a vector or a label is no finite number.
    """
    joined = join_tables(list(tables))
    # what one lacks is missing in its rows
    tables = [table.reindex(columns=joined.columns) for table in tables]
    y, w = encode_labels(model.tasks, joined)
    x, solved = None, {}
    for task in model.tasks if tasks is None else tasks:
        rows = w[task.name] > 0
        solvable = (
            kind_of(task).link is not None
            and task.loss_weight
            and task.name not in model.frozen["heads"]
        )
        if not rows.any() or not solvable:
            continue
        head, labels = model.heads[task.name], y[task.name][rows]
        anchor = _anchor_of(task, head, labels) if anchored else None
        if kind_of(task).reads == "tokens":
            examples = _of_tokens(model, task, joined, y[task.name], w[task.name])
            if not len(examples.x):
                continue
        else:
            x = _vectors(model, tables) if x is None else x
            examples = Examples(x[rows], labels, w[task.name][rows].astype(np.float64))
        solved[task.name] = _solve(task, head, anchor, examples)
        # A head that may know no more than the class shares by chance is nothing to draw another
        # one to.
        if not solved[task.name].skill < SKILL:
            head.note_labels(labels)
        _say_end(task, solved[task.name])
    return solved


@dataclasses.dataclass(frozen=True)
class Examples:
    """What a head is solved on: rows, or the tokens of rows that have a label.

    Args:
        x: (examples, width) float64.
        labels: of each; the numbers of outputs where they are of tokens.
        weights: (examples,) float64, factors of their losses.
        groups: (examples,) int, the row of each token; None where each example is a row.
    """

    x: np.ndarray
    labels: Answers
    weights: np.ndarray
    groups: np.ndarray | None = None


def _vectors(model: TransferModel, tables: Sequence[pd.DataFrame]) -> np.ndarray:
    """(rows, width) float64: the vectors of all texts."""
    x = np.concatenate([model.encode(table, verbose=0) for table in tables]).astype(np.float64)
    _check_finite(x, "The encoder's vectors")
    return x


def _of_tokens(model: TransferModel, task: Task, table: pd.DataFrame, y, w: np.ndarray) -> Examples:
    """The tokens that have a label, in the rows that have one.

    Those of a row share its weight, as in the loss that a head is trained on; all together weigh as
    much as there are tokens.
    """
    tokens = model.tokenise(table, spans=True)
    labels = kind_of(task).targets(task, y, tokens)
    rows = np.repeat(np.arange(len(table)), tokens.lengths)
    chosen = (labels != PADDED) & (w[rows] > 0)
    rows = rows[chosen]
    x = model.encode_tokens(tokens)[chosen].astype(np.float64)
    if len(x):
        _check_finite(x, "The encoder's vectors")
    _, places, counts = np.unique(rows, return_inverse=True, return_counts=True)
    share = counts.mean() / counts[places] if len(x) else np.ones(0)
    factors = kind_of(task).output_factors(task, y[np.flatnonzero(w > 0)])
    weights = w[rows] * share * factors[labels[chosen]]
    return Examples(x, labels[chosen], weights, rows)


def _solve(task, head, anchor, examples: Examples) -> LinearModel:
    """Sets the head's weights to the solution beside ``anchor``, a kernel and a bias or None."""
    kernel, bias = _weights(head, np.zeros(task.outputs, bool)) if anchor is None else anchor
    x, labels = examples.x, examples.labels
    start = x @ kernel + bias
    kind = kind_of(task)
    if kind.link == "identity":
        standard = kind.standardised(head, labels)
        _check_finite(
            standard,
            f"The labels of task {task.name!r}, less their mean and divided by their deviation,",
        )
        solved = fit_ridge(x, standard - start[:, 0])
    else:
        by_token = examples.groups is not None
        targets = np.eye(task.outputs)[labels] if by_token else kind.sure(task, labels)
        solved = fit_logistic(
            x,
            targets,
            start,
            examples.weights,
            exclusive=kind.link == "softmax",
            anchored=anchor is not None,
            groups=examples.groups,
        )
    head.kernel.assign(solved.temperature * kernel + solved.kernel)
    head.bias.assign(solved.temperature * bias + solved.bias)
    return solved


def _anchor_of(task: Task, head, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """The weights that the head's outputs are drawn to; None where they tell no text from
    another.
    """
    taught = head.taught.numpy() > 0
    if kind_of(task).one_class and taught[labels].mean() < KNOWN:
        taught &= np.isin(np.arange(task.outputs), labels)
    anchor = _weights(head, taught)
    return anchor if np.abs(anchor[0]).max() > NO_WEIGHT else None


def _weights(head, outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The head's kernel and bias in float64, 0 but for some of its ``outputs`` (outputs,) bool."""
    return tuple(v.numpy().astype(np.float64) * outputs for v in (head.kernel, head.bias))


def _check_finite(values: np.ndarray, what: str) -> None:
    wrong = np.flatnonzero(~np.isfinite(values.reshape(len(values), -1)).all(1))
    if len(wrong):
        raise TrainingError(
            f"{what} must be finite numbers.\nReceived {np.ravel(values[wrong[0]])[:1][0]} in row "
            f"{wrong[0]} ({len(wrong)} such rows).\nAn encoder whose training diverged gives such "
            "vectors: lower its rate."
        )


def _say_end(task, solved: LinearModel) -> None:
    if solved.end:
        warnings.warn(
            f"The penalty of task {task.name!r} is the {solved.end} of those tried: a "
            f"{'greater' if solved.end == 'greatest' else 'smaller'} one might suit its labels "
            "better.",
            PenaltyWarning,
            stacklevel=4,
        )
