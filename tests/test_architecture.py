"""The rooms of the package: `docs/architecture.md` names each on a line, and a line uses only lines below it."""

import ast
import re
from pathlib import Path

from tests.snippets import ROOT, blocks

PACKAGE = ROOT / "tf_transfer"
MOST_ROOMS = 26


def room_lines() -> list[tuple[str, str]]:
    """``(room, description)`` of each line of the page's first block, from top to bottom."""
    _, content = blocks(ROOT / "docs" / "architecture.md", "")[0]
    return [(room, text.strip()) for room, _, text in (line.partition(" ") for line in content.splitlines())]


def rooms() -> set[str]:
    """Folders, with a slash, and modules at the top of the package."""
    return {room_of(path) for path in PACKAGE.rglob("*.py")} - {"__init__.py"}


def room_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) == 1 else f"{parts[0]}/"


def used_by(path: Path) -> set[str]:
    """The rooms that a module imports anywhere, also inside its functions."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    dotted = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    dotted += [
        f"{node.module or ''}.{alias.name}"
        for node in nodes
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    names = {parts[1] for parts in (name.split(".") for name in dotted) if parts[0] == "tf_transfer" and parts[1:]}
    return {f"{name}.py" for name in names} | {f"{name}/" for name in names}


def test_no_module_imports_by_a_relative_name():
    """`used_by` would not see it."""
    assert [
        path
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.level
    ] == []


def test_each_room_has_one_line_with_a_description():
    named = [room for room, _ in room_lines()]
    assert sorted(named) == sorted(rooms())
    assert len(named) <= MOST_ROOMS
    assert [room for room, text in room_lines() if not re.search(r"\w", text)] == []


def test_each_line_uses_only_lines_below_it():
    lines = {room: n for n, (room, _) in enumerate(room_lines())}
    assert [
        f"{path} uses {used}"
        for path in PACKAGE.rglob("*.py")
        for used in sorted(used_by(path) & set(lines))
        if room_of(path) in lines and lines[used] < lines[room_of(path)]
    ] == []
