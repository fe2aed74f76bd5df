import numpy as np
import pytest

from edgepose.datasets.clips import Clip
from edgepose.training.sets.clips import person_box
from edgepose_runtime.poses.skeletons import JHMDB15


def test_the_box_of_an_annotated_person_is_larger_than_the_joints():
    joints = np.zeros((2, 15, 3), np.float32)
    joints[0, :, :2] = np.linspace((100, 50), (120, 150), 15)
    clip = Clip("a", "a", lambda: iter(()), joints, None, JHMDB15, 25.0, "train")
    assert person_box(clip)[0] == pytest.approx([65, 15, 155, 185])
