"""A search from end to end: repeatable, resumable, blind to the test rows, and ready for
`compare`.
"""

import dataclasses
import json
import re
import shutil

import numpy as np
import pytest
import yaml

from tests.experiments import make_experiment, make_table
from tf_transfer.comparison.compare import compare
from tf_transfer.encoders.loading import load_encoder
from tf_transfer.errors import CheckpointError, DataError
from tf_transfer.evaluation.fitted import Fitted
from tf_transfer.experiments.experiment import load_experiment
from tf_transfer.model.model import TransferModel
from tf_transfer.strategies import STRATEGIES, LinearProbe, TfIdf
from tf_transfer.tuning.bench import Bench
from tf_transfer.tuning.plan import Plan
from tf_transfer.tuning.records import Outcome, Records
from tf_transfer.tuning.result import TuneResult
from tf_transfer.tuning.scores import cannot_reach
from tf_transfer.tuning.trials import UNTUNED, WITHOUT_SOURCE
from tf_transfer.tuning.tune import tune

FAST = {
    "epochs": [1, 2],
    "batch_size": 8,
    "adapt_steps": 1,
    "adapt_batch_size": 8,
    "head_start": False,
}
SPACE = {"linear_probe": None, "tfidf": None}


class Killed(BaseException):
    """As a kill: nothing but the outermost sees it."""


@pytest.fixture(scope="module")
def experiment(encoder_folder):
    def make(**changes):
        content = {
            "encoder": {"name": str(encoder_folder), "max_length": 16},
            "targets": {
                "tweets": {"train": make_table(24, seed=3), "test": make_table(30, seed=4)}
            },
            "strategies": ["majority", "linear_probe", "tfidf"],
            "tune": {"strategies": SPACE, "trials": 6, "oracle": "random", "folds": 3},
        }
        return make_experiment(**content | changes)

    return make


@pytest.fixture(scope="module")
def renamed(experiment, tmp_path_factory):
    """A search of one candidate: the probe with source, by another name and beside other
    arguments.
    """
    strategies = [
        "majority",
        {"probe": {"strategy": "linear_probe", "uses_source": False}},
        "tfidf",
    ]
    space = {"drawn": {"strategy": "probe", "uses_source": True}}
    folder = tmp_path_factory.mktemp("search") / "renamed"
    return tune(
        experiment(strategies=strategies),
        folder,
        strategies=space,
        trials=1,
        settings={"freeze": "all"},
    )


def test_the_winner_is_shown_beside_itself_untuned_and_without_the_source(renamed):
    assert {name: o.arguments for name, o in renamed.beside.items()} == {
        UNTUNED: {"uses_source": False}, WITHOUT_SOURCE: {"uses_source": False},
    }  # fmt: skip
    assert [o.settings for o in renamed.beside.values()] == [{}, {"freeze": "all"}]
    for name, outcome in renamed.beside.items():
        assert f"In the same measurements, {name} ({outcome.label}): {outcome.score:.4f}" in str(
            renamed
        )
    one = renamed.beside[UNTUNED]
    alone = dataclasses.replace(one, label="linear_probe")
    assert one.measured[1] == pytest.approx(measured_alone(renamed, alone, 1), abs=1e-6)


def test_what_stands_beside_another_winner_or_the_winner_itself_is_not_shown(
    renamed, experiment, tmp_path
):
    shutil.copytree(renamed.folder, tmp_path / "s")
    result = TuneResult(tmp_path / "s", renamed.experiment, Plan.of(renamed.experiment))
    assert len(result.beside) == 2
    other = {name: dataclasses.replace(outcome, trial=7) for name, outcome in result.beside.items()}
    Records(tmp_path / "s").write_beside(other)
    assert result.beside == {}
    for damage in ("[]", '{"untuned": {}}', "{"):
        (tmp_path / "s" / "beside.json").write_text(damage)
        with pytest.raises(CheckpointError, match=r"beside\.json"):
            str(result)
    (tmp_path / "s" / "beside.json").unlink()
    assert "same measurements" not in str(result)
    alone = tune(
        experiment(), tmp_path / "a", strategies={"linear_probe": {"uses_source": False}}, trials=1
    )
    assert list(alone.beside) == [UNTUNED]  # with source, as the experiment has it
    own = tune(
        experiment(), tmp_path / "o", strategies={"linear_probe": {"uses_source": True}}, trials=1
    )
    assert list(own.beside) == [WITHOUT_SOURCE]


def test_a_search_that_is_stopped_beside_its_winner_has_written_it(
    experiment, tmp_path, monkeypatch
):
    measure = Bench.measure

    def measuring(self, candidate, measurement):
        if "beside" in said[-1]:
            raise KeyboardInterrupt
        return measure(self, candidate, measurement)

    said, options = [""], {"strategies": {"linear_probe": {"uses_source": False}}, "trials": 1}
    with monkeypatch.context() as patch:
        patch.setattr(Bench, "measure", measuring)
        with pytest.raises(KeyboardInterrupt):
            tune(experiment(), tmp_path / "s", say=lambda what, *_: said.append(what), **options)
    assert (tmp_path / "s" / "trials.csv").exists() and (tmp_path / "s" / "best.yaml").exists()
    assert list(tune(experiment(), tmp_path / "s", **options).beside) == [UNTUNED]


def test_what_fails_beside_the_winner_is_said(experiment, tmp_path, monkeypatch):
    measure = Bench.measure

    def measuring(self, candidate, measurement):
        if candidate.strategy.uses_source:
            raise DataError("it cannot be.\nReceived nothing.")
        return measure(self, candidate, measurement)

    monkeypatch.setattr(Bench, "measure", measuring)
    result = tune(
        experiment(), tmp_path / "s", strategies={"linear_probe": {"uses_source": False}}, trials=1
    )
    assert "untuned (linear_probe): failed, " in str(result) and "it cannot be." in str(result)


def table_of(result):
    return result.trials.drop(columns="seconds").to_csv(index=False)


@pytest.fixture(scope="module")
def searched(experiment, tmp_path_factory):
    """A search of six trials over two strategies."""
    said = []
    result = tune(
        experiment(), tmp_path_factory.mktemp("search") / "s", say=lambda *what: said.append(what)
    )
    result.said = said
    return result


def test_every_trial_is_in_the_table(searched):
    table = searched.trials
    assert list(table["trial"]) == [0, 1, 2, 3, 4, 5] and set(table["strategy"]) == {
        "linear_probe",
        "tfidf",
    }
    assert (
        set(table["status"]) <= {"completed", "stopped"}
        and (table["status"] == "completed").sum() >= 1
    )
    assert (table["planned"] == 6).all() and (
        table["measured"][table["status"] == "completed"] == 6
    ).all()
    assert table["penalty"].notna().sum() == (table["strategy"] == "tfidf").sum()
    completed = table[table["status"] == "completed"]
    assert (completed["low"] < completed["score"]).all() and (
        completed["score"] < completed["high"]
    ).all()
    assert (completed["high"] <= 1).all()
    assert (searched.folder / "trials.csv").read_text().count("\n") == 7
    assert searched.said[-1] == ("done", 6, 6)


def measured_alone(result, outcome, index: int) -> float:
    """The objective in one measurement of a trial, from a model that has done nothing else."""
    plan = Plan.of(result.experiment)
    measurement, spec = plan.measurements[index], result.experiment.encoder
    model = TransferModel(load_encoder(spec.name), plan.tasks, max_length=spec.max_length)
    model.restart(measurement.seed)
    strategy = STRATEGIES[outcome.label](**outcome.arguments)
    fitted = strategy.fit(model, plan.sources, seed=measurement.seed)
    adapted = strategy.adapt(fitted, measurement.support, seed=measurement.seed)
    return adapted.evaluate({"held out": measurement.validation})["held out", "stars", "pearson"]


def test_a_score_is_the_mean_of_its_measurements(searched):
    for label in ("linear_probe", "tfidf"):
        outcome = next(o for o in searched.outcomes if o.label == label)
        assert outcome.measured[2] == pytest.approx(measured_alone(searched, outcome, 2), rel=1e-6)
    best = searched.best_trial
    assert best.score == pytest.approx(np.mean(best.measured))
    assert best.score == searched.trials.query("status == 'completed'")["score"].max()


def test_trials_that_ended_early_could_not_reach_the_best(searched):
    for outcome in searched.outcomes:
        if outcome.status == "stopped":
            earlier = [
                o for o in searched.outcomes if o.status == "completed" and o.trial < outcome.trial
            ]
            best = max(earlier, key=lambda o: o.score)
            assert cannot_reach(outcome.measured, best.measured)
            assert not cannot_reach(outcome.measured[:-1], best.measured)
            assert outcome.reported < best.score and f"trial {best.trial}" in outcome.message


@pytest.mark.slow
def test_the_same_seed_gives_the_same_search(searched, experiment, tmp_path):
    again = tune(experiment(), tmp_path / "s")
    assert table_of(again) == table_of(searched)
    assert again.best == searched.best


@pytest.mark.slow
@pytest.mark.parametrize("kill", [2, 20])
def test_a_search_that_was_killed_in_a_trial_ends_the_same_without_doing_anything_twice(
    searched, experiment, tmp_path, monkeypatch, kill
):
    measured, measure = [], Bench.measure

    def measuring(self, candidate, measurement):
        if len(measured) == kill:
            raise Killed
        measured.append((candidate.key, measurement.name))
        return measure(self, candidate, measurement)

    monkeypatch.setattr(Bench, "measure", measuring)
    with pytest.raises(Killed):
        tune(experiment(), tmp_path / "s")
    kill = -1
    ended = tune(experiment(), tmp_path / "s")
    assert table_of(ended) == table_of(searched)
    # and what stands beside the winner, unless trials had measured it
    assert len(set(measured)) == len(measured)
    trials = searched.trials["measured"].sum()
    assert (
        trials <= len(measured) <= trials + sum(len(o.measured) for o in searched.beside.values())
    )


@pytest.mark.slow
def test_the_test_rows_decide_nothing(searched, experiment, tmp_path):
    """Other labels in the test rows: the same search, and the same folder goes on."""
    test = make_table(30, seed=4)
    test["stars"], test["mood"] = (
        test["stars"].to_numpy()[::-1] * -7,
        test["mood"].sample(frac=1, random_state=0).values,
    )
    other = experiment(targets={"tweets": {"train": make_table(24, seed=3), "test": test}})
    assert table_of(tune(other, tmp_path / "s")) == table_of(searched)
    assert table_of(tune(other, searched.folder)) == table_of(searched)


def test_no_test_row_is_predicted(experiment, tmp_path, monkeypatch):
    seen, measure = [], Bench.measure

    def measuring(self, candidate, measurement):
        seen.extend([*measurement.support["text"], *measurement.validation["text"]])
        return measure(self, candidate, measurement)

    monkeypatch.setattr(Bench, "measure", measuring)
    tune(experiment(), tmp_path / "s", trials=1, strategies="tfidf")
    loaded = load_experiment(experiment()).load_target("tweets")
    assert set(seen) <= set(loaded[0]["text"]) and not set(seen) & set(loaded[1]["text"])
    assert len(set(seen)) == 12  # what the largest budget buys


def test_the_best_is_ready_for_compare(searched, experiment, tmp_path):
    comparison = compare(searched.best_experiment, tmp_path / "run")
    # What was found may be what the experiment has: it is trained once then.
    assert {*comparison.strategies, *comparison.twins} == {
        "majority",
        "linear_probe",
        "tfidf",
        "tuned",
    }
    assert comparison.difference("tuned", "majority", "tweets", "stars", 12, "mae").rows == 30
    pasted = yaml.safe_load((searched.folder / "best.yaml").read_text())
    strategies = load_experiment(
        experiment(strategies=pasted["strategies"], baseline="tuned")
    ).strategies
    assert strategies["tuned"] == searched.best and "tuned" in searched.to_yaml()


def test_a_loss_is_made_small(experiment, tmp_path):
    result = tune(
        experiment(), tmp_path / "s", strategies="tfidf", objective="mood/log_loss", trials=4
    )
    completed = result.trials.query("status == 'completed'")
    assert result.best_trial.score == completed["score"].min() and isinstance(result.best, TfIdf)
    assert "lowest mood/log_loss" in str(result)


@pytest.mark.slow
def test_settings_of_the_encoder_are_searched(experiment, tmp_path, monkeypatch):
    seen, adapt = set(), LinearProbe.adapt

    def adapting(self, model, support, **options):
        adapted = adapt(self, model, support, **options)
        model = Fitted.of(model).model
        seen.add((model.options["max_length"], adapted.options["max_length"], model.encoder.frozen))
        return adapted

    monkeypatch.setattr(LinearProbe, "adapt", adapting)
    space = {"max_length": [8, 12], "freeze": "all"}
    probe = {"linear_probe": {"uses_source": True}}
    result = tune(
        experiment(), tmp_path / "s", settings=space, strategies=probe, folds=2, early_stop=False
    )
    beside = (16, 16, "none")  # the experiment's own, of what the winner is shown beside
    assert seen == {(8, 8, "all"), (12, 12, "all"), beside} and len(result.outcomes) == 2
    encoder = result.best_experiment.encoder
    assert (encoder.max_length, encoder.freeze) == tuple(result.best_trial.settings.values())
    assert yaml.safe_load(result.to_yaml())["encoder"]["max_length"] == encoder.max_length


@pytest.mark.slow
def test_dropout_precision_and_loss_weights_are_searched(experiment, tmp_path, monkeypatch):
    seen, adapt = [], LinearProbe.adapt

    def adapting(self, model, support, **options):
        adapted = adapt(self, model, support, **options)
        for m in (Fitted.of(model).model, adapted):
            seen.append((m.heads["mood"].rate, m.encoder.precision, m.tasks[0].loss_weight))
        return adapted

    kept, measure = [], Bench.measure

    def measuring(self, candidate, measurement):
        found = measure(self, candidate, measurement)
        kept.append((len(self._runners), len(self._adapted)))
        return found

    monkeypatch.setattr(LinearProbe, "adapt", adapting)
    monkeypatch.setattr(Bench, "measure", measuring)
    monkeypatch.setattr("tf_transfer.tuning.bench.MOST_MODELS", 2)
    space = {
        "dropout": {"min": 0, "max": 0.5},
        "precision": "mixed_bfloat16",
        "loss_weight.stars": [0.5, 2.0],
    }
    options = {
        "strategies": {"linear_probe": {"uses_source": False}},
        "folds": 2,
        "repeats": 1,
        "trials": 3,
    }
    result = tune(experiment(), tmp_path / "s", settings=space, early_stop=False, **options)
    tried = [tuple(o.settings.values()) for o in result.outcomes]
    own = (result.experiment.encoder.dropout, "float32", 1.0)  # of what the winner is shown beside
    assert len(set(tried)) == 3 and seen == [t for t in [*tried, own] for _ in range(4)]
    assert list(result.trials["dropout"]) == [t[0] for t in tried] and max(kept) == (2, 2)
    best = result.best_experiment
    assert (best.encoder.dropout, best.encoder.precision, best.tasks[0].loss_weight) == tried[
        result.best_trial.trial
    ]
    pasted = yaml.safe_load(result.to_yaml())
    again = load_experiment(
        experiment(encoder=pasted["encoder"] | {"name": best.encoder.name}, tasks=pasted["tasks"])
    )
    assert again.tasks == best.tasks and again.encoder.dropout == best.encoder.dropout


@pytest.mark.parametrize("validation", ["holdout", "sources"])
def test_other_validations(experiment, tmp_path, validation):
    result = tune(
        experiment(), tmp_path / "s", strategies="tfidf", validation=validation, budget=8, trials=2
    )
    assert (result.trials["planned"] == (2 if validation == "holdout" else 4)).all()


@pytest.mark.slow
def test_hyperband_runs_its_brackets(experiment, tmp_path):
    options = {"max_epochs": 2, "factor": 2}
    result = tune(
        experiment(),
        tmp_path / "s",
        oracle="hyperband",
        oracle_options=options,
        folds=2,
        trials=None,
    )
    assert [o.epochs for o in result.outcomes] == [1, 1, 2, 2, 2]
    halved = result.outcomes[2]
    # word counts know no epochs
    assert halved.reported == max(o.reported for o in result.outcomes[:2])


@pytest.mark.slow
def test_training_a_network_is_repeatable_and_can_be_killed(experiment, tmp_path, monkeypatch):
    options = {"strategies": {"fine_tune": FAST, "multi_task": FAST}, "folds": 2, "trials": 4}
    once = tune(experiment(), tmp_path / "once", **options)
    assert once.trials["learning_rate"].notna().all() and set(once.trials["strategy"]) == {
        "fine_tune",
        "multi_task",
    }
    measured, measure = [], Bench.measure

    def measuring(self, candidate, measurement):
        if len(measured) == 6:
            raise Killed
        measured.append((candidate.key, measurement.name))
        return measure(self, candidate, measurement)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Bench, "measure", measuring)
        tune(experiment(), tmp_path / "killed", **options)
    assert table_of(tune(experiment(), tmp_path / "killed", **options)) == table_of(once)
    last = once.outcomes[-1]
    # of the second repeat
    assert last.measured[2] == pytest.approx(measured_alone(once, last, 2), rel=1e-4)


# -- bad input -------------------------------------------------------------------------------------


def test_a_space_without_a_valid_trial_is_an_error_with_the_reasons(experiment, tmp_path):
    with pytest.raises(
        DataError, match=r"(?s)hold a valid trial.*3 trials.*proto_net: .*classification"
    ):
        tune(experiment(), tmp_path / "s", strategies={"proto_net": {"steps": [1, 2, 3]}}, trials=3)


def test_a_search_ends_after_many_failures_and_not_for_a_few(experiment, tmp_path, monkeypatch):
    with pytest.raises(DataError, match="10 trials"):
        tune(experiment(), tmp_path / "s", strategies="proto_net", trials=30)
    mixed = tune(experiment(), tmp_path / "t", strategies=["proto_net", "tfidf"], trials=8)
    assert (
        set(mixed.trials["status"]) >= {"failed", "completed"} and mixed.best_trial.label == "tfidf"
    )
    assert mixed.trials.query("status == 'failed'")["message"].str.contains("classification").all()
    assert mixed.plot() is not None


def test_an_undefined_objective_fails_the_trial(experiment, tmp_path):
    with pytest.raises(DataError, match="stars/pearson is undefined for what it predicts"):
        tune(experiment(), tmp_path / "s", strategies=["majority"], trials=2)


@pytest.mark.parametrize(("options", "message"), [
    ({"objective": "stars/persson"}, "'stars/persson'|'persson'. Did you mean 'pearson'"),
    ({"objective": "moods"}, "Did you mean 'mood'"),
    ({"objective": "mod/f1_macro"}, "Did you mean 'mood'"),
    ({"target": "tweet"}, "Did you mean 'tweets'"),
    ({"budget": 25}, "budget of 25; target 'tweets' has 2"),
    ({"oracle": "hyperbrand"}, "Did you mean 'hyperband'"),
    ({"orcale": "random"}, "Did you mean 'oracle'"),
    ({"strategies": {"tfidf": {"penalt": [1]}}}, "Did you mean 'penalty'"),
])  # fmt: skip
def test_bad_options_are_named_and_nothing_is_written(experiment, tmp_path, options, message):
    with pytest.raises(DataError, match=f"(?s){message}"):
        tune(experiment(), tmp_path / "s", **options)
    assert not (tmp_path / "s").exists()


def test_a_metric_that_several_tasks_have_needs_its_task(experiment, tmp_path):
    tasks = [{"name": "mood"}, {"name": "tone", "label": "mood"}]
    with pytest.raises(DataError, match="Give mood/accuracy"):
        tune(experiment(tasks=tasks), tmp_path / "s", objective="accuracy")


def test_a_folder_of_another_search_is_left_alone(searched, experiment):
    before = {p: p.read_bytes() for p in searched.folder.rglob("*.json")}
    for changes in (
        {"seed": 1},
        {"objective": "mood/accuracy"},
        {"strategies": "tfidf"},
        {"budget": 10},
    ):
        with pytest.raises(DataError, match="holds another search"):
            tune(experiment(), searched.folder, **changes)
    assert {p: p.read_bytes() for p in searched.folder.rglob("*.json")} == before


def test_a_damaged_outcome_is_named(searched, experiment, tmp_path):
    tune(experiment(), tmp_path / "s", strategies="tfidf", trials=1)
    path = tmp_path / "s" / "trial_0" / "outcome.json"
    path.write_text(path.read_text()[:20])
    with pytest.raises(CheckpointError, match=r"outcome\.json cannot be read"):
        tune(experiment(), tmp_path / "s", strategies="tfidf", trials=2)


# -- what a person looks at ------------------------------------------------------------------------


def test_the_plot_has_every_trial(searched):
    figure = searched.plot()
    (axes,) = figure.axes
    lines = [line for line in axes.lines if line.get_label() != "best so far"]
    assert sum(len(line.get_xdata()) for line in lines) == len(searched.outcomes)
    (best,) = [line for line in axes.lines if line.get_label() == "best so far"]
    assert best.get_ydata()[-1] == searched.best_trial.score
    assert "Pearson" in axes.get_ylabel() and figure._repr_png_()[:4] == b"\x89PNG"


def test_the_arguments_are_plotted_against_the_score(searched):
    figure = searched.plot_arguments("tfidf")
    assert "penalty" in {a.get_xlabel() for a in figure.axes} <= {*searched.arguments("tfidf"), ""}
    with pytest.raises(DataError, match="strategy must be one of"):
        searched.plot_arguments("nothing")


def test_it_prints_and_renders(searched):
    assert f"stars/pearson: {searched.best_trial.score:.4f}" in str(searched)
    page = searched._repr_html_()
    assert "<table" in page and "<p>" in page
    assert (
        all(f"{outcome.score:.4f}" in page for outcome in searched.beside.values())
        and searched.beside
    )
    assert (
        json.loads((searched.folder / "search.json").read_text())["common"]["objective"]
        == "stars/pearson"
    )


@pytest.fixture
def result_of(searched, tmp_path):
    """A result with outcomes of one's own."""

    def make(*outcomes):
        records = Records(tmp_path)
        for outcome in outcomes:
            records.write_outcome(outcome, str(outcome.trial))
        return TuneResult(tmp_path, searched.experiment, Plan.of(searched.experiment))

    return make


def test_completed_trials_are_shown_first_and_the_best_of_them_first(result_of):
    def outcome(trial, status, score, expected):
        return Outcome(trial, status, "tfidf", {"penalty": 1.0}, {}, [], score, reported=expected)

    result = result_of(
        outcome(0, "failed", None, None),
        outcome(1, "stopped", 0.9, 0.3),
        outcome(2, "completed", 0.4, 0.4),
        outcome(3, "completed", 0.5, 0.5),
        outcome(4, "stopped", 0.7, 0.35),
    )
    assert re.findall(r"<tr>\s*<td>(\d)</td>", result._repr_html_()) == ["3", "2", "4", "1", "0"]


def test_a_search_without_a_trial_has_an_empty_table(result_of, searched):
    result = result_of()
    assert len(result.trials) == 0 and set(result.trials) == set(searched.trials)
    assert list(result.trials)[:4] == ["trial", "status", "strategy", "score"]
    assert "<table" in result._repr_html_()
    with pytest.raises(DataError, match="a trial with a score"):
        result.plot()
