"""A run folder that was cut short, edited or mixed: what cannot be used is named, and nothing else
is lost.
"""

import shutil

import numpy as np
import pandas as pd
import pytest

from tests.analysis.folders import (
    change_run,
    make_comparison,
    make_table,
    noisy,
    probabilities,
    write_run,
)
from tf_transfer.comparison.comparison import Comparison
from tf_transfer.errors import DataError
from tf_transfer.experiments.runs import Cell
from tf_transfer.experiments.usable import seeds_note

RNG = np.random.default_rng(23)
ROWS = 60
Y = RNG.integers(0, 2, ROWS)
STARS = RNG.normal(3, 1, ROWS)
BAD = Cell("tweets", "fine_tune", 16, 1)


def scores(**changes) -> dict:
    made = {s: {16: noisy(RNG, Y, [0.7] * 3)} for s in ("target_only", "fine_tune")}
    return made | changes


def spoilt_cell(folder, values, task="mood") -> Comparison:
    """A run whose cell `BAD` holds ``values``, written as they would be, digest and all."""
    if task == "mood":
        run = write_run(folder, Y, scores())
    else:
        cells = {
            s: {16: [STARS + RNG.normal(size=ROWS) for _ in range(3)]}
            for s in ("target_only", "fine_tune")
        }
        run = write_run(folder, STARS, cells, task=task)
    run.write_cell(BAD, {task: values}, {"source_seconds": 1.0, "target_seconds": 2.0})
    return Comparison(run.folder)


def only_problem(comparison) -> str:
    (problem,) = comparison.unusable
    assert problem.startswith(f"{BAD}: ")
    assert str(comparison.run.path(BAD)) in problem
    assert len(comparison.results["seed"].unique()) == 3
    assert len(comparison.results.query("strategy == 'fine_tune' and seed == 1")) == 0
    (verdict,) = comparison.verdicts().itertuples()
    assert verdict.seeds == 2
    assert "without seed 1, which one of the two lacks" in verdict.note
    return problem


GOOD = probabilities(Y, 0.9)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (GOOD[:-1], "of shape (60, 2) for the 60 test rows.\nReceived float32 of shape (59, 2)"),
        (GOOD[:, 0], "Received float32 of shape (60,)"),
        (np.tile(GOOD, (1, 2)), "Received float32 of shape (60, 4)"),
        (GOOD.astype(int), "Received int64 of shape (60, 2)"),
        (
            np.where(np.arange(ROWS)[:, None] == 7, np.nan, GOOD),
            "Received [nan nan] in row 7 (1 such rows): the model has",
        ),
        (np.where(np.arange(ROWS)[:, None] < 2, np.inf, GOOD), "in row 0 (2 such rows)"),
        (GOOD * 3 - 1, "must hold probabilities of mood"),
        (GOOD / 2, "must hold probabilities of mood"),
    ],
)
def test_scores_that_do_not_fit_are_named_with_the_reason(tmp_path, values, said):
    assert said in only_problem(spoilt_cell(tmp_path, values))


@pytest.mark.parametrize(("values", "said"), [
    (STARS[:-1], "of shape (60,) for the 60 test rows"),
    (np.where(np.arange(ROWS) == 3, np.nan, STARS), "Received nan in row 3"),
])  # fmt: skip
def test_numbers_that_do_not_fit_are_named_too(tmp_path, values, said):
    assert said in only_problem(spoilt_cell(tmp_path, values, task="stars"))


@pytest.mark.parametrize(
    "damage", ["missing", "truncated", "edited", "another cell's", "another run's"]
)
def test_files_that_cannot_be_read_are_named_with_the_reason(tmp_path, damage):
    run = write_run(tmp_path / "run", Y, scores())
    path = run.path(BAD)
    if damage == "missing":
        path.unlink()
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:-30])
    elif damage == "edited":
        with np.load(path) as file:
            arrays = dict(file)
        np.savez(path, **arrays | {"scores/mood": arrays["scores/mood"][::-1]})
    elif damage == "another cell's":
        shutil.copy(run.path(Cell("tweets", "fine_tune", 16, 0)), path)
    else:
        other = write_run(
            tmp_path / "other", Y, scores(), common={"text": "text", "source films": "other rows"}
        )
        shutil.copy(other.path(BAD), path)
    said = {
        "missing": "is missing",
        "truncated": "is damaged",
        "edited": "its content was changed",
        "another cell's": "its seed is another",
        "another run's": "its experiment is another",
    }
    assert said[damage] in only_problem(Comparison(run.folder))


def write_letters(run) -> None:
    """Twenty rows of a second target."""
    truth = {"mood": (Y[:20], np.ones(20, bool))}
    run.write_target("letters", truth, None, {"tables": {}}, table=make_table(20))


@pytest.mark.parametrize(
    "damage", ["missing", "truncated", "edited", "another target's", "another run's"]
)
def test_a_target_that_cannot_be_read_is_left_out_with_its_cells(tmp_path, damage):
    run = write_run(tmp_path / "run", Y, scores())
    change_run(run, lambda content: content["provenance"]["plan"]["targets"].append("letters"))
    write_letters(run)
    path = run.folder / "targets" / "letters.npz"
    if damage == "missing":
        path.unlink()
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:-30])
    elif damage == "edited":
        with np.load(path) as file:
            arrays = dict(file)
        np.savez(path, **arrays | {"y/mood": 1 - arrays["y/mood"]})
    elif damage == "another target's":
        shutil.copy(run.folder / "targets" / "tweets.npz", path)
    else:
        other = write_run(
            tmp_path / "other", Y, scores(), common={"text": "text", "source films": "other rows"}
        )
        write_letters(other)
        shutil.copy(other.folder / "targets" / "letters.npz", path)
    said = {
        "missing": "is missing",
        "truncated": "is damaged",
        "edited": "its content was changed",
        "another target's": "its target is another",
        "another run's": "its experiment is another",
    }
    comparison = Comparison(run.folder)
    (problem,) = comparison.unusable
    assert problem.startswith("target letters, with all its cells: ")
    assert said[damage] in problem
    assert comparison.targets == ["tweets"]
    assert comparison.lost_cells == 6  # two strategies, one budget, three seeds
    assert set(comparison.verdicts()["target"]) == {"tweets"}


def test_a_run_without_a_single_target_can_be_looked_at(tmp_path):
    run = write_run(tmp_path, Y, scores())
    (tmp_path / "targets" / "tweets.npz").unlink()
    comparison = Comparison(run.folder)
    assert comparison.targets == []
    assert len(comparison.unusable) == 1
    tables = (
        comparison.verdicts(),
        comparison.curves(),
        comparison.label_worth(),
        comparison.curve_gains(),
    )
    assert [len(table) for table in (*tables, comparison.slices(), comparison.reliability())] == [
        0
    ] * 6
    str(comparison)


def test_a_seed_that_both_lack_is_noted(tmp_path):
    ours, theirs = noisy(RNG, Y, [0.7] * 3), noisy(RNG, Y, [0.6] * 3)
    comparison = make_comparison(
        tmp_path,
        Y,
        {"target_only": {16: [None, *theirs[1:]]}, "fine_tune": {16: [ours[0], None, ours[2]]}},
    )
    (verdict,) = comparison.verdicts().itertuples()
    assert verdict.seeds == 1
    assert "one seed" in verdict.note
    assert "without seed 0, 1" in verdict.note
    assert comparison.lost_cells == 2 and len(comparison.unusable) == 1


def test_without_a_common_seed_there_is_no_verdict(tmp_path):
    ours, theirs = noisy(RNG, Y, [0.7] * 2), noisy(RNG, Y, [0.6] * 2)
    comparison = make_comparison(
        tmp_path, Y, {"target_only": {16: [None, theirs[1]]}, "fine_tune": {16: [ours[0], None]}}
    )
    assert len(comparison.verdicts()) == 0


def test_seeds_that_are_all_there_need_no_note():
    assert seeds_note([0, 1], [1, 0]) == ""
    assert seeds_note([0, 1, 2], [1]) == "without seed 0, 2, which one of the two lacks"


def test_rows_and_rare_words_read_back(tmp_path):
    table = make_table(ROWS).assign(price=np.linspace(0, 1, ROWS), note=None)
    table.loc[2, "text"] = 'quotes " and\nlines \u2028 and \u00e9'
    table["day"] = pd.Timestamp("2024-05-06")
    table["themes"] = [np.array(["a", "b"])] * ROWS
    table = pd.concat([table, table[["price"]]], axis=1)
    rare = {16: RNG.random(ROWS).astype(np.float32), 64: np.zeros(ROWS, np.float32)}
    present = np.arange(ROWS) > 1
    comparison = make_comparison(
        tmp_path, Y, scores(), table=table, rare_words=rare, present=present
    )
    rows, shares = comparison.test_rows("tweets", "mood")
    assert rows.index.tolist() == list(range(2, ROWS))
    assert rows["text"].tolist() == table["text"].tolist()[2:]
    assert rows["price"].tolist() == np.linspace(0, 1, ROWS)[2:].tolist()
    assert rows["note"].isna().all()
    assert rows.iloc[0][["day", "themes"]].tolist() == ["2024-05-06 00:00:00", ["a", "b"]]
    assert {b: s.tolist() for b, s in shares.items()} == {
        b: s[2:].tolist() for b, s in rare.items()
    }


def test_unknown_names_are_told(tmp_path):
    comparison = make_comparison(tmp_path, Y, scores())
    wrong = [
        lambda: comparison.truth("tweet", "mood"),
        lambda: comparison.truth("tweets", "moood"),
        lambda: comparison.scores("fine-tune", "tweets", "mood", 16),
        lambda: comparison.kind("moood"),
        lambda: comparison.reliability(target="tweet"),
    ]
    for call in wrong:
        with pytest.raises(DataError, match="Did you mean"):
            call()
