"""Training and prediction on two logical processors and on one: prints what was found as JSON.

Run as a process of its own, because logical devices must be set up before TensorFlow starts.
"""

from __future__ import annotations

import json

import tensorflow

processor = tensorflow.config.list_physical_devices("CPU")[0]
tensorflow.config.set_logical_device_configuration(
    processor, [tensorflow.config.LogicalDeviceConfiguration()] * 2
)

from tests import tiny  # noqa: E402
from tests.step_losses import BATCH, ON_EPISODES, StepLosses, on_episodes, on_tables, train_table  # noqa: E402


def fit(distribution) -> dict:
    """`fit` with dropout, validation and Keras metrics, prediction, evaluation, `FineTune` and
    `MultiTask`.

    21 rows make two whole batches and one of five, which two replicas cannot share equally.
    """
    from tf_transfer.devices.backend import keras

    with distribution.scope():
        model = tiny.make_model()
    model.compile(metrics={"mood": "accuracy", "stars": "mae"})
    steps = []
    note = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: steps.append(dict(logs))
    )
    validation = tiny.make_table(9, seed=4)  # the last batch has one row
    options = {"epochs": 2, "batch_size": BATCH, "callbacks": [note], "verbose": 0}
    history = model.fit(train_table(), validation_data=validation, **options).history
    data = model.dataset(validation, batch_size=BATCH)
    predicted = {
        "table": model.predict(validation, verbose=0),
        "dataset": model.predict(data, verbose=0),
    }
    evaluated = model.evaluate({"table": validation, "dataset": data}, batch_size=BATCH, verbose=0)
    return {
        "steps": steps,
        "history": history,
        "weights": tiny.snapshot(model),
        "rows": evaluated.rows,
        "scores": {
            name: {t: p.scores.tolist() for t, p in found.items()}
            for name, found in predicted.items()
        },
        "metrics": evaluated.to_frame()
        .set_index(["split", "task", "metric", "class"])["value"]
        .tolist(),
        "keras": model.evaluate(data, return_dict=True, verbose=0),
        "strategies": on_tables(distribution, model),
    }


def plain(distribution, **options) -> dict:
    """Three steps of plain gradient descent, which enlarges no rounding."""
    from tf_transfer.devices.backend import keras

    with distribution.scope():
        model = tiny.make_model()
    model.compile(keras.optimizers.SGD(0.01), **options)
    note = StepLosses()
    model.fit(train_table(), batch_size=BATCH, callbacks=[note], verbose=0)
    return {"losses": note.losses, "weights": tiny.snapshot(model)}


def pcgrad(distribution) -> dict:
    """The same under a gradient rule that compares the tasks."""
    return plain(distribution, gradient_rule="pcgrad")


def episodes(distribution) -> dict:
    """The outer loop of every strategy of meta-learning."""
    return {name: on_episodes(distribution, name) for name in ON_EPISODES}


def uneven(distribution) -> str:
    """The error for a meta-batch that replicas cannot share."""
    from tests.strategies.test_meta import make_model, make_sampler
    from tf_transfer.errors import DataError
    from tf_transfer.strategies import MAML

    with distribution.scope():
        model = make_model()
    try:
        MAML(steps=1, meta_batch=3).fit(model, make_sampler(), steps=0)
    except DataError as found:
        return str(found)
    return ""


PARTS = (fit, plain, pcgrad, episodes, uneven)


def main() -> None:
    from tf_transfer.devices.distribution import connect

    tiny.keep_graphs()
    found = {}
    for name, distribution in (
        ("one", connect("cpu", verbose=False)),
        ("two", connect("mirrored", devices=["CPU:0", "CPU:1"])),
    ):
        found[name] = {part.__name__: part(distribution) for part in PARTS}
    print(json.dumps(found, default=lambda value: value.tolist()))


if __name__ == "__main__":
    main()
