"""A report as Markdown that reads well as it is and on a code-hosting site; every text from data is
escaped.
"""

from __future__ import annotations

import functools
import html
import re

import pandas as pd

from tf_transfer.report import blocks, wording
from tf_transfer.report.wording import SYMBOLS

_WIDTH = 25
"""Characters of a drawn interval."""


def to_markdown(report: blocks.Report) -> str:
    """The report as GitHub-flavoured Markdown (tables and ``<details>``)."""
    parts = [f"# {escaped(report.title)}: did transfer help?"]
    parts.append(f"**{report.symbol} {escaped(report.word)}.** {escaped(report.sentence)}")
    if report.warning:
        parts.append(f"⚠ {escaped(report.warning)} See the last section.")
    parts += [_block(b) for b in report.opening]
    for section in report.sections:
        parts += [f"## {escaped(section.title)}", *(_block(b) for b in section.blocks)]
    return "\n\n".join(part for part in parts if part) + "\n"


def escaped(text: object) -> str:
    """A text from data as one line that Markdown and HTML leave as it is."""
    text = html.escape(_one_line(text), quote=False)
    text = re.sub(r"([\\`*\[|~$]|(?<![^\W_])_|_(?![^\W_]))", r"\\\1", text)
    # Neither links nor mentions of people nor emoji come from data.
    return re.sub(r"(?i)(?<=\bwww)\.|:(?=//|[\w+-]+:)|@(?=\w)", lambda m: f"\\{m.group()}", text)


def _line(text: object) -> str:
    """`escaped`, and neither heading nor list where it begins a line."""
    return re.sub(
        r"^([-+=#]|\d+[.)])", lambda m: f"{m.group()[:-1]}\\{m.group()[-1]}", escaped(text)
    )


def _one_line(text: object) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())


@functools.singledispatch
def _block(block) -> str:
    raise TypeError(f"no Markdown for a {type(block).__name__}")


@_block.register
def _(block: blocks.Text) -> str:
    return _line(block.text)


@_block.register
def _(block: blocks.Notes) -> str:
    return "\n".join(f"- {_line(item)}" for item in block.items)


@_block.register
def _(block: blocks.Facts) -> str:
    return _grid(("", ""), [(escaped(name), escaped(value)) for name, value in block.entries])


@_block.register
def _(block: blocks.Code) -> str:
    longest = max((len(run) for run in re.findall(r"`{3,}", block.text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{block.language}\n{block.text.rstrip()}\n{fence}"


@_block.register
def _(block: blocks.Chart) -> str:
    return _block(block.table)


@_block.register
def _(block: blocks.Panel) -> str:
    detail = f" ({escaped(block.detail)})" if block.detail else ""
    return "\n\n".join([f"### {escaped(block.title)}{detail}", *(_block(b) for b in block.blocks)])


@_block.register
def _(block: blocks.Grid) -> str:
    return "\n\n".join(_block(panel) for panel in block.panels)


@_block.register
def _(block: blocks.Fold) -> str:
    inside = "\n\n".join(_block(b) for b in block.blocks)
    title = html.escape(_one_line(block.title))  # HTML, in which backslashes would be seen
    return f"<details>\n<summary>{title}</summary>\n\n{inside}\n\n</details>"


@_block.register
def _(block: blocks.Table) -> str:
    head = [escaped(name) for name in block.head]
    if block.scale is not None:
        head[1] = f"`{_axis(block.scale)}`"
    rows = []
    for row in block.rows:
        if isinstance(row, blocks.Group):
            rows.append((f"**{escaped(row.text)}**", *[""] * (len(head) - 1)))
        elif isinstance(row, blocks.Remark):
            rows.append((*[""] * (len(head) - 1), escaped(row.text)))
        else:
            rows.append([_cell(cell, block.scale) for cell in row])
    return _grid(head, rows)


def _grid(head, rows) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(cell, scale: blocks.Scale | None) -> str:
    if isinstance(cell, str):
        return escaped(cell)
    if isinstance(cell, blocks.Span):
        return f"`{_bar(cell, scale)}`"
    text = escaped(cell.text)
    if cell.code:
        text = f"<code>{text}</code>"
    if cell.strong and text:
        text = f"**{text}**"
    symbol = SYMBOLS.get(cell.verdict, "")
    return " ".join(part for part in (symbol, text, escaped(cell.quiet)) if part)


def _bar(span: blocks.Span, scale: blocks.Scale) -> str:
    """``··├──▲──┤·┊····``: the interval, its value and 0."""
    line = ["·"] * _WIDTH
    line[_column(0.0, scale)] = "┊"
    if not any(pd.isna(v) for v in (span.low, span.value, span.high)):
        low, value, high = (_column(v, scale) for v in (span.low, span.value, span.high))
        line[low : high + 1] = "─" * (high + 1 - low)
        line[low] = "◂" if span.low < scale.low else "├"
        line[high] = "▸" if span.high > scale.high else "┤"
        line[value] = SYMBOLS.get(span.verdict, "●")
    return "".join(line)


def _axis(scale: blocks.Scale) -> str:
    """The outermost ticks and 0, above their columns."""
    line = [" "] * _WIDTH
    for tick in sorted(scale.ticks, key=abs, reverse=True):
        words = wording.tick(tick)
        start = min(max(_column(tick, scale) - len(words) // 2, 0), _WIDTH - len(words))
        around = line[max(start - 1, 0) : start + len(words) + 1]
        if tick == 0 or set(around) == {" "}:
            line[start : start + len(words)] = words
    return "".join(line).replace(" ", "·") if "".join(line).strip() else "·" * _WIDTH


def _column(value: float, scale: blocks.Scale) -> int:
    return round(scale.place(value) * (_WIDTH - 1))
