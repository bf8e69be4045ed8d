"""What an experiment file says, checked before anything runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
import pydantic
import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from tf_transfer.errors import DataError, check_columns, listed, nearest
from tf_transfer.metrics import PRIMARY, SCALARS
from tf_transfer.readers import read_dataset
from tf_transfer.registry import ENTRIES
from tf_transfer.tables import clean_table, load_table, split_table
from tf_transfer.tasks import KINDS, Task


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class TableSpec(_Strict):
    """Where rows come from: a file, a data set that the toolkit knows, or a DataFrame.

    In a file, a plain string stands for ``{path: ...}``.
    """

    path: str | None = None
    dataset: str | None = None
    table: Any = None
    where: dict[str, Any] = Field(default_factory=dict, description="keep rows whose columns equal these")
    rows: int | None = Field(None, ge=1, description="keep this many rows, drawn at random")

    @pydantic.model_validator(mode="after")
    def _one_origin(self):
        given = [n for n in ("path", "dataset", "table") if getattr(self, n) is not None]
        if len(given) != 1:
            raise ValueError(f"needs exactly one of path, dataset and table; received {given or 'none'}")
        if self.dataset is not None and self.dataset not in ENTRIES:
            raise ValueError(
                f"unknown dataset {self.dataset!r}; known are "
                f"{listed([n for n, e in ENTRIES.items() if e.kind == 'dataset'], 20)}.{nearest(self.dataset, ENTRIES)}"
            )
        return self

    def load(self, folder: Path, text: str, text_pair: str | None) -> pd.DataFrame:
        """The rows, texts cleaned."""
        if self.dataset is not None:
            table = read_dataset(self.dataset)
        else:
            source = self.table if self.table is not None else folder / self.path
            table = load_table(source, text=text, text_pair=text_pair)
        what = self.dataset or self.path or "the table"
        for column, value in self.where.items():
            check_columns(table, [column], str(what))
            kept = table[table[column] == value]
            if not len(kept):
                raise DataError(
                    f"where: {column}: {value!r} must keep some rows of {what}.\nReceived none; the column has "
                    f"{listed(sorted(map(str, table[column].dropna().unique())))}."
                    f"{nearest(value, map(str, table[column].dropna().unique()))}"
                )
            table = kept
        if self.rows is not None and self.rows < len(table):
            table = table.sample(self.rows, random_state=0).sort_index()
        return clean_table(table.reset_index(drop=True), text=text, text_pair=text_pair)


def _as_spec(value):
    return {"path": value} if isinstance(value, str) else {"table": value} if isinstance(value, pd.DataFrame) else value


Spec = Annotated[TableSpec, BeforeValidator(_as_spec)]


class TargetSpec(_Strict):
    """A target: rows to split, or a train and a test table."""

    data: Spec | None = None
    train: Spec | None = None
    test: Spec | None = None
    test_size: float | int = 0.25
    group: str | None = Field(None, description="column whose groups stay on one side of the split")
    split_seed: int = 0

    @pydantic.model_validator(mode="after")
    def _split_or_tables(self):
        if (self.data is None) == (self.train is None) or (self.train is None) != (self.test is None):
            raise ValueError("needs either data (to be split), or train and test")
        return self


def _as_target(value):
    if isinstance(value, str | pd.DataFrame | TableSpec):
        return {"data": value}
    if isinstance(value, Mapping) and {"path", "dataset", "table"} & set(value):
        spec = {k: v for k, v in value.items() if k in TableSpec.model_fields}
        return {"data": spec} | {k: v for k, v in value.items() if k not in spec}
    return value


class EncoderSpec(_Strict):
    """Which encoder, and how texts enter it."""

    name: str
    revision: str | None = None
    pooling: Literal["auto", "mean", "cls", "last"] = "auto"
    max_length: int = Field(128, ge=4)
    freeze: int | Literal["none", "embeddings", "all"] = "none"


class TaskSpec(_Strict):
    """A `Task` with the metric that its verdict is about."""

    name: str
    label: str = ""
    kind: str = "auto"
    classes: tuple = ()
    loss_weight: float = 1.0
    class_weight: dict | Literal["balanced"] | None = None
    metric: str = "auto"

    def task(self) -> Task:
        return Task(**self.model_dump(exclude={"metric"}))

    @pydantic.model_validator(mode="after")
    def _known(self):
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {listed(KINDS)}; received {self.kind!r}.{nearest(self.kind, KINDS)}")
        known = sorted({m for names in SCALARS.values() for m in names})
        if self.metric != "auto" and self.metric not in known:
            raise ValueError(
                f"unknown metric {self.metric!r}; known are {listed(known, 40)}.{nearest(self.metric, known)}"
            )
        self.task()
        return self


def _as_task(value):
    if isinstance(value, Task):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    return {"name": value} if isinstance(value, str) else value


def _as_list(value):
    if isinstance(value, int) and not isinstance(value, bool):
        return list(range(value))
    return value


class Experiment(_Strict):
    """Strategies x targets x label budgets x seeds.

    Args:
        encoder: asset name, folder or hub id, or an `EncoderSpec`.
        tasks: what is predicted.
        sources: ``{name: table}`` of source data.
        targets: ``{name: table}`` or ``{name: {data, test_size, group}}`` or ``{name: {train, test}}``.
        strategies: names, or ``{name: {argument: value}}``; labels of two of the same kind must
            differ: ``{label: {strategy: name, argument: value}}``.
        budgets: numbers of target rows whose labels may be used.
        seeds: a number of seeds, or a list of them.
        baseline: the strategy that the others are compared with.
    """

    name: str = "experiment"
    encoder: Annotated[EncoderSpec, BeforeValidator(lambda v: {"name": v} if isinstance(v, str) else v)]
    text: str = "text"
    text_pair: str | None = None
    tasks: list[Annotated[TaskSpec, BeforeValidator(_as_task)]] = Field(min_length=1)
    sources: dict[str, Spec] = Field(default_factory=dict)
    targets: dict[str, Annotated[TargetSpec, BeforeValidator(_as_target)]] = Field(min_length=1)
    strategies: dict[str, Any]
    budgets: list[Annotated[int, Field(ge=1)]] = Field(min_length=1)
    seeds: Annotated[list[int], BeforeValidator(_as_list)] = Field(default_factory=lambda: [0, 1, 2], min_length=1)
    baseline: str = "target_only"
    drop_leaks: bool = Field(True, description="drop exact duplicates of test rows from train and source")
    folder: Path = Field(Path("."), description="what paths are relative to")

    @pydantic.field_validator("strategies", mode="before")
    @classmethod
    def _build_strategies(cls, value):
        from tf_transfer.strategies import Strategy

        if isinstance(value, Mapping):
            items = list(value.items())
        else:
            items = [_strategy_item(v) for v in value]
        labels = [label for label, _ in items]
        if len(set(labels)) != len(labels):
            raise ValueError(f"strategies need labels that differ; received {labels}")
        return {k: v if isinstance(v, Strategy) else _build_strategy(k, v) for k, v in items}

    @pydantic.model_validator(mode="after")
    def _consistent(self):
        if self.baseline not in self.strategies:
            raise ValueError(
                f"baseline {self.baseline!r} must be one of the strategies {listed(self.strategies)}."
                f"{nearest(self.baseline, self.strategies)}"
            )
        for what, values in (
            ("seeds", self.seeds),
            ("budgets", self.budgets),
            ("tasks", [t.name for t in self.tasks]),
        ):
            if len(set(values)) != len(values):
                raise ValueError(f"{what} must differ; received {values}")
        needing = [label for label, s in self.strategies.items() if s.uses_source]
        if needing and not self.sources:
            raise ValueError(f"strategies {listed(needing)} learn from source data; received no sources")
        for name in [*self.sources, *self.targets, *self.strategies]:
            if not name or name.startswith(".") or set(name) & set('/\\:*?"<>|'):
                raise ValueError(f'the name {name!r} is used for files: leave out / \\ : * ? " < > | and a leading dot')
        return self

    def to_plain(self) -> dict:
        """The experiment as plain types for YAML or JSON, without defaults; a DataFrame is only named."""
        plain = self.model_dump(mode="python", exclude={"strategies", "folder"}, exclude_defaults=True)
        plain["strategies"] = {
            label: {"strategy": s.name} | {k: v for k, v in dataclasses.asdict(s).items() if v != getattr(type(s), k)}
            for label, s in self.strategies.items()
        }
        return _to_plain(plain)

    def primary_metric(self, task: Task) -> str:
        """The metric that the verdict on a resolved task is about."""
        spec = next(t for t in self.tasks if t.name == task.name)
        if spec.metric == "auto":
            return PRIMARY[task.kind]
        if spec.metric not in SCALARS[task.kind]:
            raise DataError(
                f"metric of task {task.name!r} must fit its kind, {task.kind}: "
                f"one of {listed(SCALARS[task.kind], 40)}.\n"
                f"Received {spec.metric!r}."
            )
        return spec.metric

    def load_sources(self) -> dict[str, pd.DataFrame]:
        """The source tables, cleaned."""
        return {n: s.load(self.folder, self.text, self.text_pair) for n, s in self.sources.items()}

    def load_target(self, name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The target's train and test tables, cleaned."""
        spec = self.targets[name]
        if spec.data is None:
            return tuple(s.load(self.folder, self.text, self.text_pair) for s in (spec.train, spec.test))
        table = spec.data.load(self.folder, self.text, self.text_pair)
        if spec.group is not None:
            check_columns(table, [spec.group], f"the target {name!r}")
        return split_table(table, spec.test_size, seed=spec.split_seed, group=spec.group)


def _to_plain(value):
    if isinstance(value, Mapping):
        return {str(k): _to_plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_to_plain(v) for v in value]
    if isinstance(value, pd.DataFrame):
        return f"a DataFrame of {len(value)} rows"
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def load_experiment(source: str | Path | Mapping | Experiment) -> Experiment:
    """An experiment from a YAML file, a mapping, or an `Experiment`.

    Raises:
        DataError: the file is missing or no YAML, a key is unknown (with the nearest valid one),
            missing, or has a wrong value; the message names file and key.
    """
    if isinstance(source, Experiment):
        return source
    where, folder = "the experiment", Path(".")
    if not isinstance(source, Mapping):
        where, folder = str(source), Path(source).parent
        source = _read_yaml(Path(source))
    try:
        return Experiment(**{"folder": folder, **source})
    except pydantic.ValidationError as error:
        raise DataError(_explain(error, where)) from None


def _read_yaml(path: Path) -> dict:
    if not path.is_file():
        near = [p.name for p in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
        raise DataError(f"There is no experiment file {path}.{nearest(path.name, near)}")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is no valid YAML: {error}") from None
    if not isinstance(content, dict):
        raise DataError(f"{path} must hold keys and values.\nReceived {type(content).__name__}.")
    return content


def _strategy_item(value) -> tuple[str, Any]:
    if isinstance(value, str):
        return value, {}
    if isinstance(value, Mapping) and len(value) == 1:
        return next(iter(value.items()))
    if hasattr(value, "adapt"):
        return value.name, value
    raise ValueError(f"a strategy is a name or {{name: {{argument: value}}}}; received {value!r}")


def _build_strategy(label: str, arguments: Mapping | None):
    from tf_transfer.strategies import STRATEGIES

    arguments = dict(arguments or {})
    name = arguments.pop("strategy", label)
    if name not in STRATEGIES:
        raise ValueError(f"unknown strategy {name!r}; known are {listed(STRATEGIES, 20)}.{nearest(name, STRATEGIES)}")
    known = [f.name for f in dataclasses.fields(STRATEGIES[name])]
    for key in arguments:
        if key not in known:
            raise ValueError(f"{name} has no argument {key!r}; it has {listed(known, 20)}.{nearest(key, known)}")
    return STRATEGIES[name](**arguments)


def _explain(error: pydantic.ValidationError, where: str) -> str:
    lines = [f"{where} is not a valid experiment:"]
    for problem in error.errors():
        place = ".".join(str(p) for p in problem["loc"]) or "the file"
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            known = _known_keys(problem["loc"])
            message = f"unknown key.{nearest(problem['loc'][-1], known)} Known are {listed(known, 20)}."
        elif problem["type"] == "missing":
            message = "this key is missing."
        elif problem["type"] not in ("value_error",):
            message += f"; received {problem['input']!r}"
        lines.append(f"  {place}: {message}")
    return "\n".join(lines)


def _known_keys(place: tuple) -> list[str]:
    classes = {"encoder": EncoderSpec, "tasks": TaskSpec, "sources": TableSpec, "targets": TargetSpec}
    if len(place) == 1:
        return list(Experiment.model_fields)
    if place[0] == "targets" and len(place) > 3:
        return list(TableSpec.model_fields)
    keys = list(classes.get(place[0], Experiment).model_fields)
    return keys + [k for k in TableSpec.model_fields if k != "table"] if place[0] == "targets" else keys
