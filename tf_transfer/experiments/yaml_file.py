"""YAML that somebody wrote by hand: plain values alone, every key once, of bounded size, depth and
expansion.
"""

from __future__ import annotations

import os
from pathlib import Path

import yaml

from tf_transfer.errors import DataError, first_line, nearest
from tf_transfer.files.untrusted import read_text

_MOST_BYTES = 200_000
_MOST_DEPTH = 50
_MOST_VALUES = 20_000


def read_yaml(path: Path) -> dict:
    """The keys and values of a file.

    Raises:
        DataError: there is no such file, or it is no YAML; the message names the line.
    """
    if not os.path.exists(path):  # False, too, for a name that the system refuses
        near = [p.name for p in path.parent.glob("*.y*ml")] if os.path.isdir(path.parent) else []
        raise DataError(f"There is no experiment file {path}.{nearest(path.name, near)}")
    try:
        content = yaml.load(read_text(path, _MOST_BYTES), _Loader)
    except (yaml.YAMLError, OSError, ValueError) as error:
        raise DataError(f"{path} is no valid YAML: {error}") from None
    if not isinstance(content, dict):
        raise DataError(f"{path} must hold keys and values.\nReceived {type(content).__name__}.")
    return content


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, which makes no objects but plain ones, with limits, and with its errors
    told by line.
    """

    def __init__(self, stream):
        super().__init__(stream)
        self._depth = self._values = 0
        self._sizes: dict[yaml.Node, int] = {}

    def compose_node(self, parent, index):
        """A part of the file; an alias counts as much as what it stands for."""
        event = self.peek_event()
        if self.check_event(yaml.AliasEvent):
            node = super().compose_node(parent, index)
            if node not in self._sizes:
                raise _error(f"{event.anchor!r} stands within itself", event)
            self._count(self._sizes[node], event)
            return node
        before = self._values
        self._depth += 1
        if self._depth > _MOST_DEPTH:
            raise _error(f"more than {_MOST_DEPTH} levels within each other", event)
        node = super().compose_node(parent, index)
        self._depth -= 1
        self._count(1, event)
        self._sizes[node] = self._values - before
        return node

    def _count(self, values: int, event) -> None:
        self._values += values
        if self._values > _MOST_VALUES:
            raise _error(
                f"more than {_MOST_VALUES:,} values, with all that aliases stand for", event
            )

    def construct_object(self, node, deep=False):
        try:
            return super().construct_object(node, deep)
        except yaml.YAMLError:
            raise
        except Exception as error:  # of int(), datetime() and the like
            kind = node.tag.rpartition(":")[2]
            raise _error(f"{_shown(node)} is no {kind}: {first_line(error)}", node) from None

    def construct_mapping(self, node, deep=False):
        """As PyYAML's, which keeps the last of two equal keys, so that a strategy or table would go
        missing.
        """
        if isinstance(node, yaml.MappingNode):
            keys = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
            seen = set()
            for key in keys:
                if key.value in seen:
                    raise _error(f"key {key.value!r} occurs twice", key)
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def _error(problem: str, place: yaml.Node | yaml.Event) -> yaml.YAMLError:
    return yaml.constructor.ConstructorError(None, None, problem, place.start_mark)


def _shown(node: yaml.Node) -> str:
    text = str(node.value) if isinstance(node, yaml.ScalarNode) else f"a {node.id}"
    return repr(text if len(text) <= 40 else text[:39] + "…")
