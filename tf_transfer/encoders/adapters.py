"""Low-rank adapters: a few weights beside an encoder's own, which stay as they are.

Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models", section 4.1:
h = W₀ x + (alpha / rank) B A x, with A drawn at random, B zero and W₀ left alone.
"""

from __future__ import annotations

import dataclasses
import math
import numbers
import re
from collections.abc import Iterator, Sequence

import numpy as np

from tf_transfer.checks.arguments import whole
from tf_transfer.devices.backend import keras, tf, transformers
from tf_transfer.devices.private import layers_of
from tf_transfer.encoders.freezing import pooler_of
from tf_transfer.errors import DataError, listed, shown

QUERY_AND_VALUE = (
    r"\.(query|value|q|v|q_lin|v_lin|q_proj|v_proj|query_proj|value_proj|c_attn|in_proj)$"
)
"""The paths of the kernels that make queries and values, in all families. GPT-2 (``c_attn``) and
DeBERTa (``in_proj``) make the keys with the same kernel.
"""


@dataclasses.dataclass(frozen=True)
class Adapters:
    """What `attach` was given.

    Attributes:
        rank: rows of A and columns of B.
        alpha: numerator of the factor alpha / rank.
        layers: paths of the layers in the transformer, such as
            ``"bert.encoder.layer.0.attention.self_attention.query"``.
    """

    rank: int
    alpha: float
    layers: tuple[str, ...]


class LowRank(keras.layers.Layer):
    """The difference (alpha / rank) B A x that a layer with a kernel adds to its output.

    The factor is a weight that is not trained, so that whatever tells encoders apart by their
    weights tells different factors apart.

    Args:
        kernel: (inputs, outputs), the weight that it stands beside.
        first: (inputs, rank), the first values of A, transposed.
        factor: alpha / rank.
    """

    def __init__(self, kernel: tf.Variable, first: np.ndarray, factor: float, dtype):
        super().__init__(name="adapter", dtype=dtype)
        (inputs, rank), outputs = first.shape, kernel.shape[-1]
        name = kernel.name.removesuffix(":0") + "_adapter_"
        constant = keras.initializers.Constant
        self.down = self.add_weight(name + "down", (inputs, rank), initializer=constant(first))
        self.up = self.add_weight(name + "up", (rank, outputs), initializer="zeros")
        self.factor = self.add_weight(
            name + "factor", (1,), initializer=constant(factor), trainable=False
        )
        self.built = True

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """(..., outputs) from the inputs (..., inputs) of the layer beside it."""
        return tf.tensordot(tf.tensordot(inputs, self.down, 1) * self.factor, self.up, 1)

    def difference(self) -> np.ndarray:
        """(inputs, outputs) float64: what the kernel lacks to give the same."""
        down, up, factor = (v.numpy().astype(np.float64) for v in (self.down, self.up, self.factor))
        return factor * (down @ up)


def attach(
    encoder,
    rank: int = 8,
    alpha: float = 16.0,
    layers: str | Sequence[str] = QUERY_AND_VALUE,
    seed: int = 0,
):
    """Adds adapters to an encoder, in place; from then on training changes them alone.

    The encoder's outputs stay as they are until then. Dropout stays on in training, as of all that
    is not frozen: `freeze` to a number of blocks leaves the adapters of these blocks alone, and
    they run without dropout. A copy, a pickle and a saved model have the adapters, too.

    Args:
        encoder: an `Encoder` of which no `TransferModel` was made.
        rank: of the difference; each adapted kernel (inputs, outputs) gets
            ``rank * (inputs + outputs)`` trained weights.
        alpha: the difference counts ``alpha / rank`` times.
        layers: a regular expression that is found in the paths of layers, or paths or their ends,
            such as ``["query", "key", "value"]``. The default is attention's query and value.
        seed: of A, drawn from a normal distribution of variance 1 / inputs.

    Returns:
        The encoder.

    Raises:
        DataError: an argument that cannot be, a layer without a kernel or with an activation of its
            own, an encoder that has adapters or is part of a model.

    Example:
        >>> from tf_transfer.encoders.tiny import tiny_encoder
        >>> encoder = attach(tiny_encoder(width=16, layers=1), rank=2)
        >>> [tuple(v.shape) for v in encoder.trainable_variables]
        [(16, 2), (2, 16), (16, 2), (2, 16)]
    """
    _check_own(encoder)
    if encoder.adapters is not None:
        raise DataError(
            "An encoder has adapters once.\n"
            f"Received one with adapters of rank {encoder.adapters.rank}.\n"
            "Fold them into its kernels with merge(encoder) first, or load the encoder again."
        )
    rank, alpha = whole("rank", rank), _positive("alpha", alpha)
    chosen = _chosen(encoder.transformer, layers)
    for path, layer in chosen.items():
        _check_layer(path, layer, rank)
    for number, layer in enumerate(chosen.values()):
        draws = np.random.default_rng([whole("seed", seed, least=None) % 2**31, number])
        _add(layer, rank, alpha / rank, draws)
    encoder.adapters = Adapters(rank, alpha, tuple(chosen))
    return encoder


def merge(encoder):
    """Folds an encoder's adapters into its kernels, in place: W = W₀ + (alpha / rank) B A.

    The encoder is a plain one then, with the same outputs up to rounding, and training changes all
    that is not frozen.

    Args:
        encoder: an `Encoder` with adapters of which no `TransferModel` was made; of a model's,
            ``merge(model.encoder.copy())``.

    Returns:
        The encoder.

    Raises:
        DataError: it has no adapters, or is part of a model.
    """
    _check_own(encoder)
    if encoder.adapters is None:
        raise DataError(
            "Adapters are merged where there are some.\nReceived an encoder without any.\n"
            "Use attach(encoder) to add them."
        )
    for layer in _adapted(encoder).values():
        kernel = _kernel_of(layer)
        kernel.assign((kernel.numpy() + layer.adapter.difference()).astype(kernel.dtype.name))
        _remove(layer)
    encoder.adapters = None
    return encoder


def state(encoder) -> dict[str, tf.Variable]:
    """The trained weights of an encoder's adapters by name, none without any.

    ``"PATH.down"`` is A, transposed: (inputs, rank). ``"PATH.up"`` is B, transposed: (rank,
    outputs).
    """
    return {
        f"{path}.{name}": getattr(layer.adapter, name)
        for path, layer in _adapted(encoder).items()
        for name in ("down", "up")
    }


def attach_like(encoder, adapters: Adapters | None) -> None:
    """Adds what another encoder of the same form has, None for nothing."""
    if adapters is not None:
        attach(encoder, adapters.rank, adapters.alpha, adapters.layers)


def _adapted(encoder) -> dict:
    """The layers with an adapter by their paths."""
    if encoder.adapters is None:
        return {}
    layers = dict(_paths(encoder.transformer))
    return {path: layers[path] for path in encoder.adapters.layers}


def _add(layer, rank: int, factor: float, draws: np.random.Generator) -> None:
    kernel, own = _kernel_of(layer), layer.call
    inputs = kernel.shape[0]
    first = draws.normal(0.0, 1 / math.sqrt(inputs), (inputs, rank))
    adapter = LowRank(kernel, first, factor, layer.dtype_policy)
    layer.adapter = adapter

    def call(inputs):
        return own(inputs) + adapter(inputs)

    vars(layer)["call"] = call


def _remove(layer) -> None:
    del layer.adapter
    del vars(layer)["call"]


def _kernel_of(layer) -> tf.Variable:
    """(inputs, outputs)."""
    return layer.weight if isinstance(layer, _one_by_one()) else layer.kernel


def _one_by_one():
    """GPT-2's layer, which multiplies by a kernel as a dense one does."""
    return transformers.modeling_tf_utils.TFConv1D


def _paths(layer, start: str = "") -> Iterator[tuple[str, keras.layers.Layer]]:
    """The sublayers by the names of the attributes that hold them, joined by dots."""
    for name, value in vars(layer).items():
        if name.startswith("_"):
            continue
        several = isinstance(value, list | tuple)
        named = {f"{name}.{i}": v for i, v in enumerate(value)} if several else {name: value}
        for end, child in named.items():
            if isinstance(child, keras.layers.Layer):
                yield start + end, child
                yield from _paths(child, f"{start}{end}.")


def _candidates(transformer) -> dict:
    """The layers that can have an adapter by their paths; one with several has the first."""
    pooler = pooler_of(transformer)
    seen = {id(layer) for layer in layers_of(pooler)} if pooler is not None else set()
    by_path = {}
    for path, layer in _paths(transformer):
        if isinstance(layer, keras.layers.Dense | _one_by_one()) and id(layer) not in seen:
            seen.add(id(layer))
            by_path[path] = layer
    return by_path


def _chosen(transformer, layers: str | Sequence[str]) -> dict:
    """Those of the candidates that an argument of `attach` names.

    Raises:
        DataError: it names none, or one of several names does.
    """
    candidates = _candidates(transformer)
    if isinstance(layers, str):
        pattern = _compiled(layers)
        chosen = {path for path in candidates if pattern.search(path)}
        missing = [] if chosen else [layers]
    elif isinstance(layers, Sequence) and layers and all(isinstance(n, str) for n in layers):
        named = {name: {p for p in candidates if f".{p}".endswith(f".{name}")} for name in layers}
        chosen = set().union(*named.values())
        missing = [name for name, paths in named.items() if not paths]
    else:
        raise DataError(
            "layers must be a regular expression, or names of layers.\n"
            f"Received {shown(layers)}.\nGive for instance ['query', 'value']."
        )
    if missing:
        raise DataError(
            "Adapters stand beside layers that multiply by a kernel.\n"
            f"Received layers={listed(missing, most=3)}, which fits none of this "
            f"{transformer.config.model_type} encoder's.\n"
            f"It has {listed(sorted(candidates), most=12)}."
        )
    return {path: layer for path, layer in candidates.items() if path in chosen}


def _compiled(expression: str) -> re.Pattern:
    try:
        return re.compile(expression)
    except re.error as error:
        raise DataError(
            f"layers must be a regular expression, or a list of names.\nReceived {expression!r}: "
            f"{error}.\nGive for instance ['query', 'value']."
        ) from error


def _check_layer(path: str, layer, rank: int) -> None:
    """Raises:
    DataError: the layer cannot have an adapter of this rank.
    """
    most = min(_kernel_of(layer).shape)
    if rank > most:
        raise DataError(
            f"rank must be at most the smaller side of each kernel.\nReceived rank={rank}; {path} "
            f"has a kernel of {tuple(_kernel_of(layer).shape)}.\nGive at most {most}."
        )
    if getattr(layer, "activation", None) not in (None, keras.activations.linear):
        raise DataError(
            "An adapter's output is added before any activation.\n"
            f"Received layers with {path}, which applies its own activation.\n"
            "Leave it out of `layers`."
        )


def _check_own(encoder) -> None:
    """Raises:
    DataError: a model was made of the encoder, whose traced functions know its present form.
    """
    if not hasattr(encoder, "transformer"):
        raise DataError(
            f"Adapters are an encoder's.\nReceived {shown(encoder)}.\n"
            "Give what load_encoder returns, or model.encoder.copy()."
        )
    if encoder.taken:
        raise DataError(
            "An encoder gets and loses adapters before a TransferModel is made of it, whose traced "
            "functions know its form.\n"
            "Received one that is part of a model.\n"
            "Use model.encoder.copy(), and model.with_encoder(copy) for a model of the copy."
        )


def _positive(name: str, value) -> float:
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not number or not 0 < value < math.inf:
        raise DataError(f"{name} must be a number above 0.\nReceived {value!r}.")
    return float(value)
