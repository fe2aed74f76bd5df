"""Calibration data: real inputs of a bundle's graphs, recorded while its networks track clips.

:mod:`edgepose_converters.quantisation.post_training` derives the ranges of activations from them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from edgepose.datasets.clips import Clip
from edgepose.evaluation.protocols.tracker import captured
from edgepose.inference.model import PoseModel, open_model
from edgepose.tracker import PoseTracker
from edgepose_runtime.backends import BackendSettings, Network
from edgepose_runtime.bundles.bundle import Bundle
from edgepose_runtime.bundles.manifest import GraphSpec
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.tensors import Array

Feeds = dict[str, Array]

#: Frames taken from one clip: the search for the person, and then every third frame.
FRAMES_PER_CLIP = 5
_BETWEEN = 3


@dataclass(frozen=True)
class Recording:
    """What the graphs of a bundle were fed.

    Attributes:
        feeds: by graph; one sample each, in the order of the clips.
        clips: names of the clips.
    """

    feeds: Mapping[str, Sequence[Feeds]]
    clips: tuple[str, ...]


def evenly_spaced_clips(clips: Sequence[Clip], frames: int, *, offset: float = 0.0) -> list[Clip]:
    """Return clips enough for that many frames, at even distances: the same ones every time.

    Args:
        clips: all there are.
        frames: how many frames are to be recorded.
        offset: where between two of them to begin, from 0 to 1; another one gives other clips.

    Raises:
        ConfigError: fewer frames than one clip has, or more than all clips together.
    """
    count = frames // FRAMES_PER_CLIP
    if not 1 <= count <= len(clips):
        raise ConfigError(
            f"From {FRAMES_PER_CLIP} to {FRAMES_PER_CLIP * len(clips)} frames can be taken from "
            f"{len(clips)} clips; got {frames}."
        )
    return [clips[int((index + offset) * len(clips) / count)] for index in range(count)]


def record(
    bundle: Bundle, clips: Sequence[Clip], on_clip: Callable[[], None] = lambda: None
) -> Recording:
    """Track clips with a float bundle as a user would, and keep what its networks were given.

    A step network's previous heat-maps are so those of real tracks. A network that starts tracks
    runs once per clip, so it gets the images of the other one.

    Args:
        bundle: the float bundle.
        clips: what to track.
        on_clip: called after each clip.
    """
    recorders: dict[str, _Recorder] = {}

    def wrap(name: str, network: Network) -> Network:
        return recorders.setdefault(name, _Recorder(network))

    settings = BackendSettings(precision="float32", num_threads=1, batch=1)
    every_frame = "step" if "step" in bundle.manifest.graphs else "body"
    feeds: list[Feeds] = []
    with open_model(bundle.path, "openvino", settings, wrap) as model:
        for clip in clips:
            _track(model, clip)
            feeds += _spread_calls(recorders[every_frame].take())
            on_clip()
    return Recording(_by_graph(bundle, every_frame, feeds), tuple(clip.name for clip in clips))


class _Recorder(Network):
    """A network that keeps what it is given."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._calls: list[Feeds] = []
        self.inputs, self.outputs = network.inputs, network.outputs
        self.device, self.precision = network.device, network.precision

    def infer(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Run the network; see :meth:`Network.infer`."""
        # Crops and heat-maps are buffers that the next frame overwrites.
        self._calls.append({name: array.copy() for name, array in feeds.items()})
        return self._network.infer(feeds)

    def take(self) -> list[Feeds]:
        """Return what was given since the last time."""
        calls, self._calls = self._calls, []
        return calls

    def close(self) -> None:
        """Release the network."""
        self._network.close()


def _track(model: PoseModel, clip: Clip) -> None:
    with PoseTracker(model) as tracker:
        for frame in islice(captured(clip), _BETWEEN * (FRAMES_PER_CLIP - 1)):
            tracker.track(frame.image, timestamp_ms=frame.timestamp_ms)


def _spread_calls(calls: Sequence[Feeds]) -> list[Feeds]:
    """Return the first call, which looks for the person, and calls of the track from its end."""
    last = len(calls) - 1
    kept = {0, *(max(0, last - _BETWEEN * index) for index in range(FRAMES_PER_CLIP - 1))}
    return [calls[index] for index in sorted(kept)]


def _by_graph(
    bundle: Bundle, every_frame: str, feeds: Sequence[Feeds]
) -> dict[str, Sequence[Feeds]]:
    # A head looks at several views of an image, so that a tenth of the images will do.
    few = feeds[FRAMES_PER_CLIP - 1 :: 2 * FRAMES_PER_CLIP]
    images = [{"image": feed["image"]} for feed in few]
    # Those that see no image stay float: the propagation unit alone carries late answers.
    looking = (name for name, graph in bundle.manifest.graphs.items() if _sees_image(graph))
    return {name: feeds if name == every_frame else images for name in looking}


def _sees_image(graph: GraphSpec) -> bool:
    return any(spec.name == "image" for spec in graph.inputs)
