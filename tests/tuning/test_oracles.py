"""keras-tuner's oracles: the same seed gives the same trials, whatever happens on the way."""

import json
import math
import types
from pathlib import Path

import keras_tuner
import pytest

from tf_transfer.errors import CheckpointError
from tf_transfer.experiments.tune_spec import TuneSpec
from tf_transfer.tuning import oracles, tuner


class Killed(BaseException):
    """As a kill: nothing but the outermost sees it."""


def space() -> keras_tuner.HyperParameters:
    hp = keras_tuner.HyperParameters()
    hp.Choice("strategy", ["one", "two"])
    with hp.conditional_scope("strategy", ["one"]):
        hp.Float("one/rate", 1e-4, 1e-1, sampling="log", default=3e-3)
    with hp.conditional_scope("strategy", ["two"]):
        hp.Choice("two/steps", [1, 2, 4, 8], default=4)
    return hp


class Curve:
    """In place of trials: a score that follows from the values."""

    def __init__(self):
        self.ran = []

    def run(self, trial_id, values):
        self.ran.append(trial_id)
        if values["strategy"] == "one":
            score = 1 - abs(math.log10(values["one/rate"]) + 2) / 4
        else:
            score = 0.4 + values["two/steps"] / 40
        return types.SimpleNamespace(reported=None if values.get("two/steps") == 1 else score)


def search(folder: Path, oracle="bayesian", seed=0, trials=6, **options) -> Curve:
    spec = TuneSpec(oracle=oracle, seed=seed, trials=trials, oracle_options=options)
    curve = Curve()
    goal = oracles.make_oracle(spec, "score", 1, space())
    tuner.TransferTuner(goal, curve, folder, lambda: None).search()
    return curve


def found(folder: Path) -> list[tuple]:
    """Values, score and status of every trial, as keras-tuner keeps them."""
    states = [json.loads(p.read_text()) for p in sorted(folder.glob("trial_*/trial.json"))]
    return [
        (s["trial_id"], s["hyperparameters"]["values"], s["score"], s["status"]) for s in states
    ]


def killed_at(write: int, monkeypatch, folder: Path, oracle: str) -> bool:
    """Searches until the given write of a file, and dies before it."""
    done = []

    def writing(path, text):
        done.append(path)
        if len(done) > write:
            raise Killed
        original(path, text)

    original = oracles.write_text
    with monkeypatch.context() as patch:
        patch.setattr(oracles, "write_text", writing)
        patch.setattr(tuner, "write_text", writing)
        try:
            search(folder, oracle)
        except Killed:
            return True
    return False


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Each oracle's uninterrupted search."""
    folders = {
        oracle: tmp_path_factory.mktemp(oracle) / "search"
        for oracle in ("random", "bayesian", "hyperband")
    }
    for oracle, folder in folders.items():
        search(folder, oracle)
    return {oracle: found(folder) for oracle, folder in folders.items()}


@pytest.mark.slow
@pytest.mark.parametrize("oracle", ["random", "bayesian", "hyperband"])
def test_the_same_seed_gives_the_same_trials_and_another_others(whole, tmp_path, oracle):
    search(tmp_path / "again", oracle)
    search(tmp_path / "other", oracle, seed=1)
    assert found(tmp_path / "again") == whole[oracle]
    assert [t[1] for t in found(tmp_path / "other")] != [t[1] for t in whole[oracle]]


@pytest.mark.slow
# of a trial that was run again with its old score
@pytest.mark.filterwarnings("error:The use case of calling")
def test_a_kill_before_any_write_changes_nothing(whole, monkeypatch, tmp_path):
    """Each write of the whole search in turn is the one that did not happen."""
    write = 0
    while killed_at(write, monkeypatch, tmp_path / str(write), "random"):
        search(tmp_path / str(write), "random")
        assert found(tmp_path / str(write)) == whole["random"], write
        write += 1
    assert write > 4 * 6


@pytest.mark.slow
@pytest.mark.parametrize("oracle", ["bayesian", "hyperband"])
@pytest.mark.parametrize("write", [17, 23])
def test_a_killed_search_ends_as_an_uninterrupted_one(whole, monkeypatch, tmp_path, oracle, write):
    assert killed_at(write, monkeypatch, tmp_path / "s", oracle)
    search(tmp_path / "s", oracle)
    assert found(tmp_path / "s") == whole[oracle]


def test_what_the_model_proposes_is_a_function_of_seed_and_number(tmp_path):
    hp = keras_tuner.HyperParameters()
    for name in "abc":
        hp.Float(name, 0.0, 1.0)
    oracle = oracles.make_oracle(
        TuneSpec(oracle_options={"beta": 0.1, "num_initial_points": 4}), "score", 1, hp
    )
    oracle._set_project_dir(str(tmp_path), "s")
    for number in range(4):
        trial = oracle.create_trial("tuner0")
        value = sum((v - 0.4) ** 2 for v in trial.hyperparameters.values.values())
        oracle.update_trial(trial.trial_id, {"score": math.cos(3 * value) + 0.01 * number})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    proposed = [oracle.populate_space(trial_id)["values"] for trial_id in ("04", "04", "05")]
    assert proposed[0] == proposed[1] != proposed[2]


def test_a_finished_search_runs_nothing_and_more_trials_prolong_it(whole, tmp_path):
    assert search(tmp_path / "s", "random").ran == ["0", "1", "2", "3", "4", "5"]
    assert search(tmp_path / "s", "random").ran == []
    assert search(tmp_path / "s", "random", trials=8).ran == ["6", "7"]
    assert found(tmp_path / "s")[:6] == whole["random"]


def test_the_bayesian_oracle_leaves_the_random_draws_in_time(tmp_path):
    """keras-tuner's own three random trials for each dimension would be nine of nine here."""
    hp = space()
    oracle = oracles.make_oracle(TuneSpec(trials=9), "score", 1, hp)
    assert (oracle.num_initial_points, oracle.max_trials) == (3, 9)
    assert oracles.make_oracle(TuneSpec(trials=90), "score", 1, hp).num_initial_points == 9
    asked = TuneSpec(oracle_options={"num_initial_points": 5, "beta": 1.0})
    assert (
        oracles.make_oracle(asked, "score", 1, hp).num_initial_points,
        asked.options["beta"],
    ) == (5, 1.0)


def test_a_loss_is_minimised():
    assert oracles.make_oracle(TuneSpec(), "stars/mae", -1, space()).objective.direction == "min"


@pytest.mark.parametrize(("options", "count"), [({}, 15), ({"max_epochs": 9, "factor": 3}, 23)])
def test_hyperband_counts_the_trials_of_its_brackets(tmp_path, options, count):
    spec = TuneSpec(oracle="hyperband", oracle_options=options)
    hp = keras_tuner.HyperParameters()
    hp.Float("one/rate", 1e-4, 1e-1)
    hp.Fixed("strategy", "one")
    curve = Curve()
    tuner.TransferTuner(
        oracles.make_oracle(spec, "score", 1, hp), curve, tmp_path / "s", lambda: None
    ).search()
    assert oracles.trials_of(spec) == len(curve.ran) == count
    epochs = [t[1]["tuner/epochs"] for t in found(tmp_path / "s")]
    assert max(epochs) == spec.options["max_epochs"] and min(epochs) == 1


def test_a_damaged_state_is_named_and_nothing_is_lost(tmp_path):
    search(tmp_path / "s", "random")
    (tmp_path / "s" / "oracle.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"oracle\.json"):
        search(tmp_path / "s", "random")


def test_what_is_no_matter_of_a_trial_ends_the_search(tmp_path, monkeypatch):
    monkeypatch.setattr(Curve, "run", lambda *_: 1 / 0)
    with pytest.raises(keras_tuner.errors.FatalError) as caught:
        search(tmp_path / "s", "random")
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
