"""What the docstrings write and reStructuredText would misread, put right before Napoleon sees
it.
"""

import inspect
import re

from sphinx.util.inspect import stringify_signature

_PLURAL = re.compile(r"(?<![`\w])(`[\w.]+`)(?=\w)")
_EMPTY = ".."
"""A comment: where the first line holds a colon, Napoleon takes what stands before it for a
type.
"""
_ITEM = re.compile(r" {4}\w[\w, ]*: \S")


def tidy(lines: list[str]) -> list[str]:
    """Lines of a docstring: a letter may follow a backtick, what is returned has no type, several
    values are a list.
    """
    lines = [_PLURAL.sub(r"\1\\ ", line) for line in lines]
    if "Returns:" not in lines:
        return lines
    start = lines.index("Returns:") + 1
    end = next(
        (i for i in range(start, len(lines)) if lines[i] and not lines[i].startswith(" ")),
        len(lines),
    )
    section = lines[start:end]
    if sum(bool(_ITEM.match(line)) for line in section) < 2:
        return [*lines[:start], f"    {_EMPTY}", "", *lines[start:]]
    listed = [
        f"    * {line[4:]}" if _ITEM.match(line) else line and f"  {line}" for line in section
    ]
    return [*lines[:start], "    A tuple of", "", *listed, "", *lines[end:]]


def _process(app, what, name, value, options, lines):
    lines[:] = tidy(lines)
    if what in ("property", "attribute"):
        lines[:0] = [_EMPTY, ""]


def _sign(app, what, name, value, options, signature, returns):
    """Keras' classes take ``*args, **kwargs`` in `__new__`; what they mean is in `__init__`."""
    if what != "class" or not (signature or "").startswith("(*args"):
        return None
    found = inspect.signature(value.__init__)
    arguments = [p for p in found.parameters.values() if p.name != "self"]
    return stringify_signature(found.replace(parameters=arguments), show_annotation=True), ""


def setup(app):
    app.connect("autodoc-process-docstring", _process, priority=400)
    app.connect("autodoc-process-signature", _sign)
    return {"parallel_read_safe": True}
