"""What may vary between trials: which strategy, its arguments, and the settings that all strategies
share.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from typing import Any

from tf_transfer.errors import DataError, listed, nearest
from tf_transfer.experiments.experiment import Experiment
from tf_transfer.experiments.specs import build_strategies
from tf_transfer.experiments.tune_spec import Range
from tf_transfer.strategies import STRATEGIES, Strategy
from tf_transfer.tuning.settings import spaces_of

STRATEGY = "strategy"
DIGITS = 4
"""Significant digits of a number that a trial takes: what a person can copy, and no trial lies
between two.
"""


@dataclasses.dataclass(frozen=True)
class Candidate:
    """What one trial tries.

    Args:
        label: of the strategy in the search.
        strategy: with its arguments.
        settings: of the encoder and the tasks, where they are searched; see `settings`.
    """

    label: str
    strategy: Strategy
    settings: Mapping[str, Any]

    @property
    def key(self) -> str:
        """What its results depend on, as text."""
        content = [self.strategy.name, self.strategy.identity(), dict(self.settings)]
        return json.dumps(content, sort_keys=True)


@dataclasses.dataclass(frozen=True)
class SearchSpace:
    """The strategies of a search with the space of each argument.

    Args:
        strategies: ``{label: strategy}``, with the arguments that are not searched.
        untuned: the same as the experiment has them, or with their defaults: nothing of the search
            is in them.
        spaces: ``{label: {argument: Range or list of choices}}``.
        settings: ``{setting: Range or list of choices}``.
        max_epochs: of Hyperband, from whose epochs the strategies' efforts follow instead of being
            searched; else None.
    """

    strategies: Mapping[str, Strategy]
    untuned: Mapping[str, Strategy]
    spaces: Mapping[str, Mapping[str, Range | list]]
    settings: Mapping[str, Range | list]
    max_epochs: int | None = None

    @classmethod
    def of(cls, experiment: Experiment) -> SearchSpace:
        """The space that an experiment asks for.

        Raises:
            DataError: an unknown strategy, argument or setting (with the nearest one), or a space
                that holds a value which the argument cannot take.
        """
        spec = experiment.tune
        asked = spec.strategies
        if asked is None:
            asked = {label: None for label, s in experiment.strategies.items() if s.search_space}
            if not asked:
                raise DataError(
                    "A search needs a strategy with arguments to vary.\n"
                    f"Received the strategies {listed(experiment.strategies)}, which have none.\n"
                    "Add one, such as fine_tune, or name strategies under tune.strategies."
                )
        max_epochs, strategies, untuned, spaces = spec.options.get("max_epochs"), {}, {}, {}
        for label, wanted in asked.items():
            untuned[label], strategy, space = _of_strategy(experiment, label, wanted or {})
            if max_epochs:
                space.pop(strategy.effort, None)
            strategies[label], spaces[label] = strategy, space
        return cls(strategies, untuned, spaces, spaces_of(experiment), max_epochs)

    def dimensions(self) -> Iterator[tuple[str, str | None, str, Range | list]]:
        """Name, label (None for a setting), argument and space of everything that varies."""
        for label, space in self.spaces.items():
            yield from (
                (f"{label}/{field}", label, field, values) for field, values in space.items()
            )
        yield from (
            (f"settings/{field}", None, field, values) for field, values in self.settings.items()
        )

    def decode(self, values: Mapping[str, Any]) -> Candidate:
        """The candidate that the values of a trial stand for.

        Under Hyperband a strategy whose effort is in epochs gets the trial's epochs, any other the
        trial's share of its own effort, say of 500 steps; it is trained anew, since a learning rate
        follows from the number of steps.
        """
        label = values[STRATEGY]
        strategy, arguments, settings = self.strategies[label], {}, {}
        for name, owner, field, space in self.dimensions():
            if owner in (label, None):
                place = settings if owner is None else arguments
                place[field] = _decoded(values[name], space)
        if self.max_epochs and strategy.effort:
            epochs = values["tuner/epochs"]
            whole = (
                self.max_epochs
                if strategy.effort == "epochs"
                else getattr(strategy, strategy.effort)
            )
            arguments[strategy.effort] = max(1, round(whole * epochs / self.max_epochs))
        return Candidate(label, dataclasses.replace(strategy, **arguments), settings)

    def to_plain(self) -> dict:
        """For JSON: what makes a search the same search."""
        return {
            "strategies": {label: [s.name, s.identity()] for label, s in self.strategies.items()},
            "spaces": {name: _plain(space) for name, _, _, space in self.dimensions()},
        }


def _plain(space: Range | list):
    return space.model_dump() if isinstance(space, Range) else space


def _of_strategy(
    experiment: Experiment, label: str, wanted: Mapping
) -> tuple[Strategy, Strategy, dict]:
    """A strategy untuned and with its fixed arguments, and the spaces of the others."""
    place, wanted = f"tune.strategies.{label}", dict(wanted)
    name = wanted.pop("strategy", label)
    base = experiment.strategies.get(name)
    if base is None:
        known = [*experiment.strategies, *STRATEGIES]
        if name not in STRATEGIES:
            raise DataError(
                f"{place}: there is no strategy {name!r}; known are "
                f"{listed(dict.fromkeys(known), 30)}.{nearest(name, known)}"
            )
        base = STRATEGIES[name]()
    untuned = base
    fields = [f.name for f in dataclasses.fields(base)]
    spaces = {field: _parsed(space) for field, space in base.search_space.items()}
    for field, space in wanted.items():
        if field not in fields:
            raise DataError(
                f"{place}: {base.name} has no argument {field!r} to search; it has "
                f"{listed(fields, 20)}.{nearest(field, fields)}"
            )
        spaces[field] = space
    searched = {}
    for field, space in spaces.items():
        if isinstance(space, Range | list | tuple):
            values = [_checked(base, field, v, f"{place}.{field}") for v in _ends(space)]
            searched[field] = space if isinstance(space, Range) else values
        else:
            base = dataclasses.replace(
                base, **{field: _checked(base, field, space, f"{place}.{field}")}
            )
    if base.uses_source and not experiment.sources:
        raise DataError(
            f"{place} learns from source data.\nReceived an experiment without sources."
        )
    for source in searched.get("validation_source", [getattr(base, "validation_source", None)]):
        _check_validation_source(experiment, place, source)
    if experiment.tune.validation == "sources" and getattr(untuned, "validation_source", None):
        # it plays the target in turn
        untuned = dataclasses.replace(untuned, validation_source=None)
    return untuned, base, searched


def _check_validation_source(experiment: Experiment, place: str, source: str | None) -> None:
    if source is None:
        return
    try:
        experiment.check_validation_source(place, source)
    except ValueError as error:
        raise DataError(str(error)) from None
    if experiment.tune.validation == "sources":
        raise DataError(
            f"{place} must not validate on a source that plays the target in turn.\nReceived "
            f"validation_source={source!r} and tune.validation: sources.\nLeave the one out, or "
            "set tune.validation: folds."
        )


def _parsed(space):
    return Range.model_validate(space) if isinstance(space, Mapping) else space


def _ends(space: Range | list) -> list:
    return [space.min, space.max] if isinstance(space, Range) else list(space)


def _checked(base: Strategy, field: str, value, place: str):
    """The value as the strategy takes it.

    Raises:
        DataError: it does not take it.
    """
    try:
        built = build_strategies({"it": {"strategy": base.name, field: value}})["it"]
        return getattr(dataclasses.replace(base, **{field: getattr(built, field)}), field)
    except ValueError as error:
        raise DataError(f"{place} holds {value!r}, which cannot be: {error}") from None


# -- keras-tuner's hyperparameters -----------------------------------------------------------------


def declare(space: SearchSpace, hyperparameters, auto) -> None:
    """Adds the space to keras-tuner's `HyperParameters`; the arguments of a strategy hang on its
    being chosen.

    Args:
        hyperparameters: empty.
        auto: from a label and an argument, the number that ``"auto"`` stands for.
    """
    labels = list(space.strategies)
    if len(labels) == 1:
        hyperparameters.Fixed(STRATEGY, labels[0])
    else:
        hyperparameters.Choice(STRATEGY, labels)
    for name, label, field, values in space.dimensions():
        if label is None:
            _declare_one(hyperparameters, name, values, 1.0)
            continue
        unit = auto(label, field) if isinstance(values, Range) and values.unit == "auto" else 1.0
        with hyperparameters.conditional_scope(STRATEGY, [label]):
            _declare_one(hyperparameters, name, values, unit)


def _declare_one(hyperparameters, name: str, space: Range | list, unit: float) -> None:
    if not isinstance(space, Range):
        coded, middle = [_coded(v, space) for v in space], space[(len(space) - 1) // 2]
        if len(set(map(json.dumps, coded))) == 1:
            hyperparameters.Fixed(name, coded[0])
        elif _all(space, bool):
            hyperparameters.Boolean(name, default=middle)
        else:
            hyperparameters.Choice(name, coded, default=_coded(middle, space))
        return
    kind = hyperparameters.Int if space.whole else hyperparameters.Float
    low, high = (end if space.whole else end * unit for end in (space.min, space.max))
    middle = (low * high) ** 0.5 if space.sampling == "log" else (low + high) / 2
    step = space.step if space.step is None or space.sampling == "log" else space.step * unit
    kind(
        name,
        low,
        high,
        step=step,
        sampling=space.sampling,
        default=int(middle) if space.whole else middle,
    )


def _all(values, kind) -> bool:
    return all(isinstance(v, kind) for v in values)


def _coded(value, space):
    """keras-tuner takes choices of one type, and puts numbers alone in order: others go as JSON."""
    if _all(space, bool) or (_all(space, int) and not any(isinstance(v, bool) for v in space)):
        return value
    if _all(space, int | float) and not any(isinstance(v, bool) for v in space):
        return float(value)
    return json.dumps(value)


def _decoded(value, space: Range | list):
    if isinstance(space, Range):
        return int(value) if space.whole else float(f"{value:.{DIGITS}g}")
    if isinstance(value, str):
        return json.loads(value)
    return next(v for v in space if v == value)
