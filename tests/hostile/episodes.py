"""Frozen episodes: forged with the right hash, cut, packed without end."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from tests.experiments import make_table
from tests.hostile.palette import changed_bytes, changed_json, choose, dumped, replaced
from tf_transfer.episodes import files
from tf_transfer.episodes.sampler import EpisodeSampler

TABLE = make_table(40, seed=3)


def prepare(base: Path) -> None:
    sampler = EpisodeSampler(TABLE, "mood", way=2, shot=2, num_query=2)
    files.freeze_episodes(sampler, 3, base / "e.json")


def make(draws, base, folder):
    content = json.loads((base / "e.json").read_text())
    how = draws.random()
    path = folder / choose(draws, ["e.json", "e.json.gz"])
    if how < 0.6:
        content.pop("sha256")
        content = changed_json(draws, content)
        document = dumped(content | {"sha256": _digest(content)}).encode("utf-8", "surrogatepass")
    elif how < 0.9:
        document = changed_bytes(draws, dumped(content).encode())
    else:
        document = b"[" * 10**6
    if path.suffix == ".gz":
        document = gzip.compress(document, mtime=0)
        document = changed_bytes(draws, document) if draws.random() < 0.2 else document
    path.write_bytes(document)
    if how > 0.97:
        replaced(draws, path)

    def take():
        for episode in files.load_episodes(path, TABLE):
            rows = TABLE.iloc[episode.support]
            if episode.way:
                episode.decode(episode.encode(rows["mood"]))

    return take


def _digest(content) -> str:
    try:
        return files._digest(content)
    except Exception:
        return "0" * 64
