"""What is known of source and target before training: the facts that the advisor's rules read."""

from __future__ import annotations

import dataclasses
import warnings
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tf_transfer.advisor.transferability import domain_distance, logme
from tf_transfer.batches.tokens import tokenise
from tf_transfer.data.tables import join_tables
from tf_transfer.evaluation.metrics import UndefinedMetricWarning, suite
from tf_transfer.kinds import kind_of
from tf_transfer.kinds.tasks import Task
from tf_transfer.strategies import LinearProbe, Strategy, TfIdf

if TYPE_CHECKING:
    from tf_transfer.model.model import TransferModel

SAMPLED = 2000
"""The most rows of all sources, and of a target, whose features are computed for the facts."""


@dataclasses.dataclass(frozen=True)
class Facts:
    """One target, task and label budget.

    Args:
        target, task, budget: the place.
        kind: of the task.
        classes: number of them; 0 for a regression.
        source_rows: labelled source rows, of any task.
        overlap: share of the budget's labels that the source has too, for the same task: of a
            regression 1 or 0, of a classification the share of labels whose class a source row has.
        distance: `domain_distance` between all source texts and the target's training texts, 0 to
            2.
        target_evidence: how much better the frozen features predict the budget's labels than their
            mean does, as a difference of `logme`, in nats a label.
        source_evidence: the same of the outputs of heads that are trained on the source's frozen
            features.
        words, probe: Pearson's r or macro F1 of tf-idf and of a linear probe, trained on two thirds
            of the sources' rows and scored on the others; NaN when the sources have no label for
            the task.
        cut: share of the target's tokens that lie beyond the encoder's ``max_length``.
    """

    target: str
    task: str
    budget: int
    kind: str
    classes: int
    source_rows: int
    overlap: float
    distance: float
    target_evidence: float
    source_evidence: float
    words: float
    probe: float
    cut: float

    @property
    def rows_a_label(self) -> float:
        """Source rows for each label of the budget."""
        return self.source_rows / self.budget


def sample_sources(sources: dict[str, pd.DataFrame], seed: int = 0) -> dict[str, pd.DataFrame]:
    """At most `SAMPLED` rows of all sources, each in proportion to its size."""
    share = min(1.0, SAMPLED / sum(map(len, sources.values())))
    return {
        name: table.sample(max(round(len(table) * share), 1), random_state=seed).reset_index(
            drop=True
        )
        for name, table in sources.items()
    }


def gather_facts(
    model: TransferModel,
    sources: dict[str, pd.DataFrame],
    source_rows: int,
    targets: dict,
    supports: dict,
) -> list[Facts]:
    """The facts of every target, task and budget.

    Args:
        model: `TransferModel` with the pretrained encoder; its heads are trained on the sources
            here.
        sources: the source tables, see `sample_sources`.
        source_rows: rows of the whole sources.
        targets: ``{name: training table}``; only the texts of at most `SAMPLED` rows are read.
        supports: ``{(name, budget): table}``, the rows whose labels the budget buys.
    """
    source = join_tables(list(sources.values()))
    tried = TfIdf(uses_source=False), LinearProbe(uses_source=False)
    trials = {
        t.name: [try_out(strategy, model, source, t) for strategy in tried] for t in model.tasks
    }
    LinearProbe().fit(model, source)
    source_x = model.encode(source, verbose=0)
    texts = {
        n: t.sample(min(len(t), SAMPLED), random_state=0).reset_index(drop=True)
        for n, t in targets.items()
    }
    distances = {n: domain_distance(source_x, model.encode(t, verbose=0)) for n, t in texts.items()}
    cuts = {n: cut_share(model, t) for n, t in texts.items()}
    facts = []
    for (name, budget), support in supports.items():
        vectors = model.encode(support, verbose=0)
        outputs = _outputs(model, source, vectors)
        for task in model.tasks:
            y, present = task.encode(support)
            if present.any():
                facts.append(
                    Facts(
                        name,
                        task.name,
                        budget,
                        task.kind,
                        len(task.classes),
                        source_rows,
                        label_overlap(task, source, y[present]),
                        distances[name],
                        evidence(task, vectors[present], y[present]),
                        evidence(task, outputs[present], y[present]),
                        *trials[task.name],
                        cuts[name],
                    )
                )
    return facts


def try_out(strategy: Strategy, model: TransferModel, table: pd.DataFrame, task: Task) -> float:
    """Trained on two thirds of a table's labelled rows, the score on the others; NaN with fewer
    than 12 rows.

    The score is one that is best at 1 for every task: Pearson's r or macro F1.
    """
    rows = np.flatnonzero(task.encode(table)[1])
    if len(rows) < 12:
        return np.nan
    rows = np.random.default_rng(0).permutation(rows)
    held, learned = (
        table.iloc[np.sort(part)].reset_index(drop=True)
        for part in np.split(rows, [len(rows) // 3])
    )
    adapted = strategy.adapt(strategy.fit(model), learned)
    y, _ = task.encode(held)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        scores = suite(task, y, adapted.predict(held, verbose=0)[task.name].scores)
    return float(scores[kind_of(task).primary])


def cut_share(model: TransferModel, table: pd.DataFrame) -> float:
    """Share of the texts' tokens that lie beyond the model's ``max_length``."""
    options = model.options
    kept = model.tokenise(table).lengths.sum()
    whole = tokenise(
        model.encoder,
        table,
        text=options["text"],
        text_pair=options["text_pair"],
        max_length=model.encoder.max_length,
    )
    return float(1 - kept / whole.lengths.sum())


def label_overlap(task: Task, source: pd.DataFrame, labels: np.ndarray) -> float:
    """Share of encoded labels (rows, …) that the source has for the same task; see `Facts`."""
    known, present = task.encode(source)
    known = known[present]
    return kind_of(task).known_share(labels, known) if len(known) else 0.0


def _outputs(model: TransferModel, source: pd.DataFrame, vectors: np.ndarray) -> np.ndarray:
    """(rows, outputs) of all heads that the source has labels for."""
    outputs = model.apply_heads(vectors)
    trained = [t.name for t in model.tasks if t.loss_weight and t.encode(source)[1].any()]
    return np.hstack(
        [np.asarray(outputs[name], np.float64).reshape(len(vectors), -1) for name in trained]
    )


def evidence(task: Task, x: np.ndarray, y: np.ndarray) -> float:
    """`logme` beyond that of a constant, nats a label; 0 when the labels are all alike."""
    columns = kind_of(task).sure(task, y)
    gain = logme(x, columns) - logme(np.zeros((len(x), 1)), columns)
    return 0.0 if np.isnan(gain) else float(gain)
