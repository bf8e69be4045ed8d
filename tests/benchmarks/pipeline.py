"""What the end of a `fit` waits for: runs of several lengths, with TensorFlow's tuning of `tf.data`
and without.

    python -m tests.benchmarks.pipeline

BERT-tiny on a table of the repository. The thread that tunes a pipeline sleeps 10 ms, then 20, 40,
…, and an iterator is not gone before it wakes: with it, runs of any length end after .6, 1.3, 2.6,
5.1, 10.2 … seconds.
"""

from __future__ import annotations

import statistics
import sys
import time
from contextlib import contextmanager
from unittest import mock

from tests.benchmarks.reporting import Report

STEPS = range(20, 301, 40)
BATCH = 16


def main() -> int:
    import tf_transfer as tt

    table = tt.load_table("data/intents.csv")
    model = tt.TransferModel(
        tt.load_encoder("bert-tiny"), tt.Task("intent"), max_length=24, freeze="embeddings"
    )
    model.resolve(table)
    seconds_of(model, table, max(STEPS))  # traces
    report = Report(
        f"fit of BERT-tiny, batches of {BATCH}, {STEPS[0]} to {STEPS[-1]} steps in one call"
    )
    ratios = []
    for steps in STEPS:
        fixed = seconds_of(model, table, steps)
        with tuned():
            waiting = seconds_of(model, table, steps)
        ratios.append(waiting / fixed)
        report.figure(
            f"{steps} steps, seconds", fixed, "s", detail=f"{waiting:.2f} s with the tuning thread"
        )
    report.figure("with the tuning thread, times the time without, mean", statistics.mean(ratios))
    report.figure("the most, times", max(ratios))
    return report.finish()


def seconds_of(model, table, steps: int) -> float:
    """Wall time of one `fit`."""
    model.start_run(1e-4, 0)
    start = time.perf_counter()
    model.fit(table, epochs=1, steps_per_epoch=steps, batch_size=BATCH, verbose=0)
    return time.perf_counter() - start


@contextmanager
def tuned():
    """Within it, pipelines are made as TensorFlow makes them."""
    with mock.patch("tf_transfer.batches.rows.untuned", lambda dataset: dataset):
        yield


if __name__ == "__main__":
    sys.exit(main())
