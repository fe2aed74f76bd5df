"""``edgepose train --prepare``: build a recipe's sets of people and of backgrounds."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgepose.utils.arguments import whole_number
from edgepose.utils.progress import show_progress
from edgepose_runtime.errors import ConfigError

if TYPE_CHECKING:
    from edgepose.training.config.loader import Recipe
    from edgepose.training.sets.build import SourceReport


def add_preparation_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the sets that are built before training."""
    group: Any = parser.add_argument_group("building sets")
    group.add_argument(
        "--prepare",
        type=Path,
        metavar="DIR",
        help="build the recipe's sets of people and backgrounds from the repositories in DIR, "
        "unpacked or as ZIP files, and end; train afterwards",
    )
    group.add_argument(
        "--teacher", type=Path, metavar="FILE", help="ONNX file of RTMPose-s, which labels people"
    )
    group.add_argument(
        "--half-bodies", action="store_true", help="also take half bodies and covered people"
    )
    group.add_argument(
        "--most", type=whole_number(1), metavar="N", help="samples of each source at most"
    )
    group.add_argument(
        "--allow-missing", action="store_true", help="build without repositories not in DIR"
    )


def refuse_preparation_options(args: argparse.Namespace) -> None:
    """Refuse the options of sets where none are built.

    Raises:
        ConfigError: there are some.
    """
    options = ("teacher", "half_bodies", "most", "allow_missing")
    given = [f"--{name.replace('_', '-')}" for name in options if getattr(args, name)]
    if given:
        raise ConfigError(
            f"{', '.join(given)}: for building sets; add --prepare DIR, or leave them out."
        )


def prepare(args: argparse.Namespace, config: Recipe, root: Path) -> int:
    """Build what is missing; return the exit code.

    Raises:
        ConfigError: the recipe trains no network.
    """
    from edgepose.training.config.settings import TrainConfig
    from edgepose.training.sets.prepare import PrepareSettings, prepare_sets

    if not isinstance(config, TrainConfig):
        raise ConfigError(f"The recipe {config.name!r} has no set that --prepare can build.")
    settings = PrepareSettings(
        args.prepare, args.teacher, args.half_bodies, args.most or 0, args.allow_missing
    )
    try:
        reports = prepare_sets(config, root, settings, show_progress)
    except KeyboardInterrupt:
        print("What was found is kept: give the command again to go on.", file=sys.stderr)
        raise
    print("\n".join(_lines(reports)))
    return 0


def _lines(reports: Mapping[Path, Sequence[SourceReport]]) -> list[str]:
    lines = [] if reports else ["The recipe names no set of people or of backgrounds."]
    for folder, sources in reports.items():
        if not sources:
            lines.append(f"{folder}: there already, left as it is")
            continue
        lines.append(f"{folder}: {sum(source.samples for source in sources)} pictures")
        lines += [
            f"  {s.name}: {s.samples} pictures of {s.files} files, "
            f"{s.near_duplicates} near duplicates, {s.unreadable} unreadable"
            for s in sources
        ]
    return lines
