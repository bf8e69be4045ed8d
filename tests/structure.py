"""What the syntax trees of a package say about its structure; nothing of the package is imported.

The rooms of a package are the folders and modules right below it. Its own `__init__` is a front
door, not a room.
"""

from __future__ import annotations

import ast
import io
import statistics
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "tf_transfer"

KINDS = "classification", "multilabel", "regression", "tagging", "span"

DOCUMENTED = {"_asdict", "_exit", "_field_defaults", "_fields", "_make", "_replace"}
"""Names that the standard library documents in spite of their underscore: those of named tuples,
and `os._exit`.
"""

_DEFINITION = ast.FunctionDef | ast.AsyncFunctionDef
_FUNCTION = _DEFINITION | ast.Lambda
_COMPREHENSION = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
_BY_NAME = {"getattr", "hasattr", "setattr", "delattr"}
_NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
    tokenize.ENCODING,
}


@dataclass(frozen=True)
class Module:
    """One file of a package.

    Args:
        name: dotted, from the package on.
        path: of the file.
        tree: its syntax.
    """

    name: str
    path: Path
    tree: ast.Module

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @property
    def room(self) -> str:
        """Nothing for the package's own `__init__`."""
        return self.name.partition(".")[2].partition(".")[0]

    @property
    def folder(self) -> str:
        """The dotted name that a relative import of one dot starts from."""
        return self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]


Package = dict[str, Module]
"""Modules by their dotted names."""


def read_package(folder: Path) -> Package:
    """Every module of a package, without tests that are shipped with it and what protoc wrote."""
    package = {}
    for path in sorted(folder.rglob("*.py")):
        inside = path.relative_to(folder.parent)
        if is_test(inside) or is_generated(inside):
            continue
        parts = inside.with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        name = ".".join(parts)
        package[name] = Module(name, path, ast.parse(path.read_bytes()))
    return package


def is_test(path: Path) -> bool:
    """`test_x.py`, `x_test.py`, `conftest.py`, and all that lies in a folder `test` or `tests`."""
    named = path.stem.startswith("test_") or path.stem.endswith("_test") or path.stem == "conftest"
    return named or not {"test", "tests"}.isdisjoint(path.parts[:-1])


def is_generated(path: Path) -> bool:
    """Python of protocol buffers: `x_pb2.py` and `x_pb2_grpc.py`."""
    return path.stem.endswith(("_pb2", "_pb2_grpc"))


def rooms(package: Package) -> list[str]:
    return sorted({module.room for module in package.values()} - {""})


# Imports: who needs whom.


@dataclass(frozen=True)
class Import:
    """One module of the package needs another.

    Args:
        by, of: dotted names: `by` imports `of`.
        line: where.
        late: inside a function, and so not when the module is imported.
    """

    by: str
    of: str
    line: int
    late: bool


def imports(package: Package) -> list[Import]:
    """Imports among the modules of a package.

    ``from a import b`` needs the module ``a.b`` if there is one, else ``a``. That Python runs the
    `__init__` of the folders above ``a.b`` is not counted. What only type checkers import is left
    out.
    """
    edges = []
    for module in package.values():
        for statement, late in import_statements(module.tree):
            targets = {nearest_module(name, package) for name in named_by(statement, module)}
            others = targets - {None, module.name}
            edges += [
                Import(module.name, other, statement.lineno, late) for other in sorted(others)
            ]
    return edges


def import_statements(
    node: ast.AST, late: bool = False
) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    """Each with whether it is inside a function."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, late
        elif not is_for_type_checkers(child):
            yield from import_statements(child, late or isinstance(child, _FUNCTION))


def is_for_type_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in (
        "TYPE_CHECKING",
        "typing.TYPE_CHECKING",
    )


def named_by(statement: ast.Import | ast.ImportFrom, module: Module) -> list[str]:
    """The absolute dotted names that an import statement asks for."""
    if isinstance(statement, ast.Import):
        return [alias.name for alias in statement.names]
    origin = origin_of(statement, module)
    return [f"{origin}.{alias.name}" for alias in statement.names]


def origin_of(statement: ast.ImportFrom, module: Module) -> str:
    """What stands between ``from`` and ``import``, with the dots of a relative import resolved."""
    if not statement.level:
        return statement.module
    folders = module.folder.split(".")
    above = folders[: len(folders) - statement.level + 1]
    return ".".join([*above, *([statement.module] if statement.module else [])])


def nearest_module(name: str, package: Package) -> str | None:
    """The longest beginning of a dotted name that is a module of the package."""
    while name and name not in package:
        name = name.rpartition(".")[0]
    return name or None


Graph = dict[str, set[str]]
"""What each node needs."""


def module_graph(package: Package, edges: Iterable[Import]) -> Graph:
    graph = {name: set() for name in package}
    for edge in edges:
        graph[edge.by].add(edge.of)
    return graph


def room_graph(package: Package, edges: Iterable[Import]) -> Graph:
    graph = {room: set() for room in rooms(package)}
    for edge in edges:
        by, of = package[edge.by].room, package[edge.of].room
        if by and of and by != of:
            graph[by].add(of)
    return graph


def components(graph: Graph) -> list[list[str]]:
    """Tarjan's strongly connected components: those that need nothing first, and every other after
    what it needs.
    """
    index: dict[str, int] = {}
    lowest: dict[str, int] = {}
    open_nodes: list[str] = []
    done: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = lowest[node] = len(index)
        open_nodes.append(node)
        for needed in sorted(graph[node]):
            if needed not in index:
                visit(needed)
                lowest[node] = min(lowest[node], lowest[needed])
            elif needed in open_nodes:
                lowest[node] = min(lowest[node], index[needed])
        if lowest[node] == index[node]:
            start = open_nodes.index(node)
            done.append(sorted(open_nodes[start:]))
            del open_nodes[start:]

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return done


def circles(graph: Graph) -> list[list[str]]:
    """Groups of nodes each of which needs, in the end, all the others of its group."""
    return [group for group in components(graph) if len(group) > 1]


def longest_chain(graph: Graph) -> list[str]:
    """The longest way along imports, the module at its top first; a circle counts as one link."""
    chains: dict[str, list[str]] = {}
    for group in components(graph):
        needed = {name for node in group for name in graph[node]} - set(group)
        below = max((chains[name] for name in sorted(needed)), key=len, default=[])
        chain = [group[0], *below]
        chains |= dict.fromkeys(group, chain)
    return max(chains.values(), key=len, default=[])


def arrows_up(package: Package, edges: Iterable[Import], ranks: dict[str, int]) -> list[Import]:
    """Imports of a room that stands higher than the one that imports it; rooms without a rank are
    left out.
    """
    upward = []
    for edge in edges:
        by, of = package[edge.by].room, package[edge.of].room
        if by in ranks and of in ranks and ranks[of] > ranks[by]:
            upward.append(edge)
    return upward


# Kinds of tasks: where one is named.


def named_kinds(tree: ast.Module) -> list[int]:
    """The lines that name a kind of task.

    A name is a string constant that is a kind's, wherever it stands. Docstrings and other bare
    strings are no names, and neither is the value of a keyword argument ``kind=``: who makes a task
    must say which.
    """
    allowed = {id(string) for string in bare_strings(tree)} | {
        id(value) for value in kind_arguments(tree)
    }
    constants = (
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and id(node) not in allowed
    )
    return sorted(
        node.lineno for node in constants if isinstance(node.value, str) and node.value in KINDS
    )


def bare_strings(tree: ast.AST) -> list[ast.Constant]:
    """Strings that are a statement of their own, such as docstrings."""
    values = (node.value for node in ast.walk(tree) if isinstance(node, ast.Expr))
    return [
        value
        for value in values
        if isinstance(value, ast.Constant) and isinstance(value.value, str)
    ]


def kind_arguments(tree: ast.AST) -> list[ast.expr]:
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword) and node.arg == "kind"
    ]


def kinds_named_outside(package: Package, room: str = "kinds") -> list[str]:
    """``file:line`` of each place that names a kind and is not in the room of the kinds."""
    places = []
    for module in package.values():
        if module.room != room:
            path = module.path.relative_to(ROOT).as_posix()
            places += [f"{path}:{line}" for line in named_kinds(module.tree)]
    return places


# Private names of other packages.


def foreign_privates(package: Package) -> dict[str, list[str]]:
    """The private names of other packages that each module uses; modules without any are left
    out.
    """
    own = own_privates(package)
    used = {
        name: list(foreign_privates_of(module, package, own)) for name, module in package.items()
    }
    return {name: names for name, names in used.items() if names}


def foreign_privates_of(module: Module, package: Package, own: set[str]) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and not is_own(node.value) and is_private(node.attr):
            names = [node.attr]
        elif isinstance(node, ast.Call):
            names = asked_by_text(node)
        elif isinstance(node, ast.ImportFrom):
            origin = origin_of(node, module)
            inside = nearest_module(origin, package) is not None
            names = [] if inside else private_imports(node)
        else:
            continue
        yield from (name for name in names if name not in own and name not in DOCUMENTED)


def asked_by_text(call: ast.Call) -> list[str]:
    """The private name in ``getattr(x, "_name")`` and its like."""
    if not isinstance(call.func, ast.Name) or call.func.id not in _BY_NAME or len(call.args) < 2:
        return []
    owner, name = call.args[:2]
    private = (
        isinstance(name, ast.Constant) and isinstance(name.value, str) and is_private(name.value)
    )
    return [name.value] if private and not is_own(owner) else []


def private_imports(statement: ast.ImportFrom) -> list[str]:
    names = [*statement.module.split("."), *(alias.name for alias in statement.names)]
    return [name for name in names if is_private(name)]


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name != "_"


def is_own(owner: ast.expr) -> bool:
    """Whether it is ``self``, ``cls`` or ``super()``."""
    if isinstance(owner, ast.Call):
        return isinstance(owner.func, ast.Name) and owner.func.id == "super"
    return isinstance(owner, ast.Name) and owner.id in ("self", "cls")


def own_privates(package: Package) -> set[str]:
    """The private names that the package itself defines: functions, classes, variables, parameters,
    attributes of ``self``, and its modules.
    """
    names = {part for name in package for part in name.split(".")}
    for module in package.values():
        names.update(name for node in ast.walk(module.tree) for name in defined_by(node))
    return {name for name in names if is_private(name)}


def defined_by(node: ast.AST) -> list[str]:
    if isinstance(node, _DEFINITION | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.arg):
        return [node.arg]
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        return [node.id]
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and is_own(node.value):
        return [node.attr]
    return []


# Sizes and style.


def style(package: Package) -> dict[str, float]:
    """The figures that stand beside those of other packages."""
    trees = [module.tree for module in package.values()]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    functions = [node for node in nodes if isinstance(node, _DEFINITION)]
    code_lines = sum(count_code_lines(module) for module in package.values())
    comprehensions = sum(isinstance(node, _COMPREHENSION) for node in nodes)
    privates = foreign_privates(package)
    early = [edge for edge in imports(package) if not edge.late]
    graph = module_graph(package, early)
    return {
        "modules": len(package),
        "code lines": code_lines,
        "modules in circles": sum(map(len, circles(graph))),
        "longest import chain, modules": len(longest_chain(graph)),
        **spread("lines of a file", [len(module.text.splitlines()) for module in package.values()]),
        **spread("lines of a function", [node.end_lineno - node.lineno + 1 for node in functions]),
        "syntax nodes a code line": len(nodes) / code_lines,
        **spread("syntax nodes a function", [count_nodes(node) for node in functions]),
        "comprehensions in 100 code lines": 100 * comprehensions / code_lines,
        "annotated public parameters, %": annotated_share(trees),
        "private names of others, uses": sum(map(len, privates.values())),
        "private names of others, files": len(privates),
    }


def spread(name: str, values: list[float]) -> dict[str, float]:
    tenths = statistics.quantiles(values, n=10, method="inclusive")
    return {f"{name}, median": statistics.median(values), f"{name}, p90": tenths[-1]}


def count_nodes(tree: ast.AST) -> int:
    return sum(1 for _ in ast.walk(tree))


def count_code_lines(module: Module) -> int:
    """Lines with something else than blanks, comments and bare strings."""
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(module.text).readline):
        if token.type not in _NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    for string in bare_strings(module.tree):
        lines.difference_update(range(string.lineno, string.end_lineno + 1))
    return len(lines)


def annotated_share(trees: Iterable[ast.Module]) -> float:
    """Of the parameters of public functions and methods, in percent."""
    annotated = [
        parameter.annotation is not None
        for tree in trees
        for function, in_class in public_functions(tree)
        for parameter in parameters(function, in_class)
    ]
    return 100 * statistics.fmean(annotated)


def public_functions(node: ast.AST, in_class: bool = False) -> Iterator[tuple[ast.AST, bool]]:
    """Functions and methods without a leading underscore, with whether they are methods.

    What is inside a function or a private class is not public.
    """
    for child in ast.iter_child_nodes(node):
        public = not getattr(child, "name", None) or not child.name.startswith("_")
        if isinstance(child, _DEFINITION):
            if public:
                yield child, in_class
        elif public:
            yield from public_functions(child, in_class or isinstance(child, ast.ClassDef))


def parameters(function: ast.AST, in_class: bool) -> list[ast.arg]:
    """Without the first one of a method."""
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    static = any(
        isinstance(d, ast.Name) and d.id == "staticmethod" for d in function.decorator_list
    )
    if in_class and not static:
        positional = positional[1:]
    rest = [arguments.vararg, *arguments.kwonlyargs, arguments.kwarg]
    return [*positional, *(argument for argument in rest if argument is not None)]
