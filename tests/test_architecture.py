"""The rooms of the package: `docs/architecture.md` names each on a line, and a line uses only lines below it."""

import re

from tests.structure import PACKAGE, ROOT, arrows_up, imports, read_package, rooms

MOST_ROOMS = 26
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
SECTION = re.search(r"^## The rooms\n(.*?)^## ", PAGE, flags=re.MULTILINE | re.DOTALL)[1]
LINES = re.findall(r"^\| `(\w+)(/|\.py)` \|(.*)\|$", SECTION, flags=re.MULTILINE)
"""Name, ending and description of each line, from top to bottom."""


def test_each_room_has_one_line_with_a_description():
    assert sorted(name for name, _, _ in LINES) == sorted(rooms(read_package(PACKAGE)))
    assert len(LINES) <= MOST_ROOMS
    for name, ending, description in LINES:
        assert (PACKAGE / f"{name}{ending}").exists() and re.search(r"\w", description), name


def test_each_line_uses_only_lines_below_it():
    """Imports inside functions count, too."""
    package = read_package(PACKAGE)
    heights = {name: -number for number, (name, _, _) in enumerate(LINES)}
    assert arrows_up(package, imports(package), heights) == []
