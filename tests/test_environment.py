import os
from importlib import metadata

import pytest

from tf_transfer.devices import environment
from tf_transfer.errors import VersionError

GOOD = {"tensorflow": "2.21.0", "tf-keras": "2.21.3", "transformers": "4.54.1"}


@pytest.fixture
def check(monkeypatch):
    """`check_versions` without its cache, for pretended installations."""

    def run(installed):
        def version(package):
            if package not in installed:
                raise metadata.PackageNotFoundError(package)
            return installed[package]

        monkeypatch.setattr(metadata, "version", version)
        environment.check_versions.__wrapped__()

    return run


@pytest.mark.parametrize("version", ["2.20.0", "2.21.0", "2.21.0rc1"])
def test_supported_versions_pass(check, version):
    check(GOOD | {"tensorflow": version, "tf-keras": version})


@pytest.mark.parametrize("name", ["tensorflow-cpu", "tensorflow-macos", "tensorflow-tpu"])
def test_a_variant_of_tensorflow_will_do(check, name, monkeypatch):
    monkeypatch.setenv("FORCE_TF_AVAILABLE", "")  # so that it is put back
    monkeypatch.delenv("FORCE_TF_AVAILABLE")
    check({"tf-keras": "2.20.1", "transformers": "4.51.0", name: "2.20.0"})
    assert os.environ["FORCE_TF_AVAILABLE"] == "1"  # transformers knows only some of the names


@pytest.mark.parametrize(
    ("name", "found"), [("tensorflow", True), ("tensorflow-cpu", True), ("tensorflow-tpu", False)]
)
def test_the_build_for_tpus_compiles_for_those_alone(name, found, monkeypatch):
    def version(package):
        if package != name:
            raise metadata.PackageNotFoundError(package)
        return "2.20.0"

    monkeypatch.setattr(metadata, "version", version)
    assert environment.compiles_for_processors.__wrapped__() is found


@pytest.mark.parametrize(
    ("package", "version", "command"),
    [
        ("tensorflow", "2.19.1", "pip install 'tensorflow>=2.20,<2.22'"),
        ("tensorflow", "2.22.0", "pip install 'tensorflow>=2.20,<2.22'"),
        ("tf-keras", "2.16.0", "pip install 'tf-keras>=2.20,<2.22'"),
        ("transformers", "4.55.0", "pip install 'transformers>=4.51,<4.55'"),
        ("transformers", "5.0.0", "pip install 'transformers>=4.51,<4.55'"),
        ("transformers", "4.6.0", "pip install 'transformers>=4.51,<4.55'"),
    ],
)
def test_a_wrong_version_is_named_with_the_mending_command(check, package, version, command):
    with pytest.raises(VersionError) as error:
        check(GOOD | {package: version})
    assert f"{version} is installed" in str(error.value)
    assert command in str(error.value)


def test_keras_must_go_with_tensorflow(check):
    with pytest.raises(VersionError, match=r"pip install 'tf-keras==2\.21\.\*'"):
        check(GOOD | {"tf-keras": "2.20.0"})


@pytest.mark.parametrize("package", GOOD)
def test_a_missing_package_is_named(check, package):
    with pytest.raises(VersionError, match=f"pip install '{package}>="):
        check({k: v for k, v in GOOD.items() if k != package})
