"""DYAN's dictionaries on sequences that they were not trained on."""

import numpy as np
import pytest

from benchmarks.hpim import dyan
from edgepose.datasets.sequences import JointSequence
from edgepose_runtime.errors import DataError
from edgepose_runtime.interpolation.dictionary import MatrixDictionary, pole_atoms
from edgepose_runtime.interpolation.interpolator import WINDOW


def sequence(name, frames=WINDOW, speed=0.05):
    """A person of 100 pixels who swings back and forth with two joints' difference in phase."""
    phase = speed * np.arange(frames)[:, None] + np.arange(6)
    joints = np.stack([20 * np.cos(phase), 20 * np.sin(phase)], axis=-1).astype(np.float32)
    boxes = np.tile(np.array([0, 0, 100, 100], np.float32), (frames, 1))
    return JointSequence(name, "swing", joints, np.ones((frames, 6), bool), boxes)


@pytest.fixture
def data():
    return dyan.held_out([sequence("one"), sequence("two", speed=0.08), sequence("short", 20)])


def dictionary(angles):
    return MatrixDictionary(pole_atoms(np.ones(len(angles)), np.array(angles), WINDOW))


def test_sequences_that_are_too_short_are_left_out(data):
    assert data.sequences == ("one", "two")
    assert data.windows.paths.shape == (2, WINDOW, 6, 2)


def test_sequences_that_are_all_too_short_are_refused():
    with pytest.raises(DataError, match=f"None of 1 sequences has {WINDOW} frames"):
        dyan.held_out([sequence("short", 20)])


def test_the_poles_of_a_movement_explain_it_with_few_atoms(data):
    right, wrong = (dyan.resampled(dictionary(a), data).values for a in ([0.05, 0.08], [1.0, 1.5]))
    assert right[0] < 0.5 < wrong[0]
    assert right[1] < 6
    assert (right[2:] < wrong[2:]).all()


def test_figures_of_a_dictionary_have_intervals_and_differences(data):
    named = {"untrained": dictionary([1.0, 1.5]), "trained": dictionary([0.05, 0.08])}
    first, second = dyan.rows(named, data, "untrained")
    assert first[0] == "untrained"
    assert ";" not in first[1]
    assert second[1].count(" to ") == 2
    assert "; -" in second[1]
