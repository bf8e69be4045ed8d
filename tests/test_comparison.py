"""compare on a tiny real experiment: what strategies see, what is kept, and what follows from
it.
"""

import collections
import contextlib
import html.parser
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import false_discovery_control, pearsonr
from sklearn.metrics import f1_score, mean_absolute_error

from tests.analysis.folders import make_comparison, right_in
from tests.experiments import BRIEF, FAST, make_experiment, make_table
from tf_transfer import strategies
from tf_transfer.comparison.compare import compare
from tf_transfer.comparison.comparison import Comparison
from tf_transfer.errors import CheckpointError, DataError, TrainingError
from tf_transfer.experiments.runs import Cell, all_cells
from tf_transfer.kinds import KINDS
from tf_transfer.model import model
from tf_transfer.report import record_sections
from tf_transfer.report.blocks import Table
from tf_transfer.statistics import intervals as statistics
from tf_transfer.statistics.paired_tests import row_tests
from tf_transfer.strategies import classical, fine_tune, scratch, target_only, target_training
from tf_transfer.training.callbacks.backup import FILE
from tf_transfer.training.callbacks.resume import Resume

TRAINED = [{"target_only": BRIEF}, {"fine_tune": FAST}]
ALL = [
    *TRAINED,
    {"twin": {"strategy": "target_only", **BRIEF}},
    {"multi_task": FAST},
    {"scratch": BRIEF},
    "tfidf",
    "majority",
]
TRAINED_ONCE = 6
"""Of these, without the twin."""
TEXTS = {name: set(target["test"]["text"]) for name, target in make_experiment()["targets"].items()}


class Witness:
    """Notes what `fit`, `adapt` and `predict` were given, which texts reached the encoder, and what
    was said before.
    """

    def __init__(self, patch):
        self.fits, self.adapts, self.predictions, self.encoded, self.sentences = [], [], [], [], []
        self.predicting = False
        for kind in (
            fine_tune.FineTune,
            target_only.TargetOnly,
            scratch.Scratch,
            classical.TfIdf,
            classical.Majority,
            strategies.MultiTask,
            target_training.TargetTraining,
        ):
            for verb, note in (("fit", self._fit), ("adapt", self._adapt)):
                if verb in vars(kind):
                    patch.setattr(kind, verb, note(vars(kind)[verb]))
        for kind in (model.TransferModel, classical.TextModel):
            patch.setattr(kind, "predict", self._predict(kind.predict))
        patch.setattr(model.TransferModel, "tokenise", self._tokenise(model.TransferModel.tokenise))

    def _fit(self, original):
        def fit(strategy, model, source=None, *, seed=0, **options):
            self.fits.append((strategy, seed, {n: set(t["text"]) for n, t in source.items()}))
            return original(strategy, model, source, seed=seed, **options)

        return fit

    def _adapt(self, original):
        def adapt(strategy, model, support, *, seed=0, **options):
            self.adapts.append((strategy.name, seed, tuple(support["text"])))
            return original(strategy, model, support, seed=seed, **options)

        return adapt

    def _predict(self, original):
        def predict(model, table, *args, **options):
            self.predictions.append(tuple(table["text"]))
            self.predicting = True
            try:
                return original(model, table, *args, **options)
            finally:
                self.predicting = False

        return predict

    def _tokenise(self, original):
        def tokenise(model, table, **options):
            self.encoded.append((self.predicting, set(table["text"])))
            return original(model, table, **options)

        return tokenise


@pytest.fixture(scope="module")
def content(encoder_folder):
    return make_experiment(
        encoder={"name": str(encoder_folder), "max_length": 16},
        strategies=ALL,
        baseline="target_only",
    )


@pytest.fixture(scope="module")
def done(content, tmp_path_factory):
    """The whole experiment, run once, with what was said and seen on the way."""
    said = []
    with pytest.MonkeyPatch.context() as patch:
        witness = Witness(patch)
        comparison = compare(
            content, tmp_path_factory.mktemp("runs") / "whole", say=lambda *what: said.append(what),
            note=witness.sentences.append,
        )  # fmt: skip
    return comparison, witness, said


@pytest.fixture
def small(content):
    """Experiments of strategies that need no network; changes as for `make_experiment`."""

    def build(**changes):
        return make_experiment(**{"encoder": content["encoder"]} | changes)

    return build


@pytest.fixture(scope="module")
def finished(content, tmp_path_factory):
    """The folder of the small experiment as it is, done."""
    return compare(
        make_experiment(encoder=content["encoder"]), tmp_path_factory.mktemp("runs") / "small"
    ).run.folder


@pytest.fixture
def folder(finished, tmp_path):
    """A copy of that folder, to be spoilt."""
    shutil.copytree(finished, tmp_path / "run")
    return tmp_path / "run"


def bits(comparison) -> dict:
    """``{cell: {task: bytes of the scores}}``."""
    return {
        cell: {task: scores.tobytes() for task, scores in comparison.run.read_cell(cell)[0].items()}
        for cell in all_cells(
            comparison.targets, comparison.strategies, comparison.budgets, comparison.seeds
        )
    }


@contextlib.contextmanager
def computed():
    """The cells that are computed in the block."""
    from tf_transfer.experiments.runner import Runner

    cells, original = [], Runner._compute

    def note(self, run, cell, *args):
        cells.append(cell)
        return original(self, run, cell, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Runner, "_compute", note)
        yield cells


# -- a fair comparison -----------------------------------------------------------------------------


def test_all_strategies_learn_from_the_same_rows(done):
    _, witness, _ = done
    seen = collections.defaultdict(set)
    for name, seed, texts in witness.adapts:
        seen[seed, texts].add(name)
    assert len(seen) == 2 * 2 * 2  # targets, budgets, seeds
    assert all(
        names == {"target_only", "fine_tune", "multi_task", "scratch", "tfidf", "majority"}
        for names in seen.values()
    )


def test_budgets_are_nested_and_come_from_the_targets_training_rows(done, content):
    _, witness, _ = done
    supports = {texts for _, _, texts in witness.adapts}
    few, many = ({s for s in supports if len(s) == budget} for budget in (6, 12))
    assert len(few) == len(many) == 4
    assert {s[:6] for s in many} == few
    pools = [set(target["train"]["text"]) for target in content["targets"].values()]
    assert all(any(set(s) <= pool for pool in pools) for s in supports)


def test_sources_are_learnt_once_a_strategy_and_seed(done, content):
    _, witness, _ = done
    counts = collections.Counter((strategy.name, seed) for strategy, seed, _ in witness.fits)
    names = ("target_only", "fine_tune", "multi_task", "scratch", "tfidf", "majority")
    # the twin is not trained again
    assert counts == {(name, seed): 1 for name in names for seed in (0, 1)}
    sources = {name: set(table["text"]) for name, table in content["sources"].items()}
    assert all(given == sources for _, _, given in witness.fits)


def test_the_test_split_is_seen_by_nothing_but_predict(done):
    _, witness, _ = done
    tested = TEXTS["tweets"] | TEXTS["letters"]
    assert not any(set(texts) & tested for _, _, texts in witness.adapts)
    assert not any(texts & tested for _, _, given in witness.fits for texts in given.values())
    assert any(predicting for predicting, _ in witness.encoded)
    assert not any(texts & tested for predicting, texts in witness.encoded if not predicting)


def test_every_cell_predicts_the_same_rows_in_order(done, content):
    _, witness, _ = done
    counts = collections.Counter(witness.predictions)
    tests = {tuple(target["test"]["text"]) for target in content["targets"].values()}
    frozen = 3  # heads on frozen features, of fine_tune, multi_task, and of target_only beside them
    assert counts == dict.fromkeys(tests, (TRAINED_ONCE + frozen) * 2 * 2)


def test_progress_counts_every_cell(done):
    _, _, said = done
    assert said[-1] == ("done", 48, 48)
    assert [done for what, done, _ in said if " labels, seed " in what] == list(range(48))
    # fine_tune, multi_task, tfidf
    assert sum("source training" in what for what, _, _ in said) == 2 * 3
    assert ("fine_tune, seed 1: source training", 28, 48) in said


def test_all_strategies_have_a_seed_before_one_has_the_next_and_then_there_is_a_provisional_verdict(
    small, tmp_path
):
    said, shown = [], []

    def look(comparison, seeds):
        known = {cell.seed for cell in comparison._cells}
        shown.append((seeds, known, len(comparison.verdicts()), comparison.unusable))

    compare(small(seeds=4), tmp_path, say=lambda *what: said.append(what[0]), provisional=look)
    seeds = [int(what[-1]) for what in said if " labels, seed " in what]
    assert seeds == sorted(seeds) and len(set(seeds)) == 4
    assert [(count, known) for count, known, *_ in shown] == [(2, {0, 1}), (3, {0, 1, 2})]
    assert all(verdicts == 8 and not unusable for *_, verdicts, unusable in shown)


def test_what_a_killed_process_left_of_a_finished_source_training_goes(small, folder):
    run = Comparison(folder).run
    left = [run.fitted_path("tfidf", 0), run.backup_path("tfidf", 1)]
    left[0].parent.mkdir(exist_ok=True)
    left[0].write_bytes(b"weights")
    left[1].mkdir()
    compare(small(), folder)
    assert not any(path.exists() for path in left)


@pytest.mark.parametrize("verbose", ["auto", 1, 0])
def test_a_run_is_never_silent_unless_that_is_asked_for(small, tmp_path, capsys, verbose):
    compare(small(), tmp_path, verbose=verbose)
    told = capsys.readouterr().err
    assert ("16 of 16 done" in told) == bool(verbose) and bool(told) == bool(verbose)


def test_what_each_task_learns_is_said_before_the_first_cell(done):
    _, witness, _ = done
    first = witness.sentences
    assert first[0] == "stars (regression): 64 rows with a number"
    assert re.fullmatch(
        r"mood \(classification\): 2 classes with rows: 'glad' \(\d+\), 'sad' \(\d+\)", first[1]
    )


def test_the_report_counts_known_rows_with_another_label(small, tmp_path):
    """It said 0 of every run, for the audit was not told the labels."""
    experiment = small(strategies=["majority"], budgets=[6], seeds=1)
    films, test = experiment["sources"]["films"], experiment["targets"]["tweets"]["test"]
    films.loc[[2, 3], "text"] = test.loc[[0, 1], "text"].to_numpy()
    films.loc[[2, 3], "stars"] = test.loc[[0, 1], "stars"].to_numpy()
    films.loc[2, "mood"] = {"glad": "sad", "sad": "glad"}[test.loc[0, "mood"]]
    films.loc[3, "mood"] = test.loc[1, "mood"]
    comparison = compare(experiment, tmp_path / "run")
    assert comparison.leakage["tweets"]["tables"]["films"]["conflicts"] == 1
    table = next(
        block for block in record_sections.leakage(comparison).blocks if isinstance(block, Table)
    )
    place = table.head.index("other label")
    counts = {(row[0].text, row[1]): row[place] for row in table.rows}
    assert counts["tweets", "films"] == "1" and counts["tweets", "train"] == "0"


# -- what is kept ----------------------------------------------------------------------------------


def test_metrics_follow_from_the_kept_predictions(done, content):
    """Against SciPy and scikit-learn, from the files alone."""
    comparison, _, _ = done
    results = comparison.results.set_index(
        ["target", "task", "strategy", "budget", "seed", "metric"]
    )["value"].sort_index()
    for cell in all_cells(comparison.targets, comparison.strategies, [6, 12], [0, 1]):
        with np.load(comparison.run.path(cell)) as file:
            stars, moods = file["scores/stars"], file["scores/mood"]
        test = content["targets"][cell.target]["test"]
        place = (cell.strategy, cell.budget, cell.seed)
        found = results.loc[(cell.target, "stars", *place)]
        assert found["mae"] == pytest.approx(mean_absolute_error(test["stars"], stars), abs=1e-12)
        if np.ptp(stars) > 0:
            assert found["pearson"] == pytest.approx(
                pearsonr(test["stars"], stars).statistic, abs=1e-12
            )
        else:
            assert np.isnan(found["pearson"])
        labels = np.array(["glad", "sad"])[moods.argmax(1)]
        expected = f1_score(test["mood"], labels, average="macro", zero_division=0)
        assert results[(cell.target, "mood", *place, "f1_macro")] == pytest.approx(
            expected, abs=1e-12
        )


def test_a_run_reads_back_as_it_was(done):
    comparison, _, _ = done
    again = Comparison(comparison.run.folder)
    pd.testing.assert_frame_equal(again.results, comparison.results)
    pd.testing.assert_frame_equal(again.verdicts(), comparison.verdicts())
    assert (again.tasks, again.unusable, again.leakage) == (
        comparison.tasks,
        [],
        comparison.leakage,
    )


def test_seeds_and_budgets_and_sources_matter(done):
    found = bits(done[0])
    assert len({found[cell]["stars"] for cell in found if cell.strategy == "fine_tune"}) == 8
    assert found[Cell("tweets", "fine_tune", 6, 0)] != found[Cell("tweets", "multi_task", 6, 0)]
    assert found[Cell("tweets", "fine_tune", 6, 0)] != found[Cell("tweets", "target_only", 6, 0)]


def test_nothing_is_left_after_source_training(done):
    assert list((done[0].run.folder / "fitted").iterdir()) == []


# -- what follows ----------------------------------------------------------------------------------


def test_a_strategy_that_is_another_under_a_second_name_counts_once(done):
    comparison, _, _ = done
    assert comparison.twins == {"twin": "target_only"} and "twin" not in comparison.strategies
    place = "tweets", "mood", 6
    for seed, scores in comparison.scores("twin", *place).items():
        assert np.array_equal(scores, comparison.scores("target_only", *place)[seed])
    found = comparison.difference("twin", "target_only", *place)
    assert (found.value, found.low, found.high, found.verdict) == (0, 0, 0, "undecided")


def test_verdicts_are_paired_differences_to_the_baseline(done, content):
    comparison, _, _ = done
    verdicts = comparison.verdicts()
    assert "target_only" not in set(verdicts["strategy"])
    assert len(verdicts) == 2 * 2 * 2 * (TRAINED_ONCE - 1)
    row = verdicts.query(
        "target == 'letters' and task == 'stars' and budget == 12 and strategy == 'tfidf'"
    ).iloc[0]
    scores = {
        s: [comparison.run.read_cell(Cell("letters", s, 12, seed))[0]["stars"] for seed in (0, 1)]
        for s in ("tfidf", "target_only")
    }
    stars = content["targets"]["letters"]["test"]["stars"].to_numpy()
    expected = statistics.paired_difference(
        "pearson", "regression", stars, scores["tfidf"], scores["target_only"]
    )
    assert (row["value"], row["low"], row["high"], row["p"]) == (
        expected.value,
        expected.low,
        expected.high,
        expected.p,
    )
    assert (row["verdict"], row["seeds"], row["rows"]) == (expected.verdict, 2, 24)
    by_hand = [
        pearsonr(stars, a).statistic - pearsonr(stars, b).statistic
        for a, b in zip(*scores.values())
    ]
    assert row["value"] == pytest.approx(np.mean(by_hand), abs=1e-12)


def test_an_undefined_difference_is_undecided(done):
    majority = done[0].verdicts().query("strategy == 'majority' and task == 'stars'")
    assert majority["value"].isna().all()
    assert set(majority["verdict"]) == {"undecided"}


def test_any_two_strategies_can_be_compared_in_any_metric(done):
    comparison, _, _ = done
    ours = comparison.difference("tfidf", "majority", "tweets", "stars", 12, metric="mae")
    theirs = comparison.difference("majority", "tfidf", "tweets", "stars", 12, metric="mae")
    assert ours.metric == "mae"
    assert ours.value == -theirs.value > 0


def test_words_are_corrected_over_the_transferring_strategies_of_the_run(done):
    comparison, _, _ = done
    verdicts = comparison.verdicts()
    family = verdicts[verdicts["transfer"] & verdicts["p"].notna()]
    once = false_discovery_control(family["p"])
    expected = np.maximum(once * min(1, 1.05 * np.mean(once >= 0.05 / 1.05)), family["p"])
    np.testing.assert_allclose(family["q"], expected)
    assert (family.loc[family["verdict"] != "undecided", "q"] < 0.05).all()
    others = verdicts[~verdicts["transfer"]]
    pd.testing.assert_series_equal(others["q"], others["p"], check_names=False)
    plain = comparison.verdicts(correction=None)
    assert list(plain["q"].dropna()) == list(plain["p"].dropna())
    excluded = (plain["low"] > 0) | (plain["high"] < 0)
    assert (excluded == plain["verdict"].isin(["helped", "hurt"])).all()
    with pytest.raises(DataError, match="fdr"):
        comparison.verdicts(correction="bonferroni")


def test_row_tests_are_those_of_the_predictions(done):
    comparison, _, _ = done
    found = comparison.row_tests("tfidf", "target_only", "tweets", "mood", 12)
    y, groups = comparison.truth("tweets", "mood")
    a, b = (comparison.scores(s, "tweets", "mood", 12) for s in ("tfidf", "target_only"))
    expected = row_tests("classification", y, list(a.values()), list(b.values()), groups)
    pd.testing.assert_frame_equal(found, expected)
    accuracy = found.set_index(["metric", "test"]).loc[("accuracy", "permutation"), "value"].item()
    assert accuracy == pytest.approx(
        np.mean([(a[s].argmax(1) == y).mean() - (b[s].argmax(1) == y).mean() for s in a])
    )
    with pytest.raises(DataError, match="strategy must be one of"):
        comparison.row_tests("tfidf", "nobody", "tweets", "mood", 12)


def test_a_margin_makes_verdicts_equivalent_and_leaves_the_others_alone(done):
    comparison, _, _ = done
    wide = comparison.verdicts(margin=10.0)
    assert set(wide["verdict"][wide["value"].notna()]) == {"equivalent"}
    assert "equivalent" not in set(comparison.verdicts()["verdict"])
    assert (
        comparison.difference("twin", "target_only", "tweets", "stars", 12, margin=0.01).verdict
        == "equivalent"
    )


def test_verdicts_handed_out_are_copies(done):
    done[0].verdicts()["verdict"] = "changed"
    assert "changed" not in set(done[0].verdicts()["verdict"])


def test_every_metric_of_the_suite_has_an_interval(done):
    comparison, _, _ = done
    found = comparison.intervals()
    assert list(found.columns) == [
        *("target", "task", "budget", "strategy", "metric", "value", "low", "high", "note"),
    ]  # fmt: skip
    assert len(found) == 2 * 2 * TRAINED_ONCE * (
        len(KINDS["classification"].metrics) + len(KINDS["regression"].metrics)
    )
    keys = ["target", "task", "budget", "strategy", "metric"]
    means = comparison.results.groupby(keys)["value"].agg(lambda v: v.mean(skipna=False))
    np.testing.assert_allclose(
        found["value"], means.loc[pd.MultiIndex.from_frame(found[keys])], atol=1e-12
    )
    defined = found.dropna(subset=["low"])
    assert ((defined["low"] <= defined["value"]) & (defined["value"] <= defined["high"])).all()
    some = comparison.intervals(["mae"])
    assert set(some["metric"]) == {"mae"} and set(some["task"]) == {"stars"}
    with pytest.raises(DataError, match="mae"):
        comparison.intervals(["mea"])


def test_summary_is_the_mean_over_seeds_in_the_order_of_the_plan(done):
    comparison, _, _ = done
    summary = comparison.summary()
    place = list(summary[["target", "task", "metric", "budget"]].itertuples(index=False, name=None))
    kinds = (("stars", "pearson"), ("mood", "f1_macro"))
    assert place == [
        (target, *kind, budget)
        for target in ("tweets", "letters")
        for kind in kinds
        for budget in (6, 12)
    ]
    assert list(summary.columns[4:]) == comparison.strategies
    rows = comparison.results.query(
        "target == 'letters' and task == 'mood' and metric == 'f1_macro' and budget == 12 and "
        "strategy == 'scratch'"
    )
    assert len(rows) == 2
    assert summary["scratch"].iloc[-1] == pytest.approx(rows["value"].mean(), abs=1e-12)
    assert summary["majority"].iloc[:2].isna().all()


def test_it_prints_and_renders(done):
    text = str(done[0])
    assert "undefined" in text
    assert all(name in text for name in ("tweets", "letters", "target_only", "f1_macro"))
    assert done[0]._repr_html_().count("<tr") == 9


def test_costs_are_means_in_seconds(done):
    comparison, _, _ = done
    costs = comparison.costs.set_index(["strategy", "stage"])["seconds"]
    assert len(costs) == 2 * TRAINED_ONCE
    metas = [
        comparison.run.read_cell(Cell(t, "multi_task", b, s))[1]
        for t in TEXTS
        for b in (6, 12)
        for s in (0, 1)
    ]
    for stage in ("source", "target"):
        assert costs["multi_task", stage] == pytest.approx(
            np.mean([m[f"{stage}_seconds"] for m in metas])
        )
    assert costs["multi_task", "source"] > 0.01 > costs["target_only", "source"]


def test_costs_have_the_weights_that_were_trained_and_the_memory(done):
    comparison, _, _ = done
    costs = comparison.costs.set_index(["strategy", "stage"])
    trained = costs.xs("target", level="stage")["parameters"]
    whole = sum(v.shape.num_elements() for v in _model(comparison).trainable_variables)
    for strategy in ("target_only", "fine_tune", "multi_task", "scratch"):
        assert 0.5 * whole < trained[strategy] < 1.05 * whole
    assert (
        trained[["majority", "tfidf"]].isna().all()
        and costs.xs("source", level="stage")["parameters"].isna().all()
    )
    memory = costs.xs("target", level="stage")["peak_gb"]
    assert (memory > 0.1).all() and memory.max() <= os.sysconf("SC_PHYS_PAGES") * os.sysconf(
        "SC_PAGE_SIZE"
    ) / 1e9


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can let the peak start anew")
@pytest.mark.parametrize("verb", ["fit", "adapt"])
def test_the_memory_of_a_strategy_is_not_that_of_an_earlier_one(small, tmp_path, monkeypatch, verb):
    original = getattr(classical.TfIdf, verb)

    def greedy(self, *arguments, **options):
        np.ones(40_000_000).sum()  # 0.32 GB, given back at once
        return original(self, *arguments, **options)

    monkeypatch.setattr(classical.TfIdf, verb, greedy)
    run = compare(small(strategies=["tfidf", "majority"], seeds=1, budgets=[6]), tmp_path)
    peak = run.costs.set_index(["strategy", "stage"])["peak_gb"]
    assert peak["tfidf", "target"] - peak["majority", "target"] > 0.2


def _model(comparison):
    from tf_transfer.encoders.loading import load_encoder

    return model.TransferModel(
        load_encoder(comparison.provenance["encoder"]["name"]), comparison.tasks, max_length=16
    )


def test_only_the_heads_count_when_the_encoder_is_frozen(small, tmp_path):
    probe = compare(small(strategies=["majority", "linear_probe"], seeds=1, budgets=[6]), tmp_path)
    trained = probe.costs.set_index(["strategy", "stage"])["parameters"]["linear_probe", "target"]
    heads = sum(v.shape.num_elements() for h in _model(probe).heads.values() for v in h.weights)
    assert 0 < trained <= heads


def test_confusions_are_counts_over_seeds(done):
    comparison, _, _ = done
    found = comparison.confusion("tweets", "mood", "fine_tune", 12)
    expected = np.zeros((2, 2), int)
    y, present = comparison.run.read_target("tweets")[0]["mood"]
    for seed in (0, 1):
        scores = comparison.run.read_cell(Cell("tweets", "fine_tune", 12, seed))[0]["mood"]
        for truth, row in zip(y[present], scores[present]):
            expected[truth, row.argmax()] += 1
    np.testing.assert_array_equal(found, expected)
    assert (
        list(found.index) == list(found.columns) == ["glad", "sad"] and found.index.name == "true"
    )
    with pytest.raises(DataError, match="Only a classification"):
        comparison.confusion("tweets", "stars", "fine_tune", 12)
    with pytest.raises(DataError, match="strategy must be one of"):
        comparison.confusion("tweets", "mood", "gone", 12)


def test_provenance_says_what_was_run(done):
    recorded = done[0].provenance
    assert recorded["rows"] == {"source films": 14, "source shop": 10, "target tweets (train)": 20,
                                "target tweets (test)": 30, "target letters (train)": 20,
                                "target letters (test)": 24}  # fmt: skip
    assert recorded["packages"]["tensorflow"].startswith("2.")
    assert all(
        recorded["packages"][name][0].isdigit()
        for name in ("tokenizers", "scipy", "pandas", "numpy")
    )
    assert recorded["experiment"]["budgets"] == [6, 12]
    assert recorded["experiment"]["drop_leaks"] is True
    assert set(recorded["sha256"]) == set(recorded["rows"])
    assert done[0].source_strategies == ["fine_tune", "multi_task"]


class _Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.text = collections.Counter(), ""

    def handle_starttag(self, tag, attributes):
        self.tags[tag] += 1

    def handle_data(self, data):
        self.text += data


def test_save_writes_results_verdicts_and_a_report(done, tmp_path):
    comparison, _, _ = done
    folder = comparison.save(tmp_path / "saved")
    results = pd.read_csv(folder / "results.csv")
    pd.testing.assert_frame_equal(results, comparison.results.astype(results.dtypes.to_dict()))

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    verdicts = json.loads((folder / "verdicts.json").read_text(), parse_constant=refuse)
    assert len(verdicts) == len(comparison.verdicts())
    undefined = [v for v in verdicts if v["strategy"] == "majority" and v["task"] == "stars"]
    assert {v["value"] for v in undefined} == {None}
    first, row = verdicts[0], comparison.verdicts().iloc[0]
    assert (first["strategy"], first["verdict"], first["low"]) == (
        "fine_tune",
        row["verdict"],
        pytest.approx(row["low"]),
    )
    page = _Page()
    page.feed((folder / "report.html").read_text(encoding="utf-8"))
    assert page.tags["svg"] >= 4
    assert all(name in page.text for name in ("tweets", "letters", "multi_task"))
    assert bits(Comparison(folder)) == bits(comparison)


def test_what_can_never_be_settled_is_written_as_infinite(tmp_path):
    """Seeds that disagree wholly: no number of rows makes up for them."""
    y = np.arange(100) % 2
    scores = {
        "target_only": {4: [right_in(y, 0.5)] * 3},
        "fine_tune": {4: [right_in(y, s) for s in (0.1, 0.6, 0.95)]},
    }
    comparison = make_comparison(tmp_path, y, scores, metric="accuracy")
    assert np.isinf(comparison.verdicts()["rows_needed"]).all()
    comparison.save()
    (written,) = json.loads((tmp_path / "verdicts.json").read_text())
    assert written["rows_needed"] == "inf"


def test_saving_where_nothing_can_be_written_is_told(done, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CheckpointError, match="Could not write"):
        done[0].save(tmp_path / "file")


# -- stopped and started again ---------------------------------------------------------------------


def part(content) -> dict:
    """The strategies of the whole experiment that show what a stop could spoil, from one seed."""
    return content | {"strategies": TRAINED, "seeds": [1]}


def is_part_of(comparison, whole) -> bool:
    found = bits(comparison)
    return len(found) == 8 and found == {cell: bits(whole)[cell] for cell in found}


@pytest.mark.slow
def test_a_run_stopped_within_a_cell_goes_on_to_the_same_bits(done, content, tmp_path, monkeypatch):
    calls, original = [], model.TransferModel.predict

    def stop(self, *args, **options):
        calls.append(1)
        # the second cell after source training (two predictions a cell): trained, not yet written
        if len(calls) == 11:
            raise KeyboardInterrupt
        return original(self, *args, **options)

    monkeypatch.setattr(model.TransferModel, "predict", stop)
    with pytest.raises(KeyboardInterrupt):
        compare(part(content), tmp_path / "run")
    monkeypatch.undo()
    stopped = Comparison(tmp_path / "run")
    assert stopped.lost_cells == 3
    assert [p.name for p in (tmp_path / "run" / "fitted").iterdir()] == [
        "fine_tune-seed-1.safetensors"
    ]

    witness = Witness(monkeypatch)
    with computed() as cells:
        comparison = compare(part(content), tmp_path / "run")
    assert stopped.unusable[0].startswith(f"3 of 8 cells are missing.\nThe first: {cells[0]}: ")
    assert witness.fits == []  # what the sources taught was kept
    assert is_part_of(comparison, done[0])
    assert list((tmp_path / "run" / "fitted").iterdir()) == []
    assert comparison.costs["seconds"].iloc[2] > 0


@pytest.mark.slow
def test_a_run_stopped_within_source_training_goes_on_within_it(
    done, content, tmp_path, monkeypatch
):
    original, batches = Resume.on_train_begin, []

    def stop(self, logs=None):
        if self.backup_dir.name == "part-2":
            raise KeyboardInterrupt
        return original(self, logs)

    monkeypatch.setattr(Resume, "on_train_begin", stop)
    with pytest.raises(KeyboardInterrupt):
        compare(part(content), tmp_path / "run")
    monkeypatch.undo()
    backup = tmp_path / "run" / "fitted" / "fine_tune-seed-1.backup"
    assert [str(p.relative_to(backup)) for p in sorted(backup.rglob("*.*"))] == [f"part-1/{FILE}"]

    monkeypatch.setattr(
        Resume,
        "on_epoch_begin",
        lambda self, epoch, logs=None: batches.append(self.backup_dir.name),
    )
    comparison = compare(part(content), tmp_path / "run")
    assert set(batches) == {"part-2"}
    assert is_part_of(comparison, done[0])
    assert list((tmp_path / "run" / "fitted").iterdir()) == []


@pytest.mark.slow
def test_a_run_stopped_between_source_training_and_its_file_loses_nothing(
    done, content, tmp_path, monkeypatch
):
    from tf_transfer.experiments import runner

    def stop(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "save_state", stop)
    with pytest.raises(KeyboardInterrupt):
        compare(part(content), tmp_path / "run")
    monkeypatch.undo()
    epochs = []
    monkeypatch.setattr(
        Resume, "on_epoch_begin", lambda self, epoch, logs=None: epochs.append(self.backup_dir.name)
    )
    comparison = compare(part(content), tmp_path / "run")
    assert epochs == []  # the sources are not trained on again
    assert is_part_of(comparison, done[0])
    assert list((tmp_path / "run" / "fitted").iterdir()) == []


@pytest.mark.slow
def test_a_killed_process_goes_on_to_the_same_bits(done, content, encoder_folder, tmp_path):
    code = (
        "import sys; from tests.experiments import *; from tests.tiny import keep_graphs; "
        "keep_graphs()\n"
        "from tf_transfer import compare\n"
        "compare(make_experiment(encoder={'name': sys.argv[1], 'max_length': 16}, "
        "baseline='target_only', seeds=[1],\n"
        "    strategies=[{'target_only': {'adapt_steps': 1}}, {'fine_tune': FAST}]), sys.argv[2])"
    )
    root = Path(__file__).parents[1]
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(encoder_folder), str(tmp_path / "run")], cwd=root
    )
    try:
        cells = tmp_path / "run" / "cells"
        wait_until(lambda: process.poll() is not None or len(list(cells.glob("*/*/*.npz"))) >= 3)
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.kill()
    assert process.wait() == -signal.SIGKILL, "it was done before it could be killed"
    assert 0 < Comparison(tmp_path / "run").lost_cells <= 5
    assert is_part_of(compare(part(content), tmp_path / "run"), done[0])


def wait_until(condition, seconds=120.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.02)


def test_a_finished_run_computes_nothing(small, folder):
    first = bits(Comparison(folder))
    with computed() as cells:
        again = compare(small(), folder)
    assert cells == []
    assert bits(again) == first


@pytest.mark.parametrize(
    ("changes", "added"),
    [
        (
            {"seeds": 3},
            {Cell(t, s, b, 2) for t in TEXTS for s in ("majority", "tfidf") for b in (6, 12)},
        ),
        (
            {"budgets": [6, 9, 12]},
            {Cell(t, s, 9, seed) for t in TEXTS for s in ("majority", "tfidf") for seed in (0, 1)},
        ),
        (
            {
                "strategies": [
                    "majority",
                    "tfidf",
                    {"plain": {"strategy": "tfidf", "uses_source": False}},
                ]
            },
            {Cell(t, "plain", b, seed) for t in TEXTS for b in (6, 12) for seed in (0, 1)},
        ),
    ],
)
def test_what_is_added_to_a_run_is_computed_and_no_more(small, folder, tmp_path, changes, added):
    first = bits(Comparison(folder))
    with computed() as cells:
        grown = compare(small(**changes), folder)
    assert set(cells) == added
    assert len(cells) == len(added)
    assert {cell: scores for cell, scores in bits(grown).items() if cell in first} == first
    assert bits(compare(small(**changes), tmp_path / "afresh")) == bits(grown)


def test_damaged_cells_are_listed_when_read_and_computed_again_by_compare(small, folder):
    first = Comparison(folder)
    expected = bits(first)
    cells = all_cells(first.targets, first.strategies, [6], [0])
    cut, edited, gone, moved = (first.run.path(cell) for cell in cells)
    cut.write_bytes(cut.read_bytes()[:-40])
    with np.load(edited) as file:
        arrays = dict(file)
    np.savez(edited, **arrays | {"scores/stars": arrays["scores/stars"] + 1})
    gone.unlink()
    moved.write_bytes(first.run.path(Cell("letters", "tfidf", 12, 1)).read_bytes())

    read = Comparison(folder)
    assert {u.split(":")[0] for u in read.unusable} == {str(cell) for cell in cells}
    assert len(read.results.query("seed == 0 and budget == 6")) == 0
    assert (read.verdicts().query("budget == 6")["seeds"] == 1).all()
    assert (read.verdicts().query("budget == 12")["seeds"] == 2).all()
    with computed() as again:
        comparison = compare(small(), folder)
    assert set(again) == set(cells)
    assert comparison.unusable == []
    assert bits(comparison) == expected


@pytest.mark.slow
def test_a_damaged_fit_is_trained_again(content, tmp_path, monkeypatch):
    folder = tmp_path / "run" / "fitted"
    folder.mkdir(parents=True)
    (folder / "fine_tune-seed-1.safetensors").write_bytes(b"cut short")
    monkeypatch.setattr(fine_tune, "train", lambda *args, **options: None)
    fewer = part(content) | {
        "strategies": ["majority", {"fine_tune": FAST}],
        "baseline": "majority",
        "budgets": [6],
    }
    witness = Witness(monkeypatch)
    comparison = compare(fewer, tmp_path / "run")
    assert [(s.name, seed) for s, seed, _ in witness.fits] == [("majority", 1), ("fine_tune", 1)]
    assert comparison.unusable == []


def test_a_run_without_a_single_cell_can_be_looked_at(folder):
    columns = Comparison(folder).verdicts().columns
    shutil.rmtree(folder / "cells")
    empty = Comparison(folder)
    assert empty.lost_cells == 16
    assert len(empty.unusable) == 1 and "16 of 16 cells are missing" in empty.unusable[0]
    assert (
        len(empty.results) == len(empty.verdicts()) == len(empty.summary()) == len(empty.costs) == 0
    )
    str(empty)
    assert list(empty.verdicts().columns) == list(columns)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"sources": {"films": make_table(14, seed=1)}}, "order of sources, source shop"),
        (
            {"sources": {"films": make_table(14, seed=9), "shop": make_table(10, seed=2)}},
            "source films",
        ),
        ({"strategies": ["majority", {"tfidf": {"penalty": 3}}]}, "tfidf"),
        ({"tasks": [{"name": "stars", "kind": "regression"}]}, "tasks"),
        ({"encoder": {"max_length": 8}}, "encoder.max_length"),
        ({"text_pair": "text"}, "text_pair"),
    ],
)
def test_the_folder_of_another_experiment_is_refused(small, folder, changes, named):
    other = small(**changes)
    other["encoder"] = small()["encoder"] | changes.get("encoder", {})
    with pytest.raises(DataError) as caught:
        compare(other, folder)
    assert f"These differ from today's: {named}." in str(caught.value)
    assert Comparison(folder).unusable == []


def test_a_target_without_a_task_is_compared_in_the_other(small, tmp_path):
    targets = {
        "tweets": {
            "train": make_table(20, seed=3),
            "test": make_table(30, seed=4).drop(columns="mood"),
        }
    }
    comparison = compare(small(targets=targets), tmp_path / "run")
    assert set(comparison.results["task"]) == set(comparison.verdicts()["task"]) == {"stars"}


def test_groups_widen_the_interval(small, tmp_path):
    """Rows of a group are drawn together, so four copies of eight rows count as eight."""
    few = make_table(8, seed=4)
    test = pd.concat([few] * 4, ignore_index=True).assign(author=list("abcdefgh") * 4)
    targets = {"tweets": {"train": make_table(20, seed=3), "test": test}}
    alone = compare(small(targets=targets, seeds=1), tmp_path / "alone")
    targets["tweets"]["group"] = "author"
    grouped = compare(small(targets=targets, seeds=1), tmp_path / "grouped")
    one, other = (
        c.difference("tfidf", "majority", "tweets", "stars", 12, "mae") for c in (alone, grouped)
    )
    assert one.value == other.value
    assert other.high - other.low > 1.5 * (one.high - one.low)


def test_a_failure_names_its_cell(small, tmp_path, monkeypatch):
    def fail(self, *args, **options):
        raise TrainingError("The loss became nan in step 3")

    monkeypatch.setattr(classical.TfIdf, "adapt", fail)
    with pytest.raises(
        TrainingError, match="tfidf on tweets, 6 labels, seed 0: The loss became nan in step 3"
    ):
        compare(small(), tmp_path / "run")
    monkeypatch.undo()
    monkeypatch.setattr(classical.TfIdf, "fit", fail)
    with pytest.raises(TrainingError, match="tfidf, seed 0, source training: The loss"):
        compare(small(), tmp_path / "run")


def test_without_a_folder_the_cells_are_kept_for_now(small):
    comparison = compare(small(seeds=1, budgets=[6]))
    assert len(bits(comparison)) == 4


def test_all_is_checked_before_the_encoder_is_loaded(small, tmp_path):
    with pytest.raises(DataError, match="budget of 99"):
        compare(small(budgets=[99]) | {"encoder": "no-such-encoder"}, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_folder_that_cannot_be_written_is_told_before_training(small, tmp_path):
    (tmp_path / "run").write_text("a file is in the way")
    with computed() as cells, pytest.raises(CheckpointError, match="Could not write"):
        compare(small(), tmp_path / "run")
    assert cells == []


@pytest.mark.parametrize(
    ("key", "value"), [("baseline", "tfidf"), ("metrics", {"stars": "mae", "mood": "accuracy"})]
)
def test_a_run_whose_plan_was_edited_is_refused_until_it_is_run_again(small, folder, key, value):
    path = folder / "run.json"
    before, content = Comparison(folder).verdicts(), json.loads(path.read_text())
    assert content["provenance"]["plan"][key] != value
    content["provenance"]["plan"][key] = value
    path.write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match="is not as it was written"):
        Comparison(folder)
    with computed() as cells:
        again = compare(small(), folder)
    assert cells == []
    pd.testing.assert_frame_equal(again.verdicts(), before)
