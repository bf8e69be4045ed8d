"""TensorFlow, Keras and transformers, imported at their first use, after the version check, without
start-up notes.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import tempfile
from collections.abc import Iterator

from tf_transfer.devices.environment import check_versions


@contextlib.contextmanager
def _without_notes() -> Iterator[None]:
    """Holds back what native code writes to standard error; shows it when the block fails.

    TensorFlow reports missing GPUs and CPU instructions before its own log level is in force.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as notes:
        try:
            kept = os.dup(2)
        except OSError:  # no standard error to protect
            yield
            return
        os.dup2(notes.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(kept, 2)
            notes.seek(0)
            os.write(2, notes.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


@functools.cache
def _load() -> dict:
    check_versions()
    with _without_notes():
        import tensorflow
        import tf_keras
        import transformers

        # The devices' notes come at their first use. With several workers, that must be
        # `connect`'s.
        if not os.environ.get("TF_CONFIG"):
            tensorflow.config.list_logical_devices()
    return {"tf": tensorflow, "keras": tf_keras, "transformers": transformers}


class _Lazy:
    """Stands in for a module until one of its names is wanted."""

    def __init__(self, name: str):
        self._module = name

    def __getattr__(self, name: str):
        return getattr(_load()[self._module], name)


tf, keras, transformers = map(_Lazy, ("tf", "keras", "transformers"))

__all__ = ["keras", "tf", "transformers"]
