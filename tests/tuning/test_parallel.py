"""A chief and two workers share a search, each a process of its own."""

import os
import re
import socket
import subprocess
import sys

import pytest

from tests.tuning.worker import experiment
from tf_transfer.errors import DataError
from tf_transfer.tuning.tune import tune


@pytest.fixture
def start(encoder_folder, tmp_path):
    """Starts a process of the shared search; the folder is ``tmp_path / "shared"``."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        place = {
            "KERASTUNER_ORACLE_IP": "127.0.0.1",
            "KERASTUNER_ORACLE_PORT": str(probe.getsockname()[1]),
        }
    started = []

    def call(name: str, *rows: int) -> subprocess.Popen:
        command = [
            sys.executable,
            "-m",
            "tests.tuning.worker",
            str(encoder_folder),
            str(tmp_path / "shared"),
        ]
        process = subprocess.Popen(
            [*command, *map(str, rows)],
            env=os.environ | place | {"KERASTUNER_TUNER_ID": name},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        started.append(process)
        return process

    yield call
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_two_workers_find_what_one_process_finds(start, encoder_folder, tmp_path):
    """Random trials without early stopping do not depend on who runs them, nor on the order in
    which they end.
    """
    processes = {name: start(name) for name in ("chief", "first", "second")}
    said = {name: process.communicate(timeout=300) for name, process in processes.items()}
    assert {name: process.returncode for name, process in processes.items()} == dict.fromkeys(
        processes, 0
    ), said
    ran = {
        name: set(re.findall(r"^trial (\d+): ", out, flags=re.MULTILINE))
        for name, (out, _) in said.items()
    }
    assert not ran["chief"] and ran["first"] and ran["second"]
    assert not ran["first"] & ran["second"] and len(ran["first"] | ran["second"]) == 8
    alone = tune(experiment(str(encoder_folder)), tmp_path / "alone")
    shared = tune(experiment(str(encoder_folder)), tmp_path / "shared")
    for result in (alone, shared):
        result.table = result.trials.drop(columns="seconds").to_csv(index=False)
    assert shared.table == alone.table and shared.best == alone.best


@pytest.mark.slow
def test_a_worker_with_other_data_is_refused(start, tmp_path):
    start("chief")
    worker = start("first", 23)
    _, error = worker.communicate(timeout=300)
    assert worker.returncode and "differ from the chief's: labelled rows" in error
    assert not list((tmp_path / "shared").glob("trial_*"))


def test_half_an_address_of_the_chief_is_an_error(encoder_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    monkeypatch.delenv("KERASTUNER_ORACLE_PORT", raising=False)
    with pytest.raises(DataError, match="no KERASTUNER_ORACLE_PORT"):
        tune(experiment(str(encoder_folder)), tmp_path / "s")
    assert not (tmp_path / "s").exists()
