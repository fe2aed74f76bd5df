import math

import numpy as np
import pytest

from edgepose_runtime.errors import ConfigError
from edgepose_runtime.poses.measures import joint_angle, joint_table
from edgepose_runtime.poses.skeletons import PENN13

LEG = ("left_hip", "left_knee", "left_ankle")


def leg(hip, knee, ankle):
    joints = np.ones((13, 3), np.float32)
    for name, place in zip(LEG, (hip, knee, ankle), strict=True):
        joints[PENN13.index(name), :2] = place
    return joints


@pytest.mark.parametrize(
    ("ankle", "degrees"),
    [((0, 20), 180), ((10, 10), 90), ((-10, 10), 90), ((0, 0), 0), ((10, 20), 135)],
)
def test_the_angle_is_the_one_at_the_middle_joint(ankle, degrees):
    assert joint_angle(leg((0, 0), (0, 10), ankle), PENN13, LEG) == pytest.approx(degrees)


@pytest.mark.parametrize("place", [(math.nan, math.nan), (0, 10)], ids=["missing", "coincides"])
def test_without_an_angle_there_is_none(place):
    assert joint_angle(leg((0, 0), (0, 10), place), PENN13, LEG) is None


def test_an_unknown_joint_is_refused():
    with pytest.raises(ConfigError, match="nose"):
        joint_angle(leg((0, 0), (0, 10), (0, 20)), PENN13, ("left_hip", "nose", "left_knee"))


def test_a_notebook_shows_a_table_of_joints():
    table = joint_table(leg((1.26, 2), (3, 4), (5, 6)), PENN13, "frame <1>")
    assert "<td>left_hip</td><td>1.3</td><td>2.0</td><td>1.00</td>" in table
    assert "frame &lt;1&gt;" in table and table.count("<tr>") == 14
    assert joint_table(None, PENN13, "nobody") == "<table><caption>nobody</caption></table>"
