import numpy as np
import pytest

from tf_transfer.data import near_duplicates
from tf_transfer.data.near_duplicates import find_similar


def shingles(text):
    return {text[i : i + 5] for i in range(len(text) - 4)}


def brute_force(left, right, threshold):
    pairs = []
    for i, a in enumerate(map(shingles, left)):
        for j, b in enumerate(map(shingles, right)):
            similarity = len(a & b) / len(a | b) if a | b else 0.0
            if similarity >= threshold:
                pairs.append((i, j, similarity))
    return pairs


def noisy_copies(rng, count):
    """Short and long texts over few letters, and copies with a few characters changed."""
    texts = ["".join(rng.choice(list("abcd"), rng.integers(1, 60))) for _ in range(count)]
    copies = []
    for text in texts:
        letters = list(text)
        for place in rng.integers(0, len(letters), rng.integers(0, 4)):
            letters[place] = "e"
        copies.append("".join(letters))
    return texts, copies


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.8, 1.0])
def test_all_pairs_are_those_of_brute_force(threshold, monkeypatch):
    monkeypatch.setattr(near_duplicates, "CHARACTERS_AT_ONCE", 1000)
    monkeypatch.setattr(near_duplicates, "CELLS_AT_ONCE", 500)
    monkeypatch.setattr(near_duplicates, "TEXTS_AT_ONCE", 50)
    left, right = noisy_copies(np.random.default_rng(0), 150)
    i, j, similarity = find_similar(left, right, threshold)
    expected = brute_force(left, right, threshold)
    assert len(expected) > 20
    assert list(zip(i, j)) == [pair[:2] for pair in expected]
    np.testing.assert_allclose(similarity, [pair[2] for pair in expected], rtol=1e-6)


@pytest.mark.parametrize(
    ("left", "right"), [([], ["abcdef"]), (["abcdef"], []), (["abcd"], ["abcd"])]
)
def test_nothing_to_compare(left, right):
    assert [len(part) for part in find_similar(left, right, 0.8)] == [0, 0, 0]
