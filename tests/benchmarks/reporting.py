"""How a benchmark reports: one line a figure with its bound, and exit code 1 when one falls
short.
"""

from __future__ import annotations

import os
import textwrap


class Report:
    """Prints figures as they come and keeps which fell short.

    Args:
        title: what the benchmark measures, with its conditions.
    """

    def __init__(self, title: str):
        self._short: list[str] = []
        print(title, flush=True)

    def figure(
        self, name: str, value: float, unit: str = "", *, at_most: float | None = None,
        at_least: float | None = None, digits: int = 2, detail: str = "",
    ) -> None:  # fmt: skip
        """One figure on a line of its own; without a bound it is there for information.

        Args:
            at_most, at_least: the bound, at most one of the two; a NaN meets no bound.
            detail: how the figure was found, such as the single rounds.
        """
        good = at_most is None or value <= at_most
        good = good and (at_least is None or value >= at_least)
        bound = "" if at_most is None else f"at most {at_most:g}"
        bound = bound if at_least is None else f"at least {at_least:g}"
        verdict = ("ok" if good else "SHORT") if bound else ""
        number = f"{value:,.{digits}f} {unit}".rstrip()
        print(f"{verdict:<6}{name:<58} {number:>14}  {bound:<14} {detail}".rstrip(), flush=True)
        if not good:
            self._short.append(name)

    def note(self, text: str) -> None:
        """A remark under the figures."""
        print(textwrap.indent(text, " " * 6), flush=True)

    def missing(self, what: str, reason: str) -> None:
        """A comparison or figure that there is none of; the benchmark then does not pass."""
        print(f"SHORT {what} is missing.", flush=True)
        self.note(reason)
        self._short.append(what)

    def finish(self) -> int:
        """The exit code: 0 when every bound was met, else 1."""
        load = (
            " ".join(f"{value:.2f}" for value in os.getloadavg())
            if hasattr(os, "getloadavg")
            else "unknown"
        )
        self.note(f"load of the machine over 1, 5 and 15 minutes: {load}")
        short = ", ".join(self._short)
        print(f"Fell short: {short}." if short else "Every bound was met.", flush=True)
        return 1 if short else 0
