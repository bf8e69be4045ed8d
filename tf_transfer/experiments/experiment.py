"""What an experiment file says, checked before anything runs."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
import pydantic
from pydantic import BeforeValidator, Field

from tf_transfer.checks.names import check_differ, check_names
from tf_transfer.errors import DataError, is_whole, listed, nearest
from tf_transfer.experiments.lineup import AUTO, Lineup
from tf_transfer.experiments.problems import explain
from tf_transfer.experiments.specs import EncoderSpec, TaskSpec, build_strategies
from tf_transfer.experiments.table_specs import Spec, TableSpec, TargetSpec, as_names, named
from tf_transfer.experiments.tune_spec import TuneSpec
from tf_transfer.experiments.yaml_file import read_yaml
from tf_transfer.kinds.tasks import Task

MOST_SEEDS = 1_000


def _as_list(value):
    if not is_whole(value):
        return value
    if value > MOST_SEEDS:
        raise ValueError(f"at most {MOST_SEEDS:,} seeds; received {reprlib.repr(value)}")
    return list(range(value))


class Experiment(Spec):
    """Strategies x targets x label budgets x seeds.

    Args:
        encoder: asset name, folder or hub id, or an `EncoderSpec`.
        tasks: what is predicted.
        sources: ``{name: table}`` of source data.
        targets: ``{name: table}`` or ``{name: {data, test_size, group}}`` or ``{name: {train,
            test}}``.
        strategies: names, or ``{name: {argument: value}}``; labels of two of the same kind must
            differ: ``{label: {strategy: name, argument: value}}``.
        budgets: numbers of target rows whose labels may be used.
        seeds: a number of seeds, or a list of them.
        baseline: the strategy that the others are compared with; ``"auto"``: each that learns from
            source data with itself without the source, the others with ``target_only``. What the
            list of strategies lacks for it is added; see `lineup`.
        leave_one_out: run strategies also without each source, to see which one carried the gain:
            True for all that learn from source data, or a list of their labels.
        slices: columns of the targets' tables, such as a domain, by whose values the report cuts
            the test rows.
        workers: processes that share the work of `compare`: a number, ``"auto"`` for as many as
            cores and memory allow, or arguments of `joblib.parallel_config` such as ``{backend:
            dask, n_jobs: 8}``; see `experiments.pool`. 1 is this process.
        tune: how `tune` searches for better arguments of the strategies; see `TuneSpec`.
        drop_leaks: leave rows that are known from a target's test, exactly or nearly, out of
            training.
        folder: what relative paths start from: for a file, its own folder.
    """

    name: str = "experiment"
    encoder: EncoderSpec
    text: str = "text"
    text_pair: str | None = None
    tasks: list[TaskSpec] = Field(min_length=1)
    sources: dict[str, TableSpec] = Field(default_factory=dict)
    targets: dict[str, TargetSpec] = Field(min_length=1)
    strategies: Annotated[dict[str, Any], BeforeValidator(build_strategies)]
    budgets: list[Annotated[int, Field(ge=1)]] = Field(min_length=1)
    seeds: Annotated[list[Annotated[int, Field(ge=0, lt=2**31)]], BeforeValidator(_as_list)] = (
        Field(default_factory=lambda: [0, 1, 2], min_length=1)
    )
    baseline: str = AUTO
    leave_one_out: bool | Annotated[list[str], BeforeValidator(as_names)] = False
    slices: Annotated[list[str], BeforeValidator(as_names)] = Field(default_factory=list)
    workers: Annotated[int, Field(ge=1)] | Literal["auto"] | dict[str, Any] = 1
    tune: TuneSpec = Field(default_factory=TuneSpec)
    drop_leaks: bool = True
    folder: Path = Path(".")

    @pydantic.model_validator(mode="after")
    def _consistent(self):
        if self.baseline not in (AUTO, *self.strategies):
            raise ValueError(
                f"baseline {self.baseline!r} must be one of the strategies "
                f"{listed(self.strategies)}.{nearest(self.baseline, self.strategies)}"
            )
        check_names("task", [t.name for t in self.tasks], in_files=False)
        for task in self.tasks:
            if task.task().label in (self.text, self.text_pair):
                raise ValueError(
                    f"the label of task {task.name!r} must be another column than the text's; "
                    f"received {task.task().label!r} for both"
                )
        for what, names in (
            ("source", self.sources),
            ("target", self.targets),
            ("strategy", self.lineup.strategies),
        ):
            check_names(what, names)
        for what, values in (("seeds", self.seeds), ("budgets", self.budgets)):
            if len(set(values)) != len(values):
                raise ValueError(f"{what} must differ; received {values}")
        needing = [label for label, s in self.strategies.items() if s.uses_source]
        if needing and not self.sources:
            raise ValueError(
                f"strategies {listed(needing)} learn from source data; received no sources"
            )
        for label, name in self.validated_on.items():
            self.check_validation_source(label, name)
        learned = [task.name for task in self.tasks if task.loss_weight]
        for strategy in self.strategies.values():
            strategy.check_tasks(learned)
        return self

    @pydantic.model_validator(mode="after")
    def _can_leave_out(self):
        if not self.leave_one_out:
            return self
        known = [label for label, s in self.strategies.items() if s.uses_source]
        chosen = known if self.leave_one_out is True else self.leave_one_out
        for label in chosen:
            if label not in known:
                raise ValueError(
                    "leave_one_out must name strategies that learn from source data: "
                    f"{listed(known)}; received {label!r}.{nearest(label, known)}"
                )
        if not chosen or len(self.sources) < 2:
            raise ValueError(
                "leave_one_out needs at least two sources and a strategy that learns from them; "
                f"received the sources {listed(self.sources)} and the strategies {listed(chosen)}. "
                "Without its only source a strategy is target_only: compare it with that"
            )
        for label in chosen:
            if label in self.validated_on and len(self.sources) < 3:
                raise ValueError(
                    f"leave_one_out of {label} needs two sources beside its validation_source; "
                    f"received the sources {listed(self.sources)}"
                )
        check_differ(
            "strategy, those that leave_one_out makes included,",
            [*self.lineup.strategies, *self.variants],
        )
        return self

    def check_validation_source(self, label: str, name: str) -> None:
        """Raises:
        ValueError: a strategy cannot hold the source ``name`` out.
        """
        if name not in self.sources or len(self.sources) < 2:
            raise ValueError(
                f"validation_source of {label} must be one of several sources; received {name!r} "
                f"and the sources {listed(self.sources)}.{nearest(name, self.sources)}"
            )

    @property
    def validated_on(self) -> dict[str, str]:
        """``{label: source}`` of the strategies that hold a source out to validate on."""
        held_out = {
            label: getattr(s, "validation_source", None) for label, s in self.strategies.items()
        }
        return {label: source for label, source in held_out.items() if source is not None}

    @property
    def variants(self) -> dict[str, tuple[str, str]]:
        """``{label: (strategy, source)}`` of the strategies that are also run without a source."""
        sources = [label for label, s in self.strategies.items() if s.uses_source]
        chosen = [
            label
            for label in sources
            if self.leave_one_out is True or label in (self.leave_one_out or ())
        ]
        left_out = [
            (label, s)
            for label in chosen
            for s in self.sources
            if s != self.validated_on.get(label)
        ]
        return {f"{label} without {source}": (label, source) for label, source in left_out}

    @property
    def lineup(self) -> Lineup:
        """What is compared with what."""
        return Lineup.of(self.strategies, self.baseline)

    @property
    def compared(self) -> dict[str, Any]:
        """``{label: strategy}`` of the lineup, each training once."""
        return {
            label: strategy
            for label, strategy in self.lineup.strategies.items()
            if label not in self.twins
        }

    @property
    def controls(self) -> dict[str, str]:
        """``{label: label}`` of what is compared with what, each training once."""
        pairs = self.lineup.controls.items()
        named = {
            label: self.twins.get(other, other) for label, other in pairs if label not in self.twins
        }
        return {label: other for label, other in named.items() if label != other}

    @property
    def twins(self) -> dict[str, str]:
        """``{label: an earlier label}`` of what would be trained twice: the same strategy on the
        same sources.
        """
        known, twins = {}, {}
        for label, (strategy, sources) in self._planned.items():
            seen = tuple(sources) if strategy.uses_source else ()
            first = known.setdefault((strategy.on_sources(len(seen)), seen), label)
            if first != label:
                twins[label] = first
        return twins

    @property
    def trained(self) -> dict[str, tuple[Any, list[str]]]:
        """``{label: (strategy, names of its sources)}`` of all that is trained, variants last, and
        no `twins`.
        """
        return {label: what for label, what in self._planned.items() if label not in self.twins}

    @property
    def _planned(self) -> dict[str, tuple[Any, list[str]]]:
        whole = {
            label: (strategy, list(self.sources))
            for label, strategy in self.lineup.strategies.items()
        }
        return whole | {
            label: (self.strategies[strategy], [s for s in self.sources if s != source])
            for label, (strategy, source) in self.variants.items()
        }

    def primary_metric(self, task: Task) -> str:
        """The metric that the verdict on a resolved task is about.

        Raises:
            DataError: the metric does not fit the task's kind.
        """
        return next(t for t in self.tasks if t.name == task.name).metric_for(task.kind)

    def load_sources(self) -> dict[str, pd.DataFrame]:
        """The source tables, cleaned."""
        sources = {}
        for name, spec in self.sources.items():
            with named(f"source {name!r}"):
                sources[name] = spec.load(self.folder, self.text, self.text_pair)
        return sources

    def load_target(self, name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The target's train and test tables, cleaned."""
        with named(f"target {name!r}"):
            return self.targets[name].load(self.folder, self.text, self.text_pair)

    def to_plain(self) -> dict:
        """The experiment as plain types for YAML or JSON, without defaults; a DataFrame is only
        named.
        """
        plain = self.model_dump(
            mode="json", exclude={"strategies", "folder"}, exclude_defaults=True, exclude_none=True
        )
        plain["drop_leaks"] = self.drop_leaks  # what a reader asks about, default or not
        plain["strategies"] = {
            label: {"strategy": s.name}
            | {k: v for k, v in s.arguments().items() if v != getattr(type(s), k)}
            for label, s in self.strategies.items()
        }
        return plain


def load_experiment(source: str | Path | Mapping | Experiment) -> Experiment:
    """An experiment from a YAML file, a mapping, or an `Experiment`.

    Raises:
        DataError: the file is missing or no YAML, a key is unknown (with the nearest valid one),
            missing, or has a wrong value; the message names file and key.

    Example:
        >>> texts = pd.DataFrame({"text": ["a", "b"], "mood": ["glad", "sad"]})
        >>> experiment = load_experiment({
        ...     "encoder": "bert-tiny", "tasks": ["mood"],
        ...     "sources": {"films": texts}, "targets": {"shops": texts},
        ...     "strategies": ["target_only", {"fine_tune": {"epochs": 1}}],
        ...     "budgets": [16], "seeds": 2,
        ... })
        >>> experiment.seeds, experiment.strategies["fine_tune"].epochs
        ([0, 1], 1)
    """
    if isinstance(source, Experiment):
        return source
    where, defaults = "the experiment", {}
    if not isinstance(source, Mapping):
        where, defaults = str(source), {"folder": Path(source).parent}
        source = read_yaml(Path(source))
    try:
        return Experiment.model_validate({**defaults, **source})
    except pydantic.ValidationError as error:
        raise DataError(explain(error, f"{where} is not a valid experiment")) from None
