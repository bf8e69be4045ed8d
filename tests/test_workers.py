"""Two worker processes over loopback, and what they say when they differ or when one is lost."""

import json

import numpy as np
import pytest

from tests import tiny, two_workers
from tf_transfer import workers
from tf_transfer.backend import tf
from tf_transfer.distribution import connect
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


@pytest.mark.slow
def test_two_workers_train_as_one_device_does():
    both = found_by(two_workers.start("tests.two_workers", "losses", ""))
    alone = two_workers.losses(connect("cpu", verbose=False), "")
    for worker in both:
        for key, tolerance in (("steps", 1e-4), ("weights", 5e-5), ("maml", 1e-5), ("scores", 2e-3)):
            one, two = (np.concatenate([np.ravel(v) for v in tf.nest.flatten(d[key])]) for d in (alone, worker))
            np.testing.assert_allclose(two, one, rtol=tolerance, atol=tolerance, err_msg=key)
        assert len(worker["scores"]["dataset"]["mood"]) == 9


@pytest.mark.slow
def test_workers_that_disagree_all_say_so():
    processes = two_workers.start("tests.two_workers", "disagree", "")
    for _, errors in ended(processes):
        assert "All workers must have the same data" in errors
        assert "table: worker 0 16 rows" in errors and "worker 1 17 rows" in errors
        assert "Traceback" not in errors
    assert [p.returncode for p in processes] == [2, 2]


@pytest.mark.slow
def test_a_killed_worker_stops_the_others_and_training_goes_on_to_the_same_bits(tmp_path):
    processes = two_workers.start("tests.two_workers", "resume", str(tmp_path / "one"), PAUSE="0.7")
    for line in processes[1].stdout:
        if line.startswith("epoch 1"):
            break
    processes[1].kill()
    ((_, errors),) = ended(processes[:1])
    processes[1].communicate()
    assert processes[0].returncode == 2
    assert "Another of the 2 workers no longer answers" in errors and "Traceback" not in errors
    resumed = found_by(two_workers.start("tests.two_workers", "resume", str(tmp_path / "one")))
    whole = found_by(two_workers.start("tests.two_workers", "resume", str(tmp_path / "other")))
    assert resumed[0]["epochs"] == whole[0]["epochs"] == whole[0]["run"] == list(range(two_workers.EPOCHS))
    assert resumed[0]["run"] == resumed[1]["run"] in ([1, 2, 3], [2, 3])
    assert resumed[0]["weights"] == resumed[1]["weights"] == whole[0]["weights"]


class Cluster:
    """Stands in for the strategy of two workers whose facts are given."""

    class extended:
        _num_workers = 2

        @staticmethod
        def _in_multi_worker_mode():
            return True

    def __init__(self, other):
        self.other = other

    def run(self, function):
        return function()

    def gather(self, value, axis):
        return tf.concat([value, tf.constant(workers._to_codes(self.other))[None]], axis)


def test_a_difference_names_both_sides():
    facts = {"table": "3 rows ab", "tensorflow": "2.20.0"}
    workers.check_agreement(Cluster(facts), facts)
    with pytest.raises(DistributionError, match=r"\ntensorflow: worker 0 2.20.0, worker 1 2.21.0\n"):
        workers.check_agreement(Cluster(facts | {"tensorflow": "2.21.0"}), facts)
    with pytest.raises(DistributionError, match="table: worker 0 3 rows ab, worker 1 none"):
        workers.check_agreement(Cluster({"tensorflow": "2.20.0"}), facts)


def test_a_lost_worker_is_told_and_other_errors_are_not_hidden():
    with pytest.raises(DistributionError, match=r"no longer answers.*UnavailableError"), \
            workers.lost_workers_explained(Cluster({})):  # fmt: skip
        raise tf.errors.UnavailableError(None, None, "socket closed")
    with pytest.raises(ZeroDivisionError), workers.lost_workers_explained(Cluster({})):
        raise ZeroDivisionError
    with pytest.raises(tf.errors.UnavailableError), workers.lost_workers_explained(tf.distribute.get_strategy()):
        raise tf.errors.UnavailableError(None, None, "a file server")


def test_hashes_see_every_cell():
    table = tiny.make_table(4)
    other = table.assign(stars=table["stars"] + 1e-9)
    assert workers.hash_of_table(table) == workers.hash_of_table(table.copy()) != workers.hash_of_table(other)
