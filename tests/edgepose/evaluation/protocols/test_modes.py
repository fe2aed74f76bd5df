import numpy as np
import pytest

from edgepose import KeyFrames, PoseTracker
from edgepose.evaluation.protocols.modes import FileKeyFrames, in_mode, mode_label
from edgepose.evaluation.protocols.tracker import TrackerPredictor, track_clip_late
from edgepose.refinement.thin_slicing import ThinSlicing
from edgepose.testing import FakeMethod, fake_model
from edgepose_runtime.errors import ConfigError, InferenceError


@pytest.mark.parametrize(
    ("mode", "label"),
    [
        (KeyFrames(), "key frames"),
        (KeyFrames(max_key_rate=0.2, lag_frames=8), "key frames max_key_rate=0.2,lag_frames=8"),
        (FileKeyFrames(0.1), "key frames of a file rate=0.1"),
        (ThinSlicing(lag_frames=4), "refined lag_frames=4"),
    ],
)
def test_labels_name_the_settings_that_are_not_the_defaults(mode, label):
    assert mode_label(mode) == label


@pytest.mark.parametrize("rate", [0, 1.5, float("nan")])
def test_a_rate_out_of_range_is_refused(rate):
    with pytest.raises(ConfigError, match="above 0"):
        FileKeyFrames(rate)


@pytest.mark.parametrize(
    "mode", [KeyFrames(), KeyFrames(lag_frames=3), FileKeyFrames(), FileKeyFrames(0.2)]
)
def test_each_frame_has_its_pose_and_few_are_processed(make_clip, mode):
    # Optical flow needs a texture to follow.
    picture = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
    clip = make_clip(num_frames=12, frames=lambda: iter([picture.copy()] * 12))
    method = FakeMethod(clip.keypoints[0])
    predictor = in_mode(fake_model(method), mode).predictor
    predicted = predictor.predict(clip)
    assert predicted.shape == (12, 13, 3)
    assert np.abs(predicted - clip.keypoints[0]).max() < 2
    assert predictor.processed[clip.name] <= 6


def test_frames_with_nobody_count_as_processed(make_clip):
    clip = make_clip(num_frames=3)
    model = fake_model(FakeMethod())
    predictor = TrackerPredictor(model.skeleton, lambda: PoseTracker(model))
    predictor.predict(clip)
    assert predictor.processed == {clip.name: 3}


def test_an_error_of_a_tracker_that_holds_frames_back_is_raised(make_clip):
    class Broken(FakeMethod):
        def initialise(self, *_):
            raise InferenceError("The network failed.")

    clip = make_clip(num_frames=3)
    model = fake_model(Broken(clip.keypoints[0]))
    with pytest.raises(InferenceError, match="The network failed"):
        track_clip_late(
            lambda **options: PoseTracker(model, key_frames=KeyFrames(lag_frames=2), **options),
            clip,
        )
