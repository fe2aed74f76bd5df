"""A world of people in colours, with a detector and a pose network that see whoever is in front."""

import numpy as np
import pytest

from edgepose.inference.estimator import StageClock
from edgepose.inference.looks import JointLooks
from edgepose.people.motion import pose_box
from edgepose.people.schedule import Allowance
from edgepose.people.settings import SeveralPeople
from edgepose.people.stream import PeopleStream
from edgepose.testing import FakeMethod, fake_model, standing_person
from edgepose.tracking.frame import Frame
from edgepose.tracking.search.person_search import NoSearch
from edgepose.tracking.stream import PoseStream
from edgepose_runtime.geometry.boxes import box_overlaps
from edgepose_runtime.poses.skeletons import PENN13

SIZE = (640, 480)
STEP_MS = 40.0


class World:
    """Who is where: names to (x, y, height), those in front first.

    It is the detector of a stream, too.
    """

    score_threshold = 0.6

    def __init__(self):
        self.people = {}
        self.colours = {}
        self.scores = {}
        self.joint_scores = {}
        self.method = _Poses(self)
        self.detections = 0

    def warmup(self):
        pass

    def detect(self, image, min_score):
        assert image.ndim == 3 and min_score < self.score_threshold
        self.detections += 1
        found = [(*self.box(name), self.scores.get(name, 0.9)) for name in self.visible()]
        boxes = np.array(found, float).reshape(-1, 5)
        return boxes[np.argsort(-boxes[:, 4], kind="stable")]

    def pose(self, name):
        x, y, height = self.people[name]
        return standing_person((x, y), height)

    def box(self, name):
        return pose_box(self.pose(name))

    def visible(self):
        """Names of those who are not hidden behind somebody in front."""
        seen = []
        for name in self.people:
            box = self.box(name)[None]
            if all(box_overlaps(box, self.box(other)[None])[0, 0] < 0.45 for other in seen):
                seen.append(name)
        return seen

    def image(self):
        image = np.full((SIZE[1], SIZE[0], 3), 128, np.uint8)
        for name in reversed(self.visible()):
            left, top, right, bottom = np.clip(self.box(name), 0, 9999).astype(int)
            image[top:bottom, left:right] = self.colours.get(name, (90, 90, 90))
        return image


class _Poses(FakeMethod):
    """Sees the visible person nearest to the middle of the region."""

    def __init__(self, world):
        super().__init__()
        self.world = world

    def _heatmaps(self, roi):
        inside = [
            (np.hypot(x - roi.center[0], y - roi.center[1]), name)
            for name, (x, y, _) in self.world.people.items()
            if name in self.world.visible() and roi.contains((x, y))
        ]
        self.person = None
        if inside:
            name = min(inside)[1]
            self.person = self.world.pose(name)
            self.person[:, 2] = self.world.joint_scores.get(name, 1.0)
        return super()._heatmaps(roi)


class Film:
    """Tracks the world frame after frame."""

    def __init__(self, settings, reruns_head=False):
        self.world = World()
        self.events = []
        self.frame_id = 0
        self.stream = PeopleStream(
            self.world,
            settings,
            lambda: (
                PoseStream(fake_model(self.world.method), new_search=lambda _: NoSearch()),
                None,
            ),
            PENN13,
            JointLooks(fake_model(self.world.method)),
            reruns_head=reruns_head,
        )

    def step(self, looks=None, image=None):
        image = self.world.image() if image is None else image
        frame = Frame(self.frame_id, image, STEP_MS * self.frame_id)
        self.frame_id += 1
        people = self.stream.process(frame, StageClock(), Allowance(looks))
        self.events += [(str(e.kind), e.person_id) for e in self.stream.take_events()]
        return people

    def steps(self, count):
        for _ in range(count):
            people = self.step()
        return people

    def who(self, people):
        """Identities by the name of whom each is nearest to."""
        found = {}
        for person in people:
            middle = person.keypoints[:, :2].mean(axis=0)
            name = min(
                self.world.people, key=lambda n: np.hypot(*(self.world.people[n][:2] - middle))
            )
            found[name] = person.person_id
        return found


@pytest.fixture
def make_film():
    def make(reruns_head=False, **options):
        return Film(SeveralPeople(**options), reruns_head)

    return make


@pytest.fixture
def film(make_film):
    return make_film()
