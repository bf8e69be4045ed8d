"""What every benchmark's exit code rests on, without a model or a rival."""

from __future__ import annotations

import sys

import pytest

from tests.benchmarks.reporting import Report
from tests.benchmarks.sides import PEERS, Side, SideError, in_turn, peer_side


@pytest.mark.parametrize(
    ("bound", "code"),
    [
        ({"at_most": 2.0}, 0),
        ({"at_most": 1.9}, 1),
        ({"at_least": 2.0}, 0),
        ({"at_least": 2.1}, 1),
        ({}, 0),
    ],
)
def test_exit_code_follows_the_bound(bound, code, capsys):
    report = Report("title")
    report.figure("ratio", 2.0, **bound)
    assert report.finish() == code
    assert ("SHORT ratio" in capsys.readouterr().out) == bool(code)


def test_nan_meets_no_bound():
    for bound in ({"at_most": 1.0}, {"at_least": 1.0}):
        report = Report("title")
        report.figure("ratio", float("nan"), **bound)
        assert report.finish() == 1


def test_one_short_figure_is_enough():
    report = Report("title")
    report.figure("first", 2.0, at_most=1.0)
    report.figure("second", 0.5, at_most=1.0)
    assert report.finish() == 1


def test_missing_comparison_does_not_pass(capsys):
    report = Report("title")
    report.missing("the comparison", "no rival")
    assert report.finish() == 1
    assert "the comparison is missing" in capsys.readouterr().out


def test_sides_take_turns():
    asked = []
    turns = {
        name: lambda number, name=name: asked.append((name, number)) or number for name in "AB"
    }
    assert in_turn(turns, 2) == {"A": [0, 1], "B": [0, 1]}
    assert asked == [("A", 0), ("B", 0), ("A", 1), ("B", 1)]


@pytest.mark.parametrize("python", [None, "no-such-python", sys.executable])
def test_without_a_rival_the_reason_is_given(python, monkeypatch):
    if python:
        monkeypatch.setenv(PEERS, python)
    else:
        monkeypatch.delenv(PEERS, raising=False)
    with peer_side("tests.benchmarks.peers.no_such_module") as peer:
        assert isinstance(peer, str) and PEERS in peer and "peers/README.md" in peer


def test_a_side_that_ends_shows_its_last_words():
    with pytest.raises(SideError, match=r"No module named tests\.benchmarks\.absent"):
        Side(sys.executable, "tests.benchmarks.absent")
