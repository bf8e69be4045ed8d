"""One exact MAML meta-gradient of MiniLM: time, memory and time to the first result, against
`torch.func`.

5-way 5-shot: a support and a query of 25 rows of 32 tokens, all of the encoder's weights adapted,
at 1, 5 and 10 inner steps. Each side and number of steps is a process of its own, so that peak
memory is its own; the processes take turns.

    python -m tests.benchmarks.maml
"""

from __future__ import annotations

import argparse
import contextlib
import resource
import statistics
import sys
import time

from tests.benchmarks.reporting import Report
from tests.benchmarks.sides import in_turn, own_side, peer_side, serve

STEPS = (1, 5, 10)
WAY, ROWS, LENGTH = 5, 25, 32
TIME_BOUND, MEMORY_BOUND, START_BOUND = 0.9, 0.75, 1.2


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--side", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        return serve_own_side(arguments.side)
    report = Report(
        f"A MAML meta-gradient, MiniLM, {WAY}-way, {ROWS} x {LENGTH} tokens, {arguments.rounds} "
        "rounds in turn"
    )
    ours, theirs, first = {}, {}, {}
    for steps in STEPS:
        ours[steps], theirs[steps], first[steps] = measure(report, steps, arguments.rounds)
    for steps in STEPS:
        show(report, steps, ours[steps], theirs[steps])
    traced = {
        steps: first[steps] - statistics.median(a["seconds"] for a in ours[steps])
        for steps in (1, 10)
    }
    report.figure(
        "time to the first result, 10 steps / 1 step",
        first[10] / first[1],
        at_most=START_BOUND,
        detail=f"{first[10]:.1f} s and {first[1]:.1f} s, of which tracing {traced[10]:.1f} s and "
        f"{traced[1]:.1f} s",
    )
    return report.finish()


def measure(report: Report, steps: int, rounds: int):
    """The answers of both sides in turn, and the seconds that our first meta-gradient took."""
    from tf_transfer.assets.fetching import fetch

    with contextlib.ExitStack() as stack:
        own = stack.enter_context(own_side("tests.benchmarks.maml", "--side", str(steps)))
        peer = stack.enter_context(
            peer_side("tests.benchmarks.peers.maml_torch", str(fetch("minilm")))
        )
        first = own.ask()["seconds"]
        turns = {"ours": lambda _: own.ask()}
        if isinstance(peer, str):
            report.missing(f"the comparison with PyTorch at {steps} steps", peer)
        else:
            if steps == STEPS[0]:
                report.note(f"ours: {own.about['name']}")
                report.note(f"rival: {peer.about['name']}")
            peer.ask(steps=steps)
            turns["PyTorch"] = lambda _: peer.ask(steps=steps)
        answers = in_turn(turns, rounds)
    return answers["ours"], answers.get("PyTorch"), first


def show(report: Report, steps: int, ours: list[dict], theirs: list[dict] | None) -> None:
    for name, answers in (("ours", ours), ("PyTorch", theirs)):
        if answers:
            seconds, memory = [a["seconds"] for a in answers], max(a["gigabytes"] for a in answers)
            detail = "rounds " + " ".join(f"{s:.2f}" for s in seconds)
            report.figure(f"{steps} steps, {name}", statistics.median(seconds), "s", detail=detail)
            report.figure(f"{steps} steps, {name}, peak memory", memory, "GB")
    if theirs:
        ratios = [a["seconds"] / b["seconds"] for a, b in zip(ours, theirs)]
        report.figure(
            f"{steps} steps, time, ours / PyTorch", statistics.median(ratios),
            at_most=TIME_BOUND if steps == 5 else None, digits=3,
            detail="rounds " + " ".join(f"{r:.3f}" for r in ratios),
        )  # fmt: skip
        memory = max(a["gigabytes"] for a in ours) / max(a["gigabytes"] for a in theirs)
        report.figure(
            f"{steps} steps, peak memory, ours / PyTorch",
            memory,
            at_most=MEMORY_BOUND if steps == 10 else None,
            digits=3,
        )


def serve_own_side(steps: int) -> int:
    """Our side's process for one number of inner steps."""
    import tensorflow as tf

    from tf_transfer.encoders.loading import load_encoder
    from tf_transfer.kinds.tasks import Task
    from tf_transfer.meta_gradients.meta_learner import MetaLearner
    from tf_transfer.model.model import TransferModel
    from tf_transfer.strategies import MAML

    task = Task("label", kind="classification", classes=tuple(range(WAY)))
    model = TransferModel(load_encoder("minilm"), task, max_length=LENGTH)
    strategy = MAML(inner_steps=steps)
    learner = MetaLearner(model, strategy.episode_gradient)

    def batch(seed: int):
        ids = tf.random.stateless_uniform((1, ROWS, LENGTH), (0, seed), 1000, 20000, tf.int32)
        x = {
            "input_ids": ids,
            "attention_mask": tf.ones_like(ids),
            "token_type_ids": tf.zeros_like(ids),
        }
        return x, {"label": tf.range(ROWS)[None] % WAY}, {"label": tf.ones((1, ROWS))}

    support, query = batch(0), batch(1)

    def answer(_: dict) -> dict:
        start = time.perf_counter()
        losses, gradients, _ = learner.meta_gradients(support, query)
        losses.numpy(), gradients[-1].numpy()
        seconds = time.perf_counter() - start
        return {
            "seconds": seconds,
            "gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        }

    serve({"name": f"TensorFlow {tf.__version__}, MAML(inner_steps={steps})"}, answer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
