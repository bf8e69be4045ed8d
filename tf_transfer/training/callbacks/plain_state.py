"""What a Python object knows, as JSON and arrays: numbers, texts, arrays, and lists and dicts of
them.
"""

from __future__ import annotations

import hashlib

import numpy as np

_IGNORED = ("model", "params", "validation_data")
"""Attributes that Keras gives a callback, which are not its own."""


class Arrays(dict):
    """Arrays by a hash of their content, so that equal ones are kept once."""

    def add(self, value: np.ndarray) -> str:
        """The key of an array."""
        value = np.asarray(value, order="C")
        key = hashlib.sha256(
            f"{value.dtype.str} {value.shape}".encode() + value.tobytes()
        ).hexdigest()
        self.setdefault(key, value)
        return key


def pack(value, arrays: Arrays):
    """``value`` as JSON, its arrays put into ``arrays``.

    Raises:
        TypeError: it holds something else than plain values.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biuf":
        return {"array": arrays.add(value), "scalar": isinstance(value, np.generic)}
    if type(value) in (list, tuple):
        return {type(value).__name__: [pack(v, arrays) for v in value]}
    if type(value) is dict:
        return {"dict": [[pack(k, arrays), pack(v, arrays)] for k, v in value.items()]}
    raise TypeError(f"{type(value).__name__} is not plain")


def unpack(content, arrays):
    """What `pack` was given."""
    if not isinstance(content, dict):
        return content
    if "array" in content:
        value = np.array(arrays[content["array"]])
        return value[()] if content["scalar"] else value
    if "dict" in content:
        return {unpack(k, arrays): unpack(v, arrays) for k, v in content["dict"]}
    kind = list if "list" in content else tuple
    return kind(unpack(v, arrays) for v in content[kind.__name__])


def state_of(thing, arrays: Arrays) -> dict:
    """The plain attributes of an object, packed; others are left out."""
    state = {}
    for name, value in vars(thing).items():
        if name not in _IGNORED:
            try:
                state[name] = pack(value, arrays)
            except TypeError:
                continue
    return state


def changes(before: dict, now: dict) -> dict:
    """The entries of ``now`` that are new or another than in ``before``."""
    return {
        name: value for name, value in now.items() if name not in before or before[name] != value
    }
