"""The strategies that train the network: what they train on, for how long, and how they relate."""

import math

import numpy as np
import pytest

from tests import tiny
from tf_transfer.errors import DataError
from tf_transfer.kinds.tasks import Task
from tf_transfer.strategies import (
    FineTune,
    LinearProbe,
    MultiTask,
    Scratch,
    TargetOnly,
    fine_tune,
    target_training,
)

ONE, TWO, TARGET = (tiny.make_table(n, seed=n) for n in (12, 9, 10))
MOOD = Task("mood", kind="classification", classes=tiny.MOODS)


@pytest.fixture(scope="module")
def model():
    model = tiny.make_model([MOOD])
    model.first = tiny.snapshot(model)
    return model


@pytest.fixture
def runs(model, monkeypatch):
    """The arguments of every training run, none of which is run."""
    tiny.restore(model, model.first)
    calls = []
    for module in (fine_tune, target_training):
        monkeypatch.setattr(
            module, "train", lambda model, table, **options: calls.append((table, options))
        )
    return calls


def fitted(strategy, model, source, **options):
    tiny.restore(model, model.first)
    strategy.fit(model, source, **options)
    return tiny.snapshot(model)


@pytest.mark.slow
def test_multi_task_with_one_task_and_one_source_is_fine_tuning(model):
    options = {"epochs": 2, "batch_size": 8}
    first = fitted(FineTune(**options), model, {"one": ONE}, seed=3)
    assert tiny.same(first, fitted(MultiTask(**options), model, {"one": ONE}, seed=3))
    assert tiny.same(first, fitted(MultiTask(**options), model, ONE, seed=3))
    assert not tiny.same(first, fitted(MultiTask(**options), model, {"one": ONE}, seed=4))
    assert not tiny.same(first, model.first)


def test_sources_come_in_turn_or_mixed(model, runs):
    FineTune(epochs=5, batch_size=4, learning_rate=1e-3).fit(
        model, {"one": ONE, "two": TWO}, seed=3
    )
    assert [len(table) for table, _ in runs] == [12, 9]
    expected = {
        "epochs": 5,
        "batch_size": 4,
        "learning_rate": 1e-3,
        "seed": 3,
        "verbose": 0,
        "callbacks": [],
    }
    assert all(options == expected for _, options in runs)
    runs.clear()
    MultiTask(epochs=5).fit(model, {"one": ONE, "two": TWO})
    assert [len(table) for table, _ in runs] == [21]


@pytest.mark.parametrize(
    ("rows", "batch_size", "steps", "passes"),
    [
        (10, 16, 60, 60),
        (10, 4, 60, 20),
        (256, 16, 60, 4),
        (2560, 16, 60, 4),
        (5, 2, 4, 2),
        (10, 512, 3, 3),
    ],
)
def test_steps_on_the_target(model, runs, rows, batch_size, steps, passes):
    support = tiny.make_table(rows)
    FineTune(adapt_steps=steps, adapt_batch_size=batch_size).adapt(model, support)
    ((table, options),) = runs
    assert (len(table), options["passes"], options["batch_size"]) == (rows, passes, batch_size)
    taken = options["passes"] * math.ceil(min(rows, 256) / batch_size)
    assert steps <= taken < steps + math.ceil(256 / batch_size)


def test_the_target_is_trained_on_alike_with_and_without_a_source(model, runs):
    for strategy in (FineTune(), MultiTask(), TargetOnly(), Scratch()):
        strategy.adapt(model, TARGET, seed=5)
    first, *others = [options for _, options in runs]
    assert first["learning_rate"] == pytest.approx(5e-5 * 768 / 16)
    assert others == [first] * 3


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "share"), [(16, 1 / 4), (64, 1 / 2), (256, 1), (300, 1)])
def test_few_rows_of_a_regression_are_trained_on_slowly(runs, rows, share):
    model, support = (
        tiny.make_model([MOOD, Task("stars", kind="regression")]),
        tiny.make_table(rows),
    )
    for strategy in (FineTune(), TargetOnly()):
        strategy.adapt(model, support)
    assert [options["learning_rate"] for _, options in runs] == pytest.approx(
        [share * 5e-5 * 768 / 16] * 2
    )


def test_a_rate_that_is_given_is_taken(model, runs):
    FineTune(adapt_learning_rate=1e-2).adapt(model, TARGET)
    assert [options["learning_rate"] for _, options in runs] == [1e-2]


def test_the_twin_without_source_keeps_the_settings_of_the_target():
    ours = {
        "adapt_steps": 7,
        "adapt_batch_size": 3,
        "adapt_learning_rate": 1e-3,
        "head_start": False,
    }
    for kind in (FineTune, MultiTask):
        assert kind(**ours, epochs=9).without_source() == TargetOnly(**ours)


def test_a_head_start_is_the_linear_probe(model, runs):
    probed = LinearProbe().adapt(model, TARGET)
    cold = FineTune(head_start=False).adapt(model, TARGET)
    for strategy in (FineTune(), TargetOnly(), Scratch()):
        assert tiny.same(tiny.snapshot(strategy.adapt(model, TARGET)), tiny.snapshot(probed))
    assert tiny.same(tiny.snapshot(cold), model.first)


def test_target_only_ignores_sources(model, runs):
    assert TargetOnly().fit(model, {"one": ONE}).model is model
    assert tiny.same(tiny.snapshot(model), model.first) and not runs


def test_scratch_forgets_the_encoder_by_seed(model, runs):
    states = [fitted(Scratch(), model, None, seed=s) for s in (1, 1, 2)]
    assert tiny.same(states[0], states[1])
    heads = len(model.encoder.state)
    kernels = [i for i, v in enumerate(model.state) if "kernel" in v.name and i < heads]
    assert all(not np.array_equal(states[0][i], states[2][i]) for i in kernels)
    assert all(not np.array_equal(states[0][i], model.first[i]) for i in kernels)
    assert tiny.same(states[0][heads:], model.first[heads:])


def test_open_tasks_take_their_classes_from_the_target(runs):
    model = tiny.make_model([Task("mood")])
    assert TargetOnly(head_start=False).adapt(model, TARGET).tasks[0].classes == tiny.MOODS


@pytest.mark.parametrize("strategy", [FineTune(), MultiTask(), LinearProbe()])
def test_a_source_without_labels_is_refused(model, strategy):
    tiny.restore(model, model.first)
    with pytest.raises(
        DataError, match=r"must have labels in at least one of the columns \['mood'\]"
    ):
        strategy.fit(model, ONE.assign(mood=None))
    assert tiny.same(tiny.snapshot(model), model.first)


def test_a_source_of_one_text_draws_no_probe(model):
    """No feature of it tells its labels: the target's heads are not drawn to what they say."""
    constant = ONE.assign(text="the same words")
    tiny.restore(model, model.first)
    alone = tiny.snapshot(LinearProbe(uses_source=False).adapt(model, TARGET))
    assert tiny.same(
        tiny.snapshot(LinearProbe().adapt(LinearProbe().fit(model, constant), TARGET)), alone
    )
