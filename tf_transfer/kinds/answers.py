"""Labels and answers of many rows: arrays, and rows that have different numbers of values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

_PARTS = ("values", "lengths")


class Answers(Protocol):
    """What the toolkit asks of labels and answers. An array has it, whose first axis is the rows.

    What is no array has ``pack()`` too, which gives arrays by name that say the same.
    """

    def __len__(self) -> int:
        """The number of rows."""

    def __getitem__(self, rows: np.ndarray) -> Any:
        """The rows that an index array or a mask chooses."""


class Ragged:
    """The values of all rows, end to end, as those of spans in texts.

    Rows are chosen as those of an array are: by index, by slice, or by a mask.

    Args:
        values: (n, …), those of the first row first.
        lengths: (rows,) int, how many values each row has; they sum to n.

    Example:
        >>> spans = Ragged.of([[(0, 4)], [], [(2, 3), (5, 9)]], np.zeros((0, 2), int))
        >>> len(spans), spans[2].tolist(), spans[[2, 0]].lengths.tolist()
        (3, [[2, 3], [5, 9]], [2, 1])
    """

    def __init__(self, values: np.ndarray, lengths: np.ndarray):
        self.values, self.lengths = np.asarray(values), np.asarray(lengths, np.int64)
        if self.lengths.ndim != 1 or (self.lengths < 0).any():
            raise ValueError("Every row has a number of values, at least 0.")
        if self.lengths.sum() != len(self.values):
            raise ValueError(
                f"The rows have {self.lengths.sum()} values.\nReceived {len(self.values)}."
            )
        self.starts = np.cumsum(self.lengths) - self.lengths

    @classmethod
    def of(cls, rows: Sequence, none: np.ndarray) -> Ragged:
        """From a list of lists; ``none``, (0, …), says what a value is like where there is none."""
        parts = [none, *(np.asarray(row, none.dtype) for row in rows if len(row))]
        return cls(np.concatenate(parts), np.fromiter(map(len, rows), np.int64, len(rows)))

    @classmethod
    def unpack(cls, arrays: Mapping[str, np.ndarray]) -> Ragged:
        """From what `pack` gave.

        Raises:
            ValueError: the arrays do not fit together.
        """
        if set(arrays) != {"values", "lengths"} or arrays["lengths"].dtype.kind not in "iu":
            raise ValueError("It needs values, and lengths that are whole numbers.")
        return cls(arrays["values"], arrays["lengths"])

    def pack(self) -> dict[str, np.ndarray]:
        """Arrays that say the same."""
        return {"values": self.values, "lengths": self.lengths}

    @property
    def row_numbers(self) -> np.ndarray:
        """(n,) int: the row of each value."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[row] for row in range(len(self)))

    def __getitem__(self, rows) -> np.ndarray | Ragged:
        """The values of a row by its number; else the rows that an index array, a mask or a slice
        chooses.
        """
        chosen = np.arange(len(self))[rows]
        if chosen.ndim == 0:
            start = self.starts[chosen]
            return self.values[start : start + self.lengths[chosen]]
        lengths = self.lengths[chosen]
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return self.like(self.values[np.repeat(self.starts[chosen], lengths) + within], lengths)

    def like(self, values: np.ndarray, lengths: np.ndarray) -> Ragged:
        """Other values, with whatever else this one knows."""
        return type(self)(values, lengths)


def as_answers(values) -> Answers:
    """Values as they are where they can be packed, else as an array."""
    return values if hasattr(values, "pack") else np.asarray(values)


def packed(values: Answers) -> dict[str, np.ndarray]:
    """Arrays by name that say the same; an array's own name is empty."""
    return values.pack() if hasattr(values, "pack") else {"": values}


def joined(parts: Sequence[Answers]) -> Answers:
    """The rows of several, one after the other."""
    if not hasattr(parts[0], "pack"):
        return np.concatenate(parts)
    values, lengths = (np.concatenate([getattr(p, name) for p in parts]) for name in _PARTS)
    return parts[0].like(values, lengths)


def digest_of(values: Answers) -> int:
    """A number that is equal for equal answers."""
    if hasattr(values, "pack"):
        parts = sorted(values.pack().items())
        return hash(tuple((name, part.shape, part.tobytes()) for name, part in parts))
    return hash(np.asarray(values, np.float64).tobytes())
