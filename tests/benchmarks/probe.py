"""How good the linear probe's penalty and probabilities are, against logistic regression with C =
1.

    python -m tests.benchmarks.probe

Both have the same vectors of MiniLM. There are three questions, 2 to 16 labels a class, 40 draws of
the labels, and 1,000 test texts. In accuracy and macro F1 the 95 % interval of the mean difference
over the draws, for these texts, must lie above -.01. The log-loss must be less than that of always
saying the labels' class shares, which are equal. Ten minutes on one core; it needs minilm, vader,
trec and clinc150 in the cache.
"""

from __future__ import annotations

import sys
import warnings

import numpy as np
import pandas as pd
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, log_loss

from tests.benchmarks.reporting import Report

MARGIN = 0.01
"""By which the interval of a difference may reach below 0."""

SHOTS = (2, 4, 8, 16)
DRAWS, TEST_ROWS, INTENTS = 40, 1000, 20


def main() -> int:
    import tf_transfer as tt

    warnings.simplefilter("ignore", tt.PenaltyWarning)
    report = Report(f"LinearProbe against LogisticRegression(C=1), MiniLM, {DRAWS} draws")
    for name, read in QUESTIONS.items():
        table = read().sample(frac=1, random_state=0).reset_index(drop=True)
        test, pool = table[:TEST_ROWS].reset_index(drop=True), table[TEST_ROWS:]
        task = tt.Task("label", classes=tuple(sorted(table["label"].unique())))
        model = tt.TransferModel(tt.load_encoder("minilm"), task, max_length=64)
        for shot in SHOTS:
            say(report, f"{name}, {shot} a class", compare(model, pool, test, shot))
    return report.finish()


def compare(model, pool: pd.DataFrame, test: pd.DataFrame, shot: int) -> pd.DataFrame:
    """A row a draw: accuracy, macro F1 and log-loss of the probe (``ours``), of scikit-learn and of
    the shares.
    """
    import tf_transfer as tt

    probe, adapted = tt.LinearProbe(uses_source=False), None
    questions, classes = model.encode(test, verbose=0), model.tasks[0].classes
    rows = []
    for seed in range(DRAWS):
        support = (
            pool.groupby("label").sample(shot, random_state=seed).sample(frac=1, random_state=seed)
        )
        support = support.reset_index(drop=True)
        adapted = probe.adapt(model, support, out=adapted)
        head = adapted.heads["label"]
        ours = softmax(questions @ head.kernel.numpy() + head.bias.numpy(), axis=1)
        other = LogisticRegression(C=1, max_iter=1000).fit(
            model.encode(support, verbose=0), support["label"]
        )
        scored = {"ours": ours, "sklearn": other.predict_proba(questions)}
        shares = np.full((len(test), len(classes)), 1 / len(classes))
        row = {("log_loss", "shares"): log_loss(test["label"], shares, labels=classes)}
        for side, probabilities in scored.items():
            answers = np.array(classes)[probabilities.argmax(1)]
            row["accuracy", side] = accuracy_score(test["label"], answers)
            row["f1_macro", side] = f1_score(
                test["label"], answers, average="macro", labels=classes, zero_division=0
            )
            row["log_loss", side] = log_loss(test["label"], probabilities, labels=classes)
        rows.append(row)
    found = pd.DataFrame(rows)
    found.columns = pd.MultiIndex.from_tuples(found.columns)
    return found


def say(report: Report, name: str, found: pd.DataFrame) -> None:
    for metric in ("accuracy", "f1_macro"):
        difference = found[metric, "ours"] - found[metric, "sklearn"]
        low = difference.mean() - 1.96 * difference.std() / np.sqrt(len(difference))
        sides = f"{found[metric, 'ours'].mean():.3f} less {found[metric, 'sklearn'].mean():.3f}"
        report.figure(
            f"{name}: {metric}, low end of the difference",
            low,
            at_least=-MARGIN,
            digits=3,
            detail=sides,
        )
    means = found["log_loss"].mean()
    detail = f"shares {means['shares']:.3f}, C = 1 {means['sklearn']:.3f}"
    report.figure(
        f"{name}: log-loss", means["ours"], at_most=means["shares"], digits=3, detail=detail
    )


def tweets() -> pd.DataFrame:
    from tf_transfer.data.readers import read_dataset

    return (
        read_dataset("vader", domain="tweets")[["text", "polarity"]]
        .dropna()
        .rename(columns={"polarity": "label"})
    )


def questions() -> pd.DataFrame:
    from tf_transfer.data.readers import read_dataset

    return read_dataset("trec")[["text", "answer"]].dropna().rename(columns={"answer": "label"})


def intents() -> pd.DataFrame:
    """The last intents of the alphabet: penalties and priors were chosen on the first half."""
    from tf_transfer.data.readers import read_dataset

    table = (
        read_dataset("clinc150")[["text", "intent"]].dropna().rename(columns={"intent": "label"})
    )
    return table[table["label"].isin(sorted(table["label"].unique())[-INTENTS:])]


QUESTIONS = {
    "tweets' polarity": tweets,
    "questions' types": questions,
    f"{INTENTS} intents": intents,
}


if __name__ == "__main__":
    sys.exit(main())
