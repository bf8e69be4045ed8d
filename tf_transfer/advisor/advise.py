"""Which strategies to try first, before any is trained: facts, a measured cost and a few rules."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from tf_transfer.advisor.advice import Advice
from tf_transfer.advisor.cost import Cost, CostMeter
from tf_transfer.advisor.facts import Facts, gather_facts, sample_sources
from tf_transfer.advisor.rules import rank
from tf_transfer.errors import DataError, listed
from tf_transfer.experiments.experiment import Experiment, load_experiment
from tf_transfer.experiments.prepared import Prepared, draw_support


def advise(
    experiment: Experiment | Mapping | str | Path, *, say: Callable[[str], None] | None = None
) -> Advice:
    """Ranks the strategies of an experiment for every target, task and label budget, before
    training.

    The facts come from the tables, from the encoder as it is (frozen features), and from the labels
    that the budget buys with the experiment's first seed; of a target's other training rows only
    the texts are read, and of its test rows nothing but what the leakage audit needs. The order
    follows from the first of `rules.RULES` that holds; the times from steps of the training itself
    that are timed now, so ask on the machine that is to train.

    Args:
        experiment: see `load_experiment`.
        say: called with what goes on.

    Raises:
        DataError: the experiment or its data is not usable, it has no sources, or a single
            strategy.
    """
    experiment, say = load_experiment(experiment), say or (lambda what: None)
    _check(experiment)
    say("reading tables")
    data = Prepared.load(experiment)
    from tf_transfer.experiments.runner import Runner  # TensorFlow from here on

    runner = Runner(experiment, data.tasks)
    sampled, trains = sample_sources(data.sources), {n: t.train for n, t in data.targets.items()}
    places = [(name, budget) for name in trains for budget in experiment.budgets]
    supports = {(n, b): draw_support(trains[n], n, b, experiment.seeds[0]) for n, b in places}
    meter, costs = CostMeter(runner.model, data.sources, sampled), {}
    # The largest budgets first: their steps stand for those of smaller ones in batches of the same
    # size.
    for name, budget in sorted(places, key=lambda place: -place[1]):
        for label, strategy in experiment.compared.items():
            say(f"timing {label} on {name}, {budget} labels")
            costs[label, name, budget] = meter.cost(strategy, name, supports[name, budget])
    say("comparing source and target")
    facts = gather_facts(runner.model, sampled, _labelled_rows(data), trains, supports)
    rows = pd.DataFrame([row for fact in facts for row in _ranked(experiment, fact, costs)])
    identity = data.common | {"encoder": runner.encoder_hash}
    identity |= {
        f"strategy {k}": [s.name, dataclasses.asdict(s)] for k, s in experiment.compared.items()
    }
    seconds = _run_seconds(
        experiment, costs, {name: len(table) for name, table in data.sources.items()}
    )
    return Advice(rows, tuple(facts), json.loads(json.dumps(identity)), seconds)


def _labelled_rows(data: Prepared) -> int:
    """Source rows with a label of any task."""
    return sum(
        int(np.any([t.encode(s)[1] for t in data.tasks], axis=0).sum())
        for s in data.sources.values()
    )


def _check(experiment: Experiment) -> None:
    if not experiment.sources:
        raise DataError(
            "Advice says what source data is worth to a target.\nReceived an experiment without "
            "sources.\n"
            "Give it sources; without them, target_only and linear_probe are what there is to "
            "compare."
        )
    if len(experiment.compared) < 2:
        raise DataError(
            "Advice ranks strategies: it needs two or more.\nReceived "
            f"{listed(experiment.compared)} alone.\n"
            "Add others, such as target_only, multi_task, linear_probe and tfidf."
        )


def _ranked(experiment: Experiment, fact: Facts, costs: dict[tuple, Cost]) -> list[dict]:
    here = {label: costs[label, fact.target, fact.budget] for label in experiment.compared}
    place = {"target": fact.target, "task": fact.task, "budget": fact.budget}
    return [
        place
        | {
            "rank": number,
            "strategy": label,
            "source_seconds": here[label].source,
            "target_seconds": here[label].target,
            "once_seconds": here[label].once,
            "rule": rule,
            "reason": reason,
        }
        for number, (label, rule, reason) in enumerate(
            rank(experiment.compared, fact, {label: cost.total for label, cost in here.items()}),
            start=1,
        )
    ]


def _run_seconds(experiment: Experiment, costs: dict[tuple, Cost], rows: dict[str, int]) -> float:
    """Training of all cells, also of those without a source; strategies that share traced steps pay
    for them once.
    """
    total, shared = 0.0, 0.0
    for label, strategy in experiment.compared.items():
        mine = [cost for (name, *_), cost in costs.items() if name == label]
        variants = [
            v for variant, v in experiment.variants.items() if variant in experiment.trained
        ]
        left = [1 - rows[out] / sum(rows.values()) for name, out in variants if name == label]
        target = sum(cost.target for cost in mine)
        total += len(experiment.seeds) * sum(
            share * mine[0].source + target for share in [1, *left]
        )
        once = max(cost.once for cost in mine)
        if strategy.timed_by == "steps":
            shared = max(shared, once)
        else:
            total += once
    return total + shared
