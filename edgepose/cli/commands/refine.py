"""``edgepose refine``: improve poses whose heat-maps were kept, without the video or a network."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from edgepose.heatmap_log import KeptHeatmaps, heatmaps_beside
from edgepose.inference.estimator import Look
from edgepose.methods import Estimate
from edgepose.refinement.base import Seen
from edgepose.refinement.thin_slicing import SliceRefiner, ThinSlicing, fitting_springs
from edgepose.results import Origin, PoseResult
from edgepose.sinks import JsonlSink
from edgepose.sinks.jsonl import FORMAT
from edgepose.utils.arguments import whole
from edgepose.utils.output_files import check_writable
from edgepose.utils.progress import show_progress
from edgepose_runtime.errors import DataError
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.poses.skeletons import Skeleton, get_skeleton
from edgepose_runtime.poses.smoothing import OneEuroSettings
from edgepose_runtime.thin_slicing.files import read_springs
from edgepose_runtime.thin_slicing.springs import Springs


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "refine",
        help="refine poses whose heat-maps were kept",
        epilog="Example: edgepose track walk.mp4 --jsonl walk.jsonl --keep-heatmaps; "
        "edgepose refine walk.jsonl writes walk.refined.jsonl",
    )
    parser.add_argument("poses", nargs="+", type=Path, help="files of edgepose track --jsonl")
    parser.add_argument(
        "--lag-frames",
        type=whole(0),
        default=4,
        metavar="N",
        help="later frames that have a say (default: 4)",
    )
    parser.add_argument("--springs", type=Path, metavar="FILE", help="instead of the model's")
    parser.add_argument("--flow", default="dis", help="dis (default), farneback or none")
    parser.add_argument(
        "--no-smoothing", dest="smoothing", action="store_false", help="do not smooth the joints"
    )


def run(args: argparse.Namespace) -> int:
    """Refine file after file; return the exit code."""
    settings = ThinSlicing(args.lag_frames, args.springs, args.flow)
    for poses in args.poses:
        out = poses.with_suffix(".refined.jsonl")
        check_writable(out)
        _refine(poses, out, settings, OneEuroSettings() if args.smoothing else None)
        sys.stderr.write(f"edgepose: {out}\n")
    return 0


def _refine(
    poses: Path, out: Path, settings: ThinSlicing, smoothing: OneEuroSettings | None
) -> None:
    header, *records = _records(poses)
    skeleton, model = get_skeleton(header["skeleton"]), str(header["model"])
    with (
        closing(KeptHeatmaps(heatmaps_beside(poses))) as kept,
        _sink(out, header, skeleton) as sink,
        show_progress("refine", len(records)) as progress,
    ):
        springs = fitting_springs(_springs(settings, kept, model), kept.spec, model)
        refiner = SliceRefiner(settings, springs, kept.spec, smoothing)
        for record in records:
            for result in refiner.take(_seen(record, skeleton, kept)):
                sink.write(result)
            progress.advance()
        for result in refiner.flush():
            sink.write(result)


def _sink(out: Path, header: Mapping[str, Any], skeleton: Skeleton) -> JsonlSink:
    model, source = str(header["model"]), str(header["source"])
    return JsonlSink(
        out, skeleton=skeleton, model=model, source=source, engine=header.get("engine")
    )


def _springs(settings: ThinSlicing, kept: KeptHeatmaps, model: str) -> Springs:
    if isinstance(settings.springs, (str, Path)):
        return read_springs(settings.springs)
    springs = kept.springs()
    if springs is None:
        raise DataError(
            f"The model {model!r} has no springs for thin-slicing; give --springs FILE."
        )
    return springs


def _records(poses: Path) -> Iterator[Mapping[str, Any]]:
    try:
        lines = poses.read_text(encoding="utf-8").splitlines()
        records = [json.loads(line) for line in lines]
    except (OSError, ValueError) as error:
        raise DataError(f"The poses '{poses}' cannot be read: {error}.") from error
    if not all(isinstance(each, dict) for each in records) or not _is_header(records[:1]):
        raise DataError(f"'{poses}' is no file of edgepose track --jsonl.")
    yield from records


def _is_header(first: list[dict[str, Any]]) -> bool:
    needed = ("skeleton", "model", "source")
    return any(each.get("format") == FORMAT and all(n in each for n in needed) for each in first)


def _seen(record: Mapping[str, Any], skeleton: Skeleton, kept: KeptHeatmaps) -> Seen:
    """Return a frame as the tracker had it."""
    result = _result(record, skeleton)
    nothing = Seen(np.zeros((1, 1, 3), np.uint8), result, None)
    if result.keypoints is None or result.roi is None or result.origin is None:
        return nothing
    frame = kept.frame(result.frame_id, result.keypoints)
    if frame is None:
        return nothing
    maps, picture = frame
    estimate = Estimate(maps, None, result.origin)
    look = Look(Roi(*result.roi), result.keypoints, estimate, result.key_frame_age or 0)
    return Seen(picture, result, look)


def _result(record: Mapping[str, Any], skeleton: Skeleton) -> PoseResult:
    try:
        rows, roi, origin = record["keypoints"], record["roi"], record["origin"]
        return PoseResult(
            frame_id=record["frame"],
            timestamp_ms=record["timestamp_ms"],
            keypoints=None if rows is None else np.array(rows, np.float32),
            reason=record.get("reason"),
            roi=None if roi is None else (roi[0], roi[1], roi[2], roi[3]),
            origin=None if origin is None else Origin(origin),
            key_frame_age=record["key_frame_age"],
            latency=record["latency_ms"],
            skeleton=skeleton,
        )
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise DataError(f"A line of the poses is damaged: {error!r}.") from error
