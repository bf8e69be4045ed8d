"""Ends a run whose loss is no number."""

from __future__ import annotations

import numpy as np

from tf_transfer.devices.backend import keras, tf
from tf_transfer.errors import TrainingError


class StopOnNaN(keras.callbacks.Callback):
    """Ends the run when the loss is no number, with the weights of the last whole epoch.

    Args:
        state: the variables to keep; their values of the last whole epoch are held in memory.
    """

    def __init__(self, state: list[tf.Variable]):
        super().__init__()
        self._state, self._good, self._epoch = state, None, 0

    def on_train_begin(self, logs=None):
        self._good = [v.numpy() for v in self._state]

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        """Raises:
        TrainingError: the mean loss of the epoch so far is NaN or infinite.
        """
        if logs and not np.isfinite(logs["loss"]):
            self._stop(
                f"The loss became {logs['loss']} in step {batch + 1} of epoch {self._epoch + 1}."
            )

    def on_epoch_end(self, epoch, logs=None):
        """Raises:
        TrainingError: a weight is NaN or infinite: the last step of the epoch went astray.
        """
        state = [v.numpy() for v in self._state]
        if not all(np.isfinite(value).all() for value in state):
            self._stop(f"A weight became NaN or infinite in the last steps of epoch {epoch + 1}.")
        self._good = state

    def _stop(self, what: str):
        for variable, value in zip(self._state, self._good):
            variable.assign(value)
        raise TrainingError(
            f"{what}\nThe model has again the weights from before epoch {self._epoch + 1}.\n"
            "Look for extreme labels, or compile again with a lower learning rate."
        )
