"""Any number of classes a row: a sigmoid each, mean binary cross-entropy in nats. A class is
answered from .5 on.

Labels are (rows, classes) float32 of 0 and 1; answers (rows, classes), a probability each.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from tf_transfer.kinds import classes
from tf_transfer.kinds.base import Kind
from tf_transfer.kinds.class_metrics import areas, averages, class_details, clipped, hits
from tf_transfer.kinds.class_types import typed_class
from tf_transfer.kinds.indicators import checked_indicators
from tf_transfer.kinds.label_columns import CONTAINERS, SEPARATOR, is_like_a_list, present_rows
from tf_transfer.measures.metric import Metric

THRESHOLD = 0.5


def _true(y, p) -> np.ndarray:
    return np.asarray(y, np.float64)


def _hits(y, p) -> np.ndarray:
    return hits(_true(y, p), (p >= THRESHOLD).astype(float))


def _all_right(y, p) -> np.ndarray:
    return ((p >= THRESHOLD) == (y > 0)).all(1)


def _wrong(y, p) -> np.ndarray:
    return ((p >= THRESHOLD) != (y > 0)).mean(1)


def _log_loss(y, p) -> np.ndarray:
    p = clipped(p)
    return -np.where(y > 0, np.log(p), np.log1p(-p)).mean(1)


def _brier(y, p) -> np.ndarray:
    return ((p - _true(y, p)) ** 2).mean(1)


def _row_f1(y, p) -> np.ndarray:
    """(rows, 2): the F1 of each row, 0 where it is undefined; whether it is defined."""
    answered, true = p >= THRESHOLD, y > 0
    size = answered.sum(1) + true.sum(1)
    return np.stack([2 * (answered & true).sum(1) / np.maximum(size, 1), size > 0], axis=1)


def _ranked_classes(p) -> list[int]:
    return list(range(p.shape[1]))


class Multilabel(Kind):
    """See the module."""

    name = "multilabel"
    primary, row_metric = "f1_macro", "hamming_loss"
    several, link = True, "sigmoid"
    change_words = ("fewer wrong labels", "more wrong labels")
    metrics = (
        Metric.of_rows("subset_accuracy", _all_right, proportion=True),
        Metric.of_rows("hamming_loss", _wrong, higher=False),
        *averages(_hits, proportions=False),
        Metric(
            "f1_samples",
            _row_f1,
            lambda sums, total: sums[:, 0] / sums[:, 1],
            label="F1 over samples",
        ),
        *areas(_true, _ranked_classes),
        Metric.of_rows("log_loss", _log_loss, label="log-loss", higher=False, range=(0.0, np.inf)),
        Metric.of_rows("brier", _brier, label="Brier score", higher=False, range=(0.0, 2.0)),
    )

    def details(self, y, answers):
        return class_details(_hits(y, answers))

    def checked(self, y, answers, of=""):
        y, answers = classes.checked(y, answers, of, indices=False)
        classes.check_probabilities(y, answers, np.zeros(len(y), bool), 1, of)
        return y, answers

    # -- labels ------------------------------------------------------------------------------------

    def claims(self, column):
        """Lists, also written as text, dicts of 0 and 1 by class, or text with ``|`` between
        labels.
        """
        if any(isinstance(v, CONTAINERS) for v in column) or any(
            isinstance(v, str) and SEPARATOR in v for v in column
        ):
            return True
        return len(column) > 0 and all(isinstance(v, str) and is_like_a_list(v) for v in column)

    def check_task(self, task):
        return

    def is_resolved(self, task):
        return len(task.classes) > 0

    def outputs(self, task):
        return len(task.classes)

    def classes_in(self, task, column, gaps):
        counts, indicators = self._counts(task, column)
        names = None if indicators is None else indicators.classes
        return classes.named_in(task, column, counts, gaps, least=1, names=names)

    def label_counts(self, task, column):
        return self._counts(task, column)[0]

    def _counts(self, task, column) -> tuple[Counter, object]:
        """Rows of each label, and the `Indicators` that the column may hold instead of names."""
        cells = column.to_numpy(object)[present_rows(column)]
        indicators = checked_indicators(task, cells, "the training table")
        if indicators is None:
            rows = classes.several_labels(column, task.name)
            return Counter(label for _, labels in rows for label in labels), None
        names = indicators.classes if indicators.named else task.classes or indicators.classes
        return Counter(dict(zip(names, indicators.on.sum(0).tolist()))), indicators

    def blank(self, task, rows):
        return np.zeros((rows, self.outputs(task)), np.float32)

    def encode(self, task, column, present, where):
        index, y = classes.index_of(task), self.blank(task, len(column))
        cells, rows = column.to_numpy(object), np.flatnonzero(present)
        indicators = checked_indicators(task, cells[rows], where)
        if indicators is not None:
            places = range(len(task.classes))
            if indicators.named:
                places = [
                    classes.look_up(task, index, c, rows[0], where) for c in indicators.classes
                ]
            y[np.ix_(rows, places)] = indicators.on
            return y
        for row, labels in classes.several_labels(column, task.name, where):
            y[
                row,
                [classes.look_up(task, index, typed_class(label), row, where) for label in labels],
            ] = 1
        return y

    def class_counts(self, task, y):
        return y.sum(0)

    def row_factors(self, task, y, factors):
        """The mean of a row's classes; 1 where it has none."""
        mean = (y * factors).sum(1) / np.maximum(y.sum(1), 1)
        return np.where(y.any(1), mean, 1.0).astype(np.float32)

    def taught(self, task, y):
        return y.any(0)

    def sure(self, task, y):
        return np.asarray(y, np.float64)

    def has_class(self, y, number):
        return y[:, number] > 0

    def known_share(self, y, known):
        given = y.sum(0)
        return float(given[known.any(0)].sum() / given.sum()) if given.sum() else 0.0

    def is_possible(self, task, y):
        return bool(np.isin(y, (0, 1)).all())

    # -- answers -----------------------------------------------------------------------------------

    def answer_shape(self, task, rows):
        return rows, self.outputs(task)

    def answer_fault(self, answers):
        return classes.probability_fault(answers)

    def probabilities(self, answers):
        return answers

    def labels_of(self, task, answers):
        """A tuple of classes a row."""
        labels = np.empty(len(answers), object)
        labels[:] = [
            tuple(c for c, on in zip(task.classes, row >= THRESHOLD) if on) for row in answers
        ]
        return labels

    def row_error(self, y, answers):
        """The share of wrong labels."""
        return _wrong(y, answers)

    def evidence(self, y, answers):
        """The mean probability of what is true of each class."""
        return np.where(y > 0, answers, 1 - answers).mean(1)

    def confidences(self, y, answers):
        """The probability of every label of every row, and whether it is there."""
        return answers.ravel(), np.asarray(y).ravel() > 0

    # -- the part of a head ------------------------------------------------------------------------

    def losses(self, head, y, output):
        from tf_transfer.devices.backend import tf

        losses = tf.nn.sigmoid_cross_entropy_with_logits(tf.cast(y, output.dtype), output)
        return tf.reduce_mean(losses, axis=-1)

    def scores(self, head, output):
        from tf_transfer.devices.backend import tf

        return tf.sigmoid(output)

    def decode(self, head, output, tokens=None):
        return 1 / (1 + np.exp(-output.astype(np.float64)))

    # -- scikit-learn ------------------------------------------------------------------------------

    def linear_model(self, task, y, penalty):
        from sklearn.linear_model import LogisticRegression
        from sklearn.multiclass import OneVsRestClassifier

        return OneVsRestClassifier(LogisticRegression(C=1 / penalty, max_iter=1000))

    def constant_model(self):
        from sklearn.dummy import DummyRegressor

        return DummyRegressor()

    def for_estimator(self, y):
        """With a column of zeros: scikit-learn takes a single column for one class of two."""
        return np.pad(y, ((0, 0), (0, 1)))

    def answers_of(self, task, estimator, inputs):
        probable = hasattr(estimator, "predict_proba")
        answers = np.asarray(
            estimator.predict_proba(inputs) if probable else estimator.predict(inputs), np.float64
        )
        return answers[:, : self.outputs(task)]
