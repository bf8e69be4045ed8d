"""One run of `TransferModel.fit`: its callbacks, and the place where it begins."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from tf_transfer.batches.inputs import Rows
from tf_transfer.batches.model import Model
from tf_transfer.devices.backend import keras, tf
from tf_transfer.devices.private import has_metrics, step_counter
from tf_transfer.errors import DataError
from tf_transfer.training import gradient_rules
from tf_transfer.training.callbacks.arrange import arranged, resume_of
from tf_transfer.training.callbacks.backup import Place
from tf_transfer.training.callbacks.monitors import CheckMonitors, set_directions
from tf_transfer.training.callbacks.settings import (
    data_columns,
    model_settings,
    optimizer_settings,
    start_settings,
    table_hash,
)
from tf_transfer.training.callbacks.stop_on_nan import StopOnNaN
from tf_transfer.training.optimization import optimizer_state


class Plan(NamedTuple):
    """What a run of `TransferModel.fit` goes over.

    Args:
        data: `Rows`, or `tf.data`.
        initial_epoch, epochs: its first epoch, and the one that it ends before.
        steps: batches an epoch; None where nobody knows.
        batch_size: rows a batch, of `Rows`.
        shuffle: whether `Rows` come in a new order each epoch.
    """

    data: object
    initial_epoch: int
    epochs: int
    steps: int | None
    batch_size: int
    shuffle: bool = True


class Run:
    """The callbacks of a run of `TransferModel.fit`.

    Args:
        model: the compiled `TransferModel`.
        given: the user's callbacks.
        validates: whether Keras evaluates a validation set.

    Attributes:
        callbacks: for Keras: the guard against NaN, the user's, the `History`, and `Resume` last.
    """

    def __init__(self, model: Model, given, validates: bool):
        given = arranged(given)
        self._model, self._resume = model, resume_of(given)
        own = [c for c in given if c is not self._resume]
        watch = watched(own, model, [m.name for m in model.metrics], validates)
        kinds = {type(c) for c in own}
        guard = [] if keras.callbacks.TerminateOnNaN in kinds else [StopOnNaN(model.state)]
        history = (
            []
            if any(isinstance(c, keras.callbacks.History) for c in own)
            else [keras.callbacks.History()]
        )
        end = [] if self._resume is None else [self._resume]
        self.callbacks = [*guard, *own, watch, *history, *end]

    def settings(self, plan: Plan) -> dict:
        """What a run must share to go on where this one stops."""
        order = {} if plan.shuffle else {"shuffle": False}
        rule = self._model.gradient_rule
        ruled = {} if rule == gradient_rules.DEFAULT else {"gradient rule": rule.identity()}
        return (
            model_settings(self._model)
            | order
            | ruled
            | {
                "data": _data_settings(self._model, plan.data, plan.batch_size),
                "initial_epoch": plan.initial_epoch,
                "epochs": plan.epochs,
                "steps_per_epoch": plan.steps,
            }
        )

    def settings_of_workers(self, plan: Plan) -> dict:
        """What workers must share to train together."""
        return self.settings(plan) | {
            "optimizer": str(optimizer_settings(self._model.optimizer)),
            "backup": "none" if self._resume is None else self._resume.save_freq,
        }

    def open(self, plan: Plan) -> Place:
        """Where the run begins: at its first epoch, or where a backup stopped.

        Raises:
            CheckpointError, DataError: see `Resume`.
        """
        data, initial_epoch, epochs, steps, *_ = plan
        if self._resume is None:
            return Place(initial_epoch)
        from tf_transfer.training.callbacks.resume import Training

        if not isinstance(data, tf.data.Dataset | Rows):
            raise DataError(
                f"A backup needs a table or tf.data.\nReceived {type(data).__name__}.\nGive one of "
                "them, or no backup."
            )
        if self._resume.save_freq != "epoch" and _starts_anew(data, steps):
            raise DataError(
                "A backup within an epoch needs a place to go on from in the data.\n"
                f"Received save_freq={self._resume.save_freq} and a data set that starts anew each "
                "epoch.\n"
                "Give a table, or dataset.repeat() with steps_per_epoch, or save_freq='epoch'."
            )
        model, optimizer = self._model, self._model.optimizer
        with model.distribute_strategy.scope():
            optimizer_variables = optimizer_state(optimizer, model.trained_variables)
            model.build_metrics()
        settings = self.settings(plan)
        training = Training(
            model,
            {
                "weights": model.state,
                "optimizer": optimizer_variables,
                "metrics": [v for m in model.metrics for v in m.variables],
                "counter": [step_counter(model)],
            },
            settings,
            lambda: start_settings(model, optimizer),
            self.callbacks,
            epochs,
            steps,
        )
        place = self._resume.open(training)
        self._resume.prepare()
        return Place(max(place.epoch, initial_epoch), place.batch)

    def skip(self, data, place: Place, initial_epoch: int, steps: int | None):
        """`tf.data` from a place on."""
        if (place.epoch, place.batch) == (initial_epoch, 0):
            return data
        if not _starts_anew(data, steps):
            return data.skip((place.epoch - initial_epoch) * steps + place.batch)
        # a shuffle of the next epoch follows from those before it
        for _ in range(place.epoch - initial_epoch):
            for _ in data:
                pass
        return data


TRAINING_ONLY = ("learning_rate", "lr")
"""Names in the logs of training, beside those of metrics."""


def watched(callbacks, model: Model, names, validates: bool) -> CheckMonitors:
    """Checks what callbacks monitor, and sets their direction where the suite knows it."""
    suites = {}
    for callback in callbacks:
        if getattr(callback, "adds_to_logs", False):
            suites |= callback.names(model.tasks)
    set_directions(callbacks, suites)
    validated = [name for name in names if validates and name != "gradient_norm"]
    known = {*names, *TRAINING_ONLY, *(f"val_{name}" for name in validated), *suites}
    own = (keras.callbacks.Callback.__module__, CheckMonitors.__module__.rpartition(".")[0])
    ours = all(type(c).__module__.startswith(own) for c in callbacks)
    compiled = getattr(model, "compiled_metrics", None)
    named = compiled is not None and has_metrics(compiled)
    # Keras names the metrics of `compile` in the first step, and a user's callback may log what it
    # likes.
    return CheckMonitors(callbacks, known, sure=ours and not named)


def _starts_anew(data, steps: int | None) -> bool:
    """Whether Keras draws a new iterator for each epoch."""
    return isinstance(data, tf.data.Dataset) and (steps is None or int(data.cardinality()) == steps)


def _data_settings(model: Model, data, batch_size: int) -> dict:
    if isinstance(data, tf.data.Dataset):
        return {
            "kind": "tf.data",
            "elements": str(data.element_spec),
            "batches": int(data.cardinality()),
        }
    if not isinstance(data, Rows):
        return {"kind": type(data).__name__}
    table, weights = data
    settings = {"kind": "table", "rows": len(table), "hash": table_hash(table, data_columns(model))}
    if weights is not None:
        settings["weights"] = hashlib.sha256(
            b"".join(w.tobytes() for w in weights.values())
        ).hexdigest()
    return settings | {"batch_size": batch_size}
