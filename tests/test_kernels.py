"""The fused activation against the plain formula, and dropout masks as a function of (seed, step, layer)."""

import numpy as np
import pytest

from tests import tiny
from tf_transfer import kernels
from tf_transfer.backend import keras, tf, transformers

POINTS = np.concatenate([np.linspace(-6, 6, 49), [-40.0, 40.0]])


def plain_gelu(x):
    return x * 0.5 * (1 + tf.math.erf(x / np.sqrt(2.0)))


def derivatives(function):
    """Value, first and second derivative at `POINTS`, in double precision."""
    x = tf.constant(POINTS)
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = function(x)
        first = inner.gradient(y, x)
    return [v.numpy() for v in (y, first, outer.gradient(first, x))]


@pytest.mark.parametrize("order", [0, 1, 2])
def test_gelu_and_its_derivatives(order):
    found, expected = derivatives(kernels.fused_gelu)[order], derivatives(plain_gelu)[order]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_gelu_is_the_librarys():
    x = tf.constant(POINTS, tf.float32)
    np.testing.assert_allclose(kernels.fused_gelu(x), tf.nn.gelu(x), rtol=1e-6, atol=1e-7)


@pytest.fixture(scope="module")
def bert():
    return tiny.make_encoder(dropout=0.5)


def masks(encoder):
    """What each dropout layer does to ones, (layers, 4, 50)."""
    layers = [v for v in encoder.transformer._flatten_layers() if isinstance(v, keras.layers.Dropout)]
    assert len(layers) == 4  # embeddings, attention weights, attention output, block output
    return [layer(tf.ones((4, 50)), training=True).numpy() for layer in layers]


def test_masks_repeat_and_differ_by_step_seed_and_layer(bert):
    bert.reseed(3)
    first = masks(bert)
    assert tiny.same(first, masks(bert))
    assert len({m.tobytes() for m in first}) == len(first)
    bert.next_dropout()
    second = masks(bert)
    assert not any(np.array_equal(a, b) for a, b in zip(first, second))
    bert.reseed(4)
    assert not any(np.array_equal(a, b) for a, b in zip(first, masks(bert)))
    bert.reseed(3)
    bert.next_dropout()
    assert tiny.same(second, masks(bert))


def test_masks_keep_the_expected_share_and_mean(bert):
    bert.reseed(0)
    drawn = []
    for _ in range(20):
        drawn += masks(bert)
        bert.next_dropout()
    drawn = np.stack(drawn)
    assert set(np.unique(drawn)) == {0.0, 2.0}
    # 16,000 draws of deviation 1: the mean is within 4 standard errors of 1.
    assert abs(drawn.mean() - 1) < 4 / np.sqrt(drawn.size)


def test_masks_repeat_inside_a_graph(bert):
    layer = next(v for v in bert.transformer._flatten_layers() if isinstance(v, keras.layers.Dropout))
    graph = tf.function(lambda x: layer(x, training=True))
    bert.reseed(1)
    first = graph(tf.ones((4, 50))).numpy()
    assert np.array_equal(first, layer(tf.ones((4, 50)), training=True))
    bert.next_dropout()
    assert not np.array_equal(first, graph(tf.ones((4, 50))))


def test_heads_have_masks_of_their_own(bert):
    bert.reseed(0)
    seeds = {tuple(bert.dropout_seed(i).numpy()) for i in range(-3, 4)}
    assert len(seeds) == 7


def test_other_models_keep_their_activation():
    gelu = transformers.activations_tf.get_tf_activation("gelu")
    encoder = tiny.make_encoder()
    own = [v for layer in encoder.transformer._flatten_layers() for v in vars(layer).values()]
    assert any(v is kernels.fused_gelu for v in own) and not any(v is gelu for v in own)
    other = transformers.TFBertModel(encoder.config)
    assert not any(v is kernels.fused_gelu for layer in other._flatten_layers() for v in vars(layer).values())
