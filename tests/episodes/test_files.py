import gzip
import json

import numpy as np
import pandas as pd
import pytest

from tf_transfer.data.tables import load_table, save_table
from tf_transfer.episodes import files
from tf_transfer.episodes.files import freeze_episodes, load_episodes
from tf_transfer.episodes.sampler import EpisodeSampler
from tf_transfer.errors import CheckpointError, DataError
from tf_transfer.kinds.tasks import Task


def make_table(classes=("a", "b", "c"), rows=8):
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(classes)), rows))
    table = pd.DataFrame({"intent": pd.Series([classes[i] for i in labels])})
    return table.assign(
        domain=np.where(np.arange(len(table)) % 2, "x", "y"), score=np.arange(len(table)) / 7
    )


def fields(episode):
    return [
        episode.support.tolist(),
        episode.query.tolist(),
        episode.classes,
        episode.domain,
        episode.index,
    ]


def same(episodes, others):
    return [fields(e) for e in episodes] == [fields(e) for e in others]


def refusal(path, table):
    with pytest.raises(DataError) as error:
        load_episodes(path, table)
    return str(error.value)


@pytest.mark.parametrize("name", ["episodes.json", "folder/episodes.json.gz"])
@pytest.mark.parametrize("classes", [("a", "ß", "c|"), (1, 2, 3), (True, False), (0.5, 1.5, 2.0)])
def test_frozen_episodes_are_replayed_as_they_were(tmp_path, name, classes):
    table = make_table(classes)
    sampler = EpisodeSampler(
        table, Task("intent", kind="classification"), (2, 2), np.int64(1), 2, seed=np.int64(3)
    )
    freeze_episodes(sampler, 12, tmp_path / name, start=5)
    loaded = load_episodes(tmp_path / name, table)
    assert same(loaded, sampler.sample(12, start=5))
    assert loaded[0].support.dtype == loaded[0].query.dtype == np.int64
    assert {type(c) for e in loaded for c in e.classes} == {type(c) for c in sampler.classes}
    assert [p.name for p in (tmp_path / name).parent.iterdir()] == [(tmp_path / name).name]


@pytest.mark.parametrize("task", ["intent", "score", None])
@pytest.mark.parametrize("domain", ["domain", None])
def test_every_kind_of_episode_is_replayed(tmp_path, task, domain):
    table = make_table()
    sampler = EpisodeSampler(table, task, 2, (1, 2), 1, domain=domain, drop_small=True)
    freeze_episodes(sampler, 12, tmp_path / "e.json")
    assert same(load_episodes(tmp_path / "e.json", table), sampler.sample(12))


def test_freezing_twice_gives_the_same_bytes_and_replaces_the_file(tmp_path):
    sampler = EpisodeSampler(make_table(), "intent", 2, 1, 2)
    for name in ("a.json.gz", "b.json.gz"):
        freeze_episodes(sampler, 5, tmp_path / name)
    document = (tmp_path / "a.json.gz").read_bytes()
    assert document == (tmp_path / "b.json.gz").read_bytes()
    assert document[4:8] == bytes(4)  # gzip's time of writing
    freeze_episodes(sampler, 6, tmp_path / "a.json.gz")
    assert len(load_episodes(tmp_path / "a.json.gz", make_table())) == 6


def test_the_arguments_are_on_record(tmp_path):
    sampler = EpisodeSampler(make_table(), "intent", 2, (1, 2), 2, seed=9, balanced=False)
    freeze_episodes(sampler, 2, tmp_path / "e.json")
    content = json.loads((tmp_path / "e.json").read_text())
    assert content["sampler"] == {
        "way": 2,
        "shot": [1, 2],
        "num_query": 2,
        "seed": 9,
        "domain": None,
        "balanced": False,
        "drop_small": False,
    }
    assert content["task"] == {
        "name": "intent",
        "label": "intent",
        "kind": "classification",
        "classes": list("abc"),
    }


def test_the_same_table_from_a_file_and_with_other_texts_is_the_same_table(tmp_path):
    table = make_table((1, 2, 3)).assign(text="first")
    table["intent"] = table["intent"].where(table.index != 4)
    freeze_episodes(
        EpisodeSampler(table, "intent", 2, 1, 1, domain="domain"), 3, tmp_path / "e.json"
    )
    save_table(table.assign(text="second"), tmp_path / "t.csv")
    again = load_table(tmp_path / "t.csv")
    for other in (again, again.astype({"intent": "Int64"}), table.set_index(table.index + 7)):
        assert len(load_episodes(tmp_path / "e.json", other)) == 3


@pytest.mark.parametrize(
    ("task", "change", "difference"),
    [
        ("intent", lambda t: t.iloc[:-1], "a table of 23 rows; the episodes are from 24"),
        (None, lambda t: t.iloc[:-1], "a table of 23 rows; the episodes are from 24"),
        ("intent", lambda t: t.iloc[::-1], "other values in column 'intent'"),
        (
            "intent",
            lambda t: t.assign(intent=t["intent"].mask(t.index == 3)),
            "other values in column 'intent'",
        ),
        (
            "intent",
            lambda t: t.assign(intent=t["intent"].mask(t.index == 3, "new")),
            "other labels in column 'intent'",
        ),
        ("score", lambda t: t.assign(score=t["score"] + 1e-9), "other values in column 'score'"),
        (
            "score",
            lambda t: t.assign(score=t["score"].replace(0.0, np.nan)),
            "other values in column 'score'",
        ),
        (
            None,
            lambda t: t.assign(domain=t["domain"].mask(t.index == 5, "y")),
            "other values in column 'domain'",
        ),
        (
            "intent",
            lambda t: t.assign(domain=t["domain"].str.upper()),
            "other values in column 'domain'",
        ),
        (
            None,
            lambda t: t.assign(domain=t["domain"].iloc[::-1].to_numpy()),
            "other values in column 'domain'",
        ),
    ],
)
def test_another_table_is_refused(tmp_path, task, change, difference):
    table, path = make_table(), tmp_path / "e.json"
    freeze_episodes(EpisodeSampler(table, task, 2, 1, 1, domain="domain"), 3, path)
    assert refusal(path, change(table)) == (
        f"Episodes in {str(path)!r} must be replayed on the table that they were drawn from.\n"
        f"Received {difference}.\nLoad that table, or freeze new episodes from this one."
    )


def test_a_table_without_the_column_is_refused(tmp_path):
    freeze_episodes(
        EpisodeSampler(make_table(), "intent", 2, 1, 1, domain="domain"), 3, tmp_path / "e.json"
    )
    for column in ("intent", "domain"):
        assert f"e.json' must have a column {column!r}" in refusal(
            tmp_path / "e.json", make_table().drop(columns=column)
        )


def test_an_edited_file_is_refused(tmp_path):
    path = tmp_path / "e.json"
    freeze_episodes(EpisodeSampler(make_table(), "intent", 2, 1, 1), 3, path)
    content = json.loads(path.read_text())
    content["episodes"][1]["query"][0] += 1
    path.write_text(json.dumps(content))
    expected = f"File {str(path)!r} must be as it was written, with the sha256 {content['sha256']}."
    assert expected in refusal(path, make_table()) and "damaged or was edited" in refusal(
        path, make_table()
    )


@pytest.mark.parametrize("name", ["e.json", "e.json.gz"])
def test_a_damaged_or_foreign_file_is_refused(tmp_path, name):
    path = tmp_path / name
    freeze_episodes(EpisodeSampler(make_table(), "intent", 2, 1, 1), 3, path)
    whole = path.read_bytes()
    changed = bytearray(whole)
    changed[len(whole) // 2] ^= 0xFF
    pack = gzip.compress if name.endswith(".gz") else bytes
    for document in (
        whole[:-40],
        bytes(changed),
        b"",
        pack(b"[1]"),
        pack(b"{}"),
        pack(b'{"sha256": ""}'),
    ):
        path.write_bytes(document)
        told = refusal(path, make_table())
        assert str(path) in told and " must " in told
        assert told.endswith("Restore the file, or freeze the episodes again.")
    path.unlink()
    assert (
        refusal(path, make_table())
        == f"Frozen episodes are read from a file.\nReceived {str(path)!r}: there is none."
    )


def forge(path, change) -> None:
    """Changes a file and gives it the sha256 of one that was written like that."""
    content = json.loads(path.read_text())
    content.pop("sha256")
    change(content)
    path.write_text(json.dumps(content | {"sha256": files._digest(content)}))


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.pop("task"),
        lambda c: c.update(task=3),
        lambda c: c.update(task={"name": "a\0b"}),
        lambda c: c.pop("sampler"),
        lambda c: c.update(table=None),
        lambda c: c.update(episodes=3),
        lambda c: c["episodes"][0].pop("query"),
        lambda c: c["episodes"][0].update(query=[10**6]),
        lambda c: c["episodes"][0].update(query=[-1]),
        lambda c: c["episodes"][0].update(query=[10**30]),
        lambda c: c["episodes"][0].update(query=[[1], [2]]),
        lambda c: c["episodes"][0].update(query=[]),
        lambda c: c["episodes"][0].update(query=["a"]),
        lambda c: c["episodes"][0].update(classes=7),
        lambda c: c["episodes"][0].update(query=c["episodes"][0]["support"]),
    ],
)
def test_a_forged_file_is_refused(tmp_path, change):
    path = tmp_path / "e.json"
    freeze_episodes(EpisodeSampler(make_table(), "intent", 2, 1, 1), 3, path)
    forge(path, change)
    assert refusal(path, make_table())


def test_a_file_that_unpacks_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_MOST_BYTES", 10_000)
    (tmp_path / "e.json.gz").write_bytes(gzip.compress(b"[" * 10**6))
    assert "it unpacks to more than 10,000 bytes" in refusal(tmp_path / "e.json.gz", make_table())
    monkeypatch.undo()
    (tmp_path / "e.json").write_bytes(b"[" * 10**5)
    assert "nested too deeply" in refusal(tmp_path / "e.json", make_table())


def test_what_cannot_be_frozen_is_refused_and_leaves_the_file(tmp_path):
    path = tmp_path / "e.json"
    sampler = EpisodeSampler(make_table(), "intent", 2, 1, 1)
    freeze_episodes(sampler, 3, path)
    before = path.read_bytes()
    days = make_table().assign(domain=[pd.Timestamp("2020-01-01"), pd.Timestamp("2020-01-02")] * 12)
    with pytest.raises(DataError, match="must be text, numbers or bools") as error:
        freeze_episodes(
            EpisodeSampler(days, "score", shot=1, num_query=1, domain="domain"), 3, path
        )
    assert "Convert the column, for instance with astype(str)." in str(error.value)
    with pytest.raises(DataError, match="`count` must be"):
        freeze_episodes(sampler, 0, path)
    with pytest.raises(CheckpointError, match="Could not write"):
        freeze_episodes(sampler, 3, path / "under a file.json")
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["e.json"]
