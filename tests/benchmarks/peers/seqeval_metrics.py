"""The metrics of `seqeval` for corpora of tags, as JSON: ``[[true rows], [answered rows]]`` each on
standard input.
"""

from __future__ import annotations

import json
import sys
import warnings

from seqeval.metrics.sequence_labeling import precision_recall_fscore_support

AVERAGES = "micro", "macro", "weighted"


def suite(true: list, answered: list) -> dict:
    """Precision, recall and F1 by average, and by type."""
    names = ("precision", "recall", "f1")
    values = {}
    for average in AVERAGES:
        given = precision_recall_fscore_support(true, answered, average=average, zero_division=0)
        values |= {f"{name}_{average}": value for name, value in zip(names, given)}
    each = precision_recall_fscore_support(true, answered, average=None, zero_division=0)
    return values | {name: list(part) for name, part in zip((*names, "support"), each)}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(json.dumps([suite(*corpus) for corpus in json.load(sys.stdin)], default=float))
