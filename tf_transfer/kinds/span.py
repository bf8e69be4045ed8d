"""Answers that stand in the text of their question: extractive question answering.

The context is the text, and the question its ``text_pair``. A head gives each token a score of an
answer's start and one of its end. Both compete among the tokens of the context and the first token
that is none of it, BERT's ``[CLS]``, which stands for "no answer" (Devlin et al. 2019, "BERT",
sections 4.2 and 4.3).

The loss of a row is the mean of two cross-entropies, of starts and of ends. Where a row has several
references it is that of any of them: the negative logarithm of the probability of all right starts
together, and of all right ends (Clark and Gardner 2018, "Simple and Effective Multi-Paragraph
Reading Comprehension"). One reference chosen for all would teach that the others are
wrong.

A reference that ``max_length`` cuts off is none to the loss. A row whose references are all cut off
has no loss: its question has an answer, and "no answer" would teach that it has none. It counts in
the metrics, where the answer is missed.
"""

from __future__ import annotations

import warnings
from collections import Counter
from functools import partial

import numpy as np

from tf_transfer.errors import DataError, LabelWarning, shown
from tf_transfer.kinds.answer_spans import AnswerSpans, is_cell_of_answers, read_answers
from tf_transfer.kinds.base import PADDED, Kind, check_finite
from tf_transfer.kinds.contexts import Contexts
from tf_transfer.kinds.squad import best_of_rows, exact_match, word_f1
from tf_transfer.measures.metric import Metric

MAX_ANSWER = 30
"""Tokens of the longest answer that is given, as in BERT's own code for SQuAD."""
NO_ANSWER = 0.0
"""An answer is given unless "no answer" scores more by this (Devlin et al. 2019: tau)."""
START, END = 1, 2
"""What a target says of a token: the sum of those that hold, and 0 for neither."""
UNANSWERED = "(no answer)"
_LOWEST = -1e9
"""Stands for the logarithm of 0, whose gradient would be no number."""


class Span(Kind):
    """See the module. ``y`` are the references of each row, and answers have at most one."""

    name = "span"
    primary, row_metric = "f1_words", "f1_words"
    reads, has_classes, answers_questions, episodes = "tokens", False, True, "rows"
    reliability_words = None
    change_words = ("a better answer", "a worse answer")
    metrics = (
        Metric.of_rows("exact_match", partial(best_of_rows, exact_match), proportion=True),
        Metric.of_rows("f1_words", partial(best_of_rows, word_f1), label="F1 of words"),
    )

    def checked(self, y, answers, of=""):
        spans = isinstance(y, AnswerSpans) and isinstance(answers, AnswerSpans)
        if not spans or len(y) != len(answers) or not len(y):
            raise DataError(
                f"Labels and answers{of} must be answers of the same rows, at least one.\n"
                f"Received {type(y).__name__} of {len(y)} rows and {type(answers).__name__} of "
                f"{len(answers)}."
            )
        if (answers.lengths > 1).any():
            raise DataError(
                f"A row{of} has at most one answer.\nReceived {answers.lengths.max()} in row "
                f"{answers.lengths.argmax()}."
            )
        return y, answers

    # -- labels ------------------------------------------------------------------------------------

    def claims(self, column):
        """Lists ``text`` and ``answer_start`` in each cell, also written as JSON."""
        return len(column) > 0 and all(map(is_cell_of_answers, column))

    def check_task(self, task):
        for name in ("classes", "class_weight", "labels"):
            if getattr(task, name):
                raise DataError(
                    f"Task {task.name!r} is a span, which takes no {name}.\n"
                    f"Received {name}={shown(getattr(task, name))}.\nLeave it out."
                )

    def is_resolved(self, task):
        return True

    def outputs(self, task):
        return 2

    def blank(self, task, rows):
        return AnswerSpans.of_rows([[]] * rows)

    def encode(self, task, column, present, where):
        cells = column.to_numpy(object)
        rows = [[]] * len(cells)
        for row in np.flatnonzero(present):
            rows[row] = read_answers(cells[row], f"in column {column.name!r}, row {row} of {where}")
        return AnswerSpans.of_rows(rows)

    def targets(self, task, y, tokens):
        _check_places(task, y, tokens.texts)
        contexts = Contexts.of(tokens)
        first, last, whole = contexts.edges(y)
        rows = y.row_numbers
        _count_lost(task, rows[~whole & ~contexts.cut[rows]])
        answerable, unanswerable = np.zeros(len(y), bool), y.lengths == 0
        answerable[rows[whole]] = True
        targets = np.full(len(tokens.spans), PADDED, np.int32)
        none = contexts.no_answer
        known = answerable | unanswerable
        targets[contexts.places[known[contexts.rows]]] = 0
        targets[none[known & (none >= 0)]] = 0
        np.bitwise_or.at(targets, contexts.places[first[whole]], START)
        np.bitwise_or.at(targets, contexts.places[last[whole]], END)
        targets[none[unanswerable & (none >= 0)]] = START | END
        return targets

    def taught(self, task, y):
        return np.full(2, len(y) > 0)

    def sure(self, task, y):
        return y.first

    def known_share(self, y, known):
        return 1.0

    def is_possible(self, task, y):
        return bool((y.values["start"] >= 0).all() and all(y.values["text"]))

    def label_misfit(self, task, y, rows):
        if isinstance(y, AnswerSpans) and len(y) == rows:
            return ""
        return f"of {rows} rows"

    # -- answers -----------------------------------------------------------------------------------

    def answer_misfit(self, task, answers, rows):
        misfit = self.label_misfit(task, answers, rows)
        if not misfit and (answers.lengths > 1).any():
            misfit = "with at most one a row"
        if not misfit and not self.is_possible(task, answers):
            misfit = "that begin from 0 on and have a text"
        if not misfit:
            return ""
        return (
            f"answers of {task.name} {misfit}.\n"
            f"Received {type(answers).__name__} of {len(answers)} rows.\n"
            "Delete the file and run the experiment again."
        )

    def unpack(self, stored):
        if isinstance(stored, np.ndarray):
            raise ValueError("Answers are several arrays.")
        return AnswerSpans.unpack(stored)

    def mean_answers(self, answers):
        """The answer that most models give; of equally many that of the earlier model."""
        votes = zip(*(map(_as_tuples, each) for each in answers), strict=True)
        return AnswerSpans.of_rows([Counter(row).most_common(1)[0][0] for row in votes])

    def labels_of(self, task, answers):
        """(rows,) dicts of the lists ``text`` and ``answer_start``, which are empty without an
        answer.
        """
        labels = np.empty(len(answers), object)
        labels[:] = [
            {"text": spans["text"].tolist(), "answer_start": spans["start"].tolist()}
            for spans in answers
        ]
        return labels

    def written(self, labels, texts):
        """The answers' texts."""
        return np.array([" / ".join(label["text"]) or UNANSWERED for label in labels], object)

    def answers_of(self, task, estimator, inputs):
        return estimator.predict(inputs)

    def row_error(self, y, answers):
        """1 - F1 of each row's answer."""
        return 1 - best_of_rows(word_f1, y, answers)

    # -- the part of a head ------------------------------------------------------------------------

    def losses(self, head, y, output):
        from tf_transfer.devices.backend import tf

        known = y != PADDED
        flags = tf.stack([tf.bitwise.bitwise_and(y, flag) > 0 for flag in (START, END)], axis=-1)
        right = flags & known[..., None]
        likely = tf.reduce_logsumexp(tf.where(right, output, _LOWEST), axis=1)
        possible = tf.reduce_logsumexp(tf.where(known[..., None], output, _LOWEST), axis=1)
        each = tf.reduce_mean(possible - likely, axis=-1)
        return tf.where(tf.reduce_any(right, axis=[1, 2]), each, 0.0)

    def scores(self, head, output):
        """The scores themselves: which tokens compete is known to who made the batch."""
        return output

    def from_served(self, head, scores, tokens=None):
        return self.decode(head, scores, tokens)

    def decode(self, head, output, tokens=None):
        contexts = Contexts.of(tokens)
        scores = output.astype(np.float64)
        check_finite(scores, f" of the tokens of task {head.task.name!r}")
        first, last, best = contexts.best_spans(scores[contexts.places], MAX_ANSWER)
        none = np.where(contexts.no_answer < 0, -np.inf, scores.sum(1)[contexts.no_answer])
        rows = [[] for _ in tokens.texts]
        for row in np.flatnonzero((best > -np.inf) & (none <= best + NO_ANSWER)):
            start, end = contexts.starts[first[row]], contexts.ends[last[row]]
            rows[row] = [(start, tokens.texts[row][start:end])]
        return AnswerSpans.of_rows(rows)


def _as_tuples(spans: np.ndarray) -> tuple:
    return tuple(map(tuple, spans.tolist()))


def _check_places(task, y: AnswerSpans, texts) -> None:
    """Raises:
    DataError: an answer does not stand in its text where it says.
    """
    for row, (start, text) in zip(y.row_numbers, y.values):
        if texts[row][start : start + len(text)] != text:
            raise DataError(
                f"An answer of task {task.name!r} must stand in its text where it says.\n"
                f"Received {shown(text)} at {start} in row {row}; there stands "
                f"{shown(texts[row][start : start + len(text)])}.\n"
                "Mend the cell; tf_transfer.locate_answers finds the places of texts. Starts count "
                "characters, not bytes."
            )


def _count_lost(task, rows: np.ndarray) -> None:
    """Warns of answers of which no token has a character, in rows that were not cut."""
    if len(rows):
        warnings.warn(
            f"{len(rows)} answers of task {task.name!r} are of no token of their text; the first "
            f"is in row {rows[0]}.",
            LabelWarning,
            stacklevel=3,
        )
