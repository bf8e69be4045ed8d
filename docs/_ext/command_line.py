"""The directive `command-line`: every command of `tf-transfer` with its arguments and options, from
its code.
"""

import typer
from sphinx.util.docutils import SphinxDirective

from tf_transfer.command_line import cli


def describe(name: str, command) -> str:
    """A section in Markdown: what the command does, how it is called, and a table of what it
    takes.
    """
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    usage = " ".join(
        ["tf-transfer", name, *(_metavar(p) for p in arguments), *_needed(command.params)]
    )
    lines = [f"## {name}", "", command.help.strip(), "", f"```text\n{usage}\n```", ""]
    lines += ["| argument or option | default | meaning |", "|---|---|---|"]
    for parameter in command.params:
        called = _metavar(parameter) if parameter in arguments else ", ".join(parameter.opts)
        given = (
            parameter.default is not None
            and parameter.default is not False
            and not parameter.required
        )
        default = f"`{parameter.default}`" if given else ""
        lines.append(f"| `{called}` | {default} | {parameter.help or ''} |")
    return "\n".join(lines) + "\n"


def _metavar(parameter) -> str:
    name = parameter.name.upper()
    name += "…" if parameter.nargs == -1 else ""
    return name if parameter.required else f"[{name}]"


def _needed(parameters) -> list[str]:
    """The options without which the command does not run."""
    options = [p for p in parameters if p.param_type_name == "option" and p.required]
    return [f"{p.opts[0]} {p.name.upper()}" for p in options]


class CommandLine(SphinxDirective):
    """A section for each command."""

    def run(self):
        commands = typer.main.get_command(cli.app).commands
        text = "\n".join(describe(name, command) for name, command in commands.items())
        return self.parse_text_to_nodes(text, allow_section_headings=True)


def setup(app):
    app.add_directive("command-line", CommandLine)
    return {"parallel_read_safe": True}
