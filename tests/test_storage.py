import errno
import os
import re
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.full_disk import at_most
from tf_transfer.errors import CheckpointError, DataError
from tf_transfer.files import storage, temporary
from tf_transfer.files.storage import (
    check_output,
    check_writable,
    restore,
    whole_file,
    whole_folder,
    write_text,
)
from tf_transfer.files.temporary import EARLIER, hidden, sweep, unfinished

ROOT = Path(__file__).parents[1]
LEFT = ".other.0123abcd.tf_transfer"


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def fill(folder, text):
    with whole_folder(folder) as staging:
        (staging / "a.txt").write_text(text)
        (staging / "deeper").mkdir()
        (staging / "deeper" / "b.txt").write_text(text)


def content(folder) -> set[str]:
    """What the files of a folder hold; one word where it is whole."""
    texts = [(folder / name).read_text() for name in ("a.txt", "deeper/b.txt")]
    assert len(list(folder.rglob("*"))) == 3
    return set(texts)


@pytest.fixture(params=["exchange", "two steps"])
def either_way(request, monkeypatch):
    """Both ways in which a folder takes the place of another."""
    if request.param == "two steps":
        monkeypatch.setattr(storage, "exchange", lambda first, second: False)


def test_a_folder_appears_whole(tmp_path):
    folder = tmp_path / "deep" / "model"
    with whole_folder(folder) as staging:
        (staging / "a.txt").write_text("new")
        assert not folder.exists()
    assert (folder / "a.txt").read_text() == "new"
    assert names(folder.parent) == ["model"]


def test_a_folder_replaces_the_whole_of_the_earlier_one(tmp_path, either_way):
    fill(tmp_path / "model", "old")
    (tmp_path / "model" / "b.txt").write_text("old")
    fill(tmp_path / "model", "new")
    assert content(tmp_path / "model") == {"new"}
    assert names(tmp_path) == ["model"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems need two steps")
def test_linux_changes_places_in_one_step(tmp_path):
    fill(tmp_path / "one", "1")
    fill(tmp_path / "two", "2")
    assert temporary.exchange(tmp_path / "one", tmp_path / "two")
    assert (content(tmp_path / "one"), content(tmp_path / "two")) == ({"2"}, {"1"})
    with pytest.raises(FileNotFoundError):
        temporary.exchange(tmp_path / "one", tmp_path / "three")


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_others_may_read_what_the_umask_lets_them(tmp_path):
    before = os.umask(0o022)
    try:
        fill(tmp_path / "model", "new")
        write_text(tmp_path / "a.txt", "new")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "model").stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o644


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "may not be written"),
    ],
)
def test_a_failed_write_leaves_the_earlier_folder(tmp_path, number, reason):
    folder = tmp_path / "model"
    fill(folder, "old")
    with pytest.raises(CheckpointError, match=reason) as error, whole_folder(folder) as staging:
        (staging / "a.txt").write_text("half")
        raise OSError(number, os.strerror(number))
    assert str(folder) in str(error.value)
    assert content(folder) == {"old"}
    assert names(tmp_path) == ["model"]


def test_an_interrupted_block_leaves_the_earlier_folder(tmp_path):
    fill(tmp_path / "model", "old")
    with pytest.raises(KeyboardInterrupt), whole_folder(tmp_path / "model") as staging:
        (staging / "a.txt").write_text("half")
        raise KeyboardInterrupt
    assert content(tmp_path / "model") == {"old"}
    assert names(tmp_path) == ["model"]


def test_a_failed_swap_puts_the_earlier_folder_back(tmp_path, monkeypatch, either_way):
    folder, rename = tmp_path / "model", os.rename
    fill(folder, "old")

    def failing(source, target):
        if target == folder and EARLIER not in str(source):
            raise OSError(errno.EIO, "input/output error")
        rename(source, target)

    monkeypatch.setattr(os, "rename", failing)
    if storage.exchange is temporary.exchange:
        monkeypatch.setattr(storage, "exchange", failing)
    with pytest.raises(CheckpointError, match="the disk failed"):
        fill(folder, "new")
    assert content(folder) == {"old"}
    assert names(tmp_path) == ["model"]


def test_overwriting_can_be_refused(tmp_path):
    fill(tmp_path / "model", "old")
    with (
        pytest.raises(CheckpointError, match="exists already"),
        whole_folder(tmp_path / "model", overwrite=False),
    ):
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


def test_links_are_followed(tmp_path):
    """A folder of runs is often a link to a larger disk."""
    fill(tmp_path / "disk" / "model", "old")
    (tmp_path / "disk" / "a.txt").write_text("old")
    (tmp_path / "model").symlink_to(tmp_path / "disk" / "model")
    (tmp_path / "a.txt").symlink_to(tmp_path / "disk" / "a.txt")
    fill(tmp_path / "model", "new")
    write_text(tmp_path / "a.txt", "new")
    assert (tmp_path / "model").is_symlink() and (tmp_path / "a.txt").is_symlink()
    assert content(tmp_path / "disk" / "model") == {"new"}
    assert (tmp_path / "disk" / "a.txt").read_text() == "new"
    assert names(tmp_path) == ["a.txt", "disk", "model"]


# -- what cannot be written ------------------------------------------------------------------------


def write_folder(path):
    fill(path, "new")


def write_file(path):
    write_text(path, "new")


@pytest.mark.parametrize("write", [write_folder, write_file, check_writable, check_output])
@pytest.mark.parametrize(("name", "reason"), [
    ("n" * 300, "name is too long"), ("file/name", "a file is where a folder should be"),
    ("file/deep/name", "a file is where a folder should be"), ("a\0b", "takes no such name"),
    ("\ud800", "takes no such name"),
])  # fmt: skip
def test_a_name_that_the_system_refuses_is_one_message(tmp_path, write, name, reason):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(CheckpointError, match=rf"Could not write(.|\n)*{reason}") as error:
        write(f"{tmp_path}/{name}")
    assert repr(name)[1:-1] in str(error.value)
    assert names(tmp_path) == ["file"] and (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("write", [write_file, check_output])
@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_only_a_file_takes_the_place_of_a_file(tmp_path, write, make):
    make(tmp_path / "here")
    before = (tmp_path / "here").stat().st_ino
    with pytest.raises(CheckpointError, match="a file is to be written there"):
        write(tmp_path / "here")
    assert (tmp_path / "here").stat().st_ino == before and names(tmp_path) == ["here"]


@pytest.mark.parametrize("write", [write_folder, write_file])
def test_a_full_disk_is_one_message(tmp_path, write):
    with at_most(2), pytest.raises(CheckpointError, match="larger than is allowed"):
        write(tmp_path / "here")
    assert names(tmp_path) == []


def test_a_name_of_the_longest_kind_is_written(tmp_path):
    name = "ü" * 127
    for write in (write_folder, write_folder, write_file):
        write(tmp_path / write.__name__ / name)
        assert names(tmp_path / write.__name__) == [name]


def test_errors_that_only_quote_the_system_are_understood(tmp_path):
    def quoting(kind, text):
        with whole_folder(tmp_path / "model", overwrite=True):
            raise kind(text)

    with pytest.raises(CheckpointError, match="disk is full"):
        quoting(Exception, "No space left on device (os error 28)")
    with pytest.raises(CheckpointError, match="larger than is allowed"):
        quoting(RuntimeError, "/x/variables.data; File too large")
    for kind, text in (
        (ValueError, "Invalid argument: 3"),
        (DataError, "No space left on device"),
        (KeyError, "x"),
    ):
        with pytest.raises(kind, match=text):
            quoting(kind, text)
    assert names(tmp_path) == []


def test_another_kind_of_error_can_be_asked_for(tmp_path):
    with pytest.raises(DataError, match="too long"), whole_file(tmp_path / ("n" * 300), DataError):
        pass


def test_an_error_while_cleaning_up_does_not_hide_the_message(tmp_path, monkeypatch):
    def refuse(*args, **options):
        raise PermissionError(errno.EACCES, "no")

    with (
        pytest.raises(CheckpointError, match="disk is full"),
        whole_file(tmp_path / "a") as staging,
    ):
        monkeypatch.setattr(Path, "unlink", refuse)
        raise OSError(errno.ENOSPC, "full")
    assert staging.exists()


# -- killed processes ------------------------------------------------------------------------------

SAVE = """
import sys
from pathlib import Path
from tests.killing import kill_at_operation, kill_in_write
from tf_transfer.files import storage
kind, how, number, folder = *sys.argv[1:3], int(sys.argv[3]), Path(sys.argv[4])
if how == "two steps":
    storage.exchange = lambda first, second: False
done = []
if how == "write":
    kill_in_write(number)
else:
    done = kill_at_operation(number, folder)
if kind == "folder":
    with storage.whole_folder(folder / "model") as staging:
        (staging / "deeper").mkdir()
        for name in ("a.txt", "deeper/b.txt"):
            (staging / name).write_text("new")
else:
    storage.write_text(folder / "model", "new")
print(len(done))
"""


def save(*arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", SAVE, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize(
    ("kind", "how"),
    [
        ("folder", "exchange"),
        ("folder", "two steps"),
        ("folder", "write"),
        ("file", "exchange"),
        ("file", "write"),
    ],
)
def test_killed_anywhere_there_is_the_old_or_the_new_and_nothing_is_left_over(tmp_path, kind, how):
    """At every file operation, or in the midst of every write."""
    place, seen, number = tmp_path / "model", [], 0
    while True:
        number += 1
        write_folder_or_file(kind, place, "old")
        done = save(kind, how, number, tmp_path)
        if done.returncode == 0:
            break
        assert done.returncode in (-signal.SIGKILL, -signal.SIGXFSZ), done.stderr
        assert place.exists() or how == "two steps"
        restore(place)
        seen.append(read_folder_or_file(kind, place))
        write_folder_or_file(kind, place, "newer")
        assert read_folder_or_file(kind, place) == {"newer"}
        assert names(tmp_path) == ["model"]
    assert read_folder_or_file(kind, place) == {"new"}
    if how == "write":
        assert seen == [{"old"}] * 2
    else:
        assert {"old"} in seen and {"new"} in seen and len(seen) >= (8 if kind == "folder" else 3)


def write_folder_or_file(kind, place, text):
    fill(place, text) if kind == "folder" else write_text(place, text)


def read_folder_or_file(kind, place) -> set[str]:
    return content(place) if kind == "folder" else {place.read_text()}


def test_the_moment_without_a_name_is_told_from_a_folder_that_was_deleted(tmp_path):
    place = tmp_path / "model"
    fill(place, "old")
    place.rename(hidden(place, EARLIER))
    restore(place)
    assert content(place) == {"old"}
    fill(place, "new")
    restore(place)
    assert content(place) == {"new"}
    assert names(tmp_path) == ["model"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such locks")
def test_what_a_living_process_writes_is_left_alone(tmp_path):
    for folder in (False, True):
        with unfinished(tmp_path / "other", folder) as staging:
            write_text(tmp_path / "a.txt", "new")
            fill(tmp_path / "model", "new")
            assert staging.exists()
        assert not staging.exists()
    child = (
        "import sys, time; from pathlib import Path; from tf_transfer.files.temporary import "
        "unfinished\n"
    )
    child += (
        "with unfinished(Path(sys.argv[1]) / 'slow', True) as s: print(s, flush=True); "
        "time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", child, tmp_path], cwd=ROOT, stdout=subprocess.PIPE
    ) as process:
        staging = Path(process.stdout.readline().decode().strip())
        sweep(tmp_path)
        assert staging.exists()
        process.kill()
        process.wait()
        sweep(tmp_path)
        assert not staging.exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such locks")
def test_left_files_and_folders_are_swept_by_the_next_writer_and_nothing_else(tmp_path):
    (tmp_path / LEFT).mkdir()
    (tmp_path / LEFT / "half").write_text("x")
    (tmp_path / ".b.csv.89abcdef.tf_transfer").write_text("x")
    mine = [
        ".b.csv.part",
        ".config.old",
        "b.csv.89abcdef.tf_transfer",
        ".b.csv.89ABCDEF.tf_transfer",
        ".tf_transfer",
    ]
    for name in mine:
        (tmp_path / name).write_text("mine")
    write_text(tmp_path / "a.txt", "new")
    assert names(tmp_path) == sorted(["a.txt", *mine])


def test_where_nothing_can_be_locked_only_what_is_old_is_swept(tmp_path, monkeypatch):
    monkeypatch.setattr(temporary, "fcntl", None)
    old, young = (tmp_path / f".{name}.0123abcd.tf_transfer" for name in ("old", "young"))
    for folder in (old, young):
        folder.mkdir()
    two_days_ago = time.time() - 2 * 86_400
    os.utime(old, (two_days_ago, two_days_ago))
    fill(tmp_path / "model", "new")
    write_text(tmp_path / "a.txt", "new")
    assert names(tmp_path) == sorted([young.name, "a.txt", "model"])


def test_a_name_that_a_sweeping_process_takes_away_is_made_again(tmp_path, monkeypatch):
    lock, calls = temporary._lock, []

    def slow(path):
        calls.append(path)
        if len(calls) == 1:
            path.rmdir()
        elif len(calls) == 2:
            raise BlockingIOError
        elif len(calls) == 3:
            held = lock(path)
            path.rmdir()
            return held
        return lock(path)

    monkeypatch.setattr(temporary, "_lock", slow)
    with unfinished(tmp_path / "model", True) as staging:
        assert staging == calls[-1] and staging.is_dir()
    assert len(calls) == 4


def test_hidden_names_fit_and_differ():
    long = [Path("/a") / (letter * 250) for letter in "xy"]
    found = {hidden(path, "0123abcd").name for path in [*long, Path("/a/b")]}
    assert len(found) == 3 and all(len(name) < 100 for name in found)
    assert all(re.fullmatch(r"\..+\.0123abcd\.tf_transfer", name) for name in found)
