"""The folder of a search: what trials measured and came to, beside keras-tuner's own files.

search.json                 what the search is about
oracle.json, TUNER.json     keras-tuner's state
trial_07/trial.json         keras-tuner's record of a trial
trial_07/outcome.json       what became of it
measured/KEY.json           measurements of a candidate, kept as soon as they are made
beside.json                 what the winner is shown beside
trials.csv, best.yaml       what a reader wants
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from tf_transfer.errors import CheckpointError, DataError, differing_keys
from tf_transfer.files.file_format import FileFormat
from tf_transfer.files.storage import write_text
from tf_transfer.files.untrusted import read_json

FORMAT = FileFormat("tf_transfer search", 1)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a trial.

    Args:
        trial: its number.
        status: ``"completed"``; ``"stopped"``: it could not become the best; ``"failed"``: see
            ``message``.
        label, arguments, settings: what was tried.
        measured: the objective in each measurement, in their order.
        score, low, high: their mean, in the metric's unit, with its 95 % interval; None where there
            is none.
        reported: what the oracle learns from: the score; for a stopped trial the expected one,
            which lies below the best one's; None for a failed trial.
        seconds: of all its measurements, also of those that an equal trial had made before.
        epochs: Hyperband's, else None.
        message: why it was stopped or failed.
    """

    trial: int
    status: Literal["completed", "stopped", "failed"]
    label: str
    arguments: dict[str, Any]
    settings: dict[str, Any]
    measured: list[float]
    score: float | None = None
    low: float | None = None
    high: float | None = None
    reported: float | None = None
    seconds: float = 0.0
    epochs: int | None = None
    message: str = ""


class Records:
    """Reads and writes the folder of a search; each file whole or not at all."""

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)

    def start(self, common: dict) -> None:
        """Opens a new folder, or one that holds the same search.

        Raises:
            DataError: the folder holds another search; what differs is named.
            CheckpointError: it cannot be written, or its search.json is damaged.
        """
        if (self.folder / "search.json").exists():
            self.check(common)
        else:
            write_text(
                self.folder / "search.json",
                json.dumps({**FORMAT.note(), "common": common}, indent=1),
            )

    def check(self, common: dict, who: str = "today's") -> None:
        """Raises:
        DataError: the folder holds another search than ``common`` describes.
        """
        earlier, common = _read(self.folder / "search.json"), json.loads(json.dumps(common))
        FORMAT.check(self.folder / "search.json", earlier, "Search again in a new folder.")
        kept = earlier["common"]
        differing = differing_keys(common, kept)
        if differing:
            raise DataError(
                f"The folder {self.folder} holds another search.\nThese differ from {who}: "
                f"{', '.join(differing)}.\n"
                "Choose another folder, or delete this one to start afresh."
            )

    def measured(self, key: str) -> dict[str, dict]:
        """``{measurement: its result}`` of a candidate, as far as made; what cannot be read is made
        again.
        """
        try:
            content = _read(self._measured_path(key))
            return content["measured"] if content["candidate"] == json.loads(key) else {}
        except (CheckpointError, KeyError, TypeError):
            return {}

    def write_measured(self, key: str, measured: dict[str, dict]) -> None:
        """Keeps the measurements of a candidate."""
        content = {"candidate": json.loads(key), "measured": measured}
        write_text(self._measured_path(key), json.dumps(content, indent=1))

    def write_outcome(self, outcome: Outcome, trial_id: str) -> None:
        """Keeps what became of a trial."""
        text = json.dumps(dataclasses.asdict(outcome), indent=1)
        write_text(self.folder / f"trial_{trial_id}" / "outcome.json", text)

    def outcomes(self) -> list[Outcome]:
        """Of all trials that have ended, in the order of their numbers.

        Raises:
            CheckpointError: one cannot be read.
        """
        paths = self.folder.glob("trial_*/outcome.json")
        outcomes = (_outcome(_read(path), path, "the folder of the search") for path in paths)
        return sorted(outcomes, key=lambda outcome: outcome.trial)

    def write_beside(self, outcomes: dict[str, Outcome]) -> None:
        """Keeps what the winner is shown beside; ``trial`` of each is the winner's number."""
        content = {name: dataclasses.asdict(outcome) for name, outcome in outcomes.items()}
        write_text(self.folder / "beside.json", json.dumps(content, indent=1))

    def beside(self) -> dict[str, Outcome]:
        """What `write_beside` has kept; empty before the search has ended.

        Raises:
            CheckpointError: it cannot be read.
        """
        path = self.folder / "beside.json"
        if not path.exists():
            return {}
        content = _read(path)
        if not isinstance(content, dict):
            raise CheckpointError(
                f"{path} is damaged: it holds no object.\nDelete it, and search again."
            )
        return {name: _outcome(one, path, "it, and search again") for name, one in content.items()}

    def _measured_path(self, key: str) -> Path:
        return self.folder / "measured" / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.json"


def _outcome(content: object, path: Path, remedy: str) -> Outcome:
    try:
        return Outcome(**content)
    except TypeError as error:
        raise CheckpointError(f"{path} is damaged: {error}\nDelete {remedy}.") from None


def best_of(outcomes, sign: int) -> Outcome | None:
    """The completed trial of the best score; of equals the first."""
    completed = [o for o in outcomes if o.status == "completed"]
    return max(completed, key=lambda o: (sign * o.score, -o.trial), default=None)


def _read(path: Path):
    try:
        return read_json(path)
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} cannot be read: {error}\nDelete it, or the folder of the search."
        ) from None
