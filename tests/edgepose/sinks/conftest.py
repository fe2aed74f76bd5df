"""Results to write, and a disk that is soon full."""

import io
from dataclasses import replace

import numpy as np
import pytest

from edgepose.results import Origin, Person, PersonState, PoseResult
from edgepose.utils import output_files as files
from edgepose_runtime.poses.skeletons import PENN13


@pytest.fixture
def pose():
    """Make a result; without keypoints it has a reason."""

    def make(frame_id=0, keypoints=True):
        joints = np.arange(39, dtype=np.float32).reshape(13, 3) / 38 if keypoints else None
        return PoseResult(
            frame_id=frame_id,
            timestamp_ms=40.0 * frame_id,
            keypoints=joints,
            reason=None if keypoints else "no person found",
            roi=(1.0, 2.0, 3.0, 3.0) if keypoints else None,
            origin=Origin.INITIALISED if keypoints else None,
            key_frame_age=0 if keypoints else None,
            latency={"crop": 0.12345, "total": 1.0},
            skeleton=PENN13,
        )

    return make


@pytest.fixture
def several(pose):
    """Make a result of several people, given their identities; the first is the main one."""

    def make(frame_id, *identities):
        people = tuple(
            Person(
                i,
                pose().keypoints + i,
                0.5,
                Origin.PROPAGATED,
                2,
                (1, 2, 3, 3),
                PersonState.TRACKED,
            )
            for i in identities
        )
        main = people[0].keypoints if people else None
        return replace(pose(frame_id, keypoints=bool(people)), keypoints=main, several=people)

    return make


class SmallDisk(io.FileIO):
    """A file on a disk with a given number of bytes."""

    capacity = 0

    def write(self, piece):
        return super().write(piece[: max(0, self.capacity - self.tell())])


@pytest.fixture
def small_disk(monkeypatch):
    """Limit how large the files become that are created from now on."""

    def limit(capacity):
        monkeypatch.setattr(SmallDisk, "capacity", capacity)
        monkeypatch.setattr(files, "create_file", lambda path: SmallDisk(path, "wb"))

    return limit
