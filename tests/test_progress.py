"""How far long work is, in a terminal, in a notebook, and in a file."""

import io
import sys
import types

import pytest

from tf_transfer import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_file_gets_a_line_at_the_start_at_the_end_and_now_and_then_with_the_time_that_is_left(
    clock,
):
    stream = io.StringIO()
    with progress.progress(stream) as say:
        say("reading data", 0, 0)
        for done in range(11):
            say(f"part {done}", done, 10)
            clock[0] += 6
        say("done", 10, 10)
    assert stream.getvalue().splitlines() == [
        "reading data",
        "0 of 10 done after 0:00: part 0",
        "3 of 10 done after 0:18, about 0:42 left: part 3",
        "6 of 10 done after 0:36, about 0:24 left: part 6",
        "9 of 10 done after 0:54, about 0:06 left: part 9",
        "10 of 10 done after 1:06: done",
    ]


def test_what_an_earlier_process_has_done_took_this_one_no_time(clock):
    stream = io.StringIO()
    with progress.progress(stream) as say:
        say("part 8", 8, 10)
        clock[0] += 3600
        say("part 9", 9, 10)
    assert (
        stream.getvalue().splitlines()[-1]
        == "9 of 10 done after 1:00:00, about 1:00:00 left: part 9"
    )


def test_a_terminal_gets_one_line_that_is_drawn_anew():
    stream = Terminal()
    with progress.progress(stream) as say:
        say("reading data", 0, 0)
        say("part 4", 4, 10)
        say("part 5", 5, 10)
    text = stream.getvalue()
    assert text.count("\n") == 1 and "\r" in text
    assert "5 of 10" in text and text.rstrip().endswith("part 5")


@pytest.mark.parametrize(("shell", "drawn"), [("ZMQInteractiveShell", True), ("NoneType", False)])
def test_a_cell_of_a_notebook_gets_that_line_too(monkeypatch, shell, drawn):
    found = type(shell, (), {})()
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: found))
    stream = io.StringIO()
    with progress.progress(stream) as say:
        say("part 1", 1, 2)
    assert ("\r" in stream.getvalue()) == drawn
