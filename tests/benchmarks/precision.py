"""`mixed_bfloat16` against float32: the time of a step, and what it does to quality.

The step: MiniLM, two classes, 32 x 64 tokens, `fit` with the defaults of `compile`, both precisions
in turn in one process. The quality: tweets' polarity, fine-tuned from the same seeds in both
precisions and scored on the same rows; the difference in macro F1 has the interval of the toolkit's
own paired bootstrap over rows and seeds.

    python -m tests.benchmarks.precision
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

from tests.benchmarks.reporting import Report

BOUND, BATCH, LENGTH = 0.75, 32, 64
PRECISIONS = ("float32", "mixed_bfloat16")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=8, help="timed steps a round")
    parser.add_argument("--rows", type=int, default=500, help="rows trained on")
    parser.add_argument("--test-rows", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--encoder", default="minilm")
    arguments = parser.parse_args()
    report = Report(
        f"mixed_bfloat16 against float32, {arguments.encoder}, {BATCH} x {LENGTH} tokens, in turn"
    )
    supported = has_bfloat16()
    report.note(f"the processor {'has' if supported else 'lacks'} bfloat16 instructions")
    compare_steps(report, arguments, BOUND if supported else None)
    compare_quality(report, arguments)
    return report.finish()


def has_bfloat16() -> bool:
    """Whether the processor says that it multiplies bfloat16."""
    facts = Path("/proc/cpuinfo")
    return facts.exists() and any(flag in facts.read_text() for flag in ("avx512_bf16", "amx_bf16"))


def make_model(arguments, precision: str, task, seed: int = 0):
    from tf_transfer.encoders.loading import load_encoder
    from tf_transfer.model.model import TransferModel

    encoder = load_encoder(arguments.encoder, precision=precision)
    return TransferModel(encoder, task, max_length=LENGTH, seed=seed)


def compare_steps(report: Report, arguments, bound: float | None) -> None:
    from tests.benchmarks.finetune import fixed_batch, report_times
    from tests.benchmarks.sides import in_turn
    from tf_transfer.devices.backend import keras, tf
    from tf_transfer.kinds.tasks import Task

    class Clock(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.ends = []

        def on_train_batch_end(self, batch, logs=None):
            self.ends.append(time.perf_counter())

    clock, dataset = Clock(), fixed_batch(tf)

    def turn(precision: str):
        model = make_model(
            arguments, precision, Task("label", kind="classification", classes=("no", "yes"))
        )
        model.compile()
        model.fit(dataset.repeat(3), verbose=0)

        def median(_):
            model.fit(dataset.repeat(arguments.steps + 1), verbose=0, callbacks=[clock])
            return statistics.median(1e3 * (b - a) for a, b in zip(clock.ends, clock.ends[1:]))

        return median

    times = in_turn({p: turn(p) for p in PRECISIONS}, arguments.rounds)
    for precision in PRECISIONS:
        report_times(report, precision, times[precision])
    ratios = [b / a for a, b in zip(times["float32"], times["mixed_bfloat16"])]
    report.figure(
        "step time, mixed_bfloat16 / float32", statistics.median(ratios), at_most=bound, digits=3,
        detail="rounds " + " ".join(f"{r:.3f}" for r in ratios),
    )  # fmt: skip


def compare_quality(report: Report, arguments) -> None:
    from tests.benchmarks.epoch import tweets
    from tf_transfer.data.splits import split_table
    from tf_transfer.kinds.tasks import Task
    from tf_transfer.statistics.intervals import paired_difference

    table = tweets(arguments.rows + arguments.test_rows)
    train, test = split_table(table, test_size=arguments.test_rows / len(table), seed=0)
    task = Task("polarity", kind="classification").resolve(table)
    found = {precision: [] for precision in PRECISIONS}
    for precision in PRECISIONS:
        for seed in range(arguments.seeds):
            model = make_model(arguments, precision, task, seed)
            model.fit(train, epochs=2, batch_size=BATCH, verbose=0)
            found[precision].append(model.predict(test, verbose=0)["polarity"].scores)
    truth, _ = task.encode(test)
    difference = paired_difference(
        "f1_macro", task.kind, truth, found["mixed_bfloat16"], found["float32"]
    )
    report.figure(
        "macro F1, mixed_bfloat16 less float32", difference.value, digits=4,
        detail=f"95 % [{difference.low:.4f}, {difference.high:.4f}], {arguments.seeds} seeds",
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
