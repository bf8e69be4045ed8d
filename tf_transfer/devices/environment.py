"""Whether the installed packages are ones that this toolkit works with; checked at first use."""

from __future__ import annotations

import contextlib
import functools
import os
from importlib import metadata

from tf_transfer.errors import VersionError

SUPPORTED = {
    "tensorflow": ((2, 20), (2, 22)),
    "tf-keras": ((2, 20), (2, 22)),
    # 4.55 and later cannot read PyTorch-format safetensors; 5 has no TensorFlow classes.
    "transformers": ((4, 51), (4, 55)),
}


@functools.cache
def check_versions() -> None:
    """Call before TensorFlow is imported.

    Raises:
        VersionError: a package is missing, too old, too new, or TensorFlow and tf-keras differ;
            the message holds the command that mends it.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # no start-up notes on CPU instructions
    installed = {}
    for package, (low, high) in SUPPORTED.items():
        asked = f"{package}>={_text(low)},<{_text(high)}"
        try:
            version = metadata.version(package)
        except metadata.PackageNotFoundError:
            if package == "tensorflow" and (version := _tensorflow_variant()):
                pass
            else:
                raise VersionError(_message(package, "none is installed", asked)) from None
        installed[package] = tuple(int(part) for part in version.split(".")[:2])
        if not low <= installed[package] < high:
            raise VersionError(_message(package, f"{version} is installed", asked))
    if installed["tensorflow"] != installed["tf-keras"]:
        wanted = _text(installed["tensorflow"])
        raise VersionError(
            _message(
                "tf-keras", f"{_text(installed['tf-keras'])} is installed", f"tf-keras=={wanted}.*"
            )
        )


@functools.cache
def compiles_for_processors() -> bool:
    """Whether TensorFlow's XLA compiles for processors: the build for TPUs compiles for those
    alone.
    """
    try:
        metadata.version("tensorflow")
    except metadata.PackageNotFoundError:
        with contextlib.suppress(metadata.PackageNotFoundError):
            return not metadata.version("tensorflow-tpu")
    return True


def _tensorflow_variant() -> str | None:
    for name in ("tensorflow-cpu", "tensorflow-macos", "tensorflow-intel", "tensorflow-tpu"):
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        # transformers does not know all of these names
        os.environ.setdefault("FORCE_TF_AVAILABLE", "1")
        return version
    return None


def _message(package: str, received: str, asked: str) -> str:
    return f"tf_transfer needs {asked}; {received}.\nMend it with: pip install '{asked}'"


def _text(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
