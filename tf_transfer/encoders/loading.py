"""Encoders from assets, folders and the hub, and the configuration that a saved model keeps."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from tf_transfer.assets import registry
from tf_transfer.assets.fetching import fetch
from tf_transfer.devices.backend import transformers
from tf_transfer.encoders import checks as encoder_checks
from tf_transfer.encoders.adapters import attach
from tf_transfer.encoders.encoder import Encoder
from tf_transfer.encoders.families import PRECISIONS, build, computing_in, model_class, quiet
from tf_transfer.encoders.inputs import Texts
from tf_transfer.errors import DataError, check_choice, first_line, listed, nearest
from tf_transfer.files.storage import restore


def load_encoder(
    name: str | Path,
    *,
    revision: str | None = None,
    pooling: str = "auto",
    from_scratch: bool = False,
    precision: str | None = None,
) -> Encoder:
    """A pretrained encoder with its tokenizer.

    Weights are read from safetensors (PyTorch's or TensorFlow's) or HDF5, never from pickles, and
    no code that comes with a model is run.

    Args:
        name: an asset (``"bert-tiny"``, ``"minilm"``; fetched when it is not in the cache), a local
            folder, or the id of a model on the Hugging Face hub.
        revision: commit, tag or branch; needed for a hub id, so that a result can be repeated.
        pooling: see `Encoder`; ``"auto"`` is also what a folder of `save_pretrained` notes.
        from_scratch: random weights instead of the pretrained ones.
        precision: ``"mixed_bfloat16"`` computes in 16 bits where that is safe: weights, layer
            normalisation, pooling, heads, losses and the update stay in 32 bits. None: the policy
            that `keras.mixed_precision.set_global_policy` has set.

    Raises:
        DataError: no such model, an unsupported family, no safetensors, or no fast tokenizer.
        AssetError: an asset could not be fetched.
    """
    if precision is not None:
        check_choice("precision", precision, PRECISIONS)
    folder, where = _locate(str(name), revision)
    try:
        local = Path(folder).is_dir()
        if local:
            encoder_checks.check_files(folder)
        if pooling == "auto" and Path(folder, encoder_checks.POOLING).exists():
            pooling = encoder_checks.noted_pooling(folder)["pooling"]
        size = encoder_checks.weight_bytes(folder) if local and not from_scratch else None
        with quiet(), computing_in(precision), encoder_checks.at_most(size):
            return _load(name, folder, where, pooling, from_scratch)
    except DataError:
        raise
    except Exception as error:  # tokenizers raises bare Exceptions
        raise DataError(
            f"Could not load an encoder from {str(name)!r}: {first_line(error)}\n"
            "Expected config.json, weights as model.safetensors, and a fast tokenizer "
            "(tokenizer.json)."
        ) from error


def _load(name: str | Path, folder: str, where: dict, pooling: str, from_scratch: bool) -> Encoder:
    config = transformers.AutoConfig.from_pretrained(folder, **where)
    kind = model_class(config)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, use_fast=True, **where)
    encoder_checks.check_tokenizer(tokenizer, getattr(config, "vocab_size", None))
    if from_scratch:
        return Encoder(build(kind, config), tokenizer, pooling)
    transformer, report = kind.from_pretrained(
        folder, config=config, output_loading_info=True, **where
    )
    _check_complete(name, report)
    encoder_checks.check_finite(name, transformer.weights)
    return Encoder(transformer, tokenizer, pooling)


def _check_complete(name: str, report: dict) -> None:
    """The library fills weights that a file lacks with random numbers, and only warns."""
    missing = sorted(str(k) for k in report["missing_keys"] if "pooler" not in str(k))
    if missing:
        raise DataError(
            f"The weights of {name!r} must be complete.\n"
            f"Received a file without {len(missing)} of them: {listed(missing, most=3)}.\n"
            "Check that config.json and model.safetensors belong together."
        )


def encoder_from_config(folder: str | Path) -> Encoder:
    """An encoder with random weights from the configuration and tokenizer that `save_config` wrote.

    Raises:
        Exception: of whatever kind, where the files are not what was written.
    """
    folder = Path(folder)
    encoder_checks.check_files(folder)
    with quiet():
        config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            folder, trust_remote_code=False, use_fast=True
        )
        encoder_checks.check_tokenizer(tokenizer, getattr(config, "vocab_size", None))
        note = encoder_checks.noted_pooling(folder)
        check_choice("precision", note.get("precision", "float32"), (*PRECISIONS, "float64"))
        with computing_in(note.get("precision")):
            encoder = Encoder(build(model_class(config), config), tokenizer, note["pooling"])
            if "adapters" in note:  # names alone: an expression from a file may never end
                noted = note["adapters"]
                attach(encoder, noted["rank"], noted["alpha"], list(noted["layers"]))
            return encoder


def save_config(encoder: Encoder, folder: str | Path) -> None:
    """Writes the encoder's configuration and tokenizer, not its weights.

    Raises:
        DataError: it reads something else than texts.
    """
    if not isinstance(encoder.reads, Texts):
        raise DataError(
            "Only encoders of texts can be saved.\n"
            f"Received one that reads with {type(encoder.reads).__name__}.\n"
            "Save its weights with save_weights, and make it anew to load them."
        )
    encoder.config.save_pretrained(folder)
    encoder.tokenizer.save_pretrained(folder)
    note = {"pooling": encoder.pooling, "precision": encoder.precision}
    if encoder.adapters is not None:
        note["adapters"] = dataclasses.asdict(encoder.adapters)
    Path(folder, encoder_checks.POOLING).write_text(json.dumps(note))


def _locate(name: str, revision: str | None) -> tuple[str, dict]:
    """A folder or a hub id, and the options that the library is to read it with."""
    where = {"trust_remote_code": False}
    restore(name)
    if Path(name).is_dir():
        return name, where
    assets = [n for n, e in registry.ENTRIES.items() if e.kind == "encoder"]
    if name in assets:
        return str(fetch(name)), where
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise DataError(
            f"An encoder must be an asset ({listed(assets)}), a local folder, or a hub id "
            "'owner/model'.\n"
            f"Received {name!r}, which is none of them.{nearest(name, assets)}"
        )
    if revision is None:
        raise DataError(
            f"A hub id needs a revision, so that the same weights are loaded tomorrow.\n"
            f"Received {name!r} without one.\nGive revision='<commit>' (or 'main' to follow the "
            "newest)."
        )
    return name, where | {"revision": revision}
