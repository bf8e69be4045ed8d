"""The same losses on one device and on two, and what sharing out costs: logical devices and worker processes.

20 steps of fine-tuning on BERT-tiny, 32 rows a step, dropout as pretrained, on 1 and 2 logical devices of this
machine's processor and in 1 and 2 worker processes over loopback. All of them share the same cores, so two are not
expected to be faster than one here: the overhead is what the benchmark shows. AdamW divides by the size of each
gradient, so it enlarges the rounding of those that are nearly 0; plain gradient descent, beside it, does not.

    python -m tests.benchmarks.scaling
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import time

from tests.benchmarks.reporting import Report

BOUND, BATCH = 1e-4, 32
SETTINGS = ("1 device", "2 devices", "1 worker", "2 workers")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--encoder", default="bert-tiny")
    parser.add_argument("--side", choices=SETTINGS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        print(json.dumps(measure(arguments.side, arguments.encoder, arguments.steps)), flush=True)
        return 0
    report = Report(f"{arguments.steps} steps of {BATCH} rows, {arguments.encoder}, in turn")
    options = ["--encoder", arguments.encoder, "--steps", str(arguments.steps)]
    found = {side: run(side, options) for side in SETTINGS}
    alone = found["1 device"]
    for side, answer in found.items():
        report.figure(f"{side}, throughput", BATCH / statistics.median(answer["seconds"]), "rows/s", digits=1)
        if side != "1 device":
            ratio = statistics.median(answer["seconds"]) / statistics.median(alone["seconds"])
            report.figure(f"{side}, time of a step / 1 device", ratio)
            for name, label, bound in (("losses", "AdamW", BOUND), ("plain", "gradient descent", None)):
                apart = max(abs(a - b) for a, b in zip(alone[name], answer[name], strict=True))
                report.figure(f"{side}, {label}, largest difference in loss", apart, at_most=bound, digits=7)
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
            subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        ]
    try:
        found = [p.communicate(timeout=1800) for p in processes]
    finally:
        for process in processes:
            process.kill()
    if any(p.returncode for p in processes):
        raise SystemExit(f"{side} failed:\n{found[0][1][-2000:]}")
    return json.loads(found[0][0].splitlines()[-1])


def measure(side: str, encoder: str, steps: int) -> dict:
    """Losses of each step, and its seconds without the first two, which trace."""
    if side == "2 devices":
        import tensorflow as tf

        processor = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
    from tf_transfer.distribution import connect

    devices = {"kind": "mirrored", "devices": ["CPU:0", "CPU:1"]} if side == "2 devices" else {"kind": "cpu"}
    distribution = connect(**({"kind": "multi_worker"} if "worker" in side else devices), verbose=False)
    from tf_transfer.backend import keras
    from tf_transfer.encoders import load_encoder
    from tf_transfer.model import TransferModel
    from tf_transfer.tables import load_table
    from tf_transfer.tasks import Task

    class Note(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.losses, self.ends = [], []

        def on_train_batch_end(self, batch, logs=None):
            self.losses.append(float(logs["loss"]))
            self.ends.append(time.perf_counter())

    table = load_table("data/reviews.csv")
    rows = table.sample(BATCH * steps, replace=True, random_state=0).reset_index(drop=True)
    with distribution.scope():
        tasks = [Task("sentiment"), Task("stars", kind="regression")]
        model = TransferModel(load_encoder(encoder), tasks, max_length=32)
    model.dataset(rows, learn_scale=True)
    first, notes = [v.numpy() for v in model.state], {}
    for name, optimizer in (("plain", keras.optimizers.SGD(0.01)), ("losses", "auto")):
        for variable, value in zip(model.state, first):
            variable.assign(value)
        with distribution.scope():
            model.compile(optimizer)
        notes[name] = Note()
        model.fit(rows, batch_size=BATCH, callbacks=[notes[name]], verbose=0)
    ends = notes["losses"].ends[1:]
    seconds = [b - a for a, b in itertools.pairwise(ends)]
    return {name: note.losses for name, note in notes.items()} | {"seconds": seconds}


if __name__ == "__main__":
    sys.exit(main())
