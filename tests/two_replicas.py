"""Training and prediction on two logical processors and on one: prints what was found as JSON.

Run as a process of its own, because logical devices must be set up before TensorFlow starts.
"""

from __future__ import annotations

import json

import numpy as np
import tensorflow

processor = tensorflow.config.list_physical_devices("CPU")[0]
tensorflow.config.set_logical_device_configuration(processor, [tensorflow.config.LogicalDeviceConfiguration()] * 2)

from tests import tiny  # noqa: E402

BATCH = 8
"""21 rows make two whole batches and one of five, which two replicas cannot share equally."""


def train_table():
    """Rows whose labels are unevenly missing, so that replicas have different numbers of labels."""
    table = tiny.make_table(21, seed=3)
    table.loc[[0, 2, 3, 4, 9, 15], "mood"] = None
    table.loc[[1, 5, 6, 7, 8], "stars"] = None
    return table


def fit(distribution) -> dict:
    """`fit` with dropout, validation and Keras metrics, both ways of prediction, and `MultiTask`."""
    from tf_transfer.backend import keras
    from tf_transfer.strategies import MultiTask

    with distribution.scope():
        model = tiny.make_model()
    model.compile(metrics={"mood": "accuracy", "stars": "mae"})
    steps = []
    note = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: steps.append(dict(logs)))
    validation = tiny.make_table(9, seed=4)  # the last batch has one row
    options = {"epochs": 2, "batch_size": BATCH, "callbacks": [note], "verbose": 0}
    history = model.fit(train_table(), validation_data=validation, **options).history
    weights = tiny.snapshot(model)
    data = model.dataset(validation, batch_size=BATCH)
    predicted = {"table": model.predict(validation, verbose=0), "dataset": model.predict(data, verbose=0)}
    strategy = MultiTask(epochs=1, batch_size=BATCH, adapt_steps=2, adapt_batch_size=4)
    strategy.fit(model, {"one": train_table(), "two": tiny.make_table(9, seed=2).drop(columns="themes")})
    multi_task = tiny.snapshot(model)
    adapted = strategy.adapt(model, tiny.make_table(7, seed=5))  # the last batch cannot be shared equally
    copies = [[c.numpy() for c in distribution.experimental_local_results(v)] for v in [*model.state, *adapted.state]]
    return {
        "steps": steps, "history": history, "weights": weights, "multi_task": multi_task,
        "scores": {name: {t: p.scores.tolist() for t, p in found.items()} for name, found in predicted.items()},
        "adapted": tiny.snapshot(adapted), "copies apart": max(float(np.ptp(c, 0).max()) for c in copies),
    }  # fmt: skip


def plain(distribution) -> dict:
    """Three steps of plain gradient descent, which enlarges no rounding."""
    from tf_transfer.backend import keras

    with distribution.scope():
        model = tiny.make_model()
    model.compile(keras.optimizers.SGD(0.01))
    history = model.fit(train_table(), batch_size=BATCH, verbose=0).history
    return {"history": history, "weights": tiny.snapshot(model)}


def maml(distribution) -> dict:
    """Two outer steps of `MAML`, and the error for a meta-batch that replicas cannot share."""
    from tests.strategies.test_meta import make_model, make_sampler
    from tf_transfer.errors import DataError
    from tf_transfer.strategies import MAML

    with distribution.scope():
        model = make_model()
    sampler, error = make_sampler(), ""
    strategy = MAML(steps=2, meta_batch=4, inner_steps=2, inner_lr=0.1, learning_rate=0.01)
    strategy.fit(model, sampler)
    weights = tiny.snapshot(model)
    try:
        MAML(steps=1, meta_batch=3).fit(model, sampler, steps=0)
    except DataError as found:
        error = str(found)
    return {"weights": weights, "error": error}


def main() -> None:
    from tf_transfer.distribution import connect

    found = {}
    for name, distribution in (
        ("one", connect("cpu", verbose=False)),
        ("two", connect("mirrored", devices=["CPU:0", "CPU:1"])),
    ):
        found[name] = {part.__name__: part(distribution) for part in (fit, plain, maml)}
    print(json.dumps(found, default=lambda value: value.tolist()))


if __name__ == "__main__":
    main()
