"""What is compared with what: each strategy that learns from source data, with itself without the
source.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from tf_transfer.errors import DataError

AUTO = "auto"
"""The baseline that differs from a strategy in nothing but the source."""


@dataclasses.dataclass(frozen=True)
class Lineup:
    """The strategies of an experiment, and what the verdict on each is against.

    Args:
        strategies: ``{label: strategy}``; those that verdicts need and the experiment does not name
            come last.
        reference: label of what strategies without source data are compared with.
        controls: ``{label: label}`` of each strategy but the reference: what it is compared with.
    """

    strategies: dict[str, Any]
    reference: str
    controls: dict[str, str]

    @classmethod
    def of(cls, strategies: Mapping[str, Any], baseline: str) -> Lineup:
        """The lineup of an experiment.

        Args:
            strategies: ``{label: strategy}``.
            baseline: the label of one, which all others are then compared with, or `AUTO`.

        Raises:
            DataError: a strategy has the name of one that is to be added.
        """
        if baseline != AUTO:
            return cls(
                dict(strategies),
                baseline,
                {label: baseline for label in strategies if label != baseline},
            )
        everyone = _completed(strategies)
        reference = _target_only(everyone)
        controls = {}
        for label, strategy in everyone.items():
            without = without_source(strategy)
            if without is not None:
                controls[label] = _label_of(everyone, without)
            elif label != reference:
                controls[label] = reference
        return cls(everyone, reference, controls)

    @property
    def judged(self) -> list[str]:
        """The strategies whose two sides differ in nothing but the source: they *helped* or
        *hurt*.
        """
        pairs = [
            (label, self.strategies[label], self.strategies[other])
            for label, other in self.controls.items()
        ]
        return [
            label for label, with_source, without in pairs if without_source(with_source) == without
        ]


def without_source(strategy):
    """What a verdict on a strategy is against; None where it has no source data or no encoder."""
    return strategy.without_source() if strategy.uses_source and strategy.uses_encoder else None


def _completed(strategies: Mapping[str, Any]) -> dict[str, Any]:
    from tf_transfer.strategies import TargetOnly

    everyone = dict(strategies)
    if _target_only(everyone) is None:
        _add(everyone, TargetOnly.name, TargetOnly())
    for label, strategy in strategies.items():
        without = without_source(strategy)
        if without is not None and _label_of(everyone, without) is None:
            _add(everyone, f"{label} without source", without)
    return everyone


def _add(strategies: dict[str, Any], label: str, strategy) -> None:
    if label in strategies:
        raise DataError(
            f"{label!r} is the name of what verdicts need: {strategy!r}.\n"
            f"Received another strategy of that name: {strategies[label]!r}.\nCall that one by "
            "another name."
        )
    strategies[label] = strategy


def _target_only(strategies: Mapping[str, Any]) -> str | None:
    """The first `TargetOnly`, by its plain name where there are several."""
    from tf_transfer.strategies import TargetOnly

    labels = [label for label, strategy in strategies.items() if type(strategy) is TargetOnly]
    return TargetOnly.name if TargetOnly.name in labels else next(iter(labels), None)


def _label_of(strategies: Mapping[str, Any], strategy) -> str | None:
    return next((label for label, other in strategies.items() if other == strategy), None)
