"""`import tf_transfer` and the command line's help answer at once."""

import subprocess
import sys

import pytest

import tf_transfer

SLOW = "tensorflow", "tf_keras", "transformers", "pandas", "sklearn", "scipy", "matplotlib"


def imported_by(code: str) -> set[str]:
    check = f"{code}\nimport sys\nprint(*[name for name in {SLOW} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_the_package_alone_imports_nothing_slow():
    assert imported_by("import tf_transfer; dir(tf_transfer); tf_transfer.__version__") == set()


@pytest.mark.parametrize("arguments", [["--help"], ["compare", "--help"], ["--version"]])
def test_help_imports_nothing_slow(arguments):
    code = (
        f"import sys; sys.argv = ['tf-transfer', *{arguments}]\n"
        "from tf_transfer.command_line.cli import main\n"
        "try: main()\n"
        "except SystemExit as done: assert not done.code"
    )
    assert imported_by(code) == set()


def test_a_name_imports_only_what_it_needs():
    assert imported_by("import tf_transfer; tf_transfer.TransferError") == set()
    assert imported_by("from tf_transfer import load_table, Task, clean_text") <= {"pandas"}
    assert "tensorflow" not in imported_by(
        "from tf_transfer import Comparison, load_experiment, bootstrap_interval"
    )


@pytest.mark.parametrize("name", tf_transfer.__all__)
def test_every_public_name_resolves(name):
    assert getattr(tf_transfer, name) is not None
    assert name in dir(tf_transfer)


def test_a_name_is_the_one_of_its_module():
    from tf_transfer.comparison.compare import compare
    from tf_transfer.evaluation.scores import evaluate

    assert tf_transfer.compare is compare
    assert tf_transfer.evaluate is evaluate


def test_public_names_differ_and_are_documented():
    assert len(set(tf_transfer.__all__)) == len(tf_transfer.__all__)
    bare = [
        name
        for name in tf_transfer.__all__
        if not (getattr(tf_transfer, name).__doc__ or "").strip()
    ]
    assert bare == []


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'TransferModle'"):
        tf_transfer.TransferModle  # noqa: B018
    with pytest.raises(ImportError):
        from tf_transfer import TransferModle  # noqa: F401
