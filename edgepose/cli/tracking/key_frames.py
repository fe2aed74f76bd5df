"""``edgepose track --key-frames``: few frames of a file or camera are processed."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

from edgepose.cli.tracking.outputs import Outputs
from edgepose.inference.model import PoseModel
from edgepose.keyframes import KeyFrames
from edgepose.offline.learned_selector import selection
from edgepose.offline.tracker import KeyFrameTracking
from edgepose.people.settings import people_settings
from edgepose.results import Origin
from edgepose.stats import TOTAL
from edgepose.utils.progress import show_progress
from edgepose.utils.signals import StopSignals
from edgepose_runtime.capture import CapturedFrame, FrameSource
from edgepose_runtime.errors import ConfigError


def live_key_frames(args: argparse.Namespace, source: FrameSource) -> KeyFrames | None:
    """Return how a tracker chooses the key frames of a live source; ``None`` for other ones.

    Raises:
        ConfigError: the options contradict each other.
    """
    if args.max_key_rate is not None and not args.key_frames:
        raise ConfigError("--max-key-rate is the part of key frames; give --key-frames with it.")
    if args.selector is not None and not args.key_frames:
        raise ConfigError("--selector chooses the key frames of a file; give --key-frames with it.")
    if args.selector is not None and source.is_live:
        raise ConfigError(
            f"--selector chooses among the frames of a file, and '{args.source}' is live: leave it "
            "out, or record the source first."
        )
    if not args.key_frames:
        if any(_live_settings(args).values()):
            raise ConfigError(
                "--key-frame-motion, --key-frame-decision and --key-frame-network say how key "
                "frames are used; give --key-frames with them."
            )
        return None
    if not source.is_live and people_settings(args.max_people) is None:
        _refuse_unused(args)
        return None
    if args.selector is not None:
        raise ConfigError(
            "--selector chooses the key frames of one person in a file; with --max-people above 1 "
            "each person has key frames of their own. Leave one of them out."
        )
    rate = {"max_key_rate": args.max_key_rate}
    given = {**rate, **_live_settings(args)}
    return KeyFrames(**{name: value for name, value in given.items() if value is not None})


def _live_settings(args: argparse.Namespace) -> dict[str, Any]:
    return {
        "motion": args.key_frame_motion,
        "decision": args.key_frame_decision,
        "network": args.key_frame_network,
    }


def _refuse_unused(args: argparse.Namespace) -> None:
    """Refuse options that say how to go from frame to frame, which files' key frames are not."""
    given = {
        "--remote-head": args.remote_head,
        "--reinitialise-every": args.reinitialise_every,
        "--key-frame-motion": args.key_frame_motion,
        "--key-frame-decision": args.key_frame_decision,
        "--key-frame-network": args.key_frame_network,
    }
    unused = [option for option, value in given.items() if value is not None]
    if unused:
        raise ConfigError(
            f"{' and '.join(unused)} cannot be combined with --key-frames for a file, whose key "
            "frames are selected in advance, processed by the model's own networks and "
            "interpolated; leave one out."
        )


@contextmanager
def key_frame_tracking(args: argparse.Namespace, model: PoseModel) -> Iterator[KeyFrameTracking]:
    """Open what tracks a file by its key frames, ready to start.

    Raises:
        BundleError: there is no such selector, or the file is none.
    """
    with selection(args.selector) as (select, describe):
        tracking = KeyFrameTracking(
            model, select=select, describe=describe, rate=args.max_key_rate, roi=args.roi
        )
        tracking.warmup()
        yield tracking


def track_by_key_frames(
    tracking: KeyFrameTracking, source: FrameSource, outputs: Outputs, stop: StopSignals
) -> None:
    """Track a file by its key frames, and report what that saved."""
    start, poses, looks = time.perf_counter(), 0, list[float]()
    with show_progress("track", source.num_frames) as progress:
        for frame, result in tracking.track(_until_stopped(source, stop)):
            poses += result.keypoints is not None
            if result.origin is Origin.KEY_FRAME:
                looks.append(result.latency[TOTAL] / 1e3)
            progress.advance(note=str(result.origin or result.reason))
            if not outputs.write(frame.image, result):
                break
    sys.stderr.write(_report(tracking, poses, looks, time.perf_counter() - start))


def _until_stopped(source: FrameSource, stop: StopSignals) -> Iterator[CapturedFrame]:
    for frame in source:
        yield frame
        if stop.stopped:
            return


def _report(tracking: KeyFrameTracking, poses: int, looks: list[float], total: float) -> str:
    """Return how many frames were processed, and the time that the others saved.

    Args:
        tracking: what was done.
        poses: frames with a person.
        looks: seconds that each key frame with a person took.
        total: seconds that all took, reading and writing included.
    """
    if not tracking.frames:
        return ""
    part = tracking.processed / tracking.frames
    # The median: the first look, over the whole picture and by the head, is saved nowhere.
    saved = median(looks or [0.0]) * (tracking.frames - tracking.processed)
    return (
        f"A person in {poses} of {tracking.frames} frames. Processed {tracking.processed} of them "
        f"({100 * part:.0f} %), which took {sum(looks):.1f} of {total:.1f} s and saved about "
        f"{saved:.1f} s.\n"
    )
