"""Advice on a tiny real experiment: what it reads, what it says, and how it fared."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from tests.experiments import make_experiment, make_table
from tests.report_page import Page
from tf_transfer.advisor import cost, facts
from tf_transfer.advisor.advice import load_advice, summarise
from tf_transfer.advisor.advise import advise
from tf_transfer.comparison.compare import compare
from tf_transfer.comparison.comparison import Comparison
from tf_transfer.errors import CheckpointError, DataError
from tf_transfer.model import model
from tf_transfer.report import build, to_markdown

STRATEGIES = [
    "majority",
    "tfidf",
    {"words_alone": {"strategy": "tfidf", "uses_source": False}},
    "linear_probe",
]
LABELS = ["majority", "tfidf", "words_alone", "linear_probe"]


@pytest.fixture(scope="module", autouse=True)
def known_costs():
    """Measuring is the part of test_cost.py; here a source training takes 7 s, a target's a second
    for each label.
    """
    with pytest.MonkeyPatch.context() as patch:

        def known(self, strategy, target, support):
            return cost.Cost(7.0 * strategy.uses_source, float(len(support)), 3.0)

        patch.setattr(cost.CostMeter, "cost", known)
        yield


@pytest.fixture(scope="module")
def content(encoder_folder):
    return make_experiment(
        encoder={"name": str(encoder_folder), "max_length": 16}, strategies=STRATEGIES
    )


@pytest.fixture(scope="module")
def advice(content):
    return advise(content)


@pytest.fixture(scope="module")
def comparison(content, tmp_path_factory):
    return compare(content, tmp_path_factory.mktemp("runs") / "advised")


# -- what it says ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_every_strategy_is_ranked_everywhere(advice, content):
    places = advice.rows.groupby(["target", "task", "budget"])
    assert len(places) == 2 * 2 * 2 == len(advice.facts)
    for (_, _, budget), rows in places:
        assert list(rows["rank"]) == [1, 2, 3, 4]
        assert sorted(rows["strategy"]) == sorted(LABELS)
        assert rows["strategy"].iloc[-1] == "majority"
        assert rows["target_seconds"].eq(budget).all()
    with_source = advice.rows["strategy"].isin(["tfidf", "linear_probe"])
    assert advice.rows["source_seconds"].eq(7.0 * with_source).all()
    # Two seeds of: 7 s for each of two sources, and on both targets 6 + 12 labels; 3 s once for
    # each strategy.
    assert advice.run_seconds == 2 * (2 * 7 + 4 * 2 * 18) + 4 * 3
    assert advice.first("tweets", "stars", 6) == advice.rows["strategy"].iloc[0]
    frame = advice.to_frame()
    assert (
        len(frame) == len(advice.rows)
        and frame["source_rows"].eq(24).all()
        and frame["overlap"].eq(1).all()
    )


def test_an_unknown_place_is_refused(advice):
    with pytest.raises(DataError, match="target='twets'"):
        advice.first("twets", "stars", 6)


def test_it_prints_as_text_and_in_a_notebook(advice):
    text, page = str(advice), advice._repr_html_()
    assert (
        "tweets, stars, 6 labels" in text
        and "24 source rows (4 a label) with the same labels" in text
    )
    assert text.index("1. ") < text.index("2. ") and "Training of the whole experiment" in text
    assert max(map(len, text.splitlines())) <= 130
    assert page.count("<tr") == 1 + len(advice.rows)
    spoilt = dataclasses.replace(advice, rows=advice.rows.assign(strategy="<b>x</b>"))
    assert "<b>" not in spoilt._repr_html_()


# -- what it reads ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_test_labels_change_nothing(advice, content):
    scrambled = {}
    for name, target in content["targets"].items():
        test = target["test"].copy()
        draws = np.random.default_rng(0)
        for column in ("stars", "mood"):
            test[column] = draws.permutation(test[column])
        assert not test.equals(target["test"])
        scrambled[name] = target | {"test": test}
    other = advise(content | {"targets": scrambled})
    assert other.facts == advice.facts
    pd.testing.assert_frame_equal(other.rows, advice.rows)


@pytest.mark.slow
def test_only_training_rows_reach_the_encoder_and_only_the_budgets_labels_the_facts(
    content, monkeypatch
):
    seen, encoded, original = set(), [], model.TransferModel.tokenise
    monkeypatch.setattr(
        model.TransferModel,
        "tokenise",
        lambda self, table, **options: (
            seen.update(table["text"]),
            original(self, table, **options),
        )[1],
    )
    gather = facts.gather_facts
    watched = lambda *args: encoded.append(args[4]) or gather(*args)  # noqa: E731
    monkeypatch.setattr("tf_transfer.advisor.advise.gather_facts", watched)
    advise(content)
    tests = {text for target in content["targets"].values() for text in target["test"]["text"]}
    assert seen and not seen & tests
    assert {key: len(table) for key, table in encoded[0].items()} == {
        (name, budget): budget for name in content["targets"] for budget in content["budgets"]
    }


# -- how it fared ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_fared_is_the_advised_against_the_best(advice, comparison):
    fared = advice.fared(comparison)
    assert len(fared) == 8
    summary = comparison.summary().set_index(["target", "task", "budget"])
    for row in fared.itertuples():
        means = summary.loc[(row.target, row.task, row.budget), list(comparison.strategies)].astype(
            float
        )
        assert row.best_value == pytest.approx(means.max()) == means[row.best]
        assert row.advised == advice.first(row.target, row.task, row.budget)
        assert row.behind == pytest.approx(means.max() - means[row.advised])
        assert row.as_good == (row.advised == row.best or row.low <= 0)
        cells = comparison.run.folder / "cells" / row.target / row.advised
        seconds = [
            json.loads(bytes(np.load(cells / f"budget-{row.budget}-seed-{seed}.npz")["meta"]))
            for seed in (0, 1)
        ]
        actual = np.median([s["source_seconds"] + s["target_seconds"] for s in seconds])
        assert row.actual_seconds == pytest.approx(actual)
        assert row.ratio == pytest.approx(row.predicted_seconds / actual)


def test_fared_finds_bad_advice(advice, comparison, monkeypatch):
    rows = advice.rows.copy()
    rows["strategy"] = rows["rank"].map(dict(enumerate(LABELS, start=1)))
    bad = dataclasses.replace(advice, rows=rows)
    found = bad.fared(comparison).query("task == 'mood'")
    assert (found["advised"] == "majority").all() and (found["behind"] > 0).all()
    assert found["as_good"].all() and (found["low"] <= 0).all()  # two seeds do not tell them apart
    difference = Comparison.difference

    def certain(*args, **kwargs):
        found = difference(*args, **kwargs)
        return dataclasses.replace(found, low=found.value, high=found.value)

    monkeypatch.setattr(Comparison, "difference", certain)
    found = bad.fared(comparison).query("task == 'mood'")
    assert not found["as_good"].any()
    assert "in 0 of 4 places" in summarise(found)
    assert "no usable cells" in summarise(found.head(0))


def test_a_run_of_another_experiment_is_refused(advice, content, tmp_path):
    small = {"strategies": ["majority", "tfidf"], "seeds": 1, "tasks": ["mood"]}
    other = compare(content | small, tmp_path / "other")
    with pytest.raises(
        DataError, match="these differ: tasks, strategy words_alone, strategy linear_probe"
    ) as refused:
        advice.fared(other)
    assert str(tmp_path / "other") in str(refused.value)


def test_it_reads_back_as_it_was_saved(advice, tmp_path):
    known = dataclasses.replace(
        advice, facts=(*advice.facts, dataclasses.replace(advice.facts[0], words=np.nan))
    )
    known.save(tmp_path / "new" / "advice.json")
    again = load_advice(tmp_path / "new" / "advice.json")
    pd.testing.assert_frame_equal(again.rows, advice.rows)
    assert again.facts[:-1] == advice.facts and np.isnan(again.facts[-1].words)
    assert (again.identity, again.run_seconds, str(again)) == (
        advice.identity,
        advice.run_seconds,
        str(known),
    )


@pytest.mark.parametrize(
    "written", [None, "{", "[]", '{"format": "other"}', '{"format": "tf_transfer advice/1"}']
)
def test_a_file_that_is_no_advice_is_refused_and_told_in_the_report(comparison, written):
    path = comparison.run.advice_path
    try:
        if written is not None:
            path.write_text(written)
            assert "How the advice fared is missing: " in to_markdown(build(comparison))
        with pytest.raises(
            CheckpointError, match=r"advice\.json (cannot be read as advice|must be of the format)"
        ):
            load_advice(path)
    finally:
        path.unlink(missing_ok=True)
    assert comparison.advice is None


# -- bad input -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"sources": {}, "strategies": ["target_only", "majority"]},
            "Received an experiment without sources",
        ),
        ({"strategies": ["majority"]}, "Received 'majority' alone"),
        ({"budgets": [99]}, "Received a budget of 99"),
    ],
)
def test_refusals(content, changes, expected):
    with pytest.raises(DataError, match=expected):
        advise(content | changes)


@pytest.fixture
def run(encoder_folder, tmp_path, monkeypatch, capsys):
    """Runs a command on small.yaml: exit code, standard output, standard error."""
    import yaml

    from tf_transfer.command_line import cli

    content = make_experiment(encoder={"name": str(encoder_folder), "max_length": 16}, seeds=1)
    del content["targets"]["letters"]
    tables = content["sources"] | content["targets"].pop("tweets")
    for name, table in tables.items():
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    content |= {
        "sources": {"films": "films.csv"},
        "targets": {"tweets": {"train": "train.csv", "test": "test.csv"}},
    }
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(content))

    def call(command, *more):
        monkeypatch.setattr(
            "sys.argv", ["tf-transfer", command, str(tmp_path / "small.yaml"), *map(str, more)]
        )
        try:
            cli.main()
        except SystemExit as done:
            return done.code or 0, *capsys.readouterr()
        return 0, *capsys.readouterr()

    return call


@pytest.mark.slow
def test_the_command(run, tmp_path):
    code, _, err = run("advise", "--run", tmp_path / "gone")
    assert code == 2 and "gone must be the folder of a run" in err
    compare(str(tmp_path / "small.yaml"), tmp_path / "run")
    code, out, _ = run("advise", "--run", tmp_path / "run", "-o", tmp_path / "ranks.csv")
    assert code == 0
    assert (
        "tweets, mood, 12 labels" in out
        and f"How it fared in {tmp_path / 'run'}: The advised" in out
    )
    assert len(pd.read_csv(tmp_path / "ranks.csv")) == 2 * 2 * 2
    code, _, err = run("compare", "-o", tmp_path / "run", "--advise")
    assert code == 2 and "Advice is asked for before training." in err
    assert not (tmp_path / "run" / "advice.json").exists()


@pytest.mark.slow
def test_advice_is_kept_before_training_and_the_report_says_how_it_fared(
    run, tmp_path, monkeypatch
):
    from tf_transfer.experiments.runner import Runner

    folder, compute, there = tmp_path / "run", Runner._compute, []
    watched = lambda *args: there.append((folder / "advice.json").read_bytes()) or compute(*args)  # noqa: E731
    monkeypatch.setattr(Runner, "_compute", watched)
    code, out, _ = run("compare", "-o", folder, "--advise")
    assert code == 0 and out.index("Training of the whole experiment") < out.index(
        "Difference that the source makes"
    )
    assert len(there) == 4 and len(set(there)) == 1
    kept = load_advice(folder / "advice.json")
    fared = kept.fared(Comparison(folder))
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert summarise(fared) in page.texts["advice"]
    (table,) = [rows for name, rows in page.tables if name == "advice"]
    assert [row[1].split()[0] for row in table if len(row) == 7][1:] == list(fared["advised"])
    assert "## How the advice fared" in (folder / "report.md").read_text(encoding="utf-8")

    ask = lambda *args: pytest.fail("it asked again")  # noqa: E731
    monkeypatch.setattr("tf_transfer.command_line.experiments._ask", ask)
    assert run("compare", "-o", folder, "--advise")[0] == 0
    code, out, _ = run("advise", "--run", folder)
    assert code == 0 and summarise(fared) in out and str(kept) in out
    path = tmp_path / "small.yaml"
    path.write_text(path.read_text().replace("majority", "scratch"), encoding="utf-8")
    code, _, err = run("advise", "--run", folder)
    assert code == 2 and "must be about the experiment asked for" in err


@pytest.mark.slow
def test_strategies_run_again_without_a_source_cost_the_share_that_is_left(content):
    advice = advise(content | {"leave_one_out": ["tfidf"]})
    # As above, and tfidf once without films (10 of 24 rows left) and once without shop (14).
    assert advice.run_seconds == pytest.approx(2 * (2 * 7 + 4 * 2 * 18) + 4 * 3 + 2 * (7 + 2 * 36))


@pytest.mark.slow
def test_source_rows_without_any_label_are_not_counted(content):
    blank = make_table(6, seed=9).assign(stars=np.nan, mood=None)
    films = pd.concat([content["sources"]["films"], blank], ignore_index=True)
    advice = advise(content | {"sources": content["sources"] | {"films": films}})
    assert {fact.source_rows for fact in advice.facts} == {24}
