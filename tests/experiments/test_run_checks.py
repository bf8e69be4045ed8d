"""Run folders that somebody made up, digests and all: one message, or a sentence among what could
not be used.
"""

import json
import os
import zipfile

import numpy as np
import pytest

from tests.analysis.folders import change_run, make_table, noisy, write_run
from tf_transfer.comparison.comparison import Comparison
from tf_transfer.errors import CheckpointError
from tf_transfer.experiments.array_files import read_arrays, write_arrays
from tf_transfer.experiments.runs import Cell

ROWS = 30
RNG = np.random.default_rng(5)
Y = RNG.integers(0, 2, ROWS)
CELL = Cell("tweets", "fine_tune", 16, 1)


@pytest.fixture
def run(tmp_path):
    cells = {strategy: {16: noisy(RNG, Y, [0.7, 0.7])} for strategy in ("target_only", "fine_tune")}
    return write_run(
        tmp_path / "run", Y, cells, table=make_table(ROWS), rare_words={16: np.zeros(ROWS)}
    )


def refusal(run) -> str:
    with pytest.raises(CheckpointError) as error:
        Comparison(run.folder)
    return str(error.value)


def test_what_write_run_makes_is_sound(run):
    assert Comparison(run.folder).unusable == []
    assert Comparison(run.folder).run.read_rows("tweets")[0] is not None


@pytest.mark.parametrize("how", ["removed", "of another content"])
def test_a_run_without_its_digest_is_refused(run, how):
    content = json.loads((run.folder / "run.json").read_text())
    content["provenance"]["plan"]["seeds"] = [0]
    if how == "removed":
        content.pop("digest")
    (run.folder / "run.json").write_text(json.dumps(content))
    assert "run.json is not as it was written" in refusal(run)


LISTS = [{"name": "mood", "kind": "classification", "classes": [[1], [2]]}]


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("targets", ["../../secret"], "The name of a target is used for files"),
        ("targets", "abc", "targets: Input"),
        ("strategies", ["target_only", "a/b"], "The name of a strategy is used for files"),
        ("strategies", [], "strategie"),
        ("seeds", "abc", "seeds: Input should"),
        ("seeds", [0, 0], "occurs twice"),
        ("seeds", ["0"], "seeds.0"),
        ("seeds", [-1], "seeds.0"),
        ("budgets", None, "budgets: Input should"),
        ("budgets", [0], "budgets.0"),
        ("budgets", [True], "budgets.0"),
        ("budgets", list(range(1, 40_000)), "more than 50,000 cells"),
        ("baseline", "zero", "baseline 'zero' is none of its strategies"),
        ("baseline", ..., "baseline: this key is"),
        ("metrics", {"mood": "zzz"}, "'zzz' is no metric of task 'mood'"),
        ("metrics", {}, "None is no metric"),
        ("tasks", [{"name": "mood"}], "has no kind or classes"),
        ("tasks", [{"nam": "mood"}], "a task is none"),
        ("tasks", [3], "tasks.0"),
        ("tasks", LISTS, "A class must have a name"),
        ("tasks", [{"name": "a\0b"}], "control characters"),
        ("variants", {"a without ../b": ["a", "b"]}, "used for files"),
        ("variants", {"a": ["b"]}, "variants.a"),
        ("slices", {"tweets": 3}, "slices.tweets"),
        ("name", 3, "name: Input should"),
        ("source_strategies", {}, "source_"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(run, key, value, reason):
    def change(content):
        plan = content["provenance"]["plan"]
        plan[key] = value
        if value is ...:
            del plan[key]

    change_run(run, change)
    message = refusal(run)
    assert reason in message and "run.json is damaged" in message and message.count("\n") <= 7


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("packages", 3),
        ("rows", {"a": "b"}),
        ("sha256", [1]),
        ("experiment", "x"),
        ("started", {}),
        ("encoder", {"a": [1]}),
        ("plan", ...),
    ],
)
def test_records_that_cannot_be_are_refused(run, key, value):
    def change(content):
        content["provenance"][key] = value
        if value is ...:
            del content["provenance"][key]

    change_run(run, change)
    assert f"provenance.{key}" in refusal(run) or f"{key}" in refusal(run)


def unusable(run) -> str:
    (problem,) = Comparison(run.folder).unusable
    return problem


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({}, "it holds no labels"),
        ({"y/mood": Y}, "it holds no labels"),
        ({"y/mood": Y, "present/mood": np.ones(ROWS)}, "must hold labels of mood"),
        ({"y/mood": Y[:5], "present/mood": np.ones(ROWS, bool)}, "must hold labels of mood"),
        (
            {"y/mood": Y + 5, "present/mood": np.ones(ROWS, bool)},
            "holds labels that mood cannot have",
        ),
        (
            {"y/mood": Y / 2, "present/mood": np.ones(ROWS, bool)},
            "holds labels that mood cannot have",
        ),
        ({"y/mood": np.array("a"), "present/mood": np.array(True)}, "must hold labels of mood"),
        ({"y/other": Y, "present/other": np.ones(ROWS, bool)}, "must hold labels of mood"),
        ({"y/mood": Y, "present/mood": np.zeros(ROWS, bool)}, "holds labels that mood cannot have"),
        (
            {"y/mood": Y, "present/mood": np.ones(ROWS, bool), "groups": Y[:3]},
            "a group for each of its 30 rows",
        ),
    ],
)
def test_labels_that_cannot_be_leave_the_target_out(run, arrays, reason):
    write_arrays(
        run.folder / "targets" / "tweets.npz",
        arrays,
        {"leakage": {}} | run._target_identity("tweets"),
    )
    assert reason in unusable(run)


@pytest.mark.parametrize(
    "leakage", [None, 3, {"tables": 3}, {"tables": {"train": {"exact": "x"}}}, {"examples": [{}]}]
)
def test_an_audit_that_is_none_leaves_the_target_out(run, leakage):
    arrays = {"y/mood": Y, "present/mood": np.ones(ROWS, bool)}
    note = {"leakage": leakage} | run._target_identity("tweets")
    write_arrays(run.folder / "targets" / "tweets.npz", arrays, note)
    assert "is damaged: its leakage audit" in unusable(run)


@pytest.mark.parametrize(
    "cost",
    [
        {},
        {"source_seconds": "a"},
        {"source_seconds": -1.0, "target_seconds": 1.0},
        {"source_seconds": 1.0, "target_seconds": 1.0, "peak_gb": "much"},
    ],
)
def test_a_cost_that_is_none_leaves_the_cell_out(run, cost):
    run.write_cell(CELL, {"mood": noisy(RNG, Y, [0.7])[0]}, cost)
    assert f"{run.path(CELL)} is damaged: its cost" in unusable(run)


@pytest.mark.parametrize(
    "name", ["cells/tweets/fine_tune/budget-16-seed-1.npz", "targets/tweets.npz"]
)
@pytest.mark.parametrize("what", ["pipe", "folder", "nothing"])
def test_a_pipe_or_a_folder_in_place_of_a_file_is_told(run, name, what):
    path = run.folder / name
    path.unlink()
    if what != "nothing":
        (os.mkfifo if what == "pipe" else os.mkdir)(path)
    said = {"pipe": "it is a pipe or a device", "folder": "it is a folder", "nothing": "is missing"}
    assert said[what] in unusable(run)


def test_a_pipe_in_place_of_the_run_or_its_rows_is_told(run):
    comparison = Comparison(run.folder)
    rows = run.folder / "targets" / "tweets.jsonl"
    rows.unlink()
    os.mkfifo(rows)
    with pytest.raises(CheckpointError, match=r"tweets.jsonl cannot be read: it is a pipe"):
        comparison.run.read_rows("tweets")
    (run.folder / "run.json").unlink()
    os.mkfifo(run.folder / "run.json")
    assert "run.json is damaged: it is a pipe" in refusal(run)


@pytest.mark.parametrize("shares", [np.zeros(3), np.zeros((ROWS, 2)), np.zeros(ROWS, int)])
def test_rows_that_do_not_belong_to_the_labels_are_told(run, shares):
    run.write_target(
        "tweets", {"mood": (Y, Y >= 0)}, None, {}, table=make_table(ROWS), rare_words={16: shares}
    )
    with pytest.raises(CheckpointError, match="must hold a share of rare words"):
        Comparison(run.folder).run.read_rows("tweets")
    run.write_target("tweets", {"mood": (Y, Y >= 0)}, None, {}, table=make_table(5))
    with pytest.raises(CheckpointError, match="must hold the 30 test rows; received 5"):
        Comparison(run.folder).run.read_rows("tweets")


def test_budgets_of_rare_words_are_numbers(run):
    rare = {"x": np.zeros(ROWS)}
    run.write_target(
        "tweets", {"mood": (Y, Y >= 0)}, None, {}, table=make_table(ROWS), rare_words=rare
    )
    with pytest.raises(CheckpointError, match=r"tweets.npz has budgets that are no numbers"):
        Comparison(run.folder).run.read_rows("tweets")


# -- files of arrays -------------------------------------------------------------------------------


def test_arrays_and_note_read_back(tmp_path):
    arrays = {"a": np.arange(6).reshape(2, 3), "ü/b": np.array([], np.float32), "c": np.array(1.5)}
    write_arrays(tmp_path / "a.npz", arrays, {"note": [1, "x"]})
    read, note = read_arrays(tmp_path / "a.npz")
    assert {k: (v.dtype, v.shape, v.tobytes()) for k, v in read.items()} == {
        k: (v.dtype, v.shape, v.tobytes()) for k, v in arrays.items()
    }
    assert note == {"note": [1, "x"]}


def compressed(path) -> None:
    np.savez_compressed(
        path, a=np.zeros(10**7), meta=np.zeros(1, np.uint8), digest=np.zeros(1, np.uint8)
    )


def overlapping(path) -> None:
    """A directory that names one member a thousand times."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", bytes(100_000))
        archive.filelist *= 1000


def claiming(path) -> None:
    """A header of a thousand billion numbers."""
    with zipfile.ZipFile(path, "w") as archive:
        header = (
            b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }".ljust(117)
            + b"\n"
        )
        archive.writestr("a.npy", b"\x93NUMPY\x01\x00\x76\x00" + header)


def pickled(path) -> None:
    np.savez(
        path, a=np.array([{}], object), meta=np.zeros(1, np.uint8), digest=np.zeros(1, np.uint8)
    )


@pytest.mark.parametrize(
    "make", [compressed, overlapping, claiming, pickled, lambda path: path.write_bytes(b"PK\3\4")]
)
def test_files_that_claim_more_than_they_hold_are_damaged(tmp_path, make):
    make(tmp_path / "a.npz")
    with pytest.raises(CheckpointError, match=r"a\.npz is damaged"):
        read_arrays(tmp_path / "a.npz")
