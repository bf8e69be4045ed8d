"""One of several classes: softmax, cross-entropy in nats.

Labels are (rows,) int32, the numbers of the classes; answers (rows, classes), probabilities that
sum to 1.

Reference:
    Calibration: Guo et al. 2017, "On Calibration of Modern Neural Networks": 15 equal-width bins of
    the likeliest class's probability.
"""

from __future__ import annotations

import re
from collections import Counter

import numpy as np

from tf_transfer.errors import DataError, setting
from tf_transfer.kinds import classes
from tf_transfer.kinds.base import Kind
from tf_transfer.kinds.class_metrics import (
    CALIBRATION_BINS,
    areas,
    averages,
    balanced_accuracy,
    class_details,
    clipped,
    cohen_kappa,
    from_hits,
    hits,
    matthews,
)
from tf_transfer.kinds.class_types import class_array, typed_class
from tf_transfer.measures.metric import Metric

_DECIMAL_COMMA = re.compile(r"[+-]?[0-9]+(?:,[0-9]+)?")


def _true(y, p) -> np.ndarray:
    return np.eye(p.shape[1])[y]


def _hits(y, p) -> np.ndarray:
    return hits(_true(y, p), np.eye(p.shape[1])[p.argmax(1)])


def _right(y, p) -> np.ndarray:
    return p.argmax(1) == y


def _log_loss(y, p) -> np.ndarray:
    return -np.log(clipped(p)[np.arange(len(y)), y])


def _brier(y, p) -> np.ndarray:
    """Squared error of class 1 for two classes, else summed over classes, as scikit-learn."""
    squared = (p - _true(y, p)) ** 2
    return squared[:, 1] if p.shape[1] == 2 else squared.sum(1)


def _calibration_gaps(y, p) -> np.ndarray:
    """(rows, bins): correct minus confidence in the row's bin, 0 elsewhere; the first bin is (0,
    1/15].
    """
    edges = np.linspace(0, 1, CALIBRATION_BINS + 1)
    confidence = p.max(1)
    gap = (p.argmax(1) == y) - confidence
    return np.eye(CALIBRATION_BINS)[np.digitize(confidence, edges[1:-1], right=True)] * gap[:, None]


def _ranked_classes(p) -> list[int]:
    """Of two classes the second is the positive one, of more each against the rest."""
    return [1] if p.shape[1] == 2 else list(range(p.shape[1]))


class Classification(Kind):
    """See the module."""

    name = "classification"
    primary, row_metric = "f1_macro", "accuracy"
    one_class, episodes, link = True, "classes", "softmax"
    change_words = ("right in more seeds", "wrong in more seeds")
    metrics = (
        Metric.of_rows("accuracy", _right, proportion=True),
        from_hits(
            "balanced_accuracy",
            _hits,
            balanced_accuracy,
            undefined="the labels hold a single class",
        ),
        *averages(_hits, proportions=True),
        from_hits(
            "matthews",
            _hits,
            matthews,
            label="Matthews φ",
            range=(-1.0, 1.0),
            undefined="the labels or the predictions are constant",
        ),
        from_hits(
            "cohen_kappa",
            _hits,
            cohen_kappa,
            label="Cohen's κ",
            range=(-1.0, 1.0),
            undefined="labels and predictions are the same constant",
        ),
        *areas(_true, _ranked_classes),
        Metric.of_rows("log_loss", _log_loss, label="log-loss", higher=False, range=(0.0, np.inf)),
        Metric.of_rows("brier", _brier, label="Brier score", higher=False, range=(0.0, 2.0)),
        Metric(
            "expected_calibration_error",
            _calibration_gaps,
            lambda sums, total: np.abs(sums).sum(-1) / total,
            higher=False,
            gaps=True,
        ),
    )

    def details(self, y, answers):
        from sklearn.metrics import confusion_matrix

        matrix = confusion_matrix(y, answers.argmax(1), labels=np.arange(answers.shape[1]))
        return class_details(_hits(y, answers)) | {"confusion_matrix": matrix}

    def checked(self, y, answers, of=""):
        y, answers = classes.checked(y, answers, of)
        off = np.abs(answers.sum(1) - 1) > classes.ROUNDING
        classes.check_probabilities(y, answers, off, answers.shape[1] - 1, of)
        return y.astype(int), answers / answers.sum(1, keepdims=True)

    # -- labels ------------------------------------------------------------------------------------

    def claims(self, column):
        return True

    def check_inferred(self, task, column):
        texts = {cell.strip() for cell in column if isinstance(cell, str)}
        if any("," in text for text in texts) and all(map(_DECIMAL_COMMA.fullmatch, texts)):
            example = next(text for text in sorted(texts) if "," in text)
            raise DataError(
                f"Labels of task {task!r} must be numbers with a decimal point, names, or lists "
                "with '|'.\n"
                f"Received {example!r} in column {column.name!r}.\n"
                f"If numbers are meant, read the table with {setting('decimal', ',')}; if names, "
                f"{setting('kind', self.name, f'--label {column.name}:{self.name}')}."
            )

    def check_task(self, task):
        if len(task.classes) == 1:
            raise DataError(
                f"Task {task.name!r} needs at least two classes to learn a difference.\n"
                f"Received classes={task.classes!r}.\nName all classes, or leave them to be "
                "inferred."
            )

    def is_resolved(self, task):
        return len(task.classes) > 0

    def outputs(self, task):
        return len(task.classes)

    def classes_in(self, task, column, gaps):
        counts = self.label_counts(task, column)
        return classes.named_in(task, column, counts, gaps, least=2)

    def label_counts(self, task, column):
        return Counter(label for _, (label,) in classes.single_labels(column, task.name))

    def blank(self, task, rows):
        return np.zeros(rows, np.int32)

    def encode(self, task, column, present, where):
        index, y = classes.index_of(task), self.blank(task, len(column))
        for row, (label,) in classes.single_labels(column, task.name, where):
            y[row] = classes.look_up(task, index, typed_class(label), row, where)
        return y

    def class_counts(self, task, y):
        return np.bincount(y, minlength=len(task.classes))

    def taught(self, task, y):
        return np.isin(np.arange(self.outputs(task)), y)

    def sure(self, task, y):
        return np.eye(self.outputs(task))[y]

    def has_class(self, y, number):
        return y == number

    def known_share(self, y, known):
        return float(np.isin(y, known).mean())

    def is_possible(self, task, y):
        return y.dtype.kind == "i" and bool((y >= 0).all() and (y < self.outputs(task)).all())

    # -- answers -----------------------------------------------------------------------------------

    def answer_shape(self, task, rows):
        return rows, self.outputs(task)

    def answer_fault(self, answers):
        off = np.abs(answers.sum(1, dtype=np.float64) - 1).max() > classes.ROUNDING
        return classes.probability_fault(answers, off)

    def probabilities(self, answers):
        return answers

    def labels_of(self, task, answers):
        """The likeliest class; an array of numbers or bools where all classes are such."""
        return class_array(task.classes)[answers.argmax(1)]

    def row_error(self, y, answers):
        """Whether the answer is wrong."""
        return (answers.argmax(1) != y).astype(np.float64)

    def evidence(self, y, answers):
        """The probability of the true class."""
        return answers[np.arange(len(y)), y]

    def confidences(self, y, answers):
        """Of the likeliest class."""
        return answers.max(1) / answers.sum(1), answers.argmax(1) == y

    # -- the part of a head ------------------------------------------------------------------------

    def losses(self, head, y, output):
        from tf_transfer.devices.backend import tf

        return tf.nn.sparse_softmax_cross_entropy_with_logits(tf.cast(y, tf.int32), output)

    def scores(self, head, output):
        from tf_transfer.devices.backend import tf

        return tf.nn.softmax(output)

    def decode(self, head, output, tokens=None):
        logits = output.astype(np.float64)
        odds = np.exp(logits - logits.max(1, keepdims=True))
        return odds / odds.sum(1, keepdims=True)

    # -- scikit-learn ------------------------------------------------------------------------------

    def linear_model(self, task, y, penalty):
        from sklearn.dummy import DummyClassifier
        from sklearn.linear_model import LogisticRegression

        if len(np.unique(y)) < 2:
            return DummyClassifier(strategy="prior")
        logistic = LogisticRegression(C=1 / penalty, max_iter=1000)
        if task.class_weight is not None:
            logistic.set_params(class_weight=dict(enumerate(task.class_weights(y))))
        return logistic

    def constant_model(self):
        from sklearn.dummy import DummyClassifier

        return DummyClassifier(strategy="prior")

    def answers_of(self, task, estimator, inputs):
        """A class without a row in training has probability 0."""
        answers = np.zeros((len(inputs), self.outputs(task)))
        answers[:, estimator.classes_] = estimator.predict_proba(inputs)
        return answers
