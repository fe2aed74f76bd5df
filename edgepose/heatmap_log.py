"""Heat-maps kept beside a file of poses, so that the poses can be refined afterwards.

The file is a zip of one ``.npz`` per frame with a person: ``heatmaps`` float16 (K, h, w),
``picture``, the frame in grey, uint8, at most ``PICTURE_SIDE`` pixels wide and high, for optical
flow, and ``keypoints``, the pose that belongs to them; of ``spec.json``, the geometry of the
heat-maps; and of ``springs.json``, if the model has any.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgepose.inference.model import PoseModel
from edgepose.methods import MethodSpec
from edgepose.refinement.base import Seen
from edgepose.results import PoseResult
from edgepose_runtime.errors import DataError, OutputError
from edgepose_runtime.poses.skeletons import get_skeleton
from edgepose_runtime.poses.smoothing import OneEuroSettings
from edgepose_runtime.thin_slicing.files import dump_springs, parse_springs
from edgepose_runtime.thin_slicing.springs import Springs

#: Longest side of the pictures that are kept.
PICTURE_SIDE = 320
# In pixels: poses are rounded in their file.
_SAME_POSE = 0.01


def heatmaps_beside(poses: Path) -> Path:
    """Return where the heat-maps of a file of poses lie."""
    return poses.with_suffix(".heatmaps.zip")


class HeatmapLog:
    """Keeps heat-maps; give it to a tracker as ``refine``. It changes no pose.

    For one tracker, and one thread at a time. The file is complete when it was closed.

    Args:
        path: of the zip; one that exists is replaced.

    Raises:
        OutputError: the file cannot be written.
    """

    lag_frames = 0

    def __init__(self, path: Path) -> None:
        self._path = path
        self._described = False
        try:
            self._zip = zipfile.ZipFile(path, "w")
        except OSError as error:
            raise OutputError(f"The heat-maps {path} cannot be written: {error}.") from error

    def new_refiner(self, model: PoseModel, smoothing: OneEuroSettings | None) -> HeatmapLog:  # noqa: ARG002 - as Refinement says
        """Note what the heat-maps of the model are like, and return the log itself."""
        if not self._described:
            spec = asdict(model.method.spec) | {"skeleton": model.skeleton.name}
            self._write("spec.json", json.dumps(spec).encode())
            if model.springs is not None:
                self._write("springs.json", dump_springs(model.springs).encode())
            self._described = True
        return self

    def warmup(self) -> None:
        """Do nothing."""

    def take(self, seen: Seen) -> list[PoseResult]:
        """Keep the heat-maps of a frame with a person."""
        if seen.look is not None and seen.result.keypoints is not None:
            height, width = seen.image.shape[:2]
            scale = min(1.0, PICTURE_SIDE / max(height, width))
            size = max(1, round(width * scale)), max(1, round(height * scale))
            small = cv2.resize(seen.image, size, interpolation=cv2.INTER_AREA)
            content = io.BytesIO()
            np.savez(
                content,
                heatmaps=seen.look.estimate.heatmaps.astype(np.float16),
                picture=cv2.cvtColor(small, cv2.COLOR_BGR2GRAY),
                frame_size=np.array([width, height]),
                keypoints=seen.result.keypoints,
            )
            self._write(f"{seen.result.frame_id:08d}.npz", content.getvalue())
        return [seen.result]

    def flush(self) -> list[PoseResult]:
        """Return nothing: nothing is held back."""
        return []

    def reset(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Complete the file."""
        self._zip.close()

    def _write(self, name: str, content: bytes) -> None:
        try:
            self._zip.writestr(name, content)
        except OSError as error:
            raise OutputError(f"The heat-maps {self._path} cannot be written: {error}.") from error


class KeptHeatmaps:
    """Reads what a :class:`HeatmapLog` wrote.

    Args:
        path: of the zip.

    Raises:
        DataError: it is missing, or no such file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._zip = zipfile.ZipFile(path)
            fields = json.loads(self._zip.read("spec.json"))
            fields["skeleton"] = get_skeleton(fields["skeleton"])
            self.spec = MethodSpec(**fields)
        except (OSError, zipfile.BadZipFile, KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"'{path}' holds no heat-maps ({error}); keep them with: edgepose track "
                "--keep-heatmaps."
            ) from error
        self._names = set(self._zip.namelist())

    def springs(self) -> Springs | None:
        """Return the springs of the model that the heat-maps come from.

        Raises:
            BundleFormatError: they are damaged.
        """
        if "springs.json" not in self._names:
            return None
        return parse_springs(self._zip.read("springs.json").decode())

    def frame(
        self, number: int, keypoints: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]] | None:
        """Return heat-maps (K, h, w) and picture (H, W, 3) of a frame; ``None`` if it has none.

        Args:
            number: of the frame.
            keypoints: (K, 3), the pose that its heat-maps are wanted for.

        Raises:
            DataError: they are damaged, or of another pose.
        """
        name = f"{number:08d}.npz"
        if name not in self._names:
            return None
        try:
            with np.load(io.BytesIO(self._zip.read(name))) as kept:
                size = tuple(kept["frame_size"].tolist())
                picture = cv2.resize(kept["picture"], size)
                maps = kept["heatmaps"].astype(np.float32)
                own = np.allclose(
                    kept["keypoints"], keypoints, rtol=0, atol=_SAME_POSE, equal_nan=True
                )
        except (OSError, zipfile.BadZipFile, KeyError, ValueError) as error:
            raise DataError(f"Frame {number} of '{self._path}' is damaged: {error}.") from error
        if not own:
            raise DataError(
                f"The heat-maps '{self._path}' are of another run than the poses: frame {number} "
                "has another pose there. Track again with --keep-heatmaps."
            )
        return maps, np.asarray(cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR), np.uint8)

    def close(self) -> None:
        """Close the file."""
        self._zip.close()
