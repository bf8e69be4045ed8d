"""How the problems of an experiment file are told: pydantic's errors as sentences with their
place.
"""

from __future__ import annotations

import re
import reprlib

import pydantic

from tf_transfer.errors import nearest


def explain(error: pydantic.ValidationError, where: str) -> str:
    """A line for each problem, with the nearest valid choice where there is one.

    Args:
        where: what the first line says is wrong, for instance ``"reviews.yaml is not a valid
            experiment"``.
    """
    lines = [f"{where}:"]
    for problem in error.errors():
        place = ".".join(str(p) for p in problem["loc"])
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "missing":
            message = "this key is missing."
        elif problem["type"] == "literal_error":
            choices = re.findall(r"'([^']*)'", problem["ctx"]["expected"])
            message += (
                f"; received {reprlib.repr(problem['input'])}.{nearest(problem['input'], choices)}"
            )
        elif problem["type"] != "value_error":
            message += f"; received {reprlib.repr(problem['input'])}"
        lines.append(f"  {place}: {message}" if place else f"  {message}")
    return "\n".join(lines)
