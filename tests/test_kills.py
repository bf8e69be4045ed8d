"""Kills of the jobs that `tests.benchmarks.kills` kills everywhere, at a few places."""

import os

import pytest

from tests.kills import Bench

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX signals")


@pytest.fixture
def killed(tmp_path):
    """Kills a job at some of its file operations, given as shares of all; what was lost, and what
    wrong at the end.
    """

    def kill(name: str, *shares: float) -> list[str]:
        bench, problems = Bench(name, tmp_path / "bench"), []
        for number in sorted({max(1, round(share * bench.operations)) for share in shares}):
            bench.reset()
            assert bench.kill(at=number)
            problems += [f"operation {number}: {line}" for line in bench.lost() + bench.finish()]
        return problems

    return kill


@pytest.mark.slow
def test_a_killed_fetch_leaves_nothing_to_the_next(killed):
    assert killed("fetch", 0.3, 0.6, 1.0) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["save", "save in two steps", "fetch with pip", "fit with Resume", "compare", "tune"]
)
def test_a_killed_job_ends_with_the_same_bits(killed, name):
    assert killed(name, 0.1, 0.4, 0.7, 1.0) == []


def test_what_is_lost_or_left_over_would_be_seen(tmp_path):
    bench = Bench("fetch", tmp_path / "bench")
    (bench.folder / "asset" / "vocab.txt").unlink()
    assert bench.lost() == ["neither the old nor the new"]
    bench.reset()
    (bench.folder / "other.part").touch()
    assert bench.finish() == ["another result", "left over: other.part"]
