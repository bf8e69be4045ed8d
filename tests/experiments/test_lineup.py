"""What an experiment compares with what, and what it trains once."""

import pytest

from tests.experiments import make_experiment, make_table
from tf_transfer.errors import DataError
from tf_transfer.experiments.experiment import load_experiment
from tf_transfer.strategies import STRATEGIES, LinearProbe, TargetOnly

ONE = {"films": make_table(14, seed=1)}


def lineup(*strategies, **changes):
    return load_experiment(
        make_experiment(strategies=list(strategies), **{"baseline": "auto"} | changes)
    )


@pytest.mark.parametrize(
    "name", [n for n, s in STRATEGIES.items() if s.uses_source and s.uses_encoder]
)
def test_each_strategy_is_compared_with_itself_without_the_source(name):
    strategy = STRATEGIES[name]()
    experiment = lineup(name)
    without = strategy.without_source()
    assert not without.uses_source and without.without_source() is None
    assert experiment.compared[experiment.controls[name]] == without
    assert name in experiment.lineup.judged


@pytest.mark.parametrize("name", ["fine_tune", "multi_task"])
def test_training_on_the_target_is_the_same_on_both_sides(name):
    arguments = {
        "adapt_steps": 7,
        "adapt_batch_size": 8,
        "adapt_learning_rate": 0.01,
        "head_start": False,
    }
    strategy = STRATEGIES[name](**arguments)
    assert strategy.without_source() == TargetOnly(**arguments)


def test_what_verdicts_need_is_added():
    experiment = lineup(
        "fine_tune", "linear_probe", {"slow": {"strategy": "fine_tune", "adapt_steps": 300}}
    )
    added = {k: s for k, s in experiment.compared.items() if k not in experiment.strategies}
    assert added == {
        "target_only": TargetOnly(),
        "linear_probe without source": LinearProbe(uses_source=False),
        "slow without source": TargetOnly(adapt_steps=300),
    }
    assert experiment.controls == {
        "fine_tune": "target_only",
        "linear_probe": "linear_probe without source",
        "slow": "slow without source",
        "linear_probe without source": "target_only",
        "slow without source": "target_only",
    }


def test_what_the_experiment_has_already_is_not_added():
    alone = {"alone": {"strategy": "linear_probe", "uses_source": False}}
    experiment = lineup("target_only", "linear_probe", alone)
    assert list(experiment.compared) == ["target_only", "linear_probe", "alone"]
    assert experiment.controls["linear_probe"] == "alone"


def test_a_baseline_that_is_named_is_what_all_are_compared_with():
    """Only those that differ from it in nothing but the source can have helped or hurt."""
    experiment = lineup("target_only", "fine_tune", "linear_probe", "tfidf", baseline="target_only")
    assert set(experiment.controls.values()) == {"target_only"} and len(experiment.compared) == 4
    assert experiment.lineup.judged == ["fine_tune"]


def test_one_source_makes_joint_and_sequential_training_one():
    experiment = lineup(
        "fine_tune", "multi_task", {"longer": {"strategy": "multi_task", "epochs": 3}}, sources=ONE
    )
    assert experiment.twins == {"multi_task": "fine_tune"}
    assert (
        list(experiment.trained)
        == list(experiment.compared)
        == ["fine_tune", "longer", "target_only"]
    )
    assert lineup("fine_tune", "multi_task").twins == {}


def test_the_same_strategy_twice_is_trained_once():
    experiment = lineup("target_only", {"again": {"strategy": "target_only"}}, baseline="again")
    assert experiment.twins == {"again": "target_only"} and experiment.controls == {}


def test_without_all_but_one_source_they_are_one_too():
    experiment = lineup("fine_tune", "multi_task", leave_one_out=True)
    assert experiment.twins == {
        "multi_task without films": "fine_tune without films",
        "multi_task without shop": "fine_tune without shop",
    }


def test_a_label_that_leaving_out_makes_must_be_free():
    with pytest.raises(
        DataError, match=r"those that leave_one_out makes included(.|\n)*'fine_tune without films'"
    ):
        lineup(
            "fine_tune",
            {"fine_tune without films": {"strategy": "target_only"}},
            leave_one_out=True,
        )


@pytest.mark.parametrize(
    "strategies",
    [
        [
            {"fine_tune": {"adapt_steps": 50}},
            {"fine_tune without source": {"strategy": "target_only"}},
        ],
        [{"target_only": {"strategy": "scratch"}}, "fine_tune"],
    ],
)
def test_a_strategy_of_the_name_that_is_to_be_added_is_not_replaced(strategies):
    with pytest.raises(DataError, match="Received another strategy of that name"):
        lineup(*strategies)


def test_names_that_are_added_are_checked_with_the_others():
    with pytest.raises(DataError, match="differs from the others by more than case"):
        lineup({"Target_Only": {"strategy": "tfidf"}}, "fine_tune")


def test_an_inner_loop_alone_has_no_twin_without_the_source():
    experiment = lineup("target_only", {"maml": {"fine_tune": False}})
    assert experiment.controls == {"maml": "target_only"} and experiment.lineup.judged == []
