"""A pretrained encoder with heads, as a Keras model of texts; copies and files of it."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

from tf_transfer.checks.arguments import check_known, rate, whole
from tf_transfer.devices.backend import tf
from tf_transfer.encoders import freezing, pretrained
from tf_transfer.encoders.encoder import Encoder
from tf_transfer.encoders.loading import load_encoder
from tf_transfer.errors import DataError, shown
from tf_transfer.kinds.tasks import Task
from tf_transfer.model import checkpoints, export
from tf_transfer.model.keras_verbs import KerasVerbs


class TransferModel(KerasVerbs):
    """A pretrained encoder shared by one head for each task.

    ``fit``, ``evaluate`` and ``predict`` take texts: tables (DataFrames), a Hugging Face
    `datasets.Dataset`, lists, arrays or Series of texts with ``y``, and `tf.data` of texts or of
    ``(texts, labels)``. They take token ids, too: what a tokenizer returns, with ``y``, and
    `tf.data` of batches ``(x, y, w)``. See `inputs` and `token_inputs`. Their other arguments are
    Keras', in Keras' order; one that they do not know is refused. The model's call maps ``x`` to
    ``{task: logits}``. For the training loss see `Network`.

    Args:
        encoder: of `load_encoder`, or a name for it; it becomes part of this model, and of no
            other: see `Encoder.copy`.
        tasks: `Task`s, or one, or names. Kinds and classes that are open are read from the first
            table fitted.
        text: column of the texts.
        text_pair: column of second texts, or None.
        max_length: the most tokens a row, with those that the tokenizer puts around a text; longer
            ones are cut.
        freeze: see `encoders.freezing.freeze`; None leaves the encoder as it is.
        dropout: rate before the heads.
        seed: of the heads' initial weights, of dropout and of the order of batches.

    Raises:
        DataError: an argument of another kind, or an encoder that another model was made of.
    """

    def __init__(
        self,
        encoder: Encoder | str | Path,
        tasks: Task | str | Sequence[Task | str],
        *,
        text: str = "text",
        text_pair: str | None = None,
        max_length: int = 128,
        freeze: str | int | None = None,
        dropout: float = 0.1,
        seed: int = 0,
    ):
        encoder = load_encoder(encoder) if isinstance(encoder, str | Path) else encoder
        if not isinstance(encoder, Encoder):
            raise DataError(
                "encoder must be what load_encoder returns, or a name for it.\nReceived "
                f"{shown(encoder)}.\n"
                "Give for instance tt.load_encoder('bert-tiny')."
            )
        least = encoder.reads.least_length(text_pair is not None)
        max_length = whole("max_length", max_length, least=least)
        options = {
            "dropout": rate("dropout", dropout, below=1),
            "seed": whole("seed", seed, least=None),
        }
        super().__init__(
            encoder, tasks, {"text": text, "text_pair": text_pair}, max_length, **options
        )
        if freeze is not None:
            freezing.freeze(encoder, freeze)
        encoder.taken = True

    def copy(
        self, out: TransferModel | None = None, tasks: Sequence[Task] | None = None
    ) -> TransferModel:
        """A model of the same weights in variables of its own, frozen alike, not compiled.

        Args:
            out: an earlier copy to overwrite instead; it keeps its traced functions, which saves
                most of the time of a copy. One whose encoder has other adapters is left alone.
            tasks: resolved tasks of the copy instead of this model's, one for each of them; a head
                of another size starts anew.
        """
        self._require_heads()
        if out is None or out.encoder.adapters != self.encoder.adapters:
            with self.distribute_strategy.scope():
                out = TransferModel(self.encoder.blank_copy(), tasks or self.tasks, **self.options)
        out.options["seed"] = self.options["seed"]
        new_names = dict(zip(self.heads, out.heads))
        out.freeze_like(self.frozen | {"heads": [new_names[name] for name in self.frozen["heads"]]})
        for variable, value in zip(out.state, self.state, strict=True):
            if variable.shape == value.shape:
                variable.assign(tf.cast(value, variable.dtype))
        return out

    def with_encoder(self, encoder: Encoder) -> TransferModel:
        """A model of the same tasks and heads' weights around another encoder, not compiled.

        ``model.with_encoder(adapters.attach(model.encoder.copy()))`` is the same model with
        adapters, and ``model.with_encoder(adapters.merge(model.encoder.copy()))`` the one without.

        Args:
            encoder: it becomes part of the new model, with what it has frozen; its vectors have the
                width of this model's.

        Raises:
            DataError: it has another width, or another model was made of it.
        """
        self._require_heads()
        if encoder.width != self.encoder.width:
            raise DataError(
                "Heads read vectors of the width that they were made for.\nReceived an encoder of "
                f"width {encoder.width} for heads of width {self.encoder.width}.\n"
                "Make a new TransferModel of the encoder."
            )
        with self.distribute_strategy.scope():
            out = TransferModel(encoder, self.tasks, **self.options)
        encoder.dropout_state.assign(self.encoder.dropout_state)
        for name, head in self.heads.items():
            out.heads[name].trainable = name not in self.frozen["heads"]
            for variable, value in zip(out.heads[name].weights, head.weights, strict=True):
                variable.assign(value)
        return out

    def __reduce__(self):
        weights = [v.numpy() for t in self.tasks if self.heads for v in self.heads[t.name].weights]
        return _revive, (self.encoder, list(self.tasks), dict(self.options), weights, self.frozen)

    def __deepcopy__(self, memo):
        revive, parts = self.__reduce__()
        return revive(*copy.deepcopy(parts, memo))

    # -- files ----------------------------------------------------------------------------------

    def save(
        self, filepath: str | Path, overwrite: bool = True, save_format=None, options=None, **others
    ) -> None:
        """Writes a folder of config.json, model.safetensors and the tokenizer; see `checkpoints`.

        Args:
            filepath: of the folder; an earlier model there is replaced when all is written.
            options: what `ModelCheckpoint` gives along; of a SavedModel, which this is not.

        Raises:
            DataError: a file's name or a format of Keras, which would not hold texts' tokenizer and
                classes.
            CheckpointError: see `checkpoints.save_model`.
        """
        check_known("save", others, ("filepath", "overwrite"))
        if save_format is not None or Path(filepath).suffix in (".h5", ".hdf5", ".keras"):
            raise DataError(
                "A model is saved as a folder with its tokenizer and classes, for tt.load_model.\n"
                f"Received {str(filepath)!r}, save_format={save_format!r}.\n"
                "Give a folder's name without a format; for TensorFlow alone, export(folder) "
                "writes a SavedModel."
            )
        checkpoints.save_model(self, filepath, overwrite=overwrite)

    def save_weights(self, filepath, *arguments, **options) -> None:
        """As in Keras; the order of the weights in a file does not depend on what is frozen."""
        with self.freed():
            super().save_weights(filepath, *arguments, **options)

    def load_weights(self, filepath, *arguments, **options):
        """As in Keras; see `save_weights`."""
        with self.freed():
            return super().load_weights(filepath, *arguments, **options)

    def get_config(self):
        """Keras would make a model anew from it, which takes an encoder's weights and a tokenizer.

        Raises:
            DataError: always; it names what works.
        """
        raise DataError(
            "A TransferModel is not made from a configuration.\n"
            "Received a call of get_config, as of to_json and clone_model.\n"
            "copy() makes another model of its weights; save(folder) and tt.load_model(folder) "
            "keep it."
        )

    def export(self, filepath: str | Path) -> None:
        """Writes a SavedModel for serving, with the tokenizer and the tasks beside it; see
        `export.export_model`.
        """
        export.export_model(self, filepath)

    def save_pretrained(self, save_directory: str | Path) -> None:
        """Writes the encoder for Hugging Face's `TFAutoModel` and `AutoModel`; see
        `pretrained.save_pretrained`.

        The heads are not in it: `save` keeps everything.
        """
        pretrained.save_pretrained(self.encoder, save_directory)

    @staticmethod
    def load(filepath: str | Path) -> TransferModel:
        """The model that `save` wrote; it predicts the same bits."""
        return load_model(filepath)


def load_model(folder: str | Path) -> TransferModel:
    """The model that `TransferModel.save` wrote, not compiled; it predicts the same bits.

    Raises:
        CheckpointError: no such folder, a file is missing, damaged, or not of this toolkit.
    """
    return checkpoints.read_model(folder, TransferModel)


def _revive(encoder, tasks, options: dict, weights: list, frozen: dict) -> TransferModel:
    """The model that was pickled, not compiled."""
    dropout_state = encoder.dropout_state.numpy()
    model = TransferModel(encoder, tasks, **options)
    encoder.dropout_state.assign(dropout_state)
    heads = [v for t in model.tasks if model.heads for v in model.heads[t.name].weights]
    for variable, value in zip(heads, weights, strict=True):
        variable.assign(value)
    model.freeze_like(frozen)
    return model
