"""What callbacks such as `EarlyStopping` monitor: that it exists, and which way is better."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from tf_transfer.devices.backend import keras
from tf_transfer.errors import DataError, listed, nearest


def set_directions(callbacks, higher_is_better: Mapping[str, bool]) -> None:
    """Gives the callbacks that monitor a metric of the suite the direction that is better.

    Keras' ``mode="auto"`` takes the least value as the best for every name without "acc" or "auc"
    at its end, an F1 included.

    Args:
        higher_is_better: by name in the logs.
    """
    for callback in callbacks:
        monitor = getattr(callback, "monitor", None)
        if monitor in higher_is_better:
            _set_direction(callback, higher_is_better[monitor])


def _set_direction(callback, higher: bool) -> None:
    better, worst = (np.greater, -np.inf) if higher else (np.less, np.inf)
    if isinstance(callback, keras.callbacks.EarlyStopping):
        callback.monitor_op = better
        callback.min_delta = abs(callback.min_delta) * (1 if higher else -1)
    elif isinstance(callback, keras.callbacks.ModelCheckpoint):
        callback.monitor_op = better
        if callback.best is None or np.isinf(callback.best):
            callback.best = worst
    elif isinstance(callback, keras.callbacks.ReduceLROnPlateau):
        callback.mode = "max" if higher else "min"


class CheckMonitors(keras.callbacks.Callback):
    """An error for a monitored name that the logs never have, where Keras warns and trains on.

    Args:
        callbacks: those of the run.
        known: names that the logs will have.
        sure: there are no others; else the first epoch's logs are awaited.
    """

    def __init__(self, callbacks, known: Collection[str], sure: bool):
        super().__init__()
        self._callbacks, self._known, self._sure = callbacks, set(known), sure
        self._supports_tf_logs = True

    def on_train_begin(self, logs=None):
        if self._sure:
            self._check(self._known)

    def on_epoch_end(self, epoch, logs=None):
        self._check(self._known | set(logs or {}))

    def _check(self, names: set) -> None:
        """Raises:
        DataError: a callback monitors another name.
        """
        for callback in self._callbacks:
            monitor = getattr(callback, "monitor", None)
            reads = (
                not isinstance(callback, keras.callbacks.ModelCheckpoint) or callback.save_best_only
            )
            if monitor is not None and reads and monitor not in names:
                raise DataError(
                    f"{type(callback).__name__} must monitor a name of the logs: "
                    f"{listed(sorted(names), most=40)}.\n"
                    f"Received {monitor!r}.{nearest(monitor, names)}\n"
                    "Names with 'val_' come from validation_data, Keras' metrics from "
                    "compile(metrics=['accuracy']), those of the suite from tt.EvaluateSuite."
                )
