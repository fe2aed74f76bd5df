import numpy as np
import pytest

from edgepose_runtime.errors import ConfigError
from edgepose_runtime.poses.skeletons import (
    COCO17,
    HALPE26,
    JHMDB15,
    LSP14,
    MPII16,
    PENN13,
    get_skeleton,
)

ALL = [PENN13, JHMDB15, MPII16, COCO17, LSP14, HALPE26]


@pytest.mark.parametrize("skeleton", ALL, ids=lambda skeleton: skeleton.name)
class TestEverySkeleton:
    def test_is_found_by_its_name(self, skeleton):
        assert get_skeleton(skeleton.name) is skeleton

    def test_has_as_many_joints_as_its_name_says(self, skeleton):
        assert skeleton.name.endswith(str(skeleton.num_joints))
        assert len(set(skeleton.joints)) == skeleton.num_joints

    def test_mirroring_twice_gives_the_order_back(self, skeleton):
        order = np.array(skeleton.flip_order)
        assert (order[order] == np.arange(skeleton.num_joints)).all()

    def test_mirroring_swaps_right_and_left_and_nothing_else(self, skeleton):
        swapped = {"right": "left", "left": "right"}
        for name, source in zip(skeleton.joints, skeleton.flip_order, strict=True):
            side, _, part = name.partition("_")
            expected = f"{swapped[side]}_{part}" if side in swapped else name
            assert skeleton.joints[source] == expected

    def test_limbs_join_every_joint_to_another(self, skeleton):
        ends = [end for limb in skeleton.limbs for end in limb]
        assert set(ends) == set(range(skeleton.num_joints))


def test_published_orders():
    assert PENN13.flip_pairs == ((1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12))
    assert JHMDB15.flip_pairs == ((3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14))
    assert MPII16.flip_pairs == ((0, 5), (1, 4), (2, 3), (10, 15), (11, 14), (12, 13))
    assert PENN13.joints[:4] == ("head", "right_shoulder", "left_shoulder", "right_elbow")
    assert JHMDB15.joints[:3] == ("neck", "belly", "face")
    assert [HALPE26.index(name) for name in ("head_top", "neck", "pelvis")] == [17, 18, 19]
    assert HALPE26.joints[:17] == COCO17.joints


def test_an_unknown_skeleton_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"'penn14'.*penn13.*halpe26"):
        get_skeleton("penn14")


def test_an_unknown_joint_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"penn13 has no joint 'nose'.*head"):
        PENN13.index("nose")
