"""What `fit` returns: a model and what was learned beside it, and nothing put on the model."""

import ast
import dataclasses
from pathlib import Path

import pytest

from tests import tiny
from tests.strategies.test_meta import WORDS, make_intents, make_model, make_sampler
from tf_transfer import strategies
from tf_transfer.evaluation.fitted import Fitted
from tf_transfer.strategies import STRATEGIES, LinearProbe, ProtoNet, Strategy

SUPPORT = (
    make_intents(24).query("intent < 'c3'").assign(intent=lambda t: t["intent"].str[1:].astype(int))
)
FILES = sorted(Path(strategies.__file__).parent.glob("*.py"))
OWN = {("classical.py", "learned.tasks"), ("outer_loop.py", "self.model.stop_training")}
"""A new object of the class that assigns, and how callbacks of Keras stop a training."""


@pytest.fixture(scope="module")
def model():
    return make_model()


@pytest.fixture(scope="module")
def fitted(model):
    return ProtoNet(steps=1, meta_batch=1).fit(model, make_sampler())


def test_it_holds_the_model_that_was_trained(model, fitted):
    assert fitted.model is model
    assert fitted.rates == fitted.learned == ()
    assert fitted.classes == {"training": tuple((None, name) for name in WORDS)}
    with pytest.raises(dataclasses.FrozenInstanceError):
        fitted.model = None


def test_a_model_alone_is_one_that_has_learned_nothing_more(model, fitted):
    assert Fitted.of(fitted) is fitted
    alone = Fitted.of(model)
    assert alone.model is model and not alone.learned
    assert alone.classes == fitted.classes and not Fitted.of(model.copy()).classes


def test_it_answers_as_its_model(model, fitted):
    found, expected = (m.predict(SUPPORT, verbose=0) for m in (fitted, model))
    assert tiny.same(found, expected)
    assert fitted.evaluate({"test": SUPPORT}) == model.evaluate({"test": SUPPORT})


def test_adapt_takes_it_or_the_model_alone(model, fitted):
    strategy = LinearProbe()
    found, expected = (strategy.adapt(start, SUPPORT, seed=1) for start in (fitted, model))
    assert tiny.same(tiny.snapshot(found), tiny.snapshot(expected))
    assert tiny.same(tiny.snapshot(fitted.model), tiny.snapshot(model))


def test_what_an_earlier_fit_returned_is_trained_on_and_its_classes_stay_known(model, fitted):
    late = (None, "late")
    earlier = dataclasses.replace(fitted, classes={"training": (late,)})
    again = ProtoNet(steps=1, meta_batch=1).fit(earlier, make_sampler())
    assert again.model is model
    assert again.classes == {"training": (late, *fitted.classes["training"])}
    assert earlier.classes == {"training": (late,)}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_strategy_assigns_to_attributes_of_its_own_alone(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assigned = {
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and ast.unparse(node.value) != "self"
    }
    assert {(path.name, name) for name in assigned} <= OWN
    if path.name != "outer_loop.py":  # what callbacks see as their model stands for another one
        names = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        assert "setattr" not in names and "__dict__" not in attributes


@pytest.mark.parametrize("kind", STRATEGIES.values(), ids=lambda kind: kind.name)
def test_at_most_three_levels_of_inheritance(kind):
    def depth(cls):
        bases = [base for base in cls.__bases__ if issubclass(base, Strategy)]
        return 0 if cls is Strategy else 1 + max(map(depth, bases))

    assert depth(kind) <= 3
