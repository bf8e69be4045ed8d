"""A full disk, and places where nothing can be written: one message with the path, and nothing is
left behind.
"""

import pandas as pd
import pytest

from tests import tiny
from tests.full_disk import at_most
from tf_transfer.data.tables import save_table
from tf_transfer.episodes.files import freeze_episodes
from tf_transfer.episodes.sampler import EpisodeSampler
from tf_transfer.errors import CheckpointError, DataError
from tf_transfer.training.callbacks.resume import Resume

TABLE = tiny.make_table(200)


@pytest.fixture(scope="module")
def compiled():
    model = tiny.make_model(tiny.TASKS[:1])
    model.compile("sgd", run_eagerly=True)
    return model


QUICK = ["save", "save_pretrained", "freeze_episodes", ".csv", ".jsonl", ".parquet"]


@pytest.fixture(params=[*QUICK, "export", "Resume"])
def write(request, compiled):
    """A function that writes to a path without extension, and the kind of error that it raises."""
    kind = DataError if request.param.startswith(".") else CheckpointError

    def call(path):
        if request.param == "Resume":
            compiled.fit(TABLE.head(4), batch_size=4, verbose=0, callbacks=[Resume(path)])
        elif request.param == "freeze_episodes":
            freeze_episodes(EpisodeSampler(TABLE, "mood", way=3, shot=5, num_query=5), 20, path)
        elif request.param.startswith("."):
            save_table(pd.concat([TABLE] * 20), f"{path}{request.param}")
        else:
            getattr(compiled, request.param)(path)

    call.kind, call.name = kind, request.param
    return call


def files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if not p.is_dir())


def test_a_full_disk(write, tmp_path):
    with at_most(900), pytest.raises(write.kind, match="Could not write") as error:
        write(tmp_path / "mine")
    assert type(error.value) is write.kind
    assert str(tmp_path / "mine") in str(error.value) and "larger than is allowed" in str(
        error.value
    )
    assert files(tmp_path) == []


@pytest.mark.parametrize("name", ["n" * 300, "file/mine", "file/deep/mine", "a\0b"])
def test_a_place_where_nothing_can_be(write, tmp_path, name):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(write.kind, match="Could not write") as error:
        write(f"{tmp_path}/{name}")
    assert repr(name)[1:-1] in str(error.value)
    assert files(tmp_path) == ["file"] and (tmp_path / "file").read_text() == "mine"


def test_a_file_where_a_folder_should_be(write, tmp_path):
    if write.name in ("save", "export", "save_pretrained", "Resume"):
        (tmp_path / "mine").write_text("mine")
        with pytest.raises(CheckpointError):
            write(tmp_path / "mine")
        assert files(tmp_path) == ["mine"] and (tmp_path / "mine").read_text() == "mine"


def test_a_folder_where_a_file_should_be(write, tmp_path):
    extension = write.name if write.name.startswith(".") else ""
    if extension or write.name == "freeze_episodes":
        (tmp_path / f"mine{extension}").mkdir()
        with pytest.raises(write.kind, match="is a folder; a file is to be written there"):
            write(tmp_path / "mine")
        assert files(tmp_path) == []


@pytest.mark.parametrize(
    "write", [*QUICK, pytest.param("export", marks=pytest.mark.slow)], indirect=True
)
def test_a_full_disk_keeps_what_was_there(write, tmp_path):
    write(tmp_path / "mine")
    before = {name: (tmp_path / name).read_bytes() for name in files(tmp_path)}
    with at_most(900), pytest.raises(write.kind):
        write(tmp_path / "mine")
    assert {name: (tmp_path / name).read_bytes() for name in files(tmp_path)} == before
