"""A training of a tiny model, and how it is killed."""

import collections
import os
import signal
import sys

from tests import tiny
from tf_transfer.devices.backend import keras
from tf_transfer.training.callbacks.resume import Resume
from tf_transfer.training.callbacks.suite import EvaluateSuite

TABLE, VALIDATION = tiny.make_table(22), tiny.make_table(10, seed=3)
EPOCHS, STEPS = 4, 6


class Kill(keras.callbacks.Callback):
    """Ends the process, or raises, at the end of a batch, counted from 1."""

    def __init__(self, step: int, how=None):
        super().__init__()
        # A Counter is not plain, so `Resume` leaves it alone.
        self.step, self.how, self.seen = step, how, collections.Counter()

    def on_train_batch_end(self, batch, logs=None):
        self.seen["batches"] += 1
        if self.seen["batches"] == self.step:
            if self.how is not None:
                os.kill(os.getpid(), self.how)
            raise KeyboardInterrupt


def make_model():
    model = tiny.make_model()
    model.compile(metrics={"mood": "accuracy"})
    model.first = tiny.snapshot(model)
    return model


def start(model) -> None:
    """The model as a new process has it."""
    tiny.restore(model, model.first)
    model.__dict__.pop("_starts_of_runs", None)
    model.start_run(1e-2, seed=3)


def fit(model, *callbacks, **options):
    """A run with a validation and an early stop on the suite; its history."""
    stop = keras.callbacks.EarlyStopping("val_stars_pearson", patience=2, restore_best_weights=True)
    suite = EvaluateSuite(VALIDATION, ["f1_macro", "pearson"])
    options = {
        "epochs": EPOCHS,
        "batch_size": 4,
        "verbose": 0,
        "validation_data": VALIDATION,
    } | options
    return model.fit(TABLE, callbacks=[stop, *callbacks, suite], **options).history


if __name__ == "__main__":  # the process of the test of a real kill
    tiny.keep_graphs()
    trained = make_model()
    start(trained)
    fit(trained, Resume(sys.argv[1], save_freq=4), Kill(15, signal.SIGKILL))
