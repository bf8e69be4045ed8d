"""Entity metrics beside `seqeval`'s, an independent package, on tags of any form."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tf_transfer.data.tagged_tokens import spans_of_tags
from tf_transfer.evaluation import metrics
from tf_transfer.kinds.spans import Spans
from tf_transfer.kinds.tasks import Task

pytestmark = pytest.mark.slow

PEERS = os.environ.get("PEERS_PYTHON")
SCRIPT = Path(__file__).parent / "benchmarks" / "peers" / "seqeval_metrics.py"
TYPES = ("city", "day", "person")
CORPORA, ROWS = 40, 50


def draw_tags(draws, well_formed: bool) -> list[str]:
    """A row of BIO tags; where they need not be well-formed, spans may go on that never began."""
    tags, before = [], "O"
    for _ in range(draws.integers(1, 12)):
        kind = draws.choice(TYPES)
        choices = ["O", f"B-{kind}"]
        if not well_formed:
            choices.append(f"I-{kind}")
        elif before != "O":
            choices.append(f"I-{before.partition('-')[2]}")
        before = str(draws.choice(choices))
        tags.append(before)
    return tags


def spans_of(rows: list) -> Spans:
    numbered = [
        [(span.first, span.behind, TYPES.index(span.label)) for span in spans_of_tags(tags)[0]]
        for tags in rows
    ]
    return Spans.of_rows(numbered, len(TYPES))


@pytest.mark.skipif(
    not PEERS, reason="PEERS_PYTHON names no Python with seqeval: see tests/benchmarks/peers"
)
@pytest.mark.filterwarnings("ignore::tf_transfer.evaluation.metrics.UndefinedMetricWarning")
@pytest.mark.parametrize("well_formed", [True, False])
def test_entity_metrics_are_those_of_seqeval(well_formed):
    draws = np.random.default_rng(3)
    corpora = []
    for _ in range(CORPORA):
        true = [draw_tags(draws, well_formed) for _ in range(ROWS)]
        answered = [
            tags if draws.random() < 0.4 else draw_tags(draws, well_formed)[: len(tags)]
            for tags in true
        ]
        padded = [row + ["O"] * (len(tags) - len(row)) for row, tags in zip(answered, true)]
        corpora.append((true, padded))
    ran = subprocess.run(
        [PEERS, str(SCRIPT)], input=json.dumps(corpora), capture_output=True, text=True, timeout=300
    )
    assert ran.returncode == 0, ran.stderr
    task = Task("spans", kind="tagging", classes=TYPES)
    for (true, answered), expected in zip(corpora, json.loads(ran.stdout), strict=True):
        suite = metrics.suite(task, spans_of(true), spans_of(answered))
        for name, values in expected.items():
            np.testing.assert_allclose(suite[name], values, rtol=0, atol=1e-12, err_msg=name)
