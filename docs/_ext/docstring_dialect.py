"""What the docstrings write and reStructuredText would misread, put right before Napoleon sees it."""

import re

_PLURAL = re.compile(r"(?<![`\w])(`[\w.]+`)(?=\w)")
_ITEM = re.compile(r" {4}\w[\w, ]*: \S")


def tidy(lines: list[str]) -> list[str]:
    """Lines of a docstring: an ``s`` may follow a backtick, and several returned values become a list."""
    lines = [_PLURAL.sub(r"\1\\ ", line) for line in lines]
    if "Returns:" not in lines:
        return lines
    start = lines.index("Returns:") + 1
    end = next((i for i in range(start, len(lines)) if lines[i] and not lines[i].startswith(" ")), len(lines))
    section = lines[start:end]
    if sum(bool(_ITEM.match(line)) for line in section) < 2:
        return lines
    listed = [f"    * {line[4:]}" if _ITEM.match(line) else line and f"  {line}" for line in section]
    return [*lines[:start], "    A tuple of", "", *listed, "", *lines[end:]]


def setup(app):
    def process(app, what, name, value, options, lines):
        lines[:] = tidy(lines)

    app.connect("autodoc-process-docstring", process, priority=400)
    return {"parallel_read_safe": True}
