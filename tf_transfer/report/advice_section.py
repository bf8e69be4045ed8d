"""The part of a report about the advice that was asked for before training."""

from __future__ import annotations

from tf_transfer.experiments.results import Results
from tf_transfer.report import readings
from tf_transfer.report.blocks import Cell, Group, Section, Table, Text
from tf_transfer.report.wording import difference, duration, labels, metric_name, number


def advice(comparison: Results) -> Section | None:
    """What was advised, what was best, and how long both were thought to take; None where none was
    asked for.
    """
    fared = readings.advice(comparison)
    if fared is None:
        return None
    from tf_transfer.advisor.advice import summarise

    blocks = [Text(summarise(fared))]
    if len(fared):
        blocks += [
            Text(_INTRODUCTION, quiet=True),
            Table("How the advice fared", _HEAD, tuple(_rows(fared)), wide=True),
        ]
    return Section("advice", "How the advice fared", tuple(blocks))


_HEAD = ("labels", "advised", "best", "behind the best", "as good", "time predicted", "time taken")
_INTRODUCTION = (
    "The strategies were ranked before anything was trained. “Behind the best” has a 95 % interval "
    "over test rows and seeds; the advised strategy is as good where it is the best or the "
    "interval holds 0. Times are of one training on source and target."
)


def _rows(fared):
    for (target, task), part in fared.groupby(["target", "task"], sort=False):
        yield Group(f"{target}: {task}, {metric_name(part['metric'].iloc[0])}")
        for v in part.itertuples():
            behind, ends = difference(v.behind, v.low, v.high)
            same = v.advised == v.best
            yield (
                Cell(labels([v.budget])),
                Cell(v.advised, quiet=number(v.value)),
                Cell(v.best, quiet=number(v.best_value)),
                "–" if same else Cell(behind.lstrip("+"), quiet=ends),
                "yes" if v.as_good else "no",
                duration(v.predicted_seconds),
                duration(v.actual_seconds),
            )
