"""A run folder: what is written is read back, and what was damaged or belongs elsewhere is told
apart.
"""

import json
import shutil

import numpy as np
import pytest

from tests.analysis.folders import make_table
from tf_transfer.errors import CheckpointError, DataError
from tf_transfer.experiments.runs import Cell, Run, all_cells

COMMON = {
    "source films": "abc",
    "target tweets (test)": "def",
    "tasks": [{"name": "stars"}],
    "text": "text",
}
STRATEGIES = {"tfidf": ["tfidf", {"penalty": 1.0}], "majority": ["majority", {}]}
CELL = Cell("tweets", "tfidf", 16, 0)
COST = {"source_seconds": 0.5, "target_seconds": 1.25}
SCORES = {
    "stars": np.array([1.5, -2.0, 1 / 3]),
    "mood": np.array([[0.25, 0.75], [1.0, 0.0], [0.5, 0.5]], np.float32),
}


def start(folder, common=COMMON, strategies=STRATEGIES) -> Run:
    run = Run(folder)
    run.start(common, strategies, {"plan": {}})
    return run


@pytest.fixture
def run(tmp_path):
    run = start(tmp_path / "run")
    run.write_cell(CELL, SCORES, COST)
    return run


def unusable(run, cell=CELL) -> str:
    assert not run.has(cell)
    with pytest.raises(CheckpointError) as caught:
        run.read_cell(cell)
    return str(caught.value)


def test_cells_run_strategy_by_strategy_and_seed_by_seed():
    cells = all_cells(["t", "u"], ["a", "b"], [4, 8], [0, 1])
    assert len(set(cells)) == 16
    assert cells[:5] == [
        Cell("t", "a", 4, 0),
        Cell("t", "a", 8, 0),
        Cell("u", "a", 4, 0),
        Cell("u", "a", 8, 0),
        Cell("t", "a", 4, 1),
    ]
    assert str(CELL) == "tfidf on tweets, 16 labels, seed 0"


def test_a_cell_reads_back_bit_for_bit(run):
    scores, meta = Run(run.folder).read_cell(CELL)
    assert {k: (v.dtype, v.tobytes()) for k, v in scores.items()} == {
        k: (v.dtype, v.tobytes()) for k, v in SCORES.items()
    }
    assert meta["target_seconds"] == 1.25
    assert run.has(CELL)
    assert not run.has(Cell("tweets", "tfidf", 16, 1))


def test_nothing_else_is_left_beside_a_cell(run):
    assert [p.name for p in run.path(CELL).parent.iterdir()] == ["budget-16-seed-0.npz"]


@pytest.mark.parametrize("groups", [None, np.array([0, 0, 1])])
def test_a_target_reads_back(run, groups):
    truth = {"stars": (np.array([1.0, 2.0, 0.0]), np.array([True, True, False]))}
    run.write_target("tweets", truth, groups, {"tables": {}, "near": 0.8}, table=make_table(3))
    read, read_groups, leakage = run.read_target("tweets")
    np.testing.assert_array_equal(read["stars"], truth["stars"])
    assert read["stars"][1].dtype == bool
    np.testing.assert_array_equal(read_groups, groups)
    assert leakage == {"tables": {}, "near": 0.8}


# -- damage ----------------------------------------------------------------------------------------


def test_a_missing_cell_is_told(run):
    assert "is missing" in unusable(run, Cell("tweets", "tfidf", 64, 0))


@pytest.mark.parametrize("kept", [0, 1, 0.5, 0.99])
def test_a_cell_that_was_cut_short_is_told(run, kept):
    path = run.path(CELL)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept if kept == 1 else kept * len(content))])
    message = unusable(run)
    assert f"{path} is damaged" in message
    assert "Run the experiment again" in message


def test_any_changed_byte_is_told_or_harmless(run):
    path = run.path(CELL)
    content = path.read_bytes()
    expected = run.read_cell(CELL)
    told = 0
    for place in range(0, len(content), 7):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :])
        try:
            found = run.read_cell(CELL)
        except CheckpointError:
            told += 1
            continue
        # Dates and padding of the archive may change; numbers and notes may not.
        assert found[1] == expected[1]
        assert {k: v.tobytes() for k, v in found[0].items()} == {
            k: v.tobytes() for k, v in expected[0].items()
        }
    assert told > len(content) / 7 / 3


def test_an_archive_of_other_scores_is_told(run):
    with np.load(run.path(CELL)) as file:
        arrays = dict(file)
    arrays["scores/stars"] = arrays["scores/stars"] + 1e-9
    np.savez(run.path(CELL), **arrays)
    assert "its content was changed" in unusable(run)


def test_an_archive_of_other_notes_is_told(run):
    with np.load(run.path(CELL)) as file:
        arrays = dict(file)
    text = bytes(arrays["meta"]).decode().replace("1.25", "0.01")
    np.savez(run.path(CELL), **arrays | {"meta": np.frombuffer(text.encode(), np.uint8)})
    assert "its content was changed" in unusable(run)


@pytest.mark.parametrize(
    "content", [{}, {"meta": np.zeros(3, np.uint8)}, {"scores/stars": np.array([{}], object)}]
)
def test_an_archive_of_something_else_is_told(run, content):
    np.savez(run.path(CELL), **content)
    assert "is damaged" in unusable(run)


def test_an_array_that_is_no_archive_is_told(run):
    with run.path(CELL).open("wb") as file:
        np.save(file, np.zeros(3))
    assert "is damaged" in unusable(run)


def test_a_renamed_cell_is_told(run):
    other = Cell("tweets", "tfidf", 16, 1)
    run.path(CELL).rename(run.path(other))
    assert "belongs to another cell: its seed is another" in unusable(run, other)


@pytest.mark.parametrize(
    "changes",
    [
        {"common": COMMON | {"source films": "xyz"}},
        {"strategies": STRATEGIES | {"tfidf": ["tfidf", {"penalty": 2.0}]}},
    ],
)
def test_a_cell_of_another_experiment_is_told(run, tmp_path, changes):
    other = start(tmp_path / "other", **changes)
    other.path(CELL).parent.mkdir(parents=True)
    shutil.copy(run.path(CELL), other.path(CELL))
    assert "its experiment is another" in unusable(other)


def test_a_cell_of_the_same_experiment_can_be_brought_along(run, tmp_path):
    other = start(tmp_path / "other", strategies={"tfidf": STRATEGIES["tfidf"]})
    other.path(CELL).parent.mkdir(parents=True)
    shutil.copy(run.path(CELL), other.path(CELL))
    assert other.has(CELL)


# -- run.json --------------------------------------------------------------------------------------


def test_starting_again_keeps_cells_and_adds_strategies(run):
    again = start(run.folder, strategies={"scratch": ["scratch", {}]})
    assert again.has(CELL)
    assert again.read()["strategies"] == STRATEGIES | {"scratch": ["scratch", {}]}


@pytest.mark.parametrize(("common", "strategies", "named"), [
    (COMMON | {"source films": "xyz"}, STRATEGIES, "source films"),
    ({k: v for k, v in COMMON.items() if k != "source films"}, STRATEGIES, "source films"),
    (COMMON | {"source shop": "xyz"}, STRATEGIES, "source shop"),
    (COMMON | {"tasks": []}, STRATEGIES, "tasks"),
    (COMMON, STRATEGIES | {"tfidf": ["tfidf", {"penalty": 2.0}]}, "tfidf"),
    (COMMON | {"text": "body"}, {"majority": ["tfidf", {}]}, "text, majority"),
])  # fmt: skip
def test_a_folder_of_another_experiment_is_refused_with_what_differs(
    run, common, strategies, named
):
    before = (run.folder / "run.json").read_bytes()
    with pytest.raises(DataError) as caught:
        start(run.folder, common, strategies)
    assert f"These differ from today's: {named}." in str(caught.value)
    assert (run.folder / "run.json").read_bytes() == before


def test_values_that_json_changes_are_no_difference(tmp_path):
    common = {"tasks": [{"classes": ("a", "b")}], "sizes": {1: 2}}
    start(tmp_path / "run", common)
    before = Run(tmp_path / "run").read()["common"]
    start(tmp_path / "run", common)
    assert (
        Run(tmp_path / "run").read()["common"]
        == before
        == {"tasks": [{"classes": ["a", "b"]}], "sizes": {"1": 2}}
    )


@pytest.mark.parametrize(("content", "expected"), [
    (None, "Received: no such file"),
    ("{", "is damaged"),
    ("[]", "must be of the format"),
    ('{"format": "other"}', "must be of the format"),
    ('{"format": "tf_transfer run/2", "common": {}}', "it lacks ['strategies', 'provenance']"),
    (b"\xff\xfe", "is damaged"),
])  # fmt: skip
def test_a_folder_without_a_sound_run_is_refused(tmp_path, content, expected):
    if content is not None:
        (tmp_path / "run.json").write_bytes(
            content if isinstance(content, bytes) else content.encode()
        )
    with pytest.raises(CheckpointError) as caught:
        Run(tmp_path).read()
    assert expected in str(caught.value)


@pytest.mark.parametrize("place", ["run", "run/deeper"])
def test_a_folder_that_cannot_be_written_is_told(tmp_path, place):
    (tmp_path / "run").write_text("a file is in the way")
    with pytest.raises(CheckpointError, match="Could not write"):
        start(tmp_path / place)
    assert (tmp_path / "run").read_text() == "a file is in the way"


def test_a_full_disk_keeps_the_earlier_cell(run, monkeypatch):
    def fill(file, **arrays):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", fill)
    with pytest.raises(CheckpointError, match="the disk is full"):
        run.write_cell(CELL, SCORES, COST)
    monkeypatch.undo()
    assert run.read_cell(CELL)[1]["target_seconds"] == 1.25
    assert [p.name for p in run.path(CELL).parent.iterdir()] == ["budget-16-seed-0.npz"]


def test_run_json_is_for_people(run):
    content = json.loads((run.folder / "run.json").read_text())
    assert content["common"] == COMMON
    assert "\n" in (run.folder / "run.json").read_text()


def test_a_strategy_added_after_reading_is_known(run):
    assert run.has(CELL)
    run.start(COMMON, {"scratch": ["scratch", {"adapt_steps": 1}]}, {})
    cell = Cell("tweets", "scratch", 16, 0)
    run.write_cell(cell, SCORES, COST)
    assert Run(run.folder).has(cell)


def test_what_source_training_left_is_dropped_with_what_killed_processes_left(run):
    fitted = run.folder / "fitted"
    for path in (
        run.fitted_path("tfidf", 0),
        run.fitted_path("tfidf", 1),
        run.backup_path("tfidf", 0) / "part-1" / "x",
        fitted / ".tfidf-seed-0.safetensors.0123abcd.tf_transfer",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    run.drop_fitted("tfidf", 0)
    assert [p.name for p in fitted.iterdir()] == ["tfidf-seed-1.safetensors"]
    run.drop_fitted("majority", 7)
