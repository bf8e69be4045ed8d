"""The verdicts of an experiment are the same whatever its classes are called, and in whatever order
they come.
"""

import numpy as np
import pandas as pd
import pytest

from tests.experiments import make_experiment, make_table
from tf_transfer.comparison.compare import compare

BRIEF = {"adapt_steps": 4}
STRATEGIES = [{"target_only": BRIEF}, "linear_probe", "tfidf"]
"""Those whose training begins with solved heads: a random head draws a class's weights by its
place.
"""
TABLES = {
    "films": make_table(40, seed=1),
    "train": make_table(40, seed=3),
    "test": make_table(80, seed=4),
}
RENAMED = {"cold": "3", "fair": "1", "warm": "2"}


@pytest.fixture(scope="module")
def verdicts(encoder_folder):
    def run(names, **task):
        tables = {}
        for name, table in TABLES.items():
            moods = np.select([table["stars"] < 3, table["stars"] < 4], ["cold", "fair"], "warm")
            tables[name] = pd.DataFrame(
                {"text": table["text"], "mood": [names.get(mood, mood) for mood in moods]}
            )
        content = make_experiment(
            encoder={"name": str(encoder_folder), "max_length": 16},
            baseline="auto",
            budgets=[24],
            tasks=[{"name": "mood", "kind": "classification", **task}],
            strategies=STRATEGIES,
            sources={"films": tables["films"]},
            targets={"tweets": {k: tables[k] for k in ("train", "test")}},
        )
        return compare(content).verdicts().set_index("strategy")

    return run({}), run(RENAMED), run({}, classes=["warm", "cold", "fair"])


@pytest.mark.slow
@pytest.mark.parametrize("other", [1, 2], ids=["renamed", "in another order"])
def test_verdicts_do_not_change(verdicts, other):
    first, again = verdicts[0], verdicts[other]
    assert list(first.index) == list(again.index) and len(first) == 3
    assert first["verdict"].tolist() == again["verdict"].tolist()
    np.testing.assert_allclose(
        first[["value", "low", "high"]], again[["value", "low", "high"]], atol=1e-9
    )
