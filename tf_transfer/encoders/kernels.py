"""Replacements inside a loaded transformer: repeatable dropout, exact second derivatives, fewer
passes.

They are set on the layers of one model; neither the library nor other models are changed. Each is
compiled by itself: compiling the whole step would gain little more and take half a minute for every
new shape of batch.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from contextvars import ContextVar

from tf_transfer.devices.backend import keras, tf
from tf_transfer.devices.distribution import share_number
from tf_transfer.devices.environment import compiles_for_processors
from tf_transfer.devices.private import draw_masks_from, layers_of

_PORTABLE = ContextVar("portable", default=False)


def compiled(function):
    """``function`` as one compiled kernel; it works in any graph, eagerly, and under
    differentiation.
    """
    # One for shapes that are known, one for others: a call of known shapes would be answered by a
    # trace of unknown ones where it finds one, and XLA could then not compile the step around it.
    known, unknown = (tf.function(function, jit_compile=True, autograph=False) for _ in range(2))

    @functools.wraps(function)
    def run(*args):
        if _PORTABLE.get() or not compiles_for_processors():
            return function(*args)
        return (known if all(_is_static(a) for a in args) else unknown)(*args)

    return run


def _is_static(argument) -> bool:
    return not tf.is_tensor(argument) or argument.shape.is_fully_defined()


@contextlib.contextmanager
def portable() -> Iterator[None]:
    """Traces the kernels as plain operations: a graph for others, whose TensorFlow may have no XLA.

    Gradients of such a graph are those of its operations.
    """
    token = _PORTABLE.set(True)
    try:
        yield
    finally:
        _PORTABLE.reset(token)


def install(transformer, state: tf.Variable, gelu) -> None:
    """Puts the replacements of this module into ``transformer``.

    Args:
        state: (2,) int32, [seed, step]: dropout masks are a function of it and of the layer alone.
        gelu: the function that is the library's exact GELU; layers that hold it get `fused_gelu`.
    """
    dropouts, around = 0, _layers_around(transformer)
    for layer in layers_of(transformer, itself=False):
        if isinstance(layer, keras.layers.Dropout):
            draw_masks_from(layer, StatelessMasks(state, dropouts, around[id(layer)]))
            dropouts += 1
        elif hasattr(layer, "xdropout"):  # DeBERTa's own dropout
            masks, rate = StatelessMasks(state, dropouts, around[id(layer)]), layer.drop_prob
            layer.xdropout = lambda inputs, masks=masks, rate=rate: masks.dropout(inputs, rate)
            dropouts += 1
        elif isinstance(layer, keras.layers.LayerNormalization) and layer.scale and layer.center:
            layer.call = _normalisation(layer)
        for name, value in list(vars(layer).items()):
            if value is gelu:
                setattr(layer, name, fused_gelu)


def _layers_around(layer, outer: tuple = ()) -> dict[int, tuple]:
    """By the ``id`` of each sublayer: the layers that it is in, itself last."""
    path = (*outer, layer)
    paths = {id(layer): path}
    for child in layers_of(layer, itself=False, nested=False):
        paths |= _layers_around(child, path)
    return paths


class StatelessMasks:
    """Stands in for a Keras layer's random generator: masks from (seed, step, layer), nothing else.

    Args:
        around: the layers that the dropout is in; where one is frozen (not ``trainable``), nothing
            is dropped.
    """

    def __init__(self, state: tf.Variable, index: int, around: tuple = ()):
        self._state, self._index, self._around = state, index, around

    def _maybe_init(self):  # Keras calls it before a layer that draws random numbers
        pass

    def dropout(self, inputs, rate, noise_shape=None):
        if not all(layer.trainable for layer in self._around):
            return inputs
        seed = dropout_seed(self._state, self._index)
        if noise_shape is not None:
            seed += [0, 104729 * share_number()]
            return tf.nn.experimental.stateless_dropout(
                inputs, rate, seed=seed, noise_shape=noise_shape
            )
        return dropout(inputs, rate, seed)


def dropout_seed(state: tf.Variable, index: int) -> tf.Tensor:
    """(2,) int32: the seed of dropout layer ``index`` in the run and step of ``state``."""
    return tf.stack([state[0] * 1009 + index, state[1]])


@tf.autograph.experimental.do_not_convert
def dropout(x: tf.Tensor, rate: float, seed: tf.Tensor) -> tf.Tensor:
    """``x`` with a share ``rate`` of its entries set to 0 and the others scaled up, as
    `tf.nn.dropout`.

    The mask is a hash of (seed, place), in one pass, and is drawn anew on the way back instead of
    kept. Places are those in the whole batch: replicas that share it out draw the masks of a single
    device, and on one device a batch that is computed in parts has those of the whole (see
    `devices.distribution.rows_of_part`).

    Args:
        rate: a Python number in [0, 1).
        seed: (2,) int32.
    """
    share = share_number()

    @tf.custom_gradient
    def masked(x):
        return _masked(x, seed, share, rate), masked

    return masked(tf.convert_to_tensor(x)) if rate else x


@compiled
def _masked(x, seed, share, rate):
    key = tf.bitcast(seed, tf.uint32)
    places = tf.reshape(tf.range(tf.size(x)), tf.shape(x)) + share * tf.size(x)
    places = tf.cast(places, tf.uint32)
    first, second = _scrambled(key[0]), _scrambled(key[1] + tf.constant(0x9E3779B9, tf.uint32))
    draws = _scrambled(tf.bitwise.bitwise_xor(_scrambled(places + first), second))
    kept = draws >= tf.constant(round(rate * 2**32), tf.uint32)
    return tf.where(kept, x * (1 / (1 - rate)), tf.zeros((), x.dtype))


def _scrambled(v: tf.Tensor) -> tf.Tensor:
    """A bijection of uint32 that looks random: C. Wellons' ``lowbias32`` (hash prospector,
    2018).
    """
    xor, shifted = tf.bitwise.bitwise_xor, tf.bitwise.right_shift
    v = xor(v, shifted(v, 16)) * tf.constant(0x7FEB352D, tf.uint32)
    v = xor(v, shifted(v, 15)) * tf.constant(0x846CA68B, tf.uint32)
    return xor(v, shifted(v, 16))


def _normalisation(layer):
    """The `call` that `layer_norm` gives a Keras layer; its weights are read when it is called."""

    def call(inputs):
        wide = tf.cast(inputs, tf.float32) if inputs.dtype.size < 4 else inputs
        gamma, beta = (
            tf.cast(tf.convert_to_tensor(w), wide.dtype) for w in (layer.gamma, layer.beta)
        )
        return tf.cast(layer_norm(wide, gamma, beta, layer.epsilon), inputs.dtype)

    return call


def layer_norm(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, epsilon: float) -> tf.Tensor:
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta over the last axis.

    Second derivatives are exact. Those of Keras' layer are not, for it takes its moments from
    `tf.nn.moments`, which stops the gradient through the mean. Ba et al. 2016.

    Args:
        x: (..., width) float32 or float64.
        gamma, beta: (width,).
    """
    if _PORTABLE.get():
        return _layer_norm(x, gamma, beta, epsilon)

    @tf.custom_gradient
    def normalised(x, gamma, beta):
        return _layer_norm(x, gamma, beta, epsilon), lambda upstream: _layer_norm_gradient(
            x, gamma, epsilon, upstream
        )

    return normalised(x, gamma, beta)


@compiled
def _layer_norm(x, gamma, beta, epsilon):
    centred = x - _row_mean(x)
    return centred * tf.math.rsqrt(_row_mean(centred * centred) + epsilon) * gamma + beta


@compiled
def _layer_norm_gradient(x, gamma, epsilon, upstream):
    centred = x - _row_mean(x)
    inverse = tf.math.rsqrt(_row_mean(centred * centred) + epsilon)
    unit, scaled = centred * inverse, upstream * gamma
    rows = list(range(x.shape.rank - 1))
    return (
        inverse * (scaled - _row_mean(scaled) - unit * _row_mean(scaled * unit)),
        tf.reduce_sum(upstream * unit, rows),
        tf.reduce_sum(upstream, rows),
    )


def _row_mean(x: tf.Tensor) -> tf.Tensor:
    """(..., 1): as a matrix product, which the compiler makes faster than a sum over rows."""
    width = x.shape[-1]
    return tf.linalg.matmul(x, tf.fill((width, 1), tf.constant(1 / width, x.dtype)))


@compiled
def _gelu(x):
    return 0.5 * x * tf.math.erfc(x * -0.7071067811865476)


@compiled
def _gelu_gradient(x, upstream):
    cdf = 0.5 + 0.5 * tf.math.erf(x * 0.7071067811865476)
    pdf = 0.3989422804014327 * tf.exp(-0.5 * x * x)
    return upstream * (cdf + x * pdf)


def fused_gelu(x):
    """x Φ(x), Φ the normal distribution function, compiled to one pass forward and one back.

    Only ``x`` is kept for the way back. The gradient is made of differentiable operations, so
    second derivatives are exact too. Hendrycks & Gimpel 2016.
    """
    return _gelu(tf.convert_to_tensor(x)) if _PORTABLE.get() else _gelu_with_gradient(x)


@tf.custom_gradient
def _gelu_with_gradient(x):
    x = tf.convert_to_tensor(x)
    return _gelu(x), lambda upstream: _gelu_gradient(x, upstream)
