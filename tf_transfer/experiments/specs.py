"""The parts of an experiment file: tables, targets, encoder, tasks and strategies, each checked by itself."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pydantic
from pydantic import BaseModel, ConfigDict, Field

from tf_transfer.errors import DataError, check_columns, listed, nearest
from tf_transfer.label_columns import KINDS
from tf_transfer.metrics import PRIMARY, SCALARS
from tf_transfer.readers import READERS, read_dataset
from tf_transfer.tables import clean_table, load_table, split_table
from tf_transfer.tasks import Task


class Spec(BaseModel):
    """A part of an experiment; an unknown key is an error that names the nearest valid one."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    @classmethod
    def expand(cls, value):
        """The mapping that a short form such as a plain name stands for."""
        return value

    @pydantic.model_validator(mode="before")
    @classmethod
    def _check_keys(cls, value):
        value = cls.expand(value)
        for key in value if isinstance(value, Mapping) else ():
            if key not in cls.model_fields:
                known = list(cls.model_fields)
                raise ValueError(f"unknown key {key!r}.{nearest(key, known)} Known are {listed(known, 20)}.")
        return value


class TableSpec(Spec):
    """Where rows come from: a file, a data set that the toolkit knows, or a DataFrame.

    In a file, a plain string stands for ``{path: ...}``.
    """

    path: str | None = None
    dataset: str | None = None
    table: Any = None
    where: dict[str, Any] = Field(default_factory=dict, description="keep rows of these values, or of any in a list")
    rows: int | None = Field(None, ge=1, description="keep this many rows, drawn at random")
    encoding: str = Field("utf-8", description="of a text file")
    delimiter: str | None = Field(None, description="between the cells of a text file; None: from its ending")
    drop_empty: bool = Field(False, description="leave out rows without a text")

    @classmethod
    def expand(cls, value):
        if isinstance(value, str | os.PathLike):
            return {"path": os.fspath(value)}
        return {"table": value} if isinstance(value, pd.DataFrame) else value

    @pydantic.model_validator(mode="after")
    def _one_origin(self):
        given = [n for n in ("path", "dataset", "table") if getattr(self, n) is not None]
        if len(given) != 1:
            raise ValueError(f"needs exactly one of path, dataset and table; received {listed(given)}")
        if self.dataset is not None and self.dataset not in READERS:
            known = f"known are {listed(READERS, 20)}.{nearest(self.dataset, READERS)}"
            raise ValueError(f"unknown dataset {self.dataset!r}; {known}")
        if self.table is not None and not isinstance(self.table, pd.DataFrame):
            raise ValueError(f"table must be a DataFrame; received {self.table!r}. A file goes under path.")
        return self

    @pydantic.field_serializer("table")
    def _serialize_table(self, table: pd.DataFrame | None) -> str | None:
        return None if table is None else f"a DataFrame of {len(table)} rows"

    def load(self, folder: Path, text: str, text_pair: str | None) -> pd.DataFrame:
        """The rows, texts cleaned; a relative path starts from ``folder``."""
        if self.dataset is not None:
            table = read_dataset(self.dataset)
        else:
            source = self.table if self.table is not None else folder / self.path
            options = {"encoding": self.encoding, "delimiter": self.delimiter, "drop_empty": self.drop_empty}
            table = load_table(source, text=text, text_pair=text_pair, **options)
        for column, value in self.where.items():
            table = _keep_equal(table, column, value, self.dataset or self.path or "the table")
        if self.rows is not None and self.rows < len(table):
            table = table.sample(self.rows, random_state=0).sort_index()
        return clean_table(table.reset_index(drop=True), text=text, text_pair=text_pair, drop_empty=self.drop_empty)


def _keep_equal(table: pd.DataFrame, column: str, value, where: str) -> pd.DataFrame:
    check_columns(table, [column], where)
    kept = pd.Series(False, table.index)
    for each in value if isinstance(value, list) else [value]:
        equal = table[column] == each
        if not equal.any():
            found = sorted({str(v) for v in table[column].dropna()})
            raise DataError(
                f"where: {column}: {each!r} must keep some rows of {where}.\n"
                f"Received none; the column has {listed(found)}.{nearest(each, found)}"
            )
        kept |= equal
    return table[kept]


class TargetSpec(Spec):
    """A target: rows to split, or a train and a test table.

    A table in place of all that, or its keys beside ``test_size`` and the others, stand for ``data``.
    """

    data: TableSpec | None = None
    train: TableSpec | None = None
    test: TableSpec | None = None
    test_size: float | int = 0.25
    group: str | None = Field(None, description="column whose groups stay on one side of the split")
    stratify: str | None = Field(None, description="column whose values keep their shares on both sides")
    split_seed: int = Field(0, ge=0)

    @classmethod
    def expand(cls, value):
        if isinstance(value, str | os.PathLike | pd.DataFrame | TableSpec):
            return {"data": value}
        if not isinstance(value, Mapping):
            return value
        inner = [key for key in value if key in TableSpec.model_fields]
        outer = [key for key in ("data", "train", "test") if key in value]
        if inner and outer:
            raise ValueError(f"{listed(inner)} must stand within {listed(outer)}, not beside it")
        others = {key: v for key, v in value.items() if key not in inner}
        return {"data": {key: value[key] for key in inner}, **others} if inner else value

    @pydantic.model_validator(mode="after")
    def _split_or_tables(self):
        if (self.data is None) == (self.train is None) or (self.train is None) != (self.test is None):
            raise ValueError("needs either data (to be split), or train and test")
        return self

    def load(self, folder: Path, text: str, text_pair: str | None) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Train and test rows, texts cleaned."""
        if self.data is None:
            train, test = (spec.load(folder, text, text_pair) for spec in (self.train, self.test))
            check_columns(test, [] if self.group is None else [self.group], "the test table")
            return train, test
        table = self.data.load(folder, text, text_pair)
        return split_table(table, self.test_size, seed=self.split_seed, group=self.group, stratify=self.stratify)


@contextlib.contextmanager
def named(what: str) -> Iterator[None]:
    """Puts the part of the experiment before the message of a `DataError`."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{what}: {error}") from error


class EncoderSpec(Spec):
    """Which encoder, how texts enter it, and how it computes.

    ``dropout`` is the rate before the heads, ``precision`` that of `load_encoder`.
    """

    name: str
    revision: str | None = None
    pooling: Literal["auto", "mean", "cls", "last"] = "auto"
    max_length: int = Field(128, ge=4)
    freeze: int | Literal["none", "embeddings", "all"] = "none"
    dropout: float = Field(0.1, ge=0, lt=1)
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] | None = None

    @classmethod
    def expand(cls, value):
        return {"name": os.fspath(value)} if isinstance(value, str | os.PathLike) else value

    def locate(self, folder: Path) -> str:
        """The name, or the path from ``folder`` where that is one."""
        return str(folder / self.name) if (folder / self.name).is_dir() else self.name


class TaskSpec(Spec):
    """A `Task` with the metric that its verdict is about."""

    name: str
    label: str = ""
    kind: str = "auto"
    classes: tuple = ()
    loss_weight: float = 1.0
    class_weight: dict | Literal["balanced"] | None = None
    metric: str = "auto"

    @classmethod
    def expand(cls, value):
        if isinstance(value, Task):
            return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        return {"name": value} if isinstance(value, str) else value

    @pydantic.model_validator(mode="after")
    def _known(self):
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {listed(KINDS)}; received {self.kind!r}.{nearest(self.kind, KINDS)}")
        known = sorted({m for names in SCALARS.values() for m in names})
        if self.metric != "auto" and self.metric not in known:
            hint = f"known are {listed(known, 40)}.{nearest(self.metric, known)}"
            raise ValueError(f"unknown metric {self.metric!r}; {hint}")
        self.task()
        return self

    def task(self) -> Task:
        """The task alone."""
        return Task(**self.model_dump(exclude={"metric"}))

    def metric_for(self, kind: str) -> str:
        """The metric of the verdict, now that the task's kind is known."""
        metric = PRIMARY[kind] if self.metric == "auto" else self.metric
        if metric not in SCALARS[kind]:
            raise DataError(
                f"metric of task {self.name!r} must fit its kind, {kind}: one of {listed(SCALARS[kind], 40)}.\n"
                f"Received {metric!r}.{nearest(metric, SCALARS[kind])}"
            )
        return metric


def build_strategies(value) -> dict:
    """``{label: strategy}`` from a list or a mapping of names, arguments and `Strategy` objects.

    Raises:
        ValueError: an unknown name or argument, a value of a wrong type, or labels that are equal.
    """
    from tf_transfer.strategies import Strategy

    if not isinstance(value, Mapping | list | tuple) or not value:
        raise ValueError(f"needs a list or a mapping of strategies; received {value!r}")
    items = list(value.items()) if isinstance(value, Mapping) else [_labelled(v) for v in value]
    labels = [label for label, _ in items]
    if len(set(labels)) != len(labels):
        raise ValueError(f"strategies need labels that differ; received {labels}")
    return {label: v if isinstance(v, Strategy) else _build(label, v) for label, v in items}


def _labelled(value) -> tuple[str, Any]:
    from tf_transfer.strategies import Strategy

    if isinstance(value, str):
        return value, {}
    if isinstance(value, Strategy):
        return value.name, value
    if isinstance(value, Mapping) and len(value) == 1:
        return next(iter(value.items()))
    raise ValueError(f"a strategy is a name or {{name: {{argument: value}}}}; received {value!r}")


def _build(label: str, arguments):
    from tf_transfer.strategies import STRATEGIES

    if not isinstance(arguments, Mapping | None):
        raise ValueError(f"{label} takes {{argument: value}}; received {arguments!r}")
    arguments = dict(arguments or {})
    name = arguments.pop("strategy", label)
    if name not in STRATEGIES:
        raise ValueError(f"unknown strategy {name!r}; known are {listed(STRATEGIES, 20)}.{nearest(name, STRATEGIES)}")
    types = typing.get_type_hints(STRATEGIES[name])
    known = [f.name for f in dataclasses.fields(STRATEGIES[name])]
    for key, value in arguments.items():
        if key not in known:
            raise ValueError(f"{name} has no argument {key!r}; it has {listed(known, 20)}.{nearest(key, known)}")
        try:
            arguments[key] = pydantic.TypeAdapter(types[key]).validate_python(value)
        except pydantic.ValidationError as error:
            wanted = " or ".join(problem["msg"].lower() for problem in error.errors())
            raise ValueError(f"{key} of {name}: {wanted}; received {value!r}") from None
    return STRATEGIES[name](**arguments)
