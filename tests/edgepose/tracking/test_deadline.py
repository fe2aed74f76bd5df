import numpy as np
import pytest

from edgepose.inference.estimator import StageClock
from edgepose.results import Origin
from edgepose.testing import FakeMethod, fake_model, standing_person
from edgepose.tracking.deadline import MOST_PREDICTED, Deadline, Effort
from edgepose.tracking.frame import Frame
from edgepose.tracking.motion_prediction import LONGEST_AHEAD_MS, MotionPredictor
from edgepose.tracking.step import TrackingStep
from edgepose.tracking.stream import PoseStream

FRAME = np.zeros((240, 320, 3), np.uint8)
MOVED = np.array((4, 0, 0), np.float32)


def deadline(head_ms=50.0, light_ms=10.0, limit=30.0):
    made = Deadline(limit)
    made.observe(Effort.FULL, head_ms)
    made.observe(Effort.LIGHT, light_ms)
    return made


class TestChoice:
    def test_at_first_all_that_is_due_is_done(self):
        assert Deadline(1.0).choose(0.0, tracking=False, head_due=True) is Effort.FULL

    def test_a_head_that_would_take_too_long_is_skipped(self):
        assert deadline().choose(0.0, tracking=True, head_due=True) is Effort.LIGHT
        assert deadline(head_ms=20).choose(0.0, tracking=True, head_due=True) is Effort.FULL

    def test_waiting_counts(self):
        assert deadline().choose(19.0, tracking=True, head_due=False) is Effort.LIGHT
        assert deadline().choose(21.0, tracking=True, head_due=False) is Effort.SKIP

    def test_without_a_pose_to_go_on_from_it_is_the_head_or_nothing(self):
        assert deadline().choose(0.0, tracking=False, head_due=True) is Effort.SKIP

    @pytest.mark.parametrize(("tracking", "best"), [(True, Effort.LIGHT), (False, Effort.FULL)])
    def test_after_some_blind_frames_one_is_looked_at_late_or_not(self, tracking, best):
        made = deadline(head_ms=1000, light_ms=1000)
        chosen = []
        for _ in range(MOST_PREDICTED + 2):
            chosen.append(made.choose(0.0, tracking=tracking, head_due=True))
            made.observe(chosen[-1], 1000.0 if chosen[-1] else 0.1)
        none = Effort.SKIP
        assert chosen == [none] * MOST_PREDICTED + [best, none]

    def test_one_slow_frame_changes_little_of_what_a_step_is_expected_to_take(self):
        made = deadline(light_ms=10.0, limit=30.0)
        made.observe(Effort.LIGHT, 60.0)
        assert made.choose(0.0, tracking=True, head_due=False) is Effort.LIGHT
        made.observe(Effort.LIGHT, 60.0)
        assert made.choose(0.0, tracking=True, head_due=False) is Effort.SKIP

    def test_one_slow_frame_is_not_held_against_a_step_for_ever(self):
        made = deadline(head_ms=1000.0)
        chosen = [made.choose(0.0, tracking=True, head_due=True) for _ in range(50)]
        assert chosen[0] is Effort.LIGHT
        assert chosen[-1] is Effort.FULL


class TestPrediction:
    def test_joints_go_on_at_their_speed_but_not_for_ever(self):
        predictor = MotionPredictor()
        pose = standing_person((100, 100), 50)
        predictor.update(pose, 0.0)
        predictor.update(pose + MOVED, 40.0)
        assert predictor.predict(80.0)[0, 0] == pytest.approx(pose[0, 0] + 8)
        far = pose[0, 0] + 4 + 0.1 * LONGEST_AHEAD_MS
        assert predictor.predict(5000.0)[0, 0] == pytest.approx(far)

    def test_a_joint_seen_for_the_first_time_stays_and_a_missing_one_is_missing(self):
        predictor = MotionPredictor()
        pose = standing_person((100, 100), 50)
        before = pose.copy()
        before[3, :2] = np.nan
        now = pose + MOVED
        now[4, :2] = np.nan
        predictor.update(before, 0.0)
        predictor.update(now.astype(np.float32), 40.0)
        later = predictor.predict(80.0)
        np.testing.assert_array_equal(later[3], now[3].astype(np.float32))
        assert np.isnan(later[4, :2]).all()

    def test_two_frames_of_a_burst_are_no_wild_movement(self):
        predictor = MotionPredictor()
        pose = standing_person((100, 100), 50)
        predictor.update(pose, 1000.0)
        predictor.update(pose + MOVED / 4, 1000.01)
        assert abs(predictor.predict(1040.0)[0, 0] - pose[0, 0]) < 20

    def test_without_a_pose_there_is_nothing_to_predict(self):
        assert MotionPredictor().predict(0.0) is None


class TestStream:
    def track(self, efforts, interval=None):
        method = FakeMethod(reinitialise_every=interval)
        stream = PoseStream(fake_model(method))
        results = []
        for step, effort in enumerate(efforts):
            method.person = standing_person((100 + 4 * step, 120), 120)
            clock = StageClock()
            results.append(stream.process(Frame(step, FRAME, 40.0 * step), clock, effort))
        return method, results

    def test_a_predicted_pose_says_so_and_no_network_runs(self):
        efforts = [Effort.FULL, Effort.FULL, Effort.SKIP, Effort.SKIP, Effort.FULL]
        method, results = self.track(efforts)
        assert [str(r.origin) for r in results] == [
            "initialised", "propagated", "predicted", "predicted", "propagated",
        ]  # fmt: skip
        assert [r.key_frame_age for r in results] == [0, 1, 2, 3, 4]
        assert (method.count("initialise"), method.count("advance")) == (1, 2)
        truth = standing_person((112, 120), 120)
        np.testing.assert_allclose(results[3].keypoints[:, :2], truth[:, :2], atol=1.0)
        assert "predict" in results[3].latency

    def test_a_light_frame_goes_without_the_head_that_is_due(self):
        efforts = [Effort.FULL, Effort.FULL, Effort.LIGHT, Effort.FULL]
        _, results = self.track(efforts, interval=2)
        assert [r.key_frame_age for r in results] == [0, 1, 2, 0]

    def test_a_light_frame_costs_one_run_of_the_light_network_also_where_nobody_is_seen(self):
        method = FakeMethod(standing_person((160, 120), 120))
        stream = PoseStream(fake_model(method))
        stream.process(Frame(0, FRAME, 0.0), StageClock())
        method.calls.clear()
        method.person = None
        result = stream.process(Frame(1, FRAME, 40.0), StageClock(), Effort.LIGHT)
        assert [call.kind for call in method.calls] == ["advance"]
        assert result.keypoints is None

    def test_a_jump_from_one_roi_to_another_is_not_predicted_to_go_on(self):
        method, rois = FakeMethod(), ((0, 40, 160, 160), (160, 40, 160, 160))
        stream = PoseStream(fake_model(method))
        for step, (x, roi) in enumerate(zip((80, 240), rois, strict=True)):
            method.person = standing_person((x, 120), 120)
            stream.process(Frame(step, FRAME, 40.0 * step, roi), StageClock())
        result = stream.process(Frame(2, FRAME, 80.0, rois[1]), StageClock(), Effort.SKIP)
        assert result.origin is Origin.PREDICTED
        np.testing.assert_allclose(result.keypoints[:, :2], method.person[:, :2], atol=1.0)

    @pytest.mark.parametrize(("size", "ms"), [((60, 80), 40.0), ((240, 320), 5000.0)])
    def test_nothing_is_predicted_into_frames_of_another_size_or_long_after(self, size, ms):
        method = FakeMethod(standing_person((160, 120), 120))
        stream = PoseStream(fake_model(method))
        stream.process(Frame(0, FRAME, 0.0), StageClock())
        image = np.zeros((*size, 3), np.uint8)
        result = stream.process(Frame(1, image, ms), StageClock(), Effort.SKIP)
        assert result.keypoints is None
        assert result.origin is None

    def test_without_a_track_there_is_no_pose_and_the_reason(self):
        _, (result,) = self.track([Effort.SKIP])
        assert result.keypoints is None
        assert result.origin is None
        assert result.reason == "not processed, to keep the deadline"


@pytest.mark.parametrize(
    ("waiting_counts", "last"), [(True, Origin.PREDICTED), (False, Origin.PROPAGATED)]
)
def test_a_tracker_that_is_behind_predicts_unless_every_frame_counts(waiting_counts, last):
    method = FakeMethod(standing_person((160, 120), 120))
    stream = PoseStream(fake_model(method))
    moments = iter([0.0, 0.0, 2000.0])
    step = TrackingStep(stream, 1e6, waiting_counts=waiting_counts, clock=lambda: next(moments))
    origins = []
    for number in range(3):
        frame = Frame(number, FRAME, 40.0 * number, arrived=0.0)
        (result,) = step.run(frame)
        origins.append(result.origin)
    assert origins == [Origin.INITIALISED, Origin.PROPAGATED, last]
