"""``python -m benchmarks figures``: draw the pictures of the documentation."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from benchmarks.figures.diagrams import draw_bundle, draw_frame_path, draw_late_answers
from benchmarks.figures.key_frames import draw_key_frames
from benchmarks.figures.people import draw_people

IMAGES = Path(__file__).parents[2] / "docs" / "images"
FIGURES: dict[str, Callable[[Path], None]] = {
    "bundle.svg": draw_bundle,
    "frame-path.svg": draw_frame_path,
    "late-answers.svg": draw_late_answers,
    "key-frames.svg": draw_key_frames,
    "people.jpg": draw_people,
}


def main(words: list[str]) -> None:
    """Draw all figures, or those that are named."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks figures", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(FIGURES))
    parser.add_argument("--out", type=Path, default=IMAGES, metavar="FOLDER")
    args = parser.parse_args(words)
    unknown = set(args.names) - set(FIGURES)
    if unknown:
        parser.error(f"there is no figure {', '.join(sorted(unknown))}")
    args.out.mkdir(parents=True, exist_ok=True)
    for name in args.names or FIGURES:
        FIGURES[name](args.out / name)
        print(args.out / name)
