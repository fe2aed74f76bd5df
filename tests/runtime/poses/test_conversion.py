import numpy as np
import pytest

from edgepose_runtime.errors import ConfigError
from edgepose_runtime.poses.conversion import convert_keypoints
from edgepose_runtime.poses.skeletons import COCO17, HALPE26, JHMDB15, LSP14, MPII16, PENN13

ALL = [PENN13, JHMDB15, MPII16, COCO17, LSP14, HALPE26]


def pose(skeleton, seed=0):
    return np.random.default_rng(seed).uniform(0.1, 1, (2, skeleton.num_joints, 3))


def joint(keypoints, skeleton, name):
    return keypoints[..., skeleton.index(name), :]


@pytest.mark.parametrize("skeleton", ALL, ids=lambda skeleton: skeleton.name)
def test_conversion_to_itself_changes_nothing(skeleton):
    keypoints = pose(skeleton)
    np.testing.assert_array_equal(convert_keypoints(keypoints, skeleton, skeleton), keypoints)


@pytest.mark.parametrize("skeleton", ALL, ids=lambda skeleton: skeleton.name)
@pytest.mark.parametrize("target", ALL, ids=lambda skeleton: skeleton.name)
def test_conversion_commutes_with_mirroring(skeleton, target):
    keypoints = pose(skeleton)
    mirrored = keypoints[:, skeleton.flip_order]
    expected = convert_keypoints(keypoints, skeleton, target)[:, target.flip_order]
    converted = convert_keypoints(mirrored, skeleton, target)
    np.testing.assert_allclose(converted, expected, equal_nan=True)


@pytest.mark.parametrize("shape", [(13,), (12, 3), (13, 4), (3, 13)])
def test_keypoints_of_a_wrong_shape_are_refused(shape):
    with pytest.raises(ConfigError, match=r"penn13 must have shape \(\.\.\., 13, 2 or 3\)"):
        convert_keypoints(np.zeros(shape), PENN13, JHMDB15)


def test_mpii_head_is_midway_between_upper_neck_and_head_top_with_the_lower_score():
    keypoints = pose(MPII16)
    head = joint(convert_keypoints(keypoints, MPII16, PENN13), PENN13, "head")
    np.testing.assert_allclose(head[..., :2], keypoints[:, [8, 9], :2].mean(axis=1))
    np.testing.assert_allclose(head[..., 2], keypoints[:, [8, 9], 2].min(axis=1))


def test_jhmdb_neck_and_face_follow_from_mpii():
    keypoints = pose(MPII16)
    converted = convert_keypoints(keypoints, MPII16, JHMDB15)
    np.testing.assert_allclose(joint(converted, JHMDB15, "neck"), keypoints[:, 8])
    np.testing.assert_allclose(
        joint(converted, JHMDB15, "face")[..., :2], keypoints[:, [8, 9], :2].mean(axis=1)
    )


def test_belly_lies_two_thirds_down_from_the_shoulders_to_the_hips():
    keypoints = pose(MPII16)[..., :2]
    belly = joint(convert_keypoints(keypoints, MPII16, JHMDB15), JHMDB15, "belly")
    shoulders, hips = keypoints[:, [12, 13]].mean(axis=1), keypoints[:, [2, 3]].mean(axis=1)
    np.testing.assert_allclose(belly[:, 0], (shoulders + hips)[:, 0] / 2)
    np.testing.assert_allclose(belly[:, 1], (shoulders + 0.65 * (hips - shoulders))[:, 1])


def test_lsp_head_is_midway_between_neck_and_head_top():
    keypoints = pose(LSP14)
    head = joint(convert_keypoints(keypoints, LSP14, PENN13), PENN13, "head")
    np.testing.assert_allclose(head[..., :2], keypoints[:, [12, 13], :2].mean(axis=1))


@pytest.mark.parametrize("source", [COCO17, HALPE26], ids=lambda skeleton: skeleton.name)
def test_facial_points_make_the_head_of_whichever_of_them_there_are(source):
    keypoints = pose(source)
    keypoints[0, source.index("left_ear")] = np.nan
    keypoints[1, source.index("nose"), 2] = 0
    head = joint(convert_keypoints(keypoints, source, PENN13), PENN13, "head")
    nose, left, right = (source.index(name) for name in ("nose", "left_ear", "right_ear"))
    np.testing.assert_allclose(head[0, :2], keypoints[0, [nose, right], :2].mean(axis=0))
    np.testing.assert_allclose(head[1, :2], keypoints[1, [left, right], :2].mean(axis=0))
    assert head[1, 2] == keypoints[1, [left, right], 2].min()


def test_what_cannot_be_told_is_nan_with_score_zero():
    converted = convert_keypoints(pose(COCO17), COCO17, JHMDB15)
    neck = joint(converted, JHMDB15, "neck")
    assert np.isnan(neck[:, :2]).all()
    assert (neck[:, 2] == 0).all()


def test_a_missing_part_makes_the_whole_missing():
    keypoints = pose(MPII16)
    keypoints[0, MPII16.index("head_top"), :2] = np.nan
    head = joint(convert_keypoints(keypoints, MPII16, PENN13), PENN13, "head")
    np.testing.assert_array_equal(head[0], [np.nan, np.nan, 0])
    assert np.isfinite(head[1]).all()


@pytest.mark.parametrize(
    ("given", "returned"), [("float16", "float32"), ("float32", "float32"), ("int64", "float64")]
)
def test_conversion_returns_floats_wide_enough(given, returned):
    keypoints = np.ones((13, 3), given)
    assert convert_keypoints(keypoints, PENN13, JHMDB15).dtype == returned
