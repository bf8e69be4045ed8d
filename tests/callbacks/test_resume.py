"""A run that was killed and started again is the run that never was."""

import csv
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests import tiny
from tests.callbacks import runs
from tests.callbacks.runs import Kill, fit, start
from tf_transfer.devices.backend import keras, tf
from tf_transfer.errors import CheckpointError, DataError
from tf_transfer.training.callbacks.backup import FILE
from tf_transfer.training.callbacks.resume import Resume


@pytest.fixture(scope="module")
def whole(shared):
    """Weights and history of the run that is not interrupted."""
    start(shared)
    history = fit(shared)
    assert len(history["loss"]) >= 3
    return tiny.snapshot(shared), history


def killed(model, *callbacks, step: int, **options) -> None:
    start(model)
    with pytest.raises(KeyboardInterrupt):
        fit(model, *callbacks, Kill(step), **options)


@pytest.fixture
def stopped(model, tmp_path):
    """The folder of a backup in the midst of the second epoch."""
    killed(model, Resume(tmp_path / "backup", save_freq=4), step=9)
    start(model)
    return tmp_path / "backup"


def same(model, whole, history) -> bool:
    return tiny.same(tiny.snapshot(model), whole[0]) and history == whole[1]


KILLS = [("epoch", 7), (4, 14)]
MORE_KILLS = [("epoch", 3), ("epoch", 12), (1, 9), (4, 7), (4, 12), (5, 4)]


@pytest.mark.parametrize(
    ("save_freq", "step"),
    [*KILLS, *(pytest.param(*kill, marks=pytest.mark.slow) for kill in MORE_KILLS)],
)
def test_a_killed_run_ends_with_the_same_bits(model, whole, tmp_path, save_freq, step):
    killed(model, Resume(tmp_path / "backup", save_freq), step=step)
    start(model)
    kill = Kill(0)
    assert same(model, whole, fit(model, Resume(tmp_path / "backup", save_freq), kill))
    done = (
        step - 1
        if save_freq == 1
        else (step - 1) // runs.STEPS * runs.STEPS
        if save_freq == "epoch"
        else 0
    )
    assert kill.seen["batches"] <= len(whole[1]["loss"]) * runs.STEPS - done
    assert not (tmp_path / "backup").exists()


@pytest.mark.slow
def test_a_run_may_be_killed_again_and_again(model, whole, tmp_path):
    for step in (5, 6, 3):
        start(model)
        with pytest.raises(KeyboardInterrupt):
            fit(model, Resume(tmp_path, save_freq=2), Kill(step))
    start(model)
    assert same(model, whole, fit(model, Resume(tmp_path, save_freq=2)))


def test_keras_own_callback_is_as_good(model, whole, tmp_path):
    backup = keras.callbacks.BackupAndRestore(str(tmp_path / "backup"), save_freq=2)
    killed(model, backup, step=9)
    start(model)
    assert same(model, whole, fit(model, backup))


@pytest.mark.slow
def test_in_a_notebook_the_cell_is_run_again(model, whole, tmp_path):
    killed(model, Resume(tmp_path, save_freq=2), step=9)
    assert same(model, whole, fit(model, Resume(tmp_path, save_freq=2)))


@pytest.mark.slow
def test_a_killed_process_goes_on(model, whole, tmp_path):
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "tests.callbacks.runs", str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(root)}
    found = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    assert found.returncode == -signal.SIGKILL, found.stderr
    assert (tmp_path / FILE).exists()
    kill = Kill(0)
    assert same(model, whole, fit(model, Resume(tmp_path, save_freq=4), kill))
    assert kill.seen["batches"] == len(whole[1]["loss"]) * runs.STEPS - 12


@pytest.mark.slow
def test_a_run_that_had_been_stopped_is_not_trained_on(model, tmp_path):
    class Fail(keras.callbacks.Callback):
        def on_train_end(self, logs=None):
            raise KeyboardInterrupt

    def run(*more):
        stop = keras.callbacks.EarlyStopping(
            "loss", mode="max", patience=0, restore_best_weights=True
        )
        return model.fit(
            runs.TABLE,
            epochs=9,
            batch_size=11,
            callbacks=[stop, Resume(tmp_path), *more],
            verbose=0,
        ).history

    with pytest.raises(KeyboardInterrupt):
        run(Fail())
    start(model)
    kill = Kill(0)
    history = run(kill)
    assert kill.seen["batches"] == 0 and len(history["loss"]) == 2
    best = tiny.snapshot(model)
    start(model)
    model.fit(runs.TABLE, epochs=9, initial_epoch=8, batch_size=11, verbose=0)
    start(model)
    run()
    assert tiny.same(tiny.snapshot(model), best)


@pytest.mark.slow
@pytest.mark.parametrize("save_freq", ["epoch", 4])
def test_callbacks_that_set_the_rate_and_logs_on_disk_go_on(model, tmp_path, save_freq):
    def run(name, *more):
        start(model)
        scheduler = keras.callbacks.LearningRateScheduler(
            lambda epoch, rate: 0.01 if epoch == 0 else rate * 0.8
        )
        plateau = keras.callbacks.ReduceLROnPlateau(
            "loss", factor=0.5, patience=1, min_delta=9, mode="min"
        )
        log = keras.callbacks.CSVLogger(str(tmp_path / name))
        history = fit(model, scheduler, plateau, log, Resume(tmp_path / "backup", save_freq), *more)
        return tiny.snapshot(model), history, list(csv.DictReader((tmp_path / name).open()))

    first = run("one.csv")
    with pytest.raises(KeyboardInterrupt):
        run("two.csv", Kill(16))
    second = run("two.csv")
    assert tiny.same(first[0], second[0]) and first[1:] == second[1:]
    assert len(first[2]) == len(first[1]["loss"])
    rates = first[1]["learning_rate"]
    # Set to .01; the plateau halves the rate after each epoch from the second on.
    np.testing.assert_allclose(rates[:3], [0.01, 0.008, 0.008 * 0.5 * 0.8], rtol=1e-6)


@pytest.mark.slow
def test_tf_data_goes_on(model, tmp_path):
    def run(data, freq, *more, **options):
        start(model)
        callbacks = [Resume(tmp_path / "backup", freq), *more]
        model.fit(data(), epochs=3, callbacks=callbacks, verbose=0, **options)
        return tiny.snapshot(model)

    def rows():
        return model.dataset(runs.TABLE, batch_size=4).shuffle(9, seed=1)

    for data, freq, options in [
        (rows, "epoch", {}),
        (lambda: rows().repeat(), 2, {"steps_per_epoch": 6}),
    ]:
        expected = run(data, freq, **options)
        with pytest.raises(KeyboardInterrupt):
            run(data, freq, Kill(9), **options)
        assert tiny.same(expected, run(data, freq, **options))
    with pytest.raises(DataError, match=r"place to go on from(.|\n)*save_freq=2(.|\n)*repeat\(\)"):
        run(rows, 2)


# -- bad input -------------------------------------------------------------------------------------


def assert_refused(model, folder, message, call) -> None:
    """The call fails with the message, and neither the backup nor the model is changed."""
    before, written = tiny.snapshot(model), (folder / FILE).read_bytes()
    with pytest.raises(CheckpointError, match=message):
        call()
    assert tiny.same(before, tiny.snapshot(model))
    assert (folder / FILE).read_bytes() == written


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"epochs": 5}, r"epochs \(4 in the backup, 5 now\)"),
        (
            {"batch_size": 5},
            r"batch_size \(4 in the backup, 5 now\), steps_per_epoch|batch_size \(4 in the "
            r"backup, 5",
        ),
    ],
)
def test_other_settings_are_refused(model, stopped, change, named):
    assert_refused(model, stopped, named, lambda: fit(model, Resume(stopped), **change))


def test_other_data_is_refused(model, stopped):
    table = runs.TABLE.assign(stars=lambda t: t["stars"] + 1)
    call = lambda: model.fit(table, epochs=4, batch_size=4, callbacks=Resume(stopped), verbose=0)  # noqa: E731
    assert_refused(
        model,
        stopped,
        r"another training; nothing was changed(.|\n)*differ: data: hash\.(.|\n)*backup_dir",
        call,
    )


def test_another_model_is_refused(model, stopped):
    other = tiny.make_model(tiny.TASKS[:1], max_length=20)
    call = lambda: fit(other, Resume(stopped))  # noqa: E731
    assert_refused(
        other,
        stopped,
        r"another training(.|\n)*tasks; (.|\n)*max_length \(24 in the backup, 20 now\)",
        call,
    )
    model.heads["mood"].bias.assign_add([1.0, 0, 0])
    assert_refused(model, stopped, r"differ: first weights\.", lambda: fit(model, Resume(stopped)))


@pytest.mark.parametrize("damage", ["truncated", "changed", "empty"])
def test_a_damaged_backup_is_refused(model, stopped, damage):
    content = bytearray((stopped / FILE).read_bytes())
    content[-100] ^= 1
    kept = {"truncated": content[:-50], "changed": content, "empty": b""}[damage]
    (stopped / FILE).write_bytes(kept)
    assert_refused(
        model,
        stopped,
        r"training.safetensors is (missing or )?damaged(.|\n)*Delete it",
        lambda: fit(model, Resume(stopped)),
    )


def test_one_run_and_several_parts_do_not_share_a_folder(model, stopped, tmp_path):
    with pytest.raises(CheckpointError, match="backup of another training"):
        Resume(stopped).part(0)
    shutil.move(stopped, tmp_path / "other" / "part-1")
    with pytest.raises(CheckpointError, match="in several parts"):
        fit(model, Resume(tmp_path / "other"))


def test_what_cannot_be_resumed_is_told(model, tmp_path):
    with pytest.raises(DataError, match=r"'epoch' or a number of batches(.|\n)*0"):
        Resume(tmp_path, save_freq=0)
    with pytest.raises(DataError, match="Received 2 callbacks"):
        fit(model, Resume(tmp_path), keras.callbacks.BackupAndRestore(str(tmp_path)))
    plain = keras.Sequential([keras.layers.Dense(1)])
    plain.compile(loss="mse", run_eagerly=True)
    with pytest.raises(DataError, match="Received a Sequential"):
        plain.fit(tf.zeros((2, 1)), tf.zeros((2, 1)), callbacks=[Resume(tmp_path)], verbose=0)


def test_a_backup_is_kept_on_request(model, whole, tmp_path):
    fit(model, Resume(tmp_path, delete_checkpoint=False))
    start(model)
    kill = Kill(0)
    assert same(model, whole, fit(model, Resume(tmp_path, delete_checkpoint=False), kill))
    assert kill.seen["batches"] == 0


def test_what_killed_processes_left_beside_a_backup_goes_with_it(model, whole, tmp_path):
    left = tmp_path / "backup" / f".{FILE}.0123abcd.tf_transfer"
    left.parent.mkdir()
    left.write_bytes(b"half")
    assert same(model, whole, fit(model, Resume(tmp_path / "backup", save_freq=10**6)))
    assert not (tmp_path / "backup").exists()


def test_a_backup_that_cannot_be_written_is_told_before_the_training(model, tmp_path):
    (tmp_path / "file").write_text("mine")
    kill = Kill(1)
    with pytest.raises(CheckpointError, match="Could not write"):
        fit(model, Resume(tmp_path / "file" / "backup"), kill)
    assert kill.seen["batches"] == 0 and (tmp_path / "file").read_text() == "mine"
