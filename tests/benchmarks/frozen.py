"""What it saves to run the frozen blocks of an encoder once for all epochs: `fit` with its trunk
kept, and without.

    python -m tests.benchmarks.frozen

MiniLM, 256 tweets, 4 epochs in batches of 16, frozen to each of several depths, both ways in turn.
"""

from __future__ import annotations

import statistics
import sys
import time
from unittest import mock

from tests.benchmarks.reporting import Report

DEPTHS = (2, 4, 5)
ROWS, EPOCHS, BATCH, ROUNDS = 256, 4, 16, 3


def main() -> int:
    import tf_transfer as tt
    from tf_transfer.data.readers import read_dataset

    table = read_dataset("vader").query("domain == 'tweets'").head(ROWS)
    report = Report(
        f"MiniLM, {ROWS} tweets, {EPOCHS} epochs in batches of {BATCH}, {ROUNDS} rounds in turn"
    )
    for depth in DEPTHS:
        task = tt.Task("rating", kind="regression")
        model = tt.TransferModel(tt.load_encoder("minilm"), task, max_length=64, freeze=depth)
        model.resolve(table)
        times = [
            (seconds_of(model, table, 1e9), seconds_of(model, table, 0)) for _ in range(ROUNDS + 1)
        ][1:]
        kept, live = (statistics.median(t) for t in zip(*times))
        detail = f"{kept:.1f} against {live:.1f} s"
        report.figure(
            f"{depth} of 6 blocks frozen: time with the trunk kept, times",
            kept / live,
            detail=detail,
        )
    return report.finish()


def seconds_of(model, table, most_bytes: float) -> float:
    """Wall time of one `fit`, the trunk's own time included."""
    model.start_run(1e-4, 0)
    start = time.perf_counter()
    with mock.patch("tf_transfer.encoders.vectors.MOST_TRUNK_BYTES", most_bytes):
        model.fit(table, epochs=EPOCHS, batch_size=BATCH, verbose=0)
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
