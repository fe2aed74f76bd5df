import numpy as np
import pytest

from edgepose.evaluation.metrics.oks import LIMB_SIGMAS, keypoint_similarity, recalls
from edgepose.evaluation.metrics.pck import LIMB_JOINTS
from edgepose_runtime.errors import ConfigError

AREA = 10_000.0


def similarity(errors, labelled=None, area=AREA, sigmas=(0.05, 0.1)):
    labelled = np.ones(len(errors), bool) if labelled is None else np.asarray(labelled)
    args = np.array([errors], float), labelled[None], np.array([area]), np.array(sigmas)
    return keypoint_similarity(*args)[0]


def test_each_joint_falls_off_with_its_own_sigma():
    # Area 100 x 100: a sigma of 0.05 falls to exp(-1/2) at 2 * 0.05 * 100 = 10 pixels.
    assert similarity([10, 0]) == pytest.approx((np.exp(-0.5) + 1) / 2)
    assert similarity([0, 10]) == pytest.approx((1 + np.exp(-0.125)) / 2)


def test_errors_count_against_the_area():
    assert similarity([20, 0], area=4 * AREA) == pytest.approx(similarity([10, 0]))


def test_joints_without_label_do_not_count():
    assert similarity([10, 500], [True, False]) == pytest.approx(np.exp(-0.5))


def test_joints_that_were_not_found_count_nothing():
    assert similarity([0, np.nan]) == pytest.approx(0.5)
    assert similarity([np.nan, np.nan]) == 0


def test_an_error_without_end_counts_nothing():
    assert similarity([np.inf, 0]) == pytest.approx(0.5)


@pytest.mark.parametrize(("labelled", "area"), [([False, False], AREA), ([True, True], 0.0)])
def test_people_who_cannot_be_scored_are_refused(labelled, area):
    with pytest.raises(ConfigError, match="OKS needs"):
        similarity([0, 0], labelled, area)


def test_sigmas_are_those_of_coco_by_joint():
    by_name = dict(zip(LIMB_JOINTS, LIMB_SIGMAS.tolist(), strict=True))
    assert len(by_name) == 12
    assert (by_name["left_wrist"], by_name["right_hip"], by_name["left_ankle"]) == (
        0.062,
        0.107,
        0.089,
    )


def test_recall_is_the_part_of_thresholds_that_are_reached():
    assert recalls(np.array([1, 0.95, 0.7, 0.5, 0.499, 0])).tolist() == [1, 1, 0.5, 0.1, 0, 0]
