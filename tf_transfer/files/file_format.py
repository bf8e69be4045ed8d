"""The format of a file that the package reads again, and the version that wrote the file."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from tf_transfer import __version__
from tf_transfer.errors import CheckpointError, TransferError


@dataclasses.dataclass(frozen=True)
class FileFormat:
    """How a kind of file is laid out.

    Args:
        name: of the kind of file; it also tells the file from those of other programs.
        number: of the layout; a change that the code before it cannot read takes the next one.
    """

    name: str
    number: int

    def __str__(self) -> str:
        return f"{self.name}/{self.number}"

    def note(self) -> dict[str, str]:
        """What a file of this format says of itself."""
        return {"format": str(self), "tf_transfer": __version__}

    def check(
        self,
        path: str | Path,
        content: object,
        remedy: str,
        error: type[TransferError] = CheckpointError,
    ) -> None:
        """Checks what the file says of itself.

        Args:
            content: of the file; of one of this format a dict that has `note`.
            remedy: sentences on how to have such a file in the present format.
            error: the class of the error.

        Raises:
            TransferError: of the class ``error``: the file is of another format. The message says
                which version of the package wrote it, and what to do.
        """
        content = content if isinstance(content, dict) else {}
        written = content.get("format")
        if written == str(self):
            return
        number = self._number(written)
        if number is None:
            received = "no format" if written is None else repr(written)
            raise error(
                f"{path} must be of the format {str(self)!r}.\n"
                f"Received {received}: another program wrote it, or it is damaged.\n{remedy}"
            )
        version = _version(content.get("tf_transfer"))
        reader = f"tf_transfer {version}" if version else "the version that wrote it"
        later = " or later" if version and number > self.number else ""
        raise error(
            f"{path} was written by tf_transfer {version or 'of an unknown version'} (format "
            f"{number}).\n"
            f"This is tf_transfer {__version__}, which reads format {self.number}.\n"
            f"{remedy} To read the file as it is, install {reader}{later}."
        )

    def _number(self, written: object) -> int | None:
        """The number of a format of this name; None of what is none."""
        form = re.fullmatch(rf"{re.escape(self.name)}/(\d{{1,6}})", str(written))
        return int(form[1]) if form else None


def _version(written: object) -> str:
    """A version as the file has it, or "" where it has none that could be one."""
    return written if isinstance(written, str) and re.fullmatch(r"[\w.+-]{1,40}", written) else ""
