"""Predicted seconds: which steps are counted, with a clock that the test sets."""

import types

import pytest

from tests import tiny
from tf_transfer.advisor import cost
from tf_transfer.kinds.tasks import Task
from tf_transfer.strategies import (
    FineTune,
    LinearProbe,
    Majority,
    MultiTask,
    Reptile,
    Scratch,
    TargetOnly,
    TfIdf,
)

SOURCES = {"a": tiny.make_table(20, seed=1), "b": tiny.make_table(13, seed=2)}
SUPPORT = tiny.make_table(10, seed=3)
TASK = Task("mood", kind="classification", classes=tiny.MOODS)


@pytest.fixture(scope="module")
def model():
    return tiny.make_model([TASK])


@pytest.fixture
def counted(model, monkeypatch):
    """A meter for which every step takes a second, a start ten, and a compilation a hundred."""
    meter, asked = cost.CostMeter(model, SOURCES, SOURCES), []

    def warm_up(table, batch_size, rule):
        asked.append((len(table), batch_size))
        return 100.0 + 10 + 2, 2

    monkeypatch.setattr(meter, "_warm_up", warm_up)
    monkeypatch.setattr(meter, "_time_steps", lambda table, batch_size, steps, rule: 10.0 + steps)
    return meter, asked


def test_gradient_steps_are_counted_as_training_takes_them(counted, model, monkeypatch):
    meter, asked = counted
    steps = []
    monkeypatch.setattr(
        type(model),
        "fit",
        lambda self, data, epochs, steps_per_epoch, **_: steps.append(epochs * steps_per_epoch),
    )
    # of the heads that are solved first
    monkeypatch.setattr(meter, "_adapt_seconds", lambda *args: 1000.0)
    options = {"epochs": 2, "batch_size": 8, "adapt_steps": 5, "adapt_batch_size": 4}
    for strategy in (FineTune(**options), MultiTask(**options)):
        found = meter.cost(strategy, "tweets", SUPPORT)
        steps.clear()
        fitted = strategy.fit(model, SOURCES)
        parts = 2 if type(strategy) is FineTune else 1
        assert found.source == sum(steps) + 10 * parts
        steps.clear()
        strategy.adapt(fitted, SUPPORT)
        assert found.target == sum(steps) + 10 + 1000
        assert found.once == 200
        assert found.total == found.source + found.target
    assert asked == [(33, 8), (10, 4)]  # what strategies share is timed once


def test_without_source_training_there_is_no_source_time(counted, monkeypatch):
    meter, _ = counted
    monkeypatch.setattr(meter, "_adapt_seconds", lambda *args: 1000.0)
    strategy = TargetOnly(adapt_steps=6, adapt_batch_size=16)
    assert meter.cost(strategy, "tweets", SUPPORT) == cost.Cost(0.0, 10 + 6 + 1000, 100.0)
    assert meter.cost(Scratch(adapt_steps=6, head_start=False), "tweets", SUPPORT) == cost.Cost(
        0.0, 10 + 6, 100.0
    )


def test_steps_of_another_gradient_rule_are_timed_by_themselves(counted, monkeypatch):
    meter, _ = counted
    monkeypatch.setattr(meter, "_adapt_seconds", lambda *args: 0.0)
    seconds = {"sum": 1.0, "pcgrad": 3.0}
    monkeypatch.setattr(
        meter, "_time_steps", lambda table, batch_size, steps, rule: 10.0 + steps * seconds[rule]
    )
    plain, slow = (
        meter.cost(MultiTask(gradient_rule=rule, epochs=2, batch_size=8), "tweets", SUPPORT)
        for rule in seconds
    )
    assert slow.source - 10 == 3 * (plain.source - 10) and slow.target == plain.target


def test_what_is_solved_or_counted_is_run_and_grows_with_the_rows(model, monkeypatch):
    clock = iter(range(10**6))
    monkeypatch.setattr(
        cost, "time", types.SimpleNamespace(perf_counter=lambda: float(next(clock)))
    )
    half = {name: table.head(len(table) // 2) for name, table in SOURCES.items()}
    meter = cost.CostMeter(model, SOURCES, half)
    assert meter.cost(TfIdf(), "tweets", SUPPORT) == cost.Cost(33 / 16, 33 / 16, 0.0)
    assert meter.cost(TfIdf(uses_source=False), "tweets", SUPPORT).target == 1
    assert meter.cost(LinearProbe(), "tweets", SUPPORT).target == 1
    assert meter.cost(Majority(), "tweets", SUPPORT).target == 1


@pytest.mark.slow
def test_a_real_measurement(model):
    """Not how fast, which depends on the machine: more steps take longer, and nothing is
    negative.
    """
    before = tiny.snapshot(model)
    meter = cost.CostMeter(model, SOURCES, SOURCES)
    few, many = (
        meter.cost(FineTune(epochs=n, adapt_steps=n, adapt_batch_size=8), "tweets", SUPPORT)
        for n in (1, 300)
    )
    assert 0 < few.source < many.source and 0 < few.target < many.target
    assert many.source > 20 * few.source / 2 and few.once > 0
    assert tiny.same(tiny.snapshot(model), before)


@pytest.mark.slow
def test_learning_from_episodes_is_timed_by_its_outer_steps(model):
    meter = cost.CostMeter(model, SOURCES, SOURCES)
    few, many = (
        meter.cost(
            Reptile(steps=n, inner_steps=1, meta_batch=1, shot=2, num_query=2), "tweets", SUPPORT
        )
        for n in (1, 1000)
    )
    assert many.source > few.source > 0 and few.target > 0 and few.once > 0
