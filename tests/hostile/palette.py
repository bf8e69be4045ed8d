"""Values and changes that the kinds of hostile inputs share."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np

TEXTS = [
    "",
    " ",
    "\t",
    "\n",
    "\r",
    "\0",
    "a\0b",
    "\ufeff",
    "\u2028",
    "\u202e",
    "\x1b[31m",
    "\ud800",
    "\U0001f600",
    "é",
    "e\u0301",
    "NA",
    "nan",
    "-nan",
    "inf",
    "-Infinity",
    "None",
    "null",
    "true",
    "-0",
    "007",
    "1e5",
    "1e999",
    "0x10",
    "1_000",
    "1,5",
    "9" * 400,
    "=1+1",
    '"',
    "'",
    "''",
    '"""',
    "\\",
    "|",
    "a|b",
    "[1, 2",
    "[]",
    "{}",
    "<b>",
    "<!--",
    "<script>",
    "&#x110000;",
    "&amp;",
    "../../etc/passwd",
    "/dev/zero",
    "~",
    "$x_$",
    "%s",
    "{0}",
    "CON",
    ".",
    "..",
    "a/b",
    "a:b",
    "日本語",
    "x" * 3000,
    "2024-02-30",
    "text",
    "target_only",
    "without",
]
VALUES = [
    None,
    True,
    False,
    0,
    1,
    -1,
    2,
    3.5,
    -0.0,
    1e308,
    -1e308,
    2**31,
    2**53,
    2**63,
    10**30,
    10**400,
    float("nan"),
    float("inf"),
    [],
    {},
    [[]],
    [None],
    {"a": 1},
    [1, "a"],
    {"": None},
    ["a"] * 50,
    [[[[[[[[[[[[1]]]]]]]]]]]],
]


def choose(draws: np.random.Generator, choices):
    """One of a list, whatever its elements are."""
    return choices[int(draws.integers(len(choices)))]


def any_value(draws: np.random.Generator):
    """A text or another value of JSON."""
    return choose(draws, TEXTS) if draws.random() < 0.5 else choose(draws, VALUES)


def changed_bytes(draws: np.random.Generator, content: bytes) -> bytes:
    """One or a few changes: cut, doubled, flipped, overwritten, or something put between."""
    content = bytearray(content)
    for _ in range(int(draws.integers(1, 4))):
        place, end = sorted(int(i) for i in draws.integers(0, len(content) + 1, 2))
        how = draws.integers(6)
        if how == 0:
            del content[place:end]
        elif how == 1:
            content[place:place] = content[place : min(end, place + 100_000)]
        elif how == 2 and place < len(content):
            content[place] ^= 1 << int(draws.integers(8))
        elif how == 3:
            content[place:end] = bytes(min(end - place, 1000))
        elif how == 4:
            content[place:place] = choose(draws, TEXTS).encode("utf-8", "surrogatepass")
        else:
            content = content[:place]
    return bytes(content)


def changed_json(draws: np.random.Generator, content):
    """A copy with one value, at any depth, replaced, dropped or doubled; sometimes two."""
    content = json.loads(json.dumps(content))
    for _ in range(1 + (draws.random() < 0.2)):
        holder = content
        while True:
            keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
            if not keys:
                break
            key = choose(draws, keys)
            deeper = (
                isinstance(holder[key], dict | list) and len(holder[key]) and draws.random() < 0.8
            )
            if not deeper:
                _change(draws, holder, key)
                break
            holder = holder[key]
    return content


def _change(draws: np.random.Generator, holder, key) -> None:
    how = draws.random()
    if how < 0.7:
        holder[key] = any_value(draws)
    elif how < 0.85:
        del holder[key]
    elif isinstance(holder, dict):
        holder[choose(draws, TEXTS)] = holder[key]
    else:
        holder.append(holder[key])


def replaced(draws: np.random.Generator, path: Path) -> None:
    """Something else in place of a file: a pipe, a folder, a link, nothing, or other bytes."""
    content = path.read_bytes()
    path.unlink()
    how = draws.integers(8)
    if how == 0:
        os.mkfifo(path)
    elif how == 1:
        path.mkdir()
    elif how == 2:
        path.symlink_to("/dev/zero")
    elif how == 3:
        path.symlink_to(path)
    elif how == 4:
        path.write_bytes(b"[" * 100_000)
    elif how != 5:
        path.write_bytes(changed_bytes(draws, content))


def dumped(content) -> str:
    """JSON as Python writes it, NaN and half pairs included."""
    return json.dumps(content)
