"""What every kind must be able to do. The tests of a kind give its labels; all else is the same for
all.
"""

import re

import numpy as np
import pandas as pd
import pytest

from tests.experiments import BRIEF, FAST, GOOD, WORDS, make_experiment
from tf_transfer.kinds import KINDS, kind_of
from tf_transfer.kinds.answers import digest_of
from tf_transfer.kinds.tasks import Task

TONES = ("low", "middle", "high")

SAMPLES = {
    "classification": lambda tone, text: TONES[tone],
    "multilabel": lambda tone, text: [t for t in TONES[: tone + 1] if t != "low"] or ["low"],
    "regression": lambda tone, text: float(tone) + 0.25,
    "tagging": lambda tone, text: [
        {"start": match.start(), "end": match.end(), "label": TONES[tone]}
        for match in re.finditer(GOOD[0], text)
    ],
    "span": lambda tone, text: {
        "text": [GOOD[0]] if tone else [],
        "answer_start": [text.index(GOOD[0])] if tone else [],
    },
}
"""A row a kind: the label of a text whose tone is 0, 1 or 2."""


def strategies_of(kind: str) -> list:
    """Those that know the kind, and its baseline first."""
    if KINDS[kind].link is None:
        return [{"target_only": BRIEF}, {"fine_tune": FAST}]
    if KINDS[kind].reads == "tokens":
        return [{"target_only": BRIEF}, "linear_probe"]
    return ["majority", "tfidf", "linear_probe", {"target_only": BRIEF}]


def make_table(label, rows: int, seed: int) -> pd.DataFrame:
    """Texts with as many praising words as their tone says; every seventh row has no label."""
    draws = np.random.default_rng(seed)
    tones = draws.permutation(np.arange(rows) % 3)
    texts = [
        " ".join([*draws.choice(WORDS, 5, replace=False), *[GOOD[0]] * tone]) for tone in tones
    ]
    labels = [
        label(int(tone), text) if number % 7 else None
        for number, (tone, text) in enumerate(zip(tones, texts))
    ]
    return pd.DataFrame({"text": texts, "tone": pd.Series(labels, dtype=object)})


def make_task(kind: str, label) -> Task:
    return Task("tone", kind=kind).resolve(make_table(label, 21, seed=0))


def experiment_of(kind: str, label, encoder, **changes) -> dict:
    content = {
        "encoder": {"name": str(encoder), "max_length": 16},
        "tasks": [{"name": "tone", "kind": kind}],
        "sources": {"films": make_table(label, 21, seed=1)},
        "targets": {
            "tweets": {
                "train": make_table(label, 40, seed=2),
                "test": make_table(label, 42, seed=3),
            }
        },
        "strategies": strategies_of(kind),
        "baseline": "majority" if KINDS[kind].reads == "text" else "target_only",
        "budgets": [20],
        "leave_one_out": [],
        "slices": [],
    }
    return make_experiment(**content | changes)


def check_labels(kind: str, label) -> None:
    """Labels become numbers, and the answers of someone who knows them are right."""
    task, table = make_task(kind, label), make_table(label, 21, seed=0)
    of = kind_of(task)
    y, present = task.encode(table)
    assert of.label_misfit(task, y, 21) == ""
    assert (~present).sum() == 3
    assert digest_of(y[~present]) == digest_of(of.blank(task, 3))
    assert of.is_possible(task, y[present])
    sure = of.sure(task, y[present])
    assert of.answer_misfit(task, sure, int(present.sum())) == ""
    assert not of.row_error(y[present], sure).any()
    decoded = of.labels_of(task, sure)
    assert [_plain(v) for v in decoded] == [_plain(v) for v in table["tone"][present]]
    assert of.known_share(y[present], y[present]) == 1
    taught = of.taught(task, y[present])
    assert taught.shape == (task.outputs,) and taught.all()
    none, missing = task.encode(table[["text"]])
    assert digest_of(none) == digest_of(of.blank(task, 21)) and not missing.any()


def check_metrics(kind: str, label) -> None:
    """Knowing the labels is best in the primary metric and in that of rows; resamples of one are
    the metric.
    """
    from tf_transfer.evaluation import metrics

    task, table = make_task(kind, label), make_table(label, 42, seed=0)
    of = kind_of(task)
    y, present = task.encode(table)
    y = y[present]
    sure, shuffled = of.sure(task, y), of.sure(task, y[np.roll(np.arange(len(y)), 1)])
    best, worse = (metrics.suite(task, y, answers) for answers in (sure, shuffled))
    for name in {of.primary, of.row_metric}:
        metric = of.metric(name)
        assert metric.sign * best[name] > metric.sign * worse[name]
        assert best[name] == pytest.approx(metric.range[metric.higher])
    assert of.metric(of.row_metric).row is not None
    once = metrics.resampled_suite(kind, y, [shuffled], np.ones((1, len(y)), int))
    for metric in of.metrics:
        np.testing.assert_allclose(
            once[metric.name][0, 0], worse[metric.name], rtol=1e-9, atol=1e-12
        )


def check_run(kind: str, label, encoder, folder) -> None:
    """A comparison ends with a verdict and a report, goes on after a stop, and its files read
    back.
    """
    from tf_transfer.comparison.compare import compare
    from tf_transfer.comparison.comparison import Comparison

    content = experiment_of(kind, label, encoder)
    comparison = compare(content, folder, verbose=0)
    learner = "fine_tune" if KINDS[kind].link is None else "linear_probe"
    assert set(comparison.verdicts()["verdict"]) <= {"helped", "hurt", "undecided", "equivalent"}
    assert not comparison.unusable
    scores = comparison.results.query("metric == @KINDS[@kind].primary")["value"]
    assert len(scores) == 2 * len(comparison.strategies) and scores.notna().any()
    for table in (comparison.reliability(), comparison.slices(), comparison.results):
        assert isinstance(table, pd.DataFrame)
    changed = comparison.changed_rows("tweets", "tone", learner, 20)
    assert (changed["before"] != changed["after"]).all()
    comparison.save()
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert learner in page and KINDS[kind].metric(KINDS[kind].primary).written in page
    # What a stopped run lacks is done again, to the same bits.
    cell = sorted(folder.glob(f"cells/tweets/{learner}/*.npz"))[0]
    before = comparison.results
    cell.unlink()
    again = compare(content, folder, verbose=0)
    pd.testing.assert_frame_equal(again.results.drop(columns="seconds", errors="ignore"),
                                  before.drop(columns="seconds", errors="ignore"))  # fmt: skip
    pd.testing.assert_frame_equal(Comparison(folder).verdicts(), again.verdicts())


def check_search(kind: str, label, encoder, folder) -> None:
    """A search finds a score by the kind's primary metric."""
    from tf_transfer.tuning.tune import tune

    content = experiment_of(kind, label, encoder)
    searched = "tfidf" if KINDS[kind].reads == "text" else "target_only"
    result = tune(
        content, folder, strategies={searched: None}, trials=2, oracle="random", folds=2, verbose=0
    )
    assert np.isfinite(result.best_trial.score)


def check_model(kind: str, label, model) -> None:
    """A head is trained, saved and read; its answers are scored and decoded."""
    table = make_table(label, 21, seed=0)
    history = model.fit(table, epochs=1, batch_size=8, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    prediction = model.predict(table, verbose=0)["tone"]
    of, task = kind_of(model.tasks[0]), model.tasks[0]
    assert of.answer_misfit(task, prediction.scores, 21) == ""
    assert len(prediction.labels) == 21
    assert set(of.metric_names) <= set(model.evaluate(table)["test", "tone"])


def _plain(value):
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return tuple(tuple(item.items()) for item in value)
    return tuple(sorted(value)) if isinstance(value, list | tuple) else value
