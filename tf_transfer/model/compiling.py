"""What `compile` takes: its arguments checked, the optimizer, and the metrics of the losses."""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence

from tf_transfer.checks.arguments import check_known, check_of_keras_2
from tf_transfer.devices.backend import keras, tf
from tf_transfer.errors import DataError, listed
from tf_transfer.kinds import kind_of
from tf_transfer.kinds.tasks import Task

OF_KERAS = ("run_eagerly", "steps_per_execution", "jit_compile", "pss_evaluation_shards")
OURS = ("optimizer", "metrics", "weighted_metrics", "learning_rate", "gradient_rule")


def check_arguments(optimizer, loss, metrics: Sequence, learning_rate, options: Mapping) -> None:
    """Raises:
    DataError: an argument would be ignored, is unknown, or an object of Keras 3.
    """
    asked = {} if loss in ("auto", None) else {"loss": loss}
    asked |= {name: options[name] for name in ("loss_weights",) if name in options}
    if asked:
        received = " and ".join(f"{name}={value!r}" for name, value in asked.items())
        raise DataError(
            f"The loss follows from each task's kind.\nReceived {received}.\n"
            "Set kind, loss_weight or class_weight of the Task instead."
        )
    if learning_rate != "auto" and optimizer != "auto":
        raise DataError(
            f"learning_rate is for optimizer='auto'.\nReceived learning_rate={learning_rate!r} "
            "with another optimizer.\nGive the rate to the optimizer itself."
        )
    check_known("compile", options, OF_KERAS, spelt=OURS)
    check_of_keras_2("compile", tf.nest.flatten([optimizer, *metrics]))


def check_metrics(tasks: Sequence[Task], metrics: Sequence) -> None:
    """Raises:
    DataError: Keras metrics were given where a task has an answer for each token.
    """
    by_token = [t.name for t in tasks if t.resolved and kind_of(t).reads == "tokens"]
    if by_token and any(metrics):
        raise DataError(
            f"Keras' metrics are of one answer a row; {listed(by_token)} has one a token.\n"
            "Received metrics.\nLeave them out: evaluate and EvaluateSuite give the suite."
        )


def peak_of(learning_rate: float | str, automatic: float) -> float:
    """The peak of a learning rate, of which ``"auto"`` is ``automatic``.

    Raises:
        DataError: it is neither ``"auto"`` nor a number above 0.
    """
    if learning_rate == "auto":
        return automatic
    if not isinstance(learning_rate, numbers.Real) or not 0 < learning_rate < float("inf"):
        raise DataError(
            f"learning_rate must be a number above 0, or 'auto'.\nReceived {learning_rate!r}.\n"
            f"'auto' is {automatic:.2g} for this encoder."
        )
    return float(learning_rate)


def optimizer_of(optimizer):
    """The Keras optimizer of a name, a configuration or itself.

    Raises:
        DataError: Keras knows no such optimizer.
    """
    try:
        return keras.optimizers.get(optimizer)
    except (ValueError, TypeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise DataError(
            "optimizer must be 'auto', a name that Keras knows, or an object of "
            f"tf_keras.optimizers.\nReceived {optimizer!r}: {reason}"
        ) from error


class LossMetrics:
    """The metrics of the losses. As attributes of the model, Keras would count their variables
    among its weights, and go on listing those of an earlier `compile`.
    """

    def __init__(self, tasks: Sequence[Task]):
        self.loss = keras.metrics.Mean(name="loss")
        self.task_losses = {t.name: keras.metrics.Mean(name=f"{t.name}_loss") for t in tasks}
        self.gradient_norm = keras.metrics.Mean(name="gradient_norm")

    @property
    def listed(self) -> list:
        """All of them, in the order of the logs."""
        return [self.loss, *self.task_losses.values(), self.gradient_norm]
