"""Texts to trained model, and texts to predictions: rows a second, in turn with eager PyTorch.

1,000 tweets, polarity, MiniLM, one epoch in batches of 32 rows of at most 128 tokens. Both sides
start from texts, so tokenising counts, and go on training one model from round to round, so no
prediction can come from vectors that were kept. The rival pads each batch to its longest row.
TensorFlow traces and compiles in a first round of its own, which is stated apart.

    python -m tests.benchmarks.epoch
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.reporting import Report
from tests.benchmarks.sides import in_turn, own_side, peer_side, serve

BOUNDS = {"train": 1.5, "predict": 2.0}
LABELS = {"train": "training", "predict": "prediction"}
ROWS, BATCH, MAX_LENGTH = 1000, 32, 128


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--side", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        return serve_own_side(arguments.rows)
    from tf_transfer.assets.fetching import fetch

    with tempfile.TemporaryDirectory() as folder:
        csv = Path(folder) / "tweets.csv"
        write_rival_table(csv, arguments.rows)
        sizes = ("--batch", str(BATCH), "--max-length", str(MAX_LENGTH))
        with (
            own_side("tests.benchmarks.epoch", "--side", "--rows", str(arguments.rows)) as own,
            peer_side(
                "tests.benchmarks.peers.epoch_torch", str(fetch("minilm")), str(csv), *sizes
            ) as peer,
        ):
            report = Report(
                f"{arguments.rows:,} tweets as text to trained model and to predictions, "
                f"MiniLM, batches of {BATCH}, {arguments.rounds} rounds in turn"
            )
            report.note(f"ours: {own.about['name']}")
            compare(report, own, peer, arguments.rows, arguments.rounds)
    return report.finish()


def compare(report: Report, own, peer, rows: int, rounds: int) -> None:
    """Times the sides in turn and reports."""
    cold = own.ask(round=0)
    turns = {"ours": lambda number: own.ask(round=number + 1)}
    if not isinstance(peer, str):
        report.note(f"rival: {peer.about['name']}")
        peer.ask()
        turns["PyTorch"] = lambda number: peer.ask()
    answers = in_turn(turns, rounds)
    for phase, label in LABELS.items():
        speeds = {
            name: [rows / answer[phase] for answer in found] for name, found in answers.items()
        }
        for name, found in speeds.items():
            report.figure(
                f"{label}, {name}",
                statistics.median(found),
                "rows/s",
                digits=1,
                detail=rounds_of(found, 1),
            )
        warm = statistics.median(answer[phase] for answer in answers["ours"])
        report.figure(
            f"{label}, ours: tracing and compiling, once", cold[phase] - warm, "s", digits=1,
            detail=f"first time {cold[phase]:.1f} s, later {warm:.1f} s; not in the rows/s",
        )  # fmt: skip
        if isinstance(peer, str):
            report.missing(f"the comparison with PyTorch's {label}", peer)
            continue
        ratios = [a / b for a, b in zip(speeds["ours"], speeds["PyTorch"])]
        report.figure(
            f"{label}, rows/s, ours / PyTorch", statistics.median(ratios), at_least=BOUNDS[phase],
            detail=rounds_of(ratios, 2),
        )  # fmt: skip


def rounds_of(values: list[float], digits: int) -> str:
    return "rounds " + " ".join(f"{v:.{digits}f}" for v in values)


def tweets(rows: int):
    """The first ``rows`` tweets that have a polarity."""
    from tf_transfer.data.readers import read_dataset

    table = read_dataset("vader", domain="tweets")[["text", "polarity"]].dropna()
    return table.head(rows).reset_index(drop=True)


def write_rival_table(csv: Path, rows: int) -> None:
    """The same texts, with classes as numbers."""
    table = tweets(rows)
    table["label"] = table["polarity"].astype("category").cat.codes
    table[["text", "label"]].to_csv(csv, index=False)


def serve_own_side(rows: int) -> int:
    """Our side's process."""
    from tf_transfer.devices import environment

    environment.check_versions()
    import tensorflow as tf
    import tf_keras as keras

    from tf_transfer.encoders.loading import load_encoder
    from tf_transfer.kinds.tasks import Task
    from tf_transfer.model.model import TransferModel

    table = tweets(rows)
    model = TransferModel(load_encoder("minilm"), Task("polarity"), max_length=MAX_LENGTH)
    model.compile()

    def answer(request: dict) -> dict:
        number, start = request["round"], time.perf_counter()
        model.fit(table, initial_epoch=number, epochs=number + 1, batch_size=BATCH, verbose=0)
        trained = time.perf_counter()
        # `fit` has changed the weights, so these vectors are not among those that were kept.
        model.predict(table, batch_size=BATCH, verbose=0)
        return {"train": trained - start, "predict": time.perf_counter() - trained}

    serve({"name": f"TensorFlow {tf.__version__}, tf-keras {keras.__version__}"}, answer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
