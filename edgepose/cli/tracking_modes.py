"""How the modes of a tracker are written on the command line of ``edgepose evaluate``."""

from __future__ import annotations

import argparse
from argparse import ArgumentTypeError
from collections.abc import Callable, Mapping
from typing import Any

from edgepose.evaluation.protocols.modes import FileKeyFrames, Mode
from edgepose.keyframes import AUTO, KeyFrames
from edgepose.refinement.thin_slicing import ThinSlicing
from edgepose_runtime.errors import ConfigError

_LIVE: dict[str, Callable[[str], Any]] = {
    "max_key_rate": float,
    "tolerance": float,
    "lag_frames": int,
    "motion": str,
    "decision": str,
    "network": str,
}
_FILE: dict[str, Callable[[str], Any]] = {"rate": float}
_REFINE: dict[str, Callable[[str], Any]] = {"lag_frames": int, "springs": str, "flow": str}


def add_mode_options(group: Any) -> None:
    """Add the modes that are evaluated beside the tracker's defaults."""
    modes: dict[str, Any] = {"action": "append", "dest": "modes", "default": [], "metavar": "SPEC"}
    group.add_argument(
        "--key-frames",
        type=read_key_frames,
        help="with --protocol tracker: evaluate key frames as well; auto, or settings such as "
        "max_key_rate=0.25,lag_frames=8 (also tolerance, motion, decision, network); file or "
        "file,rate=0.2 for key frames that are selected in advance; may be given several times",
        **modes,
    )
    group.add_argument(
        "--refine",
        type=read_refinement,
        help="with --protocol tracker: evaluate refinement as well; thin-slicing, or with settings "
        "thin-slicing,lag_frames=4 (also springs, flow); may be given several times",
        **modes,
    )


def read_key_frames(text: str) -> Mode:
    """Read ``auto``, ``file[,rate=0.2]`` or settings of :class:`KeyFrames`.

    Raises:
        ArgumentTypeError: it is something else.
    """
    name, *rest = text.split(",")
    if name == "file":
        return _made(FileKeyFrames, rest, _FILE)
    return _made(KeyFrames, rest if name == AUTO else [name, *rest], _LIVE)


def read_refinement(text: str) -> Mode:
    """Read ``thin-slicing``, maybe with settings of :class:`ThinSlicing`.

    Raises:
        ArgumentTypeError: it is something else.
    """
    name, *rest = text.split(",")
    if name != "thin-slicing":
        raise ArgumentTypeError(f"the only refinement is thin-slicing, not {name!r}")
    return _made(ThinSlicing, rest, _REFINE)


def _made(
    kind: Callable[..., Mode], words: list[str], known: Mapping[str, Callable[[str], Any]]
) -> Mode:
    try:
        return kind(**dict(_setting(word, known) for word in words))
    except ConfigError as error:
        raise ArgumentTypeError(str(error)) from None


def _setting(word: str, known: Mapping[str, Callable[[str], Any]]) -> tuple[str, Any]:
    name, _, value = word.partition("=")
    try:
        return name, known[name](value)
    except (KeyError, ValueError):
        names = ", ".join(known)
        raise ArgumentTypeError(
            f"cannot read {word!r}; settings are NAME=VALUE of {names}"
        ) from None


def refuse_modes(args: argparse.Namespace) -> None:
    """Refuse modes where no tracker is evaluated.

    Raises:
        ConfigError: there are some.
    """
    if args.modes:
        raise ConfigError(
            "--key-frames and --refine are modes of the tracker; add --protocol tracker, which "
            "clips have, or leave them out."
        )
