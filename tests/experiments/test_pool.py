"""Several processes do what one does: how many there are, what they refuse, and that the results
are the same.
"""

import json
import os
import signal
import threading
import time
from pathlib import Path

import joblib
import numpy as np
import pytest

from tests.benchmarks.workers import scores, workers
from tests.experiments import FAST, make_experiment
from tf_transfer.comparison.compare import compare
from tf_transfer.devices.workers import versions
from tf_transfer.errors import DataError, DistributionError, PenaltyWarning
from tf_transfer.experiments import pool
from tf_transfer.experiments.experiment import load_experiment
from tf_transfer.experiments.pool import Pool
from tf_transfer.experiments.runs import Run
from tf_transfer.experiments.units import Unit

UNITS = [Unit("majority", seed) for seed in range(6)]


@pytest.fixture
def cores(monkeypatch):
    """A machine of eight cores and 10 GB."""
    monkeypatch.setattr(
        joblib.parallel.BACKENDS["loky"], "effective_n_jobs", lambda backend, n_jobs: 8
    )
    monkeypatch.setattr(pool, "available_gb", lambda: 10.0)


def make_pool(workers, units=6, needed_gb=1.0, **options) -> Pool:
    return Pool(
        load_experiment(make_experiment(workers=workers)), UNITS[:units], needed_gb, **options
    )


@pytest.mark.parametrize(
    ("workers", "units", "needed_gb", "count", "threads"),
    [
        (2, 6, 1.0, 2, 3),  # of four that each could have
        (4, 6, 1.0, 4, 2),
        (4, 3, 1.0, 3, 2),
        ("auto", 6, 1.0, 6, 1),
        ("auto", 6, 3.0, 3, 2),
        ("auto", 6, 30.0, 1, 3),
        ({"n_jobs": 2}, 6, 1.0, 2, 3),
        ({"backend": "loky"}, 6, 1.0, 6, 1),
        (99, 6, 1.0, 6, 1),
    ],
)
def test_as_many_processes_as_are_asked_for_and_have_work_cores_and_memory(
    cores, workers, units, needed_gb, count, threads
):
    found = make_pool(workers, units, needed_gb)
    assert (found.count, found.threads) == (count, threads)


@pytest.mark.parametrize(
    ("workers", "units", "sentence"),
    [
        ("auto", 3, "3 processes share the work, with 2 threads each."),
        (6, 6, "6 processes share the work, with 1 thread each."),
        (
            99,
            6,
            "6 processes share the work, with 1 thread each. 99 were asked for, for 8 cores and 6 "
            "units of work.",
        ),
        (2, 1, "One process works. 2 were asked for, for 8 cores and 1 unit of work."),
        ("auto", 1, "One process works."),
    ],
)
def test_how_many_there_are_is_said_in_words(cores, workers, units, sentence):
    assert make_pool(workers, units).sentence == sentence


def test_where_nobody_knows_the_memory_the_cores_decide(cores, monkeypatch):
    monkeypatch.setattr(pool, "available_gb", lambda: float("inf"))
    assert make_pool("auto").count == 6 and make_pool(2).count == 2


@pytest.mark.parametrize(("n_jobs", "count"), [(-1, 6), (None, 6), ("auto", 6), (2, 2)])
def test_the_number_among_joblibs_arguments_is_joblibs(cores, n_jobs, count):
    assert make_pool({"n_jobs": n_jobs}).count == count


@pytest.mark.parametrize("n_jobs", [0, 2.5, "two", True])
def test_a_number_that_is_none_is_refused_there_too(cores, n_jobs):
    with pytest.raises(DataError, match="n_jobs of workers"):
        make_pool({"n_jobs": n_jobs})


def test_auto_is_one_process_where_there_is_an_accelerator_and_what_the_caller_has_configured(
    cores,
):
    assert make_pool("auto", shareable=False).count == 1
    with joblib.parallel_config(n_jobs=3):
        assert make_pool("auto").count == 3


def test_more_workers_than_the_memory_holds_are_refused_with_the_number_that_fits(cores):
    with pytest.raises(DataError, match=r"(?s)5 workers need about 20\.0 GB.*10\.0 GB.*workers: 2"):
        make_pool(5, needed_gb=4.0)


@pytest.mark.parametrize("workers", [0, -1, "many", 1.5, None])
def test_a_number_of_workers_that_is_none_is_refused(workers):
    with pytest.raises(DataError, match="workers"):
        load_experiment(make_experiment(workers=workers))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "nowhere"}, "nowhere"),
        ({"backend": "threading"}, "processes of their own"),
        ({"backend": "sequential"}, "processes of their own"),
        ({"backend": "multiprocessing"}, "processes of their own"),
    ],
)
def test_a_backend_that_is_not_there_or_runs_threads_is_refused(options, message):
    with pytest.raises(DataError, match=message):
        make_pool(options)


def test_a_worker_with_another_encoder_is_refused(tmp_path):
    Run(tmp_path).start({"encoder": "a" * 64}, {}, {"plan": {}})
    pool._check_encoder(Run(tmp_path), "a" * 64)
    with pytest.raises(DistributionError, match="encoder"):
        pool._check_encoder(Run(tmp_path), "b" * 64)


def test_a_worker_with_other_packages_or_without_the_folder_is_refused(tmp_path):
    Run(tmp_path / "here").start({}, {}, {"plan": {}})
    run, digest = (
        Run(tmp_path / "here"),
        json.loads((tmp_path / "here" / "run.json").read_text())["digest"],
    )
    pool._check_place(run, digest, versions())
    with pytest.raises(
        DistributionError, match=r"(?s)tensorflow: 1\.0 there, .* on a worker.*same versions"
    ):
        pool._check_place(run, digest, versions() | {"tensorflow": "1.0"})
    with pytest.raises(DistributionError, match="another run"):
        pool._check_place(run, "0" * 64, versions())
    with pytest.raises(DistributionError, match="see the folder"):
        pool._check_place(Run(tmp_path / "elsewhere"), digest, versions())


def run_alone(asked: dict, folder: Path) -> None:
    compare(asked, folder, verbose=0)


def strike_after(folder: Path, cells: int) -> None:
    """Kills one of the processes of a run when the run has that many cells."""

    def wait():
        while len(list((folder / "cells").rglob("*.npz"))) < cells:
            time.sleep(0.05)
        os.kill(workers()[0], signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


@pytest.mark.slow
@pytest.mark.skipif(
    joblib.cpu_count() < 2 or not Path("/proc/self/stat").exists(),
    reason="needs two cores, and Linux to find a process",
)
def test_two_processes_find_what_one_does_also_when_one_of_them_is_killed(encoder_folder, tmp_path):
    strategies = [
        "tfidf",
        "majority",
        {"fine_tune": FAST},
        {"target_only": {"adapt_steps": 1}},
        "linear_probe",
    ]
    asked = make_experiment(
        encoder={"name": str(encoder_folder), "max_length": 16}, strategies=strategies
    )
    said, told = [], []
    # In a process of its own: the graphs of this one are not rewritten.
    joblib.Parallel(2)([joblib.delayed(run_alone)(asked, tmp_path / "one")])
    strike_after(tmp_path / "two", cells=5)
    # of a source's head, in another process
    with pytest.warns(PenaltyWarning, match="The penalty of task 'mood'"):
        compare(
            asked | {"workers": 2},
            tmp_path / "two",
            say=lambda *what: said.append(what),
            note=told.append,
        )
    alone, together = scores(tmp_path / "one"), scores(tmp_path / "two")
    assert list(alone) == list(together) and len(alone) > 40
    assert all(np.array_equal(alone[name], together[name]) for name in alone)
    assert "A process has died: what was being computed is begun anew." in told
    assert said[-1][1:] == (40, 40) and [done for _, done, _ in said] == sorted(
        done for _, done, _ in said
    )
    assert not list((tmp_path / "two" / "fitted").iterdir())
