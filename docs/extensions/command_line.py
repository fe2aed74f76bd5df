"""The directive ``command-line``: every command of edgepose with its options, from argparse."""

from argparse import SUPPRESS, Action, ArgumentParser, _SubParsersAction
from collections.abc import Iterator

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from edgepose.cli.main import build_parser


class CommandLine(SphinxDirective):
    """A section for each command: what it does, its usage, and its arguments in their groups."""

    def run(self) -> list[nodes.Node]:
        """Return the sections."""
        return [section(parser) for parser in command_parsers()]


def command_parsers() -> Iterator[ArgumentParser]:
    """Yield the parser of each command, with all its options."""
    for command in subparsers(build_parser()):
        # The main parser gives options only to the command that is called.
        yield subparsers(build_parser([command]))[command]


def subparsers(parser: ArgumentParser) -> dict[str, ArgumentParser]:
    """Return the parsers of a parser's subcommands by name; none if it has none."""
    found = [action for action in parser._actions if isinstance(action, _SubParsersAction)]
    return dict(found[0].choices) if found else {}


def section(parser: ArgumentParser) -> nodes.section:
    """Return the section of a command, with those of its subcommands."""
    node = nodes.section(ids=[parser.prog.replace(" ", "-")])
    node += nodes.title(text=parser.prog)
    if parser.description:
        node += [nodes.paragraph(text=text) for text in parser.description.split("\n\n")]
    node += nodes.literal_block(text=parser.format_usage().removeprefix("usage: "), language="none")
    for group in parser._action_groups:
        shown = [a for a in group._group_actions if a.help != SUPPRESS and a.dest != "help"]
        if shown and not isinstance(shown[0], _SubParsersAction):
            node += nodes.rubric(text=(group.title or "").capitalize())
            node += nodes.definition_list("", *(definition(a, parser) for a in shown))
    node += [section(each) for each in subparsers(parser).values()]
    return node


def definition(action: Action, parser: ArgumentParser) -> nodes.definition_list_item:
    """Return the entry of an argument: how it is written, and its help."""
    formatter = parser._get_formatter()
    term = nodes.term("", "", nodes.literal(text=formatter._format_action_invocation(action)))
    text = formatter._expand_help(action) if action.help else ""
    return nodes.definition_list_item("", term, nodes.definition("", nodes.paragraph(text=text)))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("command-line", CommandLine)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
