"""The ``edgepose`` command: finds the subcommand, and turns errors into sentences."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from difflib import get_close_matches
from functools import partial
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, NoReturn

from edgepose import __version__
from edgepose.utils.standard_streams import reliable_streams
from edgepose_runtime.errors import ConfigError, EdgePoseError, OutputError
from edgepose_runtime.redaction import redact, redact_words
from edgepose_runtime.telemetry import no_telemetry

#: Subcommands, each a module of :mod:`edgepose.cli.commands` with ``add_parser(subparsers)`` and
#: ``run(args)``. Only the one that is called is imported, so that help comes at once.
COMMANDS = {
    "track": "track a person in a video, images or a camera",
    "archive": "track many videos, each exactly once",
    "export": "write poses in the formats of other tools",
    "run": "run a service of cameras from a configuration file",
    "evaluate": "measure accuracy on annotated clips",
    "benchmark": "measure speed and accuracy, beside the peers",
    "train": "train networks",
    "springs": "learn the springs of thin-slicing for a model",
    "propose-keyframes": "list the frames of a video that are worth labelling",
    "models": "list the models that come with edgepose",
    "doctor": "check this installation and its devices",
}
#: Entry points of this group are subcommands of other packages, such as ``edgepose_converters``.
COMMAND_GROUP = "edgepose.commands"
DONE, FAILED, WRONG_USAGE = 0, 1, 2
#: By Ctrl-C, as shells count: 128 and the number of the signal.
INTERRUPTED = 130
#: The reader of a pipe is gone: 128 and the number of SIGPIPE.
PIPE_CLOSED = 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    That is 0 done, 2 wrong usage, 130 stopped by Ctrl-C, 141 the reader of the output is gone, 1
    any other failure; a command that a signal stopped may return 128 and the signal's number.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    with reliable_streams():
        return _run(words)


def _run(words: list[str]) -> int:
    if "--debug" not in words:
        _silence_opencv()
    try:
        # Also what a command imports later, and what that imports.
        with no_telemetry():
            args = build_parser(words).parse_args([word for word in words if word != "--debug"])
            return int(_module(args.command).run(args))
    except KeyboardInterrupt:
        return _fail("Stopped by Ctrl-C.", INTERRUPTED, words)
    except ConfigError as error:
        return _fail(str(error), WRONG_USAGE, words)
    except OutputError as error:
        # As under "| head": whoever read has enough, and wants no sentence about it.
        if isinstance(error.__cause__, BrokenPipeError) and "--debug" not in words:
            return PIPE_CLOSED
        return _fail(str(error), FAILED, words)
    except EdgePoseError as error:
        return _fail(str(error), FAILED, words)
    except Exception as error:  # noqa: BLE001 - the edge of the program: nobody else will tell
        kind = type(error).__name__
        sentence = f"Something went wrong inside edgepose ({kind}: {error}); --debug shows where."
        return _fail(redact(sentence), FAILED, words)


def build_parser(words: Sequence[str] = ()) -> argparse.ArgumentParser:
    """Return the parser for a command line.

    Args:
        words: the command line; only the subcommand it names gets its options.
    """
    parser = _Parser(
        words, prog="edgepose", description="Human pose tracking in video on edge devices."
    )
    parser.add_argument("--version", action="version", version=f"edgepose {__version__}")
    parser.add_argument("--debug", action="store_true", help="show tracebacks of errors")
    make_parser: Any = partial(_Parser, words)
    subparsers = parser.add_subparsers(
        dest="command", metavar="COMMAND", required=True, parser_class=make_parser
    )
    called = next((word for word in words if not word.startswith("-")), None)
    for command in (*COMMANDS, *_installed_commands()):
        if command == called:
            _module(command).add_parser(subparsers)
        else:
            subparsers.add_parser(command, help=_summary(command))
    return parser


class _Parser(argparse.ArgumentParser):
    """Refuses a command line in two lines, without its passwords, and with what may be meant."""

    def __init__(self, words: Sequence[str], **options: Any) -> None:
        super().__init__(**options)
        self._words = words

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and leave."""
        said = redact(redact_words(message, self._words))
        meant = "".join(f" Did you mean {name}?" for name in self._meant(message))
        hint = f"'{self.prog} --help' says what there is."
        self.exit(WRONG_USAGE, f"{self.prog}: error: {said}.{meant}\n{hint}\n")

    def _meant(self, message: str) -> list[str]:
        """Return the command or option that is most like the first one that there is not."""
        if not message.startswith(("unrecognized arguments", "argument COMMAND")):
            return []
        known = set(self._option_string_actions)
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):
                for name, parser in action.choices.items():
                    known |= {name, *parser._option_string_actions}
        named = [word.partition("=")[0] for word in self._words]
        unknown = [w for w in named if w not in known and (w.startswith("--") or w == named[0])]
        return get_close_matches(unknown[0], sorted(known), 1) if unknown else []


def _silence_opencv() -> None:
    """Keep what OpenCV and FFmpeg say of a bad file from standing beside our one sentence."""
    os.environ.setdefault("OPENCV_LOG_LEVEL", "FATAL")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")


def _module(command: str) -> Any:
    if command in COMMANDS:
        return import_module(f"edgepose.cli.commands.{command.replace('-', '_')}")
    return _installed_commands()[command].load()


def _summary(command: str) -> str:
    """Return the command's line in the list of commands; modules that bring one are light."""
    if command in COMMANDS:
        return COMMANDS[command]
    summary: str = _module(command).SUMMARY
    return summary


def _installed_commands() -> dict[str, EntryPoint]:
    """Return the entry points of commands of other packages by name; ours take precedence."""
    found = {entry.name: entry for entry in entry_points(group=COMMAND_GROUP)}
    return {name: entry for name, entry in sorted(found.items()) if name not in COMMANDS}


def _fail(sentence: str, code: int, words: Sequence[str]) -> int:
    if "--debug" in words:
        sys.stderr.write(redact_words(traceback.format_exc(), words))
    sys.stderr.write(f"edgepose: {redact_words(sentence, words)}\n")
    return code
