"""AdamW against Keras' own, and the schedule by hand."""

import numpy as np
import pytest

from tests import tiny
from tf_transfer.devices.backend import keras, tf
from tf_transfer.training.optimization import (
    AdamW,
    WarmupDecay,
    auto_learning_rate,
    auto_optimizer,
    current_rate,
)

ROWS, WIDTH = 7, 5


def variables():
    draws = np.random.default_rng(0)
    shapes = {"table": (ROWS, WIDTH), "kernel": (WIDTH, 3), "bias": (3,)}
    return [tf.Variable(draws.normal(size=s), dtype=tf.float32, name=n) for n, s in shapes.items()]


def gradients(step):
    """A sparse gradient with a row that comes twice, and two dense ones; large enough to be
    clipped.
    """
    draws = np.random.default_rng(step + 1)
    rows = draws.integers(0, ROWS, 4)
    rows[1] = rows[0]
    values = tf.constant(draws.normal(size=(4, WIDTH)), tf.float32)
    sparse = tf.IndexedSlices(values, tf.constant(rows), tf.constant([ROWS, WIDTH]))
    return [sparse, *(tf.constant(draws.normal(size=s), tf.float32) for s in ((WIDTH, 3), (3,)))]


def merged(found):
    """The same gradients with each row of the sparse one once, which Keras' clipping sees as
    parts.
    """
    whole = np.zeros((ROWS, WIDTH), np.float32)
    np.add.at(whole, found[0].indices.numpy(), found[0].values.numpy())
    rows = np.unique(found[0].indices.numpy())
    return [
        tf.IndexedSlices(tf.constant(whole[rows]), tf.constant(rows), found[0].dense_shape),
        *found[1:],
    ]


def run(optimizer, steps=6):
    state = variables()
    for step in range(steps):
        found = gradients(step) if isinstance(optimizer, AdamW) else merged(gradients(step))
        optimizer.apply_gradients(zip(found, state))
    return [v.numpy() for v in state]


def test_the_norm_is_that_of_the_whole_gradient():
    optimizer, found = AdamW(0.1, global_clipnorm=1.0), gradients(0)
    optimizer.apply_gradients(zip(found, variables()))
    dense = np.concatenate([np.ravel(tf.convert_to_tensor(g)) for g in found])
    np.testing.assert_allclose(optimizer.gradient_norm, np.linalg.norm(dense), rtol=1e-6)
    assert float(tf.linalg.global_norm(found)) != pytest.approx(np.linalg.norm(dense), rel=1e-3)


@pytest.mark.parametrize(
    "clipping", [{}, {"global_clipnorm": 0.5}, {"clipnorm": 0.3}, {"clipvalue": 0.1}]
)
@pytest.mark.parametrize("excluded", [[], ["bias"], ["bias", "table"]])
def test_adamw_is_keras_adamw(clipping, excluded):
    options = {
        "learning_rate": 0.05,
        "weight_decay": 0.1,
        "beta_1": 0.8,
        "beta_2": 0.95,
        "epsilon": 1e-4,
    }
    found = []
    for kind in (AdamW, keras.optimizers.AdamW):
        optimizer = kind(**options, **clipping)
        optimizer.exclude_from_weight_decay(var_names=excluded)
        found.append(run(optimizer))
    for ours, theirs, start in zip(*found, variables()):
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-6)
        assert np.abs(ours - start).max() > 0.05


@pytest.mark.parametrize("betas", [(0.0, 0.9), (0.9, 0.0)])
def test_adamw_without_momentum_is_keras_adamw(betas):
    options = {"learning_rate": 0.05, "beta_1": betas[0], "beta_2": betas[1], "epsilon": 0.5}
    for ours, theirs in zip(run(AdamW(**options)), run(keras.optimizers.AdamW(**options))):
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-6)


def test_a_gradient_that_is_not_finite_spoils_every_weight_as_in_keras():
    for kind in (AdamW, keras.optimizers.AdamW):
        optimizer, state = kind(0.05, global_clipnorm=1.0), variables()
        found = gradients(0)
        found[2] = tf.constant([np.inf, 1.0, 1.0])
        optimizer.apply_gradients(zip(found, state))
        assert not np.isfinite(state[1].numpy()).any()


def test_adamw_is_keras_adamw_in_a_graph_with_a_schedule():
    found = []
    for kind in (AdamW, keras.optimizers.AdamW):
        schedule = WarmupDecay(0.1)
        schedule.plan(0, 6)
        optimizer, state = kind(schedule, weight_decay=0.01), variables()
        optimizer.build(state)
        step = tf.function(lambda *g, o=optimizer, s=state: o.apply_gradients(zip(g, s)))
        for i in range(6):
            step(*(tf.convert_to_tensor(g) for g in gradients(i)))
        found.append([v.numpy() for v in state])
    for ours, theirs in zip(*found):
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-6)


def test_resetting_starts_anew():
    optimizer = AdamW(0.05, weight_decay=0.1)
    state = variables()
    start = [v.numpy() for v in state]
    runs = []
    for _ in range(2):
        for variable, value in zip(state, start):
            variable.assign(value)
        for step in range(3):
            optimizer.apply_gradients(zip(gradients(step), state))
        runs.append([v.numpy() for v in state])
        assert int(optimizer.iterations) == 3
        optimizer.reset()
    assert tiny.same(*runs)
    assert int(optimizer.iterations) == 0
    assert float(optimizer.learning_rate) == np.float32(0.05)


def rates(schedule, steps):
    return [float(schedule(tf.constant(i))) for i in range(steps)]


def test_warm_up_and_decay_by_hand():
    schedule = WarmupDecay(1.0)
    schedule.plan(0, 20)  # two steps up, eighteen down
    expected = [0.5, 1.0, *(k / 18 for k in range(18, 0, -1)), 0.0, 0.0]
    np.testing.assert_allclose(rates(schedule, 22), expected, rtol=1e-6, atol=1e-7)


def test_a_later_run_starts_where_it_is_planned():
    schedule = WarmupDecay(2.0)
    schedule.plan(0, 4)
    first = rates(schedule, 4)
    np.testing.assert_allclose(first, [2, 2, 4 / 3, 2 / 3], rtol=1e-6)
    schedule.plan(4, 4, peak=1.0)
    np.testing.assert_allclose(
        [float(schedule(i)) for i in range(4, 8)], np.array(first) / 2, rtol=1e-6
    )


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_short_runs_have_positive_rates(steps):
    schedule = WarmupDecay(1.0)
    schedule.plan(0, steps)
    assert min(rates(schedule, steps)) > 0


def test_without_a_plan_the_rate_is_the_peak():
    assert rates(WarmupDecay(0.25), 3) == [0.25] * 3


def test_the_default_rate_follows_the_width():
    assert auto_learning_rate(768) == pytest.approx(5e-5)
    assert auto_learning_rate(384) == pytest.approx(1e-4)


def test_the_default_optimizer_decays_matrices_alone():
    optimizer = auto_optimizer(1e-3)
    assert optimizer.weight_decay == 0.01 and optimizer.global_clipnorm == 1.0
    encoder = tiny.make_encoder("deberta")
    decayed = {v.name for v in encoder.transformer.weights if optimizer._use_weight_decay(v)}
    assert {v.name for v in encoder.transformer.weights if v.shape.rank > 1} == decayed
    encoder = tiny.make_encoder("t5")
    assert not any(
        "layer_norm" in v.name
        for v in encoder.transformer.weights
        if optimizer._use_weight_decay(v)
    )


def test_the_logged_rate_is_a_value_and_no_variable():
    """Keras' `CSVLogger` cannot write a variable, which is what an eager step would hand it."""
    optimizer = keras.optimizers.Adam(0.25)
    rate = current_rate(optimizer)
    assert tf.is_tensor(rate) and not isinstance(rate, tf.Variable) and float(rate) == 0.25
    optimizer.learning_rate.assign(0.5)
    assert float(rate) == 0.25
