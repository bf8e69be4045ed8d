"""How long a person who trains once waits: a cold process against PyTorch's, and what the first
time costs.

    python -m tests.benchmarks.first_result [--rounds 3]

The cold process goes from the start of Python to MiniLM trained on 1,000 tweets (polarity, one
epoch, batches of 32 rows of at most 64 tokens) and to its predictions of them; both sides are
processes of their own, in turn. What the first `fit` and `predict` cost beyond the second of the
same 64 tweets, which is tracing and compiling, is processor time.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.epoch import rounds_of, tweets, write_rival_table
from tests.benchmarks.reporting import Report
from tests.benchmarks.sides import PEERS, ROOT

RATIO = 0.9
"""Of PyTorch's time: the most that a cold process may take."""

FIRST_FIT = {"minilm": 4.0, "bert-tiny": 2.5}
"""Seconds of processor time that the first `fit` may take beyond the second."""

FIRST_PREDICT = 1.0
ROWS, BATCH, MAX_LENGTH = 1000, 32, 64


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--own-side", choices=["cold", *FIRST_FIT], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.own_side:
        print(json.dumps(cold() if arguments.own_side == "cold" else first(arguments.own_side)))
        return 0
    report = Report(
        f"The first result: {ROWS:,} tweets, batches of {BATCH}, {arguments.rounds} rounds in turn"
    )
    for encoder, bound in FIRST_FIT.items():
        found = [seconds_of(own_command(encoder)) for _ in range(arguments.rounds)]
        for verb, at_most in (("fit", bound), ("predict", FIRST_PREDICT)):
            values = [answer[verb] for answer in found]
            report.figure(
                f"{encoder}: first {verb} less second, processor time",
                statistics.median(values),
                "s",
                at_most=at_most,
                detail=rounds_of(values, 2),
            )
    with tempfile.TemporaryDirectory() as folder:
        compare(report, Path(folder) / "tweets.csv", arguments.rounds)
    return report.finish()


def compare(report: Report, csv: Path, rounds: int) -> None:
    """The cold processes in turn."""
    from tf_transfer.assets.fetching import fetch

    write_rival_table(csv, ROWS)
    peer = [
        os.environ.get(PEERS, ""),
        "-m",
        "tests.benchmarks.peers.cold_torch",
        str(fetch("minilm")),
        str(csv),
    ]
    peer += ["--batch", str(BATCH), "--max-length", str(MAX_LENGTH)]
    sides, reason = {"ours": own_command("cold"), "PyTorch": peer}, ""
    found = {name: [] for name in sides}
    for _ in range(rounds):
        for name, command in list(sides.items()):
            try:
                found[name].append(seconds_of(command))
            except (OSError, subprocess.CalledProcessError) as error:
                if name == "ours":
                    raise
                reason = str(getattr(error, "stderr", "") or error).strip().splitlines()[-1]
                del sides[name], found[name]
    for name, answers in found.items():
        for phase in ("trained", "predicted"):
            values = [answer[phase] for answer in answers]
            report.figure(
                f"{name}: {phase} after",
                statistics.median(values),
                "s",
                digits=1,
                detail=rounds_of(values, 1),
            )
    if "PyTorch" not in found:
        report.missing(
            "the comparison with PyTorch",
            f"{reason}\n{PEERS}: see tests/benchmarks/peers/README.md.",
        )
        return
    for phase in ("trained", "predicted"):
        ratios = [
            ours[phase] / theirs[phase] for ours, theirs in zip(found["ours"], found["PyTorch"])
        ]
        report.figure(
            f"{phase}, ours / PyTorch",
            statistics.median(ratios),
            at_most=RATIO,
            detail=rounds_of(ratios, 2),
        )


def own_command(what: str) -> list[str]:
    return [sys.executable, "-m", "tests.benchmarks.first_result", "--own-side", what]


def seconds_of(command: list[str]) -> dict:
    """What a process prints as its last line; times within it count from its start."""
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "START": str(time.time())}
    ran = subprocess.run(
        command, cwd=ROOT, env=os.environ | offline, capture_output=True, text=True, check=True
    )
    return json.loads(ran.stdout.splitlines()[-1])


def cold() -> dict:
    """Seconds from the process's start to the trained model and to its predictions."""
    import tf_transfer as tt

    table = tweets(ROWS)
    model = tt.TransferModel(tt.load_encoder("minilm"), tt.Task("polarity"), max_length=MAX_LENGTH)
    model.compile()
    model.fit(table, batch_size=BATCH, verbose=0)
    trained = time.time()
    model.predict(table, batch_size=BATCH, verbose=0)
    start = float(os.environ["START"])
    return {"trained": trained - start, "predicted": time.time() - start}


def first(encoder: str) -> dict:
    """Processor seconds of the first `fit` and `predict` less those of the second, of other rows as
    many.
    """
    import tf_transfer as tt

    table = tweets(64)
    model = tt.TransferModel(tt.load_encoder(encoder), tt.Task("polarity"), max_length=MAX_LENGTH)
    model.compile()

    def spent(work) -> float:
        start = time.process_time()
        work()
        return time.process_time() - start

    def fit() -> None:
        model.fit(table, batch_size=BATCH, verbose=0)

    fits = [spent(fit), spent(fit)]
    predicts = [spent(lambda: model.predict(table, verbose=0))]
    fit()  # other weights: the vectors that were kept no longer count
    predicts.append(spent(lambda: model.predict(table, verbose=0)))
    return {"fit": fits[0] - fits[1], "predict": predicts[0] - predicts[1]}


if __name__ == "__main__":
    sys.exit(main())
