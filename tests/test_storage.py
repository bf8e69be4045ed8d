import errno
import os
import stat

import pytest

from tf_transfer.errors import CheckpointError
from tf_transfer.storage import whole_file, whole_folder, write_text


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def fill(folder, text):
    with whole_folder(folder) as staging:
        (staging / "a.txt").write_text(text)


def test_a_folder_appears_whole(tmp_path):
    folder = tmp_path / "deep" / "model"
    with whole_folder(folder) as staging:
        (staging / "a.txt").write_text("new")
        assert not folder.exists()
    assert (folder / "a.txt").read_text() == "new"
    assert names(folder.parent) == ["model"]


def test_a_folder_replaces_the_whole_of_the_earlier_one(tmp_path):
    fill(tmp_path / "model", "old")
    (tmp_path / "model" / "b.txt").write_text("old")
    fill(tmp_path / "model", "new")
    assert names(tmp_path / "model") == ["a.txt"]
    assert (tmp_path / "model" / "a.txt").read_text() == "new"
    assert names(tmp_path) == ["model"]


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_others_may_read_what_the_umask_lets_them(tmp_path):
    before = os.umask(0o022)
    try:
        fill(tmp_path / "model", "new")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "model").stat().st_mode) == 0o755


@pytest.mark.parametrize(
    ("number", "reason"),
    [(errno.ENOSPC, "disk is full"), (errno.EROFS, "read-only"), (errno.EACCES, "may not be written")],
)
def test_a_failed_write_leaves_the_earlier_folder(tmp_path, number, reason):
    folder = tmp_path / "model"
    fill(folder, "old")
    with pytest.raises(CheckpointError, match=reason) as error, whole_folder(folder) as staging:
        (staging / "a.txt").write_text("half")
        raise OSError(number, os.strerror(number))
    assert str(folder) in str(error.value)
    assert (folder / "a.txt").read_text() == "old"
    assert names(tmp_path) == ["model"]


def test_an_interrupted_block_leaves_the_earlier_folder(tmp_path):
    fill(tmp_path / "model", "old")
    with pytest.raises(KeyboardInterrupt), whole_folder(tmp_path / "model") as staging:
        (staging / "a.txt").write_text("half")
        raise KeyboardInterrupt
    assert (tmp_path / "model" / "a.txt").read_text() == "old"
    assert names(tmp_path) == ["model"]


def test_a_failed_swap_puts_the_earlier_folder_back(tmp_path, monkeypatch):
    folder, replace = tmp_path / "model", os.replace
    fill(folder, "old")

    def failing(source, target):
        if target == folder and "-old" not in str(source):
            raise OSError(errno.EIO, "input/output error")
        replace(source, target)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(CheckpointError, match="input/output error"):
        fill(folder, "new")
    assert (folder / "a.txt").read_text() == "old"
    assert names(tmp_path) == ["model"]


def test_overwriting_can_be_refused(tmp_path):
    fill(tmp_path / "model", "old")
    with pytest.raises(CheckpointError, match="exists already"), whole_folder(tmp_path / "model", overwrite=False):
        pass
    (tmp_path / "note").write_text("mine")
    with pytest.raises(CheckpointError, match="is a file"), whole_folder(tmp_path / "note"):
        pass
    assert (tmp_path / "note").read_text() == "mine"


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "deep" / "a.json"
    write_text(path, "old")
    with pytest.raises(CheckpointError, match="disk is full"), whole_file(path) as staging:
        staging.write_text("ha")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert path.read_text() == "old"
    write_text(path, "größer")
    assert path.read_bytes() == "größer".encode()
    assert names(path.parent) == ["a.json"]
