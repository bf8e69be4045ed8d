"""The directive `strategy-options NAME`: a table of a strategy's fields, from its code."""

from typing import ClassVar

from docstrings import options
from sphinx.util.docutils import SphinxDirective

import tf_transfer


class StrategyOptions(SphinxDirective):
    """Fields, types, defaults and descriptions; ``:unread:`` names inherited fields that change nothing here."""

    required_arguments = 1
    option_spec: ClassVar = {"unread": str.split}

    def run(self):
        strategy = getattr(tf_transfer, self.arguments[0])
        unread = self.options.get("unread", [])
        found = options(strategy)
        unknown = set(unread) - {option.name for option in found}
        if unknown:
            raise self.error(f"{strategy.__name__} has no fields {sorted(unknown)}")
        if not found:
            return self.parse_text_to_nodes("It has no options.")
        rows = ["| option | type | default | meaning |", "|---|---|---|---|"]
        for option in found:
            text = "*Inherited; this strategy does not read it.*" if option.name in unread else option.text
            cells = f"`{option.name}`", f"`{option.kind}`", f"`{option.default}`", text
            rows.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
        return self.parse_text_to_nodes("\n".join(rows))


def setup(app):
    app.add_directive("strategy-options", StrategyOptions)
    return {"parallel_read_safe": True}
