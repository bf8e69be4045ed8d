"""The parts of an experiment file that are no tables: encoder, tasks and strategies, each checked
by itself.
"""

from __future__ import annotations

import dataclasses
import os
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pydantic
from pydantic import Field

from tf_transfer.errors import DataError, listed, nearest
from tf_transfer.experiments.table_specs import Spec
from tf_transfer.kinds import AUTO, KINDS, METRICS, kind_named
from tf_transfer.kinds.tasks import Task


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
    labels: dict | None = None
    metric: str = "auto"

    @classmethod
    def expand(cls, value):
        if isinstance(value, Task):
            return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        return {"name": value} if isinstance(value, str) else value

    @pydantic.model_validator(mode="after")
    def _known(self):
        kinds = [AUTO, *KINDS]
        if self.kind not in kinds:
            raise ValueError(
                f"kind must be one of {listed(kinds)}; received "
                f"{self.kind!r}.{nearest(self.kind, kinds)}"
            )
        known = sorted(METRICS)
        if self.metric != "auto" and self.metric not in known:
            hint = f"known are {listed(known, 40)}.{nearest(self.metric, known)}"
            raise ValueError(f"unknown metric {self.metric!r}; {hint}")
        for word in [*(self.labels or {}), *(self.labels or {}).values()]:
            if isinstance(word, bool):
                raise ValueError(
                    "labels must be written in quotes where they are yes, no, on, off, true or "
                    f"false, which YAML reads as truth values; received {word}. A cell that is one "
                    f"is written '{word}'"
                )
        self.task()
        return self

    def task(self) -> Task:
        """The task alone."""
        return Task(**self.model_dump(exclude={"metric"}))

    def metric_for(self, kind: str) -> str:
        """The metric of the verdict, now that the task's kind is known."""
        of = kind_named(kind)
        metric = of.primary if self.metric == "auto" else self.metric
        if metric not in of.metric_names:
            raise DataError(
                f"metric of task {self.name!r} must fit its kind, {kind}: one of "
                f"{listed(of.metric_names, 40)}.\n"
                f"Received {metric!r}.{nearest(metric, of.metric_names)}"
            )
        return metric


_ANY = pydantic.ConfigDict(arbitrary_types_allowed=True)
"""Arguments may be objects of any class, as a gradient rule is."""


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
    if not isinstance(name, str) or name not in STRATEGIES:
        likely = nearest(str(name), STRATEGIES)
        raise ValueError(f"unknown strategy {name!r}; known are {listed(STRATEGIES, 20)}.{likely}")
    types = typing.get_type_hints(STRATEGIES[name])
    known = [f.name for f in dataclasses.fields(STRATEGIES[name])]
    for key, value in arguments.items():
        if key not in known:
            raise ValueError(
                f"{name} has no argument {key!r}; it has {listed(known, 20)}.{nearest(key, known)}"
            )
        try:
            arguments[key] = pydantic.TypeAdapter(types[key], config=_ANY).validate_python(value)
        except pydantic.ValidationError as error:
            wanted = " or ".join(problem["msg"].lower() for problem in error.errors())
            raise ValueError(f"{key} of {name}: {wanted}; received {value!r}") from None
    return STRATEGIES[name](**arguments)
