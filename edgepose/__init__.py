"""Human pose tracking in video, on CPUs and edge devices.

A video, a camera or a stream in, joints out::

    import edgepose

    with edgepose.PoseTracker("ppn-swift") as tracker:
        for result in tracker.stream("walk.mp4"):   # or 0, or "rtsp://camera/1"
            print(result.frame_id, result.joint("left_wrist"))   # x, y in pixels, score

Trackers
    PoseTracker         one source: track(), submit() with callbacks, stream()
    AsyncPoseTracker    the same in an asyncio event loop
    TrackerPool         many sources on one set of networks
    KeyFrameTracking    a whole file by its key frames
Options of trackers
    SeveralPeople, KeyFrames, ThinSlicing, OneEuroSettings, RemoteHead, ServerSettings
Models, sources, skeletons
    load, available_models, PoseModel; open_source, LiveSettings;
    get_skeleton, Skeleton, convert_keypoints
Results
    PoseResult          joints, origin, latency, people; Person, PersonState, Origin
    FrameDrop, DropReason, TrackingFailure, StreamEvent, EventKind
    TrackerStats, StageLatency, HeadStats
Files and pictures
    sinks               JSON Lines, CSV, Parquet, video
    read_poses, PoseTable, FrameTable; draw_result, draw_pose
    Preview, PreviewSettings    a page in the browser
Errors
    EdgePoseError and its subclasses ConfigError, SourceError, InferenceError, ClosedError;
    all others in edgepose.errors

help(edgepose.PoseTracker) goes on from here. Importing this package is quick: OpenCV, numba and the
inference backend come in with the first tracker, and torch only with training and conversion.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from edgepose.errors import ClosedError, ConfigError, EdgePoseError, InferenceError, SourceError
from edgepose_runtime.native.unwinding import prefer_gcc_unwinding as _prefer_gcc_unwinding

if TYPE_CHECKING:
    from edgepose import sinks
    from edgepose.aio.tracker import AsyncPoseTracker
    from edgepose.drawing import draw_pose, draw_result
    from edgepose.inference.model import PoseModel, available_models, load
    from edgepose.keyframes.settings import KeyFrames
    from edgepose.offline.tracker import KeyFrameTracking
    from edgepose.people.settings import SeveralPeople
    from edgepose.pool import TrackerPool
    from edgepose.pose_files.reader import read_poses
    from edgepose.pose_files.table import FrameTable, PoseTable
    from edgepose.preview import Preview, PreviewSettings
    from edgepose.refinement.thin_slicing import ThinSlicing
    from edgepose.remote.settings import RemoteHead
    from edgepose.results import (
        DropReason,
        FrameDrop,
        Origin,
        Person,
        PersonState,
        PoseResult,
        TrackingFailure,
    )
    from edgepose.stats import HeadStats, StageLatency, TrackerStats
    from edgepose.tracker import PoseTracker
    from edgepose_runtime.backends.triton.settings import ServerSettings
    from edgepose_runtime.capture import LiveSettings, open_source
    from edgepose_runtime.events import EventKind, StreamEvent
    from edgepose_runtime.poses.conversion import convert_keypoints
    from edgepose_runtime.poses.skeletons import Skeleton, get_skeleton
    from edgepose_runtime.poses.smoothing import OneEuroSettings

__version__ = "0.1.0"

_prefer_gcc_unwinding()  # before the program starts GStreamer

#: Names that are loaded when they are first used, and the modules that define them.
_LAZY = {
    "AsyncPoseTracker": "edgepose.aio.tracker",
    "DropReason": "edgepose.results",
    "EventKind": "edgepose_runtime.events",
    "FrameDrop": "edgepose.results",
    "FrameTable": "edgepose.pose_files.table",
    "HeadStats": "edgepose.stats",
    "KeyFrameTracking": "edgepose.offline.tracker",
    "KeyFrames": "edgepose.keyframes.settings",
    "LiveSettings": "edgepose_runtime.capture",
    "OneEuroSettings": "edgepose_runtime.poses.smoothing",
    "Origin": "edgepose.results",
    "Person": "edgepose.results",
    "PersonState": "edgepose.results",
    "PoseModel": "edgepose.inference.model",
    "PoseResult": "edgepose.results",
    "PoseTable": "edgepose.pose_files.table",
    "PoseTracker": "edgepose.tracker",
    "Preview": "edgepose.preview",
    "PreviewSettings": "edgepose.preview",
    "RemoteHead": "edgepose.remote.settings",
    "ServerSettings": "edgepose_runtime.backends.triton.settings",
    "SeveralPeople": "edgepose.people.settings",
    "Skeleton": "edgepose_runtime.poses.skeletons",
    "StageLatency": "edgepose.stats",
    "StreamEvent": "edgepose_runtime.events",
    "ThinSlicing": "edgepose.refinement.thin_slicing",
    "TrackerPool": "edgepose.pool",
    "TrackerStats": "edgepose.stats",
    "TrackingFailure": "edgepose.results",
    "available_models": "edgepose.inference.model",
    "convert_keypoints": "edgepose_runtime.poses.conversion",
    "draw_pose": "edgepose.drawing",
    "draw_result": "edgepose.drawing",
    "get_skeleton": "edgepose_runtime.poses.skeletons",
    "load": "edgepose.inference.model",
    "open_source": "edgepose_runtime.capture",
    "read_poses": "edgepose.pose_files.reader",
}

#: Modules that are loaded when they are first used.
_LAZY_MODULES = {"sinks": "edgepose.sinks"}

__all__ = [
    "AsyncPoseTracker",
    "ClosedError",
    "ConfigError",
    "DropReason",
    "EdgePoseError",
    "EventKind",
    "FrameDrop",
    "FrameTable",
    "HeadStats",
    "InferenceError",
    "KeyFrameTracking",
    "KeyFrames",
    "LiveSettings",
    "OneEuroSettings",
    "Origin",
    "Person",
    "PersonState",
    "PoseModel",
    "PoseResult",
    "PoseTable",
    "PoseTracker",
    "Preview",
    "PreviewSettings",
    "RemoteHead",
    "ServerSettings",
    "SeveralPeople",
    "Skeleton",
    "SourceError",
    "StageLatency",
    "StreamEvent",
    "ThinSlicing",
    "TrackerPool",
    "TrackerStats",
    "TrackingFailure",
    "__version__",
    "available_models",
    "convert_keypoints",
    "draw_pose",
    "draw_result",
    "get_skeleton",
    "load",
    "open_source",
    "read_poses",
    "sinks",
]


def __getattr__(name: str) -> object:
    if name in _LAZY_MODULES:
        return import_module(_LAZY_MODULES[name])
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
