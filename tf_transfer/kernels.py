"""Replacements inside a loaded transformer, for repeatable dropout and a faster activation.

They are set on the layers of one model; neither the library nor other models are changed.
"""

from __future__ import annotations

from tf_transfer.backend import keras, tf


def install(transformer, state: tf.Variable, gelu) -> None:
    """Puts the replacements of this module into ``transformer``.

    Args:
        state: (2,) int32, [seed, step]: dropout masks are a function of it and of the layer alone.
        gelu: the function that is the library's exact GELU; layers that hold it get `fused_gelu`.
    """
    dropouts = 0
    for layer in transformer._flatten_layers(include_self=False):
        if isinstance(layer, keras.layers.Dropout):
            layer._random_generator = StatelessMasks(state, dropouts)
            dropouts += 1
        elif hasattr(layer, "xdropout"):  # DeBERTa's own dropout
            masks, rate = StatelessMasks(state, dropouts), layer.drop_prob
            layer.xdropout = lambda inputs, masks=masks, rate=rate: masks.dropout(inputs, rate)
            dropouts += 1
        for name, value in list(vars(layer).items()):
            if value is gelu:
                setattr(layer, name, fused_gelu)


class StatelessMasks:
    """Stands in for a Keras layer's random generator: masks from (seed, step, layer), nothing else."""

    def __init__(self, state: tf.Variable, index: int):
        self._state, self._index = state, index

    def _maybe_init(self):  # Keras calls it before a layer that draws random numbers
        pass

    def dropout(self, inputs, rate, noise_shape=None):
        seed = dropout_seed(self._state, self._index)
        return tf.nn.experimental.stateless_dropout(inputs, rate, seed=seed, noise_shape=noise_shape)


def dropout_seed(state: tf.Variable, index: int) -> tf.Tensor:
    """(2,) int32: the seed of dropout layer ``index`` in the run and step of ``state``."""
    return tf.stack([state[0] * 1009 + index, state[1]])


@tf.function(jit_compile=True, autograph=False)
def _gelu(x):
    return 0.5 * x * tf.math.erfc(x * -0.7071067811865476)


@tf.function(jit_compile=True, autograph=False)
def _gelu_gradient(x, upstream):
    cdf = 0.5 + 0.5 * tf.math.erf(x * 0.7071067811865476)
    pdf = 0.3989422804014327 * tf.exp(-0.5 * x * x)
    return upstream * (cdf + x * pdf)


@tf.custom_gradient
def fused_gelu(x):
    """x Φ(x), Φ the normal distribution function, compiled to one pass forward and one back.

    Only ``x`` is kept for the way back. The gradient is made of differentiable operations, so
    second derivatives are exact too. Hendrycks & Gimpel 2016.
    """
    x = tf.convert_to_tensor(x)
    return _gelu(x), lambda upstream: _gelu_gradient(x, upstream)
