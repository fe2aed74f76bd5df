"""The ways to interpolate that are compared with ours."""

import numpy as np
import pytest
from scipy.io import savemat

from benchmarks.hpim.candidates import candidates
from edgepose_runtime.interpolation.dictionary import load_dictionary, pole_atoms

KEYS = np.array([[0, 8, 17, 25, 32, 39], [1, 6, 14, 22, 30, 38]])
PATHS = 0.5 + 0.2 * np.sin(np.arange(40)[:, None, None] / 9 + np.arange(4).reshape(2, 2))
POSES = PATHS[KEYS]


@pytest.fixture
def ways(tmp_path):
    """All of them by name, with a dictionary of oscillations in place of a published one."""
    atoms = pole_atoms(np.full(20, 1.0), np.linspace(0.02, 1.5, 20), 40)
    savemat(tmp_path / "jhmdb_T40_N161.mat", {"Dictionary": atoms})
    found = candidates(load_dictionary(), tmp_path)
    return {each.name: each.interpolate for each in found}


def test_every_way_gives_poses_near_a_smooth_path(ways):
    assert {"Eq. 17, JHMDB", "FISTA, JHMDB", "untrained poles, ridge"} <= set(ways)
    for name, interpolate in ways.items():
        found = interpolate(KEYS, POSES, 0.0)
        assert found.shape == (2, *PATHS.shape), name
        assert np.abs(found[0] - PATHS)[KEYS[0]].max() < 0.1, name


def test_a_joint_that_is_missing_in_a_key_pose_is_told_by_the_others(ways):
    missing = POSES.copy()
    missing[0, 2, 1] = np.nan
    for name in ("FISTA, JHMDB", "untrained poles, ridge"):
        found = ways[name](KEYS, missing, 0.0)
        assert np.isfinite(found).all(), name
        np.testing.assert_allclose(found[0, :, 0], ways[name](KEYS, POSES, 0.0)[0, :, 0], atol=1e-6)
