"""Tables from Hugging Face `datasets`, which need not be installed: its objects are known by what
they can do.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from tf_transfer.data import arrow_tables
from tf_transfer.errors import DataError, listed


def is_dataset(x) -> bool:
    """Whether ``x`` is a `datasets.Dataset`."""
    return hasattr(x, "to_pandas") and hasattr(x, "features") and hasattr(x, "column_names")


def is_dataset_dict(x) -> bool:
    """Whether ``x`` is a `datasets.DatasetDict`: splits by name."""
    return isinstance(x, Mapping) and bool(x) and all(map(is_dataset, x.values()))


def from_dataset(dataset) -> pd.DataFrame:
    """The rows of a `datasets.Dataset`, classes by name instead of by number.

    A `ClassLabel` of -1, the convention for a row without a label, is missing.

    Args:
        dataset: of `datasets.load_dataset` and its like.

    Raises:
        DataError: a `DatasetDict` (choose a split), or something else.
    """
    if is_dataset_dict(dataset):
        raise DataError(
            "A table is one split.\nReceived a DatasetDict of the splits "
            f"{listed(list(dataset))}.\n"
            f"Choose one, for instance dataset[{next(iter(dataset))!r}]; evaluate takes all of "
            "them."
        )
    if not is_dataset(dataset):
        raise DataError(f"Expected a datasets.Dataset.\nReceived a {type(dataset).__name__}.")
    if hasattr(dataset, "with_format"):
        table = arrow_tables.to_pandas(dataset.with_format("arrow")[:])
    else:
        table = dataset.to_pandas()
    for column, feature in (dataset.features or {}).items():
        inner = getattr(feature, "feature", None)  # of a list
        if hasattr(feature, "int2str"):
            names = [_name(feature, v) for v in table[column]]
        elif hasattr(inner, "int2str"):
            names = [
                None if row is None else [_name(inner, v) for v in row] for row in table[column]
            ]
        else:
            continue
        table[column] = pd.Series(names, table.index, dtype=object)
    return table


def _name(label, value) -> str | None:
    """The class of a number; None where it is missing."""
    return label.int2str(int(value)) if not pd.isna(value) and value >= 0 else None
