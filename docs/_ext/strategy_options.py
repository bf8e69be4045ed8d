"""The directive `strategy-options NAME`: a table of a strategy's fields, from its code."""

from docstrings import options
from sphinx.util.docutils import SphinxDirective

import tf_transfer


class StrategyOptions(SphinxDirective):
    """Fields, types, defaults and descriptions, but for those that it refuses."""

    required_arguments = 1

    def run(self):
        strategy = getattr(tf_transfer, self.arguments[0])
        found = [option for option in options(strategy) if option.name not in strategy.unread]
        if not found:
            return self.parse_text_to_nodes("It has no options.")
        rows = ["| option | type | default | meaning |", "|---|---|---|---|"]
        for option in found:
            cells = f"`{option.name}`", f"`{option.kind}`", f"`{option.default}`", option.text
            rows.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
        return self.parse_text_to_nodes("\n".join(rows))


def setup(app):
    app.add_directive("strategy-options", StrategyOptions)
    return {"parallel_read_safe": True}
