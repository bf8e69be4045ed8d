"""Kinds of tasks: what sort of answer a task asks for. One file a kind; see `base`.

Importing them loads no TensorFlow.
"""

from __future__ import annotations

import pandas as pd

from tf_transfer.errors import DataError, check_choice, listed
from tf_transfer.kinds.base import Kind
from tf_transfer.kinds.classification import Classification
from tf_transfer.kinds.label_columns import present_rows
from tf_transfer.kinds.multilabel import Multilabel
from tf_transfer.kinds.regression import Regression
from tf_transfer.kinds.span import Span
from tf_transfer.kinds.tagging import Tagging
from tf_transfer.measures.metric import Metric

KINDS: dict[str, Kind] = {}
"""By name. What `register` adds later works everywhere."""

METRICS: dict[str, Metric] = {}
"""One of each name. Its label, direction and range are the same in all kinds; for the rest ask the
kind.
"""

AUTO = "auto"
"""The kind of a task that is still to be read from its column."""


def register(kind: Kind) -> Kind:
    """Adds a kind. It is asked before those that there are whether a column of labels is its own.

    Raises:
        DataError: there is one of its name; one of its metrics differs from another one of that
            name; or ``primary`` or ``row_metric`` is none of its metrics.
    """
    if kind.name in (AUTO, *KINDS):
        raise DataError(
            f"A kind must have a name of its own.\nReceived {kind.name!r}, which there is."
        )
    if len(set(kind.metric_names)) < len(kind.metrics):
        raise DataError(
            f"A kind must have one metric of a name.\nReceived {listed(kind.metric_names, 40)}."
        )
    for name in (kind.primary, kind.row_metric):
        kind.metric(name)
    if kind.metric(kind.row_metric).row is None:
        raise DataError(
            f"row_metric of kind {kind.name!r} must be a mean over rows, as `Metric.of_rows` makes "
            "it.\n"
            f"Received {kind.row_metric!r}."
        )
    for metric in kind.metrics:
        known = METRICS.get(metric.name, metric)
        if (known.written, known.higher, known.range) != (
            metric.written,
            metric.higher,
            metric.range,
        ):
            raise DataError(
                f"A metric must mean the same in all kinds.\nReceived {metric.name!r} of "
                f"{kind.name!r}, which another kind has with another label, direction or range.\n"
                "Give it a name of its own."
            )
    KINDS[kind.name] = kind
    for metric in kind.metrics:
        METRICS.setdefault(metric.name, metric)
    return kind


_BUILT_IN = tuple(
    register(kind) for kind in (Classification(), Multilabel(), Regression(), Tagging(), Span())
)
_ASKED = tuple(
    KINDS[name] for name in ("tagging", "span", "multilabel", "regression", "classification")
)
"""The order in which they are asked whether a column is theirs; the last one takes all."""


def added() -> tuple[Kind, ...]:
    """The kinds that `register` has added to those of the toolkit."""
    return tuple(kind for kind in KINDS.values() if kind not in _BUILT_IN)


def kind_of(task) -> Kind:
    """The kind of a `Task`.

    Raises:
        DataError: it is still open.
    """
    if task.kind == AUTO:
        raise DataError(f"Task {task.name!r} has no kind yet: call resolve(table), or fit.")
    return KINDS[task.kind]


def kind_named(name: str) -> Kind:
    """Raises:
    DataError: there is no such kind.
    """
    check_choice("kind", name, list(KINDS))
    return KINDS[name]


def kinds_where(**traits) -> list[str]:
    """The names of the kinds with these attributes: ``kinds_where(one_class=True)``."""
    return [
        name
        for name, kind in KINDS.items()
        if all(getattr(kind, t) == v for t, v in traits.items())
    ]


def infer_kind(column: pd.Series, with_classes: bool = False) -> str:
    """The kind of task that a column of labels asks for.

    Lists, also written as text, dicts of 0 and 1 by class, or text with ``|`` between labels:
    multilabel. Numbers with a fraction, or integers of more than 20 distinct values, or an infinite
    number (which `Task.encode` then reports): regression; so are texts that are all numbers, where
    one is written with a point or an exponent. Everything else: classification.

    Args:
        with_classes: only kinds whose labels are names of classes come into question.

    Example:
        >>> columns = ["a", "b"], [1, 2], [1.5, 2.0], ["sports|news", "news"]
        >>> [infer_kind(pd.Series(values)) for values in columns]
        ['classification', 'classification', 'regression', 'multilabel']
        >>> [infer_kind(pd.Series(v)) for v in (["007", "12"], ["4.50", "3"], ["['a', 'b']", "[]"])]
        ['classification', 'regression', 'multilabel']
    """
    present = column[present_rows(column)]
    asked = [kind for kind in (*added(), *_ASKED) if kind.has_classes or not with_classes]
    return next(kind.name for kind in asked if kind.claims(present))
