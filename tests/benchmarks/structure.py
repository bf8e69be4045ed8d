"""How the package is built, read from its syntax trees: rooms, circles, arrows up, names of kinds,
sizes.

    python -m tests.benchmarks.structure [--rivals]

With `--rivals`, pip fetches easyfsl, keras-tuner, setfit and optax into a temporary folder, where
they are read in the same way and not installed.

What has a bound:

- A room is a folder or a module right below `tf_transfer/`. The package's own `__init__` is none:
  it only says where each name lives.
- A circle is a group of modules, or of rooms, each of which needs all the others of its group in
  the end. Imports at the level of a module count; those inside a function are shown apart, and
  those for type checkers are left out.
- An arrow up is an import, also one inside a function, of a room that stands higher than the one it
  is in. The order is the one of `docs/architecture.md`: its list items and table rows that begin
  with the names of rooms. Rooms in one line are equally high. The list may start at either end:
  `errors` is below `command_line`. Without that page the order is one that the imports themselves
  give, and only circles can make an arrow up.
- A place that names a kind of task is a string that is "classification", "multilabel" or
  "regression", outside `tf_transfer/kinds/`. Docstrings, other bare strings and the value of an
  argument ``kind=`` are not counted.

What stands beside the rivals, without a bound; tests that a package ships and modules that protoc
wrote are left out:

- Longest import chain: the most modules of which each imports the next; a circle is one link.
- Lines of a file: all of them, also blank ones. Lines of a function: from ``def`` to its end,
  docstring included, decorators not; a method is a function, and so is one inside another.
- Code line: one with something else than blanks, comments and bare strings such as docstrings.
- Syntax node: what `ast.walk` yields, docstrings and contexts included.
- Comprehension: of a list, set or dict, or a generator expression.
- Annotated public parameters: of functions and methods whose name has no leading underscore, in
  public classes; ``self`` and ``cls`` are left out, and ``__init__`` has leading underscores.
- Private names of others: ``x._name`` and ``getattr(x, "_name")`` where x is not ``self``, ``cls``
  or ``super()`` and nothing in the package defines ``_name``, and ``from other import _name``. Each
  use counts. Not seen: what a subclass takes from its base through ``self``, and a name that the
  package defines too. Counted although the package's own: a name that it only ever sets by its
  text.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.reporting import Report
from tests.structure import (
    PACKAGE,
    ROOT,
    Import,
    Package,
    arrows_up,
    circles,
    components,
    foreign_privates,
    imports,
    kinds_named_outside,
    longest_chain,
    module_graph,
    read_package,
    room_graph,
    rooms,
    style,
)  # fmt: skip

ARCHITECTURE = ROOT / "docs" / "architecture.md"
MOST_ROOMS = 26
RIVALS = {"easyfsl": "easyfsl", "keras-tuner": "keras_tuner", "setfit": "setfit", "optax": "optax"}
"""The folder of each package by the name that pip knows it by."""

_BEGINNING = re.compile(r"^\s*(?:[-*|]|\d+\.)[\s|\d]*((?:\W*`[\w/.]+`)+)")
"""The names in backticks that a list item or a table row begins with."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "--rivals", action="store_true", help="measure other packages too, which pip downloads"
    )
    arguments = parser.parse_args()
    report = Report("The structure of tf_transfer, from its syntax trees")
    package = read_package(PACKAGE)
    report_bounds(package, report)
    columns = {"tf_transfer": style(package)}
    if arguments.rivals:
        columns |= measure_rivals(report)
    report.note(table(columns))
    report_examples(package, report)
    return report.finish()


def report_bounds(package: Package, report: Report) -> None:
    edges = imports(package)
    early = [edge for edge in edges if not edge.late]
    for name, graph_of in {"rooms": room_graph, "modules": module_graph}.items():
        groups = circles(graph_of(package, early))
        with_late = circles(graph_of(package, edges))
        report.figure(
            f"circles among {name}", len(groups), at_most=0, digits=0, detail=written(groups)
        )
        title = f"circles among {name}, with imports inside functions"
        report.figure(title, len(with_late), digits=0, detail=written(with_late))
    late = [edge for edge in edges if edge.late]
    report.figure(
        "imports inside functions",
        len(late),
        digits=0,
        detail=f"of {len(edges)}; of the package's modules",
    )
    report_arrows(package, edges, report)
    report.figure("rooms at the top", len(rooms(package)), at_most=MOST_ROOMS, digits=0)
    places = kinds_named_outside(package)
    report.figure("places that name a kind outside kinds/", len(places), at_most=0, digits=0)
    for place in places:
        report.note(place)


def report_arrows(package: Package, edges: list[Import], report: Report) -> None:
    ranks = ranks_of(package, edges)
    upward = arrows_up(package, edges, ranks)
    written_down = ARCHITECTURE.exists()
    source = (
        "docs/architecture.md" if written_down else "the imports: there is no docs/architecture.md"
    )
    report.figure("arrows up", len(upward), at_most=0, digits=0, detail=f"order of {source}")
    for edge in upward:
        report.note(
            f"{edge.by} imports {edge.of} in line "
            f"{edge.line}{' inside a function' if edge.late else ''}"
        )
    missing = [room for room in rooms(package) if room not in ranks]
    if missing:
        report.missing("the place of some rooms in docs/architecture.md", ", ".join(missing))
    if not written_down:
        report.note("from the ground up: " + ", ".join(sorted(ranks, key=ranks.get)))


def ranks_of(package: Package, edges: list[Import]) -> dict[str, int]:
    """How high each room stands."""
    if ARCHITECTURE.exists():
        return written_ranks(ARCHITECTURE.read_text(encoding="utf-8"), rooms(package))
    order = [room for group in components(room_graph(package, edges)) for room in group]
    return {room: rank for rank, room in enumerate(order)}


def written_ranks(page: str, known: list[str]) -> dict[str, int]:
    """The line that a room is first listed in, as a number that grows from the ground up."""
    ranks = {}
    for number, line in enumerate(page.splitlines()):
        beginning = _BEGINNING.match(line)
        names = (
            re.findall(r"`(?:tf_transfer/)?(\w+)(?:/|\.py)?`", beginning[1]) if beginning else []
        )
        for name in names:
            if name in known:
                ranks.setdefault(name, number)
    from_the_top = ranks.get("errors", 0) > ranks.get("command_line", 0)
    return {room: -rank for room, rank in ranks.items()} if from_the_top else ranks


def report_examples(package: Package, report: Report) -> None:
    """What the figures of the table are made of."""
    graph = module_graph(package, [edge for edge in imports(package) if not edge.late])
    report.note(
        "longest import chain: "
        + " > ".join(name.partition(".")[2] or name for name in longest_chain(graph))
    )
    for module, names in foreign_privates(package).items():
        report.note(f"private names of others in {module}: {', '.join(names)}")


def written(groups: list[list[str]]) -> str:
    return "; ".join(", ".join(group) for group in groups)


def measure_rivals(report: Report) -> dict[str, dict[str, float]]:
    """The figures of each rival by its name and version; one that cannot be fetched is named and
    left out.
    """
    columns = {}
    for name, package in RIVALS.items():
        with tempfile.TemporaryDirectory() as temporary:
            try:
                version, folder = fetch(name, package, Path(temporary))
            except (OSError, subprocess.CalledProcessError) as error:
                report.note(f"{name} is left out, pip did not fetch it: {reason_of(error)}")
                continue
            columns[f"{name} {version}"] = style(read_package(folder))
    return columns


def fetch(name: str, package: str, temporary: Path) -> tuple[str, Path]:
    """The version that pip downloads, and the folder of the package in it."""
    downloads, unpacked = temporary / "downloads", temporary / "unpacked"
    options = ["--quiet", "--no-deps", "--no-binary=:none:", "-d", str(downloads)]
    command = [sys.executable, "-m", "pip", "download", *options, name]
    subprocess.run(command, check=True, capture_output=True, text=True)
    archive = next(downloads.iterdir())
    shutil.unpack_archive(archive, unpacked, "zip" if archive.suffix == ".whl" else None)
    version = archive.name.removesuffix(".tar.gz").split("-")[1]
    inits = sorted(unpacked.rglob(f"{package}/__init__.py"), key=lambda path: len(path.parts))
    if not inits:
        raise FileNotFoundError(f"{archive.name} has no folder {package}")
    return version, inits[0].parent


def reason_of(error: Exception) -> str:
    """The last line that pip wrote, or the error itself."""
    lines = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
    return lines[-1] if lines else type(error).__name__


def table(columns: dict[str, dict[str, float]]) -> str:
    """One row a figure, one column a package."""
    names = next(iter(columns.values()))
    width = max(map(len, names))
    rows = ["  ".join([" " * width, *columns])]
    for name in names:
        cells = [
            f"{number_text(figures[name]):>{len(title)}}" for title, figures in columns.items()
        ]
        rows.append("  ".join([f"{name:<{width}}", *cells]))
    return "\n".join(rows)


def number_text(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) or value >= 100 else f"{value:,.1f}"


if __name__ == "__main__":
    sys.exit(main())
