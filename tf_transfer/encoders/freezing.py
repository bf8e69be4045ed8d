"""Which of an encoder's weights training leaves alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tf_transfer.devices.backend import keras, tf
from tf_transfer.devices.private import layers_of, own_weights
from tf_transfer.errors import DataError, is_whole

_EMBEDDINGS = (
    "embeddings",
    "wte",
    "wpe",
    "embed_tokens",
    "embed_positions",
    "shared",
    "embeddings_project",
    "embedding_hidden_mapping_in",
)
"""What the families call the layers between token ids and the first block."""


def freeze(encoder, depth: str | int | Sequence[int] = "none") -> None:
    """Sets which weights training leaves alone, from the input upwards, by the layers' own
    ``trainable``.

    What is frozen runs without dropout; see `trunk`. Keras' ``layer.trainable = False`` on any
    layer does the same for that layer: whoever trains the encoder reads the layers' flags, at any
    time.

    Args:
        encoder: an `Encoder`, or a `TransferModel` for its encoder.
        depth: ``"none"``, ``"embeddings"``, a number of blocks (the embeddings with them), or
            ``"all"``; or what ``encoder.frozen`` said of an encoder of the same form.

    Raises:
        DataError: another depth, more blocks than the encoder has, or a family whose blocks share
            their weights.

    Example:
        >>> from tf_transfer.encoders.tiny import tiny_encoder
        >>> encoder = tiny_encoder(layers=2)
        >>> freeze(encoder, 1)  # the embeddings and the lower block
        >>> all("layer_._1" in v.name for v in encoder.trainable_variables)
        True
        >>> encoder.frozen
        1
    """
    encoder = getattr(encoder, "encoder", encoder)
    parts = _parts(encoder)
    if isinstance(depth, list | tuple):
        places = set(depth)
        _check_places(depth, len(parts))
    else:
        places = _places_of_depth(encoder, depth, parts)
    encoder.trainable = True
    for place, part in enumerate(parts):
        if isinstance(part, _BareWeight):
            part.hold(place in places)
        elif place in places:
            part.trainable = False


def frozen_part(encoder) -> str | int | tuple[int, ...]:
    """What `freeze` must be given for the encoder's layers to be as trainable as they are now.

    A depth, or the places of the frozen layers where they are no depth: those of `_parts`.
    """
    parts = _parts(encoder)
    unused = {id(layer) for layer in _pooler_layers(encoder.transformer)}
    free = {id(layer) for layer in _free_layers(encoder)}

    def is_frozen(part) -> bool:
        return part.held if isinstance(part, _BareWeight) else id(part) not in free

    counted = {
        place for place, part in enumerate(parts) if part is not encoder and id(part) not in unused
    }
    frozen = {place for place in counted if is_frozen(parts[place])}
    for depth in ("none", frozen_blocks(encoder) or "embeddings", "all"):
        if frozen == _places_of_depth(encoder, depth, parts) & counted:
            return depth
    return tuple(sorted(frozen)) if encoder.trainable_variables else "all"


def frozen_blocks(encoder) -> int:
    """How many blocks are frozen, counted from the input; 0 where the embeddings below them are
    trained.
    """
    free = {id(layer) for layer in _free_layers(encoder)}
    if any(id(layer) in free for layer in _embedding_layers(encoder.transformer)):
        return 0
    frozen = [
        not any(id(layer) in free for layer in layers_of(block))
        for block in blocks_of(encoder.transformer)
    ]
    return frozen.index(False) if False in frozen else len(frozen)


def check_depth(depth, name: str = "freeze") -> None:
    """Raises:
    DataError: ``depth`` is none of those that `freeze` takes.
    """
    if not (isinstance(depth, str) and depth in ("none", "embeddings", "all")) and not (
        is_whole(depth) and depth >= 0
    ):
        raise DataError(
            f"{name} must be 'none', 'embeddings', a number of blocks, or 'all'.\nReceived "
            f"{depth!r}.\n"
            "Give for instance 'none', which trains the whole encoder."
        )


class _BareWeight:
    """A weight that a layer holds beside its sublayers, and that is frozen with the embeddings."""

    def __init__(self, layer, variable):
        self._layer, self._variable = layer, variable

    @property
    def held(self) -> bool:
        """Whether the layer counts it as not trainable."""
        _, frozen = own_weights(self._layer)
        return any(v is self._variable for v in frozen)

    def hold(self, held: bool) -> None:
        if held != self.held:
            lists = own_weights(self._layer)
            origin, place = lists if held else lists[::-1]
            origin[:] = [v for v in origin if v is not self._variable]
            place.append(self._variable)


def _parts(encoder) -> list:
    """All layers of an encoder, itself first, and behind them its bare weights; the order is that
    of the family.
    """
    return [*layers_of(encoder), *_relative_positions(encoder.transformer)]


def _free_layers(layer) -> list:
    """The layers whose weights Keras would train: those that are trainable, and so are all around
    them.
    """
    if not layer.trainable:
        return []
    children = layers_of(layer, itself=False, nested=False)
    return [layer, *(free for child in children for free in _free_layers(child))]


def _places_of_depth(encoder, depth, parts: list) -> set[int]:
    """The places in `_parts` that a depth freezes."""
    number = _number_of_blocks(encoder, depth)
    transformer = encoder.transformer
    if depth == "none":
        return set()
    chosen = [transformer]
    if depth != "all":
        chosen = [
            *_embedding_layers(transformer),
            *blocks_of(transformer)[:number],
            *_normalised_positions(transformer),
        ]
    frozen = {id(layer) for top in chosen for layer in layers_of(top)}
    return {
        place
        for place, part in enumerate(parts)
        if id(part) in frozen or isinstance(part, _BareWeight)
    }


def _check_places(places, count: int) -> None:
    if not all(is_whole(place) and 0 <= place < count for place in places):
        raise DataError(
            f"freeze takes the places of an encoder's layers, 0 to {count - 1}, as encoder.frozen "
            "says them.\n"
            f"Received {places!r}.\nGive 'none', 'embeddings', a number of blocks, or 'all'."
        )


def _number_of_blocks(encoder, depth) -> int:
    check_depth(depth)
    if isinstance(depth, str):
        return 0
    most = len(blocks_of(encoder.transformer))
    if depth > most:
        shared = (
            " (its layers share the weights of one block)"
            if encoder.config.model_type == "albert"
            else ""
        )
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
    variables = []
    for layer in layers_of(transformer):
        trainable, frozen = own_weights(layer)
        for variable in trainable + frozen:
            if id(variable) not in seen:
                seen.add(id(variable))
                variables.append(variable)
    return variables


def pooler_of(transformer):
    """The layer behind the first token's vector, or None."""
    return getattr(_body(transformer), "pooler", None)


def set_pooler_aside(transformer) -> None:
    """Takes a pooler's weights out of training for good: its output is not used, so they never have
    a gradient.
    """
    for layer in _pooler_layers(transformer):
        trainable, _ = own_weights(layer)
        for variable in list(trainable):
            _BareWeight(layer, variable).hold(True)


def _pooler_layers(transformer) -> list:
    pooler = pooler_of(transformer)
    return [] if pooler is None else layers_of(pooler)


def blocks_of(transformer) -> list:
    """The list of equal layers that is deepest in variables: the transformer's blocks."""
    stacks = [list(v) for layer in layers_of(_body(transformer)) for v in _layer_lists(layer)]
    return max(stacks, key=_size, default=[])


def _layer_lists(layer) -> Iterator[Sequence]:
    for value in vars(layer).values():
        alike = isinstance(value, Sequence) and len(value) and len({type(v) for v in value}) == 1
        if alike and isinstance(value[0], keras.layers.Layer):
            yield value


def _size(layers: list) -> int:
    return sum(int(np.prod(w.shape)) for layer in layers for w in layer.weights)


def _body(transformer):
    """The main layer, below the wrapper that gives a family's outputs their names."""
    prefix = getattr(transformer, "base_model_prefix", "")
    inner = getattr(transformer, prefix, None) or getattr(transformer, "encoder", None)
    return inner if isinstance(inner, keras.layers.Layer) else transformer


def _embedding_layers(transformer) -> list:
    holders = [transformer, _body(transformer), getattr(_body(transformer), "encoder", None)]
    embeddings = [getattr(h, n, None) for h in holders for n in _EMBEDDINGS if h is not None]
    return [layer for layer in embeddings if isinstance(layer, keras.layers.Layer)]


def _relative_positions(transformer) -> list[_BareWeight]:
    """DeBERTa and MPNet keep embeddings of relative positions as a bare weight beside the
    blocks.
    """
    layer = getattr(_body(transformer), "encoder", None)
    variables = [
        getattr(layer, name, None) for name in ("rel_embeddings", "relative_attention_bias")
    ]
    return [_BareWeight(layer, v) for v in variables if isinstance(v, tf.Variable)]


def _normalised_positions(transformer) -> list:
    """The layer with which DeBERTa normalises its relative positions."""
    layer = getattr(_body(transformer), "encoder", None)
    norm = getattr(layer, "LayerNorm", None)
    return [norm] if getattr(layer, "rel_embeddings", None) is not None and norm is not None else []
