"""From a task's kind to an output layer, a loss and a decoding."""

from __future__ import annotations

import hashlib

import numpy as np

from tf_transfer import kernels
from tf_transfer.backend import keras, tf
from tf_transfer.predictions import Prediction
from tf_transfer.tasks import Task


class Head(keras.layers.Layer):
    """A dense layer on the text's vector. Each kind of task has a subclass.

    Args:
        task: a resolved `Task`.
        width: length of the text's vector.
        seed: of the initial weights; with the task's name it decides them.
        dropout: rate on the text's vector in training.
    """

    def __init__(self, task: Task, width: int, seed: int = 0, dropout: float = 0.1):
        super().__init__(name="head_" + hashlib.sha256(task.name.encode()).hexdigest()[:8], dtype=_precision())
        self.task, self.rate, self._seed = task, dropout, seed
        self.kernel = self.add_weight(name="kernel", shape=(width, task.outputs), initializer="zeros")
        self.bias = self.add_weight(name="bias", shape=(task.outputs,), initializer="zeros")
        self.taught = self.add_weight(name="taught", shape=(task.outputs,), trainable=False, initializer="zeros")
        self.restart(seed)
        self.built = True

    def restart(self, seed: int) -> None:
        """Draws the initial weights of ``seed``: a truncated normal of deviation .02; bias 0."""
        entropy = int(hashlib.sha256(f"{self.task.name}:{seed}".encode()).hexdigest()[:16], 16)
        draws = np.random.default_rng(entropy).normal(0, 0.02, self.kernel.shape)
        self.kernel.assign(np.clip(draws, -0.04, 0.04))
        self.bias.assign(np.zeros(self.bias.shape))
        self.taught.assign(np.zeros(self.taught.shape))

    def call(self, vectors: tf.Tensor, dropout_seed=None) -> tf.Tensor:
        """(batch, outputs) logits, or (batch,) standardised values, from (batch, width).

        Args:
            dropout_seed: (2,) int32 in training; None for no dropout.
        """
        vectors = tf.cast(vectors, self.compute_dtype)
        if dropout_seed is not None and self.rate:
            vectors = kernels.dropout(vectors, self.rate, dropout_seed)
        return self.shape_output(tf.matmul(vectors, self.kernel) + self.bias)

    def shape_output(self, output: tf.Tensor) -> tf.Tensor:
        return output

    def note_labels(self, y: np.ndarray) -> None:
        """Called with the labels (rows, …) of every training: notes which outputs it teaches, in ``taught``.

        Weights of outputs that nothing has taught are random, and say nothing of their class. A frozen head is not
        taught.
        """
        if self.task.loss_weight and self.trainable:
            self.taught.assign(np.maximum(self.taught.numpy(), self.outputs_of(y)))

    def teach_all(self) -> None:
        """Notes that a training teaches every output, where its labels cannot be read in advance."""
        if self.task.loss_weight and self.trainable:
            self.taught.assign(np.ones(self.taught.shape))

    def outputs_of(self, y: np.ndarray) -> np.ndarray:
        """(outputs,) of 0 and 1: the outputs that labels (rows, …) are of."""
        raise NotImplementedError

    def losses_of(self, y: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
        """(batch,) loss of each row."""
        raise NotImplementedError

    def scores(self, output: tf.Tensor) -> tf.Tensor:
        """(batch, outputs): probabilities, or numbers in the label's own unit, from what `call` returns."""
        raise NotImplementedError

    def decode(self, output: np.ndarray) -> Prediction:
        """Scores and labels from the outputs (rows, …) of `call`, in double precision."""
        raise NotImplementedError


class ClassificationHead(Head):
    """One of several classes: logits, cross-entropy in nats, softmax."""

    def outputs_of(self, y):
        return np.isin(np.arange(self.task.outputs), y)

    def losses_of(self, y, output):
        return tf.nn.sparse_softmax_cross_entropy_with_logits(tf.cast(y, tf.int32), output)

    def scores(self, output):
        return tf.nn.softmax(output)

    def decode(self, output):
        logits = output.astype(np.float64)
        scores = np.exp(logits - logits.max(1, keepdims=True))
        return Prediction(self.task, scores / scores.sum(1, keepdims=True))


class MultilabelHead(Head):
    """Any number of labels: a logit each, mean binary cross-entropy in nats, sigmoid."""

    def outputs_of(self, y):
        return y.any(0)

    def losses_of(self, y, output):
        losses = tf.nn.sigmoid_cross_entropy_with_logits(tf.cast(y, output.dtype), output)
        return tf.reduce_mean(losses, axis=-1)

    def scores(self, output):
        return tf.sigmoid(output)

    def decode(self, output):
        return Prediction(self.task, 1 / (1 + np.exp(-output.astype(np.float64))))


class RegressionHead(Head):
    """A number: learned and scored as (label - mean) / deviation, reported in the label's unit.

    The mean and the deviation are those of the first labels that the head is trained on, and
    stay: a later training on other rows goes on from the same scale. They are in double precision, as labels are:
    in single precision, seconds since 1970 are told apart to two minutes.
    """

    def __init__(self, task: Task, width: int, seed: int = 0, dropout: float = 0.1):
        super().__init__(task, width, seed, dropout)
        self.scale = self.add_weight(name="scale", shape=(3,), dtype="float64", trainable=False, initializer="zeros")
        self.restart(seed)

    def restart(self, seed):
        super().restart(seed)
        if hasattr(self, "scale"):
            self.scale.assign([0.0, 1.0, 0.0])  # mean, deviation, whether they were learned

    def outputs_of(self, y):
        return np.array([len(y) > 0])

    def note_labels(self, y):
        super().note_labels(y)
        self.learn_scale(y)

    def learn_scale(self, y: np.ndarray) -> None:
        """Takes mean and deviation from labels (rows,), unless earlier ones gave them."""
        if len(y) and not float(self.scale[2]):
            mean, deviation = float(np.mean(y, dtype=np.float64)), float(np.std(y, dtype=np.float64))
            self.scale.assign([mean, deviation if deviation > 0 else 1.0, 1.0])

    def shape_output(self, output):
        return output[:, 0]

    def losses_of(self, y, output):
        """(batch,) squared error in squared deviations."""
        standard = (tf.cast(y, tf.float64) - self.scale[0]) / self.scale[1]
        return tf.square(tf.cast(standard, output.dtype) - output)

    def scores(self, output):
        return (tf.cast(output, tf.float64) * self.scale[1] + self.scale[0])[:, None]

    def decode(self, output):
        mean, deviation, _ = self.scale.numpy()
        return Prediction(self.task, output.astype(np.float64) * deviation + mean)


def _precision() -> str:
    """Heads compute in single precision, whatever the encoder does, but for checks in double precision."""
    return "float64" if keras.mixed_precision.global_policy().name == "float64" else "float32"


_KINDS = {
    "classification": ClassificationHead,
    "multilabel": MultilabelHead,
    "regression": RegressionHead,
}


def make_head(task: Task, width: int, seed: int = 0, dropout: float = 0.1) -> Head:
    """The head for a resolved task."""
    return _KINDS[task.kind](task, width, seed, dropout)
