"""What a search may vary beside the strategies' arguments: settings of the encoder, and the weights
of the tasks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pydantic

from tf_transfer.errors import DataError, check_choice
from tf_transfer.experiments.experiment import Experiment
from tf_transfer.experiments.specs import EncoderSpec, TaskSpec
from tf_transfer.experiments.tune_spec import Range

SETTINGS = ("max_length", "freeze", "pooling", "dropout", "precision")
"""Of the experiment's encoder."""

LOSS_WEIGHT = "loss_weight"
"""Of a task: ``loss_weight.TASK``."""


def spaces_of(experiment: Experiment) -> dict[str, Range | list]:
    """``{setting: Range or list of choices}`` that an experiment asks for.

    Raises:
        DataError: an unknown setting (with the nearest one), or a space that holds a value which it
            cannot take.
    """
    spaces, known = {}, [*SETTINGS, *(_weight_of(task) for task in experiment.tasks)]
    for setting, space in experiment.tune.settings.items():
        check_choice("A key of tune.settings", setting, known)
        if isinstance(space, Range):
            values = [space.min, space.max]
        else:
            values = list(space) if isinstance(space, list | tuple) else [space]
        values = [_checked(setting, v) for v in values]
        spaces[setting] = space if isinstance(space, Range) else values
    return spaces


def with_settings(experiment: Experiment, settings: Mapping[str, Any]) -> Experiment:
    """The experiment with other values for some settings."""
    encoder = experiment.encoder.model_copy(
        update={k: v for k, v in settings.items() if k in SETTINGS}
    )
    weights = [settings.get(_weight_of(task), task.loss_weight) for task in experiment.tasks]
    tasks = [
        t.model_copy(update={LOSS_WEIGHT: weight}) for t, weight in zip(experiment.tasks, weights)
    ]
    return experiment.model_copy(update={"encoder": encoder, "tasks": tasks})


def plain_settings(experiment: Experiment, settings: Mapping[str, Any]) -> dict:
    """The parts of an experiment file that hold the settings' values."""
    encoder = {k: v for k, v in settings.items() if k in SETTINGS}
    content = {"encoder": encoder} if encoder else {}
    if len(encoder) < len(settings):
        tasks = with_settings(experiment, settings).tasks
        content["tasks"] = [task.model_dump(mode="json", exclude_defaults=True) for task in tasks]
    return content


def _weight_of(task: TaskSpec) -> str:
    return f"{LOSS_WEIGHT}.{task.name}"


def _checked(setting: str, value):
    """The value as the setting takes it.

    Raises:
        DataError: it does not take it.
    """
    kind, field = (EncoderSpec, setting) if setting in SETTINGS else (TaskSpec, LOSS_WEIGHT)
    try:
        return getattr(
            kind.model_validate({"name": setting.removeprefix(f"{LOSS_WEIGHT}."), field: value}),
            field,
        )
    except pydantic.ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise DataError(
            f"tune.settings.{setting} holds {value!r}, which cannot be: {reason}"
        ) from None
