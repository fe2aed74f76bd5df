import numpy as np
import pytest

from edgepose.inference.estimator import StageClock
from edgepose.testing import FakeMethod, fake_model, standing_person
from edgepose.tracking.frame import Frame
from edgepose.tracking.person_search import NoSearch, PersonSearch
from edgepose.tracking.stream import PoseStream

FRAME = np.zeros((240, 320, 3), np.uint8)
REGION = 60, 20, 200, 200


def region_after(score, new_search):
    """Track a person whose feet have a score; return the next region."""
    person = standing_person((160, 120), height=120)
    person[-2:, 2] = score
    stream = PoseStream(fake_model(FakeMethod(person)), new_search=new_search)
    stream.process(Frame(0, FRAME, 0.0, roi=REGION), StageClock())
    return stream.next_roi.height


@pytest.mark.parametrize(
    ("new_search", "is_included"), [(PersonSearch, True), (lambda _: NoSearch(), False)]
)
def test_doubtful_joints_are_in_the_region_where_they_cannot_be_a_neighbours(
    new_search, is_included
):
    doubtful = region_after(0.8 * FakeMethod().spec.score_threshold, new_search)
    assert (doubtful > 1.05 * region_after(0.0, new_search)) is is_included
