"""Matplotlib figures as SVG elements that live inside a page: its fonts, its colours, dark or
light.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Mapping
from xml.etree import ElementTree

import matplotlib
from matplotlib.figure import Figure

_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))


def inline_svg(figure: Figure, name: str, description: str, colours: Mapping[str, str]) -> str:
    """The figure as one ``<svg>`` element without references to anything outside it.

    Args:
        figure: drawn without background.
        name: unique in the page; starts the identifiers inside.
        description: what a reader without sight is told.
        colours: ``{"#1b1e23": "currentColor"}``, colours that the page decides.
    """
    # Text stays text: it can be searched, and the reader's font is used.
    with (
        matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata=_NO_METADATA)
    root = ElementTree.fromstring(buffer.getvalue())
    used = set(re.findall(r'(?:href="|url\()#([^")]+)', buffer.getvalue()))
    for parent in root.iter():
        for child in [c for c in parent if c.tag.endswith(("}metadata", "}style"))]:
            parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        element.attrib = _attributes(element.attrib, name, used, colours)
    root.attrib = {"viewBox": root.attrib["viewBox"], "role": "img", "aria-label": description}
    return ElementTree.tostring(root, encoding="unicode")


def _attributes(
    attributes: Mapping[str, str], name: str, used: set[str], colours: Mapping[str, str]
) -> dict:
    """Without namespaces, with identifiers that are unique in the page, and with its colours."""
    kept = {key.rpartition("}")[2]: value for key, value in attributes.items()}
    if "id" in kept:
        kept["id"] = f"{name}-{kept['id']}" if kept["id"] in used else ""
    if "href" in kept:
        kept["href"] = f"#{name}-{kept['href'][1:]}"
    if "clip-path" in kept:
        kept["clip-path"] = kept["clip-path"].replace("#", f"#{name}-")
    if "style" in kept:
        style = re.sub(r"font-family:[^;]*;?", "", kept["style"])
        for colour, replacement in colours.items():
            style = style.replace(colour, replacement)
        kept["style"] = style
    return {key: value for key, value in kept.items() if value}
