"""Which of an encoder's weights training leaves alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tf_transfer.backend import keras, tf
from tf_transfer.errors import DataError, is_whole

_EMBEDDINGS = (
    "embeddings", "wte", "wpe", "embed_tokens", "embed_positions", "shared",
    "embeddings_project", "embedding_hidden_mapping_in",
)  # fmt: skip
"""What the families call the layers between token ids and the first block."""


def freeze(encoder, depth: str | int = "none") -> None:
    """Sets which weights training leaves alone, from the input upwards. Frozen blocks run without dropout; see `trunk`.

    Args:
        encoder: an `Encoder`; its ``frozen`` holds the depth from now on.
        depth: ``"none"``, ``"embeddings"``, a number of blocks (the embeddings with them), or ``"all"``.

    Raises:
        DataError: another depth, more blocks than the encoder has, or a family whose blocks share
            their weights.

    Example:
        >>> from tf_transfer.tiny import tiny_encoder
        >>> encoder = tiny_encoder(layers=2)
        >>> freeze(encoder, 1)  # the embeddings and the lower block
        >>> sum("layer_._1" in v.name for v in encoder.trainable_variables) == len(encoder.trainable_variables)
        True
    """
    transformer = encoder.transformer
    number = _number_of_blocks(encoder, depth)
    transformer.trainable = True
    pooler = pooler_of(transformer)
    if pooler is not None:  # its output is not used here, so it would never have a gradient
        pooler.trainable = False
    _hold_relative_positions(transformer, depth != "none")
    if depth == "all":
        transformer.trainable = False
    elif depth != "none":
        for layer in [*_embedding_layers(transformer), *blocks_of(transformer)[:number]]:
            layer.trainable = False
    encoder.frozen = depth


def check_depth(depth, name: str = "freeze") -> None:
    """Raises:
    DataError: ``depth`` is none of those that `freeze` takes.
    """
    if not (isinstance(depth, str) and depth in ("none", "embeddings", "all")) and not (is_whole(depth) and depth >= 0):
        raise DataError(
            f"{name} must be 'none', 'embeddings', a number of blocks, or 'all'.\nReceived {depth!r}.\n"
            "Give for instance 'none', which trains the whole encoder."
        )


def _number_of_blocks(encoder, depth) -> int:
    check_depth(depth)
    if isinstance(depth, str):
        return 0
    most = len(blocks_of(encoder.transformer))
    if depth > most:
        shared = " (its layers share the weights of one block)" if encoder.config.model_type == "albert" else ""
        raise DataError(
            f"freeze={depth} asks for more blocks than the encoder has.\n"
            f"Received a {encoder.config.model_type} of {most} blocks{shared}.\n"
            f"Give at most {most}, or 'all'."
        )
    return depth


def weights_of(transformer) -> list[tf.Variable]:
    """All weights but the pooler's, in an order that freezing does not change."""
    pooler = pooler_of(transformer)
    seen = {id(v) for v in pooler.weights} if pooler is not None else set()
    found = []
    for layer in transformer._flatten_layers():
        for variable in layer._trainable_weights + layer._non_trainable_weights:
            if id(variable) not in seen:
                seen.add(id(variable))
                found.append(variable)
    return found


def pooler_of(transformer):
    """The layer behind the first token's vector, or None."""
    return getattr(_body(transformer), "pooler", None)


def blocks_of(transformer) -> list:
    """The list of equal layers that is deepest in variables: the transformer's blocks."""
    found = [list(v) for layer in [_body(transformer), *_layers(_body(transformer))] for v in _layer_lists(layer)]
    return max(found, key=_size, default=[])


def _layer_lists(layer) -> Iterator[Sequence]:
    for value in vars(layer).values():
        alike = isinstance(value, Sequence) and len(value) and len({type(v) for v in value}) == 1
        if alike and isinstance(value[0], keras.layers.Layer):
            yield value


def _size(layers: list) -> int:
    return sum(int(np.prod(w.shape)) for layer in layers for w in layer.weights)


def _layers(transformer) -> Iterator:
    return transformer._flatten_layers(include_self=False)


def _body(transformer):
    """The main layer, below the wrapper that gives a family's outputs their names."""
    prefix = getattr(transformer, "base_model_prefix", "")
    inner = getattr(transformer, prefix, None) or getattr(transformer, "encoder", None)
    return inner if isinstance(inner, keras.layers.Layer) else transformer


def _embedding_layers(transformer) -> list:
    holders = [transformer, _body(transformer), getattr(_body(transformer), "encoder", None)]
    found = [getattr(h, n, None) for h in holders for n in _EMBEDDINGS if h is not None]
    return [layer for layer in found if isinstance(layer, keras.layers.Layer)]


def _hold_relative_positions(transformer, held: bool) -> None:
    """DeBERTa and MPNet keep embeddings of relative positions as a bare weight beside the blocks."""
    layer = getattr(_body(transformer), "encoder", None)
    variables = [getattr(layer, name, None) for name in ("rel_embeddings", "relative_attention_bias")]
    if held and variables[0] is not None and getattr(layer, "LayerNorm", None) is not None:
        layer.LayerNorm.trainable = False  # DeBERTa normalises them
    for variable in (v for v in variables if isinstance(v, tf.Variable)):
        weights = [layer._trainable_weights, layer._non_trainable_weights]
        origin, place = weights if held else weights[::-1]
        if any(v is variable for v in origin):
            origin[:] = [v for v in origin if v is not variable]
            place.append(variable)
