"""What the advisor says, and how it fared once the experiment was run."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd

from tf_transfer.advisor.facts import Facts
from tf_transfer.errors import CheckpointError, DataError, differing_keys
from tf_transfer.experiments.results import Results
from tf_transfer.experiments.runs import Cell
from tf_transfer.files.file_format import FileFormat
from tf_transfer.files.storage import write_text
from tf_transfer.files.untrusted import read_json
from tf_transfer.kinds import METRICS

FORMAT = FileFormat("tf_transfer advice", 1)
PLACE = ["target", "task", "budget"]


@dataclasses.dataclass(frozen=True)
class Advice:
    """The strategies of an experiment, ranked for every target, task and label budget before any is
    trained.

    Args:
        rows: a row a place and strategy, best first: target, task, budget, rank, strategy,
            source_seconds, target_seconds, once_seconds (see `cost.Cost`), rule, reason.
        facts: what the ranks follow from, a `Facts` a place.
        identity: what a run must have in common with the experiment to be held against this advice,
            by name.
        run_seconds: training of the whole experiment, once-only parts included.
    """

    rows: pd.DataFrame
    facts: tuple[Facts, ...]
    identity: dict
    run_seconds: float

    def first(self, target: str, task: str, budget: int) -> str:
        """The strategy to try first."""
        rows = self.rows.query(
            "target == @target and task == @task and budget == @budget and rank == 1"
        )
        if not len(rows):
            raise DataError(
                f"There is advice for the targets, tasks and budgets of the experiment.\n"
                f"Received target={target!r}, task={task!r}, budget={budget!r}.\n"
                f"Known are {self.rows[PLACE].drop_duplicates().values.tolist()}."
            )
        return rows["strategy"].item()

    def to_frame(self) -> pd.DataFrame:
        """The ranks, with the facts of their place in further columns."""
        facts = pd.DataFrame([dataclasses.asdict(f) for f in self.facts])
        return self.rows.merge(facts, on=PLACE, how="left")

    def save(self, path: str | Path) -> None:
        """Writes a JSON file that `load_advice` reads; the folder is made if it is not there.

        Raises:
            CheckpointError: the file cannot be written.
        """
        facts = [
            {k: None if pd.isna(v) else v for k, v in dataclasses.asdict(f).items()}
            for f in self.facts
        ]
        content = {
            **FORMAT.note(),
            "identity": self.identity,
            "run_seconds": self.run_seconds,
            "facts": facts,
        }
        write_text(path, json.dumps(content | {"rows": self.rows.to_dict("records")}, indent=1))

    def fared(self, comparison: Results) -> pd.DataFrame:
        """How the advice fared in a run of the same experiment: a row a target, task and budget.

        Args:
            comparison: the `Comparison` of the run.

        Returns:
            ``advised`` and its mean primary metric ``value``; ``best``, the strategy of the best
            mean, and ``best_value``; ``behind``, how much worse the advised one is, with its 95 %
            interval ``low`` to ``high``; ``as_good``, whether the advised one is the best or the
            interval includes 0; ``predicted_seconds`` and ``actual_seconds`` of one source and
            target training of the advised one (the median over seeds, so that tracing in the first
            does not count), and their ``ratio``. A place whose cells are not usable has no row.

        Raises:
            DataError: the run is of other data or tasks, another encoder, or other strategies.
        """
        self._check(comparison)
        records = [self._fared_at(comparison, fact) for fact in self.facts]
        return pd.DataFrame([r for r in records if r is not None])

    def check_strategies(self, experiment) -> None:
        """Checks that it is about an experiment of these strategies.

        Raises:
            DataError: other strategies, or other arguments of them.
        """
        asked = {
            f"strategy {k}": [s.name, dataclasses.asdict(s)] for k, s in experiment.compared.items()
        }
        asked = json.loads(json.dumps(asked))
        known = {k: v for k, v in self.identity.items() if k.startswith("strategy ")}
        differing = differing_keys(known, asked)
        if differing:
            raise DataError(
                "The advice that is kept with a run must be about the experiment asked for.\n"
                f"Received another one; these differ: {', '.join(differing)}.\nGive the experiment "
                "that was run."
            )

    def _check(self, comparison: Results) -> None:
        content = comparison.run.read()
        ran = content["common"] | {f"strategy {k}": v for k, v in content["strategies"].items()}
        differing = [k for k, v in self.identity.items() if ran.get(k) != v]
        if differing:
            raise DataError(
                f"{comparison.run.folder} must be a run of the experiment that the advice is "
                "about.\n"
                f"Received another one; these differ: {', '.join(differing)}.\n"
                "Give the folder of its run, or ask for advice on the experiment that was run."
            )

    def _fared_at(self, comparison: Results, fact: Facts) -> dict | None:
        place = {"target": fact.target, "task": fact.task, "budget": fact.budget}
        metric = comparison.metrics[fact.task]
        results = _at(comparison.results, fact)
        means = (
            results[results["metric"] == metric]
            .groupby("strategy", sort=False)["value"]
            .agg(lambda v: v.mean(skipna=False))
            .dropna()
        )
        advised = self.first(**place)
        if advised not in means.index:
            return None
        best = means.idxmax() if METRICS[metric].higher else means.idxmin()
        behind = comparison.difference(best, advised, **place)
        if behind is None:  # the two have no seed in common
            return None
        row = _at(self.rows, fact).iloc[0]
        predicted = row["source_seconds"] + row["target_seconds"]
        actual = _actual_seconds(comparison, advised, fact)
        return place | {
            "metric": metric,
            "advised": advised,
            "value": means[advised],
            "best": best,
            "best_value": means[best],
            "behind": behind.value,
            "low": behind.low,
            "high": behind.high,
            "as_good": advised == best or bool(behind.low <= 0),
            "predicted_seconds": predicted,
            "actual_seconds": actual,
            "ratio": predicted / actual if actual else np.nan,
        }

    def __str__(self) -> str:
        return "\n\n".join(self._describe(fact) for fact in self.facts) + f"\n\n{self._closing()}"

    def _describe(self, fact: Facts) -> str:
        lines = [
            f"{fact.target}, {fact.task}, {fact.budget} labels",
            textwrap.indent(_facts(fact), "  "),
        ]
        for row in _at(self.rows, fact).itertuples():
            head = (
                f"  {row.rank}. {row.strategy:<20} "
                f"{_duration(row.source_seconds + row.target_seconds):>8}  "
            )
            lines.append(
                textwrap.fill(
                    row.reason, 118, initial_indent=head, subsequent_indent=" " * len(head)
                )
            )
        return "\n".join(lines)

    def _closing(self) -> str:
        once = self.rows.groupby("strategy")["once_seconds"].max().max()
        return (
            "Times are of one source and target training, from steps timed when this was asked "
            "for.\n"
            f"The first of a run takes up to {_duration(once)} more for tracing. Training of the "
            f"whole experiment takes about {_duration(self.run_seconds)}."
        )

    def _repr_html_(self) -> str:
        shown = self.rows.assign(seconds=self.rows["source_seconds"] + self.rows["target_seconds"])
        shown = shown[[*PLACE, "rank", "strategy", "seconds", "reason"]]
        return shown.to_html(index=False, escape=True, border=0, float_format=lambda v: f"{v:.1f}")


def load_advice(path: str | Path) -> Advice:
    """Advice that `Advice.save` wrote.

    Raises:
        CheckpointError: the file is missing, damaged, or something else.
    """
    try:
        content = read_json(path)
        FORMAT.check(path, content, "Ask for advice anew.")
        facts = tuple(
            Facts(**{k: np.nan if v is None else v for k, v in f.items()}) for f in content["facts"]
        )
        return Advice(
            pd.DataFrame(content["rows"]), facts, content["identity"], content["run_seconds"]
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{path} cannot be read as advice: {error}.\nDelete it, or ask for advice anew."
        ) from None


def summarise(fared: pd.DataFrame) -> str:
    """One sentence on what `Advice.fared` returned."""
    if not len(fared):
        return "The run has no usable cells of the advised strategies."
    good, within = int(fared["as_good"].sum()), int(fared["ratio"].between(0.5, 2).sum())
    return (
        f"The advised strategy was the best, or within its interval of it, in {good} of "
        f"{len(fared)} places; the time was within a factor of 2 of the predicted one in {within}."
    )


def _at(table: pd.DataFrame, fact: Facts) -> pd.DataFrame:
    """The rows of a fact's place."""
    return table[
        (table["target"] == fact.target)
        & (table["task"] == fact.task)
        & (table["budget"] == fact.budget)
    ]


def _actual_seconds(comparison: Results, strategy: str, fact: Facts) -> float:
    """Median over seeds of source and target training; NaN where no cell is usable."""
    seconds = []
    for seed in comparison.seeds:
        with contextlib.suppress(CheckpointError):
            meta = comparison.run.read_cell(Cell(fact.target, strategy, fact.budget, seed))[1]
            seconds.append(meta["source_seconds"] + meta["target_seconds"])
    return float(np.median(seconds)) if seconds else np.nan


def _facts(fact: Facts) -> str:
    same = (
        "the same labels"
        if fact.overlap == 1
        else "other labels"
        if not fact.overlap
        else f"{fact.overlap:.0%} of the labels"
    )
    known = (
        f"{fact.source_rows:,} source rows ({fact.rows_a_label:.0f} a label) with {same}; domain "
        f"distance {fact.distance:.2f} of 2; evidence for the labels: source "
        f"{fact.source_evidence:.3f}, target {fact.target_evidence:.3f} nats a label"
    )
    if not np.isnan(fact.words):
        known += (
            f"; on the source's own rows: words {fact.words:.3f}, frozen features {fact.probe:.3f}"
        )
    if fact.cut >= 0.005:
        known += f"; {fact.cut:.0%} of the target's tokens are beyond max_length"
    return textwrap.fill(known, 116)


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else f"{seconds / 60:.1f} min"
