"""Several people through the public tracker."""

from concurrent.futures import Future

import numpy as np
import pytest

import edgepose
from edgepose.results import Origin, PersonState
from edgepose.testing import FakeMethod, fake_model, standing_person
from edgepose_runtime.backends.triton import BreakerState
from edgepose_runtime.errors import ConfigError, RoiError
from edgepose_runtime.geometry.roi import Roi

FRAME = np.zeros((240, 320, 3), np.uint8)


@pytest.fixture(scope="module")
def model():
    with edgepose.load(num_threads=1) as model:
        yield model


@pytest.fixture
def clip(sample_clip):
    return [frame.image for frame in edgepose.open_source(sample_clip)][:12]


def test_one_person_is_person_one():
    method = FakeMethod(standing_person((160, 120), 120))
    with edgepose.PoseTracker(fake_model(method)) as tracker:
        result = tracker.track(FRAME)
        (person,) = result.people
        assert (person.person_id, person.state) == (1, PersonState.TRACKED)
        assert person.keypoints is result.keypoints and person.roi == result.roi
        method.person = None
        assert not tracker.track(FRAME).people


def test_a_model_without_a_detector_is_refused():
    with pytest.raises(ConfigError, match="no person detector"):
        edgepose.PoseTracker(fake_model(FakeMethod()), max_people=2)


def test_everybody_in_a_clip_is_tracked_and_the_main_person_is_the_result(model, clip):
    events = []
    with edgepose.PoseTracker(model, max_people="all", on_event=events.append) as tracker:
        results = [tracker.track(image, timestamp_ms=17.0 * i) for i, image in enumerate(clip)]
        with pytest.raises(RoiError, match="max_people=1"):
            tracker.track(clip[0], roi=(0, 0, 100, 100))
    last = results[-1]
    assert len(last.people) >= 1
    assert last.keypoints is last.people[0].keypoints and last.reason is None
    assert {"detect", "total"} <= set(results[0].latency)
    assert [event.kind for event in events] == ["person_entered"] * len(last.people)
    assert all(person.origin is not Origin.PREDICTED for person in last.people)


def test_several_people_can_be_streamed_and_submitted(model, clip):
    with edgepose.PoseTracker(model, max_people=3) as tracker:
        streamed = list(tracker.stream(iter(clip[:4])))
    results = []
    with edgepose.PoseTracker(model, max_people=3, on_result=results.append) as tracker:
        for image in clip[:4]:
            tracker.submit(image)
        tracker.flush()
    for result in (*streamed, *results):
        assert result.people and "queue" in result.latency
    assert [result.frame_id for result in results] == [0, 1, 2, 3]


def test_key_frames_are_chosen_for_each_person(model, clip):
    with edgepose.PoseTracker(model, max_people=3, key_frames="auto") as tracker:
        results = [tracker.track(image, timestamp_ms=17.0 * i) for i, image in enumerate(clip)]
    assert all(result.people for result in results)
    main = [result.people[0] for result in results]
    assert sum(person.origin is Origin.PREDICTED for person in main) >= len(main) // 2
    assert all(person.state is PersonState.TRACKED for person in main)


@pytest.mark.parametrize(
    ("options", "origin"),
    [
        ({"refine": True}, Origin.REFINED),
        ({"key_frames": edgepose.KeyFrames(lag_frames=2)}, Origin.INTERPOLATED),
    ],
)
def test_poses_that_come_later_come_with_their_frames(model, clip, options, origin):
    happened = []
    with edgepose.PoseTracker(model, max_people=3, on_event=happened.append, **options) as tracker:
        for result in tracker.stream(iter(clip[:8])):
            happened.append(result)
        with pytest.raises(ConfigError, match="2 frames later"):
            tracker.track(clip[0])
    results = [each for each in happened if isinstance(each, edgepose.PoseResult)]
    assert [result.frame_id for result in results] == list(range(8))
    assert origin in {person.origin for result in results for person in result.people}
    assert all(result.keypoints is result.people[0].keypoints for result in results)
    assert happened[0].kind == "person_entered"


def test_refinement_that_waits_for_no_frame_can_be_tracked(model, clip):
    refine = edgepose.ThinSlicing(lag_frames=0)
    with edgepose.PoseTracker(model, max_people=2, refine=refine) as tracker:
        result = tracker.track(clip[0])
    assert {person.origin for person in result.people} == {Origin.REFINED}
    assert result.latency["refine"] < result.latency["total"]


class RefusesOnce:
    """Refuses the first pose, and leaves the others as they are."""

    lag_frames = 0

    def __init__(self):
        self.taken = 0

    def new_refiner(self, *_):
        return self

    def take(self, tracked):
        self.taken += 1
        if self.taken == 1:
            raise ValueError("refused")
        return [tracked.result]

    def flush(self):
        return []


def test_events_of_a_frame_whose_refinement_fails_come_with_the_next(model, clip):
    events = []
    refine = RefusesOnce()
    with edgepose.PoseTracker(
        model, max_people=2, refine=refine, on_event=events.append
    ) as tracker:
        with pytest.raises(ValueError, match="refused"):
            tracker.track(clip[0], timestamp_ms=0.0)
        people = tracker.track(clip[1], timestamp_ms=17.0).people
    assert people
    assert [event.kind for event in events] == ["person_entered"] * len(people)


class HeadServer:
    """Stands in for the connection to a server with the bundle's own head; answers at once."""

    state = BreakerState.CLOSED
    wants_probe = False

    def __init__(self, model):
        self.model = model
        self.crops = []

    def start(self, feeds):
        self.crops.append(len(feeds["image"]))
        answer = Future()
        maps = [self.model.method.initialise(c, Roi(0, 0, 9, 9)).heatmaps for c in feeds["image"]]
        answer.set_result({"heatmaps": np.stack(maps)})
        return answer

    def close(self):
        pass


def test_a_remote_head_gets_all_people_of_a_frame_in_one_request(model, clip, monkeypatch):
    server = HeadServer(model)
    monkeypatch.setattr("edgepose.remote.client.open_server", lambda *_, **__: server)
    options = {"head": "grpc://test", "reinitialise_every": 2}
    with edgepose.PoseTracker(model, max_people=2, **options) as tracker:
        results = [
            tracker.track(np.hstack([image, image]), timestamp_ms=17.0 * i)
            for i, image in enumerate(clip[:5])
        ]
        requests = tracker.stats.head.requests
    assert [len(result.people) for result in results] == [2] * 5
    assert server.crops == [2, 2, 2] and requests == 6
    assert results[0].head_age_ms is None
    assert [result.head_age_ms for result in results[1:]] == [17.0, 34.0, 17.0, 34.0]
    assert "head" not in results[0].latency, "the light network starts"


def test_a_function_that_invents_a_main_person_is_refused(model, clip):
    with (
        edgepose.PoseTracker(model, max_people=2, follow=lambda _: None) as tracker,
        pytest.raises(ConfigError, match="follow must return one of the people"),
    ):
        tracker.track(clip[0])
