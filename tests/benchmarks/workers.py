"""Several processes that share a comparison: the time that they save, and that they find the same.

    python -m tests.benchmarks.workers [FOLDER] [--kills 20]

The demo's experiment with fewer rows, by one process, by two, by two on a dask cluster (which is
left out where `dask[distributed]` is not installed), and by two of which one is killed again and
again at random. It needs vader and bert-tiny in the cache, and a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import random
import signal
import tempfile
import threading
import time
from pathlib import Path

import joblib
import numpy as np

import tf_transfer
from tests.benchmarks.reporting import Report
from tf_transfer.comparison.compare import compare
from tf_transfer.experiments.yaml_file import read_yaml

ROWS = 1000
"""Of each source."""

RATIO = 0.65
"""Of the time of one process, that two may take."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--kills", type=int, default=20)
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="tf_transfer-workers-"))
    report = Report(f"The demo with {ROWS:,} rows of each source, by several processes")
    alone = run(folder / "one", workers=1)
    report.figure("one process", alone / 60, "min")
    report.figure(
        "two processes, against one", run(folder / "two", workers=2) / alone, at_most=RATIO
    )
    same("two processes", folder, "two", report)
    if importlib.util.find_spec("distributed"):
        with cluster():
            report.figure(
                "two processes of dask, against one", run(folder / "dask", workers="auto") / alone
            )
        same("two processes of dask", folder, "dask", report)
    if arguments.kills:
        with killer(arguments.kills) as killed:
            run(folder / "killed", workers=2)
        report.figure("processes killed", len(killed), at_least=arguments.kills, digits=0)
        same("with processes killed", folder, "killed", report)
    return report.finish()


def run(folder: Path, workers) -> float:
    """Compares, and returns the seconds."""
    experiment = read_yaml(
        Path(tf_transfer.__file__).parent / "command_line" / "demo" / "experiment.yaml"
    )
    for source in experiment["sources"].values():
        source["rows"] = ROWS
    start = time.perf_counter()
    compare(experiment | {"workers": workers}, folder).save()
    return time.perf_counter() - start


def same(name: str, folder: Path, other: str, report: Report) -> None:
    """Checks results, verdicts, and every array of every cell. What a cell cost is no result."""
    tables = [
        (folder / run / file).read_bytes()
        for file in ("results.csv", "verdicts.json")
        for run in ("one", other)
    ]
    ours, theirs = scores(folder / "one"), scores(folder / other)
    differing = [
        key
        for key in ours.keys() | theirs.keys()
        if not np.array_equal(ours.get(key), theirs.get(key))
    ]
    report.figure(f"{name}: arrays of predictions that differ", len(differing), at_most=0, digits=0,
                  detail=f"of {len(ours)}")  # fmt: skip
    alike = sum(first == second for first, second in zip(tables[::2], tables[1::2]))
    report.figure(
        f"{name}: results.csv and verdicts.json that are the same", alike, at_least=2, digits=0
    )


def scores(folder: Path) -> dict[str, np.ndarray]:
    found = {}
    for path in (folder / "cells").rglob("*.npz"):
        with np.load(path) as arrays:
            found |= {
                f"{path.relative_to(folder)} {name}": arrays[name]
                for name in arrays.files
                if "/" in name
            }
    return found


@contextlib.contextmanager
def cluster():
    """Two processes of dask on this machine, which joblib uses within it."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as local,
        Client(local),
        joblib.parallel_config("dask"),
    ):
        yield


@contextlib.contextmanager
def killer(times: int):
    """Kills one of joblib's processes at random moments; yields the list of those killed so far."""
    killed, ended, draws = [], threading.Event(), random.Random(0)

    def kill():
        while len(killed) < times and not ended.wait(draws.uniform(5, 40)):
            processes = workers()
            if processes:
                os.kill(draws.choice(processes), signal.SIGKILL)
                killed.append(time.time())

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    try:
        yield killed
    finally:
        ended.set()
        thread.join()


def workers() -> list[int]:
    """The processes that joblib has started from this one."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended
            parent = (folder / "stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[1]
            if parent == str(os.getpid()) and b"LokyProcess" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found


if __name__ == "__main__":
    raise SystemExit(main())
