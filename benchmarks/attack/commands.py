"""Command lines with options that are wrong, doubled, contradictory or far too long."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import random
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from benchmarks.attack.outcome import Input, UntypedError
from benchmarks.attack.values import NUMBERS, TEXTS
from edgepose.cli.main import build_parser, main

#: Commands that end soon without data; ``doctor`` runs every network.
COMMANDS = (
    "track", "models", "springs", "propose-keyframes", "evaluate", "train", "export", "run",
)  # fmt: skip
LEFT_OUT = {"--help", "--show", "--remote-head", "--debug", "--into-bundle"}
#: What no command may say, and how it may end.
INTERNAL = ("Something went wrong inside edgepose", "Traceback")
EXIT_CODES = (0, 1, 2, 130)


def commands(rng: random.Random, folder: Path) -> Input:
    """Return a random command line; files it writes lie in the folder."""
    command = rng.choice(COMMANDS[:1] * 4 + COMMANDS)
    words = [command, *_options(rng, command, folder)]
    if command == "track" and rng.random() < 0.9:
        words.insert(1, rng.choice([_video(folder), _video(folder), _text(rng, folder)]))
    return Input(f"edgepose {words!a}", partial(_run, words, folder))


def _run(words: list[str], folder: Path) -> None:
    said = io.StringIO()
    try:
        os.environ["EDGEPOSE_DATA"] = str(folder / "no data")
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            code = main(words)
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else -1
    if code not in EXIT_CODES or any(text in said.getvalue() for text in INTERNAL):
        raise UntypedError(f"code {code}: {said.getvalue()[-400:]}")


def _options(rng: random.Random, command: str, folder: Path) -> list[str]:
    words: list[str] = []
    known = [action for action in _actions(command) if not LEFT_OUT & {*action.option_strings}]
    for action in rng.sample(known, min(len(known), rng.randint(1, 3))):
        if action.option_strings:
            words.append(rng.choice(action.option_strings))
        if action.nargs != 0:
            words.append(_text(rng, folder))
    if rng.random() < 0.1:
        words.append(_text(rng, folder))
    return words


def _actions(command: str) -> list[argparse.Action]:
    parser = build_parser([command])
    groups = (each for each in parser._actions if isinstance(each, argparse._SubParsersAction))
    return list(next(groups).choices[command]._actions)


def _text(rng: random.Random, folder: Path) -> str:
    """Return a value that may be a number, a path or neither."""
    plain = rng.choice(["1", "2", "0.5", str(folder), str(folder / "out"), _video(folder)])
    number, text = rng.choice(NUMBERS), rng.choice(TEXTS)
    return rng.choice([plain, str(number), text if isinstance(text, str) else "bytes"])


def _video(folder: Path) -> str:
    """Return the path of a folder with three small images."""
    images = folder / "frames"
    if not images.exists():
        images.mkdir()
        for number in range(3):
            cv2.imwrite(str(images / f"{number}.png"), np.zeros((48, 64, 3), np.uint8))
    return str(images)
