"""Run folders made from scores, without training anything. All text is invented."""

import json

import numpy as np
import pandas as pd

from tf_transfer.comparison.comparison import Comparison
from tf_transfer.experiments import runs
from tf_transfer.experiments.runs import Cell, Run
from tf_transfer.kinds import kind_named

KINDS = {"mood": "classification", "themes": "multilabel", "stars": "regression"}
CLASSES = {"mood": ("glad", "sad"), "themes": ("price", "taste", "wait"), "stars": ()}
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
]


def probabilities(labels: np.ndarray, sure: float = 1.0) -> np.ndarray:
    """(rows, 2) float32: the label that is predicted of each row has the probability ``sure``."""
    rows = np.where(np.arange(2) == np.asarray(labels)[:, None], sure, 1 - sure)
    return rows.astype(np.float32)


def right_in(y: np.ndarray, share: float) -> np.ndarray:
    """Predictions that are right in the first ``share`` of the rows."""
    return probabilities(np.where(np.arange(len(y)) < round(share * len(y)), y, 1 - y))


def make_table(rows: int, seed: int = 0) -> pd.DataFrame:
    draws = np.random.default_rng(seed)
    texts = [" ".join(draws.choice(WORDS, draws.integers(2, 12))) for _ in range(rows)]
    return pd.DataFrame({"text": texts, "domain": draws.choice(["post", "shop"], rows)})


def write_run(
    folder,
    y,
    scores,
    *,
    task="mood",
    metric=None,
    groups=None,
    present=None,
    table=None,
    rare_words=None,
    variants=None,
    sources=("fine_tune",),
    common=None,
    seeds=None,
    controls=None,
    twins=None,
    frozen=None,
    classes=None,
    notes=None,
) -> Run:
    """A run of one target, ``tweets``, and one task.

    Args:
        scores: ``{strategy: {budget: [scores of each seed, or None where the cell is missing]}}``.
        frozen: the same of heads on frozen features.
        notes: ``{strategy: dict}``, noted beside the scores.
    """
    variants, frozen, notes = variants or {}, frozen or {}, notes or {}
    strategies = [s for s in scores if s not in variants]
    if controls is None:
        controls = {strategy: "target_only" for strategy in strategies if strategy != "target_only"}
    budgets = sorted({budget for cells in scores.values() for budget in cells})
    seeds = (
        range(max(len(c) for cells in scores.values() for c in cells.values()))
        if seeds is None
        else seeds
    )
    plan = {
        "name": "made up",
        "baseline": "target_only",
        "strategies": strategies,
        "controls": controls,
        "twins": twins or {},
        "source_strategies": [label for label in sources if label in scores],
        "variants": variants,
        "targets": ["tweets"],
        "budgets": budgets,
        "seeds": list(seeds),
        "metrics": {task: metric or kind_named(KINDS[task]).primary},
        "tasks": [{"name": task, "kind": KINDS[task], "classes": list(CLASSES[task])}],
    }
    run = Run(folder)
    run.start(
        common or {"text": "text", "text_pair": None}, {s: [s, {}] for s in scores}, {"plan": plan}
    )
    present = np.ones(len(y), bool) if present is None else present
    kept = {
        "table": make_table(len(y)) if table is None else table,
        "rare_words": rare_words,
        "classes": {} if classes is None else {task: classes},
    }
    run.write_target("tweets", {task: (y, present)}, groups, {"tables": {}}, **kept)
    for strategy, cells in scores.items():
        for budget, found in cells.items():
            for seed, values in zip(plan["seeds"], found):
                if values is not None:
                    cell = Cell("tweets", strategy, budget, seed)
                    extra = frozen.get(strategy, {}).get(budget)
                    note = {"source_seconds": 1.0, "target_seconds": 2.0} | notes.get(strategy, {})
                    run.write_cell(
                        cell,
                        {task: values},
                        note,
                        extra and {task: extra[plan["seeds"].index(seed)]},
                    )
    return run


def change_run(run: Run, change) -> None:
    """Changes run.json and gives it the digest of one that was written like that: it guards against
    accidents alone.
    """
    path = run.folder / "run.json"
    content = json.loads(path.read_text())
    change(content)
    content.pop("digest", None)
    path.write_text(json.dumps(content | {"digest": runs._hash(content)}))
    run.__dict__.pop("_content", None)


def make_comparison(folder, y, scores, **options) -> Comparison:
    return Comparison(write_run(folder, y, scores, **options))


def noisy(rng, y, shares) -> list[np.ndarray]:
    """For each seed, predictions of classes that are right with the probability ``share``."""
    return [probabilities(np.where(rng.random(len(y)) < share, y, 1 - y), 0.9) for share in shares]
