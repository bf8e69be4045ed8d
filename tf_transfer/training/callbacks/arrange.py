"""The user's callbacks put in the order that a run needs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from tf_transfer.checks.arguments import check_of_keras_2
from tf_transfer.devices.backend import keras
from tf_transfer.errors import DataError


def arranged(callbacks) -> list:
    """The callbacks as a list, in the order in which they work together, whatever order they were
    given in.

    Those that add to the logs (`EvaluateSuite`) come before those that read them; a `Resume`, which
    keeps what the others have become, comes last. Keras' `BackupAndRestore` becomes a `Resume`.

    Args:
        callbacks: a callback, a list (of lists) of them, Keras' `CallbackList`, or None.

    Raises:
        DataError: two backups of one run, or an object that is no callback of tf_keras.
    """
    given = _flat(callbacks)
    check_of_keras_2("callbacks", given)
    for callback in given:
        if not isinstance(callback, keras.callbacks.Callback):
            raise DataError(
                f"callbacks must be Keras' callbacks.\nReceived {callback!r}.\n"
                "Give objects, for instance keras.callbacks.EarlyStopping('val_loss'), with "
                "tf_keras as keras."
            )
    prepared = [_with_our_backup(c) for c in given]
    resumes = [c for c in prepared if hasattr(c, "part")]
    if len(resumes) > 1:
        raise DataError(
            f"A training has one backup.\nReceived {len(resumes)} callbacks that make one.\nGive "
            "one."
        )
    others = [c for c in prepared if not hasattr(c, "part")]
    # sorted is stable: otherwise the given order stays.
    return [*sorted(others, key=lambda c: not getattr(c, "adds_to_logs", False)), *resumes]


def resume_of(callbacks: list):
    """The `Resume` among arranged callbacks, or None."""
    return callbacks[-1] if callbacks and hasattr(callbacks[-1], "part") else None


@contextlib.contextmanager
def in_parts(callbacks, count: int) -> Iterator[list[list]]:
    """The callbacks of each of ``count`` runs that make up one training.

    Each run has a backup of its own; when the block ends well, the training's ``delete_checkpoint``
    decides on all of them.
    """
    callbacks = arranged(callbacks)
    resume = resume_of(callbacks)
    if resume is None:
        yield [callbacks] * count
        return
    parts = [resume.part(number) for number in range(count)]
    yield [[*callbacks[:-1], part] for part in parts]
    resume.seconds_before = sum(part.seconds_before for part in parts)
    if resume.delete_checkpoint and all(part.writes for part in parts):
        resume.delete()


def _flat(callbacks) -> list:
    if callbacks is None:
        return []
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return [
            c
            for c in callbacks
            if not isinstance(c, keras.callbacks.History | keras.callbacks.ProgbarLogger)
        ]
    if isinstance(callbacks, list | tuple):
        return [c for part in callbacks for c in _flat(part)]
    return [callbacks]


def _with_our_backup(callback):
    """`Resume` instead of Keras' own, for the reasons that it gives; a subclass may mean something
    else.
    """
    if type(callback) is not keras.callbacks.BackupAndRestore or not callback.save_freq:
        return callback
    from tf_transfer.training.callbacks.resume import Resume

    return Resume(callback.backup_dir, callback.save_freq, callback.delete_checkpoint)
