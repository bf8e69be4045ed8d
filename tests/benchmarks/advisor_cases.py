"""The experiments that the advisor's rules were written from, and those that they are tried on.

Every experiment has three label budgets, and so three cases for each of its targets. No (source,
target) pair and no target is in both lists, but data sets are: a domain of `vader`, `stsb_multi` or
`sick_nl` that is a source in one list may be a target in the other, mpqa is a source in both, and
the requests of `clinc150` serve as targets by intent (one domain) in the first and by domain (the
nine others) in the second.
"""

from __future__ import annotations

ENCODER = {"name": "bert-tiny", "max_length": 48, "freeze": "embeddings"}
STRATEGIES = [
    "target_only",
    "fine_tune",
    "multi_task",
    "linear_probe",
    {"probe_target_only": {"strategy": "linear_probe", "uses_source": False}},
    "tfidf",
]
POOL, TEST, SOURCE = 1000, 1000, 750
"""Rows of a target that labels are drawn from, rows of a test, and rows of a source."""

NINE_DOMAINS = [
    "auto_and_commute",
    "banking",
    "credit_cards",
    "home",
    "meta",
    "small_talk",
    "travel",
    "utility",
    "work",
]
"""Of `clinc150`: all but kitchen_and_dining, a target of `DEVELOPMENT`."""

RATING = {"name": "rating", "kind": "regression", "metric": "pearson"}
SIMILARITY = {"name": "similarity", "kind": "regression", "metric": "pearson"}
RELATEDNESS = {"name": "relatedness", "kind": "regression", "metric": "pearson"}


def rows_of(dataset: str, rows: int = SOURCE, **where) -> dict:
    """A table of an experiment: rows of a data set drawn at random."""
    return {"dataset": dataset, "where": where, "rows": rows}


def halves(dataset: str, group: str | None = None, **where) -> dict:
    """A target whose rows are split in two."""
    split = {"test_size": 0.5} if group is None else {"test_size": 0.5, "group": group}
    return {"data": rows_of(dataset, POOL + TEST, **where), **split}


def splits(dataset: str, test: str = "test", **where) -> dict:
    """A target with the splits that the data set itself has."""
    return {
        "train": rows_of(dataset, POOL, split="train", **where),
        "test": rows_of(dataset, TEST, split=test, **where),
    }


def experiment(name: str, tasks: list, sources: dict, targets: dict, **more) -> dict:
    content = {
        "name": name,
        "encoder": ENCODER,
        "tasks": tasks,
        "sources": sources,
        "targets": targets,
    }
    return content | {"strategies": STRATEGIES, "budgets": [16, 64, 256], "seeds": 3} | more


def reviews(*domains: str, rows: int = SOURCE) -> dict:
    return {d: rows_of("fdu_mtl", rows, domain=d, split="train") for d in domains}


DEVELOPMENT = [
    experiment(
        "ratings of films and shops",
        [RATING],
        {d: rows_of("vader", domain=d) for d in ("movie", "amazon")},
        {"tweets": halves("vader", domain="tweets"), "nyt": halves("vader", "group", domain="nyt")},
    ),
    experiment(
        "reviews of media",
        ["polarity"],
        reviews("books", "dvd"),
        {d: splits("fdu_mtl", domain=d) for d in ("music", "kitchen_housewares")},
    ),
    experiment(
        "a few reviews",
        ["polarity"],
        reviews("dvd", "music", rows=60),
        {"electronics": splits("fdu_mtl", domain="electronics")},
    ),
    experiment(
        "polarity to questions",
        ["polarity", "answer"],
        {"mpqa": rows_of("mpqa"), "books": rows_of("fdu_mtl", domain="books", split="train")},
        {"trec": splits("trec")},
    ),
    experiment(
        "intents of other domains",
        ["intent"],
        {d: rows_of("clinc150", domain=d, split="train") for d in ("banking", "travel")},
        {"kitchen_and_dining": splits("clinc150", domain="kitchen_and_dining")},
    ),
    experiment(
        "similarity to entailment",
        [SIMILARITY, "entailment"],
        {d: rows_of("stsb_multi", domain=d, split="train") for d in ("en", "de")},
        {"sick": splits("sick_nl", domain="en")},
        text_pair="text_pair",
    ),
]
"""What the rules of `tf_transfer.advisor.advise` were written from."""

HELD_OUT = [
    experiment(
        "ratings of tweets and editorials",
        [RATING],
        {d: rows_of("vader", domain=d) for d in ("tweets", "nyt")},
        {"amazon": halves("vader", "group", domain="amazon")},
    ),
    experiment(
        "phrases and shops to films",
        ["polarity"],
        {"mpqa": rows_of("mpqa"), "apparel": rows_of("fdu_mtl", domain="apparel", split="train")},
        {"movie": halves("vader", domain="movie")},
    ),
    experiment(
        "reviews for children",
        ["polarity"],
        reviews("baby", "toys_games"),
        {"sports": splits("fdu_mtl", domain="sports_outdoors")},
    ),
    experiment(
        "a few reviews of clothes",
        ["polarity"],
        reviews("apparel", "baby", rows=75),
        {"health": splits("fdu_mtl", domain="health_personal_care")},
    ),
    experiment(
        "intents of another assistant",
        ["intent"],
        {d: rows_of("clinc150", domain=d, split="train") for d in ("work", "small_talk")},
        {"snips": splits("snips", "validation")},
    ),
    experiment(
        "questions to domains",
        ["answer", "domain"],
        {"trec": rows_of("trec", 2 * SOURCE, split="train")},
        {"clinc": splits("clinc150", domain=NINE_DOMAINS)},
    ),
    experiment(
        "relatedness to similarity",
        [RELATEDNESS, SIMILARITY],
        {d: rows_of("sick_nl", domain=d, split="train") for d in ("en", "nl")},
        {"stsb": splits("stsb_multi", domain="en")},
        text_pair="text_pair",
    ),
]
"""What they are tried on."""
