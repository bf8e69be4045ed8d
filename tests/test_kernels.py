"""The fused activation against the plain formula, and dropout masks as a function of (seed, step,
layer).
"""

import numpy as np
import pytest

from tests import tiny
from tf_transfer.devices import distribution
from tf_transfer.devices.backend import keras, tf, transformers
from tf_transfer.encoders import kernels

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
    layers = [
        v for v in encoder.transformer._flatten_layers() if isinstance(v, keras.layers.Dropout)
    ]
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
    layer = next(
        v for v in bert.transformer._flatten_layers() if isinstance(v, keras.layers.Dropout)
    )
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
    assert not any(
        v is kernels.fused_gelu for layer in other._flatten_layers() for v in vars(layer).values()
    )


# -- dropout ---------------------------------------------------------------------------------------


def test_the_gradient_of_dropout_is_its_mask():
    x, seed = (
        tf.constant(np.random.default_rng(0).normal(size=(40, 30)), tf.float32),
        tf.constant([5, 6]),
    )
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = kernels.dropout(x, 0.25, seed)
    kept = y.numpy() != 0
    np.testing.assert_allclose(tape.gradient(y, x), kept / np.float32(0.75), rtol=1e-6)
    np.testing.assert_allclose(y, np.where(kept, x / np.float32(0.75), 0), rtol=1e-6)
    assert kernels.dropout(x, 0.0, seed) is x


def test_the_parts_of_a_batch_have_the_masks_of_the_whole():
    x, seed = tf.ones((6, 5, 4)), tf.constant([5, 6])
    found = []
    for part in (0, 1, tf.constant(2)):
        with distribution.rows_of_part(part, 3):
            found.append(kernels.dropout(x[:2], 0.25, seed))
    assert np.array_equal(tf.concat(found, 0), kernels.dropout(x, 0.25, seed))


def test_masks_of_neighbouring_layers_steps_and_places_are_not_correlated():
    """Each correlation of a million entries has deviation .001; 5 of them is one in two million."""
    ones = tf.ones((1000, 1000))

    def centred(layer, step):
        return (kernels.dropout(ones, 0.1, tf.constant([layer, step])).numpy() > 0) - 0.9

    base = centred(3, 3)
    assert abs(base.mean()) < 5 * 0.3 / 1000
    others = [centred(*at) for at in ((4, 3), (3, 4), (4, 4), (2, 4), (1012, 3))]
    shifted = [np.roll(base, 1, axis) for axis in (0, 1)]
    for other in (*others, *shifted):
        assert abs((base * other).mean()) < 5 * 0.09 / 1000


# -- layer normalisation ---------------------------------------------------------------------------

SHAPE, EPSILON = (3, 4, 24), 1e-12
X, GAMMA, BETA, UP, ALONG = (
    np.random.default_rng(seed).normal(size=SHAPE if seed in (0, 3, 4) else SHAPE[-1:])
    for seed in range(5)
)


def written_out(x, gamma, beta, epsilon):
    centred = x - tf.reduce_mean(x, -1, keepdims=True)
    variance = tf.reduce_mean(centred * centred, -1, keepdims=True)
    return centred * tf.math.rsqrt(variance + epsilon) * gamma + beta


def norm_derivatives(function, dtype):
    """Value, gradients by (x, gamma, beta), and those of the directional derivative along
    `ALONG`.
    """
    at = [tf.constant(v, dtype) for v in (X, GAMMA, BETA)]
    with tf.GradientTape() as outer:
        outer.watch(at)
        with tf.GradientTape() as inner:
            inner.watch(at)
            value = function(*at, EPSILON)
            loss = tf.reduce_sum(tf.sin(value) * UP.astype(dtype))
        first = inner.gradient(loss, at)
        along = tf.reduce_sum(first[0] * ALONG.astype(dtype))
    return [v.numpy() for v in (value, *first, *outer.gradient(along, at))]


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-10), ("float32", 2e-4)])
def test_layer_norm_and_its_first_and_second_derivatives(dtype, tolerance):
    expected = norm_derivatives(written_out, "float64")
    for found, exact in zip(norm_derivatives(kernels.layer_norm, dtype), expected):
        np.testing.assert_allclose(found, exact, rtol=0, atol=tolerance * np.abs(exact).max())


def test_layer_norm_is_keras_layer_to_first_order_and_not_to_second():
    def keras_layer(x, gamma, beta, epsilon):
        layer = keras.layers.LayerNormalization(epsilon=epsilon, dtype="float64")
        layer.build(x.shape)
        layer.__dict__["gamma"], layer.__dict__["beta"] = gamma, beta
        return layer(x)

    ours, theirs = (norm_derivatives(f, "float64") for f in (kernels.layer_norm, keras_layer))
    for a, b in zip(ours[:4], theirs[:4]):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)
    assert np.abs(ours[4] - theirs[4]).max() > 1e-3


@pytest.mark.parametrize("family", ["bert", "gpt2", "albert", "mpnet", "electra"])
def test_every_keras_layer_norm_of_an_encoder_is_replaced(family):
    encoder = tiny.make_encoder(family)
    layers = [
        v
        for v in encoder.transformer._flatten_layers()
        if isinstance(v, keras.layers.LayerNormalization)
    ]
    assert layers and all("call" in vars(layer) for layer in layers)


def test_layer_norm_in_half_precision_computes_in_single():
    layer = keras.layers.LayerNormalization(epsilon=EPSILON, dtype="mixed_bfloat16")
    layer.build((None, 24))
    x = tf.constant(X[0] * 1e3, tf.bfloat16)
    found = kernels._normalisation(layer)(x)
    assert found.dtype == tf.bfloat16
    exact = written_out(tf.cast(x, tf.float64), 1.0, 0.0, EPSILON)
    np.testing.assert_allclose(tf.cast(found, tf.float64), exact, atol=2e-2)
