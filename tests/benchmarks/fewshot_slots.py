"""Slots of types that no training has seen, from few spans: entity F1 of meta-learned strategies.

    python -m tests.benchmarks.fewshot_slots [FOLDER] [--encoder bert-tiny] [--episodes 200]
    [--setting 5-way-1-shot ...] [--tune]

Requests of snips, 5-way 1- and 5-shot by Few-NERD's greedy sampling: a support has each type once
to twice (5 to 10 times), a query 5 to 10 times. Test are the types that only the two intents about
music have, validation those of only the two about books and works; training has all others. Rows
with types of two of these are left out. Every strategy has the same episodes; the difference to
fine-tuning of the pretrained encoder is paired by episode. Fields were chosen on episodes of the
validation types (``--tune``), those of fine-tuning too. It needs snips in the cache.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
import warnings
from pathlib import Path

import pandas as pd

from tests.benchmarks.best_of_episodes import show_best, words_of
from tests.benchmarks.reporting import Report

SETTINGS = {"5-way-1-shot": (5, 1), "5-way-5-shot": (5, 5)}
TEST, VALIDATION = ["AddToPlaylist", "PlayMusic"], ["RateBook", "SearchCreativeWork"]
"""Intents whose own types are kept apart."""
EPISODES, NUM_QUERY, META_BATCH, LENGTH = 200, 5, 4, 48
TUNING_EPISODES = 40
FROZEN = {"bert-tiny": "none", "minilm": "embeddings"}
COSINES = {"distance": "cosine", "cosine_scale": 20.0}
GRID = {
    "fine_tune": {"adapt_steps": [30, 100], "adapt_learning_rate": ["auto", 1e-3]},
    "proto_net": {
        "learning_rate": [1e-4, 3e-4, 1e-3],
        "steps": [100, 300],
        "together": [{}, COSINES],
    },
    "proto_maml": {
        "learning_rate": [1e-4, 3e-4],
        "inner_lr": [0.01, 0.03],
        "inner_steps": [3],
        "steps": [200],
    },
    "fomaml": {
        "learning_rate": [3e-4, 1e-3],
        "inner_lr": [0.01, 0.03, 0.1, 0.3],
        "inner_steps": [5],
        "adapt_steps": [10],
        "steps": [200],
    },
}
"""``together`` are fields that go together."""
CHOSEN = {
    "fine_tune": {"adapt_steps": 30, "adapt_learning_rate": 1e-3},
    "proto_net": {"learning_rate": 3e-4, "steps": 100} | COSINES,
    "proto_maml": {"learning_rate": 3e-4, "inner_lr": 0.03, "inner_steps": 3, "steps": 200},
    "fomaml": {
        "learning_rate": 3e-4,
        "inner_lr": 0.03,
        "inner_steps": 5,
        "adapt_steps": 10,
        "steps": 200,
    },
}
"""With one span a type, taken for five too."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", nargs="?", default="runs/fewshot_slots", type=Path)
    parser.add_argument("--encoder", default="bert-tiny", choices=FROZEN)
    parser.add_argument("--episodes", type=int, default=EPISODES)
    parser.add_argument("--setting", action="append", choices=SETTINGS)
    parser.add_argument("--strategy", action="append", choices=GRID)
    parser.add_argument("--tune", action="store_true", help="try the grid on validation episodes")
    arguments = parser.parse_args()
    names = arguments.strategy or list(GRID)
    if arguments.tune:
        return tune(arguments.encoder, names)
    report = Report(
        f"Slots of types that training has not, {arguments.encoder}, {arguments.episodes} episodes"
    )
    for name in arguments.setting or SETTINGS:
        setting = Setting(arguments.encoder, name)
        frozen = setting.frozen(arguments.folder, arguments.episodes)
        values = pd.concat([setting.run(n, CHOSEN[n], "test", frozen) for n in names])
        values.to_csv(arguments.folder / f"{arguments.encoder}-{name}.csv", index=False)
        show(report, name, values)
    return report.finish()


def splits() -> dict[str, pd.DataFrame]:
    """The rows of training, validation and test; no type is in two of them."""
    from tf_transfer.data.readers import read_dataset

    table = read_dataset("snips")
    kept_apart = {"test": TEST, "validation": VALIDATION}
    kept_apart["train"] = [i for i in table["intent"].unique() if i not in TEST + VALIDATION]
    types = {name: _types(table[table["intent"].isin(kept_apart[name])]) for name in kept_apart}
    parts = {}
    for name, own in types.items():
        others = set.union(*(types[other] for other in types if other != name))
        parts[name] = _of_types_alone(table, own - others)
    return parts


def _types(table: pd.DataFrame) -> set[str]:
    return {span["label"] for cell in table["slots"] for span in cell}


def _of_types_alone(table: pd.DataFrame, types: set[str]) -> pd.DataFrame:
    kept = [bool(cell) and {span["label"] for span in cell} <= types for cell in table["slots"]]
    return table[kept].drop_duplicates("text").reset_index(drop=True)


def strategy_of(name: str, fields: dict):
    """A strategy with its fields, as it is trained and adapted in every episode."""
    from tf_transfer.strategies import MAML, ProtoMAML, ProtoNet, TargetOnly

    outer = {"meta_batch": META_BATCH, "patience": 4}
    makers = {
        "fine_tune": lambda: TargetOnly(**fields),
        "proto_net": lambda: ProtoNet(**outer | fields),
        "proto_maml": lambda: ProtoMAML(**outer | fields),
        "fomaml": lambda: MAML(first_order=True, **outer | fields),
    }
    return makers[name]()


class Setting:
    """Samplers of training, validation and test, of one encoder, way and shot."""

    def __init__(self, encoder: str, name: str):
        from tf_transfer.episodes.sampler import EpisodeSampler
        from tf_transfer.kinds.tasks import Task

        self.encoder, self.name = encoder, name
        self.way, shot = SETTINGS[name]
        task = Task("slots", kind="tagging")
        self.samplers = {
            part: EpisodeSampler(table, task, self.way, shot, NUM_QUERY, seed)
            for seed, (part, table) in enumerate(splits().items())
        }

    def frozen(self, folder: Path, count: int) -> list:
        """The test episodes, from a file that is written the first time."""
        from tf_transfer.episodes.files import freeze_episodes, load_episodes

        path = folder / f"{self.name}-{count}.json.gz"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            freeze_episodes(self.samplers["test"], count, path)
        return load_episodes(path, self.samplers["test"].table)

    def run(self, name: str, fields: dict, part: str, episodes: list) -> pd.DataFrame:
        """Meta-trains where the strategy does, and scores the episodes: a row for each."""
        from tf_transfer.encoders.loading import load_encoder
        from tf_transfer.errors import PenaltyWarning
        from tf_transfer.evaluation.episodes import evaluate_episodes
        from tf_transfer.kinds.tasks import Task
        from tf_transfer.model.model import TransferModel

        task = Task("slots", kind="tagging", classes=tuple(range(self.way)))
        freeze = FROZEN[self.encoder]
        encoder = load_encoder(self.encoder)
        fitted = TransferModel(encoder, task, max_length=LENGTH, freeze=freeze)
        strategy, start = strategy_of(name, fields), time.process_time()
        if name != "fine_tune":
            # what is chosen by it does not stop by it
            check = self.samplers["validation"] if part == "test" else None
            options = {"validation": check, "validate_every": 50, "validation_episodes": 24}
            fitted = strategy.fit(fitted, self.samplers["train"], seed=0, **options)
        seconds = time.process_time() - start
        with warnings.catch_warnings():
            # of a few words the greatest penalty is the best, as it should be
            warnings.simplefilter("ignore", PenaltyWarning)
            candidates = {name: (strategy, fitted)}
            scored = evaluate_episodes(candidates, self.samplers[part], episodes)
        return scored.values.assign(training=seconds)


def tune(encoder: str, names: list[str]) -> int:
    """Prints the F1 of each candidate on episodes of the validation types, one span a type."""
    from tf_transfer.errors import TrainingError

    setting = Setting(encoder, next(iter(SETTINGS)))
    episodes = setting.samplers["validation"].sample(TUNING_EPISODES, start=1000)
    for name in names:
        for values in itertools.product(*GRID[name].values()):
            fields = dict(zip(GRID[name], values))
            fields |= fields.pop("together", {})
            try:
                scored = setting.run(name, fields, "validation", episodes)
                said = f"{scored['f1_micro'].mean():.3f}, {scored['training'].iloc[0]:.0f} s"
            except TrainingError as error:
                said = "diverged: " + str(error).splitlines()[1]
            print(f"      {name} {fields}: {said}", flush=True)
    return 0


def show(report: Report, setting: str, values: pd.DataFrame) -> None:
    """Each strategy's F1 with its difference to fine-tuning, and whether the best is better."""
    from tf_transfer.evaluation.episodes import EpisodeComparison

    scored = EpisodeComparison(values.drop(columns="training"), "f1_micro")
    table, training = scored.table(), values.groupby("strategy")["training"].first()
    others = [name for name in table.index if name != "fine_tune"]
    gaps = scored.differences("fine_tune") if "fine_tune" in table.index else None
    for name, row in table.iterrows():
        detail = f"[{row['low']:.3f}, {row['high']:.3f}]"
        if gaps is not None and name in others:
            detail += f"; to fine_tune {words_of(gaps.loc[name])}; trained {training[name]:.0f} s"
        report.figure(f"{setting}, {name}", row["mean"], digits=3, detail=detail)
    if gaps is None or not others:
        report.missing(f"{setting}, the best against fine_tune", "Run it without --strategy.")
        return
    show_best(report, setting, scored, others, "fine_tune")


if __name__ == "__main__":
    sys.exit(main())
