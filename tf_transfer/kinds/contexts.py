"""Where the tokens of contexts stand: which ones an answer begins and ends with, and which answer
has the greatest score.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from tf_transfer.kinds.answer_spans import AnswerSpans


@dataclasses.dataclass(frozen=True)
class Contexts:
    """The tokens of the first text of each row that the encoder sees, in the order of the rows.

    Args:
        rows: (n,) int, the row of each.
        places: (n,) int, its place among all tokens.
        starts, ends: (n,) int, its first character and the one behind its last.
        cut: (rows,) bool, whether a row has as many tokens as it may have.
        no_answer: (rows,) int, the place of the first token that is not of the context, which says
            that there is no answer; -1 where there is none. BERT's is ``[CLS]``.
    """

    rows: np.ndarray
    places: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    cut: np.ndarray
    no_answer: np.ndarray

    @classmethod
    def of(cls, tokens) -> Contexts:
        """Args:
        tokens: `batches.rows.Tokens` with their ``spans``.
        """
        rows = np.repeat(np.arange(len(tokens.lengths)), tokens.lengths)
        inside = tokens.spans[:, 0] == 0
        others = np.flatnonzero(~inside)
        first = np.unique(rows[others], return_index=True)
        no_answer = np.full(len(tokens.lengths), -1)
        no_answer[first[0]] = others[first[1]]
        starts, ends = tokens.spans[inside, 1:3].T.astype(np.int64)
        cut = tokens.lengths >= tokens.cut_at
        return cls(rows[inside], np.flatnonzero(inside), starts, ends, cut, no_answer)

    def edges(self, spans: AnswerSpans) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The numbers (n,) of the first and the last token that has a character of each answer, and
        whether (n,) bool the tokens hold the whole answer.

        A row that may have been cut holds an answer whose end one of its tokens reaches.
        """
        rows, ends = spans.row_numbers, spans.ends
        longest = max(self.ends.max(initial=0), ends.max(initial=0)) + 1
        keys = rows * longest
        own = self.rows * longest
        first = np.searchsorted(own + self.ends, keys + spans.values["start"], "right")
        last = np.searchsorted(own + self.starts, keys + ends) - 1
        reached = np.zeros(len(self.cut), np.int64)
        np.maximum.at(reached, self.rows, self.ends)
        whole = (first <= last) & ((reached[rows] >= ends) | ~self.cut[rows])
        return first, last, whole

    def best_spans(
        self, scores: np.ndarray, most: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """For each row the numbers (rows,) of the first and the last token of the span with the
        greatest sum, and that sum; of equal ones the first and shortest. A row without tokens has
        -inf.

        Args:
            scores: (n, 2) float64, of a start and of an end at each token.
            most: tokens of a span.
        """
        starts, ends = scores.T
        best, width = np.full(len(starts), -np.inf), np.zeros(len(starts), np.int64)
        for more in range(min(most, len(starts))):
            count = len(starts) - more
            together = self.rows[more:] == self.rows[:count]
            sums = np.where(together, starts[:count] + ends[more:], -np.inf)
            better = np.flatnonzero(sums > best[:count])
            best[better], width[better] = sums[better], more
        order = np.lexsort((-best, self.rows))
        rows, leading = np.unique(self.rows[order], return_index=True)
        first = np.zeros(len(self.cut), np.int64)
        first[rows] = order[leading]
        greatest = np.full(len(self.cut), -np.inf)
        greatest[rows] = best[first[rows]]
        last = first.copy()
        last[rows] += width[first[rows]]
        return first, last, greatest
