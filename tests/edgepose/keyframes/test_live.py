"""Key frames of a stream, with a puppet that walks and real networks that find it."""

import gc
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from edgepose import KeyFrames, PoseTracker, TrackerPool, load
from edgepose.inference.estimator import StageClock
from edgepose.keyframes.live import PATIENCE, JointMotion, LiveKeyFrames
from edgepose.keyframes.settings import Decision, Motion
from edgepose.results import Origin
from edgepose.testing import FakeMethod, fake_model, standing_person
from edgepose.tracking.frame import Frame
from edgepose.tracking.strategies import LocalHead
from edgepose.tracking.stream import PoseStream
from edgepose_runtime.errors import ConfigError, InferenceError

LOOKED = {Origin.INITIALISED, Origin.KEY_FRAME}


@pytest.fixture(scope="module")
def model(puppet_bundle):
    with load(puppet_bundle.path, num_threads=1) as loaded:
        yield loaded


@pytest.fixture
def walk(puppet):
    """Return frames in which the puppet walks to the right, and where its middle is."""

    def frames(count, speed=1.0):
        centers = [(100 + speed * step, 120.0) for step in range(count)]
        return [puppet(center) for center in centers], centers

    return frames


class Following(FakeMethod):
    """Notes the joints that it is to go on from; each of its states is an object of its own."""

    def __init__(self, person):
        super().__init__(person)
        self.seen, self.states = [], []

    def initialise(self, crop, roi):
        return replace(super().initialise(crop, roi), state=object())

    def advance(self, crop, roi, _):
        return replace(super().advance(crop, roi, 0), state=object())

    def followed(self, state, joints):
        self.seen.append(joints)
        self.states.append(state)
        return state


def tracked(tracker, frames):
    return [tracker.track(frame, timestamp_ms=33.0 * i) for i, frame in enumerate(frames)]


def errors(result, center):
    return np.hypot(*(result.keypoints[:, :2] - standing_person(center, 160)[:, :2]).T)


def test_most_frames_are_not_looked_at_and_the_pose_follows_all_the_same(model, walk):
    frames, centers = walk(40)
    with PoseTracker(model, key_frames="auto", smoothing=False) as tracker:
        results = tracked(tracker, frames)
    origins = [result.origin for result in results]
    assert origins[0] is Origin.INITIALISED
    assert set(origins[1:]) == {Origin.KEY_FRAME, Origin.PREDICTED}
    assert sum(origin in LOOKED for origin in origins) <= 0.3 * len(frames) + 4
    worst = max(errors(r, c).mean() for r, c in zip(results, centers, strict=True))
    assert worst < 0.05 * 160  # of the height


def followed_walk(method, puppet, speed=3.0, head=None):
    """Track a puppet that walks; return for each frame its origin, flow and joints handed over."""
    settings = KeyFrames(0.3, network="light")
    keys = LiveKeyFrames(settings, method.spec.skeleton)
    stream = PoseStream(fake_model(method), head=head, key_frames=keys)
    frames = []
    for index in range(40):
        center = (100 + speed * index, 120.0)
        method.person, seen = standing_person(center, 160), len(method.seen)
        frame = Frame(index, puppet(center), 33.0 * index)
        result = stream.process(frame, StageClock())
        step = None if keys.motion is None else keys.motion.step
        frames.append((result.origin, step, method.seen[seen:], method.person))
    return frames


def test_the_light_network_goes_on_from_where_the_joints_were_followed_to(puppet):
    method, passed, counts = Following(None), [], []
    for origin, step, handed, person in followed_walk(method, puppet):
        if origin is Origin.PREDICTED:
            passed.append(step)
            assert not handed
            continue
        assert len(handed) == bool(passed)
        for joints in handed:
            doubts = [each.doubt for each in (*passed, step)]
            assert joints.frames == len(doubts)
            np.testing.assert_allclose(joints.doubts, np.sum(doubts, axis=0))
            np.testing.assert_allclose(joints.squared_doubts, np.sum(np.square(doubts), axis=0))
            assert joints.doubts.max() > 0
            assert np.hypot(*(joints.joints - person[:, :2]).T).max() < 1.5  # of 3 in each frame
            counts.append(joints.frames)
        passed = []
    assert max(counts) > 2
    starts = [joints.start for joints in method.seen]
    assert all(start is state for start, state in zip(starts, method.states, strict=True))


class MergedOnce(LocalHead):
    """A head whose answer is merged before one frame; the observation in force stays the same."""

    def __init__(self, at):
        super().__init__(None)
        self.at, self.seen, self.number = at, None, -1

    def observed(self, _frame, observation, **_):
        self.seen = observation

    def merged(self):
        self.number += 1
        if self.number != self.at or self.seen is None:
            return None
        corrected = replace(self.seen.estimate, state=object())
        return replace(self.seen, estimate=corrected)


def test_joints_that_were_followed_from_before_an_answer_was_merged_say_so(puppet):
    plain = followed_walk(Following(None), puppet)
    origins = [origin for origin, *_ in plain]
    at = next(i for i in range(9, 40) if origins[i - 1 : i + 2] == [Origin.PREDICTED] * 3)
    method = Following(None)
    merged = followed_walk(method, puppet, head=MergedOnce(at))
    assert [origin for origin, *_ in merged] == origins
    handed = zip(method.seen, method.states, strict=True)
    [outdated] = [joints for joints, state in handed if joints.start is not state]
    assert outdated is next(seen[0] for _, _, seen, _ in merged[at:] if seen)


@pytest.mark.parametrize("decision", get_args(Decision))
@pytest.mark.parametrize("motion", get_args(Motion))
def test_every_motion_and_decision_follows_a_walk(model, walk, motion, decision):
    frames, centers = walk(30)
    settings = KeyFrames(motion=motion, decision=decision)
    with PoseTracker(model, key_frames=settings, smoothing=False) as tracker:
        results = tracked(tracker, frames)
    assert sum(result.origin is Origin.PREDICTED for result in results) >= 10
    worst = max(errors(r, c).mean() for r, c in zip(results, centers, strict=True))
    assert worst < 0.08 * 160


def test_the_age_counts_from_the_last_key_frame(model, walk):
    with PoseTracker(model, key_frames="auto") as tracker:
        results = tracked(tracker, walk(30)[0])
    age = 0
    for result in results:
        age = 0 if result.origin in LOOKED else age + 1
        assert result.key_frame_age == age


def test_only_key_frames_cost_a_network(model, walk):
    with PoseTracker(model, key_frames=KeyFrames(0.2)) as tracker:
        for result in tracked(tracker, walk(20)[0])[1:]:
            looked = result.origin is Origin.KEY_FRAME
            assert ("network" in result.latency) == looked
            assert "decide" in result.latency


def test_a_rate_of_one_without_tolerance_looks_at_every_frame(model, walk):
    settings = KeyFrames(max_key_rate=1.0, tolerance=0.0)
    with PoseTracker(model, key_frames=settings) as tracker:
        origins = {result.origin for result in tracked(tracker, walk(15)[0])}
    assert origins == LOOKED


def test_what_follows_never_changes_a_result(model, walk):
    frames, _ = walk(30)
    others = frames[:15] + frames[:15]
    with PoseTracker(model, key_frames="auto") as tracker:
        first = tracked(tracker, frames)[:15]
        tracker.reset()
        second = tracked(tracker, others)[:15]
    assert [r.origin for r in first] == [r.origin for r in second]
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.keypoints, other.keypoints)


def test_somebody_who_is_suddenly_elsewhere_is_found_again(model, puppet):
    frames = [puppet((90, 120))] * 10 + [puppet((230, 120))] * 10
    with PoseTracker(model, key_frames="auto", smoothing=False) as tracker:
        results = tracked(tracker, frames)
    assert errors(results[-1], (230, 120)).mean() < 0.05 * 160


@pytest.mark.parametrize("motion", get_args(Motion))
def test_a_single_frame_that_shows_nothing_is_passed_over(model, walk, motion):
    frames, centers = walk(30)
    for index in range(5, 30, 5):
        frames[index] = np.zeros_like(frames[index])
    with PoseTracker(model, key_frames=KeyFrames(motion=motion), smoothing=False) as tracker:
        results = tracked(tracker, frames)
    assert all(results[index].origin is Origin.PREDICTED for index in range(5, 30, 5))
    worst = max(errors(r, c).mean() for r, c in zip(results, centers, strict=True))
    assert worst < 0.08 * 160


def test_a_cut_is_followed_by_a_key_frame_after_few_frames(model, puppet):
    frames = [puppet((90, 120))] * 6 + [puppet((230, 120))] * (PATIENCE + 1)
    with PoseTracker(model, key_frames="auto") as tracker:
        origins = [result.origin for result in tracked(tracker, frames)]
    assert origins[6:] == [Origin.PREDICTED] * PATIENCE + [Origin.KEY_FRAME]


def test_no_frame_is_passed_over_where_all_may_be_key_frames(model, walk):
    frames, _ = walk(8)
    frames[5] = np.zeros_like(frames[5])
    settings = KeyFrames(max_key_rate=1.0, tolerance=0.0)
    with PoseTracker(model, key_frames=settings) as tracker:
        assert tracked(tracker, frames)[5].origin is not Origin.PREDICTED


def test_a_frame_without_the_person_says_so(model, puppet):
    empty = np.full((240, 320, 3), 116, np.uint8)
    with PoseTracker(model, key_frames="auto") as tracker:
        results = tracked(tracker, [puppet()] * 5 + [empty] * 12)
    assert results[-1].keypoints is None
    assert results[-1].reason


def test_a_frame_that_fails_leaves_no_trace(puppet):
    images = [puppet((100 + 3 * step, 120)) for step in range(24)]
    poses = [standing_person((100 + 3 * step, 120), 160) for step in range(24)]

    def run(fail):
        method, results = FakeMethod(poses[0]), []
        with PoseTracker(fake_model(method), key_frames="auto") as tracker:
            for index, image in enumerate(images):
                method.person = poses[index]
                if fail == index:
                    method.error = InferenceError("broken")
                    with pytest.raises(InferenceError):
                        tracker.track(image, timestamp_ms=33.0 * index - 1)
                results.append(tracker.track(image, timestamp_ms=33.0 * index))
        return results

    whole = run(None)
    later = [index for index, each in enumerate(whole) if each.origin is Origin.KEY_FRAME]
    for one, other in zip(whole, run(later[1]), strict=True):
        assert one.origin is other.origin
        np.testing.assert_array_equal(one.keypoints, other.keypoints)


class TestLag:
    def submit(self, model, frames, lag, wait=True):
        results = []
        settings = KeyFrames(lag_frames=lag)
        tracker = PoseTracker(model, key_frames=settings, on_result=results.append)
        for index, frame in enumerate(frames):
            tracker.submit(frame, 33.0 * index)
        if wait:
            tracker.flush()
        tracker.close()
        return results, tracker

    def test_each_frame_has_one_result_in_order(self, model, walk):
        results, _ = self.submit(model, walk(25)[0], lag=8)
        assert [result.frame_id for result in results] == list(range(25))

    def test_frames_between_key_frames_are_interpolated(self, model, walk):
        frames, centers = walk(40)
        results, _ = self.submit(model, frames, lag=10)
        origins = [result.origin for result in results]
        last = max(i for i, origin in enumerate(origins) if origin in LOOKED)
        assert Origin.PREDICTED not in origins[:last]
        assert Origin.INTERPOLATED in origins
        worst = max(errors(r, c).mean() for r, c in zip(results, centers, strict=True))
        assert worst < 0.05 * 160

    def test_however_long_no_network_looks_memory_does_not_grow(self, model, walk):
        settings = KeyFrames(lag_frames=3, max_key_rate=1e-6, tolerance=1e6)
        kept = []

        def count(result):
            if result.frame_id == 30:
                kept.append(sum(type(each) is JointMotion for each in gc.get_objects()))

        with PoseTracker(model, key_frames=settings, on_result=count) as tracker:
            for index, frame in enumerate(walk(40, speed=0.0)[0]):
                tracker.submit(frame, 33.0 * index)
            tracker.flush()
        assert kept[0] <= 8

    def test_results_come_exactly_so_many_frames_late(self, model, walk):
        from edgepose.options import TrackingOptions
        from edgepose.tracking.frame import Frame

        options = TrackingOptions(key_frames=KeyFrames(lag_frames=4))
        work = options.new_step(model)
        ready = []
        for index, frame in enumerate(walk(12)[0]):
            ready.append([r.frame_id for r in work.run(Frame(index, frame, 33.0 * index))])
        assert ready == [[]] * 4 + [[index] for index in range(8)]
        assert [result.frame_id for result in work.flush()] == [8, 9, 10, 11]
        assert work.flush() == []

    def test_closing_gives_out_what_was_held_back(self, model, walk):
        results, _ = self.submit(model, walk(10)[0], lag=20, wait=False)
        assert [result.frame_id for result in results] == list(range(10))

    def test_a_stream_gives_everything_out(self, model, puppet_video):
        with PoseTracker(model, key_frames=KeyFrames(lag_frames=5)) as tracker:
            results = list(tracker.stream(puppet_video))
        assert [result.frame_id for result in results] == list(range(12))

    def test_track_refuses_to_give_poses_late(self, model, puppet):
        with PoseTracker(model, key_frames=KeyFrames(lag_frames=1)) as tracker:
            with pytest.raises(ConfigError, match=r"submit\(\)"):
                tracker.track(puppet())
            assert tracker.stats.frames == 0


def test_a_pool_takes_key_frames(puppet_bundle, puppet_video):
    results = []
    with TrackerPool(
        puppet_bundle.path,
        on_result=lambda name, result: results.append((name, result)),
        batching=False,
        key_frames=KeyFrames(lag_frames=3),
    ) as pool:
        for name in ("left", "right"):
            pool.add(puppet_video, name)
        pool.wait(60)
    for name in ("left", "right"):
        own = [result for source, result in results if source == name]
        assert [result.frame_id for result in own] == list(range(12))
        assert sum(result.origin in LOOKED for result in own) < 12
