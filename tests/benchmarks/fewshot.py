"""Few-shot intents: who wins when, on clinc150 with domains kept apart, over the same frozen
episodes.

    python -m tests.benchmarks.fewshot [FOLDER] [--encoder bert-tiny] [--setting 5-way-1-shot]
    [--tune]

Meta-training sees the intents of 6 domains, early stopping those of 2, the episodes those of 2
others. What a strategy needs no meta-training for starts from the pretrained encoder. Every
strategy, fine-tuning too, leaves the same part of the encoder alone, `FROZEN`, but where `CHOSEN`
says otherwise. The episodes are frozen in FOLDER, and a strategy that is done is kept there and not
done again. Meta-training is told in seconds of processor time, adapting and predicting in those of
the clock, the median over episodes. ``--tune`` prints how each candidate of `GRIDS` does on
episodes of the validation domains; `CHOSEN` holds its winners (or what it had before, where no more
than .005 was to be won; MiniLM's ProtoMAML follows its ProtoNet), and the test domains were never
used to choose.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import itertools
import sys
import time
from pathlib import Path
from typing import ClassVar

import pandas as pd
from sklearn.neighbors import KNeighborsClassifier

from tests.benchmarks.best_of_episodes import show_best, words_of
from tests.benchmarks.reporting import Report
from tf_transfer.strategies.base import Strategy

SETTINGS = {"5-way-1-shot": (5, 1), "5-way-5-shot": (5, 5), "10-way-1-shot": (10, 1)}
FROZEN = {"bert-tiny": "none", "minilm": 5}
"""What no strategy trains: of MiniLM the embeddings and the lower five of six blocks."""
EPISODES, NUM_QUERY, META_BATCH = 600, 5, 4
STEPS = {"bert-tiny": 200, "minilm": 50}
"""Of meta-training at most, unless `CHOSEN` or ``--steps`` says otherwise."""
TUNING_EPISODES, TUNING_STEPS = 60, {"bert-tiny": 100, "minilm": 25}
RATES, INNER = {"learning_rate": [3e-4, 1e-3]}, {"inner_steps": [5], "adapt_steps": [10]}
LESSON = ("way", "domain", "freeze")
"""Not of a strategy but of its meta-training: the classes of an episode, whether all are of one
domain (the column's name) or of any (None), and what of the encoder is left alone.
"""
GRID = {
    "maml": RATES | INNER | {"inner_lr": [0.1, 0.3]},
    "anil": RATES | {"inner_lr": [0.3, 1.0]},
    "reptile": INNER | {"inner_lr": [0.1, 0.3]},
    "proto_net": {
        "learning_rate": [1e-4, 3e-4, 1e-3],
        "distance": ["euclidean", "cosine"],
        "way": [5, 20],
    },
    "proto_maml": RATES | {"inner_steps": [3], "inner_lr": [0.01, 0.03]},
    "fine_tune": {"adapt_steps": [30], "adapt_learning_rate": ["auto", 1e-3]},
    "knn": {"k": [1]},
}
_COSINES = {
    "distance": "cosine",
    "cosine_scale": 20.0,
    "way": 30,
    "freeze": "none",
    "meta_batch": 1,
}
GRIDS = {
    "bert-tiny": GRID,
    "minilm": GRID
    | {name: GRID[name] | {"domain": [None, "domain"]} for name in ("maml", "anil", "reptile")}
    | {
        "proto_net": {
            "learning_rate": [3e-5],
            "freeze": ["none"],
            "meta_batch": [1],
            "rows_a_part": [512],
            "way": [5, 30],
            "together": [{"distance": "euclidean"}, {"distance": "cosine", "cosine_scale": 20.0}],
        }
    },
}
"""By encoder; ``together`` are fields that go together. MiniLM was trained by cosines; its ProtoNet
may train all blocks, as adapting trains none.
"""
_TINY = {
    "maml": {"learning_rate": 3e-4, "inner_steps": 5, "adapt_steps": 10, "inner_lr": 0.3},
    "anil": {"learning_rate": 3e-4, "inner_lr": 0.3},
    "reptile": {"inner_steps": 5, "adapt_steps": 10, "inner_lr": 0.1},
    "proto_net": {"learning_rate": 3e-4},
    "proto_maml": {"learning_rate": 3e-4, "inner_steps": 3, "inner_lr": 0.03},
    "fine_tune": {"adapt_steps": 30, "adapt_learning_rate": 1e-3},
    "knn": {"k": 1},
}
_MINILM = _TINY | {
    "maml": _TINY["maml"] | {"domain": "domain"},
    "anil": {"learning_rate": 3e-4, "inner_lr": 1.0, "domain": "domain"},
    "reptile": {"inner_steps": 5, "adapt_steps": 10, "inner_lr": 0.3},
    # at once: in less time
    "proto_net": _COSINES | {"learning_rate": 3e-5, "steps": 100, "rows_a_part": 512},
    "proto_maml": _COSINES
    | {"learning_rate": 3e-5, "steps": 100, "inner_steps": 3, "inner_lr": 0.03, "inner_freeze": 5},
    "fine_tune": {"adapt_steps": 30, "adapt_learning_rate": "auto"},
}
CHOSEN = {
    encoder: fields | {"fomaml": fields["maml"], "meta_sgd": fields["maml"], "linear_probe": {}}
    for encoder, fields in {"bert-tiny": _TINY, "minilm": _MINILM}.items()
}
"""By encoder; tuned with one label a class, and taken for the other settings too. MAML's relatives
take its fields.
"""
NOT_META = ("fine_tune", "linear_probe", "knn")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", nargs="?", default="runs/fewshot", type=Path)
    parser.add_argument("--encoder", default="bert-tiny", choices=["bert-tiny", "minilm"])
    parser.add_argument("--setting", action="append", choices=list(SETTINGS))
    parser.add_argument("--episodes", type=int, default=EPISODES)
    parser.add_argument("--steps", type=int, help="meta-training steps at most, of every strategy")
    parser.add_argument(
        "--strategy", action="append", choices=[*GRID, "fomaml", "meta_sgd", "linear_probe"]
    )
    parser.add_argument("--tune", action="store_true", help="try the grid on validation episodes")
    arguments = parser.parse_args()
    if arguments.tune:
        return tune(arguments)
    report = Report(
        f"clinc150, class-disjoint by domain, {arguments.encoder}, {arguments.episodes} episodes"
    )
    for setting in arguments.setting or SETTINGS:
        values = run_setting(arguments, setting)
        show(report, arguments.encoder, setting, values)
    return report.finish()


def splits() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Meta-training, meta-validation and meta-test rows, of 6, 2 and 2 domains."""
    from tf_transfer.data.readers import read_dataset
    from tf_transfer.episodes.class_splits import split_classes

    table = read_dataset("clinc150")
    table = table[table["intent"] != "oos"].drop_duplicates("text").reset_index(drop=True)
    return split_classes(table, "intent", validation=2, test=2, seed=0, by="domain")


def strategies(chosen: dict[str, dict], steps: int, all_steps: int | None = None) -> dict:
    """Every strategy with its chosen fields.

    Args:
        steps: of those whose fields do not say.
        all_steps: of every strategy instead.
    """
    from tf_transfer.strategies import (
        ANIL,
        MAML,
        LinearProbe,
        MetaSGD,
        ProtoMAML,
        ProtoNet,
        Reptile,
        TargetOnly,
    )

    aside = LESSON if all_steps is None else (*LESSON, "steps")
    chosen = {
        name: {f: v for f, v in fields.items() if f not in aside} for name, fields in chosen.items()
    }
    steps = all_steps or steps
    outer = {"steps": steps, "meta_batch": META_BATCH, "patience": 4}
    inner = outer | {"inner_freeze": "embeddings"}
    return {
        "maml": MAML(**inner | chosen["maml"]),
        "fomaml": MAML(first_order=True, **inner | chosen["fomaml"]),
        "anil": ANIL(**outer | chosen["anil"]),
        "meta_sgd": MetaSGD(**inner | chosen["meta_sgd"]),
        "reptile": Reptile(**inner | chosen["reptile"]),
        "proto_net": ProtoNet(**outer | chosen["proto_net"]),
        "proto_maml": ProtoMAML(**inner | chosen["proto_maml"]),
        "fine_tune": TargetOnly(**chosen["fine_tune"]),
        "linear_probe": LinearProbe(uses_source=False),
        "knn": Neighbours(**chosen["knn"]),
    }


@dataclasses.dataclass(frozen=True)
class Neighbours(Strategy):
    """The class of the nearest support texts by the cosine of the encoder's vectors."""

    name: ClassVar[str] = "knn"

    k: int = 1

    def adapt(self, model, support, *, seed=0, out=None, verbose=0):
        vectors, labels = model.encode(support, verbose=0), support[model.tasks[0].label].to_numpy()
        return _Nearest(
            model, KNeighborsClassifier(self.k, metric="cosine").fit(vectors, labels), model.tasks
        )


@dataclasses.dataclass
class _Nearest:
    model: object
    neighbours: KNeighborsClassifier
    tasks: list

    def predict(self, table, verbose=0):
        from tf_transfer.evaluation.predictions import Prediction, Predictions

        found = self.neighbours.predict_proba(self.model.encode(table, verbose=0))
        return Predictions({self.tasks[0].name: Prediction(self.tasks[0], found)})


class Setting:
    """The rows to learn from, and samplers of validation and test, of one encoder, way and shot."""

    def __init__(self, encoder: str, name: str):
        self.encoder, (self.way, self.shot) = encoder, SETTINGS[name]
        self.train, *others = splits()
        self.validation, self.test = (
            self.sampler(table, self.way, seed) for seed, table in enumerate(others, 1)
        )

    def sampler(self, table: pd.DataFrame, way: int, seed: int, domain: str | None = None):
        from tf_transfer.episodes.sampler import EpisodeSampler

        return EpisodeSampler(table, "intent", way, self.shot, NUM_QUERY, seed, domain=domain)

    def run(self, name: str, strategy, sampler, episodes, lesson: dict) -> pd.DataFrame:
        """Meta-trains where the strategy does, and scores the episodes: a row for each.

        Args:
            lesson: the fields of `LESSON` that differ from the setting's.
        """
        from tf_transfer.encoders.loading import load_encoder
        from tf_transfer.evaluation.episodes import evaluate_episodes
        from tf_transfer.kinds.tasks import Task
        from tf_transfer.model.model import TransferModel

        encoder, way = load_encoder(self.encoder), lesson.get("way", self.way)
        task = Task("intent", kind="classification", classes=tuple(range(way)))
        fitted = TransferModel(
            encoder, task, max_length=32, freeze=lesson.get("freeze", FROZEN[self.encoder])
        )
        start = time.process_time()
        if name not in NOT_META:
            # what is chosen by it does not stop by it
            check = self.validation if sampler is self.test else None
            options = {"validation": check, "validate_every": 50}
            source = self.sampler(self.train, way, 0, lesson.get("domain"))
            fitted = strategy.fit(fitted, source, seed=0, **options)
        seconds = time.process_time() - start
        return evaluate_episodes({name: (strategy, fitted)}, sampler, episodes).values.assign(
            training=seconds
        )


def tune(arguments) -> int:
    """Prints the accuracy of each candidate on episodes of the validation domains."""
    from tf_transfer.errors import TrainingError

    for name in arguments.setting or ["5-way-1-shot"]:
        setting = Setting(arguments.encoder, name)
        episodes = setting.validation.sample(TUNING_EPISODES, start=1000)
        grids = GRIDS[arguments.encoder]
        for strategy, grid in ((s, grids[s]) for s in grids if s in (arguments.strategy or grids)):
            for values in itertools.product(*grid.values()):
                fields = dict(zip(grid, values))
                fields |= fields.pop("together", {})
                try:
                    chosen, steps = (
                        CHOSEN[arguments.encoder] | {strategy: fields},
                        TUNING_STEPS[arguments.encoder],
                    )
                    candidate = strategies(chosen, steps)[strategy]
                    found = setting.run(strategy, candidate, setting.validation, episodes, fields)
                    said = (
                        f"{found['accuracy'].mean():.3f}, trained {found['training'].iloc[0]:.0f} s"
                    )
                except TrainingError as error:
                    said = "diverged: " + str(error).splitlines()[1]
                print(f"      {name}, {strategy} {fields}: {said}", flush=True)
    return 0


def run_setting(arguments, name: str) -> pd.DataFrame:
    """A row for each strategy and episode; read from the folder where it was computed before."""
    from tf_transfer.episodes.files import freeze_episodes, load_episodes

    setting, parts = Setting(arguments.encoder, name), []
    frozen = arguments.folder / f"{name}-{arguments.episodes}.json.gz"
    if not frozen.exists():
        frozen.parent.mkdir(parents=True, exist_ok=True)
        freeze_episodes(setting.test, arguments.episodes, frozen)
    episodes = load_episodes(frozen, setting.test.table)
    candidates = strategies(CHOSEN[arguments.encoder], STEPS[arguments.encoder], arguments.steps)
    for strategy in arguments.strategy or candidates:
        chosen = CHOSEN[arguments.encoder][strategy]
        lesson = {"freeze": FROZEN[arguments.encoder]} | {
            f: v for f, v in chosen.items() if f in LESSON
        }
        fields = " ".join([str(candidates[strategy]), *map(str, lesson.values())])
        fields = hashlib.sha256(fields.encode()).hexdigest()[:8]
        path = (
            arguments.folder
            / f"{arguments.encoder}-{name}-{arguments.episodes}-{strategy}-{fields}.csv"
        )
        if not path.exists():
            found = setting.run(strategy, candidates[strategy], setting.test, episodes, lesson)
            staging = path.with_suffix(".part")
            found.to_csv(staging, index=False)
            staging.replace(path)
        parts.append(pd.read_csv(path))
        print(f"      {name}, {strategy}: done", flush=True)
    return pd.concat(parts, ignore_index=True)


def show(report: Report, encoder: str, setting: str, values: pd.DataFrame) -> None:
    """The table of one setting, and the two bounds."""
    from tf_transfer.evaluation.episodes import EpisodeComparison

    found = EpisodeComparison(values.drop(columns="training"))
    table, training = found.table(), values.groupby("strategy")["training"].first()
    to = {
        other: found.differences(other)
        for other in ("linear_probe", "fine_tune", "proto_net")
        if other in table.index
    }
    for name, row in table.sort_values("mean", ascending=False).iterrows():
        detail = (
            f"[{row['low']:.3f}, {row['high']:.3f}] median {row['median']:.2f}, "
            f"{int(row['diverged'])} diverged"
        )
        for other in ("fine_tune", "proto_net"):
            if name != other and other in to:
                detail += f"; to {other} {words_of(to[other].loc[name])}"
        detail += f"; trained {training[name]:.0f} s" if name not in NOT_META else ""
        detail += f"; an episode {row['seconds']:.2f} s"
        report.figure(f"{setting}, {name}", row["mean"], digits=3, detail=detail)
    meta = [n for n in table.index if n not in NOT_META]
    rivals = ["linear_probe"] + ["fine_tune"] * (
        encoder == "bert-tiny" and setting == "5-way-1-shot"
    )
    for rival in rivals:
        what = f"{setting}, the best of meta-learning against {rival}"
        if not meta or rival not in to:
            report.missing(what, "Run it without --strategy.")
            continue
        show_best(report, setting, found, meta, rival)


if __name__ == "__main__":
    sys.exit(main())
