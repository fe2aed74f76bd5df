import numpy as np
import pytest

from edgepose_converters.quantisation.calibration import evenly_spaced_clips, record
from edgepose_runtime.errors import ConfigError


def test_the_same_clips_are_chosen_every_time_and_others_by_the_offset(clips):
    chosen = [clip.name for clip in evenly_spaced_clips(clips, 20)]
    assert chosen == [clip.name for clip in evenly_spaced_clips(clips, 20)]
    assert chosen == ["clip0", "clip2", "clip4", "clip6"]
    others = [clip.name for clip in evenly_spaced_clips(clips, 20, offset=0.5)]
    assert not set(chosen) & set(others)


@pytest.mark.parametrize("frames", [0, 4, 45])
def test_frames_that_no_clips_have_are_refused(clips, frames):
    with pytest.raises(ConfigError, match=r"From 5 to 40 frames .* 8 clips; got"):
        evenly_spaced_clips(clips, frames)


def test_recording_is_repeatable_and_follows_the_track(float_bundle, clips):
    first, again = (record(float_bundle, clips[:2]) for _ in range(2))
    assert first.clips == ("clip0", "clip1")
    for name in ("head", "step"):
        for a, b in zip(first.feeds[name], again.feeds[name], strict=True):
            assert all(np.array_equal(a[key], b[key]) for key in a)
    steps = first.feeds["step"]
    assert {name: array.shape for name, array in steps[0].items()} == {
        "image": (1, 32, 32, 3),
        "previous": (1, 13, 8, 8),
    }
    assert not steps[0]["previous"].any(), "the search looks without heat-maps"
    assert any(feed["previous"].any() for feed in steps), "a track carries its heat-maps on"
    assert [set(feed) for feed in first.feeds["head"]] == [{"image"}]
