"""Fault-tolerant training: a run that was killed goes on where its last backup was made."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

from tf_transfer.devices.backend import keras, tf
from tf_transfer.errors import CheckpointError, DataError, is_whole
from tf_transfer.files.storage import check_writable
from tf_transfer.files.temporary import sweep
from tf_transfer.training.callbacks import csv_logs
from tf_transfer.training.callbacks.backup import FILE, Place, read_backup, write_backup
from tf_transfer.training.callbacks.plain_state import Arrays, changes, state_of
from tf_transfer.training.callbacks.settings import check_same, plain_json


@dataclasses.dataclass(frozen=True)
class Training:
    """A run as `Resume` sees it.

    Args:
        model: the `TransferModel`.
        variables: all that the run changes, by what it is.
        settings: what a run that goes on must share; see `settings`.
        start: tells where the run starts from, likewise; called before the first step.
        callbacks: whose plain attributes are kept too.
        epochs: the last epoch's number, plus one.
        steps: batches an epoch, or None where that is unknown.
    """

    model: object
    variables: dict[str, list[tf.Variable]]
    settings: dict
    start: Callable[[], dict]
    callbacks: list
    epochs: int
    steps: int | None


class Resume(keras.callbacks.Callback):
    """Backs up a training, and restores it when the same training is started again.

    What `keras.callbacks.BackupAndRestore` is, with its arguments. On the CPU the run ends with the
    bits of one that was never interrupted. Keras' own keeps the weights and the optimizer, but goes
    on with another order of the rows, forgets what `EarlyStopping` and other callbacks have seen,
    the logs of the epoch so far and the `History`, trains on when a callback had ended the run, and
    takes the weights of another model where they happen to fit. `fit` therefore puts this class in
    its place.

    The backup holds the weights, the optimizer's state, the dropout state, the metrics, the place
    in the data, and of every callback the attributes that are numbers, texts, arrays, or lists and
    dicts of them. What a callback keeps elsewhere (a closure, an open file) it must keep safe
    itself; a `CSVLogger` goes on in its file.

    Rows come from tables, which are not read again up to the place; from `tf.data`, whose done
    batches are drawn and dropped, and whose shuffles need seeds.

    Args:
        backup_dir: folder of the backup, of this training alone.
        save_freq: ``"epoch"``, or a number of batches. To the outer loop of meta-learning an outer
            step is a batch, and ``validate_every`` of them are an epoch.
        delete_checkpoint: delete the backup when the training has ended.

    Raises:
        DataError: another ``save_freq``.
        CheckpointError: at the start of a training: the backup is damaged, or of another model,
            other data or other settings; neither it nor the model was changed. Or the backup cannot
            be written.
    """

    def __init__(
        self, backup_dir: str | Path, save_freq: str | int = "epoch", delete_checkpoint: bool = True
    ):
        super().__init__()
        if save_freq != "epoch" and (not is_whole(save_freq) or save_freq < 1):
            raise DataError(
                f"save_freq must be 'epoch' or a number of batches.\nReceived {save_freq!r}."
            )
        self.backup_dir, self.save_freq, self.delete_checkpoint = (
            Path(backup_dir),
            save_freq,
            delete_checkpoint,
        )
        self.seconds_before = 0.0
        self.writes = True  # of several workers the chief alone writes and deletes
        self._supports_tf_logs = True
        self._chief_worker_only = False
        self._training = self._loaded = None

    @property
    def path(self) -> Path:
        """The backup's file."""
        return self.backup_dir / FILE

    # -- the start --------------------------------------------------------------------------------

    def open(self, training: Training) -> Place:
        """Where ``training`` is to go on; nothing is changed yet.

        Raises:
            CheckpointError: see the class; or no backup can be written there.
        """
        self._training, self._loaded, self._loggers = training, None, []
        self.writes = training.model.distribute_strategy.extended.should_checkpoint
        self._settings = plain_json(training.settings)
        if self.writes:
            check_writable(self.path)
        if any(self.backup_dir.glob("part-*")):
            raise CheckpointError(
                f"{self.backup_dir} holds the backup of a training in several parts; nothing was "
                "changed.\n"
                "Give another backup_dir."
            )
        # After an interruption in this process the weights are no longer those that the run started
        # from.
        starts = training.model.__dict__.setdefault("_starts_of_runs", {})
        if not self.path.exists():
            starts[str(self.path)] = plain_json(training.start())
        self._start = starts.get(str(self.path)) or plain_json(training.start())
        if not self.path.exists():
            self.seconds_before = 0.0
            return Place()
        self._loaded = read_backup(self.path)
        check_same(
            self.path, self._loaded.settings | self._loaded.start, self._settings | self._start
        )
        self._loaded.check_fit(self.path, training.variables)
        self.seconds_before = self._loaded.place.seconds
        return self.place

    @property
    def place(self) -> Place:
        """Where the run goes on."""
        place = self._loaded.place if self._loaded else Place()
        return (
            dataclasses.replace(place, epoch=self._training.epochs, batch=0)
            if place.stopped
            else place
        )

    def on_train_begin(self, logs=None):
        if self._training is None:
            raise DataError(
                "tt.Resume works in TransferModel.fit and in strategies.\n"
                f"Received a {type(self.model).__name__}.\nUse keras.callbacks.BackupAndRestore "
                "there."
            )
        self._began, self._count, self._due = time.perf_counter(), 0, False
        self._names = dict(_named(c for c in self._training.callbacks if not isinstance(c, Resume)))
        self._before = {name: state_of(c, Arrays()) for name, c in self._names.items()}
        csv_logs.let_go(self._loggers)
        if self._loaded:
            self._restore()
            self.model._training_state = self

    def prepare(self) -> None:
        """Called before the callbacks' own ``on_train_begin``."""
        if self._loaded:
            self._loggers = csv_logs.go_on(self._training.callbacks, self.place.epoch)

    def maybe_load_initial_counters_from_ckpt(
        self, steps_per_epoch, initial_epoch, mode
    ) -> tuple[int, int]:
        """The epoch and the batch to begin with: Keras asks for them after ``on_train_begin``."""
        self.model._training_state = None
        return self.place.epoch, self.place.batch

    def _restore(self) -> None:
        self._loaded.assign(self._training.variables)
        for name, callback in self._names.items():
            for attribute, value in self._loaded.attributes(name).items():
                setattr(callback, attribute, value)

    # -- on the way -------------------------------------------------------------------------------

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch, self._done = epoch, 0
        if self._loaded and self._loaded.place.batch:
            # Keras has reset the metrics, and other callbacks have seen this epoch begin a second
            # time.
            self._restore()
            self._done = self._loaded.place.batch
        self._loaded = None

    def _implements_train_batch_hooks(self):
        return self.save_freq != "epoch"

    def on_train_batch_end(self, batch, logs=None):
        if self.save_freq == "epoch":
            return
        self._count, self._done = self._count + batch + 1 - self._done, batch + 1
        if self._count >= self.save_freq:
            self._count = 0
            # The end of an epoch belongs to it: validation and callbacks are still to come.
            self._due = self._done == self._training.steps or self.model.stop_training
            if not self._due:
                self._save(Place(self._epoch, self._done))

    def on_epoch_end(self, epoch, logs=None):
        if self.save_freq == "epoch" or self._due:
            self._due = False
            self._save(Place(epoch + 1, 0, bool(self.model.stop_training)))

    def on_train_end(self, logs=None):
        if not self.delete_checkpoint:
            self._save(Place(self._training.epochs, 0, True))
        elif self.writes:
            self.delete()
        self._training.model.__dict__.get("_starts_of_runs", {}).pop(str(self.path), None)
        self._training = self._loaded = None

    def _save(self, place: Place) -> None:
        arrays = Arrays()
        callbacks = {
            n: changes(self._before[n], state_of(c, arrays)) for n, c in self._names.items()
        }
        seconds = self.seconds_before + time.perf_counter() - self._began
        write_backup(
            self.path,
            dataclasses.replace(place, seconds=seconds),
            self._settings,
            self._start,
            self._training.variables,
            callbacks,
            arrays,
            self._training.model.distribute_strategy,
        )

    # -- the folder -------------------------------------------------------------------------------

    def part(self, number: int) -> Resume:
        """The callback of one of several runs that make up a training, such as one source after
        another.

        Raises:
            CheckpointError: the folder holds the backup of a training of one run.
        """
        if self.path.exists():
            raise CheckpointError(
                f"{self.path} is the backup of another training; nothing was changed.\nGive "
                "another backup_dir."
            )
        return Resume(
            self.backup_dir / f"part-{number + 1}", self.save_freq, delete_checkpoint=False
        )

    def delete(self) -> None:
        """Deletes the backup, and its folder if nothing else is in it."""
        self.path.unlink(missing_ok=True)
        sweep(self.backup_dir)
        for part in self.backup_dir.glob("part-*"):
            Resume(part).delete()
        if self.backup_dir.is_dir() and not any(self.backup_dir.iterdir()):
            self.backup_dir.rmdir()


def _named(callbacks):
    """``(name, callback)`` with names that a later process finds again."""
    counts: dict = {}
    for callback in callbacks:
        kind = type(callback).__name__
        counts[kind] = counts.get(kind, 0) + 1
        yield f"{kind} {counts[kind]}", callback
