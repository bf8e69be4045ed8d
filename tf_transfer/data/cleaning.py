"""What is taken out of a text before it is tokenised."""

from __future__ import annotations

import html as html_entities
import re
from collections.abc import Collection
from typing import Literal

from tf_transfer.checks.characters import Form, normalise
from tf_transfer.errors import check_choice

URL_PLACEHOLDER = "http"
"""Stands for a link, as in TweetEval (Barbieri et al. 2020)."""

# Not `time`: it is a placeholder like `<user>` in many corpora of tweets.
_BLOCKS = """
    address article aside audio blockquote body br button canvas caption center dd details
    dialog div dl dt embed fieldset figcaption figure footer form frame frameset h1 h2 h3 h4 h5
    h6 head header hr html iframe img input legend li link main meta nav noscript object ol
    optgroup option p pre section select source summary svg table tbody td template textarea
    tfoot th thead title tr track ul video
"""
_INLINES = """
    a abbr acronym b bdi bdo big cite code del dfn em font i ins kbd label mark q s samp small
    span strike strong sub sup tt u var wbr
"""
_TAG_SPACES = dict.fromkeys(_BLOCKS.split(), " ") | dict.fromkeys(_INLINES.split(), "")
# What is not seen, up to its end. No `<` within: a tag without `>` would be read to the end of the
# text.
_OPENING = re.compile(r"<!--|<(script|style)\b[^<>]*>", re.IGNORECASE)
_CLOSING = {
    "": re.compile("-->"),
    "script": re.compile(r"</script\s*>", re.IGNORECASE),
    "style": re.compile(r"</style\s*>", re.IGNORECASE),
}
_TAG = re.compile(r"""</?([a-zA-Z][a-zA-Z0-9]*)(?:\s(?:"[^"]*"|'[^']*'|[^'"<>])*)?/?>""")
# Only with the semicolon: `?a=1&copy=2` is a link, not a copyright sign.
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")
_URL = re.compile(r"""(?:https?://|\bwww\.)[^\s<>"]*[^\s<>"'.,;:!?)\]}]""", re.IGNORECASE)
# Joiners between two characters beyond ASCII build emoji and Persian or Indic letters; the tags
# after a black flag build the flags of England, Scotland and Wales. Those stay.
_CONTROL = re.compile(
    "(\U0001f3f4[\U000e0020-\U000e007f]+|(?<=[^\x00-\x7f])[\u200c\u200d](?=[^\x00-\x7f]))"
    "|[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f"
    "\ufeff\ufff9-\ufffb\U000e0000-\U000e007f\ud800-\udfff]"
)
_WORD = re.compile(r"\w+(?:['’]\w+)*")


def clean_text(
    text: str,
    *,
    html: bool = True,
    urls: Literal["keep", "remove", "replace"] = "keep",
    control: bool = True,
    unicode: Form | None = "NFC",
    stop_words: Literal["english"] | Collection[str] | None = None,
) -> str:
    """One text without what a pretrained encoder has no use for; white space becomes single spaces.

    The defaults keep case, punctuation, emoji and stop words: encoders were trained with them.
    The time grows with the text's length, whatever it holds.

    Args:
        html: drop the tags of HTML elements, comments, scripts and styles, and decode entities
            (``&amp;`` but not ``&copy=2``). ``3 < 5``, ``<3`` and ``<user>`` stay.
        urls: ``"replace"`` puts `URL_PLACEHOLDER` for each link.
        control: drop control, zero-width and text direction characters and lone surrogates.
        unicode: normalisation form; ``"NFKC"`` also turns ``ﬁ`` into ``fi`` and ``２`` into ``2``.
        stop_words: words to drop whatever their case; ``"english"`` is scikit-learn's list, which
            holds *not* and *never*. For bag-of-words baselines only.

    Raises:
        DataError: an unknown value of ``urls``, ``unicode`` or ``stop_words``.

    Example:
        >>> clean_text("Great   <b>film</b> &amp; cast!")
        'Great film & cast!'
        >>> clean_text("See https://example.org today.", urls="replace")
        'See http today.'
    """
    check_choice("urls", urls, ("keep", "remove", "replace"))
    if html:
        text = _ENTITY.sub(lambda match: html_entities.unescape(match[0]), _strip_tags(text))
    if unicode is not None:
        check_choice("unicode", unicode, ("NFC", "NFD", "NFKC", "NFKD"))
        text = normalise(text, unicode)
    if control:
        text = _CONTROL.sub(lambda match: match[1] or "", text)
    if urls != "keep":
        text = _URL.sub(URL_PLACEHOLDER if urls == "replace" else "", text)
    if stop_words is not None:
        unwanted = find_stop_words(stop_words)
        text = _WORD.sub(lambda match: "" if match[0].lower() in unwanted else match[0], text)
    return " ".join(text.split())


def find_stop_words(stop_words: str | Collection[str]) -> Collection[str]:
    """The words that ``stop_words`` names, in lower case.

    Raises:
        DataError: a name other than ``"english"``.
    """
    if not isinstance(stop_words, str):
        return frozenset(word.lower() for word in stop_words)
    check_choice("stop_words", stop_words, ["english"])
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return ENGLISH_STOP_WORDS


def _strip_tags(text: str) -> str:
    return _TAG.sub(lambda match: _TAG_SPACES.get(match[1].lower(), match[0]), _drop_unseen(text))


def _drop_unseen(text: str) -> str:
    """A space for each comment, script and style; one without an end stays as it is written."""
    kept, start, endless = [], 0, set()
    for opening in _OPENING.finditer(text):
        kind = (opening[1] or "").lower()
        if opening.start() < start or kind in endless:
            continue
        closing = _CLOSING[kind].search(text, opening.end())
        if closing is None:
            endless.add(kind)  # nor has any later one an end
            continue
        kept.append(text[start : opening.start()])
        start = closing.end()
    return " ".join([*kept, text[start:]])
