"""``edgepose track``: a person in a video, a folder of images, a camera or a stream."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue
from typing import Any, get_args

from edgepose.cli.engine_options import add_engine_options, engine_options
from edgepose.cli.tables import latency_table
from edgepose.cli.tracking.key_frames import (
    key_frame_tracking,
    live_key_frames,
    track_by_key_frames,
)
from edgepose.cli.tracking.outputs import (
    Outputs,
    add_output_options,
    check_outputs,
    open_outputs,
)
from edgepose.cli.tracking.poses import (
    FramesWithPoses,
    Notifications,
    delayed_poses,
    immediate_poses,
)
from edgepose.inference.model import DEFAULT_MODEL, PoseModel
from edgepose.keyframes import KeyFrames
from edgepose.keyframes.settings import Decision, KeyFrameNetwork, Motion
from edgepose.people.settings import people_settings
from edgepose.refinement.thin_slicing import ThinSlicing
from edgepose.remote.settings import HEAD_TOKEN, head_with_token
from edgepose.stats import HeadStats, TrackerStats
from edgepose.tracker import PoseTracker
from edgepose.tracking.search.search_budget import DEFAULT_BUDGET
from edgepose.utils.arguments import number_of_people, refinement_method, share, whole_number
from edgepose.utils.output_files import is_folder
from edgepose.utils.progress import show_progress
from edgepose.utils.signals import StopSignals
from edgepose_runtime.capture import EventKind, FrameSource, StreamEvent, open_source
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.files import shown

_STOPPING = "\nStopping after this frame; once more stops at once.\n"


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "track",
        help="track a person in a video, images, a camera or a stream",
        epilog="example: edgepose track walk.mp4 --video overlay.mp4 --jsonl poses.jsonl. Exit "
        "code: 0 when the source ended, or SIGTERM stopped a live one; 1 after an error, 2 after "
        "wrong usage, 130 after Ctrl-C, 143 after SIGTERM before the end of a file, "
        "141 when nobody reads the pipe of --jsonl or --csv any more. A signal lets the frame in "
        "hand and the files be finished.",
    )
    parser.add_argument(
        "source",
        help="a video file, a folder of images, a camera's number, or an address such as "
        "rtsp://user:password@camera/1",
    )
    parser.add_argument("--model", default=DEFAULT_MODEL, help="name or folder of a bundle")
    parser.add_argument(
        "--roi",
        type=parse_roi,
        metavar="X,Y,W,H",
        help="look at this square of every frame instead of finding and following the person",
    )
    parser.add_argument(
        "--fps", type=float, metavar="N", help="frames per second of a folder (default: 30)"
    )
    add_output_options(parser)
    parser.add_argument(
        "--key-frames",
        action="store_true",
        help="look at few frames: of a file those that say most about the others, which are "
        "interpolated; of a camera those that cannot be predicted",
    )
    parser.add_argument(
        "--max-key-rate",
        type=share,
        metavar="PART",
        help="with --key-frames: the part of the frames to look at (default: as it seems needed)",
    )
    parser.add_argument(
        "--key-frame-motion",
        choices=get_args(Motion),
        help="with live --key-frames: what moves the joints between key frames (default: flow)",
    )
    parser.add_argument(
        "--key-frame-decision",
        choices=get_args(Decision),
        help="with live --key-frames: what estimates their error (default: drift)",
    )
    parser.add_argument(
        "--key-frame-network",
        choices=get_args(KeyFrameNetwork),
        help="with live --key-frames: what processes them (default: auto, of one person the head "
        "if it is fast, of several the light network)",
    )
    parser.add_argument(
        "--selector",
        type=Path,
        metavar="FILE",
        help="with --key-frames of a file: a learned selector, an ONNX file made by "
        "'edgepose convert --to selector' (default: even steps of time and change)",
    )
    parser.add_argument(
        "--max-people",
        type=number_of_people,
        default=1,
        metavar="N|all",
        help="follow several people, each with an identity; JSON Lines are then of version 2 "
        "(default: 1)",
    )
    _add_tracker_options(parser)


def _add_tracker_options(parser: argparse.ArgumentParser) -> None:
    add_engine_options(parser)
    parser.add_argument(
        "--reinitialise-every",
        type=int,
        metavar="N",
        help="run the heavy head every N frames; 0: only to start (default: as the model says)",
    )
    parser.add_argument(
        "--search-budget",
        type=float,
        default=DEFAULT_BUDGET,
        metavar="STEPS",
        help="what a frame without a person costs on average, in steps for a person "
        f"(default: {DEFAULT_BUDGET})",
    )
    parser.add_argument(
        "--remote-head",
        metavar="ADDRESS",
        help="a server with a heavy head, grpc://HOST:PORT or grpcs://HOST:PORT; its late answers "
        f"are merged into the track (a token is read from the variable {HEAD_TOKEN})",
    )
    parser.add_argument(
        "--no-smoothing", dest="smoothing", action="store_false", help="do not smooth the joints"
    )
    parser.add_argument(
        "--refine",
        nargs="?",
        const="thin-slicing",
        type=refinement_method,
        metavar="thin-slicing",
        help="refine each pose with neighbouring frames, of several people that of each; results "
        "come some frames later",
    )
    parser.add_argument(
        "--lag-frames",
        type=whole_number(0),
        metavar="N",
        help="later frames that a refined pose waits for (default: 2)",
    )
    parser.add_argument(
        "--springs", type=Path, metavar="FILE", help="springs to refine with instead of the model's"
    )


def parse_roi(text: str) -> tuple[float, float, float, float]:
    """Read ``x,y,width,height``."""
    try:
        x, y, width, height = (float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected four numbers x,y,width,height in pixels, got {text!r}"
        ) from None
    return x, y, width, height


def run(args: argparse.Namespace) -> int:
    """Track a whole source and return the exit code."""
    with ExitStack() as opened:
        _refuse_roi_of_several(args)
        source = opened.enter_context(_open(args.source, args.fps))
        check_outputs(args)
        notifications: Notifications = SimpleQueue()
        refine, key_frames = refinement(args), live_key_frames(args, source)
        listeners = [show_event]
        tracker = opened.enter_context(_tracker(args, key_frames, refine, notifications, listeners))
        model, tracking = tracker.model, None
        if args.key_frames and key_frames is None:
            tracking = opened.enter_context(key_frame_tracking(args, model))
        # After what may be refused: it empties the files that are there.
        outputs = opened.enter_context(open_outputs(args, source, model))
        if outputs.preview is not None:
            outputs.preview.watch(tracker)
            listeners.append(outputs.preview.on_event)
        stop = opened.enter_context(StopSignals(_STOPPING))
        if source.is_live:  # a camera that was lost delivers no frame after which to stop
            stop.call_when_stopped(source.stop)
        if tracking is not None:
            track_by_key_frames(tracking, source, outputs, stop)
        else:
            tracker.warmup()
            poses = immediate_poses(tracker, source, args.roi, lambda: stop.stopped)
            if refine is not None and refine.lag_frames:
                poses = delayed_poses(
                    tracker, notifications, source, args.roi, lambda: stop.stopped
                )
            try:
                _write_all(poses, outputs, source.num_frames)
            finally:
                sys.stderr.write(summary(tracker.stats, model))
    if stop.stopped:
        sys.stderr.write("edgepose: Stopped on request; the results up to there are complete.\n")
    return stop.exit_code(is_live=source.is_live)


def _refuse_roi_of_several(args: argparse.Namespace) -> None:
    if args.roi is not None and people_settings(args.max_people) is not None:
        raise ConfigError(
            "--roi says where one person is, but --max-people asks for several; leave one of them "
            "out."
        )


def _open(source: str, fps: float | None) -> FrameSource:
    if fps is not None and not is_folder(source):
        raise ConfigError(
            f"--fps is for folders of images, and '{shown(source)}' is none: a video or a camera "
            "has a rate of its own. Leave --fps out."
        )
    return open_source(source, fps=fps, on_event=show_event)


def refinement(args: argparse.Namespace) -> ThinSlicing | None:
    """Return how to refine, ``None`` for not at all.

    Raises:
        ConfigError: options of refining were given without ``--refine``, or with key frames.
    """
    if args.key_frames and args.refine:
        raise ConfigError("--key-frames and --refine exclude each other; leave one of them out.")
    options = {"lag_frames": args.lag_frames, "springs": args.springs}
    given = {name: value for name, value in options.items() if value is not None}
    if args.refine is None and given:
        names = " and ".join("--" + name.replace("_", "-") for name in given)
        raise ConfigError(f"{names} need --refine thin-slicing; add it, or leave them out.")
    return None if args.refine is None else ThinSlicing(**given)


def _tracker(
    args: argparse.Namespace,
    key_frames: KeyFrames | None,
    refine: ThinSlicing | None,
    notifications: Notifications,
    listeners: Sequence[Callable[[StreamEvent], None]],
) -> PoseTracker:
    def tell_all(event: StreamEvent) -> None:
        for listener in listeners:
            listener(event)

    is_late = refine is not None and refine.lag_frames > 0
    late: dict[str, Any] = (
        {"on_result": notifications.put, "on_error": notifications.put} if is_late else {}
    )
    return PoseTracker(
        args.model,
        **engine_options(args),
        smoothing=args.smoothing,
        reinitialise_every=args.reinitialise_every,
        head=head_with_token(args.remote_head),
        on_event=tell_all,
        key_frames=key_frames,
        refine=refine,
        search_budget=args.search_budget,
        max_people=args.max_people,
        **late,
    )


def _write_all(poses: FramesWithPoses, outputs: Outputs, count: int | None) -> None:
    with show_progress("track", count) as progress:
        for image, result in poses:
            wanted = outputs.write(image, result)
            progress.advance(note=str(result.origin or result.reason))
            if not wanted:
                break


def show_event(event: StreamEvent) -> None:
    """Say that a camera or a remote head was lost, or is back."""
    if event.kind is not EventKind.ENDED:
        kind = str(event.kind).replace("_", " ").capitalize()
        sys.stderr.write(f"edgepose: {kind}: {event.detail}\n")


def summary(stats: TrackerStats, model: PoseModel) -> str:
    """Return the latency, how many frames had a person, and what ran; nothing for no frame."""
    if not stats.poses + stats.without_person:
        return ""
    origins = ", ".join(f"{count} {origin}" for origin, count in sorted(stats.origins.items()))
    found = f"A person in {stats.poses} of {stats.frames} frames"
    used = f"{model.name} ran on {model.device} in {model.precision}.\n"
    counts = f"{latency_table(stats)}{found}{f' ({origins})' if origins else ''}.\n{used}"
    return counts if stats.head is None else f"{counts}{_head_summary(stats.head)}"


def _head_summary(head: HeadStats) -> str:
    """Return what became of the requests to a remote head."""
    ends = {"merged": head.merged, **head.dropped, **head.failed, "under way": head.in_flight}
    outcomes = ", ".join(f"{count} {end.replace('_', ' ')}" for end, count in ends.items() if count)
    asked = f"The remote head was asked {head.requests} times ({outcomes or 'no need'})."
    if head.requests and not head.merged:
        asked += " None was merged: a file is read at full speed, and may end before answers come."
    took = "" if head.latency is None else f" Answers took {head.latency.p50:.0f} ms (p50)."
    return f"{asked}{took}\n"
