"""All pairs of similar texts between two collections, exactly and without comparing each with each.

Reference:
    Bayardo, Ma and Srikant 2007, "Scaling Up All Pairs Similarity Search"; the prefix filter is
    in Xiao et al. 2008, "Efficient Similarity Joins for Near Duplicate Detection", Lemma 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import scipy.sparse as sp

SHINGLE = 5
"""Characters in a shingle. Texts of fewer characters have none and are near to nothing."""

HASH_BITS = 22
TEXTS_AT_ONCE = 1024
CHARACTERS_AT_ONCE = 8_000_000
CELLS_AT_ONCE = 4_000_000
PREFIX_SHARED = 8
"""Shingles that the prefixes of two similar sets must share; more means fewer, costlier
candidates.
"""


def find_similar(
    left: Sequence[str], right: Sequence[str], threshold: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs whose sets of character shingles have a Jaccard similarity of at least ``threshold``.

    Args:
        left, right: texts.
        threshold: in (0, 1], shared shingles over all shingles of the two.

    Returns:
        i, j: (pairs,) int, positions in ``left`` and ``right``, sorted by i, then j.
        similarity: (pairs,) float64 in [threshold, 1].
    """
    # Memory stays bounded however large the second collection is.
    blocks = np.cumsum([len(text) for text in right]) // CHARACTERS_AT_ONCE
    verified = [(np.empty(0, int), np.empty(0, int), np.empty(0))]
    for block in np.unique(blocks):
        places = np.flatnonzero(blocks == block)
        a, b = _rarest_first(_shingles([*left, *(right[p] for p in places)]), len(left))
        for pairs in _candidates(a, b, threshold):
            i, j, similarity = _verify(a, b, *pairs, threshold)
            verified.append((i, places[j], similarity))
    i, j, similarity = (np.concatenate(part) for part in zip(*verified))
    order = np.lexsort((j, i))
    return i[order], j[order], similarity[order]


def _shingles(texts: Sequence[str]) -> sp.csr_matrix:
    """(texts, 2**HASH_BITS) float32 of 0 and 1."""
    from sklearn.feature_extraction.text import HashingVectorizer

    vectorizer = HashingVectorizer(
        analyzer="char",
        ngram_range=(SHINGLE, SHINGLE),
        n_features=2**HASH_BITS,
        binary=True,
        norm=None,
        alternate_sign=False,
        lowercase=False,
        dtype=np.float32,
    )
    starts = range(0, len(texts), TEXTS_AT_ONCE)
    return sp.vstack(
        [vectorizer.transform(texts[s : s + TEXTS_AT_ONCE]) for s in starts], format="csr"
    )


def _rarest_first(sets: sp.csr_matrix, left: int) -> tuple[sp.csr_matrix, sp.csr_matrix]:
    """The first ``left`` sets and the others, columns renamed so that a row starts with its
    rarest.
    """
    counts = np.bincount(sets.indices, minlength=sets.shape[1])
    rank = np.empty(len(counts), sets.indices.dtype)
    rank[np.argsort(counts, kind="stable")] = np.arange(len(counts))
    renamed = sp.csr_matrix((sets.data, rank[sets.indices], sets.indptr), shape=sets.shape)
    renamed.sort_indices()
    return renamed[:left], renamed[left:]


def _least_shared(sizes: np.ndarray, threshold: float) -> np.ndarray:
    """Shingles that a set of this size shares with any set that is similar enough."""
    return np.ceil(threshold * sizes - 1e-9).astype(np.int32)


def _prefixes(sets: sp.csr_matrix, threshold: float) -> sp.csr_matrix:
    """The rarest shingles of each row: similar sets share `PREFIX_SHARED` of these, or all they
    need.
    """
    sizes = np.diff(sets.indptr)
    lengths = np.minimum(sizes - _least_shared(sizes, threshold) + PREFIX_SHARED, sizes)
    place = np.arange(sets.nnz, dtype=np.int32) - np.repeat(sets.indptr[:-1], sizes)
    kept = place < np.repeat(lengths, sizes)
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    return sp.csr_matrix((sets.data[kept], sets.indices[kept], indptr), shape=sets.shape)


def _candidates(a, b, threshold: float) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    sizes_a, sizes_b = np.diff(a.indptr), np.diff(b.indptr)
    rare_a, rare_b = _prefixes(a, threshold), _prefixes(b, threshold).T.tocsr()
    for start in range(0, a.shape[0], TEXTS_AT_ONCE):
        shared = (rare_a[start : start + TEXTS_AT_ONCE] @ rare_b).tocoo()
        i, j = shared.row + start, shared.col
        small, large = np.minimum(sizes_a[i], sizes_b[j]), np.maximum(sizes_a[i], sizes_b[j])
        possible = small >= _least_shared(large, threshold)
        possible &= shared.data >= np.minimum(_least_shared(small, threshold), PREFIX_SHARED)
        yield from _in_blocks(i[possible], j[possible], small[possible])


def _in_blocks(i, j, cells) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    block = np.cumsum(cells) // CELLS_AT_ONCE
    for edge in np.split(np.arange(len(i)), np.flatnonzero(np.diff(block)) + 1):
        yield i[edge], j[edge]


def _verify(a, b, i, j, threshold: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    shared = np.asarray(a[i].multiply(b[j]).sum(axis=1)).ravel()
    union = np.diff(a.indptr)[i] + np.diff(b.indptr)[j] - shared
    similarity = shared.astype(float) / np.maximum(union, 1)
    kept = similarity >= threshold - 1e-9
    return i[kept], j[kept], np.minimum(similarity[kept], 1.0)
