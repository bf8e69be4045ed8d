"""About how much memory meta-learning takes, and how much there is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from tf_transfer.encoders.freezing import frozen_blocks

if TYPE_CHECKING:
    from tf_transfer.model.model import TransferModel


def kept_bytes(model: TransferModel, rows: int, steps: int) -> float:
    """An estimate of the bytes that the intermediate values of ``steps`` inner steps on ``rows``
    rows take.

    Of weights three copies a step; of a token in a block, 110 numbers for each of the encoder's
    width and 12 for each pair of a head and another token, as measured with MiniLM; BERT-tiny took
    1.2 to 1.5 times as much. Frozen blocks keep none.
    """
    config, length = model.encoder.config, model.options["max_length"]
    layers = getattr(config, "num_hidden_layers", None) or getattr(config, "num_layers", 12)
    layers -= frozen_blocks(model.encoder)
    heads = getattr(config, "num_attention_heads", None) or getattr(config, "num_heads", 12)
    numbers = 3 * weight_count(model)
    numbers += rows * length * layers * (110 * model.encoder.width + 12 * heads * length)
    return 4.0 * steps * numbers


def weight_count(model: TransferModel) -> int:
    """Numbers in the weights that training changes."""
    return sum(int(np.prod(v.shape)) for v in model.trained_variables)


def machine_bytes() -> int:
    """The machine's memory; 8 GB where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 8 * 10**9
