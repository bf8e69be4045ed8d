"""A table of texts as both rivals that start from texts read and tokenise it."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import NamedTuple

import pandas as pd
import torch
import transformers


class Table(NamedTuple):
    """What the arguments of a rival name.

    Args:
        folder: of the encoder.
        batch: rows of a batch.
        rows: number of them.
        labels: (rows,) int64.
        fields: from the numbers of rows to the tokenizer's fields, each (batch, length of the
            longest row).
    """

    folder: str
    batch: int
    rows: int
    labels: torch.Tensor
    fields: Callable[[list[int]], object]


def read_table(description: str) -> Table:
    """The table and the sizes that the command line names."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "folder", help="config.json, model.safetensors and tokenizer of the encoder"
    )
    parser.add_argument("csv", help="table with the columns text and label (0, 1, …)")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--max-length", type=int, default=128)
    arguments = parser.parse_args()
    table = pd.read_csv(arguments.csv, keep_default_na=False)
    texts, labels = (
        table["text"].tolist(),
        torch.tensor(table["label"].to_numpy(), dtype=torch.int64),
    )
    tokenizer = transformers.AutoTokenizer.from_pretrained(arguments.folder)

    def fields(rows: list[int]):
        options = {
            "padding": True,
            "truncation": True,
            "max_length": arguments.max_length,
            "return_tensors": "pt",
        }
        return tokenizer([texts[row] for row in rows], **options)

    return Table(arguments.folder, arguments.batch, len(texts), labels, fields)
