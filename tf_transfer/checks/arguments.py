"""The arguments of Keras' verbs: those that are known, numbers that are whole, objects that are of
tf_keras.
"""

from __future__ import annotations

import numbers
from collections.abc import Collection, Iterable, Mapping

from tf_transfer.errors import DataError, is_whole, listed, nearest

QUEUE = ("max_queue_size", "workers", "use_multiprocessing")
"""How Keras runs a generator; of no effect on anything else, as in Keras."""


def check_known(
    what: str, given: Mapping, known: Collection[str], spelt: Collection[str] = ()
) -> None:
    """Raises:
    DataError: an argument of another name; the message has the nearest one.

    Args:
        known: the names that are taken.
        spelt: names of the signature, which may have been meant.
    """
    for name in given:
        if name not in known:
            choices = [*known, *spelt]
            raise DataError(
                f"{what} takes the arguments {listed(sorted(choices), most=30)}.\n"
                f"Received {name}={given[name]!r}.{nearest(name, choices)}"
            )


def whole(name: str, value, least: int | None = 1, default: int | None = None) -> int:
    """``value`` as an `int`; a float that is whole is one, as 16 / 4 steps are. None is the
    default, if there is one.

    Raises:
        DataError: it is no whole number, or below ``least``.
    """
    if value is None and default is not None:
        return default
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not is_whole(value) or (least is not None and value < least):
        bound = "" if least is None else f" of at least {least}"
        raise DataError(f"{name} must be a whole number{bound}.\nReceived {value!r}.")
    return int(value)


def rate(name: str, value, below: float) -> float:
    """``value``, a share of at least 0 and below ``below``.

    Raises:
        DataError: it is none.
    """
    if not isinstance(value, numbers.Real) or isinstance(value, bool) or not 0 <= value < below:
        raise DataError(
            f"{name} must be a number of at least 0 and below {below:g}.\nReceived {value!r}."
        )
    return value


def check_of_keras_2(what: str, objects: Iterable) -> None:
    """Raises:
    DataError: an object, or one that it is made of, is of Keras 3, whose numbers and calls are
        others.
    """
    for value in objects:
        kinds = type(value).__mro__ if not isinstance(value, type) else value.__mro__
        origins = {getattr(kind, "__module__", "") for kind in kinds} | {
            getattr(value, "__module__", "")
        }
        if any(str(origin).partition(".")[0] == "keras" for origin in origins):
            name = getattr(value, "__name__", type(value).__name__)
            raise DataError(
                f"{what} takes objects of tf_keras, which transformers' TensorFlow models are made "
                "of.\n"
                f"Received {name} of Keras 3 (which is also what tf.keras is).\n"
                f"Take the one of the same name there: import tf_keras as keras."
            )
