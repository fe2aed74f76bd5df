import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edgepose.datasets.sampling.augmentation import Placement
from edgepose.datasets.sampling.warping import crop_matrix, warp_image, warp_keypoints
from edgepose_runtime.geometry.crop import BACKGROUND
from edgepose_runtime.geometry.roi import Roi, roi_transform
from edgepose_runtime.poses.skeletons import COCO17, JHMDB15, MPII16, PENN13

SIZE = 128
placements = st.builds(
    Placement, angle=st.floats(-180, 180), flip=st.booleans(), scale=st.just(1.0)
)


@settings(max_examples=60, deadline=None)
@given(
    x=st.floats(0, 1),
    y=st.floats(0, 1),
    side=st.floats(40, 900),
    where=st.tuples(st.floats(-0.3, 0.3), st.floats(-0.3, 0.3)),
    placement=placements,
)
def test_picture_and_keypoints_move_together(draw_dots, find_dot, x, y, side, where, placement):
    square = Roi.around((100 + 50 * x, 80 + 50 * y), side)
    point = np.add(square.center, np.multiply(where, side))
    zoom = SIZE / side
    image = draw_dots([point], (240, 200), deviation=3 / zoom)
    matrix = crop_matrix(square, placement, SIZE)
    keypoints = np.array([[*point, 1]], np.float32).repeat(13, axis=0)
    mapped = warp_keypoints(keypoints, matrix, PENN13, placement.flip)[0, :2]
    reach = 9 / zoom
    assume(reach < point[0] < 239 - reach and reach < point[1] < 199 - reach)  # not cut by an edge
    crop = warp_image(image, matrix, SIZE).astype(float)
    assert find_dot(np.where(crop == BACKGROUND, 0, crop), mapped, 9) == pytest.approx(
        mapped, abs=0.15
    )


@given(x=st.floats(-50, 50), y=st.floats(-50, 50), side=st.floats(8, 500))
def test_an_upright_crop_is_the_runtimes(x, y, side):
    roi = Roi(x, y, side, side)
    assert crop_matrix(roi, Placement(), SIZE) == pytest.approx(roi_transform(roi, SIZE))


@given(placement=placements)
def test_the_middle_of_the_square_is_the_middle_of_the_crop(placement):
    square = Roi.around((40.0, 30.0), 50)
    middle = crop_matrix(square, placement, SIZE) @ [*square.center, 1]
    assert middle == pytest.approx([(SIZE - 1) / 2] * 2)


def other_side(joint):
    side, _, rest = joint.partition("_")
    return {"left": f"right_{rest}", "right": f"left_{rest}"}.get(side, joint)


@pytest.mark.parametrize("skeleton", [PENN13, JHMDB15, MPII16, COCO17], ids=lambda s: s.name)
def test_a_mirrored_crop_has_left_and_right_exchanged(skeleton):
    count = skeleton.num_joints
    keypoints = np.column_stack([np.arange(count), np.arange(count) * 2, np.ones(count)])
    square = Roi(0, 0, SIZE, SIZE)
    placement = Placement(flip=True)
    mapped = warp_keypoints(
        keypoints.astype(np.float32), crop_matrix(square, placement, SIZE), skeleton, flip=True
    )
    for joint, name in enumerate(skeleton.joints):
        twin = skeleton.index(other_side(name))
        assert mapped[joint, 0] == pytest.approx(SIZE - 1 - keypoints[twin, 0], abs=1e-4)
        assert mapped[joint, 1:] == pytest.approx(keypoints[twin, 1:], abs=1e-4)


def test_a_mirrored_crop_is_the_mirror_image_of_the_crop():
    image = np.random.default_rng(0).integers(0, 256, (60, 60, 3)).astype(np.uint8)
    square = Roi.around((30, 28), 44)
    crops = [
        warp_image(image, crop_matrix(square, Placement(angle=0, flip=flip), 96), 96).astype(int)
        for flip in (False, True)
    ]
    assert np.abs(crops[0][:, ::-1] - crops[1]).max() <= 2


def test_outside_the_picture_is_the_runtimes_background():
    image = np.zeros((20, 20, 3), np.uint8)
    crop = warp_image(image, crop_matrix(Roi.around((100, 100), 40), Placement(), 32), 32)
    assert (crop == BACKGROUND).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3, 2000), (2, 2)])
def test_tiny_and_narrow_pictures_can_be_shrunk(shape):
    image = np.full((*shape, 3), 200, np.uint8)
    square = Roi.around(((shape[1] - 1) / 2, (shape[0] - 1) / 2), 4 * max(shape))
    assert warp_image(image, crop_matrix(square, Placement(), 32), 32).shape == (32, 32, 3)
