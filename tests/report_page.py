"""The text of a report's page by section, its tags, and its tables as lists of rows of texts."""

import html.parser
import re


class Page(html.parser.HTMLParser):
    """A parsed page; what stands before the first section is in the section ``header``."""

    VOID = ("meta", "br", "link", "img", "input", "hr")

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.texts, self.tables = [], [], {}, []
        self.open, self.section = [], "header"
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *a) for a in attrs]
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "section":
            self.section = dict(attrs)["id"]
        if tag == "table":
            self.tables.append((self.section, []))
        if tag == "tr":
            self.tables[-1][1].append([])
        if tag in ("td", "th"):
            self.tables[-1][1][-1].append("")

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *a) for a in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" in self.open or not data.strip():
            return
        self.texts[self.section] = self.texts.get(self.section, "") + " ".join(data.split()) + " "
        if ("td" in self.open or "th" in self.open) and "svg" not in self.open:
            cell = self.tables[-1][1][-1]
            cell[-1] = (cell[-1] + " " + " ".join(data.split())).strip()


def lacking(text: str, sections) -> list[str]:
    """The sections of a page that are not there, or say that something of theirs is missing."""
    texts = Page(text).texts
    return [
        name
        for name in sections
        if not texts.get(name) or re.search(r"\b(is|are) missing:", texts[name])
    ]
