"""Forms of the propagation unit: what each costs, and what it is worth.

``python -m benchmarks ppu --body CHECKPOINT`` records the heat-maps of a trained body, trains every
candidate on them, evaluates it on the validation clips and times it. What is there already in the
working folder is not done again; ``--only-time`` does nothing else. Writes ``ppu.json``, ``ppu.md``
and ``ppu.png``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.ppu.candidates import CANDIDATES, Candidate
from benchmarks.ppu.comparing import measure
from benchmarks.ppu.forms import Call, compile_unit
from benchmarks.ppu.learning import train
from benchmarks.ppu.recording import RememberedNetwork, Windows, body_of, record_windows
from benchmarks.ppu.report import draw, table
from benchmarks.ppu.timing import milliseconds
from edgepose.datasets.root import data_root
from edgepose.evaluation.data_sets import Selection, select_clips
from edgepose.training.config.loader import load_config
from edgepose.utils.machine import describe_machine

OUT = Path(__file__).parent.parent / "out"
NO_UNIT = "body alone"
Rows = dict[str, dict[str, Any]]


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks ppu", description=__doc__)
    parser.add_argument("--body", type=Path, metavar="FILE", help="checkpoint of the body or PPN")
    parser.add_argument("--recipe", default="ppn-swift", help="of the propagation")
    parser.add_argument("--windows", type=int, default=536, metavar="N", help="to train on")
    parser.add_argument("--root", type=Path, metavar="DIR", help="the data folder")
    parser.add_argument("--work", type=Path, default=OUT / "ppu", metavar="DIR", help="checkpoints")
    parser.add_argument("--only-time", action="store_true", help="train and evaluate nothing")
    parser.add_argument("--out", type=Path, default=OUT, metavar="DIR", help="where to write")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> None:
    """Do what is not done yet, time every candidate, print the table and write the results."""
    args = parse_arguments(words)
    torch.set_num_threads(1)
    args.root = args.root or data_root()
    for folder in (args.work, args.out):
        folder.mkdir(parents=True, exist_ok=True)
    if not args.only_time:
        _learn(args)
        _evaluate(args)
    rows = _read(args.work)
    # What was not trained takes as long.
    for name, found in milliseconds(_calls(args.work, CANDIDATES)).items():
        rows.setdefault(name, {"pck": None})["ms"] = found
    text = table(rows)
    content = {"format": "edgepose.ppu", "machine": describe_machine(), "candidates": rows}
    (args.out / "ppu.json").write_text(json.dumps(content, indent=1) + "\n")
    (args.out / "ppu.md").write_text(text)
    draw(rows, args.out / "ppu.png")
    print(text)


def _learn(args: argparse.Namespace) -> None:
    recipe, folder = load_config(args.recipe), args.work / "windows"
    if not (folder / "maps.npy").is_file():
        record_windows(body_of(args.body), recipe, args.root, folder, args.windows)
    windows = Windows(folder)
    for candidate in CANDIDATES:
        file = args.work / candidate.file
        if not file.is_file():
            torch.save(train(candidate, recipe, windows, print).state_dict(), file)


def _evaluate(args: argparse.Namespace) -> None:
    rows = _read(args.work)
    wanted: dict[str, Call | None] = {NO_UNIT: None}
    trained = [each for each in CANDIDATES if (args.work / each.file).is_file()]
    for name, calls in _calls(args.work, trained).items():
        wanted[name] = calls["onnxruntime"]
    body = RememberedNetwork(body_of(args.body), args.work / "clips.npz")
    clips = select_clips(Selection(root=args.root / "jhmdb", grade="A"))
    for name, call in wanted.items():
        if name not in rows:
            rows[name] = {"pck": measure(name, call, body, clips), "ms": {}}
            (args.work / "accuracy.json").write_text(json.dumps(rows, indent=1) + "\n")
            print(name, rows[name]["pck"])
    body.save()


def _read(work: Path) -> Rows:
    """Return what is known of each candidate so far."""
    file = work / "accuracy.json"
    known: Rows = json.loads(file.read_text()) if file.is_file() else {}
    return known


def _calls(work: Path, candidates: Sequence[Candidate]) -> dict[str, dict[str, Call]]:
    return {each.name: compile_unit(_load(each, work)) for each in candidates}


def _load(candidate: Candidate, work: Path) -> nn.Module:
    unit, file = candidate.build(), work / candidate.file
    if file.is_file():
        unit.load_state_dict(torch.load(file))
    return unit.eval()
