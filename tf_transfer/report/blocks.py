"""What a report is made of, whatever its format: sections of blocks that hold plain texts and
numbers.

Nothing here is markup. `html` and `markdown` turn the same blocks into their formats and escape
every text.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar


@dataclasses.dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Args:
        text: what it says.
        verdict: a key of `wording.SYMBOLS`: its symbol stands before the text, and colours it.
        strong: the one to look at.
        quiet: a second line, or a word beside the text.
        share: in [0, 1], how dark the cell is shaded beside its number; NaN: not at all.
        code: a hash or a name to copy.
    """

    text: str
    verdict: str = ""
    strong: bool = False
    quiet: str = ""
    share: float = float("nan")
    code: bool = False
    kind: ClassVar[str] = "cell"


@dataclasses.dataclass(frozen=True)
class Span:
    """An interval that is drawn: a mark at ``value`` on a line from ``low`` to ``high``, on the
    table's scale.
    """

    low: float
    value: float
    high: float
    verdict: str = ""
    kind: ClassVar[str] = "interval"


@dataclasses.dataclass(frozen=True)
class Group:
    """A row that names the rows below it."""

    text: str
    kind: ClassVar[str] = "group"


@dataclasses.dataclass(frozen=True)
class Remark:
    """A quiet line about the row above it."""

    text: str
    kind: ClassVar[str] = "remark"


@dataclasses.dataclass(frozen=True)
class Scale:
    """The axis of a column of `Span`: its ends, and the values that are named."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def place(self, value: float) -> float:
        """Where ``value`` lies, in [0, 1]; what is outside, at the end."""
        return min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows of cells below a head.

    Args:
        label: what is in it, for readers who do not see it.
        head: a text for each column; the first column names the row.
        rows: `Group`, `Remark`, or tuples of `Cell`, `Span` and plain texts, as long as the head.
        scale: of its `Span` column.
        wide: it needs the page's whole width.
    """

    label: str
    head: tuple[str, ...]
    rows: tuple
    scale: Scale | None = None
    wide: bool = False
    kind: ClassVar[str] = "table"


@dataclasses.dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str
    quiet: bool = False
    kind: ClassVar[str] = "text"


@dataclasses.dataclass(frozen=True)
class Notes:
    """A list of sentences."""

    items: tuple[str, ...]
    kind: ClassVar[str] = "notes"


@dataclasses.dataclass(frozen=True)
class Facts:
    """Names and values."""

    entries: tuple[tuple[str, str], ...]
    kind: ClassVar[str] = "facts"


@dataclasses.dataclass(frozen=True)
class Code:
    """Lines to copy."""

    text: str
    language: str = ""
    kind: ClassVar[str] = "code"


@dataclasses.dataclass(frozen=True)
class Chart:
    """A drawing, and the table of what it shows for formats without drawings.

    Args:
        figure: a Matplotlib figure.
        description: what a reader without sight is told.
        table: the numbers.
    """

    figure: object
    description: str
    table: Table
    kind: ClassVar[str] = "chart"


@dataclasses.dataclass(frozen=True)
class Panel:
    """Blocks under a small heading, beside others of the same shape."""

    title: str
    detail: str
    blocks: tuple
    kind: ClassVar[str] = "panel"


@dataclasses.dataclass(frozen=True)
class Grid:
    """Panels side by side where there is room."""

    panels: tuple[Panel, ...]
    kind: ClassVar[str] = "grid"


@dataclasses.dataclass(frozen=True)
class Fold:
    """Blocks that are folded away until they are asked for."""

    title: str
    blocks: tuple
    kind: ClassVar[str] = "fold"


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of the report with a heading; ``name`` is what links lead to."""

    name: str
    title: str
    blocks: tuple


@dataclasses.dataclass(frozen=True)
class Report:
    """The whole of it.

    Args:
        title: of the run.
        verdict: one of `wording.SYMBOLS`, or ``"mixed"``.
        symbol: of the verdict.
        word: the verdict in a word or two.
        sentence: the verdict with its evidence.
        opening: blocks that stand before the first heading.
        warning: one sentence where cells could not be used; else empty.
        sections: in the order in which they are read.
    """

    title: str
    verdict: str
    symbol: str
    word: str
    sentence: str
    opening: tuple
    warning: str
    sections: tuple[Section, ...]
