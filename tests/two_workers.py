"""One of two worker processes on this machine: trains, and prints what it found as JSON.

    TF_CONFIG=... python -m tests.two_workers losses|disagree|resume FOLDER

`start` runs both and is what tests and benchmarks use.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
BATCH, EPOCHS = 8, 4


def start(module: str, *arguments: str, workers: int = 2, **environment) -> list[subprocess.Popen]:
    """Worker processes that run ``python -m module arguments`` and find each other over
    loopback.
    """
    addresses = [f"127.0.0.1:{port}" for port in free_ports(workers)]
    found = []
    for index in range(workers):
        config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        variables = (
            os.environ
            | {"TF_CONFIG": json.dumps(config), "TF_CPP_MIN_LOG_LEVEL": "3"}
            | environment
        )
        found.append(
            subprocess.Popen(
                [sys.executable, "-W", "ignore", "-m", module, *arguments],
                cwd=ROOT,
                env=variables,
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        )
    return found


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def losses(distribution, folder: str) -> dict:
    """`fit`, fine-tuning, multi-task learning and MAML; predictions of rows that two workers cannot
    share equally.
    """
    from tests import tiny
    from tests.step_losses import on_episodes, on_tables
    from tf_transfer.devices.backend import keras

    with distribution.scope():
        model = tiny.make_model()
    model.compile(metrics={"mood": "accuracy"})
    steps, table = [], tiny.make_table(21, seed=3)
    table.loc[[0, 2, 3, 4, 9, 15], "mood"] = None
    note = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: steps.append(dict(logs))
    )
    validation = tiny.make_table(9, seed=4)
    model.fit(
        table, epochs=2, batch_size=BATCH, callbacks=[note], validation_data=validation, verbose=0
    )
    data = model.dataset(validation, batch_size=BATCH)
    predicted = {
        "table": model.predict(validation, verbose=0),
        "dataset": model.predict(data, verbose=0),
    }
    return {
        "steps": steps,
        "weights": tiny.snapshot(model),
        "strategies": on_tables(distribution, model) | {"maml": on_episodes(distribution, "maml")},
        "scores": {
            name: {t: p.scores.tolist() for t, p in found.items()}
            for name, found in predicted.items()
        },
    }


def disagree(distribution, folder: str) -> dict:
    """The second worker differs in one thing after another; prints what is said of each, and ends
    with the last.
    """
    import dataclasses

    import numpy as np

    from tests import tiny
    from tf_transfer.errors import DistributionError
    from tf_transfer.training.callbacks.resume import Resume

    index, table = json.loads(os.environ["TF_CONFIG"])["task"]["index"], tiny.make_table(16)
    with distribution.scope():
        model = tiny.make_model()
        weighted = tiny.make_model(
            [dataclasses.replace(t, loss_weight=1.0 + index) for t in tiny.TASKS]
        )
    options = {"batch_size": BATCH, "verbose": 0}
    cases = {
        "batch_size": lambda: model.fit(table, **options | {"batch_size": BATCH + 8 * index}),
        "epochs": lambda: model.fit(table, epochs=1 + index, **options),
        "sample_weight": lambda: model.fit(
            table, sample_weight=np.full(16, 1.0 + index), **options
        ),
        "loss_weight": lambda: weighted.fit(table, **options),
        "tf.data": lambda: model.fit(
            model.dataset(table, batch_size=BATCH).take(1 + index), verbose=0
        ),
        "validation": lambda: model.fit(table, validation_data=table if index else None, **options),
        "backup": lambda: model.fit(table, callbacks=[Resume(folder)] if index else [], **options),
        "predict": lambda: model.predict(tiny.make_table(16 + index), verbose=0),
    }
    said = {}
    for name, case in cases.items():
        try:
            case()
        except DistributionError as error:
            said[name] = str(error)
    print(json.dumps(said), flush=True)
    try:
        model.fit(tiny.make_table(16 + index), **options)
    finally:
        # the other one may still be reading what this one said, and would call it lost
        time.sleep(2)
    return {}


def resume(distribution, folder: str) -> dict:
    """Epochs with a checkpoint after each; says when one is over, and waits a moment to be killed
    in the next.
    """
    from tests import tiny
    from tf_transfer.devices.backend import keras
    from tf_transfer.training.callbacks.resume import Resume

    with distribution.scope():
        model = tiny.make_model()
    model.compile()
    run = []

    def say(epoch, logs):
        run.append(epoch)
        print("epoch", epoch, flush=True)

    said = keras.callbacks.LambdaCallback(
        on_epoch_end=say,
        on_batch_end=lambda batch, logs: time.sleep(float(os.environ.get("PAUSE", "0"))),
    )
    backup = Resume(folder)
    history = model.fit(
        tiny.make_table(16), epochs=EPOCHS, batch_size=BATCH, callbacks=[backup, said], verbose=0
    )
    return {"weights": tiny.snapshot(model), "epochs": history.epoch, "run": run}


def main() -> int:
    from tests import tiny
    from tf_transfer.devices.distribution import connect
    from tf_transfer.errors import TransferError

    try:
        part = {f.__name__: f for f in (losses, disagree, resume)}[sys.argv[1]]
        distribution = connect("multi_worker" if "TF_CONFIG" in os.environ else "cpu")
        tiny.keep_graphs()
        print(
            json.dumps(part(distribution, sys.argv[2]), default=lambda value: value.tolist()),
            flush=True,
        )
    except TransferError as error:
        print(error, file=sys.stderr, flush=True)
        os._exit(2)  # the other worker may be gone: a tidy end would wait for it
    return 0


if __name__ == "__main__":
    sys.exit(main())
