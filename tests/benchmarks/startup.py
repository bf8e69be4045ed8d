"""How long `import tf_transfer` and `tf-transfer --help` take, and whether they import TensorFlow.

Each run is a process of its own, from its start to its end. One run before the timed ones writes
the compiled modules, as pip does when it installs.

    python -m tests.benchmarks.startup
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

from tests.benchmarks.reporting import Report
from tests.benchmarks.sides import ROOT

BOUND = 0.5
HEAVY = re.compile(r"\|\s+(tensorflow|tf_keras|keras|transformers|torch)(\.|$)")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--runs", type=int, default=9)
    runs = parser.parse_args().runs
    report = Report(f"Starting, {runs} runs each, a process a run")
    commands = {
        "import tf_transfer": ["-c", "import tf_transfer"],
        "tf-transfer --help": help_command(),
    }
    for name, arguments in commands.items():
        failure, seconds, modules = measure(arguments, runs)
        if failure:
            report.missing(f"the time of {name}", failure)
            continue
        detail = f"{min(seconds):.2f} to {max(seconds):.2f}"
        report.figure(name, statistics.median(seconds), "s", at_most=BOUND, detail=detail)
        found = f"such as {modules[0]}" if modules else ""
        report.figure(
            f"{name}: modules of TensorFlow and the like",
            len(modules),
            at_most=0,
            digits=0,
            detail=found,
        )
    bare = measure(["-c", "pass"], runs)[1]
    report.figure("python -c pass", statistics.median(bare), "s")
    return report.finish()


def help_command() -> list[str]:
    """Python's arguments for `tf-transfer --help`: the installed script, or the module it calls."""
    script = Path(sys.executable).with_name("tf-transfer")
    return (
        [str(script), "--help"]
        if script.exists()
        else ["-m", "tf_transfer.command_line.cli", "--help"]
    )


def measure(arguments: list[str], runs: int) -> tuple[str, list[float], list[str]]:
    """Why it failed (or nothing), seconds of each run, and the heavy modules that it imports."""
    traced = run(["-X", "importtime", *arguments])
    if traced.returncode:
        last = (traced.stderr.strip().splitlines() or ["no message"])[-1]
        return f"{' '.join(arguments)} ended with exit code {traced.returncode}: {last}", [], []
    modules = [
        line.split("|")[-1].strip() for line in traced.stderr.splitlines() if HEAVY.search(line)
    ]
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        run(arguments)
        seconds.append(time.perf_counter() - start)
    return "", seconds, modules


def run(arguments: list[str]) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True)


if __name__ == "__main__":
    sys.exit(main())
