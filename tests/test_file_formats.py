"""A file of an earlier or a later format: who wrote it, what this version reads, and what to do."""

import importlib

import pytest

from tests import tiny
from tf_transfer import __version__
from tf_transfer.advisor import advice
from tf_transfer.devices.backend import tf
from tf_transfer.episodes import files as episodes
from tf_transfer.episodes.sampler import EpisodeSampler
from tf_transfer.errors import CheckpointError, DataError
from tf_transfer.experiments import runs
from tf_transfer.files.file_format import FileFormat
from tf_transfer.model.model import load_model
from tf_transfer.training.callbacks import backup
from tf_transfer.training.callbacks.plain_state import Arrays
from tf_transfer.tuning.records import Records


def write_run(folder):
    runs.Run(folder).start({}, {}, {})
    return folder / "run.json"


def write_model(folder):
    tiny.make_model().save(folder / "model")
    return folder / "model" / "config.json"


def write_search(folder):
    Records(folder).start({})
    return folder / "search.json"


def write_advice(folder):
    advice.Advice(tiny.make_table(0), (), {}, 0.0).save(folder / "advice.json")
    return folder / "advice.json"


def write_episodes(folder):
    path = folder / "episodes.json"
    episodes.freeze_episodes(EpisodeSampler(tiny.make_table(8), None, 1, 1, 1), 1, path)
    return path


def write_backup(folder):
    path, strategy = folder / backup.FILE, tf.distribute.get_strategy()
    backup.write_backup(path, backup.Place(), {}, {}, {}, {}, Arrays(), strategy)
    return path


def read_episodes(path):
    return episodes.load_episodes(path, tiny.make_table(8))


FILES = {
    "tf_transfer.experiments.runs": (write_run, lambda path: runs.Run(path.parent).read()),
    "tf_transfer.model.checkpoints": (write_model, lambda path: load_model(path.parent)),
    "tf_transfer.tuning.records": (write_search, lambda path: Records(path.parent).start({})),
    "tf_transfer.advisor.advice": (write_advice, advice.load_advice),
    "tf_transfer.episodes.files": (write_episodes, read_episodes),
    "tf_transfer.training.callbacks.backup": (write_backup, backup.read_backup),
}
"""How each kind of file is written, and how it is read; by the module of its FORMAT."""


@pytest.mark.parametrize("module", FILES)
@pytest.mark.parametrize(
    "step, remedy", [(-1, "install tf_transfer 7.8.9."), (1, "7.8.9 or later.")]
)
def test_another_format_is_refused_with_its_version_and_a_remedy(
    tmp_path, monkeypatch, module, step, remedy
):
    write, read = FILES[module]
    present = importlib.import_module(module).FORMAT
    other = FileFormat(present.name, present.number + step)
    with monkeypatch.context() as patched:
        patched.setattr(f"{module}.FORMAT", other)
        patched.setattr("tf_transfer.files.file_format.__version__", "7.8.9")
        path = write(tmp_path)
    with pytest.raises((CheckpointError, DataError)) as refused:
        read(path)
    first, second, third = str(refused.value).splitlines()
    assert first == f"{path} was written by tf_transfer 7.8.9 (format {other.number})."
    assert second == f"This is tf_transfer {__version__}, which reads format {present.number}."
    assert third.endswith(remedy) and len(third) > len(remedy) + 40


@pytest.mark.parametrize("module", FILES)
def test_the_present_format_is_read(tmp_path, module):
    """What the file says of itself is the format and the version, and no error follows from it."""
    write, read = FILES[module]
    path = write(tmp_path)
    content = path.read_bytes()
    for said in (str(importlib.import_module(module).FORMAT), __version__):
        assert said.encode() in content
    read(path)


@pytest.mark.parametrize("content", [[], None, {}, {"format": 2}, {"format": "other/2"}])
def test_what_has_no_such_format_is_of_another_program(content):
    with pytest.raises(CheckpointError, match=r"must be of the format 'x/2'.\nReceived .*another"):
        FileFormat("x", 2).check("a.json", content, "Make one.")


@pytest.mark.parametrize("version", [None, 3, "1.0\n", "1" * 41])
def test_what_is_no_version_is_not_shown(version):
    with pytest.raises(CheckpointError) as refused:
        FileFormat("x", 2).check("a", {"format": "x/1", "tf_transfer": version}, "Make one.")
    assert str(refused.value) == (
        "a was written by tf_transfer of an unknown version (format 1).\n"
        f"This is tf_transfer {__version__}, which reads format 2.\n"
        "Make one. To read the file as it is, install the version that wrote it."
    )
