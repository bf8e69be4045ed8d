"""Whether what lies in an encoder's folder can be what it says, before memory is given to it and
after it is loaded.
"""

from __future__ import annotations

import contextlib
import math
import numbers
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from tf_transfer.devices.backend import tf
from tf_transfer.errors import DataError, listed
from tf_transfer.files.untrusted import check_folder, read_json

CONFIG, POOLING = "config.json", "pooling.json"
_COUNT = re.compile(
    r"(num|n)_.*(layer|block|group|network|repeat|head|bucket)s?|.*_(layers|groups|repeats)|num_labels"
)
"""Names in a configuration of what is made one by one."""
_MOST_PARTS = 1000
_SPARE = 2**20


def check_files(folder: str | Path) -> None:
    """Whether a folder holds plain files with a configuration that can be made.

    Raises:
        OSError: it cannot be read.
        ValueError: it holds a pipe or a device, or a configuration that no encoder has.
    """
    check_folder(folder)
    config = read_json(Path(folder, CONFIG))
    if not isinstance(config, dict):
        raise ValueError(f"{CONFIG} must hold keys and values; received {type(config).__name__}")
    for key, value in config.items():
        if isinstance(value, int) and abs(value) >= 2**63:
            raise ValueError(f"{CONFIG} has a number of {len(str(abs(value)))} digits as {key}")
        parts = isinstance(value, int) and _COUNT.fullmatch(key)
        if parts and value > _MOST_PARTS * (1000 if key == "num_labels" else 1):
            raise ValueError(f"{CONFIG} asks for {key}={value}, which no encoder has")


def weight_bytes(folder: str | Path) -> int:
    """The size of a folder's files of weights."""
    weight_files = [
        path for path in Path(folder).iterdir() if path.suffix in (".safetensors", ".h5")
    ]
    return sum(path.stat().st_size for path in weight_files)


@contextlib.contextmanager
def at_most(size: int | None) -> Iterator[None]:
    """Within it no more weights are made than a file of ``size`` bytes can fill; None for any
    number.

    Raises:
        DataError: more are to be made. No memory has been given to those that are too many.
    """
    made = 0

    def create(next_creator, **options):
        nonlocal made
        shape = options.get("shape")
        if shape is None and not callable(options["initial_value"]):
            shape = np.shape(options["initial_value"])
        made += math.prod(shape or ())
        if made > size + _SPARE:  # at least a byte a weight
            raise DataError(
                f"The configuration must fit the weights.\nReceived {made:,} weights or more by "
                f"the configuration, and {size:,} bytes of them.\nCheck that config.json and "
                "model.safetensors belong together."
            )
        return next_creator(**options)

    with tf.variable_creator_scope(create) if size is not None else contextlib.nullcontext():
        yield


def check_tokenizer(tokenizer, vocabulary: int | None) -> None:
    """Whether a tokenizer makes what an encoder takes.

    Args:
        vocabulary: the number of tokens that the encoder knows.

    Raises:
        ValueError: it does not.
    """
    if not getattr(tokenizer, "is_fast", False):
        raise ValueError(
            "it has no fast tokenizer. Add its tokenizer.json, for instance by converting it"
        )
    longest, fields = tokenizer.model_max_length, tokenizer.model_input_names
    if not isinstance(longest, numbers.Real) or not longest >= 4:
        raise ValueError(
            f"its tokenizer's model_max_length must be a number of at least 4; received {longest!r}"
        )
    if not isinstance(fields, list) or not {"input_ids", "attention_mask"} <= set(fields):
        raise ValueError(
            f"its tokenizer must make input_ids and attention_mask; received {fields!r}"
        )
    largest = max(tokenizer.get_vocab().values(), default=0)
    if vocabulary is not None and largest >= vocabulary:
        raise ValueError(
            f"its tokenizer has the token id {largest}; the encoder knows {vocabulary} tokens, "
            "from 0"
        )
    tokenizer(["a"], ["b"])


def check_finite(name: object, variables: Sequence[tf.Variable]) -> None:
    """Whether all weights are numbers.

    Raises:
        DataError: one is NaN or infinite.
    """
    wrong = [v.name for v in variables if v.dtype.is_floating and not np.isfinite(v.numpy()).all()]
    if wrong:
        raise DataError(
            f"The weights of {str(name)!r} must be finite numbers.\n"
            f"Received NaN or infinity in {len(wrong)} of them: {listed(wrong, most=3)}.\n"
            "Download or copy them again; a training that diverged leaves such weights."
        )


def noted_pooling(folder: str | Path) -> dict:
    """What `save_pretrained` or `save_config` wrote beside the weights: ``pooling``, and sometimes
    ``precision``.

    Raises:
        OSError: the note is missing.
        ValueError: it is none.
    """
    note = read_json(Path(folder, POOLING))
    if not isinstance(note, dict) or not isinstance(note.get("pooling"), str):
        raise ValueError(f"{POOLING} must hold a pooling; received {str(note)[:60]}")
    return note
