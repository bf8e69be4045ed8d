"""What is known of a metric, and metrics as functions of row weights.

A weight is how often a row counts: ones give the metric, the counts of a bootstrap resample the
metric of its repeated rows. Most metrics are made of weighted sums of a few columns, so that one
matrix product serves all resamples and all metrics. The others need the rows in order; see
`ranked`.

Arguments everywhere: ``y``, the labels of some rows, and ``answers``, what was said of them, as
arrays of which the first axis is the rows. What else they hold is known to the kind of task that a
metric belongs to.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from tf_transfer.measures.ranked import Weights

Formula = Callable[[Weights], dict[str, np.ndarray]]
"""From the weights of some resamples to ``{metric: (resamples,)}``."""


@dataclasses.dataclass(frozen=True, eq=False)
class Metric:
    """A number that says how good answers are.

    It has ``columns`` and ``finish``, or it is ``ordered``. Metrics that share a function of either
    compute it once.

    Args:
        name: as in tables and files.
        columns: from ``y`` and ``answers`` to (rows, k), of which the weighted sums are needed.
        finish: from the sums (..., k) and the total of the weights (...) to the metric (...), NaN
            where undefined.
        ordered: from ``y`` and ``answers`` to a `Formula`, where the rows are needed in order. What
            it returns has the metric under its ``name``.
        direct: from ``y`` and ``answers`` to the metric of all rows, where a library computes it;
            None: the formula with weights of one.
        doubtful: from sums and total to (resamples,) bool: where the formula has too few correct
            digits. There ``direct`` is asked.
        row: from ``y`` and ``answers`` to (rows,), where the metric is the mean of a number a row.
        label: how a report writes it; the name without underscores where it is empty.
        higher: whether a greater value is a better one.
        range: the least and the greatest value.
        undefined: why it is NaN when it is.
        proportion: whether it is the share of rows that are right.
        gaps: whether it sums absolute gaps, so that draws are biased upwards where there are none.
    """

    name: str
    columns: Callable | None = None
    finish: Callable | None = None
    ordered: Callable[..., Formula] | None = None
    direct: Callable | None = None
    doubtful: Callable | None = None
    row: Callable | None = None
    label: str = ""
    higher: bool = True
    range: tuple[float, float] = (0.0, 1.0)
    undefined: str = "nothing to average"
    proportion: bool = False
    gaps: bool = False

    def __post_init__(self):
        if (self.columns is None) == (self.ordered is None) or (self.columns is None) != (
            self.finish is None
        ):
            raise ValueError(f"Metric {self.name!r} must have columns and finish, or ordered.")
        if self.doubtful is not None and self.direct is None:
            raise ValueError(
                f"Metric {self.name!r} must have direct, which doubtful resamples are left to."
            )

    @classmethod
    def of_rows(cls, name: str, row: Callable, **known) -> Metric:
        """The mean over rows of ``row(y, answers)``, (rows,)."""
        return cls(name, lambda y, answers: row(y, answers)[:, None], _mean, row=row, **known)

    @property
    def written(self) -> str:
        """How a report writes it: ``macro F1``."""
        return self.label or self.name.replace("_", " ")

    @property
    def sign(self) -> int:
        """1 where a greater value is better, else -1."""
        return 1 if self.higher else -1

    def of_all(self, y, answers) -> float:
        """The metric of all rows; NaN where it is undefined."""
        if self.direct is not None:
            return self.direct(y, answers)
        return float(weighted([self], y, answers)(Weights(np.ones((1, len(y)))))[self.name][0])


def _mean(sums, total):
    return sums[:, 0] / total


def measured(metrics: Sequence[Metric], y, answers) -> dict[str, float]:
    """Metrics of all rows by name, NaN where undefined; those that share columns are computed
    together.
    """
    values = {}
    for metric in metrics:
        if metric.direct is not None or metric.columns is None:
            values[metric.name] = metric.of_all(y, answers)
        elif metric.name not in values:
            alike = [m for m in metrics if m.columns is metric.columns and m.direct is None]
            together = weighted(alike, y, answers)(Weights(np.ones((1, len(y)))))
            values |= {name: float(value[0]) for name, value in together.items()}
    return values


def weighted(metrics: Sequence[Metric], y, answers) -> Formula:
    """Some metrics as one function of `Weights`; what they share is computed once."""
    makers = dict.fromkeys(metric.ordered for metric in metrics if metric.ordered is not None)
    in_order = [make(y, answers) for make in makers]
    of_sums = _of_sums([metric for metric in metrics if metric.columns is not None], y, answers)

    def formula(weights: Weights) -> dict[str, np.ndarray]:
        values = of_sums(weights)
        for each in in_order:
            values |= each(weights)
        return {metric.name: values[metric.name] for metric in metrics}

    return formula


def _of_sums(metrics: Sequence[Metric], y, answers) -> Formula:
    """The metrics that are made of weighted sums of columns."""
    if not metrics:
        return lambda weights: {}
    makers = list(dict.fromkeys(metric.columns for metric in metrics))
    parts = [make(y, answers) for make in makers]
    matrix = np.concatenate(parts, axis=1, dtype=np.float64)
    ends = np.cumsum([part.shape[1] for part in parts])[:-1]

    def formula(weights: Weights) -> dict[str, np.ndarray]:
        sums = dict(zip(makers, np.split(weights.by_resample @ matrix, ends, axis=1)))
        values = {}
        for metric in metrics:
            values[metric.name] = metric.finish(sums[metric.columns], weights.total)
            if metric.doubtful is not None:
                doubtful = np.flatnonzero(metric.doubtful(sums[metric.columns], weights.total))
                repeated = (
                    np.repeat(np.arange(len(y)), weights.counts[i].astype(int)) for i in doubtful
                )
                values[metric.name][doubtful] = [
                    metric.of_all(y[rows], answers[rows]) for rows in repeated
                ]
        return values

    return formula
