"""The time of a fine-tuning step: `TransferModel.fit` in turn with eager PyTorch.

MiniLM, two classes, the same batch of 32 rows of 64 tokens, float32, on the processor. Our side is
Keras' own `fit` with the defaults of `compile`: AdamW with a schedule and clipping, which the rival
is spared. A step is the time from the end of a batch to the end of the next, as a callback sees it,
so it holds `fit`'s overhead and the data's; the first step of a round is left out on both sides.

    python -m tests.benchmarks.finetune
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time

from tests.benchmarks.reporting import Report
from tests.benchmarks.sides import in_turn, own_side, peer_side, serve

BOUND = 0.85
BATCH, LENGTH = 32, 64


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=8, help="timed steps a round")
    parser.add_argument("--side", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        return serve_own_side()
    from tf_transfer.assets.fetching import fetch

    shape = ("--batch", str(BATCH), "--length", str(LENGTH))
    with (
        own_side("tests.benchmarks.finetune", "--side") as own,
        peer_side("tests.benchmarks.peers.finetune_torch", str(fetch("minilm")), *shape) as peer,
    ):
        report = Report(
            f"A fine-tuning step, MiniLM, {BATCH} x {LENGTH} tokens, {arguments.rounds} rounds in "
            "turn"
        )
        report.note(
            f"ours: {own.about['name']}, {own.about['seconds']:.1f} s for the first step (tracing, "
            "compiling)"
        )
        compare(report, own, peer, arguments.rounds, arguments.steps)
    return report.finish()


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


def report_times(report: Report, name: str, medians: list[float]) -> None:
    detail = "rounds " + " ".join(f"{m:.0f}" for m in medians)
    report.figure(f"{name}, a step", statistics.median(medians), "ms", digits=0, detail=detail)


def serve_own_side() -> int:
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

    model = TransferModel(
        load_encoder("minilm"), Task("label", kind="classification", classes=("no", "yes"))
    )
    model.compile()
    clock, dataset = Clock(), fixed_batch(tf)

    def steps(request: dict) -> dict:
        model.fit(dataset.repeat(request["steps"]), verbose=0, callbacks=[clock])
        return {"milliseconds": [1e3 * (b - a) for a, b in zip(clock.ends, clock.ends[1:])]}

    first = steps({"steps": 3})["milliseconds"][0]
    serve(
        {
            "name": f"TensorFlow {tf.__version__}, tf-keras {keras.__version__}",
            "seconds": first / 1e3,
        },
        steps,
    )
    return 0


def fixed_batch(tf):
    """`tf.data` of one batch ``(x, y, w)`` of random tokens."""
    ids = tf.random.stateless_uniform((BATCH, LENGTH), (0, 0), 1000, 20000, tf.int32)
    x = {
        "input_ids": ids,
        "attention_mask": tf.ones_like(ids),
        "token_type_ids": tf.zeros_like(ids),
    }
    y = {"label": tf.random.stateless_uniform((BATCH,), (0, 1), 0, 2, tf.int32)}
    return tf.data.Dataset.from_tensors((x, y, {"label": tf.ones(BATCH)}))


if __name__ == "__main__":
    sys.exit(main())
