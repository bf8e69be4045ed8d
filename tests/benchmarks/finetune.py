"""The time of a fine-tuning step: `TransferModel.fit` in turn with eager PyTorch.

MiniLM, two classes, the same batch of 32 rows of 64 tokens, float32, on the processor. Our side is
Keras' own `fit` with the defaults of `compile`: AdamW with a schedule and clipping, which the rival
is spared. A step is the time from the end of a batch to the end of the next, as a callback sees it,
so it holds `fit`'s overhead and the data's; the first step of a round is left out on both sides.

    python -m tests.benchmarks.finetune [--kind classification | tagging | span]

The rival of tagging and of span is Hugging Face's own model of the kind. Their predictions of 1,000
texts are timed too, from texts on: sentences of snips, and questions of qamr with their sentences.
Ours give spans of the best sequence of tags, and the best pair of start and end; the rival's are
the greatest outputs alone.
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

BOUND, PREDICTION_BOUND = 0.85, 1.8
BATCH, LENGTH, MAX_LENGTH = 32, 64, 128
TEXTS = 1000
TYPES = ("artist", "city", "date", "time")
"""Of the spans of tagging: nine tags."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=8, help="timed steps a round")
    parser.add_argument("--kind", choices=TASKS, default="classification")
    parser.add_argument("--side", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        return serve_own_side(arguments.kind)
    with (
        tempfile.TemporaryDirectory() as folder,
        own_side("tests.benchmarks.finetune", "--side", "--kind", arguments.kind) as own,
        rival(arguments.kind, Path(folder)) as peer,
    ):
        report = Report(
            f"A fine-tuning step, MiniLM, {arguments.kind}, {BATCH} x {LENGTH} tokens, "
            f"{arguments.rounds} rounds in turn"
        )
        report.note(
            f"ours: {own.about['name']}, {own.about['seconds']:.1f} s for the first step (tracing, "
            "compiling)"
        )
        compare(report, own, peer, arguments.rounds, arguments.steps)
        if arguments.kind in COLUMNS:
            compare_predictions(report, own, peer, arguments.rounds)
    return report.finish()


def rival(kind: str, folder: Path):
    """The rival's side, with the texts that it answers in a file."""
    from tf_transfer.assets.fetching import fetch

    shape = ("--batch", str(BATCH), "--length", str(LENGTH))
    if kind not in COLUMNS:
        return peer_side("tests.benchmarks.peers.finetune_torch", str(fetch("minilm")), *shape)
    csv = folder / "texts.csv"
    texts_of(kind).to_csv(csv, index=False)
    outputs = 1 + 2 * len(TYPES) if kind == "tagging" else 2
    more = ("--kind", kind, "--tags", str(outputs), "--max-length", str(MAX_LENGTH))
    module = "tests.benchmarks.peers.tokens_torch"
    return peer_side(module, str(fetch("minilm")), str(csv), *shape, *more)


COLUMNS = {"tagging": ("snips", ["text"]), "span": ("qamr", ["text", "question"])}
"""By kind, the data set of the texts that are answered and its columns."""


def texts_of(kind: str):
    from tf_transfer.data.readers import read_dataset

    dataset, columns = COLUMNS[kind]
    return read_dataset(dataset)[columns].head(TEXTS).reset_index(drop=True)


def compare(report: Report, own, peer, rounds: int, steps: int) -> None:
    """Times the sides in turn and reports."""

    def turn(side, **request):
        def median(_):
            # One step more than is timed: the first holds the start of `fit`, and cold caches.
            return statistics.median(side.ask(steps=steps + 1, **request)["milliseconds"][1:])

        return median

    turns = {"ours": turn(own)}
    if isinstance(peer, str):
        times = in_turn(turns, rounds)
        report_times(report, "TransferModel.fit", times["ours"])
        report.missing("the comparison with PyTorch's step time", peer)
        return
    report.note(f"rival: {peer.about['name']}")
    turns |= {"default": turn(peer, fused=False), "fused": turn(peer, fused=True)}
    for request in ({"fused": False}, {"fused": True}):
        peer.ask(steps=3, **request)
    times = in_turn(turns, rounds)
    report_times(report, "TransferModel.fit", times["ours"])
    report_times(report, "PyTorch", times["default"])
    report_times(report, "PyTorch, AdamW(fused=True)", times["fused"])
    for rival, label, bound in (
        ("default", "PyTorch", BOUND),
        ("fused", "PyTorch, AdamW(fused=True)", None),
    ):
        ratios = [a / b for a, b in zip(times["ours"], times[rival])]
        report.figure(
            f"step time, ours / {label}", statistics.median(ratios), at_most=bound, digits=3,
            detail="rounds " + " ".join(f"{r:.3f}" for r in ratios),
        )  # fmt: skip


def compare_predictions(report: Report, own, peer, rounds: int) -> None:
    """Times the predictions of both sides in turn and reports."""
    sides = {"ours": own} | ({} if isinstance(peer, str) else {"PyTorch": peer})
    for side in sides.values():
        side.ask()
    turns = {name: lambda _, side=side: side.ask()["seconds"] for name, side in sides.items()}
    speeds = {
        name: [TEXTS / seconds for seconds in taken]
        for name, taken in in_turn(turns, rounds).items()
    }
    for name, each in speeds.items():
        detail = "rounds " + " ".join(f"{speed:.0f}" for speed in each)
        what = f"prediction of {TEXTS:,} texts, {name}"
        report.figure(what, statistics.median(each), "rows/s", digits=0, detail=detail)
    if isinstance(peer, str):
        report.missing("the comparison with PyTorch's predictions", peer)
        return
    ratios = [a / b for a, b in zip(speeds["ours"], speeds["PyTorch"])]
    report.figure(
        "prediction, rows/s, ours / PyTorch",
        statistics.median(ratios),
        at_least=PREDICTION_BOUND,
        detail="rounds " + " ".join(f"{ratio:.2f}" for ratio in ratios),
    )


def report_times(report: Report, name: str, medians: list[float]) -> None:
    detail = "rounds " + " ".join(f"{m:.0f}" for m in medians)
    report.figure(f"{name}, a step", statistics.median(medians), "ms", digits=0, detail=detail)


def serve_own_side(kind: str) -> int:
    """Our side's process."""
    from tf_transfer.devices import environment

    environment.check_versions()
    import tensorflow as tf
    import tf_keras as keras

    from tf_transfer.encoders.loading import load_encoder
    from tf_transfer.kinds.tasks import Task
    from tf_transfer.model.model import TransferModel

    class Clock(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.ends = [time.perf_counter()]

        def on_train_batch_end(self, batch, logs=None):
            self.ends.append(time.perf_counter())

    classes, labels = TASKS[kind]
    model = TransferModel(
        load_encoder("minilm"),
        Task("label", kind=kind, classes=classes),
        max_length=MAX_LENGTH,
        text_pair="question" if kind == "span" else None,
    )
    model.compile()
    clock, dataset = Clock(), fixed_batch(tf, labels(tf))
    texts = texts_of(kind) if kind in COLUMNS else None

    def steps(request: dict) -> dict:
        if not request:
            return predict()
        model.fit(dataset.repeat(request["steps"]), verbose=0, callbacks=[clock])
        return {"milliseconds": [1e3 * (b - a) for a, b in zip(clock.ends, clock.ends[1:])]}

    def predict() -> dict:
        # Its weights change, so vectors that were kept are none of these.
        model.fit(dataset, verbose=0)
        start = time.perf_counter()
        model.predict(texts, verbose=0)
        return {"seconds": time.perf_counter() - start}

    first = steps({"steps": 3})["milliseconds"][0]
    serve(
        {
            "name": f"TensorFlow {tf.__version__}, tf-keras {keras.__version__}",
            "seconds": first / 1e3,
        },
        steps,
    )
    return 0


def class_labels(tf):
    return tf.random.stateless_uniform((BATCH,), (0, 1), 0, 2, tf.int32)


def tag_labels(tf):
    """Every other token has a tag, as where a word is of two."""
    from tf_transfer.kinds.base import PADDED

    tags = tf.random.stateless_uniform((BATCH, LENGTH), (0, 1), 0, 1 + 2 * len(TYPES), tf.int32)
    return tf.where(tf.range(LENGTH) % 2 == 0, tags, PADDED)


def answer_labels(tf):
    """An answer of three tokens in the first half of each row."""
    from tf_transfer.kinds.span import END, START

    starts = tf.random.stateless_uniform((BATCH, 1), (0, 1), 1, LENGTH // 2, tf.int32)
    places = tf.range(LENGTH)[None]
    return START * tf.cast(places == starts, tf.int32) + END * tf.cast(
        places == starts + 2, tf.int32
    )


TASKS = {
    "classification": (("no", "yes"), class_labels),
    "tagging": (TYPES, tag_labels),
    "span": ((), answer_labels),
}
"""By kind, the classes of the task and what makes labels of a batch."""


def fixed_batch(tf, labels):
    """`tf.data` of one batch ``(x, y, w)`` of random tokens."""
    ids = tf.random.stateless_uniform((BATCH, LENGTH), (0, 0), 1000, 20000, tf.int32)
    x = {
        "input_ids": ids,
        "attention_mask": tf.ones_like(ids),
        "token_type_ids": tf.zeros_like(ids),
    }
    return tf.data.Dataset.from_tensors((x, {"label": labels}, {"label": tf.ones(BATCH)}))


if __name__ == "__main__":
    sys.exit(main())
