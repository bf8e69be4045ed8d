"""The advisor's rules: in which order to try the strategies, from facts that are known before
training.

The first rule whose condition holds decides. Each was written from the cases that ``source`` names:
those of `DEVELOPMENT` in tests/benchmarks/advisor_cases.py (BERT-tiny, three seeds) and of
tests/benchmarks/fairness.py (five). They are tried on others by `python -m
tests.benchmarks.advisor`. No rule reads the domain distance: it was 1.4 to 1.9 of 2 whether the
source helped or not. Nor does one read the evidence of the labels: that of the source's heads was
less than that of the labels alone by .004 to .041 nats a label on tweets, which the source helped,
and by .003 to .165 where it answered another question. The rules speak of small encoders.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from tf_transfer.advisor.facts import Facts
from tf_transfer.strategies.base import (
    ANCHORED,
    CONTROL,
    EPISODES,
    FAMILIES,
    JOINT,
    PROBE,
    SEQUENTIAL,
    TARGET,
    WORDS,
    Strategy,
)


@dataclasses.dataclass(frozen=True)
class Rule:
    """An order of families and when it holds.

    Args:
        name: in a few words.
        holds: whether it holds for facts.
        order: families, best first; those that are not named come after, as `FAMILIES` has them.
        because: why the first is first; a format of the facts' fields.
        source: the benchmark cases behind it.
    """

    name: str
    holds: Callable[[Facts], bool]
    order: tuple[str, ...]
    because: str
    source: str


RULES = (
    Rule(
        "another question",
        lambda f: f.overlap < 0.5,
        (TARGET, JOINT, SEQUENTIAL, PROBE, ANCHORED, WORDS),
        "the source answers another question ({overlap:.0%} of the labels are known to it), and "
        "such a source was worth something in 6 of 15 places",
        "polarity to questions, intents of other domains, similarity to entailment (best or within "
        "its interval of it in 8 of 9; joint training is ahead by .085 in the other), and a source "
        "of another question in the benchmark of fairness (joint training is behind by .007 to "
        ".045 in 6 of 6)",
    ),
    Rule(
        "texts are cut",
        lambda f: f.cut > 1 / 3,
        (WORDS, ANCHORED, JOINT, SEQUENTIAL, TARGET, PROBE),
        "{cut:.0%} of the target's tokens lie beyond the encoder's max_length, and only word "
        "counts read them",
        "reviews of media, a few reviews (9 of 9)",
    ),
    Rule(
        "words suffice",
        lambda f: f.words > f.probe + 0.05,
        (WORDS, ANCHORED, JOINT, SEQUENTIAL, TARGET, PROBE),
        "on the source's own rows word counts score {words:.2f}, the encoder's frozen features "
        "{probe:.2f}",
        "reviews of media, whose texts are cut too (6 of 6)",
    ),
    Rule(
        "little source data",
        lambda f: f.source_rows < 500,
        (TARGET, SEQUENTIAL, ANCHORED, WORDS, PROBE, JOINT),
        "{source_rows:,} source rows are too few to train an encoder on",
        "a few reviews, leaving tfidf out (best on the mean of 3, and behind by .022, .000 and "
        ".007)",
    ),
    Rule(
        "related source",
        lambda f: True,
        (JOINT, SEQUENTIAL, ANCHORED, TARGET, PROBE, WORDS),
        "the source answers the same question with {rows_a_label:.0f} rows for each of the "
        "target's labels, in other texts (domain distance {distance:.1f} of 2)",
        "ratings of films and shops: 6 of 6",
    ),
)
"""From the top: the first that holds decides."""


def rank(
    strategies: Mapping[str, Strategy], facts: Facts, seconds: Mapping[str, float]
) -> list[tuple[str, str, str]]:
    """``(label, rule, reason)`` of every strategy, the one to try first at the front.

    Args:
        strategies: ``{label: strategy}``; of one family, in the order given.
        facts: of the place.
        seconds: ``{label: predicted seconds}`` of one source and target training.
    """
    rule = decide(facts)
    order = [*rule.order, *(name for name in FAMILIES if name not in rule.order)]
    labels = sorted(strategies, key=lambda label: order.index(strategies[label].family))
    quickest, ranked = min(seconds, key=seconds.get), []
    for label in labels:
        name = strategies[label].family
        parts = [_words(rule.because, facts)] if name == order[0] else []
        parts = [_words(DOES[name], facts), *parts]
        if label == labels[0] and name != order[0]:
            parts.append(
                f"the first of the strategies by the rule “{rule.name}”, which would start with "
                f"{order[0]}"
            )
        times = seconds[label] / max(seconds[quickest], 1e-3)
        if times >= 3:
            parts.append(f"{times:.0f} times the work of {quickest}")
        ranked.append((label, rule.name, "; ".join(parts)))
    return ranked


def decide(facts: Facts) -> Rule:
    """The first rule that holds; the last one always does."""
    return next(rule for rule in RULES if rule.holds(facts))


def _words(template: str, facts: Facts) -> str:
    fields = dataclasses.asdict(facts) | {"rows_a_label": facts.rows_a_label}
    return template.format(**fields)


DOES = {
    JOINT: "learns from all {source_rows:,} source rows mixed, then from the {budget} labels",
    SEQUENTIAL: "learns from one source after the other, then from the {budget} labels",
    TARGET: "trains the encoder on the {budget} labels alone",
    ANCHORED: "solves heads on frozen features, drawn towards the source's",
    PROBE: "solves heads on frozen features of the {budget} labels alone",
    WORDS: "counts words of source and target",
    EPISODES: "learns from small tasks drawn from the source; no case behind these rules "
    "measured it",
    CONTROL: "shows what the others must beat",
}
"""What each family does, for the reason of its rank."""
