"""The same losses on one device and on two, and what sharing out costs: logical devices and worker
processes.

20 steps each of fine-tuning (one source after another), of multi-task learning (two tasks, whose
labels are missing in places) and of MAML (an outer step of four episodes) on BERT-tiny, dropout as
pretrained, on 1 and 2 logical devices of this machine's processor and in 1 and 2 worker processes
over loopback. The losses compared are those of single steps, not the running means that Keras logs.
All settings share the same cores, so two are not expected to be faster than one here: the overhead
is what the benchmark shows. Adam divides by the size of each gradient, so it enlarges the rounding
of those that are nearly 0; plain gradient descent, beside it, does not.

    python -m tests.benchmarks.scaling
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

from tests.benchmarks.reporting import Report

BOUND, BATCH, EPISODES = 1e-4, 32, 4
SETTINGS = ("1 device", "2 devices", "1 worker", "2 workers")
METHODS = {
    "fine-tuning": (BATCH, "rows/s"),
    "multi-task": (BATCH, "rows/s"),
    "MAML": (EPISODES, "episodes/s"),
}
"""What a step of each takes."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--steps", type=int, default=20, help="of each method, an even number")
    parser.add_argument("--encoder", default="bert-tiny")
    parser.add_argument("--side", choices=SETTINGS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        print(json.dumps(measure(arguments.side, arguments.encoder, arguments.steps)), flush=True)
        return 0
    report = Report(
        f"{arguments.steps} steps of each method, {arguments.encoder}, the settings in turn"
    )
    options = ["--encoder", arguments.encoder, "--steps", str(arguments.steps)]
    found = {side: run(side, options) for side in SETTINGS}
    alone = found["1 device"]
    for side, answer in found.items():
        for method, (size, unit) in METHODS.items():
            seconds = statistics.median(answer[method]["seconds"])
            report.figure(f"{side}, {method}, throughput", size / seconds, unit, digits=1)
            if side != "1 device":
                ratio = seconds / statistics.median(alone[method]["seconds"])
                report.figure(f"{side}, {method}, time of a step / 1 device", ratio)
        for method in answer if side != "1 device" else ():
            pairs = list(zip(alone[method]["losses"], answer[method]["losses"], strict=True))
            if len(pairs) != arguments.steps:
                raise SystemExit(
                    f"{method} must make {arguments.steps} steps; received {len(pairs)}."
                )
            apart, bound = max(abs(a - b) for a, b in pairs), BOUND if method in METHODS else None
            report.figure(
                f"{side}, {method}, largest difference in loss", apart, at_most=bound, digits=7
            )
    return report.finish()


def run(side: str, options: list[str]) -> dict:
    """What a setting's process, or the first of its workers, found."""
    from tests.two_workers import start

    module, count = "tests.benchmarks.scaling", int(side[0])
    if "worker" in side:
        processes = start(module, "--side", side, *options, workers=count)
    else:
        command = [sys.executable, "-m", module, "--side", side, *options]
        environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
        processes = [
            subprocess.Popen(
                command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        ]
    try:
        found = [p.communicate(timeout=1800) for p in processes]
    finally:
        for process in processes:
            process.kill()
    if any(p.returncode for p in processes):
        raise SystemExit(f"{side} failed:\n{found[0][1][-2000:]}")
    return json.loads(found[0][0].splitlines()[-1])


def connected(side: str):
    """The `tf.distribute` strategy of a setting."""
    if side == "2 devices":
        import tensorflow as tf

        processor = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(
            processor, [tf.config.LogicalDeviceConfiguration()] * 2
        )
    from tf_transfer.devices.distribution import connect

    devices = (
        {"kind": "mirrored", "devices": ["CPU:0", "CPU:1"]}
        if side == "2 devices"
        else {"kind": "cpu"}
    )
    return connect(**({"kind": "multi_worker"} if "worker" in side else devices), verbose=False)


def measure(side: str, encoder: str, steps: int) -> dict:
    """The losses of all steps of each method, and the seconds of each but the first two, which
    trace.
    """
    distribution = connected(side)
    from tests.step_losses import StepLosses
    from tf_transfer.data.tables import load_table
    from tf_transfer.devices.backend import keras
    from tf_transfer.encoders.loading import load_encoder
    from tf_transfer.episodes.sampler import EpisodeSampler
    from tf_transfer.kinds.tasks import Task
    from tf_transfer.model.model import TransferModel
    from tf_transfer.strategies import MAML, FineTune, MultiTask

    class Note(StepLosses):
        """With the seconds of each step, the reset of the metrics left out."""

        def __init__(self):
            super().__init__()
            self.seconds = []

        def on_train_batch_begin(self, batch, logs=None):
            super().on_train_batch_begin(batch, logs)
            self._began = time.perf_counter()

        def on_train_batch_end(self, batch, logs=None):
            super().on_train_batch_end(batch, logs)
            self.seconds.append(time.perf_counter() - self._began)

    def model_of(*tasks):
        with distribution.scope():
            return TransferModel(load_encoder(encoder), tasks, max_length=32)

    table = load_table("data/reviews.csv")
    rows = table.sample(BATCH * steps, replace=True, random_state=0).reset_index(drop=True)
    half = len(rows) // 2
    sources = {"first": rows[:half], "second": rows[half:].drop(columns="stars")}
    classes = tuple(sorted(set(table["sentiment"].dropna())))
    one = model_of(Task("sentiment", kind="classification", classes=classes))
    two = model_of(Task("sentiment"), Task("stars", kind="regression"))
    two.dataset(rows, note_labels=True)
    maml = MAML(steps=steps, meta_batch=EPISODES, inner_steps=2)
    episodes = EpisodeSampler(
        table.dropna(subset="sentiment"), "sentiment", way=len(classes), shot=4, num_query=4
    )
    options = {"batch_size": BATCH, "verbose": 0}
    found = {}
    for name, model, fit in (
        (
            "fine-tuning",
            one,
            lambda c: FineTune(epochs=1, batch_size=BATCH).fit(one, sources, callbacks=c),
        ),
        ("MAML", one, lambda c: maml.fit(one, episodes, callbacks=c, validate_every=1)),
        (
            "multi-task",
            two,
            lambda c: MultiTask(epochs=1, batch_size=BATCH).fit(two, sources, callbacks=c),
        ),
        ("gradient descent", two, lambda c: two.fit(rows, callbacks=c, **options)),
    ):
        first, note = [v.numpy() for v in model.state], Note()
        if name == "gradient descent":
            with distribution.scope():
                model.compile(keras.optimizers.SGD(0.01))
        fit([note])
        for variable, value in zip(model.state, first):
            variable.assign(value)
        found[name] = {"losses": note.losses, "seconds": note.seconds[2:]}
    return found


if __name__ == "__main__":
    sys.exit(main())
