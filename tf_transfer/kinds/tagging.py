"""Spans of a text with a type each: named entities, slots, parts of speech.

Heads give each word a tag, read at its first token (Devlin et al. 2019, "BERT", section 5.3). The
loss of a row is the mean cross-entropy over the words that the encoder sees. Class weights are
factors of the words of each type; ``"O"`` is that of words outside of spans, unless a type is
called so, and ``"balanced"`` balances the spans of the types and leaves those words alone. Answers
are the spans of the best sequence of tags in which none goes on that has not begun. A span counts
as right where its characters and its type are right; spans behind the last token that the encoder
sees are missed.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections import Counter
from collections.abc import Mapping

import numpy as np
import pandas as pd

from tf_transfer.errors import DataError, LabelWarning, shown
from tf_transfer.kinds import classes
from tf_transfer.kinds.base import PADDED, Kind, check_finite
from tf_transfer.kinds.class_metrics import averages, class_details
from tf_transfer.kinds.class_types import class_text
from tf_transfer.kinds.label_columns import present_rows
from tf_transfer.kinds.spans import (
    Spans,
    all_right,
    count_types,
    hits,
    is_cell_of_spans,
    read_cell,
)
from tf_transfer.kinds.words import Words
from tf_transfer.measures.metric import Metric

OUTSIDE_NAME = "O"
"""What class weights call words that are in no span."""


class Tagging(Kind):
    """See the module. ``y`` and answers are `Spans` of the whole text."""

    name = "tagging"
    primary, row_metric = "f1_micro", "sequence_accuracy"
    reads, link, spans, episodes = "tokens", "softmax", True, "types"
    reliability_words = None
    change_words = ("more spans right", "fewer spans right")
    metrics = (
        *averages(hits, proportions=False),
        Metric.of_rows("sequence_accuracy", all_right, proportion=True),
    )

    def details(self, y, answers):
        return class_details(hits(y, answers))

    def checked(self, y, answers, of=""):
        if not isinstance(y, Spans) or not isinstance(answers, Spans) or len(y) != len(answers):
            raise DataError(
                f"Labels and answers{of} must be spans of the same rows.\n"
                f"Received {type(y).__name__} of {len(y)} rows and {type(answers).__name__} of "
                f"{len(answers)}."
            )
        if not len(y) or y.types != answers.types:
            raise DataError(
                f"Labels and answers{of} must be of the same types, and of at least one row.\n"
                f"Received {y.types} and {answers.types} types, and {len(y)} rows."
            )
        return y, answers

    # -- labels ------------------------------------------------------------------------------------

    def claims(self, column):
        """Lists of dicts with start, end and label, also written as JSON."""
        cells = [cell for cell in column if not isinstance(cell, str) or cell.strip() != "[]"]
        return len(cells) > 0 and any(map(is_cell_of_spans, cells))

    def check_task(self, task):
        if task.labels:
            raise DataError(
                f"Task {task.name!r} is a tagging, which takes no labels.\n"
                f"Received labels={shown(task.labels)}.\nLeave it out."
            )

    def is_resolved(self, task):
        return len(task.classes) > 0

    def outputs(self, task):
        return 1 + 2 * len(task.classes)

    def classes_in(self, task, column, gaps):
        return classes.named_in(task, column, self.label_counts(task, column), gaps, least=1)

    def label_counts(self, task, column):
        """Spans of each type."""
        return Counter(label for _, spans in _rows(task, column) for *_, label in spans)

    def blank(self, task, rows):
        return Spans.of_rows([[]] * rows, len(task.classes))

    def encode(self, task, column, present, where):
        index, cells = classes.index_of(task), [[]] * len(column)
        for row, spans in _rows(task, column, where):
            cells[row] = [
                (start, end, classes.look_up(task, index, label, row, where))
                for start, end, label in spans
            ]
        return Spans.of_rows(cells, len(task.classes))

    def targets(self, task, y, tokens):
        words = Words.of(tokens)
        tags, lost = words.tags(y)
        rows = y.row_numbers[lost]
        rows = rows[tokens.lengths[rows] < tokens.cut_at]
        if len(rows):
            warnings.warn(
                f"{len(rows)} spans of task {task.name!r} are of no word of their text; the first "
                f"is in row {rows[0]}.",
                LabelWarning,
                stacklevel=2,
            )
        targets = np.full(len(tokens.spans), PADDED, np.int32)
        targets[words.tokens] = tags
        return targets

    def class_counts(self, task, y):
        return np.bincount(y.values[:, 2], minlength=len(task.classes))

    def counts_by_row(self, task, y):
        return count_types(y)

    def renumbered(self, column, numbers):
        cells = column.to_numpy(object, copy=True)
        for row in np.flatnonzero(present_rows(column)):
            spans = read_cell(cells[row], f"in column {column.name!r}, row {row} of the episode")
            cells[row] = [(start, end, numbers[class_text(name)]) for start, end, name in spans]
        return pd.Series(cells, column.index, object, column.name)

    def renumbered_targets(self, targets, numbers):
        tags = np.concatenate([[0], np.stack([1 + 2 * numbers, 2 + 2 * numbers], 1).ravel()])
        return np.where(targets == PADDED, PADDED, tags[targets]).astype(targets.dtype)

    def stand_ins(self, task):
        """First and other words of a type's spans stand in for each other."""
        of_types = [(other, first) for first, other in _tags_of_types(task)]
        return [0, *(place for pair in of_types for place in pair)]

    def balanced_factors(self, task, y):
        counts = self.class_counts(task, y)
        return (counts.sum() / np.maximum(len(counts) * counts, 1)).astype(np.float32)

    def output_factors(self, task, y):
        if not task.class_weight:
            return super().output_factors(task, y)
        names, outside = tuple(map(class_text, task.classes)), np.float32(1)
        if isinstance(task.class_weight, Mapping) and OUTSIDE_NAME not in names:
            with_outside = dataclasses.replace(task, classes=(*names, OUTSIDE_NAME))
            *of_types, outside = with_outside.class_weights(y)
        else:
            of_types = task.class_weights(y)
        return np.concatenate([[outside], np.repeat(of_types, 2)])

    def taught(self, task, y):
        known = self.class_counts(task, y) > 0
        return np.concatenate([[len(y) > 0], np.repeat(known, 2)])

    def sure(self, task, y):
        return y

    def has_class(self, y, number):
        return np.bincount(y.row_numbers[y.values[:, 2] == number], minlength=len(y)) > 0

    def known_share(self, y, known):
        types = y.values[:, 2]
        return float(np.isin(types, known.values[:, 2]).mean()) if len(types) else 0.0

    def is_possible(self, task, y):
        starts, ends, types = y.values.T
        return bool(
            (starts >= 0).all()
            and (starts < ends).all()
            and (types >= 0).all()
            and (types < len(task.classes)).all()
        )

    def label_misfit(self, task, y, rows):
        if isinstance(y, Spans) and len(y) == rows and y.types == len(task.classes):
            return ""
        return f"of {rows} rows and {len(task.classes)} types"

    # -- answers -----------------------------------------------------------------------------------

    def answer_misfit(self, task, answers, rows):
        misfit = self.label_misfit(task, answers, rows)
        if not misfit and not self.is_possible(task, answers):
            misfit = "that begin from 0 on, end behind their beginning and have a known type"
        if not misfit:
            return ""
        return (
            f"spans of {task.name} {misfit}.\n"
            f"Received {type(answers).__name__} of {len(answers)} rows.\n"
            "Delete the file and run the experiment again."
        )

    def unpack(self, stored):
        if isinstance(stored, np.ndarray):
            raise ValueError("Spans are several arrays.")
        return Spans.unpack(stored)

    def mean_answers(self, answers):
        """The spans that more than half of the models answer."""
        numbered = [np.column_stack([each.row_numbers, each.values]) for each in answers]
        spans, votes = np.unique(np.concatenate(numbered), axis=0, return_counts=True)
        chosen = spans[votes > len(answers) / 2]
        lengths = np.bincount(chosen[:, 0], minlength=len(answers[0]))
        return answers[0].like(chosen[:, 1:], lengths)

    def labels_of(self, task, answers):
        """(rows,) lists of ``{"start", "end", "label"}``."""
        labels = np.empty(len(answers), object)
        labels[:] = [[_written(task, span) for span in spans] for spans in answers]
        return labels

    def written(self, labels, texts):
        """``Anna (person); Berlin (city)``, or the characters where the text is not known."""
        cells = []
        for spans, text in zip(labels, texts, strict=True):
            parts = [
                f"{span['start']}-{span['end']}"
                if text is None
                else text[span["start"] : span["end"]]
                for span in spans
            ]
            names = [f"{part} ({span['label']})" for part, span in zip(parts, spans)]
            cells.append("; ".join(names))
        return np.array(cells, object)

    def row_error(self, y, answers):
        """1 - F1 of each row's spans; 0 where there is none and none is answered."""
        right, answered, true = (part.sum(1) for part in np.split(hits(y, answers), 3, axis=1))
        return 1 - np.where(answered + true > 0, 2 * right / np.maximum(answered + true, 1), 1.0)

    def longest_spans(self, answers, texts):
        """Words are what blanks part."""
        longest = np.full(len(answers), np.nan)
        for row, (spans, text) in enumerate(zip(answers, texts, strict=True)):
            counts = [len(text[start:end].split()) for start, end, _ in spans]
            longest[row] = max(counts, default=np.nan)
        return longest

    def answers_of(self, task, estimator, inputs):
        return estimator.predict(inputs)

    # -- the part of a head ------------------------------------------------------------------------

    def build(self, head):
        if head.task.class_weight:
            shape = (head.task.outputs,)
            head.factors = head.add_weight("factors", shape, initializer="ones", trainable=False)

    def note_labels(self, head, y):
        if head.task.class_weight:
            head.factors.assign(self.output_factors(head.task, y))

    def losses(self, head, y, output):
        from tf_transfer.devices.backend import tf

        known = y != PADDED
        tags = tf.where(known, y, 0)
        each = tf.nn.sparse_softmax_cross_entropy_with_logits(tags, output)
        if head.task.class_weight:
            each *= tf.gather(tf.cast(head.factors, output.dtype), tags)
        words = tf.cast(known, output.dtype)
        total = tf.reduce_sum(each * words, axis=1)
        return tf.math.divide_no_nan(total, tf.reduce_sum(words, axis=1))

    def scores(self, head, output):
        from tf_transfer.devices.backend import tf

        return tf.nn.softmax(output)

    def from_served(self, head, scores, tokens=None):
        lowest = np.finfo(np.float32).tiny
        return self.decode(head, np.log(np.maximum(scores, lowest)), tokens)

    def decode(self, head, output, tokens=None):
        from scipy.special import log_softmax

        words = Words.of(tokens)
        logits = output[words.tokens].astype(np.float64)
        check_finite(logits, f" of the words of task {head.task.name!r}")
        scores = log_softmax(logits, axis=1)
        return words.spans(words.best_tags(scores), len(head.task.classes))


def _rows(task, column, where: str = "the training table"):
    """The rows that have labels, each with its spans as they are written."""
    cells = column.to_numpy(object)
    for row in np.flatnonzero(present_rows(column)):
        yield row, read_cell(cells[row], f"in column {column.name!r}, row {row} of {where}")


def _tags_of_types(task) -> list[tuple[int, int]]:
    """The numbers of the tags of a span's first word and of its others, type by type."""
    return [(1 + 2 * number, 2 + 2 * number) for number in range(len(task.classes))]


def _written(task, span) -> dict:
    start, end, number = map(int, span)
    return {"start": start, "end": end, "label": class_text(task.classes[number])}
