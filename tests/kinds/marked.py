"""A kind whose heads read tokens and whose answers are spans of characters, in one file.

A label says which parts of a text are marked: ``"0-4 10-14"``, or ``"none"``.
"""

import numpy as np
import pandas as pd

from tests.experiments import WORDS
from tf_transfer.errors import DataError
from tf_transfer.kinds.answers import Ragged
from tf_transfer.kinds.base import PADDED, Kind
from tf_transfer.measures.metric import Metric

NAMES = ("anna", "berlin", "carl")
NO_SPAN = np.zeros((0, 2), np.int64)


def make_table(rows: int, seed: int) -> pd.DataFrame:
    """Texts of common words and names; the names are marked. Every seventh row has no label."""
    draws = np.random.default_rng(seed)
    texts, labels = [], []
    for number in range(rows):
        words = [*draws.choice(WORDS, 4), *draws.choice(NAMES, number % 3)]
        words = list(draws.permutation(words))
        starts = np.cumsum([0, *[len(word) + 1 for word in words[:-1]]])
        spans = [f"{s}-{s + len(w)}" for s, w in zip(starts, words) if w in NAMES]
        texts.append(" ".join(words))
        labels.append((" ".join(spans) or "none") if number % 7 else None)
    return pd.DataFrame({"text": texts, "names": pd.Series(labels, dtype=object)})


def spans_of(label: str) -> list[tuple[int, int]]:
    if label == "none":
        return []
    return [tuple(map(int, span.split("-"))) for span in label.split()]


def hits(y: Ragged, answers: Ragged) -> np.ndarray:
    """(rows, 3): spans that are right, said and there."""
    right = [len({*map(tuple, a)} & {*map(tuple, b)}) for a, b in zip(y, answers, strict=True)]
    return np.stack([right, answers.lengths, y.lengths], axis=1).astype(np.float64)


def f1(sums, total):
    return 2 * sums[..., 0] / (sums[..., 1] + sums[..., 2])


def exact(y, answers) -> np.ndarray:
    right, said, there = hits(y, answers).T
    return ((right == said) & (right == there)) * 1.0


class Marked(Kind):
    """Parts of a text that are marked."""

    name = "marked"
    reads, has_classes = "tokens", False
    reliability_words = None
    primary, row_metric = "span_f1", "exactly_marked"
    metrics = (
        Metric("span_f1", hits, f1, label="span F1"),
        Metric.of_rows("exactly_marked", exact, proportion=True),
    )

    def checked(self, y, answers, of=""):
        if len(y) != len(answers) or not len(y):
            raise DataError(f"Labels and answers{of} must be of the same rows.")
        return y, answers

    def check_task(self, task):
        return

    def is_resolved(self, task):
        return True

    def outputs(self, task):
        return 1

    def blank(self, task, rows):
        return Ragged.of([[]] * rows, NO_SPAN)

    def encode(self, task, column, present, where):
        cells = [spans_of(cell) if there else [] for cell, there in zip(column, present)]
        return Ragged.of(cells, NO_SPAN)

    def targets(self, task, y, tokens):
        """1 for a token within a span, 0 for one outside, `PADDED` for one that stands for no
        character.
        """
        found = np.where(tokens.spans[:, 0] < 0, PADDED, 0)
        for start, length, spans in zip(tokens.starts, tokens.lengths, y, strict=True):
            inside = slice(start, start + length)
            _, first, last, _ = tokens.spans[inside].T
            for a, b in spans:
                found[inside][(first >= a) & (last <= b) & (found[inside] != PADDED)] = 1
        return found

    def taught(self, task, y):
        return np.array([len(y) > 0])

    def sure(self, task, y):
        return y

    def known_share(self, y, known):
        return 1.0

    def is_possible(self, task, y):
        return bool((y.values >= 0).all())

    def label_misfit(self, task, y, rows):
        return "" if isinstance(y, Ragged) and len(y) == rows else f"for {rows} rows"

    def answer_misfit(self, task, answers, rows):
        return "" if len(answers) == rows else f"answers for {rows} rows"

    def unpack(self, stored):
        if isinstance(stored, np.ndarray):
            raise ValueError("Spans are two arrays.")
        return Ragged.unpack(stored)

    def mean_answers(self, answers):
        return answers[0]

    def labels_of(self, task, answers):
        cells = [" ".join(f"{a}-{b}" for a, b in spans) or "none" for spans in answers]
        return np.array(cells, object)

    def row_error(self, y, answers):
        return 1 - exact(y, answers)

    def losses(self, head, y, output):
        from tf_transfer.devices.backend import tf

        known = tf.cast(y != PADDED, output.dtype)
        labels = tf.cast(tf.maximum(y, 0), output.dtype)
        each = tf.nn.sigmoid_cross_entropy_with_logits(labels, output[..., 0])
        return tf.math.divide_no_nan(
            tf.reduce_sum(each * known, axis=1), tf.reduce_sum(known, axis=1)
        )

    def scores(self, head, output):
        from tf_transfer.devices.backend import tf

        return tf.sigmoid(output)

    def decode(self, head, output, tokens=None):
        """Marked tokens side by side are one span, unless a blank is between them."""
        rows = []
        for start, length in zip(tokens.starts, tokens.lengths):
            inside = slice(start, start + length)
            spans: list[list[int]] = []
            for (part, first, last, _), logit in zip(tokens.spans[inside], output[inside, 0]):
                if part < 0 or logit <= 0:
                    continue
                if spans and spans[-1][1] == first:
                    spans[-1][1] = int(last)
                else:
                    spans.append([int(first), int(last)])
            rows.append(spans)
        return Ragged.of(rows, NO_SPAN)
