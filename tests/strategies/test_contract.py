"""What every strategy does, whatever it is: a new one enters by its row in `STRATEGIES`."""

import dataclasses
import types

import numpy as np
import pytest

from tests import tiny
from tf_transfer.errors import DataError
from tf_transfer.model import TransferModel
from tf_transfer.strategies import STRATEGIES

FAST = {"epochs": 1, "batch_size": 8, "adapt_steps": 2, "adapt_batch_size": 8}
SOURCE = {"one": tiny.make_table(12, seed=1), "two": tiny.make_table(9, seed=2).drop(columns="themes")}
SUPPORT, TEST = tiny.make_table(10, seed=3), tiny.make_table(15, seed=4)


def make(kind):
    known = {f.name for f in dataclasses.fields(kind)}
    return kind(**{k: v for k, v in FAST.items() if k in known})


def state_of(model) -> list[np.ndarray]:
    """All that must not change: the weights, or nothing for a model that has none before it adapts."""
    if isinstance(model, TransferModel):
        return tiny.snapshot(model)
    assert not model.estimators
    return []


@pytest.fixture(scope="module")
def base():
    """The model that every strategy starts from, and an earlier result for ``out``."""
    model = tiny.make_model(seed=5)
    model.first, model.spare = tiny.snapshot(model), None
    return model


def fit(strategy, base):
    tiny.restore(base, base.first)
    base.restart(5)
    return strategy.fit(base, SOURCE if strategy.uses_source else None, seed=6)


@pytest.fixture(scope="module", params=STRATEGIES)
def case(request, base):
    strategy = make(STRATEGIES[request.param])
    fitted = fit(strategy, base)
    before, frozen = state_of(fitted), dict(fitted.options) if fitted is base else {}
    start = fitted.predict(TEST, verbose=0) if fitted is base else {}
    adapted = strategy.adapt(fitted, SUPPORT, seed=7)
    return types.SimpleNamespace(
        strategy=strategy, base=base, fitted=fitted, before=before, options=frozen, start=start,
        adapted=adapted, predictions=adapted.predict(TEST, verbose=0),
    )  # fmt: skip


def test_adapt_leaves_the_model_untouched(case):
    assert case.adapted is not case.fitted
    assert tiny.same(case.before, state_of(case.fitted))
    if case.fitted is case.base:
        assert tiny.same(case.start, case.fitted.predict(TEST, verbose=0))
        assert dict(case.fitted.options) == case.options


def test_the_adapted_model_has_learned(case):
    assert set(case.predictions) == {t.name for t in tiny.TASKS}
    assert not case.start or not tiny.same(case.start, case.predictions)


def test_the_adapted_model_predicts_every_row(case):
    for task in tiny.TASKS:
        scores = case.predictions[task.name].scores
        assert scores.shape == ((15,) if task.kind == "regression" else (15, task.outputs))
        assert np.isfinite(scores).all()
        assert len(case.predictions[task.name].labels) == 15
    np.testing.assert_allclose(case.predictions["mood"].scores.sum(1), 1, rtol=1e-6)


@pytest.mark.filterwarnings("ignore::tf_transfer.metrics.UndefinedMetricWarning")
def test_the_adapted_model_evaluates(case):
    found = case.adapted.evaluate({"test": TEST})
    expected = np.abs(case.predictions["stars"].scores - TEST["stars"]).mean()
    assert found["test", "stars", "mae"] == pytest.approx(expected)
    assert set(found["test"]) == {"mood", "themes", "stars"}


def test_seeds_repeat_and_an_earlier_result_can_be_overwritten(case):
    """Another fit from the same start, and an adaptation into a used model, give the same bits."""
    fitted = fit(case.strategy, case.base)
    assert tiny.same(case.before, state_of(fitted))
    out = None
    if isinstance(fitted, TransferModel):
        out = case.base.spare = case.strategy.adapt(fitted, SUPPORT.head(4), seed=1, out=case.base.spare)
    again = case.strategy.adapt(fitted, SUPPORT, seed=7, out=out)
    assert out is None or again is out
    assert tiny.same(case.predictions, again.predict(TEST, verbose=0))


def test_a_target_may_lack_labels(case):
    """Rows without a label for one task, and a task without any."""
    support = SUPPORT.drop(columns="themes")
    support.loc[:4, "stars"] = None
    out = case.base.spare if case.fitted is case.base else None
    adapted = case.strategy.adapt(fit(case.strategy, case.base), support, seed=7, out=out)
    found = adapted.predict(TEST, verbose=0)
    assert all(np.isfinite(p.scores).all() for p in found.values())
    assert {"mood", "stars"} <= set(found)


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_strategy_is_frozen_and_names_itself(name):
    strategy = make(STRATEGIES[name])
    assert strategy.name == name
    assert type(strategy)(**dataclasses.asdict(strategy)) == strategy
    with pytest.raises(dataclasses.FrozenInstanceError):
        strategy.name = "other"


@pytest.mark.parametrize("name", [n for n, s in STRATEGIES.items() if s.uses_source])
@pytest.mark.parametrize("source", [{}, {"empty": SUPPORT.head(0)}, None, {"path": "a.csv"}])
def test_a_source_must_have_rows(base, name, source):
    with pytest.raises(DataError, match=r"source tables|must be a table with rows"):
        make(STRATEGIES[name]).fit(base, source)
