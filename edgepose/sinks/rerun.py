"""Results for the viewer Rerun: live, or as a file that it opens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgepose.results import Person, PoseResult
from edgepose.utils.output_files import check_writable
from edgepose_runtime.closable import Closable
from edgepose_runtime.errors import BackendUnavailableError, ClosedError, ConfigError, OutputError
from edgepose_runtime.files import as_path
from edgepose_runtime.poses.skeletons import Skeleton

#: As the target, a viewer that runs on this machine.
VIEWER = "connect"
#: How addresses of viewers begin.
SCHEMES = ("rerun://", "rerun+http://", "rerun+https://")
_SCENE = "video"
_JPEG_QUALITY = 75


class RerunSink(Closable):
    """Logs pictures and people for Rerun, on the timelines ``frame`` and ``time``.

    Entities: ``video`` has the pictures; ``video/person/N`` the joints of identity N with the bones
    of the skeleton, the joints' ``score``, and ``origin`` and ``state``; ``score/N`` the person's
    mean score, which Rerun plots. An identity is cleared in the first frame without it. An instance
    is also a function of one result, and so an ``on_result``. For one thread at a time.

    Args:
        target: a file (``.rrd``), which is replaced; ``connect`` for a viewer on this machine, or
            its address, such as ``rerun+http://192.168.1.20:9876/proxy``.
        skeleton: names the joints.
        name: of the recording.
        image_width: pixels to which pictures are scaled down before they are logged as JPEG, joints
            with them. None logs no pictures, and joints in pixels of the frame.

    Raises:
        BackendUnavailableError: rerun-sdk is not installed.
        ConfigError: the width is not positive.
        OutputError: the file cannot be written, or the address is none.
    """

    def __init__(
        self,
        target: str | Path,
        *,
        skeleton: Skeleton,
        name: str = "edgepose",
        image_width: int | None = None,
    ) -> None:
        if image_width is not None and image_width < 1:
            raise ConfigError(
                f"Pictures need a positive width in pixels; got {image_width}. None logs none."
            )
        self._rerun, self._width = _import_rerun(), image_width
        self._target, self._seen = target, set[int]()
        self._stream: Any = self._rerun.RecordingStream(name)
        self._open(target)
        self._stream.log(_SCENE, _annotations(self._rerun, skeleton), static=True)
        self._closed = False

    def _open(self, target: str | Path) -> None:
        address = None if target == VIEWER else str(target)
        try:
            if is_viewer(target):
                self._stream.connect_grpc(address)
                return
            path = as_path(target)
            check_writable(path)
            self._stream.save(path)
        except (RuntimeError, ValueError) as error:
            raise OutputError(f"Rerun cannot write to '{target}': {error}.") from error

    def write(self, result: PoseResult, image: NDArray[np.uint8] | None = None) -> None:
        """Log a result.

        Args:
            result: of a frame.
            image: the frame, uint8 (H, W, 3) BGR or (H, W); used with ``image_width`` only.

        Raises:
            ClosedError: the sink was closed.
        """
        if self._closed:
            raise ClosedError("The Rerun sink was closed; open a new one.")
        self._stream.set_time("frame", sequence=result.frame_id)
        self._stream.set_time("time", duration=result.timestamp_ms / 1000)
        scale = self._log_image(image)
        for person in result.people:
            self._log_person(person, scale)
        present = {person.person_id for person in result.people}
        for gone in self._seen - present:
            self._stream.log(f"{_SCENE}/person/{gone}", self._rerun.Clear(recursive=True))
        self._seen = present

    def __call__(self, result: PoseResult) -> None:
        """Do the same as :meth:`write`, without a picture."""
        self.write(result)

    def close(self) -> None:
        """Write what is left and close the recording; a second call does nothing.

        Raises:
            OutputError: the viewer was never reached, or the disk is full.
        """
        if self._closed:
            return
        self._closed = True
        try:
            self._stream.flush()
        except (RuntimeError, ValueError) as error:
            raise OutputError(
                f"Rerun cannot write all of the recording to '{self._target}': {error}."
            ) from error
        finally:
            self._stream.disconnect()

    def _log_image(self, image: NDArray[np.uint8] | None) -> float:
        """Log a picture and return how joints are scaled to its pixels."""
        if image is None or self._width is None:
            return 1.0
        height, width = image.shape[:2]
        scale: float = min(1.0, self._width / width)
        size = round(width * scale), max(1, round(height * scale))
        small = image if scale == 1 else cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        options = {"color_model": "BGR" if image.ndim == 3 else "L"}
        picture = self._rerun.Image(small, **options).compress(jpeg_quality=_JPEG_QUALITY)
        self._stream.log(_SCENE, picture)
        return scale

    def _log_person(self, person: Person, scale: float) -> None:
        joints = person.keypoints
        known = np.isfinite(joints[:, :2]).all(axis=1)
        # A pixel's centre is at an integer here, and at a half in Rerun.
        positions = (joints[known, :2] + 0.5) * scale
        points = self._rerun.Points2D(
            positions, keypoint_ids=np.flatnonzero(known), class_ids=0, radii=-4.0
        )
        facts = self._rerun.AnyValues(
            score=joints[known, 2], origin=person.origin.value, state=person.state.value
        )
        self._stream.log(f"{_SCENE}/person/{person.person_id}", points, facts)
        self._stream.log(f"score/{person.person_id}", self._rerun.Scalars(person.score))


def is_viewer(target: str | Path) -> bool:
    """Whether a target is a viewer, and not a file."""
    return target == VIEWER or str(target).startswith(SCHEMES)


def _annotations(rerun: Any, skeleton: Skeleton) -> Any:
    """Return the names of joints and which of them bones connect."""
    joints = [
        rerun.AnnotationInfo(id=index, label=joint) for index, joint in enumerate(skeleton.joints)
    ]
    person = rerun.ClassDescription(
        info=rerun.AnnotationInfo(id=0, label="person"),
        keypoint_annotations=joints,
        keypoint_connections=list(skeleton.limbs),
    )
    return rerun.AnnotationContext([person])


def _import_rerun() -> Any:
    try:
        import rerun
    except ImportError as error:
        raise BackendUnavailableError(
            'RerunSink needs the package rerun-sdk: pip install "edgepose[rerun]"'
        ) from error
    return rerun
