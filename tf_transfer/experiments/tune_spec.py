"""The part of an experiment file that says how to search: the oracle, the validation and the
space.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import pydantic
from pydantic import BeforeValidator, Discriminator, Field, Tag

from tf_transfer.errors import DataError, listed, nearest
from tf_transfer.experiments.problems import explain
from tf_transfer.experiments.table_specs import Spec

ORACLES: dict[str, dict[str, int | float | None]] = {
    "random": {},
    "bayesian": {"num_initial_points": None, "alpha": 1e-4, "beta": 2.6},
    "hyperband": {"max_epochs": 4, "factor": 2, "hyperband_iterations": 1},
}
"""keras-tuner's oracles, with the arguments of each that ``oracle_options`` may set and what they
are without it.

None: a third of the trials, at least 3 and at most keras-tuner's own three for each dimension,
which would leave nothing to the model in a search of ordinary length.
"""


class Range(Spec):
    """Numbers from ``min`` to ``max``, both included; whole ones where both are.

    Args:
        sampling: ``"log"`` where factors count rather than differences.
        step: between neighbours; with ``"log"``, the factor between them.
        unit: ``"auto"``: as multiples of what ``"auto"`` stands for in that learning rate.
    """

    min: int | float
    max: int | float
    sampling: Literal["linear", "log"] = "linear"
    step: int | float | None = None
    unit: Literal["number", "auto"] = "number"

    @pydantic.model_validator(mode="after")
    def _ordered(self):
        if not (math.isfinite(self.min) and math.isfinite(self.max) and self.min < self.max):
            raise ValueError(f"min must be below max; received {self.min} and {self.max}")
        if self.sampling == "log" and self.min <= 0:
            raise ValueError(f"sampling 'log' needs a min above 0; received {self.min}")
        least = 1 if self.sampling == "log" else 0
        if self.step is not None and self.step <= least:
            raise ValueError(
                f"step must be above {least} with sampling {self.sampling!r}; received {self.step}"
            )
        return self

    @property
    def whole(self) -> bool:
        """Whether only whole numbers are meant."""
        return isinstance(self.min, int) and isinstance(self.max, int) and self.unit == "number"


def _form(value: Any) -> str:
    if isinstance(value, Mapping | Range):
        return "range"
    return "choices" if isinstance(value, list | tuple) else "value"


Choices = Annotated[list[Any], Field(min_length=1)]
Space = Annotated[
    Annotated[Range, Tag("range")]
    | Annotated[Choices, Tag("choices")]
    | Annotated[Any, Tag("value")],
    Discriminator(_form),
]
"""Where one argument is looked for: a `Range`, a list of choices, or a single value."""


def _as_mapping(value):
    if isinstance(value, str):
        value = [value]
    if isinstance(value, list | tuple):
        return {
            k: v
            for item in value
            for k, v in (item if isinstance(item, Mapping) else {item: None}).items()
        }
    return value


class TuneSpec(Spec):
    """How `tune` searches.

    Args:
        strategies: ``{label: {argument: space}}``; the strategy's own ``search_space`` holds for
            the arguments that are left out. A space is a list of choices, a single value, or
            ``{min, max, sampling, step, unit}``; see `Range`. None: all strategies of the
            experiment that have a search space.
        settings: the same for ``max_length``, ``freeze``, ``pooling``, ``dropout`` and
            ``precision`` of the experiment's encoder, and ``loss_weight.TASK`` for each of its
            tasks.
        target, budget: whose labelled rows, and how many of them, trials learn from; None: the
            first target, and the largest budget.
        objective: ``"task/metric"``, any metric of its suite; a task alone stands for its primary
            metric, a metric alone for the task that has it; None: the first task.
        validation: ``"folds"``: k-fold of the target's labelled rows; ``"holdout"``: one part of
            them held out, and several training seeds; ``"sources"``: each source in turn plays the
            target.
        folds: parts of a k-fold.
        repeats: how often the folds are drawn anew, or the number of seeds.
        holdout: share of the rows that ``"holdout"`` keeps out of training.
        early_stop: end a trial that cannot become the best; see `tuning.scores.cannot_reach`.
        oracle: ``"random"``, ``"bayesian"`` or ``"hyperband"``, of keras-tuner.
        oracle_options: more arguments of the oracle.
        trials: at most; None: 20, or as many as Hyperband's brackets ask for.
        seed: of the trials, the folds and the training.
    """

    strategies: Annotated[
        dict[str, dict[str, Space] | None] | None, BeforeValidator(_as_mapping)
    ] = None
    settings: dict[str, Space] = Field(default_factory=dict)
    target: str | None = None
    budget: int | None = Field(None, ge=1)
    objective: str | None = None
    validation: Literal["folds", "holdout", "sources"] = "folds"
    folds: int = Field(4, ge=2, le=1000)
    repeats: int = Field(2, ge=1, le=1000)
    holdout: float = Field(0.25, gt=0, lt=1)
    early_stop: bool = True
    oracle: Literal["random", "bayesian", "hyperband"] = "bayesian"
    oracle_options: dict[str, int | float] = Field(default_factory=dict)
    trials: int | None = Field(None, ge=1)
    seed: int = Field(0, ge=0, lt=2**31 - 1)

    @pydantic.model_validator(mode="after")
    def _known_options(self):
        known = ORACLES[self.oracle]
        for key in self.oracle_options:
            if key not in known:
                raise ValueError(
                    f"oracle {self.oracle!r} has no option {key!r}; it has "
                    f"{listed(list(known))}.{nearest(key, known)}"
                )
        return self

    @property
    def options(self) -> dict[str, int | float | None]:
        """The oracle's arguments."""
        return ORACLES[self.oracle] | self.oracle_options

    def changed(self, options: Mapping[str, Any]) -> TuneSpec:
        """With other values for some keys.

        Raises:
            DataError: an unknown key (with the nearest one) or a wrong value.
        """
        try:
            return TuneSpec.model_validate(
                {k: getattr(self, k) for k in self.model_fields_set} | dict(options)
            )
        except pydantic.ValidationError as error:
            raise DataError(explain(error, "tune")) from None
