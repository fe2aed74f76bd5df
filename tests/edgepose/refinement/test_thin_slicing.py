"""Refining in the tracker: later by the lag, in order, and not beyond where a person is lost."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from edgepose import ConfigError, Origin, PoseTracker, ThinSlicing
from edgepose.refinement.base import Seen
from edgepose.refinement.thin_slicing import fitting_springs, flow_crop
from edgepose.streaming.flow_control import PendingFrame
from edgepose.testing import FakeMethod, fake_model, standing_person
from edgepose.tracking.step import FrameWork
from edgepose.tracking.stream import PoseStream
from edgepose_runtime.bundles.springs_json import dump_springs
from edgepose_runtime.errors import InferenceError
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.poses.skeletons import JHMDB15, PENN13
from edgepose_runtime.poses.smoothing import OneEuroSettings
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

    def follow(refine, people, step_ms=40.0, frames=None, smoothing=None):
        refiner = refine.new_refiner(fake_model(method), smoothing)
        tracker = PoseTracker(fake_model(method), smoothing=False)
        given = []
        for index, person in enumerate(people):
            method.person = person
            frame = FRAME if frames is None else frames[index]
            result = tracker.track(frame, timestamp_ms=index * step_ms)
            look = tracker._work.stream.last_look
            given.append(refiner.take(Seen(frame, result, look)))
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


def test_a_person_somewhere_else_ends_the_slice(follow, springs):
    people = [standing_person((x, 120), 100) for x in (60, 60, 260, 260)]
    assert numbers(follow(ThinSlicing(2, springs), people)) == [[], [], [0, 1], [], [2, 3]]


def test_frames_of_another_size_end_the_slice(follow, springs):
    wider = np.full((240, 400, 3), 100, np.uint8)
    given = follow(ThinSlicing(2, springs), [PERSON] * 4, frames=[FRAME, FRAME, wider, wider])
    assert numbers(given) == [[], [], [0, 1], [], [2, 3]]


def shift_of(receiver, sender):
    """Take what moved for moved as a whole, and return by how much, in pixels."""
    window = cv2.createHanningWindow(receiver.shape[::-1], cv2.CV_32F)
    moved, _ = cv2.phaseCorrelate(np.float32(receiver), np.float32(sender), window)
    return np.full((*receiver.shape, 2), moved, np.float32)


@pytest.fixture
def passing_by():
    """Three frames in which a person and all behind them move to the right, by 16 pixels each."""
    noise = np.random.default_rng(0).integers(0, 256, (240, 400), dtype=np.uint8)
    texture = cv2.cvtColor(cv2.GaussianBlur(noise, (0, 0), 2), cv2.COLOR_GRAY2BGR)
    frames = [np.ascontiguousarray(texture[:, 40 - x : 360 - x]) for x in (0, 16, 32)]
    return frames, [standing_person((140 + x, 120), 120) for x in (0, 16, 32)]


@pytest.fixture
def stiff(springs):
    """The same messages in time, along springs that forgive little."""
    return replace(springs, temporal=springs.temporal * 20)


def test_neighbours_vote_for_where_the_flow_says_that_a_joint_went(follow, stiff, passing_by):
    frames, people = passing_by
    jumped = people[1].copy()
    jumped[6, :2] += [-25, 10]
    seen = [people[0], jumped, people[2]]
    (refined,) = follow(ThinSlicing(1, stiff, flow=shift_of), seen, frames=frames)[2]
    np.testing.assert_allclose(refined.keypoints[:, :2], people[1][:, :2], atol=2.0)


def test_flow_is_compared_in_one_region_though_that_of_the_person_moves(follow, stiff, passing_by):
    """The crops would look alike if each frame were cut around its own person."""
    frames, people = passing_by
    flows = []

    def flow(receiver, sender):
        flows.append(shift_of(receiver, sender))
        return flows[-1]

    follow(ThinSlicing(0, stiff, flow=flow), people[:2], frames=frames)
    there, back = (each[0, 0] for each in flows)
    assert there[0] < -8 < 8 < back[0]
    np.testing.assert_allclose(there, -back, atol=1.0)


def test_only_a_checked_flow_is_not_believed_where_it_does_not_come_back(follow, stiff):
    jumped = PERSON.copy()
    jumped[6, :2] += [-25, 10]

    def flow(receiver, sender):
        return np.full((*receiver.shape, 2), 25, np.float32)

    def wrist(check_flow):
        refine = ThinSlicing(1, stiff, flow=flow, check_flow=check_flow)
        (refined,) = follow(refine, [PERSON] * 3)[2]
        return np.hypot(*(refined.keypoints[6, :2] - PERSON[6, :2]))

    assert wrist(check_flow=True) < 1.5
    assert wrist(check_flow=False) > 5


def test_refined_joints_are_smoothed_and_afresh_in_each_slice(follow, springs):
    alone = replace(springs, temporal_weight=springs.temporal_weight * 0)
    people = [standing_person((160 + x, 120), 120) for x in (0, 4, 0, 4, 0, 4)]

    def heads(smoothing, people, **options):
        given = follow(ThinSlicing(0, alone, flow="none"), people, smoothing=smoothing, **options)
        return [result.keypoints[0, 0] for each in given for result in each]

    settings = OneEuroSettings()
    assert np.ptp(heads(settings, people)[1:]) < 0.7 * np.ptp(heads(None, people)[1:])
    assert heads(settings, people[:2], step_ms=300.0) == heads(None, people[:2], step_ms=300.0)


def test_reset_forgets_what_is_held_back(method, springs):
    refiner = ThinSlicing(2, springs).new_refiner(fake_model(method), None)
    tracker = PoseTracker(fake_model(method))
    result = tracker.track(FRAME)
    assert refiner.take(Seen(FRAME, result, tracker._work.stream.last_look)) == []
    refiner.reset()
    assert refiner.flush() == []


def test_a_flow_that_fails_costs_its_frame_alone(method, springs):
    flows = iter([np.zeros((128, 128, 2), np.float32)] * 2)
    refine = ThinSlicing(1, springs, flow=lambda *_: next(flows, None))
    refiner = refine.new_refiner(fake_model(method), None)
    tracker = PoseTracker(fake_model(method))

    def take(ms):
        result = tracker.track(FRAME, timestamp_ms=ms)
        return refiner.take(Seen(FRAME, result, tracker._work.stream.last_look))

    assert numbers([take(0.0), take(40.0)]) == [[], [0]]
    with pytest.raises(AttributeError):
        take(80.0)  # which gets None for a flow
    flows = iter([np.zeros((128, 128, 2), np.float32)] * 2)
    assert numbers([take(120.0), refiner.flush()]) == [[1], [3]]


class TestTracker:
    def test_what_is_held_back_outlives_a_frame_that_fails_after_a_gap(self, method, springs):
        refiner = ThinSlicing(2, springs).new_refiner(fake_model(method), None)
        stream = PoseStream(fake_model(method), smoothing=None, reinitialise_every=None)
        work = FrameWork(stream, None, refiner)
        given = [work(PendingFrame(index, FRAME, 40.0 * index)) for index in range(2)]
        method.error = InferenceError("The network fails.")
        with pytest.raises(InferenceError):
            work(PendingFrame(2, FRAME, 80.0, afresh=True))
        given.append(work(PendingFrame(3, FRAME, 120.0, afresh=True)))
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


def test_what_lies_outside_the_frame_looks_as_its_border_does():
    grey = np.full((240, 320), 200, np.uint8)
    assert (flow_crop(grey, Roi(-20, -30, 90, 90)) == 200).all()


def test_springs_for_heatmaps_of_another_size_are_brought_to_that_of_the_model(method):
    half = initial_springs(body_graph(PENN13), heatmap_size=32)
    fitted = fitting_springs(half, method.spec, "fake")
    assert fitted.heatmap_size == method.spec.heatmap_size == 64
    np.testing.assert_allclose(fitted.spatial, half.spatial * [1 / 4, 1 / 2, 1 / 4, 1 / 2])
    np.testing.assert_allclose(fitted.temporal, half.temporal * [1 / 4, 1 / 2, 1 / 4, 1 / 2])


@pytest.mark.parametrize("lag_frames", [0, 2])
def test_warming_up_compiles_the_messages_and_leaves_the_slice_alone(method, springs, lag_frames):
    refiner = ThinSlicing(lag_frames, springs).new_refiner(fake_model(method), None)
    refiner.warmup()
    assert pass_messages.signatures
    assert refiner.flush() == []
