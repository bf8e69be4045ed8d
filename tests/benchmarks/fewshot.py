"""Few-shot intents: who wins when, on clinc150 with domains kept apart, over the same frozen episodes.

    python -m tests.benchmarks.fewshot [FOLDER] [--encoder bert-tiny] [--setting 5-way-1-shot]

Meta-training sees the intents of 6 domains, early stopping those of 2, the episodes those of 2 others. What
a strategy needs no meta-training for starts from the pretrained encoder. A setting that is done is kept in
FOLDER and not done again. A setting takes BERT-tiny about half an hour on two cores, and MiniLM some hours.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.neighbors import KNeighborsClassifier

from tests.benchmarks.reporting import Report

SETTINGS = {"5-way-1-shot": (5, 1), "5-way-5-shot": (5, 5), "10-way-5-shot": (10, 5)}
EPISODES, NUM_QUERY, STEPS, META_BATCH = 600, 5, 150, 4
NOT_META = ("fine_tune", "linear_probe", "knn")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", default="runs/fewshot", type=Path)
    parser.add_argument("--encoder", default="bert-tiny", choices=["bert-tiny", "minilm"])
    parser.add_argument("--setting", action="append", choices=list(SETTINGS))
    parser.add_argument("--episodes", type=int, default=EPISODES)
    parser.add_argument("--steps", type=int, default=STEPS, help="meta-training steps at most")
    arguments = parser.parse_args()
    report = Report(f"clinc150, class-disjoint by domain, {arguments.encoder}, {arguments.episodes} episodes")
    for setting in arguments.setting or SETTINGS:
        values = run_setting(arguments, setting)
        show(report, arguments.encoder, setting, values)
    return report.finish()


def splits() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Meta-training, meta-validation and meta-test rows, of 6, 2 and 2 domains."""
    from tf_transfer.class_splits import split_classes
    from tf_transfer.readers import read_dataset

    table = read_dataset("clinc150")
    table = table[table["intent"] != "oos"].drop_duplicates("text").reset_index(drop=True)
    return split_classes(table, "intent", validation=2, test=2, seed=0, by="domain")


def strategies(way: int, shot: int, steps: int) -> dict:
    """Every candidate; the hyperparameters were set beforehand and tuned on nothing."""
    from tf_transfer.strategies import ANIL, MAML, LinearProbe, MetaSGD, ProtoMAML, ProtoNet, Reptile, TargetOnly

    outer = {"steps": steps, "meta_batch": META_BATCH, "learning_rate": 3e-4, "patience": 4}
    inner = {"inner_steps": 5, "inner_lr": 0.1, "adapt_steps": 10}
    return {
        "maml": MAML(**outer, **inner),
        "fomaml": MAML(first_order=True, **outer, **inner),
        "anil": ANIL(**outer, inner_lr=0.1),
        "meta_sgd": MetaSGD(**outer, **inner),
        "reptile": Reptile(steps=steps, meta_batch=META_BATCH, inner_lr=0.05),
        "proto_net": ProtoNet(**outer),
        "proto_maml": ProtoMAML(**outer, inner_steps=3, inner_lr=0.01),
        "fine_tune": TargetOnly(adapt_steps=30),
        "linear_probe": LinearProbe(uses_source=False),
        "knn": Neighbours(),
    }


@dataclasses.dataclass(frozen=True)
class Neighbours:
    """The class of the nearest support text by the cosine of the encoder's vectors."""

    name = "knn"

    def adapt(self, model, support, *, seed=0, out=None, verbose=0):
        vectors, labels = model.encode(support, verbose=0), support["intent"].to_numpy()
        return _Nearest(model, KNeighborsClassifier(1, metric="cosine").fit(vectors, labels))


@dataclasses.dataclass
class _Nearest:
    model: object
    neighbours: KNeighborsClassifier

    def predict(self, table, verbose=0):
        from tf_transfer.predictions import Prediction, Predictions

        found = self.neighbours.predict_proba(self.model.encode(table, verbose=0))
        return Predictions({"intent": Prediction(self.model.tasks[0], found)})


def run_setting(arguments, setting: str) -> pd.DataFrame:
    """A row for each strategy and episode; read from the folder where it was computed before."""
    from tf_transfer.encoders import load_encoder
    from tf_transfer.episode_evaluation import evaluate_episodes
    from tf_transfer.episodes import EpisodeSampler
    from tf_transfer.model import TransferModel
    from tf_transfer.tasks import Task

    way, shot = SETTINGS[setting]
    train, validation, test = splits()
    samplers = [
        EpisodeSampler(t, "intent", way, shot, NUM_QUERY, seed) for seed, t in enumerate((train, validation, test))
    ]
    episodes, parts = samplers[2].sample(arguments.episodes), []
    task = Task("intent", kind="classification", classes=tuple(range(way)))
    for name, strategy in strategies(way, shot, arguments.steps).items():
        path = arguments.folder / f"{arguments.encoder}-{setting}-{arguments.episodes}-{arguments.steps}-{name}.csv"
        if not path.exists():
            model, start = TransferModel(load_encoder(arguments.encoder), task, max_length=32), time.perf_counter()
            fitted = model
            if name not in NOT_META:
                fitted = strategy.fit(model, samplers[0], seed=0, validation=samplers[1])
            seconds = time.perf_counter() - start
            found = evaluate_episodes({name: (strategy, fitted)}, samplers[2], episodes).values
            path.parent.mkdir(parents=True, exist_ok=True)
            staging = path.with_suffix(".part")
            found.assign(training=seconds).to_csv(staging, index=False)
            staging.replace(path)
        parts.append(pd.read_csv(path))
        print(f"      {setting}, {name}: done", flush=True)
    return pd.concat(parts, ignore_index=True)


def show(report: Report, encoder: str, setting: str, values: pd.DataFrame) -> None:
    """The table of one setting, and the two bounds."""
    from tf_transfer.episode_evaluation import EpisodeComparison

    found = EpisodeComparison(values.drop(columns="training"))
    table, training = found.table(), values.groupby("strategy")["training"].first()
    to = {other: found.differences(other) for other in ("linear_probe", "fine_tune", "proto_net")}
    for name, row in table.sort_values("mean", ascending=False).iterrows():
        detail = f"[{row['low']:.3f}, {row['high']:.3f}] median {row['median']:.2f}, {int(row['diverged'])} diverged"
        for other in ("fine_tune", "proto_net"):
            if name != other:
                gap = to[other].loc[name]
                detail += f"; to {other} {gap['difference']:+.3f} [{gap['low']:+.3f}, {gap['high']:+.3f}]"
        detail += f"; trained {training[name]:.0f} s" if name not in NOT_META else ""
        report.figure(f"{setting}, {name}", row["mean"], digits=3, detail=detail)
    best = max((n for n in table.index if n not in NOT_META), key=lambda n: table.loc[n, "mean"])
    gap = to["linear_probe"].loc[best]
    report.figure(
        f"{setting}, {best} - linear_probe, low end", gap["low"], at_least=np.nextafter(0, 1), digits=3,
        detail=f"{gap['difference']:+.3f} [{gap['low']:+.3f}, {gap['high']:+.3f}]",
    )  # fmt: skip
    if encoder == "bert-tiny" and setting == "5-way-1-shot":
        gap = to["fine_tune"].loc[best]
        report.figure(
            f"{setting}, {best} - fine_tune, low end", gap["low"], at_least=np.nextafter(0, 1), digits=3,
            detail=f"{gap['difference']:+.3f} [{gap['low']:+.3f}, {gap['high']:+.3f}]",
        )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
