"""Refining in the tracker: later by the lag, in order, and not beyond where a person is lost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgepose import ConfigError, Origin, PoseTracker, ThinSlicing
from edgepose.refinement.thin_slicing import flow_crop
from edgepose.testing import FakeMethod, fake_model, standing_person
from edgepose.tracking.frame import Frame
from edgepose.tracking.step import TrackingStep
from edgepose.tracking.strategies import TrackedFrame
from edgepose.tracking.stream import PoseStream
from edgepose_runtime.errors import InferenceError
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.poses.skeletons import JHMDB15, PENN13
from edgepose_runtime.thin_slicing.files import dump_springs
from edgepose_runtime.thin_slicing.graph import body_graph
from edgepose_runtime.thin_slicing.kernels import pass_messages
from edgepose_runtime.thin_slicing.springs import initial_springs

FRAME = np.full((240, 320, 3), 100, np.uint8)
PERSON = standing_person((160, 120), 120)


@pytest.fixture
def springs():
    """Messages in time only, along stiff springs: three frames vote."""
    springs = initial_springs(body_graph(PENN13), rounds=1)
    return replace(springs, spatial_weight=springs.spatial_weight * 0)


@pytest.fixture
def method():
    return FakeMethod(PERSON)


@pytest.fixture
def follow(method):
    """Return a function that tracks people, one per frame, through a source."""

    def follow(refine, people, step_ms=40.0):
        def frames():
            for person in people:
                method.person = person
                yield FRAME

        refiner = refine.new_refiner(fake_model(method), None)
        tracker = PoseTracker(fake_model(method), smoothing=False)
        given = []
        for index, _ in enumerate(frames()):
            result = tracker.track(FRAME, timestamp_ms=index * step_ms)
            look = tracker._step.stream.last_observation
            given.append(refiner.take(TrackedFrame(FRAME, result, look)))
        return [*given, refiner.flush()]

    return follow


def numbers(given):
    return [[result.frame_id for result in each] for each in given]


def test_results_come_by_the_lag_later_and_the_last_ones_at_the_end(follow, springs):
    given = follow(ThinSlicing(2, springs), [PERSON] * 5)
    assert numbers(given) == [[], [], [0], [1], [2], [3, 4]]
    assert {result.origin for each in given for result in each} == {Origin.REFINED}


def test_without_a_lag_every_result_comes_at_once(follow, springs):
    assert numbers(follow(ThinSlicing(0, springs), [PERSON] * 3)) == [[0], [1], [2], []]


def test_a_frame_without_a_person_ends_the_slice(follow, springs):
    given = follow(ThinSlicing(2, springs), [PERSON, PERSON, None, PERSON, PERSON, PERSON])
    assert numbers(given) == [[], [], [0, 1, 2], [], [], [3], [4, 5]]
    assert given[2][-1].keypoints is None


def test_a_gap_in_time_ends_the_slice(follow, springs):
    given = follow(ThinSlicing(1, springs), [PERSON] * 3, step_ms=400.0)
    assert numbers(given) == [[], [0], [1], [2]]


def test_a_frame_in_which_a_joint_jumps_is_outvoted(follow, springs):
    jumped = PERSON.copy()
    jumped[6, :2] += [-25, 10]
    (refined,) = follow(ThinSlicing(1, springs), [PERSON, jumped, PERSON])[2]
    assert refined.frame_id == 1
    np.testing.assert_allclose(refined.keypoints[:, :2], PERSON[:, :2], atol=1.5)


def test_reset_forgets_what_is_held_back(method, springs):
    refiner = ThinSlicing(2, springs).new_refiner(fake_model(method), None)
    tracker = PoseTracker(fake_model(method))
    result = tracker.track(FRAME)
    assert refiner.take(TrackedFrame(FRAME, result, tracker._step.stream.last_observation)) == []
    refiner.reset()
    assert refiner.flush() == []


def test_a_flow_that_fails_costs_its_frame_alone(method, springs):
    flows = iter([np.zeros((128, 128, 2), np.float32)] * 2)
    refine = ThinSlicing(1, springs, flow=lambda *_: next(flows, None))
    refiner = refine.new_refiner(fake_model(method), None)
    tracker = PoseTracker(fake_model(method))

    def take(ms):
        result = tracker.track(FRAME, timestamp_ms=ms)
        return refiner.take(TrackedFrame(FRAME, result, tracker._step.stream.last_observation))

    assert numbers([take(0.0), take(40.0)]) == [[], [0]]
    with pytest.raises(AttributeError):
        take(80.0)  # which gets None for a flow
    flows = iter([np.zeros((128, 128, 2), np.float32)] * 2)
    assert numbers([take(120.0), refiner.flush()]) == [[1], [3]]


class TestTracker:
    def test_what_is_held_back_outlives_a_frame_that_fails_after_a_gap(self, method, springs):
        refiner = ThinSlicing(2, springs).new_refiner(fake_model(method), None)
        stream = PoseStream(fake_model(method))
        work = TrackingStep(stream, None, refiner)
        given = [work.run(Frame(index, FRAME, 40.0 * index)) for index in range(2)]
        method.error = InferenceError("The network fails.")
        with pytest.raises(InferenceError):
            work.run(Frame(2, FRAME, 80.0, restart=True))
        given.append(work.run(Frame(3, FRAME, 120.0, restart=True)))
        assert numbers([*given, work.flush()]) == [[], [], [0, 1], [3]]

    def test_submitted_frames_come_out_once_and_in_order(self, method, springs):
        results = []
        with PoseTracker(
            fake_model(method), refine=ThinSlicing(2, springs), on_result=results.append
        ) as tracker:
            for index in range(4):
                tracker.submit(FRAME, index * 40.0)
            assert tracker.flush()
            assert [result.frame_id for result in results] == [0, 1, 2, 3]
            tracker.submit(FRAME, 160.0)
        assert [result.frame_id for result in results] == [0, 1, 2, 3, 4]
        assert "refine" in results[0].latency

    def test_a_stream_is_refined_to_its_end(self, method, springs):
        with PoseTracker(fake_model(method), refine=ThinSlicing(2, springs)) as tracker:
            results = list(tracker.stream([FRAME] * 5))
        assert [result.frame_id for result in results] == list(range(5))
        assert {result.origin for result in results} == {Origin.REFINED}

    def test_track_cannot_wait_and_says_what_can(self, method, springs):
        tracker = PoseTracker(fake_model(method), refine=ThinSlicing(2, springs))
        with pytest.raises(ConfigError, match=r"use submit\(\) or stream\(\)"):
            tracker.track(FRAME)

    def test_track_refines_from_the_past_alone(self, method, springs):
        tracker = PoseTracker(fake_model(method), refine=ThinSlicing(0, springs))
        assert [tracker.track(FRAME).origin for _ in range(2)] == [Origin.REFINED] * 2

    def test_springs_may_come_in_a_file(self, method, springs, tmp_path):
        file = tmp_path / "springs.json"
        file.write_text(dump_springs(springs))
        tracker = PoseTracker(fake_model(method), refine=ThinSlicing(0, file))
        assert tracker.track(FRAME).origin is Origin.REFINED

    def test_a_model_without_springs_is_refused(self, method):
        with pytest.raises(ConfigError, match="has no springs"):
            PoseTracker(fake_model(method), refine="thin-slicing")

    def test_springs_of_another_skeleton_are_refused(self, method):
        springs = initial_springs(body_graph(JHMDB15))
        with pytest.raises(ConfigError, match="jhmdb15"):
            PoseTracker(fake_model(method), refine=ThinSlicing(0, springs))

    def test_key_frames_contradict_it(self, method, springs):
        with pytest.raises(ConfigError, match="key_frames and refine"):
            PoseTracker(fake_model(method), refine=ThinSlicing(0, springs), key_frames="auto")

    @pytest.mark.parametrize("refine", ["thick-slicing", True, 2])
    def test_other_ways_to_refine_are_refused(self, method, refine):
        with pytest.raises(ConfigError, match="thin-slicing"):
            PoseTracker(fake_model(method), refine=refine)

    @pytest.mark.parametrize("options", [{"lag_frames": -1}, {"lag_frames": 1.5}, {"flow": "raft"}])
    def test_options_out_of_range_are_refused(self, options):
        with pytest.raises(ConfigError):
            ThinSlicing(**options)


@pytest.mark.parametrize("roi", [Roi(-20, -30, 90, 90), Roi(280, 200, 100, 100), Roi(500, 9, 9, 9)])
def test_regions_that_reach_outside_can_be_compared(roi):
    grey = np.random.default_rng(0).integers(0, 256, (240, 320)).astype(np.uint8)
    assert flow_crop(grey, roi).shape == (128, 128)


@pytest.mark.parametrize("lag_frames", [0, 2])
def test_warming_up_compiles_the_messages_and_leaves_the_slice_alone(method, springs, lag_frames):
    refiner = ThinSlicing(lag_frames, springs).new_refiner(fake_model(method), None)
    refiner.warmup()
    assert pass_messages.signatures
    assert refiner.flush() == []
