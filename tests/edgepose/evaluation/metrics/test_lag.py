import numpy as np
import pytest

from edgepose.evaluation.metrics.lag import FAST, LagErrors, lag_errors

FPS, TORSO = 30.0, 60.0


def swing(frames=80, late=0.0, hz=1.0, size=120.0):
    """A joint (T, 1, 2) that swings, as seen so many frames late."""
    angle = 2 * np.pi * hz * (np.arange(frames) - late) / FPS
    return np.stack([size * np.sin(angle), size * np.cos(angle)], axis=-1)[:, None]


def errors(predicted, truth, valid=None, fps=FPS):
    valid = np.ones(truth.shape[:2], bool) if valid is None else valid
    return lag_errors(predicted, truth, valid, np.full(len(truth), TORSO), fps)


@pytest.mark.parametrize("late", [-0.4, 0.0, 0.25, 0.5, 1.0, 2.3])
def test_a_late_track_is_found_late_by_parts_of_frames(late):
    assert errors(swing(late=late), swing()).frames == pytest.approx(late, abs=0.05)


def test_a_shaking_annotation_and_a_constant_offset_do_not_matter():
    noise = np.random.default_rng(0).normal(0, 3, (400, 1, 2))
    late = swing(400, late=0.5) + np.array([7.0, -5.0])
    assert errors(late, swing(400) + noise).frames == pytest.approx(0.5, abs=0.1)


def test_large_mistakes_say_nothing():
    late = swing(400, late=0.5)
    late[::10] += 500
    assert errors(late, swing(400)).frames == pytest.approx(0.5, abs=0.1)


def test_only_fast_joints_count_and_fast_is_a_matter_of_seconds():
    slowly = swing(hz=0.9 * FAST * TORSO / (2 * np.pi * 120))
    assert errors(slowly, slowly).terms == 0
    assert np.isnan(errors(slowly, slowly).frames)
    assert errors(slowly, slowly, fps=2 * FPS).terms > 0


def test_joints_that_are_missing_or_not_annotated_around_are_left_out():
    truth, predicted = swing(), swing(late=1)
    whole = errors(predicted, truth).terms
    predicted[40] = np.nan
    assert errors(predicted, truth).terms == whole - 1
    valid = np.ones((80, 1), bool)
    valid[20] = False
    assert errors(swing(late=1), truth, valid).terms < whole - 5


@pytest.mark.parametrize("frames", [1, 4, 6])
def test_clips_too_short_to_tell_have_no_terms(frames):
    assert errors(swing(frames), swing(frames)).terms == 0


def test_clips_are_added():
    clip = errors(swing(late=1), swing())
    both = clip + clip
    assert (both.terms, both.frames) == (2 * clip.terms, pytest.approx(clip.frames))
    assert isinstance(both, LagErrors)
