"""Local copies of an asset: changed archives, archives in archives, bombs, links, and folders."""

from __future__ import annotations

import bz2
import functools
import gzip
import hashlib
import io
import lzma
import os
import shutil
import tarfile
import zipfile
from pathlib import Path

from tests.hostile.palette import TEXTS, changed_bytes, choose, replaced
from tf_transfer.assets import fetching as assets
from tf_transfer.assets import registry

FILES = {"config.json": b'{"hidden_size": 8}' * 50, "vocab.txt": b"a\nb\n" * 200}

_gzip = functools.partial(gzip.compress, mtime=0)
"""Without the time, so that the same number makes the same input."""


def prepare(base: Path) -> None:
    for name, content in FILES.items():
        (base / "folder").mkdir(exist_ok=True)
        (base / "folder" / name).write_bytes(content)


def make(draws, base, folder):
    source = register(draws, base, folder)
    return lambda: assets.fetch("hostile", source)


def register(draws, base: Path, folder: Path) -> Path:
    """An asset of the name ``hostile``, whose cache is in ``out``, and a local copy of it."""
    files = {
        n: registry.File(f"package/{n}", hashlib.sha256(c).hexdigest(), len(c))
        for n, c in FILES.items()
    }
    pip = registry.PipArchive("hostile", "1.0", "0" * 64, 20_000)
    inner = choose(draws, ["", "package/inner.tar.gz"])
    registry.ENTRIES["hostile"] = registry.Entry(
        "hostile", "dataset", "A test", "none", "nowhere", files, pip=pip, inner=inner
    )
    os.environ[assets.CACHE_VARIABLE] = str(folder / "out")
    return choose(draws, [_zip, _zip, _tar, _tar, _bomb, _odd, _folder])(draws, base, folder)


def _members(draws) -> dict[str, bytes]:
    members = {f"package/{name}": content for name, content in FILES.items()}
    if draws.random() < 0.5:
        members["package/inner.tar.gz"] = _packed_tar({"deep/vocab.txt": FILES["vocab.txt"]}, draws)
    for _ in range(int(draws.integers(4))):
        name = choose(
            draws,
            [*TEXTS, "../../x", "/etc/passwd", "package/", "package/vocab.txt", "a/" * 500 + "x"],
        )
        members[name.encode("utf-8", "replace").decode().replace("\0", "") or "x"] = bytes(
            int(draws.integers(3000))
        )
    return members


def _zip(draws, base, folder: Path) -> Path:
    path = folder / "copy.zip"
    method = choose(
        draws, [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
    )
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in _members(draws).items():
            archive.writestr(name, content)
    content = bytearray(path.read_bytes())
    if draws.random() < 0.4:  # a field of the headers: flags, method, sizes, offsets
        for magic, shift in ((b"PK\3\4", 0), (b"PK\1\2", 2)):
            place, field = content.find(magic), int(choose(draws, [6, 8, 18, 22, 26, 28]))
            while place >= 0 and place + field + shift + 1 < len(content):
                content[place + field + shift] = int(draws.integers(256))
                place = content.find(magic, place + 1)
    path.write_bytes(changed_bytes(draws, content) if draws.random() < 0.6 else content)
    return path


def _packed_tar(members: dict, draws) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(
        fileobj=stream,
        mode="w",
        format=choose(draws, [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
    ) as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name[:90] or "x")
            info.size = len(content)
            info.type = choose(
                draws,
                [tarfile.REGTYPE] * 6
                + [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE],
            )
            info.linkname = "/etc/passwd"
            tar.addfile(info, io.BytesIO(content))
    content = bytearray(stream.getvalue())
    if draws.random() < 0.4:  # a field of a header, its sum mended
        start, field = (
            512 * int(draws.integers(max(len(content) // 512, 1))),
            int(choose(draws, [100, 124, 136, 156, 257, 345])),
        )
        content[start + field : start + field + 4] = bytes(
            int(i) for i in draws.integers(0, 256, 4)
        )
        header = content[start : start + 512]
        if len(header) == 512:
            content[start + 148 : start + 156] = b"%06o\0 " % (
                sum(header[:148]) + sum(header[156:]) + 256
            )
    pack = choose(draws, [_gzip, bz2.compress, lzma.compress, bytes])
    return pack(bytes(content))


def _tar(draws, base, folder: Path) -> Path:
    path = folder / "copy.tar"
    content = _packed_tar(_members(draws), draws)
    path.write_bytes(changed_bytes(draws, content) if draws.random() < 0.5 else content)
    return path


def _bomb(draws, base, folder: Path) -> Path:
    """A small file that unpacks to 200 MB."""
    path, name = folder / "copy.tar.gz", choose(draws, ["package/vocab.txt", "noise"])
    pack = choose(draws, [_gzip, bz2.compress, lzma.compress])
    if draws.random() < 0.5:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, bytes(200_000_000))
    else:
        info = tarfile.TarInfo(name)
        info.size = int(choose(draws, [10**8, 10**12, 2 * 10**8]))
        path.write_bytes(pack(info.tobuf(tarfile.GNU_FORMAT) + bytes(100_000_000)))
    return path


def _odd(draws, base, folder: Path) -> Path:
    name = choose(
        draws,
        [
            "/dev/zero",
            "/dev/null",
            "/proc/self/mem",
            "/proc",
            "",
            ".",
            "..",
            "\0",
            "x" * 300,
            "/etc/passwd",
        ],
    )
    if draws.random() < 0.5:
        path = folder / "copy.zip"
        path.write_bytes(b"PK")
        replaced(draws, path)
        return path
    return Path(name)


def _folder(draws, base, folder: Path) -> Path:
    source = folder / "copy"
    shutil.copytree(base / "folder", source)
    replaced(draws, source / choose(draws, list(FILES)))
    return source
