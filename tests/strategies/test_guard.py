"""The wrong ways to write MAML that are met in public code: an inner loop that assigns is refused,
not run.
"""

import dataclasses
from typing import ClassVar

import pytest

from tests import tiny
from tests.strategies.test_meta import WORDS, make_sampler
from tf_transfer.devices.backend import keras, tf
from tf_transfer.errors import TrainingError
from tf_transfer.kinds.tasks import Task
from tf_transfer.meta_gradients.gradient_check import gradcheck
from tf_transfer.model.model import TransferModel
from tf_transfer.strategies.gradient import GradientStrategy


@dataclasses.dataclass(frozen=True)
class WrongMAML(GradientStrategy):
    """Inner steps on the model's own variables, then the query loss: its gradient is of first
    order.
    """

    name: ClassVar[str] = "wrong_maml"

    def episode_gradient(self, learner, support, query):
        variables = learner.variables
        before = learner.weights()
        with tf.GradientTape() as outer:
            for _ in range(self.inner_steps):
                with tf.GradientTape() as inner:
                    loss = loss_of(learner.model, support)
                self.step(inner.gradient(loss, variables, unconnected_gradients="zero"), variables)
            loss = loss_of(learner.model, query)
        gradients = outer.gradient(loss, variables, unconnected_gradients="zero")
        for variable, value in zip(variables, before):
            variable.assign(value)
        return loss, [tf.convert_to_tensor(g) for g in gradients], tf.zeros((self.inner_steps,))

    def step(self, gradients, variables):
        keras.optimizers.legacy.SGD(self.inner_lr).apply_gradients(zip(gradients, variables))


class WithAssign(WrongMAML):
    def step(self, gradients, variables):
        for variable, gradient in zip(variables, gradients):
            variable.assign_sub(self.inner_lr * tf.convert_to_tensor(gradient))


class InALoop(WrongMAML):
    def step(self, gradients, variables):
        def body(number):
            WithAssign.step(self, gradients, variables)
            return number + 1

        tf.while_loop(lambda number: number < 1, body, (tf.constant(0),))


def loss_of(model, batch):
    x, y, w = batch
    return model.compute_losses(y, model(x), w)[0]


@pytest.fixture(scope="module")
def model():
    task = Task("intent", kind="classification", classes=(0, 1, 2))
    return TransferModel(tiny.make_encoder(texts=tuple(WORDS.values())), task, max_length=12)


@pytest.mark.parametrize("kind", [WrongMAML, WithAssign, InALoop])
def test_inner_steps_on_the_models_variables_are_refused(model, kind):
    before = [v.numpy() for v in model.trained_variables]
    with pytest.raises(TrainingError, match=r"Received \w+ on .*\n?Compute new weights as tensors"):
        kind(steps=1, meta_batch=1, inner_steps=1).fit(model, make_sampler())
    assert tiny.same([v.numpy() for v in model.trained_variables], before)


def test_gradcheck_refuses_them_too(model):
    sampler = make_sampler()
    with pytest.raises(TrainingError, match="assigned to where a meta-gradient is taken"):
        gradcheck(WrongMAML(inner_steps=1), model, sampler.episode(0), sampler)
