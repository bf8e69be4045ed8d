"""Fast weights on unmodified models, and gradients of gradients against hand derivations."""

import numpy as np
import pytest

from tests import tiny
from tf_transfer.devices.backend import keras, tf
from tf_transfer.errors import DataError, TrainingError
from tf_transfer.meta_gradients.functional import (
    assignments_refused,
    fast_weights,
    hessian_vector_product,
    summed,
    value_and_gradient,
    with_pull_back,
)

IDS = {
    "input_ids": tf.constant([[5, 6, 7, 8], [9, 6, 5, 4]]),
    "attention_mask": tf.ones((2, 4), tf.int32),
}


@pytest.fixture(scope="module", params=["bert", "albert", "t5", "gpt2"])
def encoder(request):
    found = tiny.make_encoder(request.param, layers=2)
    found.types = {"token_type_ids": tf.zeros((2, 4), tf.int32)}
    return found


def vectors(encoder):
    return encoder(IDS | encoder.types).numpy()


def test_the_model_computes_with_the_tensors(encoder):
    variables = encoder.trainable_variables
    before, state = vectors(encoder), [v.numpy() for v in variables]
    tensors = [tf.constant(v * 1.5 + 0.01) for v in state]
    with fast_weights(encoder, variables, tensors):
        with_tensors = vectors(encoder)
    for variable, tensor in zip(variables, tensors):
        variable.assign(tensor)
    np.testing.assert_allclose(with_tensors, vectors(encoder), rtol=1e-5, atol=1e-6)
    assert not np.allclose(with_tensors, before)
    for variable, value in zip(variables, state):
        variable.assign(value)
    assert np.array_equal(vectors(encoder), before)


def test_every_place_of_a_shared_variable_is_replaced():
    class Twice(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.first = keras.layers.Dense(3, use_bias=False)
            self.second = keras.layers.Dense(3, use_bias=False)
            self.first.build((None, 3))
            self.second.build((None, 3))
            self.second.kernel = self.first.kernel

        def call(self, x):
            return self.second(self.first(x))

    layer, x = Twice(), tf.eye(3)
    with fast_weights(layer, [layer.first.kernel], [2 * tf.eye(3)]):
        np.testing.assert_allclose(layer(x), 4 * np.eye(3))
    assert layer.second.kernel is layer.first.kernel


def test_the_model_is_restored_when_something_raises():
    layer = keras.layers.Dense(2)
    layer.build((None, 2))
    kernel = layer.kernel
    with (
        pytest.raises(RuntimeError, match="inside"),
        fast_weights(layer, [kernel], [tf.ones((2, 2))]),
    ):
        assert layer.kernel is not kernel
        raise RuntimeError("inside")
    assert layer.kernel is kernel


def test_a_fast_weight_takes_the_precision_of_its_layer():
    layer = keras.layers.Dense(2, dtype="mixed_bfloat16")
    layer.build((None, 2))
    with fast_weights(layer, layer.trainable_variables, [tf.ones((2, 2)), tf.ones((2,))]):
        found = layer(tf.ones((1, 2)))
    assert found.dtype == tf.bfloat16
    np.testing.assert_allclose(tf.cast(found, tf.float32), [[3.0, 3.0]])


def test_what_cannot_be_replaced_is_named():
    layer = keras.layers.Dense(2)
    layer.build((None, 2))
    with (
        pytest.raises(DataError, match="'lonely:0'"),
        fast_weights(layer, [tf.Variable(1.0, name="lonely")], [1.0]),
    ):
        pass
    with (
        pytest.raises(DataError, match="Received 0 tensors for 1 variables"),
        fast_weights(layer, [layer.kernel], []),
    ):
        pass
    twice = [layer.kernel] * 2
    with (
        pytest.raises(DataError, match="2 variables, 1 of them different"),
        fast_weights(layer, twice, twice),
    ):
        pass
    with (
        pytest.raises(DataError, match=r"\(3, 2\).*kernel"),
        fast_weights(layer, [layer.kernel], [tf.ones((3, 2))]),
    ):
        pass


# -- the guard -------------------------------------------------------------------------------------


def step_with_assign(layer, x):
    layer.kernel.assign_sub(0.1 * tf.ones((2, 2)))
    return layer(x)


def step_with_optimizer(layer, x):
    keras.optimizers.legacy.SGD(0.1).apply_gradients([(tf.ones((2, 2)), layer.kernel)])
    return layer(x)


def step_in_a_function(layer, x):
    return tf.function(step_with_assign, autograph=False)(layer, x)


def step_in_a_function_of_a_function(layer, x):
    return tf.function(step_in_a_function, autograph=False)(layer, x)


def step_in_a_branch(layer, x):
    return tf.cond(x[0, 0] > 0, lambda: step_with_assign(layer, x), lambda: x)


def step_in_one_of_many_branches(layer, x):
    return tf.switch_case(
        tf.cast(x[0, 0], tf.int32), [lambda: x, lambda: step_in_a_function(layer, x), lambda: x]
    )


def step_in_a_loop(layer, x):
    return tf.while_loop(
        lambda i, _: i < 2, lambda i, x: (i + 1, step_with_assign(layer, x)), (tf.constant(0), x)
    )[1]


def step_in_a_loop_in_a_branch(layer, x):
    return tf.cond(x[0, 0] > 0, lambda: step_in_a_loop(layer, x), lambda: x)


def step_on_a_part(layer, x):
    layer.kernel[0].assign(tf.zeros(2))
    return layer(x)


STEPS = [
    step_with_assign,
    step_with_optimizer,
    step_on_a_part,
    step_in_a_function,
    step_in_a_function_of_a_function,
    step_in_a_branch,
    step_in_one_of_many_branches,
    step_in_a_loop,
    step_in_a_loop_in_a_branch,
]


@pytest.fixture
def layer():
    made = keras.layers.Dense(2)
    made.build((None, 2))
    return made


@pytest.mark.parametrize("graph", [True, False])
@pytest.mark.parametrize("step", STEPS)
def test_an_assignment_inside_is_refused(layer, step, graph):
    def run(x):
        with assignments_refused([layer.kernel]):
            return step(layer, x)

    with pytest.raises(TrainingError, match="assigned to where a meta-gradient is taken"):
        (tf.function(run, autograph=False) if graph else run)(tf.ones((1, 2)))


def test_an_assignment_is_refused_in_the_body_of_a_loop(layer):
    """Where the meta-gradient of each episode of a meta-batch is traced."""

    def body(number, x):
        with assignments_refused([layer.kernel]):
            return number + 1, step_in_a_branch(layer, x)

    with pytest.raises(TrainingError, match=r"Received If on 'kernel:0'"):
        tf.function(lambda x: tf.while_loop(lambda i, _: i < 2, body, (0, x)), autograph=False)(
            tf.ones((1, 2))
        )


def only_reading(layer, other, x):
    other.assign_add(1.0)
    return layer(x)


def reading_in_functions(layer, other, x):
    inner = tf.function(only_reading, autograph=False)
    return tf.function(lambda x: inner(layer, other, x), autograph=False)(x)


def reading_in_branches_and_loops(layer, other, x):
    def body(i, x):
        return i + 1, tf.cond(x[0, 0] > 9, lambda: x, lambda: only_reading(layer, other, x))

    return tf.while_loop(lambda i, _: i < 1, body, (0, x))[1]


@pytest.mark.parametrize("graph", [True, False])
@pytest.mark.parametrize(
    "step", [only_reading, reading_in_functions, reading_in_branches_and_loops]
)
def test_reading_and_other_variables_are_no_assignment(layer, step, graph):
    other = tf.Variable(0.0)

    def run(x):
        with assignments_refused([layer.kernel, layer.bias]):
            return step(layer, other, x)

    (tf.function(run, autograph=False) if graph else run)(tf.ones((1, 2)))
    assert float(other) == 1.0


def test_a_weight_that_is_not_a_number_is_no_assignment(layer):
    layer.bias.assign([np.nan, 1.0])
    with assignments_refused([layer.bias]):
        found = layer(tf.ones((1, 2)))
    assert np.isnan(found.numpy()).tolist() == [[True, False]]


@pytest.mark.parametrize("replica", [False, True])
def test_variables_of_a_mirrored_model_in_and_out_of_its_replicas(replica):
    distribution = tf.distribute.MirroredStrategy(["CPU:0"])
    with distribution.scope():
        layer = keras.layers.Dense(2)
        layer.build((None, 2))

        def compute(x):
            with fast_weights(layer, [layer.kernel], [2 * tf.eye(2)]):
                return layer(x)

        def assign(x):
            with assignments_refused([layer.kernel]):
                layer.kernel.assign(x)

        def run(function, x):
            return tf.function(
                distribution.run if replica else lambda f, args: f(*args), autograph=False
            )(function, (x,))

        np.testing.assert_allclose(run(compute, tf.ones((1, 2))), [[2.0, 2.0]])
        with pytest.raises(TrainingError, match="on 'kernel:0'"):
            run(assign, tf.ones((2, 2)))


# -- derivatives -----------------------------------------------------------------------------------


def test_hessian_vector_product_by_hand():
    # L = a²b + b³: g = (2ab, a² + 3b²), H = [[2b, 2a], [2a, 6b]]; at (2, 3), v = (1, -1).
    at, v = [tf.constant(2.0), tf.constant(3.0)], [tf.constant(1.0), tf.constant(-1.0)]
    gradient, product = hessian_vector_product(lambda w: w[0] ** 2 * w[1] + w[1] ** 3, at, v)
    assert [float(g) for g in gradient] == [12.0, 31.0]
    assert [float(p) for p in product] == [6.0 - 4.0, 4.0 - 18.0]


def test_sparse_and_unused_gradients_are_dense():
    table, unused = tf.random.stateless_normal((5, 2), (0, 1)), tf.ones((3,))
    weights, direction = [table, unused], [tf.ones((5, 2)), tf.ones((3,))]

    def loss(w):
        return tf.reduce_sum(tf.gather(w[0], [1, 1, 4]) ** 2)

    _, gradient = value_and_gradient(loss, weights)
    expected = np.zeros((5, 2))
    expected[1], expected[4] = 4 * table[1], 2 * table[4]
    np.testing.assert_allclose(gradient[0], expected, rtol=1e-6)
    assert np.array_equal(gradient[1], np.zeros(3))
    _, product = hessian_vector_product(loss, weights, direction)
    np.testing.assert_allclose(product[0], [[0, 0], [4, 4], [0, 0], [0, 0], [2, 2]])
    assert np.array_equal(product[1], np.zeros(3))


def test_a_pull_back_by_hand():
    # (a, b) to (ab, a³): u₁ b + u₂ 3a² by a, u₁ a by b; nothing by a third. At (2, 3) with u = (1,
    # −1).
    at = [tf.constant(2.0), tf.constant(3.0), tf.constant([5.0])]
    found, pull_back = with_pull_back(lambda w: (w[0] * w[1], w[0] ** 3), at)
    assert [float(f) for f in found] == [6.0, 8.0]
    assert [g.numpy().tolist() for g in pull_back([tf.constant(1.0), tf.constant(-1.0)])] == [
        3.0 - 12.0,
        2.0,
        [0.0],
    ]


def test_a_sum_over_parts():
    rows = tf.range(6.0)
    for parts in (1, 2, 3):
        size = 6 // parts

        def of_part(part, size=size):
            return [tf.reduce_sum(rows[part * size : (part + 1) * size]), tf.ones((2,))]

        found = summed(of_part, parts)
        assert float(found[0]) == 15.0
        assert np.array_equal(found[1], np.full(2, parts))
