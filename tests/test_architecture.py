"""The rooms of the package: `docs/architecture.md` names each on a line, and a line uses only lines
below it.
"""

import ast
import re

from tests.structure import PACKAGE, ROOT, arrows_up, imports, read_package, rooms
from tf_transfer.comparison.comparison import Comparison
from tf_transfer.experiments.results import Results

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


def test_what_is_asked_of_a_comparison_is_in_the_protocol():
    """The rooms below `comparison` read nothing of it that `Results` does not name."""
    known = {*vars(Results), *Results.__annotations__}
    for path in (
        path for room in ("advisor", "analysis", "report") for path in (PACKAGE / room).glob("*.py")
    ):
        attributes = [
            node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if is_asked(node)
        ]
        assert {node.attr for node in attributes} <= known, path.name


def test_a_comparison_has_what_the_protocol_names():
    members = {name for name in vars(Results) if not name.startswith("_")}
    assert all(hasattr(Comparison, name) for name in members)


def is_asked(node: ast.AST) -> bool:
    """Whether it reads a public attribute of ``comparison``."""
    asked = (
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "comparison"
    )
    return asked and not node.attr.startswith("_")
