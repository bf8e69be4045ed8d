"""The command line: exit code 0, or 2 with one message; hostile files, folders and arguments."""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path

from tests import tiny
from tests.hostile import archives, checkpoints, experiment_files, runs, tables
from tests.hostile.palette import TEXTS, choose
from tf_transfer.command_line import cli
from tf_transfer.errors import DataError

NUMBERS = [
    "0",
    "-1",
    "nan",
    "inf",
    "1e999",
    "²",
    "٣",
    "9" * 400,
    "0x10",
    "",
    " 1",
    "1_0",
    "1.5",
    "true",
]
PARTS = {
    "tables": tables, "experiment_files": experiment_files, "runs": runs, "archives": archives,
    "checkpoints": checkpoints,
}  # fmt: skip


def prepare(base: Path) -> None:
    for name, part in PARTS.items():
        (base / name).mkdir()
        part.prepare(base / name)
    tiny.make_model(tiny.TASKS[:1]).save(base / "model")
    tiny.make_encoder().save_pretrained(base / "encoder")
    tiny.make_table(8).to_csv(base / "good.csv", index=False)


def make(draws, base, folder):
    build = choose(draws, [_report, _predict, _evaluate, _fetch, _compare, _fit, _fit, _tune])
    arguments = [str(a) for a in build(draws, base, folder)]
    for option, values in (
        ("--margin", NUMBERS),
        ("--seed", NUMBERS),
        ("--encoding", TEXTS),
        ("--nothing", NUMBERS),
    ):
        if draws.random() < 0.05:
            arguments += [option, choose(draws, values)]
    # A process cannot be given such arguments.
    arguments = [a.replace("\0", "").encode("utf-8", "replace").decode() for a in arguments]
    return lambda: _run(arguments)


def _run(arguments: list[str]) -> None:
    error = io.StringIO()
    sys.argv = ["tf-transfer", *arguments]
    try:
        with contextlib.redirect_stderr(error):
            cli.main()
        return
    except SystemExit as done:
        code = done.code or 0
    said = error.getvalue()
    message = said.count("tf-transfer: ") == 1 or "Usage: " in said or code == 0
    assert code in (0, 2) and message and "Traceback" not in said, (
        f"exit code {code} with {said[-80:]!r}"
    )
    if code == 2:
        raise DataError(said)


def _made(kind: str, draws, base, folder) -> None:
    PARTS[kind].make(draws, base / kind, folder)


def _report(draws, base, folder):
    _made("runs", draws, base, folder)
    return ["report", folder / "run", "-o", folder / "out"]


def _predict(draws, base, folder):
    if draws.random() < 0.5:
        _made("checkpoints", draws, base, folder)
        return [
            "predict",
            folder / "model",
            base / "good.csv",
            "-o",
            folder / "out" / _output(draws),
        ]
    return [
        "predict",
        base / "model",
        _table(draws, base, folder),
        "-o",
        folder / "out" / _output(draws),
    ]


def _evaluate(draws, base, folder):
    return [
        "evaluate",
        base / "model",
        _table(draws, base, folder),
        "-o",
        folder / "out" / _output(draws),
    ]


def _output(draws) -> str:
    return choose(
        draws,
        [
            "a.csv",
            "a.jsonl",
            "a.parquet",
            "a.xlsx",
            "",
            "deep/a.csv",
            "a.csv/",
            "x" * 300 + ".csv",
            *TEXTS,
        ],
    )


def _table(draws, base, folder) -> Path:
    while not (found := [p for p in folder.iterdir() if p.is_file()]):
        _made("tables", draws, base, folder)
    return found[0]


def _fetch(draws, base, folder):
    return ["fetch", "hostile", "--from", archives.register(draws, base / "archives", folder)]


def _compare(draws, base, folder):
    _made("experiment_files", draws, base, folder)
    return ["compare", folder / "small.yaml", "-o", folder / "out" / "run"]


def _tune(draws, base, folder):
    _made("experiment_files", draws, base, folder)
    option = choose(draws, ["--oracle", "--objective", "--target", "--trials", "--budget"])
    return [
        "tune",
        folder / "small.yaml",
        "-o",
        folder / "out" / "run",
        option,
        choose(draws, [*NUMBERS, *TEXTS]),
    ]


def _fit(draws, base, folder):
    """Every one has something that is refused, or it would train."""
    option = choose(
        draws,
        [
            "--freeze",
            "--learning-rate",
            "--label",
            "--text",
            "--max-length",
            "--batch-size",
            "--epochs",
            "--delimiter",
        ],
    )
    value = choose(draws, [*NUMBERS, *TEXTS, "text"])
    given = [
        "fit",
        base / "good.csv",
        "-o",
        folder / "out" / "model",
        "--encoder",
        base / "encoder",
        option,
        value,
    ]
    return [*given, "--label", "no such column"]
