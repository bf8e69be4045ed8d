"""From a task to an output layer: what all kinds have in common. Each kind adds its own; see
`kinds.base`.
"""

from __future__ import annotations

import hashlib

import numpy as np

from tf_transfer.devices.backend import keras, tf
from tf_transfer.encoders import kernels
from tf_transfer.evaluation.predictions import Prediction
from tf_transfer.kinds import kind_of
from tf_transfer.kinds.tasks import Task


class Head(keras.layers.Layer):
    """A dense layer on the text's vector, or on that of each token, with the loss and the decoding
    of the task's kind.

    Args:
        task: a resolved `Task`.
        width: length of the text's vector.
        seed: of the initial weights; with the task's name it decides them.
        dropout: rate on the text's vector in training.
    """

    def __init__(self, task: Task, width: int, seed: int = 0, dropout: float = 0.1):
        super().__init__(
            name="head_" + hashlib.sha256(task.name.encode()).hexdigest()[:8], dtype=_precision()
        )
        self.task, self.kind, self.rate, self._seed = task, kind_of(task), dropout, seed
        self.kernel = self.add_weight(
            name="kernel", shape=(width, task.outputs), initializer="zeros"
        )
        self.bias = self.add_weight(name="bias", shape=(task.outputs,), initializer="zeros")
        self.taught = self.add_weight(
            name="taught", shape=(task.outputs,), trainable=False, initializer="zeros"
        )
        self.kind.build(self)
        self.restart(seed)
        self.built = True

    def restart(self, seed: int) -> None:
        """Draws the initial weights of ``seed``: a truncated normal of deviation .02; bias 0."""
        entropy = int(hashlib.sha256(f"{self.task.name}:{seed}".encode()).hexdigest()[:16], 16)
        draws = np.random.default_rng(entropy).normal(0, 0.02, self.kernel.shape)
        self.kernel.assign(np.clip(draws, -0.04, 0.04))
        self.bias.assign(np.zeros(self.bias.shape))
        self.taught.assign(np.zeros(self.taught.shape))
        self.kind.restart(self)

    def call(self, vectors: tf.Tensor, dropout_seed=None) -> tf.Tensor:
        """(batch, outputs) logits, or (batch,) standardised values, from (batch, width); of
        tokens (batch, length, outputs) from (batch, length, width).

        Args:
            dropout_seed: (2,) int32 in training; None for no dropout.
        """
        vectors = tf.cast(vectors, self.compute_dtype)
        if dropout_seed is not None and self.rate:
            vectors = kernels.dropout(vectors, self.rate, dropout_seed)
        return self.kind.shape_output(tf.matmul(vectors, self.kernel) + self.bias)

    def note_labels(self, y: np.ndarray) -> None:
        """Called with the labels (rows, …) of every training: notes which outputs it teaches, in
        ``taught``.

        Weights of outputs that nothing has taught are random, and say nothing of their class. A
        frozen head is not taught.
        """
        if self.task.loss_weight and self.trainable:
            self.taught.assign(np.maximum(self.taught.numpy(), self.kind.taught(self.task, y)))
        self.kind.note_labels(self, y)

    def teach_all(self) -> None:
        """Notes that a training teaches every output, where its labels cannot be read in
        advance.
        """
        if self.task.loss_weight and self.trainable:
            self.taught.assign(np.ones(self.taught.shape))

    def losses_of(self, y: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
        """(batch,) loss of each row."""
        return self.kind.losses(self, y, output)

    def scores(self, output: tf.Tensor) -> tf.Tensor:
        """(batch, outputs): probabilities, or numbers in the label's own unit, from what `call`
        returns.
        """
        return self.kind.scores(self, output)

    def served(self, output: tf.Tensor) -> tf.Tensor:
        """The scores as a serving signature gives them."""
        return self.kind.served(self, output)

    def decode(self, output: np.ndarray, tokens=None) -> Prediction:
        """Scores and labels from outputs, in double precision; see `Kind.decode`."""
        return Prediction(self.task, self.kind.decode(self, output, tokens))


def _precision() -> str:
    """Heads compute in single precision, whatever the encoder does, but for checks in double
    precision.
    """
    return "float64" if keras.mixed_precision.global_policy().name == "float64" else "float32"
