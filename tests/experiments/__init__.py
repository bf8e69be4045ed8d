"""Small experiments that the tests of the comparison side share. All text is invented."""

import numpy as np
import pandas as pd

WORDS = [
    "kettle",
    "lamp",
    "scarf",
    "drum",
    "river",
    "window",
    "parcel",
    "garden",
    "engine",
    "ticket",
    "mirror",
    "blanket",
    "compass",
    "ladder",
    "pillow",
    "anchor",
    "bucket",
    "carpet",
    "candle",
    "helmet",
    "basket",
    "hammer",
    "napkin",
]
GOOD, BAD = ("lovely", "great", "warm"), ("broken", "awful", "late")
BRIEF = {"adapt_steps": 1}
FAST = BRIEF | {"epochs": 1}


def make_table(rows: int, seed: int) -> pd.DataFrame:
    """Texts that differ, with a number of stars and a mood that follow from their words."""
    draws = np.random.default_rng(seed)
    stars = draws.integers(1, 6, rows)
    texts = []
    for number in stars:
        tone = [*draws.choice(GOOD, number - 1), *draws.choice(BAD, 5 - number)]
        texts.append(" ".join(draws.permutation([*tone, *draws.choice(WORDS, 5, replace=False)])))
    moods = pd.Series(np.where(stars > 2, "glad", "sad"), dtype=object)
    return pd.DataFrame({"text": texts, "stars": stars.astype(float), "mood": moods})


def make_experiment(**changes) -> dict:
    """An experiment whose strategies need no training of a network; ``...`` takes a key away."""
    content = {
        "name": "small",
        "encoder": {"name": "encoder", "max_length": 16},
        "tasks": [{"name": "stars", "kind": "regression"}, "mood"],
        "sources": {"films": make_table(14, seed=1), "shop": make_table(10, seed=2)},
        "targets": {
            "tweets": {"train": make_table(20, seed=3), "test": make_table(30, seed=4)},
            "letters": {"train": make_table(20, seed=5), "test": make_table(24, seed=6)},
        },
        "strategies": ["majority", "tfidf"],
        "baseline": "majority",
        "budgets": [6, 12],
        "seeds": 2,
    }
    return {key: value for key, value in (content | changes).items() if value is not ...}
