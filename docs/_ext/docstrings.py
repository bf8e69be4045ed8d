"""The arguments that a Google-style docstring describes; needs neither Sphinx nor TensorFlow."""

from __future__ import annotations

import dataclasses
import inspect
import re

_SECTION = re.compile(r"^Args:\n((?:    .*\n|\n)*)", re.MULTILINE)
_ITEM = re.compile(r"^ {4}(\w[\w, ]*): (.*(?:\n(?: {8}.*|$))*)", re.MULTILINE)
_LITERAL = re.compile(r"Literal\[([^\]]*)\]")


@dataclasses.dataclass(frozen=True)
class Option:
    """A field of a strategy.

    Args:
        name: of the field.
        kind: its type, as a reader would write it.
        default: as Python writes it.
        text: what the docstrings say of it; empty where they say nothing.
    """

    name: str
    kind: str
    default: str
    text: str


def arguments(docstring: str | None) -> dict[str, str]:
    """``{argument: description}`` of the section "Args", each description in one line."""
    found = _SECTION.search(inspect.cleandoc(docstring or "") + "\n")
    described = {}
    for names, text in _ITEM.findall(found[1]) if found else ():
        described |= {name.strip(): " ".join(text.split()) for name in names.split(",")}
    return described


def options(strategy: type) -> list[Option]:
    """The fields of a strategy, each with the description of the nearest class that has one."""
    described = {}
    for cls in reversed(strategy.__mro__):
        described |= arguments(cls.__dict__.get("__doc__"))
    return [
        Option(
            f.name, _LITERAL.sub(_choices, str(f.type)), repr(f.default), described.get(f.name, "")
        )
        for f in dataclasses.fields(strategy)
    ]


def _choices(literal: re.Match) -> str:
    return " | ".join(part.strip() for part in literal[1].split(","))
