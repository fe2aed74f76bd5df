"""``edgepose evaluate``: accuracy on annotated clips."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from edgepose.cli.evaluation_text import evaluation_text
from edgepose.evaluation.data_sets import (
    DATA_SETS,
    Selection,
    select_clips,
)
from edgepose.evaluation.metrics.scoring import measures_for
from edgepose.evaluation.protocols.candidates import Segment, as_tracker, in_boxes
from edgepose.evaluation.protocols.runner import Contender, run_all
from edgepose.evaluation.report import as_json, averages_as_json
from edgepose.evaluation.splits import are_as_published, average_runs, parts_of
from edgepose.inference.model import DEFAULT_MODEL, PoseModel, load
from edgepose.utils.arguments import listed, whole
from edgepose.utils.output_files import check_writable, create_file
from edgepose_runtime.errors import ConfigError

DEFAULT_SEGMENTS: tuple[Segment, ...] = ("body", 5, None)


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "evaluate",
        help="measure accuracy on annotated clips",
        epilog="Example: edgepose evaluate ppn-swift --grade A --segment-length body,5,never",
    )
    parser.add_argument(
        "model",
        nargs="*",
        default=[DEFAULT_MODEL],
        help="name or folder of a bundle; with --split all maybe one for each split",
    )
    _add_data_options(parser)
    _add_protocol_options(parser)
    parser.add_argument("--backend", default="openvino", help="openvino or onnxruntime")
    parser.add_argument("--device", default="cpu", help="device of the backend, such as cpu or gpu")
    parser.add_argument("--precision", default="auto", help="auto, float32, ...")
    parser.add_argument("--threads", type=whole(1), metavar="N", help="CPU threads of a network")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures as JSON")


def _add_data_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("data")
    group.add_argument("--data", choices=DATA_SETS, default="jhmdb", help="the annotated set")
    group.add_argument(
        "--root", type=Path, metavar="DIR", help="its folder (default: EDGEPOSE_DATA)"
    )
    group.add_argument(
        "--split",
        help="part of the set, or all for every test split and their mean, to be compared with "
        "papers where one model was trained for each (default: the first test or validation part)",
    )
    group.add_argument("--grade", help="only clips whose annotation has this grade, such as A")
    group.add_argument("--full-body", action="store_true", help="only clips that show all of it")
    group.add_argument("--limit-clips", type=int, metavar="N", help="at most N clips")
    group.add_argument(
        "--skip-broken", action="store_true", help="name broken clips and leave them out"
    )


def _add_protocol_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("protocol")
    group.add_argument(
        "--protocol",
        choices=("gt-box", "tracker"),
        default="gt-box",
        help="crop around the annotated person, or track the whole video without annotation",
    )
    group.add_argument(
        "--segment-length",
        type=listed(_segment),
        metavar="T,...",
        help="frames from one run of the head to the next: numbers, never, or body for the light "
        "network alone (default: body,5,never)",
    )
    group.add_argument("--flip", action="store_true", help="average with the mirrored clip")
    group.add_argument(
        "--scales",
        type=listed(float),
        metavar="S,...",
        help="sum over magnifications (paper: 0.8,0.9,...,1.4)",
    )
    group.add_argument(
        "--alpha",
        type=listed(float),
        default=(0.2, 0.1),
        metavar="A,...",
        help="tolerances of PCK",
    )


def run(args: argparse.Namespace) -> int:
    """Evaluate, print the tables and write the JSON; return the exit code."""
    if args.json:
        check_writable(args.json)
    selection, measures = _selection(args), measures_for(args.alpha)
    parts = parts_of(selection)
    models = _one_for_each(args.model, parts)
    clips = [select_clips(part) for part in parts]
    with ExitStack() as opened:
        loaded = {name: opened.enter_context(_load(name, args)) for name in models}
        in_use = {name: model.precision for name, model in loaded.items()}
        contenders = [_contenders(loaded[name], args) for name in models]
        _require_alike(contenders)
        runs = [run_all(*part, measures) for part in zip(contenders, clips, strict=True)]
    as_published = args.protocol == "gt-box" and are_as_published(parts)
    sys.stdout.write(evaluation_text(runs, parts, measures, as_published))
    if args.json:
        each = [
            as_json(done, read, part, **_settings(args, name), precision_in_use=in_use[name])
            for done, read, part, name in zip(runs, clips, parts, models, strict=True)
        ]
        averaged = averages_as_json(average_runs(runs), each, selection)
        _write_json(args.json, averaged if len(parts) > 1 else each[0])
    return 0


def _one_for_each(models: Sequence[str], parts: Sequence[Selection]) -> Sequence[str]:
    if len(models) not in (1, len(parts)):
        raise ConfigError(
            f"{len(models)} models were given for {len(parts)} splits; give one for all of them, "
            "or one for each with --split all."
        )
    return models if len(models) == len(parts) else [*models] * len(parts)


def _load(model: str, args: argparse.Namespace) -> PoseModel:
    return load(
        model,
        backend=args.backend,
        device=args.device,
        precision=args.precision,
        num_threads=args.threads,
    )


def _require_alike(contenders: Sequence[Sequence[Contender]]) -> None:
    kinds = {tuple(each.predictor.skeleton.name for each in part) for part in contenders}
    if len(kinds) > 1:
        raise ConfigError(
            "The models of the splits are to be averaged: give models of one method and skeleton."
        )


def _settings(args: argparse.Namespace, model: str) -> dict[str, Any]:
    names = ("protocol", "backend", "device", "precision", "flip", "scales")
    return {"model": model, **{name: getattr(args, name) for name in names}}


def _selection(args: argparse.Namespace) -> Selection:
    return Selection(
        data=args.data,
        root=args.root,
        split=args.split,
        grade=args.grade,
        full_body=args.full_body,
        limit=args.limit_clips,
        skip_broken=args.skip_broken,
    )


def _contenders(model: PoseModel, args: argparse.Namespace) -> list[Contender]:
    if args.protocol == "gt-box":
        segments = args.segment_length or DEFAULT_SEGMENTS
        return in_boxes(model, segments, flip=args.flip, scales=args.scales or (1.0,))
    if args.segment_length or args.flip or args.scales:
        raise ConfigError(
            "--segment-length, --flip and --scales belong to --protocol gt-box: "
            "the tracker decides for itself. Leave them out."
        )
    return [as_tracker(model), as_tracker(model, smoothing=False)]


def _write_json(path: Path, content: dict[str, Any]) -> None:
    with create_file(path) as file:
        file.write((json.dumps(content, indent=1, default=str) + "\n").encode())


def _segment(text: str) -> Segment:
    if text in ("never", "body"):
        return "body" if text == "body" else None
    if int(text) < 1:
        raise ValueError(text)
    return int(text)
