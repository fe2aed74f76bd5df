import numpy as np
import pytest

from edgepose.inference.model import available_models, bundle_path
from edgepose.inference.person_detector import PersonDetector, keep_best, person_regions
from edgepose_runtime.bundles.bundle import load_bundle
from edgepose_runtime.bundles.manifest import DetectorSpec

SPEC = DetectorSpec(size=64, strides=(8, 16), score_threshold=0.6, max_overlap=0.65)


class Network:
    """Returns one box in the finer map; keeps the frame it was given."""

    def __init__(self, logit=2.0):
        self.fine = np.full((1, 8, 8, 5), -9.0, np.float32)
        self.fine[0, 4, 3] = logit, 8, 16, 12, 20

    def infer(self, feeds):
        self.frame = feeds["frame"]
        return {"stride_8": self.fine, "stride_16": np.full((1, 4, 4, 5), -9.0, np.float32)}


def test_a_box_is_mapped_back_through_the_letterbox():
    # The point (24, 32) of the input; the frame is 128 wide, and 96 high in the middle of 128.
    (box,) = PersonDetector(Network(), SPEC).detect(np.zeros((96, 128, 3), np.uint8))
    edges = np.array([24 - 8, 32 - 16, 24 + 12, 32 + 20]) * 2 + [-0.5, -16.5, -0.5, -16.5]
    assert box[:4] == pytest.approx(edges)
    assert box[4] == pytest.approx(1 / (1 + np.exp(-2)))


def test_boxes_end_at_the_frame():
    network = Network()
    network.fine[0, 0, 0] = 3, 40, 40, 8, 30
    boxes = PersonDetector(network, SPEC).detect(np.zeros((96, 128, 3), np.uint8))
    assert boxes[0, :2].tolist() == [-0.5, -0.5]


def test_the_frame_is_scaled_into_the_middle_of_a_square():
    network = Network()
    PersonDetector(network, SPEC).detect(np.full((96, 128, 3), 255, np.uint8))
    assert network.frame.shape == (1, 64, 64, 3)
    assert (network.frame[0, 8:56] == 255).all() and (network.frame[0, :8] < 200).all()


@pytest.mark.parametrize(("min_score", "count"), [(None, 0), (0.5, 1)])
def test_boxes_below_the_score_are_left_out(min_score, count):
    detector = PersonDetector(Network(logit=0.2), SPEC)
    assert len(detector.detect(np.zeros((64, 64, 3), np.uint8), min_score)) == count


class Detecting:
    """A model with nothing but a detector."""

    has_detector = True

    def __init__(self, network):
        self.network = network

    def detector(self):
        return self.network, SPEC


def test_regions_say_what_is_sure_and_whom_the_lower_edge_cuts_off():
    network = Network()
    score = 0.7 * SPEC.score_threshold
    doubtful = np.log(score / (1 - score))
    network.fine[0, 7, 6] = doubtful, 4, 10, 4, 9
    network.fine[0, 1, 6] = doubtful, 4, 4, 4, 10
    network.fine[0, 0, 0] = -3.0, 0, 0, 8, 8
    network.fine[0, 4, 3] = 1.0, 1, 1, 1, 1
    regions = person_regions(Detecting(network))(np.zeros((64, 64, 3), np.uint8))
    assert [(region.is_sure, region.is_cut_off) for region in regions] == [
        (True, False), (False, True), (False, False),
    ]  # fmt: skip
    assert regions[1].roi.contains((48, 56)) and regions[2].roi.contains((48, 8))


def test_without_a_detector_there_are_no_regions():
    model = Detecting(None)
    model.has_detector = False
    assert person_regions(model) is None


def test_of_boxes_on_one_person_the_surest_stays():
    boxes = np.array([[0, 0, 10, 20, 0.7], [1, 0, 11, 20, 0.9], [30, 0, 40, 20, 0.5]])
    assert keep_best(boxes, 0.65)[:, 4].tolist() == [0.9, 0.5]


def test_people_who_stand_close_stay_two():
    boxes = np.array([[0, 0, 10, 30, 0.7], [6, 0, 16, 30, 0.9]])
    assert len(keep_best(boxes, 0.65)) == 2


@pytest.mark.parametrize("name", available_models())
def test_every_shipped_bundle_has_a_detector(name):
    manifest = load_bundle(bundle_path(name)).manifest
    assert manifest.detector is not None
    assert "RTMDet" in manifest.licence["detector"]
