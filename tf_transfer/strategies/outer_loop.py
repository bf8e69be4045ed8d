"""The outer loop of meta-learning as a run that Keras callbacks hook into: an outer step is a
batch.
"""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from tf_transfer.devices import workers
from tf_transfer.devices.backend import keras
from tf_transfer.devices.private import step_counter
from tf_transfer.training.callbacks.arrange import arranged, resume_of
from tf_transfer.training.callbacks.backup import Place
from tf_transfer.training.callbacks.resume import Training
from tf_transfer.training.callbacks.run import watched
from tf_transfer.training.callbacks.settings import model_settings, start_settings, weights_hash
from tf_transfer.training.optimization import current_rate, optimizer_state

if TYPE_CHECKING:
    from tf_transfer.model.model import TransferModel


class OuterModel:
    """What callbacks see as their model: the `TransferModel`, but for the outer loop's optimizer
    and weights.

    Args:
        learner: a `MetaLearner`; variables that it learns beside the model's count as weights.
        optimizer: of the outer loop.
    """

    def __init__(self, learner, optimizer):
        own = {"optimizer": optimizer, "stop_training": False, "_training_state": None}
        self.__dict__.update(own, _model=learner.model, _extra=learner.extra)

    def __getattr__(self, name: str):
        return getattr(self._model, name)

    def __setattr__(self, name: str, value):
        (self.__dict__ if name in self.__dict__ else self._model.__dict__)[name] = value

    def __call__(self, *args, **kwargs):
        return self._model(*args, **kwargs)

    def get_weights(self) -> list[np.ndarray]:
        """As in Keras, and behind them what is learned beside the model's weights."""
        return [*self._model.get_weights(), *(v.numpy() for v in self._extra)]

    def set_weights(self, weights) -> None:
        """Sets what `get_weights` gave."""
        own = len(weights) - len(self._extra)
        self._model.set_weights(weights[:own])
        for variable, value in zip(self._extra, weights[own:]):
            variable.assign(value)


class OuterLoop:
    """Outer steps in epochs, with the callbacks called as in Keras' own `fit`.

    Args:
        learner: a `MetaLearner`.
        optimizer: of its parameters.
        steps: outer steps in all.
        epoch_steps: outer steps an epoch; the last epoch may be shorter.
        callbacks: the user's.
        patience: validations without a better ``val_loss`` before the loop stops. The best one's
            weights stay.
        validates: whether there is a validation, before the first step and at the end of every
            epoch.
    """

    def __init__(
        self,
        learner,
        optimizer,
        *,
        steps: int,
        epoch_steps: int,
        callbacks,
        patience: int,
        validates: bool,
    ):
        self._learner, self._optimizer = learner, optimizer
        self._steps, self._epoch_steps, self._validates = steps, epoch_steps, validates
        self._epochs = math.ceil(steps / epoch_steps)
        given = arranged(callbacks)
        self._resume = resume_of(given)
        own = [c for c in given if c is not self._resume]
        self._means = EpochMeans()
        watch = watched(
            own, learner.model, ["loss", "gradient_norm", "learning_rate", "lr"], validates
        )
        self._best = KeepBest(learner.parameters, patience) if validates else None
        best = [self._best] if validates else []
        self._callbacks = [self._means, *own, watch, *best, keras.callbacks.History()]

    def open(self, settings: Mapping) -> Place:
        """Where the loop begins: at the start, or where a backup stopped.

        Args:
            settings: what a run that goes on must share, beside the model.

        Raises:
            CheckpointError: see `Resume`.
            DistributionError: other workers go on elsewhere, or have other settings.
        """
        place = Place() if self._resume is None else self._open_backup(settings)
        facts = {
            name: hashlib.sha256(repr(value).encode()).hexdigest()[:16]
            for name, value in settings.items()
        }
        facts |= {"goes on at": f"epoch {place.epoch}, step {place.batch}"}
        workers.check_agreement(self._learner.model.distribute_strategy, facts)
        return place

    def _open_backup(self, settings: Mapping) -> Place:
        model, learner = self._learner.model, self._learner
        variables = {
            "weights": model.state,
            "rates": learner.extra,
            "counter": [step_counter(model)],
            "optimizer": optimizer_state(self._optimizer, learner.parameters),
        }

        def start() -> dict:
            return start_settings(model, self._optimizer) | {
                "first rates": weights_hash(learner.extra)
            }

        training = Training(
            model,
            variables,
            model_settings(model) | settings,
            start,
            self._callbacks,
            self._epochs,
            self._epoch_steps,
        )
        place = self._resume.open(training)
        self._resume.prepare()
        return place

    def run(
        self, step: Callable[[int], dict], validate: Callable[[], dict], settings: Mapping, verbose
    ) -> None:
        """Does the steps that are still to do.

        Args:
            step: does the outer step of a number, and returns its logs.
            validate: logs of a validation.
            settings: as for `open`.
            verbose: as in Keras.

        Raises:
            DistributionError: another worker was lost, or does not agree.
        """
        place = self.open(settings)
        with workers.lost_workers_explained(self._learner.model.distribute_strategy):
            self._run(place, step, validate, verbose)

    def _run(self, place: Place, step, validate, verbose) -> None:
        outer = OuterModel(self._learner, self._optimizer)
        verbose = 1 if verbose == "auto" else int(verbose)
        hooks = keras.callbacks.CallbackList(
            [*self._callbacks, *([self._resume] if self._resume else [])],
            add_progbar=verbose != 0,
            model=outer,
            verbose=verbose,
            epochs=self._epochs,
            steps=min(self._epoch_steps, self._steps),
        )
        step_counter(self._learner.model).assign(0)
        hooks.on_train_begin()
        if self._validates and place.epoch == place.batch == 0:  # a run that goes on remembers it
            self._best.start(validate()["val_loss"])
        for epoch in range(place.epoch, self._epochs):
            self._run_epoch(hooks, step, epoch, place.batch if epoch == place.epoch else 0)
            validation_logs = validate() if self._validates else {}
            hooks.on_epoch_end(epoch, self._means.logs() | validation_logs)
            if outer.stop_training:
                break
        hooks.on_train_end()

    def _run_epoch(self, hooks, step, epoch: int, first: int) -> None:
        """The steps of one epoch from ``first`` on."""
        hooks.on_epoch_begin(epoch)
        start = epoch * self._epoch_steps
        count = min(self._epoch_steps, self._steps - start)
        for batch in range(first, count):
            hooks.on_train_batch_begin(batch)
            self._means.add(step(start + batch), current_rate(self._optimizer))
            step_counter(self._learner.model).assign_add(1)
            hooks.on_train_batch_end(batch, self._means.logs())
            if hooks.model.stop_training:
                break


def tell(model: TransferModel, losses, callbacks) -> None:
    """Calls the hooks for a loop that has run in one traced function: an epoch, with a batch for
    each loss.

    Args:
        model: with the weights at the end.
        losses: (steps,) before each step.
    """
    given = [c for c in arranged(callbacks) if not hasattr(c, "part")]  # nothing to go on with
    hooks = keras.callbacks.CallbackList(given, model=model, verbose=0, epochs=1, steps=len(losses))
    hooks.on_train_begin()
    hooks.on_epoch_begin(0)
    for batch, loss in enumerate(losses):
        hooks.on_train_batch_begin(batch)
        hooks.on_train_batch_end(batch, {"loss": float(loss)})
    hooks.on_epoch_end(0, {"loss": float(losses[-1])})
    hooks.on_train_end()


class EpochMeans(keras.callbacks.Callback):
    """The means of an epoch's logs so far, but for the learning rate, whose last value counts."""

    def __init__(self):
        super().__init__()
        self.sums, self.count = {}, 0

    def on_epoch_begin(self, epoch, logs=None):
        self.sums, self.count = {}, 0

    def add(self, logs: Mapping[str, float], rate: float) -> None:
        """Counts one step's logs."""
        self.sums = {name: self.sums.get(name, 0.0) + float(value) for name, value in logs.items()}
        self.count, self.rate = self.count + 1, float(rate)

    def logs(self) -> dict[str, float]:
        """The means so far."""
        means = {name: total / self.count for name, total in self.sums.items()}
        return means | {"learning_rate": self.rate}


class KeepBest(keras.callbacks.Callback):
    """Stops after ``patience`` validations without a better one; the best one's weights stay.

    Args:
        variables: those that are learned.
    """

    def __init__(self, variables, patience: int):
        super().__init__()
        self._variables, self._patience = variables, patience
        self.first = self.best = math.inf
        self.waited, self.kept = 0, None

    def start(self, loss: float) -> None:
        """Keeps the weights from before the first step, and their validation's loss."""
        self.first = loss
        self._keep(loss)

    def _keep(self, loss: float) -> None:
        self.best, self.waited, self.kept = loss, 0, [v.numpy() for v in self._variables]

    def on_epoch_end(self, epoch, logs=None):
        if logs["val_loss"] < self.best:
            self._keep(logs["val_loss"])
        else:
            self.waited += 1
        if self.waited >= self._patience:
            self.model.stop_training = True

    def on_train_end(self, logs=None):
        for variable, value in zip(self._variables, self.kept):
            variable.assign(value)
        if not self.best < self.first:
            warnings.warn(
                "No validation had a lower query loss than the first, before any outer step "
                f"({self.first:.4g}): the weights are those from before meta-learning. Lower "
                "learning_rate, or validate more often.",
                UserWarning,
                stacklevel=2,
            )
