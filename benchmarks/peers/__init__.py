"""Other people's networks, run as their authors say, on the same frames with the same boxes."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.movenet import MoveNet
from benchmarks.peers.rtmpose import RtmPose
from edgepose.datasets.root import data_root
from edgepose_runtime.backends import BackendSettings, Network, get_backend
from edgepose_runtime.errors import DataError

Estimator = MoveNet | RtmPose


@dataclass(frozen=True)
class Peer:
    """A network to compare with.

    Attributes:
        name: as printed.
        option: what users type, and the end of the environment variable with its weights.
        file: its weights in the folder ``weights`` beside the data.
        estimator: makes it from its network.
        note: what a reader must know beside its figures.
    """

    name: str
    option: str
    file: str
    estimator: Callable[[Network], Estimator]
    note: str = ""

    def weights(self, given: Path | None) -> Path | None:
        """The file that was given, else the environment's, else the one beside the data.

        Raises:
            DataError: a file was asked for and is not there.
        """
        asked = given or os.environ.get(f"EDGEPOSE_{self.option.upper()}")
        path = Path(asked) if asked else data_root().parent / "weights" / self.file
        if path.is_file():
            return path
        if asked:
            raise DataError(f"The weights of {self.name} were to be at '{path}', but are not.")
        return None

    def open(self, path: Path, backend: str, threads: int, precision: str = "float32") -> Estimator:
        """Load the network on the CPU."""
        settings = BackendSettings(precision=precision, num_threads=threads)
        return self.estimator(get_backend(backend).load(path, settings=settings))


PEERS = (
    Peer(
        "RTMPose-s",
        "rtmpose",
        "rtmpose-s-halpe26-256x192.onnx",
        RtmPose,
        note="its training set included sub-JHMDB, from whose clips these are taken",
    ),
    Peer("MoveNet Lightning", "movenet", "movenet-lightning.onnx", MoveNet),
)
