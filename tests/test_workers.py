"""Two worker processes over loopback, and what they say when they differ or when one is lost."""

import dataclasses
import json

import numpy as np
import pytest

from tests import step_losses, tiny, two_workers
from tf_transfer.devices import workers
from tf_transfer.devices.backend import tf
from tf_transfer.devices.distribution import connect
from tf_transfer.errors import DistributionError


def ended(processes, seconds: int = 280) -> list[tuple[str, str]]:
    """Output and errors of each process; none is left running."""
    try:
        return [p.communicate(timeout=seconds) for p in processes]
    finally:
        for process in processes:
            process.kill()


def found_by(processes) -> list[dict]:
    results = ended(processes)
    assert all(p.returncode == 0 for p in processes), results
    return [json.loads(out.splitlines()[-1]) for out, _ in results]


DIFFERENCES = {
    "batch_size": "data: batch_size: worker 0 8, worker 1 16\n",
    "epochs": "epochs: worker 0 1, worker 1 2\n",
    "sample_weight": "data: weights: worker 0 ",
    "loss_weight": "tasks: worker 0 ",
    "tf.data": "data: batches: worker 0 1, worker 1 2\n",
    "validation": "table: worker 0 none, worker 1 16 rows",
    "backup": "backup: worker 0 none, worker 1 epoch\n",
    "predict": "table: worker 0 16 rows",
}


def flat(found: dict, *keys) -> np.ndarray:
    """The numbers under a path of keys."""
    for key in keys:
        found = found[key]
    return np.concatenate([np.ravel(v) for v in tf.nest.flatten(found)])


@pytest.mark.slow
def test_two_workers_train_as_one_device_does():
    both = found_by(two_workers.start("tests.two_workers", "losses", ""))
    alone = two_workers.losses(connect("cpu", verbose=False), "")
    for worker in both:
        for key, tolerance in (("steps", 1e-4), ("weights", 5e-5), ("scores", 2e-3)):
            one, two = flat(alone, key), flat(worker, key)
            np.testing.assert_allclose(two, one, rtol=tolerance, atol=tolerance, err_msg=key)
        for name in ("fine_tune", "multi_task", "maml"):
            one, two = (
                flat(alone, "strategies", name, "losses"),
                flat(worker, "strategies", name, "losses"),
            )
            assert len(one) == step_losses.STEPS[name] and np.ptp(one) > 1e-3
            np.testing.assert_allclose(two, one, atol=1e-4, rtol=0, err_msg=name)
        one, two = (
            flat(alone, "strategies", "maml", "weights"),
            flat(worker, "strategies", "maml", "weights"),
        )
        np.testing.assert_allclose(two, one, atol=1e-5)
        assert len(worker["scores"]["dataset"]["mood"]) == 9


@pytest.mark.slow
def test_workers_that_disagree_all_say_so(tmp_path):
    processes = two_workers.start("tests.two_workers", "disagree", str(tmp_path))
    for out, errors in ended(processes):
        said = json.loads(out.splitlines()[-1])
        for name, difference in DIFFERENCES.items():
            assert f"\n{difference}" in said[name], said[name]
            assert all("All workers must have the same data" in text for text in said.values())
        assert "data: rows: worker 0 16, worker 1 17\n" in errors and "Traceback" not in errors
    assert [p.returncode for p in processes] == [2, 2]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What both workers found in a training that was not interrupted."""
    return found_by(
        two_workers.start(
            "tests.two_workers", "resume", str(tmp_path_factory.mktemp("whole") / "run")
        )
    )


@pytest.mark.slow
@pytest.mark.parametrize("killed", [0, 1], ids=["chief", "other"])
def test_a_killed_worker_stops_the_others_and_training_goes_on_to_the_same_bits(
    tmp_path, whole, killed
):
    folder, left = str(tmp_path / "run"), 1 - killed
    processes = two_workers.start("tests.two_workers", "resume", folder, PAUSE="0.7")
    for line in processes[killed].stdout:
        if line.startswith("epoch 1"):
            break
    processes[killed].kill()
    ((_, errors),) = ended([processes[left]])
    processes[killed].communicate()
    assert processes[left].returncode == 2
    assert "Another of the 2 workers no longer answers" in errors and "Traceback" not in errors
    resumed = found_by(two_workers.start("tests.two_workers", "resume", folder))
    assert (
        resumed[0]["epochs"]
        == whole[0]["epochs"]
        == whole[0]["run"]
        == list(range(two_workers.EPOCHS))
    )
    assert resumed[0]["run"] == resumed[1]["run"] in ([1, 2, 3], [2, 3])
    assert resumed[0]["weights"] == resumed[1]["weights"] == whole[0]["weights"]


class Cluster:
    """Stands in for the strategy of two workers whose facts are given."""

    def __init__(self, other):
        self.other = other

    def run(self, function):
        return function()

    def gather(self, value, axis):
        return tf.concat([value, tf.constant(workers._to_codes(self.other))[None]], axis)


@pytest.fixture
def two(monkeypatch):
    """What takes a `Cluster` for the strategy of two workers."""
    monkeypatch.setattr(workers, "workers_of", lambda asked: 2 if isinstance(asked, Cluster) else 1)


@pytest.mark.usefixtures("two")
def test_a_difference_names_both_sides():
    facts = {"table": "3 rows ab", "tensorflow": "2.20.0"}
    workers.check_agreement(Cluster(facts), facts)
    with pytest.raises(
        DistributionError, match=r"\ntensorflow: worker 0 2.20.0, worker 1 2.21.0\n"
    ):
        workers.check_agreement(Cluster(facts | {"tensorflow": "2.21.0"}), facts)
    with pytest.raises(DistributionError, match="table: worker 0 3 rows ab, worker 1 none"):
        workers.check_agreement(Cluster({"tensorflow": "2.20.0"}), facts)


def facts_of_fit(monkeypatch, model, *data, **options) -> dict:
    """What a worker would tell the others at the start of `fit`."""

    class ToldError(Exception):
        pass

    def tell(distribution, facts):
        raise ToldError(facts)

    monkeypatch.setattr(workers, "workers_of", lambda distribution: 2)
    monkeypatch.setattr(workers, "check_agreement", tell)
    with pytest.raises(ToldError) as told:
        model.fit(*data, **options)
    return told.value.args[0]


def test_fit_tells_all_that_must_not_differ(monkeypatch):
    model, table = tiny.make_model(), tiny.make_table(16)
    weighted = tiny.make_model([dataclasses.replace(t, loss_weight=2.0) for t in tiny.TASKS])
    batched = model.dataset(table, batch_size=8)
    facts = facts_of_fit(monkeypatch, model, table, batch_size=8)
    assert set(workers.versions()) | {"weights", "optimizer"} <= set(facts)
    for other, changed in (
        (
            facts_of_fit(monkeypatch, model, table, batch_size=16),
            {"data: batch_size", "steps_per_epoch"},
        ),
        (facts_of_fit(monkeypatch, model, table, batch_size=8, epochs=2), {"epochs"}),
        (
            facts_of_fit(monkeypatch, model, table, batch_size=8, sample_weight=np.ones(16)),
            {"data: weights"},
        ),
        (facts_of_fit(monkeypatch, model, table[:15], batch_size=8), {"data: rows", "data: hash"}),
        (facts_of_fit(monkeypatch, weighted, table, batch_size=8), {"tasks"}),
    ):
        assert {n for n in facts | other if facts.get(n) != other.get(n)} == changed
    model.compile("sgd")
    facts, fewer = (facts_of_fit(monkeypatch, model, data) for data in (batched, batched.take(1)))
    assert set(workers.versions()) | {"weights", "optimizer"} <= set(facts)
    assert {n for n in facts if facts[n] != fewer[n]} == {"data: batches", "steps_per_epoch"}


@pytest.mark.usefixtures("two")
def test_long_facts_differ_at_their_ends_and_none_is_left_out():
    first, other = {"tasks": "a" * 200 + "b"}, {"tasks": "a" * 200 + "c"}
    with pytest.raises(
        DistributionError, match=r"tasks: worker 0 a+\.\.\. \w{16}, worker 1 a+\.\.\. \w{16}"
    ):
        workers.check_agreement(Cluster(other), first)
    with pytest.raises(ValueError, match="room for"):
        workers.check_agreement(Cluster({}), {str(i): "" for i in range(workers.FACTS + 1)})


@pytest.mark.usefixtures("two")
def test_a_lost_worker_is_told_and_other_errors_are_not_hidden():
    with pytest.raises(DistributionError, match=r"no longer answers.*UnavailableError"), \
            workers.lost_workers_explained(Cluster({})):  # fmt: skip
        raise tf.errors.UnavailableError(None, None, "socket closed")
    with pytest.raises(ZeroDivisionError), workers.lost_workers_explained(Cluster({})):
        raise ZeroDivisionError
    with (
        pytest.raises(tf.errors.UnavailableError),
        workers.lost_workers_explained(tf.distribute.get_strategy()),
    ):
        raise tf.errors.UnavailableError(None, None, "a file server")


def test_hashes_see_every_cell():
    table = tiny.make_table(4)
    other = table.assign(stars=table["stars"] + 1e-9)
    assert (
        workers.hash_of_table(table)
        == workers.hash_of_table(table.copy())
        != workers.hash_of_table(other)
    )
