"""A variable or an argument says what it holds: `found` says nothing."""

import ast
from collections.abc import Iterator

import pytest

from tests.structure import PACKAGE, read_package

SAYS_NOTHING = "found"


def test_no_variable_or_argument_is_called_found():
    offenders = []
    for module in read_package(PACKAGE).values():
        lines = [line for name, line in bound_names(module.tree) if name == SAYS_NOTHING]
        offenders += [f"{module.name}:{line}" for line in lines]
    assert offenders == []


@pytest.mark.parametrize(
    "code",
    [
        "found = 1",
        "first, *found = rows",
        "found: int = 1",
        "found += 1",
        "for found in rows: pass",
        "[found for found in rows]",
        "with opened as found: pass",
        "if found := rows: pass",
        "import rows as found",
        "def f(found): pass",
        "def f(*, found=1): pass",
        "def f(*found): pass",
        "def f(**found): pass",
        "lambda found: 1",
        "try: pass\nexcept OSError as found: pass",
        "match rows:\n    case [found]: pass",
        "match rows:\n    case [*found]: pass",
        "match rows:\n    case {**found}: pass",
    ],
)
def test_every_way_to_bind_a_name_is_seen(code):
    assert SAYS_NOTHING in {name for name, _ in bound_names(ast.parse(code))}


@pytest.mark.parametrize(
    "code", ["report.found", "report.found = 1", "def found(self): pass", "'found'", "f(found)"]
)
def test_attributes_methods_and_reading_a_name_bind_none(code):
    assert SAYS_NOTHING not in {name for name, _ in bound_names(ast.parse(code))}


def bound_names(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Names of variables and arguments, each with its line, where they are bound."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
                yield name, node.lineno
            case ast.alias(asname=str(name)) | ast.ExceptHandler(name=str(name)):
                yield name, node.lineno
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield name, node.lineno
            case ast.MatchMapping(rest=str(name)):
                yield name, node.lineno
