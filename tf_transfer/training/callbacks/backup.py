"""The backup of a training as one file: variables, the callbacks' state, and where it stopped."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tf_transfer.devices.backend import tf
from tf_transfer.errors import CheckpointError
from tf_transfer.files.file_format import FileFormat
from tf_transfer.files.storage import whole_file
from tf_transfer.files.tensor_files import read_tensors, write_tensors
from tf_transfer.files.untrusted import parse_json
from tf_transfer.training.callbacks.plain_state import Arrays, unpack

FORMAT = FileFormat("tf_transfer backup", 1)
FILE = "training.safetensors"
REMEDY = "Delete it to train from the start."


@dataclasses.dataclass(frozen=True)
class Place:
    """Where in a run a backup was made.

    Args:
        epoch: number of the epoch to go on in, from 0.
        batch: batches of it that are done.
        stopped: whether a callback had ended the run by then.
        seconds: how long the run had taken.
    """

    epoch: int = 0
    batch: int = 0
    stopped: bool = False
    seconds: float = 0.0


@dataclasses.dataclass(frozen=True)
class Backup:
    """A backup that was read.

    Args:
        place: where the run stopped.
        settings: what the run must share with the one that goes on; see `settings`.
        callbacks: ``{name: packed attributes}``.
    """

    place: Place
    settings: dict
    start: dict
    callbacks: dict
    _variables: dict
    _arrays: Mapping

    def assign(self, groups: Mapping[str, Sequence[tf.Variable]]) -> None:
        """Sets all variables."""
        for name, variables in groups.items():
            for variable, key in zip(variables, self._variables[name]):
                variable.assign(self._arrays[key])

    def attributes(self, name: str) -> dict:
        """A callback's attributes that had changed in the run."""
        return {k: unpack(v, self._arrays) for k, v in self.callbacks.get(name, {}).items()}

    def check_fit(self, path: Path, groups: Mapping[str, Sequence[tf.Variable]]) -> None:
        """Raises:
        CheckpointError: the variables of the run are others than those that were kept.
        """
        shapes = {
            n: [tuple(self._arrays[k].shape) for k in keys] for n, keys in self._variables.items()
        }
        expected = {n: [tuple(v.shape) for v in variables] for n, variables in groups.items()}
        wrong = [n for n in dict.fromkeys([*shapes, *expected]) if shapes.get(n) != expected.get(n)]
        if wrong:
            raise CheckpointError(
                f"{path} does not fit the training; nothing was changed.\n"
                f"Received another number or other shapes of: {', '.join(wrong)}.\n{REMEDY}"
            )


def write_backup(
    path: Path,
    place: Place,
    settings: dict,
    start: dict,
    groups: Mapping[str, Sequence[tf.Variable]],
    callbacks: dict,
    arrays: Arrays,
    strategy,
) -> None:
    """Writes a backup in place of the last one, whole or not at all.

    Args:
        groups: the variables, by what they are.
        callbacks: ``{name: packed attributes}``, whose arrays are in ``arrays``.
        strategy: the `tf.distribute` strategy; of several workers all read their variables, and the
            chief writes.
    """
    variables = {name: [arrays.add(v.numpy()) for v in group] for name, group in groups.items()}
    content = {
        **FORMAT.note(),
        "place": dataclasses.asdict(place),
        "settings": settings,
        "start": start,
        "variables": variables,
        "callbacks": callbacks,
    }
    if not strategy.extended.should_checkpoint:
        return
    used = set(_keys(content))
    with whole_file(path) as staging:
        write_tensors(
            staging, {k: v for k, v in arrays.items() if k in used}, {"backup": json.dumps(content)}
        )


def _keys(content):
    if isinstance(content, str):
        yield content
    elif isinstance(content, Mapping | list):
        for part in content.values() if isinstance(content, Mapping) else content:
            yield from _keys(part)


def read_backup(path: Path) -> Backup:
    """The backup that `write_backup` wrote.

    Raises:
        CheckpointError: it is damaged, or not of this toolkit.
    """
    arrays, note, intact = read_tensors(path, REMEDY)
    if not intact:
        raise CheckpointError(f"{path} is damaged: its content is not what was written.\n{REMEDY}")
    try:
        content = parse_json(note.get("backup", "{}"))
        FORMAT.check(path, content, "Nothing was changed: give another backup_dir.")
        parts = (content[name] for name in ("settings", "start", "callbacks", "variables"))
        return Backup(Place(**content["place"]), *parts, arrays)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path} is damaged: {error}\n{REMEDY}") from None
