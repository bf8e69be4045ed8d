"""Search spaces: declared beside every strategy, changed in the experiment, understood by
keras-tuner.
"""

import dataclasses
import types

import keras_tuner
import numpy as np
import pytest

from tests.experiments import make_experiment
from tf_transfer.errors import DataError
from tf_transfer.experiments.experiment import load_experiment
from tf_transfer.kinds.tasks import Task
from tf_transfer.strategies import STRATEGIES, FineTune, MultiTask, Reptile, TargetOnly
from tf_transfer.tuning.space import SearchSpace, declare

RATE = {"min": 1e-4, "max": 1e-2, "sampling": "log"}


def space_of(strategies=None, settings=None, **tune) -> SearchSpace:
    tune |= {} if strategies is None else {"strategies": strategies}
    tune |= {} if settings is None else {"settings": settings}
    known = ["majority", {"fine_tune": {"epochs": 1, "adapt_batch_size": 4}}, "tfidf"]
    return SearchSpace.of(load_experiment(make_experiment(strategies=known, tune=tune)))


def declared(space: SearchSpace, auto=lambda label, field: 1e-3) -> keras_tuner.HyperParameters:
    hyperparameters = keras_tuner.HyperParameters()
    declare(space, hyperparameters, auto)
    return hyperparameters


def drawn(space: SearchSpace, count: int = 40) -> list:
    """Candidates as keras-tuner's random oracle draws them."""
    oracle = keras_tuner.oracles.RandomSearchOracle("loss", hyperparameters=declared(space), seed=1)
    values = (oracle._random_values() for _ in range(count))
    return [space.decode(v) for v in values]


@pytest.mark.parametrize("name", [n for n, s in STRATEGIES.items() if s.search_space])
def test_every_strategy_declares_a_space_that_it_can_take(name):
    space = space_of({name: None})
    assert set(space.spaces[name]) == set(STRATEGIES[name].search_space)
    defaults = [s for s in STRATEGIES.values() if not s.search_space]
    assert [s.name for s in defaults] == ["majority"]
    candidates = drawn(space, 20 if len(space.spaces[name]) > 1 else 2)
    assert len({c.key for c in candidates}) > 1
    for candidate in candidates:
        assert type(candidate.strategy) is STRATEGIES[name]
    effort = STRATEGIES[name].effort
    assert effort is None or effort in {f.name for f in dataclasses.fields(STRATEGIES[name])}


def test_strategies_are_a_choice_with_arguments_of_their_own():
    space = space_of(
        {"fine_tune": {"epochs": [1, 2], "learning_rate": RATE}, "multi_task": {"epochs": 4}}
    )
    names = [h.name for h in declared(space).space]
    assert (
        names[0] == "strategy"
        and "fine_tune/learning_rate" in names
        and "multi_task/epochs" not in names
    )
    candidates = drawn(space)
    assert {c.label for c in candidates} == {"fine_tune", "multi_task"}
    for candidate in candidates:
        if candidate.label == "fine_tune":
            # The experiment's own argument where none is searched, the searched ones within their
            # spaces.
            assert (
                isinstance(candidate.strategy, FineTune)
                and candidate.strategy.adapt_batch_size == 4
            )
            assert (
                candidate.strategy.epochs in (1, 2)
                and 1e-4 <= candidate.strategy.learning_rate <= 1e-2
            )
        else:
            assert isinstance(candidate.strategy, MultiTask) and candidate.strategy.epochs == 4


def test_a_gradient_rule_is_a_choice():
    candidates = drawn(space_of({"multi_task": {"gradient_rule": ["sum", "pcgrad"]}}))
    assert {c.strategy.gradient_rule for c in candidates} == {"sum", "pcgrad"}
    assert {"gradient_rule" in c.key for c in candidates} == {False, True}
    assert "gradient_rule" not in MultiTask.search_space
    with pytest.raises(
        DataError, match=r"tune.strategies.multi_task.gradient_rule(.|\n)*'pcgrad'\?"
    ):
        space_of({"multi_task": {"gradient_rule": ["sum", "pcgrat"]}})


def test_without_strategies_all_of_the_experiment_that_have_a_space_are_searched():
    assert list(space_of().strategies) == ["fine_tune", "tfidf"]


def test_a_label_may_name_its_strategy():
    space = space_of(
        {"short": {"strategy": "fine_tune", "epochs": [1]}, "long": {"strategy": "multi_task"}}
    )
    assert {type(s) for s in space.strategies.values()} == {FineTune, MultiTask}


def test_auto_is_the_unit_of_learning_rates():
    """Multiples of what the strategy would take by itself: 1/4 to 4 times 2e-4 here."""
    space, asked = space_of({"fine_tune": {"adapt_learning_rate": 0.001}}), []

    def auto(label, field):
        asked.append((label, field))
        return 2e-4

    (rate,) = [h for h in declared(space, auto).space if h.name == "fine_tune/learning_rate"]
    assert (rate.min_value, rate.max_value, rate.default) == pytest.approx((5e-5, 8e-4, 2e-4))
    assert asked == [("fine_tune", "learning_rate")]


def test_what_auto_stands_for():
    tasks = [Task("mood", kind="classification"), Task("stars", kind="regression")]
    model = types.SimpleNamespace(auto_learning_rate=4e-4, tasks=tasks[:1])
    assert FineTune().auto_rate("learning_rate", model, 64) == 4e-4
    assert FineTune().auto_rate("adapt_learning_rate", model, 64) == 4e-4
    assert TargetOnly().auto_rate("adapt_learning_rate", model, 64) == 4e-4
    model.tasks = tasks
    assert FineTune().auto_rate("learning_rate", model, 64) == 4e-4
    assert TargetOnly().auto_rate("adapt_learning_rate", model, 64) == pytest.approx(2e-4)
    assert FineTune().auto_rate("adapt_learning_rate", model, 1000) == 4e-4
    assert Reptile().auto_rate("learning_rate", model, 64) == 0.5


def test_numbers_have_four_digits_and_choices_keep_their_types():
    space = space_of(
        {
            "fine_tune": {
                "learning_rate": RATE,
                "head_start": [True, False],
                "epochs": {"min": 1, "max": 9},
            },
            "maml": {"inner_freeze": ["none", 1, "all"], "adapt_steps": [None, 5]},
        },
        {"max_length": [8, 12], "freeze": ["none", "embeddings"]},
    )
    candidates = drawn(space)
    tuned = [c.strategy for c in candidates if c.label == "fine_tune"]
    assert all(len(f"{s.learning_rate:.12g}".replace("0", "").replace(".", "")) <= 8 for s in tuned)
    assert all(s.learning_rate == float(f"{s.learning_rate:.4g}") for s in tuned)
    assert {type(s.epochs) for s in tuned} == {int} and {s.head_start for s in tuned} == {
        True,
        False,
    }
    learned = [c.strategy for c in candidates if c.label == "maml"]
    assert {s.inner_freeze for s in learned} == {"none", 1, "all"} and {
        s.adapt_steps for s in learned
    } == {None, 5}
    assert {tuple(c.settings.values()) for c in candidates} == {
        (n, f) for n in (8, 12) for f in ("none", "embeddings")
    }


def test_hyperbands_epochs_are_epochs_or_a_share_of_the_steps():
    space = space_of(
        {"fine_tune": None, "target_only": {"adapt_steps": 50}, "tfidf": None}, oracle="hyperband"
    )
    assert not {"fine_tune/epochs", "target_only/adapt_steps"} & {
        h.name for h in declared(space).space
    }
    values = {h.name: h.default for h in declared(space).space}

    def at(label, epochs):
        return space.decode(values | {"strategy": label, "tuner/epochs": epochs}).strategy

    assert [at("fine_tune", e).epochs for e in (1, 2, 4)] == [1, 2, 4]
    assert [at("target_only", e).adapt_steps for e in (1, 2, 4)] == [12, 25, 50]
    assert at("tfidf", 1) == at("tfidf", 4)
    assert isinstance(at("target_only", 1), TargetOnly)


@pytest.mark.parametrize(
    ("tune", "message"),
    [
        (
            {"strategies": {"fine_tune": {"learning_rat": RATE}}},
            "'learning_rat' to search; .*'learning_rate'",
        ),
        ({"strategies": {"fin_tune": None}}, "no strategy 'fin_tune'; .*Did you mean 'fine_tune'"),
        ({"strategies": {"fine_tune": {"epochs": [1, 0]}}}, "fine_tune.epochs holds 0, .*above 0"),
        ({"strategies": {"fine_tune": {"epochs": [1.5]}}}, "fine_tune.epochs holds 1.5, .*integer"),
        (
            {"strategies": {"fine_tune": {"learning_rate": {"min": -1, "max": 1}}}},
            "learning_rate holds -1",
        ),
        (
            {"strategies": {"maml": {"outer_optimizer": ["adam", "sdg"]}}},
            "outer_optimizer holds 'sdg'",
        ),
        ({"settings": {"max_lenght": [8]}}, "'max_lenght'. Did you mean 'max_length'"),
        ({"settings": {"max_length": [8, 2]}}, "max_length holds 2"),
        ({"settings": {"dropout": {"min": 0.1, "max": 1.5}}}, "dropout holds 1.5, .*less than 1"),
        (
            {"settings": {"precision": ["float32", "bfloat16"]}},
            "precision holds 'bfloat16', .*'mixed_bfloat16'",
        ),
        (
            {"settings": {"loss_weight.starz": [1]}},
            "'loss_weight.starz'. Did you mean 'loss_weight.stars'",
        ),
        ({"settings": {"loss_weight.stars": [1, -1]}}, "loss_weight.stars holds -1, .*at least 0"),
    ],
)
def test_what_cannot_be_searched_is_named_with_the_nearest(tune, message):
    with pytest.raises(DataError, match=f"(?s){message}"):
        space_of(**tune)


@pytest.mark.parametrize(
    ("tune", "message"),
    [
        ({"oracle": "bayesain"}, "tune.oracle: .*Did you mean 'bayesian'"),
        ({"trails": 3}, "unknown key 'trails'. Did you mean 'trials'"),
        (
            {"oracle": "hyperband", "oracle_options": {"max_epoch": 3}},
            "no option 'max_epoch'.*'max_epochs'",
        ),
        ({"strategies": {"fine_tune": {"epochs": []}}}, "tune.strategies.fine_tune.epochs"),
        ({"strategies": {"fine_tune": {"epochs": {"min": 3, "max": 1}}}}, "min must be below max"),
        (
            {
                "strategies": {
                    "fine_tune": {"learning_rate": {"min": 0, "max": 1, "sampling": "log"}}
                }
            },
            "a min above 0",
        ),
        (
            {
                "strategies": {
                    "fine_tune": {"learning_rate": {"min": 1, "max": 2, "samplin": "log"}}
                }
            },
            "mean 'sampling'",
        ),
        ({"validation": "fold"}, "Did you mean 'folds'"),
    ],
)
def test_what_the_file_cannot_hold_is_named(tune, message):
    with pytest.raises(DataError, match=f"(?s){message}"):
        space_of(**tune)


def test_a_search_without_anything_to_search_says_so():
    experiment = load_experiment(make_experiment(strategies=["majority"]))
    with pytest.raises(DataError, match="arguments to vary"):
        SearchSpace.of(experiment)
    alone = load_experiment(
        make_experiment(sources={}, strategies=["majority"], tune={"strategies": ["fine_tune"]})
    )
    with pytest.raises(DataError, match="without sources"):
        SearchSpace.of(alone)


def test_a_rate_written_as_yaml_reads_it_is_a_number():
    """YAML 1.1 takes 1e-4 for text."""
    space = space_of({"fine_tune": {"learning_rate": {"min": "1e-4", "max": "1e-2"}}})
    rate = space.spaces["fine_tune"]["learning_rate"]
    assert np.allclose((rate.min, rate.max), (1e-4, 1e-2))


def test_a_source_to_validate_on_must_be_there_in_every_training():
    maml = {"maml": {"validation_source": "shop", "inner_steps": [1, 2]}}
    assert space_of(maml).strategies["maml"].validation_source == "shop"
    with pytest.raises(
        DataError, match=r"tune.strategies.maml must be one of several sources; .*'shpo'.*Did you"
    ):
        space_of({"maml": {"validation_source": ["films", "shpo"]}})
    with pytest.raises(
        DataError, match=r"Received validation_source='shop' and tune.validation: sources"
    ):
        space_of(maml, validation="sources")
