"""Strategies run again without each source: what is trained, what it is trained on, and what is
kept apart.
"""

import numpy as np
import pytest

from tests.experiments import FAST, make_experiment, make_table
from tf_transfer.comparison.compare import compare
from tf_transfer.comparison.comparison import Comparison
from tf_transfer.errors import DataError
from tf_transfer.experiments.experiment import load_experiment
from tf_transfer.experiments.runs import Cell
from tf_transfer.strategies import fine_tune

SEVERAL = ["majority", "tfidf", {"plain": {"strategy": "tfidf", "uses_source": False}}, "fine_tune"]


def load(**changes):
    return load_experiment(
        make_experiment(**{"strategies": SEVERAL, "leave_one_out": True} | changes)
    )


def refusal(**changes) -> str:
    with pytest.raises(DataError) as caught:
        load(**changes)
    return str(caught.value)


def test_all_strategies_that_learn_from_sources_are_run_without_each():
    experiment = load()
    assert experiment.variants == {
        "tfidf without films": ("tfidf", "films"),
        "tfidf without shop": ("tfidf", "shop"),
        "fine_tune without films": ("fine_tune", "films"),
        "fine_tune without shop": ("fine_tune", "shop"),
    }
    trained = experiment.trained
    assert list(trained) == ["majority", "tfidf", "plain", "fine_tune", *experiment.variants]
    assert trained["tfidf"][1] == ["films", "shop"]
    assert trained["fine_tune without films"] == (experiment.strategies["fine_tune"], ["shop"])


@pytest.mark.parametrize("asked", ["tfidf", ["tfidf"]])
def test_only_the_named_strategies(asked):
    assert list(load(leave_one_out=asked).variants) == ["tfidf without films", "tfidf without shop"]


@pytest.mark.parametrize("asked", [False, [], ...])
def test_none_unless_asked(asked):
    experiment = load(leave_one_out=asked)
    assert experiment.variants == {}
    assert list(experiment.trained) == list(experiment.strategies)


def test_what_cannot_be_left_out_is_refused():
    one = {"films": make_experiment()["sources"]["films"]}
    message = refusal(sources=one)
    assert "leave_one_out needs at least two sources" in message
    assert "received the sources 'films'" in message
    assert "Did you mean 'fine_tune'?" in refusal(leave_one_out=["finetune"])
    assert "must name strategies that learn from source data: 'tfidf', 'fine_tune'" in refusal(
        leave_one_out=["plain"]
    )
    assert "a strategy that learns from them" in refusal(strategies=["majority"])
    taken = [*SEVERAL, {"tfidf without shop": {"strategy": "tfidf"}}]
    assert "leave_one_out makes included, must have a name that differs" in refusal(
        strategies=taken
    )


def test_it_is_kept_in_the_plain_form():
    plain = load(leave_one_out=["tfidf"]).to_plain()
    assert plain["leave_one_out"] == ["tfidf"]
    assert "leave_one_out" not in load(leave_one_out=False).to_plain()


@pytest.fixture(scope="module")
def content(encoder_folder):
    return make_experiment(encoder={"name": str(encoder_folder), "max_length": 16}, budgets=[6])


@pytest.fixture(scope="module")
def grown(content, tmp_path_factory):
    """A finished run to which the variants were added afterwards, and the folder's files before."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    compare(content, folder)
    before = {p: p.stat().st_mtime_ns for p in folder.glob("cells/*/*/*.npz")}
    return compare(content | {"leave_one_out": True}, folder), before


def test_a_variant_is_the_strategy_on_the_other_sources(grown, content, tmp_path):
    comparison, _ = grown
    fewer = compare(content | {"sources": {"shop": content["sources"]["shop"]}}, tmp_path / "run")
    for target in ("tweets", "letters"):
        for seed in (0, 1):
            ours = comparison.run.read_cell(Cell(target, "tfidf without films", 6, seed))[0]
            theirs = fewer.run.read_cell(Cell(target, "tfidf", 6, seed))[0]
            whole = comparison.run.read_cell(Cell(target, "tfidf", 6, seed))[0]
            np.testing.assert_array_equal(ours["stars"], theirs["stars"])
            assert np.abs(ours["stars"] - whole["stars"]).max() > 0


def test_finished_cells_are_kept_when_variants_are_added(grown):
    comparison, before = grown
    assert {p: p.stat().st_mtime_ns for p in before} == before
    assert comparison.unusable == []
    assert comparison.strategies == ["majority", "tfidf"]
    assert set(comparison.verdicts()["strategy"]) == {"tfidf"}
    assert comparison.run.read()["strategies"]["tfidf without films"][-1] == {"without": "films"}


def test_gains_of_sources_from_a_real_run(grown):
    found = Comparison(grown[0].run.folder).source_gains()
    # Two targets and tasks, two sources.
    assert len(found) == 8
    assert set(found["source"]) == {"films", "shop"}
    assert found["difference"].notna().any()


def test_a_cell_of_a_variant_is_not_taken_for_another(grown, tmp_path):
    run = grown[0].run
    one, other = (Cell("tweets", f"tfidf without {source}", 6, 0) for source in ("films", "shop"))
    kept = run.path(one).read_bytes()
    try:
        run.path(one).write_bytes(run.path(other).read_bytes())
        assert not run.has(one)
    finally:
        run.path(one).write_bytes(kept)


def test_the_run_keeps_its_test_rows(grown, content):
    comparison, _ = grown
    rows, rare = comparison.test_rows("letters", "mood")
    assert rows["text"].tolist() == content["targets"]["letters"]["test"]["text"].tolist()
    assert list(rare) == [6]
    assert set(comparison.slices(strategies=["tfidf"])["verdict"]) <= {
        "too small",
        "undecided",
        "helped",
        "hurt",
    }
    changed = comparison.changed_rows("letters", "stars", "tfidf", 6, most=3)
    assert 3 <= len(changed) <= 6
    assert changed["text"].notna().all()


@pytest.mark.slow
def test_a_head_that_no_remaining_source_teaches_says_nothing(content, tmp_path, monkeypatch):
    """Only films and the test have moods, so that without films nothing has trained that head."""
    monkeypatch.setattr(fine_tune, "train", lambda *args, **options: None)
    films, shop = content["sources"]["films"], content["sources"]["shop"].drop(columns="mood")
    tweets = content["targets"]["tweets"]
    tweets = {"train": tweets["train"].drop(columns="mood"), "test": tweets["test"]}
    changes = {"sources": {"films": films, "shop": shop}, "targets": {"tweets": tweets}, "seeds": 1}
    strategies = {"strategies": ["majority", {"fine_tune": FAST}], "leave_one_out": True}
    run = compare(content | changes | strategies, tmp_path / "run").run
    heads = {
        label: set(run.read_cell(Cell("tweets", label, 6, 0))[0])
        for label in ("fine_tune", "fine_tune without shop", "fine_tune without films")
    }
    assert heads == {
        "fine_tune": {"stars", "mood"},
        "fine_tune without shop": {"stars", "mood"},
        "fine_tune without films": {"stars"},
    }


def test_a_source_to_validate_on_is_not_left_out():
    held = [{"maml": {"validation_source": "shop"}}, "majority"]
    sources = {
        name: make_table(20, seed=seed) for seed, name in enumerate(["films", "shop", "books"])
    }
    assert list(load(strategies=held, sources=sources).variants) == [
        "maml without films",
        "maml without books",
    ]
    assert "needs two sources beside its validation_source" in refusal(strategies=held)
