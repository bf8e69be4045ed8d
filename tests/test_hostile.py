"""A few of the inputs that `tests.benchmarks.hostile` tries by the thousand."""

import os
import signal
import sys
from pathlib import Path

import pytest

from tests.hostile import Kind, Outcome, _half_written
from tf_transfer.assets import registry
from tf_transfer.devices.backend import tf

COUNTS = {
    "tables": 8,
    "experiment_files": 30,
    "names": 40,
    "archives": 40,
    "episodes": 30,
    "runs": 8,
    "encoders": 12,
    "checkpoints": 8,
    "command_line": 8,
}


@pytest.fixture
def in_time():
    """Where something is waited for without end, such as a pipe, the test fails."""

    def give_up(*arguments):
        raise AssertionError("it takes longer than a minute")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def faults(name: str, root, first: int = 0) -> list[Outcome]:
    kind = Kind(name, root / "kind")
    outcomes = [kind.try_one(number) for number in range(first, first + COUNTS[name])]
    assert {outcome.answer for outcome in outcomes} >= {"refused"}
    return [
        outcome for outcome in outcomes if outcome.fault or outcome.seconds > 10 or outcome.gb > 2
    ]


@pytest.mark.parametrize("name", ["tables", "experiment_files", "names", "archives", "episodes"])
def test_hostile_files_are_refused_or_taken(name, tmp_path, in_time):
    assert faults(name, tmp_path) == []


@pytest.mark.parametrize(
    "name",
    [
        "runs",
        "encoders",
        pytest.param("checkpoints", marks=pytest.mark.slow),
        pytest.param("command_line", marks=pytest.mark.slow),
    ],
)
def test_hostile_folders_are_refused_or_taken(name, tmp_path, in_time):
    assert faults(name, tmp_path) == []


def test_an_input_leaves_nothing_behind_in_the_process(tmp_path):
    def state():
        return (
            dict(os.environ),
            dict(registry.ENTRIES),
            sys.argv,
            tf.config.functions_run_eagerly(),
            Path.cwd(),
        )

    before = state()
    for name in ("archives", "runs"):
        Kind(name, tmp_path / name).try_one(0)
    assert state() == before


def test_the_same_number_makes_the_same_input(tmp_path):
    for name in ("experiment_files", "episodes"):
        first, second = (Kind(name, tmp_path / name / str(i)) for i in range(2))
        for number in range(5):
            one, two = first.try_one(number), second.try_one(number)
            assert (one.answer, one.fault) == (two.answer, two.fault)
            files = [
                {p.name: p.read_bytes() for p in (k.root / "input").iterdir() if p.is_file()}
                for k in (first, second)
            ]
            assert files[0] == files[1]


@pytest.mark.parametrize(
    ("before", "after", "answer", "fault"),
    [
        ({}, {"a": b"x"}, "taken", ""),
        ({"a": b"x"}, {"a": b"x"}, "refused", ""),
        ({}, {"a": None}, "refused", ""),
        ({}, {"a": b"x"}, "refused", "although it was refused"),
        ({"a": b"x"}, {}, "refused", "although it was refused"),
        ({}, {".a.0123abcd.tf_transfer": b""}, "taken", "left behind"),
    ],
)
def test_half_written_files_would_be_seen(before, after, answer, fault):
    told = _half_written(before, after, answer)
    assert fault in told and bool(fault) == bool(told)
