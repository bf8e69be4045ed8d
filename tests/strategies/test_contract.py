"""What every strategy does, whatever it is: a new one enters by its row in `STRATEGIES`."""

import collections
import contextlib
import dataclasses
import types

import numpy as np
import pytest

from tests import tiny
from tf_transfer.devices.backend import keras
from tf_transfer.errors import DataError
from tf_transfer.model.model import TransferModel
from tf_transfer.strategies import STRATEGIES
from tf_transfer.strategies.target_training import TargetTraining
from tf_transfer.strategies.word_baseline import WordBaseline
from tf_transfer.training.callbacks.resume import Resume

FAST = {
    "epochs": 1, "batch_size": 8, "adapt_steps": 2, "adapt_batch_size": 8,
    "steps": 2, "meta_batch": 2, "shot": 1, "num_query": 1, "inner_steps": 2,
}  # fmt: skip
QUICK = ("target_only", "fine_tune", "linear_probe", "proto_net", "tfidf", "majority")
"""The others are tested among the slow tests."""

SOURCE = {
    "one": tiny.make_table(12, seed=1),
    "two": tiny.make_table(9, seed=2).drop(columns="themes"),
}
SUPPORT, TEST = tiny.make_table(10, seed=3), tiny.make_table(15, seed=4)


def make(kind):
    known = {f.name for f in dataclasses.fields(kind)} - set(kind.unread)
    return kind(**{k: v for k, v in FAST.items() if k in known})


def state_of(fitted) -> list[np.ndarray]:
    """All that must not change: the weights, or nothing for a model that has none before it
    adapts.
    """
    if isinstance(fitted.model, TransferModel):
        return tiny.snapshot(fitted.model)
    assert not fitted.model.estimators
    return []


@pytest.fixture(scope="module")
def bases():
    """The models that strategies start from, with an earlier result for ``out``: of all tasks, and
    of one.
    """
    models = {
        classes: tiny.make_model(tiny.TASKS[:1] if classes else tiny.TASKS, seed=5)
        for classes in (True, False)
    }
    for model in models.values():
        model.first, model.spare = tiny.snapshot(model), None
    return models


@pytest.fixture(scope="module")
def own_names():
    """The attributes that a model has after its own `fit` and `predict`."""
    model = tiny.make_model(tiny.TASKS[:1])
    model.fit(SUPPORT, batch_size=8, verbose=0)
    model.predict(TEST, verbose=0)
    return set(vars(model))


def base_of(strategy, bases):
    return bases[getattr(strategy, "needs_classes", False)]


def fit(strategy, base):
    tiny.restore(base, base.first)
    base.restart(5)
    return strategy.fit(base, SOURCE if strategy.uses_source else None, seed=6)


OF_TEXTS = [name for name, kind in STRATEGIES.items() if not issubclass(kind, WordBaseline)]
"""The others refuse the tasks here, which are about whole texts: see `test_word_tagging` and
`test_word_overlap`.
"""
BRIEFLY = [
    name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in OF_TEXTS
]


@pytest.fixture(scope="module", params=BRIEFLY)
def case(request, bases):
    strategy = make(STRATEGIES[request.param])
    base = base_of(strategy, bases)
    fitted = fit(strategy, base)
    before, frozen = state_of(fitted), dict(base.options) if fitted.model is base else {}
    start = fitted.predict(TEST, verbose=0) if fitted.model is base else {}
    adapted = strategy.adapt(fitted, SUPPORT, seed=7)
    return types.SimpleNamespace(
        strategy=strategy, base=base, fitted=fitted, before=before, options=frozen, start=start,
        adapted=adapted, predictions=adapted.predict(TEST, verbose=0),
    )  # fmt: skip


def test_adapt_leaves_the_model_untouched(case):
    assert case.adapted is not case.fitted.model
    assert tiny.same(case.before, state_of(case.fitted))
    if case.fitted.model is case.base:
        assert tiny.same(case.start, case.fitted.predict(TEST, verbose=0))
        assert dict(case.base.options) == case.options


def test_a_strategy_puts_nothing_on_a_model(case, own_names):
    noted = {"first", "spare", "_starts_of_runs"}  # by these tests, and by Resume
    for model in (case.base, case.adapted):
        if isinstance(model, TransferModel):
            assert set(vars(model)) - noted <= own_names


def test_the_adapted_model_has_learned(case):
    assert set(case.predictions) == {t.name for t in case.base.tasks}
    assert not case.start or not tiny.same(case.start, case.predictions)


def test_the_adapted_model_predicts_every_row(case):
    for task in case.base.tasks:
        scores = case.predictions[task.name].scores
        assert scores.shape == ((15,) if task.kind == "regression" else (15, task.outputs))
        assert np.isfinite(scores).all()
        assert len(case.predictions[task.name].labels) == 15
    np.testing.assert_allclose(case.predictions["mood"].scores.sum(1), 1, rtol=1e-6)


@pytest.mark.filterwarnings("ignore::tf_transfer.evaluation.metrics.UndefinedMetricWarning")
def test_the_adapted_model_evaluates(case):
    found = case.adapted.evaluate({"test": TEST})
    hits = case.predictions["mood"].labels == TEST["mood"].to_numpy()
    assert found["test", "mood", "accuracy"] == pytest.approx(hits.mean())
    assert set(found["test"]) == {t.name for t in case.base.tasks}


def test_seeds_repeat_and_an_earlier_result_can_be_overwritten(case):
    """Another fit from the same start, and an adaptation into a used model, give the same bits."""
    fitted = fit(case.strategy, case.base)
    assert tiny.same(case.before, state_of(fitted))
    out = None
    if isinstance(fitted.model, TransferModel):
        out = case.base.spare = case.strategy.adapt(
            fitted, SUPPORT.head(4), seed=1, out=case.base.spare
        )
    again = case.strategy.adapt(fitted, SUPPORT, seed=7, out=out)
    assert out is None or again is out
    assert tiny.same(case.predictions, again.predict(TEST, verbose=0))


def test_a_target_may_lack_labels(case):
    """Rows without a label for one task, and a task without any."""
    support = SUPPORT.drop(columns="themes")
    support.loc[:4, "stars"] = None
    out = case.base.spare if case.fitted.model is case.base else None
    adapted = case.strategy.adapt(fit(case.strategy, case.base), support, seed=7, out=out)
    found = adapted.predict(TEST, verbose=0)
    assert all(np.isfinite(p.scores).all() for p in found.values())
    assert {"mood", "stars"} & {t.name for t in case.base.tasks} <= set(found)


class Kill(keras.callbacks.Callback):
    """Raises in the second batch of the last of several runs."""

    def __init__(self, runs: int):
        super().__init__()
        self.left, self.seen = {"runs": runs}, collections.Counter()

    def on_train_begin(self, logs=None):
        self.left["runs"] -= 1

    def on_train_batch_end(self, batch, logs=None):
        self.seen["batches"] += 1
        if batch == 1 and not self.left["runs"]:
            raise KeyboardInterrupt


TRAINED = [
    "fine_tune",
    "multi_task",
    "maml",
    "anil",
    "meta_sgd",
    "reptile",
    "proto_net",
    "proto_maml",
]


def test_a_killed_fit_goes_on_with_the_same_bits(case, tmp_path):
    """Of several sources the first is not trained on again."""
    strategy, base = case.strategy, case.base

    def run(*callbacks):
        tiny.restore(base, base.first)
        base.restart(5)
        base.__dict__.pop("_starts_of_runs", None)
        source = SOURCE if strategy.uses_source else None
        fitted = strategy.fit(
            base, source, seed=6, callbacks=[*callbacks, Resume(tmp_path / "backup", save_freq=1)]
        )
        return state_of(fitted) + list(fitted.learned)

    trains = strategy.name in TRAINED
    with pytest.raises(KeyboardInterrupt) if trains else contextlib.nullcontext():
        run(Kill(2 if strategy.name == "fine_tune" else 1))
    assert trains == (tmp_path / "backup").exists()
    again = Kill(0)
    found = run(again)
    assert again.seen["batches"] == {"multi_task": 2}.get(strategy.name, 1) * trains
    assert tiny.same(found, case.before + list(case.fitted.learned))
    assert not (tmp_path / "backup").exists()


def test_a_killed_adaptation_goes_on_with_the_same_bits(case, tmp_path):
    if not isinstance(case.strategy, TargetTraining):
        pytest.skip("adapts in one go")
    fitted = fit(case.strategy, case.base)
    run = lambda *more: case.strategy.adapt(  # noqa: E731
        fitted,
        SUPPORT,
        seed=7,
        out=case.base.spare,
        callbacks=[*more, Resume(tmp_path, save_freq=1)],
    )
    with pytest.raises(KeyboardInterrupt):
        run(Kill(1))
    again = Kill(0)
    assert tiny.same(case.predictions, run(again).predict(TEST, verbose=0))
    assert again.seen["batches"] == 1


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_strategy_is_frozen_and_names_itself(name):
    strategy = make(STRATEGIES[name])
    assert strategy.name == name
    assert type(strategy)(**dataclasses.asdict(strategy)) == strategy
    with pytest.raises(dataclasses.FrozenInstanceError):
        strategy.name = "other"


@pytest.mark.parametrize("name", [n for n, s in STRATEGIES.items() if s.uses_source])
@pytest.mark.parametrize("source", [{}, {"empty": SUPPORT.head(0)}, None, {"path": "a.csv"}])
def test_a_source_must_have_rows(bases, name, source):
    strategy = make(STRATEGIES[name])
    with pytest.raises(DataError, match=r"source tables|must be a table with rows"):
        strategy.fit(base_of(strategy, bases), source)


@pytest.mark.parametrize("kind", [k for k in STRATEGIES.values() if k.unread])
def test_an_argument_that_would_change_nothing_is_refused(kind):
    fields = {f.name: f for f in dataclasses.fields(kind)}
    for name in kind.unread:
        value = (
            "adam"
            if name == "outer_optimizer"
            else 0.25
            if fields[name].type.startswith("float")
            else 7
        )
        with pytest.raises(DataError, match=f"{kind.name} has no {name}.\nReceived {name}="):
            kind(**{name: value})
