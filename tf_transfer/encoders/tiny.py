"""Small random encoders of every family, for tests and dry runs."""

from __future__ import annotations

from collections.abc import Sequence

from tf_transfer.devices.backend import keras, transformers
from tf_transfer.encoders.encoder import Encoder
from tf_transfer.encoders.families import build, model_class
from tf_transfer.errors import check_choice

TINY_FAMILIES = (
    "bert",
    "distilbert",
    "roberta",
    "electra",
    "albert",
    "mpnet",
    "xlm-roberta",
    "deberta",
    "deberta-v2",
    "gpt2",
    "t5",
)


_RELATIVE_POSITIONS = {
    "relative_attention": True,
    "pos_att_type": ["p2c", "c2p"],
    "position_biased_input": False,
}
"""What every pretrained DeBERTa has, though its configuration's defaults are otherwise."""


def tiny_encoder(
    family: str = "bert",
    *,
    texts: Sequence[str] = (),
    width: int = 32,
    layers: int = 2,
    seed: int = 0,
    pooling: str = "auto",
    dropout: float | None = None,
) -> Encoder:
    """A small random encoder of any family, for tests and dry runs; nothing is downloaded.

    Args:
        family: one of `TINY_FAMILIES`.
        texts: its words become tokens; other words are spelled out in characters.
        width: length of a text's vector.
        layers: number of blocks.
        seed: of the weights; as `keras.utils.set_random_seed`, it seeds the whole process.
        dropout: rate; the family's default when None.

    Example:
        >>> encoder = tiny_encoder(texts=["a lovely lamp"], width=16)
        >>> encoder.width, encoder.tokenizer.tokenize("lovely lamp")
        (16, ['lovely', 'lamp'])
    """
    check_choice("family", family, TINY_FAMILIES)
    tokenizer = _tiny_tokenizer(texts, family)
    sizes = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id}
    if family == "gpt2":
        sizes |= {"n_embd": width, "n_layer": layers, "n_head": 2, "n_positions": 128}
        rates = ("resid_pdrop", "embd_pdrop", "attn_pdrop")
    elif family == "t5":
        sizes |= {
            "d_model": width,
            "d_kv": width // 2,
            "d_ff": 2 * width,
            "num_layers": layers,
            "num_heads": 2,
        }
        rates = ("dropout_rate",)
    elif family == "distilbert":
        sizes |= {"dim": width, "hidden_dim": 2 * width, "n_layers": layers, "n_heads": 2}
        sizes |= {"max_position_embeddings": 128}
        rates = ("dropout", "attention_dropout")
    else:
        sizes |= {"hidden_size": width, "intermediate_size": 2 * width, "num_hidden_layers": layers}
        sizes |= {"num_attention_heads": 2, "max_position_embeddings": 130}
        sizes |= {"embedding_size": width // 2} if family in ("electra", "albert") else {}
        sizes |= _RELATIVE_POSITIONS if family.startswith("deberta") else {}
        sizes |= {"share_att_key": True} if family == "deberta-v2" else {}
        rates = ("hidden_dropout_prob", "attention_probs_dropout_prob")
    sizes |= dict.fromkeys(rates, dropout) if dropout is not None else {}
    config = transformers.AutoConfig.for_model(family, **sizes)
    keras.utils.set_random_seed(seed)
    return Encoder(build(model_class(config), config), tokenizer, pooling)


def _tiny_tokenizer(texts: Sequence[str], family: str):
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    letters = [chr(c) for c in range(33, 127) if not chr(c).isupper()]
    split = pre_tokenizers.BertPreTokenizer()
    normalizer = normalizers.BertNormalizer(lowercase=True)
    words = {w for t in texts for w, _ in split.pre_tokenize_str(normalizer.normalize_str(str(t)))}
    first = ["[PAD]", "[UNK]"]
    if family in ("roberta", "xlm-roberta", "mpnet"):  # their padding id is 1
        first.reverse()
    pieces = [*first, "[CLS]", "[SEP]", *letters, *("##" + c for c in letters)]
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys(pieces + sorted(words)))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, split
    if family != "gpt2":
        tokenizer.post_processor = processors.BertProcessing(
            ("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"])
        )
    types = family in ("bert", "electra", "albert", "deberta", "deberta-v2")
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=128,
        model_input_names=["input_ids", "attention_mask"] + ["token_type_ids"] * types,
    )
