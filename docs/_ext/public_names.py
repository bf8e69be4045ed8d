"""Writes `reference/`: a page for each question, with every name of ``tf_transfer.__all__`` on one
of them.

A name whose room belongs to no group gets a page of its room, so that nothing public is left out.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
from pathlib import Path

import tf_transfer


@dataclasses.dataclass(frozen=True)
class Group:
    """A page of the reference.

    Args:
        title: of the page.
        modules: rooms, the folders and modules at the top of the package, whose public names it
            shows.
        beside: full names of what public functions return or take, which `__all__` does not hold.
    """

    title: str
    modules: tuple[str, ...]
    beside: tuple[str, ...] = ()


GROUPS = {
    "data": Group(
        "Tables, data sets and leaks", ("data", "assets"), ("data.leakage_report.Overlap",)
    ),
    "model": Group(
        "Tasks, encoders and the Keras model",
        ("kinds", "encoders", "model", "batches"),
        ("encoders.adapters.attach", "encoders.adapters.merge", "encoders.adapters.state"),
    ),
    "training": Group("Callbacks and devices", ("training", "devices")),
    "strategies": Group("Strategies", ("strategies",)),
    "meta-learning": Group(
        "Episodes and meta-learning",
        ("episodes", "meta_gradients"),
        ("meta_gradients.gradient_check.GradientCheck",),
    ),
    "evaluation": Group(
        "Scores",
        ("evaluation",),
        (
            "evaluation.metrics.classification_suite",
            "evaluation.metrics.multilabel_suite",
            "evaluation.metrics.regression_suite",
        ),
    ),
    "comparison": Group("Experiments and verdicts", ("comparison", "experiments")),
    "statistics": Group(
        "How sure: intervals and tests",
        ("statistics",),
        (
            "statistics.intervals.Interval",
            "statistics.intervals.Difference",
            "statistics.paired_tests.McNemar",
        ),
    ),
    "advisor": Group("Advice before training", ("advisor",), ("advisor.facts.Facts",)),
    "tuning": Group("Search for better arguments", ("tuning",)),
    "estimators": Group("scikit-learn estimators", ("scikit_learn",)),
    "errors": Group("Errors", ("errors",)),
}


def grouped() -> dict[str, tuple[str, list[str]]]:
    """``{page: (title, full names)}``, every public name once."""
    pages = {page: (group.title, []) for page, group in GROUPS.items()}
    page_of = {module: page for page, group in GROUPS.items() for module in group.modules}
    module_of = {name: _module(name) for name in tf_transfer.__all__ if is_documented(name)}
    places = list(page_of)
    for name, module in sorted(
        module_of.items(), key=lambda item: places.index(item[1]) if item[1] in page_of else 0
    ):
        page = page_of.get(module, module)
        pages.setdefault(page, (_title(module), []))[1].append(_full_name(name))
    for page, group in GROUPS.items():
        pages[page][1].extend(f"tf_transfer.{name}" for name in group.beside)
    return pages


def is_documented(name: str) -> bool:
    """Whether a public name is a function, class or module, not the version."""
    value = getattr(tf_transfer, name)
    return callable(value) or inspect.ismodule(value)


def _full_name(name: str) -> str:
    """A module is found where it lives, everything else as an attribute of the package."""
    value = getattr(tf_transfer, name)
    return value.__name__ if inspect.ismodule(value) else f"tf_transfer.{name}"


def _module(name: str) -> str:
    """The room of a public name."""
    value = getattr(tf_transfer, name)
    return (value.__name__ if inspect.ismodule(value) else value.__module__).split(".")[1]


def _title(module: str) -> str:
    summary = inspect.getdoc(importlib.import_module(f"tf_transfer.{module}")) or module
    first = summary.split("\n\n")[0]
    return " ".join(first.split()).rstrip(".")


def _find(name: str):
    module, _, last = name.rpartition(".")
    return getattr(importlib.import_module(module), last)


def _entry(name: str) -> str:
    value = _find(name)
    if inspect.ismodule(value):
        return f".. automodule:: {name}\n   :members:\n"
    if inspect.isclass(value) and issubclass(value, Exception):
        return f".. autoexception:: {name}\n"
    if (
        inspect.isclass(value)
        and issubclass(value, tf_transfer.Strategy)
        and hasattr(value, "name")
    ):
        return (
            f".. autoclass:: {name}\n   :members: fit, adapt\n\n   .. seealso:: "
            f":doc:`/strategies/{value.name}`\n"
        )
    if inspect.isclass(value):
        return f".. autoclass:: {name}\n   :members:\n   :inherited-members:\n"
    return f".. autofunction:: {name}\n"


def _heading(title: str) -> str:
    return f"{title}\n{'=' * len(title)}\n\n"


def _index(pages: dict[str, tuple[str, list[str]]]) -> str:
    text = _heading("Reference") + "Every public name, from its docstring.\n\n"
    for page, (_, names) in pages.items():
        links = ", ".join(f"`{name.removeprefix('tf_transfer.')} <{name}>`" for name in names)
        text += f":doc:`{page}`\n   {links}\n\n"
    return text + ".. toctree::\n   :hidden:\n\n" + "".join(f"   {page}\n" for page in pages)


def _write(app) -> None:
    folder = Path(app.srcdir) / "reference"
    folder.mkdir(exist_ok=True)
    pages = grouped()
    for old in folder.glob("*.rst"):
        if old.stem not in {*pages, "index"}:
            old.unlink()
    contents = {"index": _index(pages)}
    contents |= {
        p: _heading(title) + "\n".join(map(_entry, names)) for p, (title, names) in pages.items()
    }
    for page, content in contents.items():
        path = folder / f"{page}.rst"
        if not path.exists() or path.read_text(encoding="utf-8") != content:
            path.write_text(content, encoding="utf-8")


def _skip(app, what, name, value, skip, options):
    """Members that Keras, pydantic or Python bring are documented there."""
    function = value.fget if isinstance(value, property) else getattr(value, "func", value)
    origin = getattr(
        inspect.unwrap(function) if callable(function) else function, "__module__", None
    )
    return True if origin and not origin.startswith("tf_transfer") else None


def setup(app):
    app.connect("builder-inited", _write)
    app.connect("autodoc-skip-member", _skip)
    return {"parallel_read_safe": True}
