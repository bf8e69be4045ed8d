"""What the sections of a report say, as plain texts: no markup, so that other formats can share them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

import pandas as pd
import yaml

from tf_transfer.metrics import HIGHER_IS_BETTER
from tf_transfer.report import wording
from tf_transfer.report.wording import SYMBOLS, number

LONGEST_EXAMPLE = 200
"""Characters of a leaked text that are shown."""


@dataclasses.dataclass(frozen=True)
class Panel:
    """A table for one target and task: strategies in rows, label budgets in columns.

    Args:
        target, task: names.
        metric: as it is read.
        facts: of what the table was computed.
        rows: ``{strategy: cells}``, cells in the order of the budgets, None where there is nothing.
        notes: what a reader must know of some cells.
    """

    target: str
    task: str
    metric: str
    facts: str
    rows: Mapping[str, list]
    notes: list[str]


@dataclasses.dataclass(frozen=True)
class Verdict:
    """A cell: difference to the baseline and what it means; `minimum` is empty unless undecided."""

    word: str
    symbol: str
    difference: str
    interval: str
    p: str
    minimum: str


@dataclasses.dataclass(frozen=True)
class Score:
    """A cell: the mean over seeds, its range, and whether it is the best of its column."""

    mean: str
    span: str
    best: bool
    verdict: str = ""

    @property
    def symbol(self) -> str:
        return SYMBOLS.get(self.verdict, "")


def verdict_panels(comparison) -> list[Panel]:
    """Differences to the baseline; the baseline itself has no row."""
    verdicts = comparison.verdicts()
    return [_verdict_panel(comparison, target, task, found) for target, task, found in _each(comparison, verdicts)]


def _verdict_panel(comparison, target: str, task: str, found: pd.DataFrame) -> Panel:
    cells = {(v.strategy, v.budget): _verdict(v) for v in found.itertuples()}
    strategies = [s for s in comparison.strategies if s != comparison.baseline]
    facts = f"{_span(found['rows'])} test rows, {_span(found['seeds'])} seeds"
    return Panel(target, task, _metric(comparison, task), facts, _grid(comparison, strategies, cells), _notes(found))


def _notes(found: pd.DataFrame) -> list[str]:
    """A sentence for each note and strategy, with the budgets it is about."""
    noted = found[found["note"].fillna("") != ""].groupby(["strategy", "note"], sort=False)["budget"]
    return [f"{strategy} at {wording.labels(budgets)}: {note}." for (strategy, note), budgets in noted]


def _verdict(row) -> Verdict:
    value, interval = wording.difference(row.value, row.low, row.high)
    open_ = row.verdict == "undecided" and not pd.isna(row.minimum_effect)
    minimum = wording.smallest(row.minimum_effect) if open_ else ""
    return Verdict(row.verdict, SYMBOLS[row.verdict], value, interval, wording.p_value(row.p), minimum)


def result_panels(comparison) -> list[Panel]:
    """The primary metric of every strategy, as a mean over seeds with its range."""
    verdicts = comparison.verdicts().set_index(["target", "task", "strategy", "budget"])["verdict"].to_dict()
    return [
        _result_panel(comparison, target, task, found[found["metric"] == comparison.metrics[task]], verdicts)
        for target, task, found in _each(comparison, comparison.results)
    ]


def _result_panel(comparison, target: str, task: str, found: pd.DataFrame, verdicts: Mapping) -> Panel:
    values = {key: cell["value"] for key, cell in found.groupby(["strategy", "budget"])}
    means = pd.Series({key: v.mean(skipna=False) for key, v in values.items()}, dtype=float)
    sign = 1 if HIGHER_IS_BETTER[comparison.metrics[task]] else -1
    best = (sign * means).groupby(level=1).max() if len(means) else {}
    seeds = len(comparison.seeds)
    cells = {
        (strategy, budget): Score(
            number(means[strategy, budget]),
            _range(cell, seeds),
            bool(sign * means[strategy, budget] == best[budget]),
            verdicts.get((target, task, strategy, budget), ""),
        )
        for (strategy, budget), cell in values.items()
    }
    facts = f"mean over {seeds} seed{'s' if seeds > 1 else ''}, range below"
    return Panel(target, task, _metric(comparison, task), facts, _grid(comparison, comparison.strategies, cells), [])


def _range(cell: pd.Series, seeds: int) -> str:
    """``.56 to .60``, with the number of seeds where some are missing or undefined."""
    defined = cell.dropna()
    span = f"{number(defined.min())} to {number(defined.max())}" if len(defined) > 1 else ""
    if len(defined) == seeds or not len(defined):
        return span
    return f"{span or number(defined.iloc[0])} in {len(defined)} of {seeds} seeds"


def leakage_rows(comparison) -> list[dict]:
    """A dict for each target and audited table, with the counts of `LeakageReport.to_frame` and ``target``,
    ``table`` and ``share`` as text."""
    return [
        {**counts, "target": target, "table": table, "share": f"{counts['share']:.1%}"}
        for target, report in comparison.leakage.items()
        for table, counts in report["tables"].items()
    ]


def leakage_examples(comparison) -> list[dict]:
    """A dict for each example, with ``target``, ``table``, ``kind`` and the two shortened texts."""
    return [
        {
            **example,
            "target": target,
            "test_text": _shortened(example["test_text"]),
            "text": _shortened(example["text"]),
            "similarity": number(example["similarity"]),
        }
        for target, report in comparison.leakage.items()
        for example in report.get("examples", ())
    ]


def leaks_dropped(comparison) -> bool:
    """Whether the experiment says that duplicates of test rows are left out of training."""
    return bool((comparison.provenance.get("experiment") or {}).get("drop_leaks"))


def cost_rows(comparison) -> list[tuple[str, str, str]]:
    """Strategy, mean time of source training, mean time of training on one target."""
    costs = comparison.costs.pivot_table("seconds", "strategy", "stage", sort=False)
    costs = costs.reindex(index=comparison.strategies, columns=["source", "target"])
    return [(s, *map(wording.duration, row)) for s, row in zip(costs.index, costs.to_numpy())]


def provenance(comparison) -> dict[str, list[tuple[str, str]]]:
    """``{section: [(path, value)]}``, single values first; the experiment is left to `experiment_yaml`."""
    recorded = {str(k): v for k, v in comparison.provenance.items() if k != "experiment"}
    single = {k: v for k, v in recorded.items() if not isinstance(v, Mapping)}
    found = {"run": list(_leaves(single))} if single else {}
    return found | {k: list(_leaves(v)) for k, v in recorded.items() if k not in single}


def experiment_yaml(comparison) -> str:
    """The experiment as the text of an ``experiment.yaml``; empty where it was not recorded."""
    experiment = comparison.provenance.get("experiment")
    return yaml.safe_dump(experiment, sort_keys=False, allow_unicode=True) if experiment else ""


def tally(comparison) -> dict[str, int]:
    """How many comparisons of source strategies with the baseline have each verdict."""
    verdicts = comparison.verdicts()
    chosen = verdicts["strategy"].isin(comparison.source_strategies)
    return {word: int((verdicts.loc[chosen, "verdict"] == word).sum()) for word in SYMBOLS}


def _each(comparison, table: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Target, task and their part of ``table``, for those that have any."""
    for target in comparison.targets:
        for task in comparison.tasks:
            found = table[(table["target"] == target) & (table["task"] == task.name)]
            if len(found):
                yield target, task.name, found


def _grid(comparison, strategies, cells: Mapping) -> dict[str, list]:
    return {s: [cells.get((s, budget)) for budget in comparison.budgets] for s in strategies}


def _metric(comparison, task: str) -> str:
    return wording.metric_name(comparison.metrics[task])


def _span(values: pd.Series) -> str:
    low, high = int(values.min()), int(values.max())
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _shortened(text: object) -> str:
    text = str(text)
    return text if len(text) <= LONGEST_EXAMPLE else text[: LONGEST_EXAMPLE - 1] + "…"


def _leaves(content: object, path: tuple = ()) -> Iterator[tuple[str, str]]:
    if isinstance(content, Mapping) and content:
        for key, value in content.items():
            yield from _leaves(value, (*path, str(key)))
    elif isinstance(content, list | tuple) and any(isinstance(v, Mapping) for v in content):
        yield from _leaves({str(i): value for i, value in enumerate(content)}, path)
    else:
        joined = ", ".join(map(str, content)) if isinstance(content, list | tuple) else content
        yield " · ".join(path), "–" if joined in (None, "", {}) else str(joined)
