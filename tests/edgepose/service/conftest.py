"""Results to hand to outputs."""

import pytest

from edgepose.results import Origin, PoseResult
from edgepose.testing import standing_person
from edgepose_runtime.poses.skeletons import PENN13


@pytest.fixture
def make_result():
    def make(frame_id=0):
        return PoseResult(
            frame_id=frame_id,
            timestamp_ms=40.0 * frame_id,
            keypoints=standing_person((160, 120), 160),
            reason=None,
            roi=(80.0, 40.0, 160.0, 160.0),
            origin=Origin.PROPAGATED,
            key_frame_age=1,
            latency={"total": 4.0},
            skeleton=PENN13,
        )

    return make
