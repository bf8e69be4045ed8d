"""The files of Keras' `CSVLogger` in a run that goes on."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from tf_transfer.devices.backend import keras
from tf_transfer.files.storage import write_text


def go_on(callbacks, epoch: int) -> list:
    """Lets each `CSVLogger` append to its file, without the rows from ``epoch`` on, which come
    again.

    Returns:
        The loggers whose ``append`` was False, for `let_go`.
    """
    loggers = [c for c in callbacks if isinstance(c, keras.callbacks.CSVLogger)]
    for logger in loggers:
        _drop_rows(Path(logger.filename), logger.sep, epoch)
    changed = [c for c in loggers if not c.append]
    for logger in changed:
        logger.append = True
    return changed


def let_go(loggers) -> None:
    """Sets back what `go_on` changed."""
    for logger in loggers:
        logger.append = False


def _drop_rows(path: Path, separator: str, epoch: int) -> None:
    if not path.is_file():
        return
    rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines(), delimiter=separator))
    kept = len(rows)
    while kept > 1 and (not rows[kept - 1][0].isdigit() or int(rows[kept - 1][0]) >= epoch):
        kept -= 1
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=separator).writerows(rows[:kept])
    write_text(path, text.getvalue())
