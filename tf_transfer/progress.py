"""How far long work is: a bar in a terminal and in a notebook, plain lines in a file and in a
log.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import TextIO

SECONDS = 15
"""Between two plain lines."""

DONE = "done"
"""What is said last."""

_BAR = "{n_fmt} of {total_fmt} |{bar}| {elapsed}, {remaining} left: {desc}"

Say = Callable[[str, int, int], None]
"""Called with what goes on, and the numbers of parts done and in all; 0 in all while nobody
knows.
"""


@contextlib.contextmanager
def progress(stream: TextIO | None = None) -> Iterator[Say]:
    """What is to be called as work goes on; it shows how much is done, and how long the rest will
    take at that pace.

    Args:
        stream: where to; None: standard error.

    Example:
        >>> with progress(sys.stdout) as say:
        ...     say("reading", 0, 2)
        0 of 2 done after 0:00: reading
    """
    stream = stream or sys.stderr
    if stream.isatty() or _in_notebook():
        from tqdm import tqdm

        with tqdm(file=stream, total=0, smoothing=0, dynamic_ncols=True, bar_format=_BAR) as bar:
            yield lambda what, done, of: _draw(bar, what, done, of)
    else:
        yield _Lines(stream)


def _draw(bar, what: str, done: int, of: int) -> None:
    if of and not bar.total:
        bar.reset(of)
        bar.initial = done  # an earlier process has done it
    bar.n = done
    bar.set_description_str(what)


def _in_notebook() -> bool:
    """Whether output goes to a cell of Jupyter or Colab, which draws a line anew as a terminal
    does.
    """
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return type(shell).__name__ in ("ZMQInteractiveShell", "Shell")


class _Lines:
    """A line at the start, at the end, and every `SECONDS` between."""

    def __init__(self, stream: TextIO):
        self._stream, self._start, self._told = stream, time.monotonic(), -SECONDS
        self._earlier: int | None = None  # done by an earlier process

    def __call__(self, what: str, done: int, of: int) -> None:
        took = time.monotonic() - self._start
        if of and self._earlier is None:
            self._earlier, self._told = done, -SECONDS
        if took - self._told < SECONDS and what != DONE:
            return
        self._told = took
        print(self._line(what, done, of, took), file=self._stream, flush=True)

    def _line(self, what: str, done: int, of: int, took: float) -> str:
        if not of:
            return what
        now = done - self._earlier
        left = f", about {_minutes(took * (of - done) / now)} left" if now and done < of else ""
        return f"{done} of {of} done after {_minutes(took)}{left}: {what}"


def _minutes(seconds: float) -> str:
    """``1:05``, minutes and seconds, or ``1:02:05``."""
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
