"""Which source carried the gain; the variants of one strategy stay out of everything else."""

import numpy as np
import pytest

from tests.analysis.folders import make_comparison, noisy
from tf_transfer.errors import DataError
from tf_transfer.report import headline
from tf_transfer.statistics.intervals import paired_difference

RNG = np.random.default_rng(19)
Y = RNG.integers(0, 2, 150)
SCORES = {
    "target_only": {16: noisy(RNG, Y, [0.6] * 5)},
    "fine_tune": {16: noisy(RNG, Y, [0.8] * 5)},
    "fine_tune without films": {16: noisy(RNG, Y, [0.6] * 5)},
    "fine_tune without shop": {16: noisy(RNG, Y, [0.99] * 5)},
}
VARIANTS = {
    "fine_tune without films": ["fine_tune", "films"],
    "fine_tune without shop": ["fine_tune", "shop"],
}


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    return make_comparison(tmp_path_factory.mktemp("run"), Y, SCORES, variants=VARIANTS)


def test_a_gain_is_the_difference_with_and_without(comparison):
    found = comparison.source_gains().set_index("source")
    assert found["verdict"].to_dict() == {"films": "helped", "shop": "hurt"}
    assert set(found["strategy"]) == {"fine_tune"}
    expected = paired_difference(
        "f1_macro",
        "classification",
        Y,
        SCORES["fine_tune"][16],
        SCORES["fine_tune without films"][16],
    )
    assert tuple(found.loc["films", ["difference", "low", "high"]]) == (
        expected.value,
        expected.low,
        expected.high,
    )


def test_variants_are_left_out_of_ordinary_tables(comparison):
    both = {"target_only", "fine_tune"}
    assert set(comparison.results["strategy"]) == set(comparison.costs["strategy"]) == both
    assert (
        set(comparison.verdicts()["strategy"])
        == set(comparison.label_worth()["strategy"])
        == {"fine_tune"}
    )
    assert set(comparison.curves()["strategy"]) == both
    assert list(comparison.summary().columns[4:]) == ["target_only", "fine_tune"]
    assert "without" not in headline(comparison)


def test_a_missing_cell_of_a_variant_is_named(tmp_path):
    scores = SCORES | {
        "fine_tune without shop": {16: [*SCORES["fine_tune without shop"][16][:4], None]}
    }
    comparison = make_comparison(tmp_path, Y, scores, variants=VARIANTS)
    assert [u.split(":")[0] for u in comparison.unusable] == [
        "fine_tune without shop on tweets, 16 labels, seed 4"
    ]
    found = comparison.source_gains().set_index("source")
    assert "without seed 4" in found.loc["shop", "note"]
    assert found.loc["films", "note"] == ""


def test_without_variants_the_way_to_them_is_told(tmp_path):
    comparison = make_comparison(tmp_path, Y, {s: SCORES[s] for s in ("target_only", "fine_tune")})
    with pytest.raises(DataError, match="Set leave_one_out: true"):
        comparison.source_gains()
