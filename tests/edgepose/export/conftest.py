"""Poses of two people in two videos."""

import numpy as np
import pytest

from edgepose.pose_files.builder import PersonRow, TableBuilder
from edgepose.pose_files.table import joined_tables
from edgepose.results import Origin
from edgepose.testing import standing_person
from edgepose_runtime.poses.skeletons import PENN13


@pytest.fixture
def table():
    """Video a: frame 0 with people 1 and 2, frame 1 empty, frame 2 with person 2; b: one person."""
    first = TableBuilder(PENN13, "films/a.mp4")
    first.add(0, 0.0, [person(1, 100), person(2, 300)])
    first.add(1, 40.0, [], "no person found")
    first.add(2, 80.0, [person(2, 310)])
    second = TableBuilder(PENN13, "b.mp4")
    second.add(0, 0.0, [person(1, 50)])
    return joined_tables([first.table(), second.table()])


def person(identity, x):
    keypoints = standing_person((x, 200), height=160, score=0.75)
    keypoints[12] = np.nan, np.nan, 0.0  # the left ankle was not seen
    return PersonRow(identity, keypoints, Origin.PROPAGATED)
