"""Saving and loading: the same bits back, one clear error otherwise."""

import errno
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import safetensors.numpy

from tests import tiny
from tf_transfer.encoders.freezing import freeze
from tf_transfer.errors import CheckpointError, DataError
from tf_transfer.files.temporary import EARLIER, hidden
from tf_transfer.kinds.tasks import Task
from tf_transfer.model import checkpoints
from tf_transfer.model.checkpoints import load_state, save_state
from tf_transfer.model.model import load_model


@pytest.fixture(scope="module")
def saved(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "model"
    trained.save(folder)
    return folder


@pytest.fixture
def folder(saved, tmp_path):
    """A copy that a test may damage."""
    return Path(shutil.copytree(saved, tmp_path / "model"))


def test_a_loaded_model_predicts_the_same_bits(trained, saved):
    loaded, table = load_model(saved), tiny.make_table(9, seed=4)
    assert tiny.same(loaded.predict(table, verbose=0), trained.predict(table, verbose=0))
    assert tiny.same(tiny.snapshot(loaded), tiny.snapshot(trained))
    assert loaded.tasks == trained.tasks
    assert dict(loaded.options) == dict(trained.options)
    assert float(loaded.heads["stars"].scale[2]) == 1


def test_a_loaded_model_trains_to_the_same_bits(trained, saved):
    models = [load_model(saved), trained.copy()]
    for model in models:
        model.compile(optimizer="sgd", run_eagerly=True)
        model.fit(tiny.make_table(4), batch_size=4, verbose=0)
    assert tiny.same(*(tiny.snapshot(m) for m in models))
    assert not tiny.same(tiny.snapshot(models[0]), tiny.snapshot(trained))


@pytest.mark.parametrize(
    ("classes", "weight"),
    [
        ((0, 1, 2), {0: 2.0, 2: 0.5}),
        ((False, True), {True: 3.0}),
        (("no", "yes"), {"yes": 3.0}),
        ((1.5, 2.5), "balanced"),
    ],
)
def test_classes_and_weights_come_back_as_they_were(tmp_path, classes, weight):
    task = Task(
        "y",
        label="column",
        kind="classification",
        classes=classes,
        class_weight=weight,
        loss_weight=0.25,
    )
    tiny.make_model([task], freeze=1, text_pair="other").save(tmp_path / "m")
    loaded = load_model(tmp_path / "m")
    assert loaded.tasks == [task]
    assert [type(c) for c in loaded.tasks[0].classes] == [type(c) for c in classes]
    y = np.arange(len(classes))
    assert np.array_equal(loaded.tasks[0].class_weights(y), task.class_weights(y))
    assert loaded.options["text_pair"] == "other" and loaded.encoder.frozen == 1
    assert (
        loaded.predict(pd.DataFrame({"text": ["dawn"], "other": [""]}), verbose=0)["y"].labels[0]
        in classes
    )


def test_freezing_after_building_does_not_mix_up_the_weights(tmp_path):
    model = tiny.make_model()
    freeze(model.encoder, 1)
    model.save(tmp_path / "m")
    loaded = load_model(tmp_path / "m")
    assert tiny.same(tiny.snapshot(loaded), tiny.snapshot(model))
    assert len(loaded.trained_variables) == len(model.trained_variables)
    load_state(tiny.make_model(), tmp_path / "m" / "model.safetensors")


def test_only_plain_files_are_written(saved):
    assert sorted(p.name for p in saved.iterdir()) == [
        "config.json",
        "encoder",
        "model.safetensors",
    ]
    assert {p.suffix for p in saved.rglob("*") if p.is_file()} <= {".json", ".safetensors", ".txt"}


def test_open_tasks_cannot_be_saved(tmp_path):
    with pytest.raises(DataError, match="no kind or classes"):
        tiny.make_model([Task("mood")]).save(tmp_path / "m")
    assert not list(tmp_path.iterdir())


def test_saving_again_replaces_a_saved_model_and_nothing_else(trained, folder, tmp_path):
    (folder / "old").write_text("")
    trained.save(folder)
    assert not (folder / "old").exists()
    with pytest.raises(CheckpointError, match="exists already"):
        trained.save(folder, overwrite=False)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work")
    with pytest.raises(
        CheckpointError, match=r"not a saved model; it is kept(.|\n)*'chapter\.txt'"
    ):
        trained.save(tmp_path / "thesis")
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == "years of work"
    (tmp_path / "empty").mkdir()
    trained.save(tmp_path / "empty")
    load_model(tmp_path / "empty")


def test_a_full_disk_leaves_the_earlier_model(trained, folder, monkeypatch):
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    write = Path.write_bytes

    def full(path, data):
        write(path, data[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(CheckpointError, match="disk is full"):
        trained.save(folder)
    with pytest.raises(CheckpointError, match="disk is full"):
        save_state(trained, folder.parent / "state", {})
    monkeypatch.undo()
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before
    assert [p.name for p in folder.parent.iterdir()] == ["model"]


def test_weights_alone_come_back_with_their_note(trained, tmp_path):
    rates = [np.float32(0.25), np.arange(6, dtype=np.float32).reshape(2, 3)]
    save_state(trained, tmp_path / "state.safetensors", {"seconds": "1.5"}, rates)
    other = tiny.make_model(seed=9)
    note, learned = load_state(other, tmp_path / "state.safetensors")
    assert note == {"seconds": "1.5"}
    assert [a.tolist() for a in learned] == [r.tolist() for r in rates]
    assert tiny.same(tiny.snapshot(other), tiny.snapshot(trained))


# -- damaged and foreign ---------------------------------------------------------------------------


def test_what_is_no_folder_of_a_model_is_named(tmp_path):
    with pytest.raises(CheckpointError, match="no such folder"):
        load_model(tmp_path / "nowhere")
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(CheckpointError, match=r"'notes\.txt'"):
        load_model(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"model_type": "bert"}'])
def test_a_foreign_configuration_is_refused(folder, content):
    (folder / "config.json").write_text(content)
    with pytest.raises(
        CheckpointError, match=r"config\.json (is damaged|must be of the format 'tf_transfer/2')"
    ):
        load_model(folder)


@pytest.mark.parametrize(
    "change", [{"tasks": None}, {"tasks": [{"name": "x"}]}, {"options": {"nonsense": 1}}]
)
def test_an_impossible_configuration_is_refused(folder, change):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(CheckpointError, match="is damaged"):
        load_model(folder)


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "pooling.json"])
@pytest.mark.parametrize("content", [None, b"{]"])
def test_a_missing_or_damaged_encoder_file_is_one_clear_error(folder, file, content):
    (folder / "encoder" / file).unlink()
    if content is not None:
        (folder / "encoder" / file).write_bytes(content)
    with pytest.raises(CheckpointError, match="is damaged"):
        load_model(folder)


@pytest.mark.parametrize("cut", [0, 4, 1000, -1])
def test_cut_weights_are_refused(folder, cut):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(CheckpointError, match="missing or damaged"):
        load_model(folder)
    path.unlink()
    with pytest.raises(CheckpointError, match="missing or damaged"):
        load_model(folder)


@pytest.mark.parametrize("case", ["fewer", "more", "shape", "names"])
def test_weights_of_another_model_are_refused_and_change_nothing(folder, case):
    path = folder / "model.safetensors"
    tensors = safetensors.numpy.load_file(path)
    key = checkpoints._key(0)
    if case == "fewer":
        del tensors[key]
    elif case == "more":
        tensors["extra"] = np.zeros(3, np.float32)
    elif case == "shape":
        tensors[key] = np.zeros(3, np.float32)
    else:
        tensors = {"bert." + k: v for k, v in tensors.items()}
    safetensors.numpy.save_file(tensors, path)
    model = tiny.make_model()
    before = tiny.snapshot(model)
    with pytest.raises(CheckpointError, match="does not fit the model"):
        load_state(model, path)
    assert tiny.same(before, tiny.snapshot(model))


def test_a_flipped_bit_is_found(tmp_path):
    tiny.make_model().save(tmp_path / "model")
    path = tmp_path / "model" / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError):
        load_model(tmp_path / "model")


def test_a_model_that_a_killed_process_had_moved_away_is_found(trained, folder):
    folder.rename(hidden(folder, EARLIER))
    assert load_model(folder).tasks == trained.tasks
    folder.rename(hidden(folder, EARLIER))
    with pytest.raises(CheckpointError, match="exists already"):
        trained.save(folder, overwrite=False)
    assert [p.name for p in folder.parent.iterdir()] == ["model"]
