"""The options of ``edgepose evaluate``: what to compare, which data, which protocol."""

from __future__ import annotations

import argparse
from pathlib import Path

from edgepose.benchmarking.peers import PEERS
from edgepose.cli.tracking_modes import add_mode_options
from edgepose.evaluation.data_sets import DATA_SETS, SEVERAL
from edgepose.evaluation.protocols.candidates import Segment
from edgepose.utils.arguments import comma_separated


def add_comparison_options(parser: argparse.ArgumentParser) -> None:
    """Add what else is evaluated, on the same clips or people."""
    group = parser.add_argument_group("comparison, on the same clips or people")
    group.add_argument(
        "--compare",
        action="append",
        default=[],
        metavar="BUNDLE",
        help="another model; may be given several times",
    )
    group.add_argument(
        "--peers",
        type=comma_separated(str),
        default=(),
        metavar="NAME,...",
        help=f"other networks in the annotated boxes: {', '.join(peer.option for peer in PEERS)}",
    )
    group.add_argument("--weights", type=Path, metavar="DIR", help="folder of the peers' weights")


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Add which clips or people are evaluated."""
    group = parser.add_argument_group("data")
    group.add_argument(
        "--dataset",
        choices=[*DATA_SETS, SEVERAL],
        default="jhmdb",
        help="the annotated set; everyday holds people in photos, several videos of several "
        "people, with protocols of their own (default: jhmdb)",
    )
    place = group.add_mutually_exclusive_group()
    place.add_argument(
        "--data-root",
        type=Path,
        metavar="DIR",
        help="the folder with a folder for each set (default: EDGEPOSE_DATA)",
    )
    place.add_argument(
        "--root", type=Path, metavar="DIR", help="the folder of the set, if it has another name"
    )
    group.add_argument(
        "--split",
        help="part of the set, or all for every test split and their mean, to be compared with "
        "papers where one model was trained for each (default: the first test or validation part; "
        "of jhmdb this is val, all validation films, on which published figures are; it consists "
        "of selection, to choose models and settings by, and final, for figures that no choice "
        "was made on)",
    )
    group.add_argument("--grade", help="only clips whose annotation has this grade, such as A")
    group.add_argument("--full-body", action="store_true", help="only clips that show all of it")
    group.add_argument("--limit-clips", type=int, metavar="N", help="at most N clips")
    group.add_argument(
        "--skip-broken", action="store_true", help="name broken clips and leave them out"
    )


def add_protocol_options(parser: argparse.ArgumentParser) -> None:
    """Add how clips are evaluated."""
    group = parser.add_argument_group("protocol")
    group.add_argument(
        "--protocol",
        choices=("gt-box", "tracker"),
        help="crop around the annotated person, or track the whole video without annotation "
        "(default: gt-box)",
    )
    group.add_argument(
        "--segment-length",
        type=comma_separated(_segment),
        metavar="T,...",
        help="frames from one run of the head to the next: numbers, never, or body for the light "
        "network alone (default: body,5,never)",
    )
    group.add_argument("--flip", action="store_true", help="average with the mirrored clip")
    group.add_argument(
        "--scales",
        type=comma_separated(float),
        metavar="S,...",
        help="sum over magnifications (paper: 0.8,0.9,...,1.4)",
    )
    group.add_argument(
        "--crop",
        choices=("person", "image"),
        help="crop 1.25 times the person's box, or the network's input size out of the frame as it "
        "is, as DKD and Thin-Slicing do (default: person)",
    )
    group.add_argument(
        "--alpha",
        type=comma_separated(float),
        metavar="A,...",
        help="tolerances of PCK (default: 0.2,0.1)",
    )
    add_mode_options(group)


def _segment(text: str) -> Segment:
    if text in ("never", "body"):
        return "body" if text == "body" else None
    if int(text) < 1:
        raise ValueError(text)
    return int(text)
