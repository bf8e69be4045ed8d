"""A report as one HTML page that needs nothing else: no network, no fonts, no scripts."""

from __future__ import annotations

import functools
import re

import jinja2
import pandas as pd

from tf_transfer.report import blocks, plots
from tf_transfer.report.svg import inline_svg
from tf_transfer.report.wording import SYMBOLS, tick

_COLOURS = {plots.INK: "currentColor", plots.MUTED: "var(--muted)"}
_COLOURS |= {colour: f"var(--line-{i})" for i, colour in enumerate(plots.COLOURS)}
_INTERVAL = re.compile(r"(\[[^\s\]]+,) (?=[^\s\]]+\])")
"""An interval, which is not to be broken over two lines."""
_CONTROLS = {code: "\ufffd" for code in [*range(32), *range(127, 160)] if chr(code) not in "\t\n\r"}
"""Characters that no page may hold, and no reader sees."""
_GAP = blocks.Span(float("nan"), float("nan"), float("nan"))


def to_html(report: blocks.Report) -> str:
    """The page; every text is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tf_transfer.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("report.html.j2").render(
        report=report,
        symbols=SYMBOLS,
        named=tick,
        drawn=_drawn,
        gap=_GAP,
        svg=_Drawings().svg,
        sentence=_INTERVAL.sub("\\1\N{NO-BREAK SPACE}", report.sentence),
    )
    # Half a surrogate pair, as broken tables hold them, is no UTF-8.
    return page.translate(_CONTROLS).encode("utf-8", "xmlcharrefreplace").decode()


class _Drawings:
    """Figures as markup, numbered so that their identifiers differ."""

    def __init__(self):
        self._count = 0

    def svg(self, chart: blocks.Chart) -> str:
        self._count += 1
        return inline_svg(chart.figure, f"chart-{self._count}", chart.description, _COLOURS)


def _drawn(span: blocks.Span, scale: blocks.Scale) -> dict | None:
    """Places of an interval in percent of the scale, and which of its ends lie beyond it."""
    if any(pd.isna(v) for v in (span.low, span.value, span.high)):
        return None
    place = functools.partial(_percent, scale)
    ends = {"low": place(span.low), "value": place(span.value), "high": place(span.high)}
    return ends | {"cut_low": span.low < scale.low, "cut_high": span.high > scale.high}


def _percent(scale: blocks.Scale, value: float) -> str:
    return f"{100 * scale.place(value):.2f}%"
