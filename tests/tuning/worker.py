"""One process of a shared search, for `test_parallel`: ``python -m tests.tuning.worker ENCODER
FOLDER [ROWS]``.
"""

import sys

from tests import tiny
from tests.experiments import make_experiment, make_table
from tf_transfer.errors import TransferError
from tf_transfer.tuning.tune import tune


def experiment(encoder: str, rows: int = 24) -> dict:
    return make_experiment(
        encoder={"name": encoder, "max_length": 16},
        targets={"tweets": {"train": make_table(rows, seed=3), "test": make_table(30, seed=4)}},
        strategies=["majority", "linear_probe", "tfidf"],
        tune={"trials": 8, "oracle": "random", "folds": 3, "early_stop": False},
    )


if __name__ == "__main__":
    tiny.keep_graphs()  # as in the process of the tests, or the last bits differ
    try:
        tune(
            experiment(sys.argv[1], *map(int, sys.argv[3:])),
            sys.argv[2],
            say=lambda what, *_: print(what),
        )
    except TransferError as error:
        sys.exit(f"refused: {error}")
