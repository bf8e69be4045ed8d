"""Every training step is one XLA program of static shapes: TensorFlow is asked for the program.

What learns without a step of its own is not here: `LinearProbe` solves its heads with SciPy on
features, `TfIdf` and `Majority` run no encoder, and `FineTune`, `MultiTask`, `TargetOnly` and
`Scratch` share the step of `fit`.
"""

import re

import numpy as np
import pytest

from tests import tiny
from tests.strategies.test_meta import make_intents, make_model, make_sampler
from tf_transfer.devices.backend import keras, tf
from tf_transfer.episodes.tensors import EpisodeTensors, table_batch
from tf_transfer.meta_gradients.batch_functions import in_parts
from tf_transfer.strategies import ANIL, MAML, MetaSGD, ProtoMAML, ProtoNet, Reptile

pytestmark = pytest.mark.slow

HOST = re.compile(r"\b(infeed|outfeed|send|recv|host_?compute|callback|py_func)\b", re.IGNORECASE)
"""What a program that leaves the device would hold."""
BATCH, LENGTH = 8, 24


def programs_of(step, *batch):
    """XLA's text of the whole step by its ``stage``; TensorFlow raises when an operation cannot be
    compiled.
    """
    return tf.function(step, jit_compile=True, autograph=False).experimental_get_compiler_ir(*batch)


def program_of(step, *batch) -> str:
    """The program that is compiled."""
    return programs_of(step, *batch)(stage="hlo")


def check(program: str) -> None:
    assert "ENTRY" in program and "dot(" in program
    assert not HOST.search(program) and not re.findall(r'custom_call_target="[^"]*"', program)
    assert "<=" not in program.split("\n", 1)[0]  # a bounded dynamic shape


def check_both(step, *batch) -> str:
    """Checks the program that is compiled and what becomes of it; returns the former."""
    programs = programs_of(step, *batch)  # the program for this processor takes seconds to a minute
    program = programs(stage="hlo")
    check(program)
    check(programs(stage="optimized_hlo"))
    return program


def fixed_batch(model, table):
    data = model.dataset(table, batch_size=BATCH, shuffle=True, multiple=BATCH, length=LENGTH)
    assert all(spec.shape.is_fully_defined() for spec in tf.nest.flatten(data.element_spec))
    return next(iter(data))


@pytest.mark.parametrize("task", tiny.TASKS, ids=lambda t: t.kind)
def test_the_step_of_fit_compiles_whole(task):
    model = tiny.make_model([task])
    model.compile()
    model.optimizer.build(model.trained_variables)
    check(program_of(model.train_step, fixed_batch(model, tiny.make_table(11))))


def test_the_step_of_pcgrad_compiles_whole():
    model = tiny.make_model()
    model.compile(gradient_rule="pcgrad")
    model.optimizer.build(model.trained_variables)
    check(program_of(model.train_step, fixed_batch(model, tiny.make_table(11))))


def test_a_compiled_step_gives_the_losses_of_a_plain_one():
    model = tiny.make_model()
    model.compile()
    model.optimizer.build(model.trained_variables)
    model.dataset(tiny.make_table(11), note_labels=True)
    first, found = tiny.snapshot(model), []
    batch = fixed_batch(model, tiny.make_table(11))
    check_both(model.train_step, batch)
    for compiled in (False, True):
        tiny.restore(model, first)
        model.optimizer.reset()
        step = tf.function(model.train_step, jit_compile=compiled, autograph=False)
        losses = []
        for _ in range(3):
            model.reset_metrics()
            losses.append(float(step(batch)["loss"]))
        found.append(losses)
    np.testing.assert_allclose(*found, rtol=2e-5)
    assert found[0][2] != found[0][0]


def outer_step(strategy):
    """An outer step as one function, with its arguments: the meta-gradient of two episodes and its
    application.
    """
    model, sampler = make_model(), make_sampler()
    batches = EpisodeTensors(model, sampler)(sampler.sample(2))
    learner, optimizer = strategy._learner(model), strategy._optimizer(model)

    def step(support, query):
        losses, gradients, _ = learner._meta_gradients(support, query)
        optimizer.apply_gradients(zip(gradients, learner.parameters))
        return losses

    return step, batches


def test_an_outer_step_of_maml_compiles_whole():
    model, sampler = make_model(), make_sampler()
    maml = MAML(inner_steps=2)
    # First with shapes that are open, as `fit` traces it: what the kernels then hold must not be
    # used below.
    maml._learner(model).meta_gradients(*EpisodeTensors(model, sampler)(sampler.sample(2)))
    step, batches = outer_step(maml)
    check(program_of(step, *batches))


@pytest.mark.parametrize(
    "strategy",
    [
        MAML(inner_steps=2, first_order=True),
        MAML(inner_steps=2, multi_step=True),
        ANIL(inner_steps=2),
        ANIL(inner_steps=2, rows_a_part=4),
        MetaSGD(inner_steps=2),
        Reptile(inner_steps=2),
        ProtoNet(),
        ProtoMAML(inner_steps=2),
    ],
    ids=lambda s: s.name,
)
def test_every_outer_step_compiles_whole(strategy):
    step, batches = outer_step(strategy)
    check(program_of(step, *batches))


def adaptation(rows_a_part: int):
    """The inner loop of `adapt` as one function, with its arguments: two steps on six rows."""
    model, strategy = make_model(), MAML(inner_steps=2, rows_a_part=rows_a_part)
    intents = make_intents().query("intent <= 'c2'")[:6]
    support = intents.assign(intent=intents["intent"].str[1:].astype(int))
    adapter = strategy._adapter(model)
    batch, parts = in_parts(table_batch(model, support), rows_a_part)
    start = [tf.convert_to_tensor(v) for v in adapter.variables]
    return lambda *arguments: adapter._run(*arguments, parts), (
        batch,
        start,
        strategy.inner_rates().on_target(None, start),
    )


def test_an_adaptation_compiles_whole():
    step, arguments = adaptation(rows_a_part=64)
    check(program_of(step, *arguments))


def test_an_adaptation_in_parts_compiles_whole():
    step, arguments = adaptation(rows_a_part=4)
    check_both(step, *arguments)


def test_a_callback_would_be_seen():
    with pytest.raises(ValueError, match="PyFunc"):
        check(
            program_of(lambda x: tf.py_function(lambda v: v @ v, [x], tf.float32), tf.ones((2, 2)))
        )


def test_mixed_precision_compiles_whole_with_losses_in_float32():
    try:
        keras.mixed_precision.set_global_policy("mixed_bfloat16")
        model = tiny.make_model()
    finally:
        keras.mixed_precision.set_global_policy("float32")
    model.compile()
    model.optimizer.build(model.trained_variables)
    program = check_both(model.train_step, fixed_batch(model, tiny.make_table(11)))
    assert re.search(r"= bf16\[.*\bdot\(", program)
