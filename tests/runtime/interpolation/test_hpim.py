from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgepose_runtime.interpolation import hpim
from edgepose_runtime.interpolation.dictionary import Kinds, PoleDictionary, pole_atoms
from edgepose_runtime.interpolation.interpolator import DEFAULT_NOISE, PoseInterpolator

POLES = PoleDictionary(np.linspace(0.95, 1.02, 20), np.linspace(0.01, 1.5, 20))


def random_task(seed, keys, joints=5, missing=0.3, equal=False):
    random = np.random.default_rng(seed)
    frames = np.sort(random.choice(40, keys, replace=False))
    poses = random.uniform(0, 100, (keys, joints, 3)).astype(np.float32)
    poses[..., 2] = 1 if equal else random.uniform(0.2, 1, (keys, joints))
    if not equal:
        poses[random.random((keys, joints)) < missing] = np.nan
    return frames, poses


def several_kinds(seed):
    random = np.random.default_rng(seed)
    weights = np.exp(random.uniform(-9, 0, (3, 81)))
    return PoleDictionary(POLES.radius, POLES.angle, Kinds(weights, random.normal(size=3), 0.5))


@settings(max_examples=30)
@given(st.integers(0, 1000), st.integers(1, 40), st.sampled_from([0.0, 0.02, None]), st.booleans())
def test_the_weighted_kernel_does_what_numpy_does(seed, keys, noise, equal):
    frames, poses = random_task(seed, keys, equal=equal)
    interpolator = PoseInterpolator(several_kinds(seed))
    result = interpolator.interpolate(frames, poses, noise=noise)
    prior = hpim.expected_movement(interpolator.dictionary, 40)
    expected, deviation = hpim.interpolate_numpy(prior, frames, poses, noise=noise)
    np.testing.assert_allclose(result.poses, expected, atol=2e-3)
    np.testing.assert_allclose(result.uncertainty, deviation, atol=2e-3, rtol=1e-3)


@pytest.mark.parametrize("equal", [True, False])
def test_the_kernel_finds_the_noise_with_one_kind_of_movement_too(equal):
    frames, poses = random_task(3, 12, equal=equal)
    slow = PoleDictionary(POLES.radius, POLES.angle, Kinds(np.full((1, 81), 1e-4), np.zeros(1)))
    result = PoseInterpolator(slow).interpolate(frames, poses, noise=None)
    prior = hpim.expected_movement(slow, 40)
    expected, deviation = hpim.interpolate_numpy(prior, frames, poses, noise=None)
    without, _ = hpim.interpolate_numpy(prior, frames, poses, noise=0.0)
    assert np.nanmax(np.abs(expected - without)) > 1
    np.testing.assert_allclose(result.poses, expected, atol=2e-3)
    np.testing.assert_allclose(result.uncertainty, deviation, atol=2e-3, rtol=1e-3)


@pytest.mark.parametrize("equal", [True, False])
def test_the_weighted_kernel_does_what_numpy_does_with_very_many_keys(equal):
    """More than a product of all pivots would have room for."""
    frames, random = np.arange(200), np.random.default_rng(0)
    poses = np.stack([50 + 20 * np.sin(frames / 9), 50 + 0.1 * frames, np.ones(200)], axis=1)
    poses = poses[:, None].repeat(2, axis=1) + random.normal(0, 0.5, (200, 2, 3)) * (1, 1, 0)
    if not equal:
        poses[::7, 1] = np.nan
    interpolator = PoseInterpolator(length=200)
    result = interpolator.interpolate(frames, poses.astype(np.float32))
    prior = hpim.expected_movement(interpolator.dictionary, 200)
    expected, _ = hpim.interpolate_numpy(prior, frames, poses, noise=DEFAULT_NOISE)
    np.testing.assert_allclose(result.poses, expected, atol=2e-2)


@settings(max_examples=20)
@given(st.integers(0, 1000), st.integers(1, 40), st.booleans())
def test_the_least_squares_kernel_does_what_numpy_does(seed, keys, equal):
    frames, poses = random_task(seed, keys, equal=equal)
    result = PoseInterpolator(POLES, method="least-squares").interpolate(frames, poses)
    expected, _ = hpim.interpolate_numpy(hpim.equal_atoms(POLES, 40), frames, poses, fixed=0.0)
    np.testing.assert_allclose(result.poses, expected, atol=2e-3)
    assert np.isnan(result.uncertainty[np.isfinite(result.poses[..., 0])]).all()


def test_least_squares_is_equation_17():
    frames, poses = random_task(0, 10, equal=True)
    result = PoseInterpolator(POLES, method="least-squares").interpolate(frames, poses)
    atoms = POLES.atoms(40)
    gram, keys = atoms @ atoms.T, poses[..., :2].reshape(10, -1).astype(float)
    centre = keys.mean(axis=0)
    gain = gram[:, frames] @ np.linalg.inv(gram[np.ix_(frames, frames)])
    np.testing.assert_allclose(
        result.poses.reshape(40, -1), gain @ (keys - centre) + centre, atol=1e-2
    )


def test_equation_17_knows_no_weights():
    frames, poses = random_task(0, 10, equal=True)
    plain, weighted = (
        PoseInterpolator(dictionary, method="least-squares").interpolate(frames, poses)
        for dictionary in (POLES, several_kinds(0))
    )
    np.testing.assert_array_equal(weighted.poses, plain.poses)


def two_kinds(odds, trust):
    """Movements of a range of 1 that take long, and of a range of 2 that are over at once."""
    apart = np.subtract.outer(np.arange(40.0), np.arange(40.0))
    slow, fast = np.exp(-((apart / 20) ** 2)), 4 * np.exp(-((apart / 2) ** 2))
    return hpim.Prior(np.stack([slow, fast]) + 1e-6 * np.eye(40), np.log(odds), trust)


def test_the_prior_of_a_dictionary_has_its_odds_and_trust():
    dictionary = several_kinds(3)
    prior = hpim.expected_movement(dictionary, 40)
    np.testing.assert_array_equal(prior.log_odds, dictionary.kinds.log_odds)
    assert prior.trust == dictionary.kinds.trust == 0.5


def test_the_mean_over_the_kinds_counts_each_as_common_as_it_is():
    prior = two_kinds([3.0, 1.0], 1.0)
    slow, fast = prior.covariances
    np.testing.assert_allclose(prior.mean_covariance(), 0.75 * slow + 0.25 * fast)


def test_without_trust_in_the_likelihood_kinds_are_mixed_by_their_odds():
    frames = np.array([5, 20])
    values, variances = np.array([[[0.5], [0.0]], [[-0.5], [0.2]]]), np.full((2, 1), 1e-4)
    prior = two_kinds([3.0, 1.0], 0.0)

    def posterior(kinds, odds):
        return hpim.posterior_numpy(
            hpim.Prior(prior.covariances[kinds], np.log(odds), 0.0), frames, values, variances
        )

    (slow, least), (fast, most) = posterior([0], [1.0]), posterior([1], [1.0])
    mean, variance = posterior([0, 1], [3.0, 1.0])
    np.testing.assert_allclose(mean, 0.75 * slow + 0.25 * fast)
    spread = 0.75 * 0.25 * ((slow - fast) ** 2).mean(axis=1)
    np.testing.assert_allclose(variance, 0.75 * least + 0.25 * most + spread)


def test_a_joint_follows_the_kind_of_movement_that_its_key_poses_look_like():
    frames = np.arange(0, 40, 2)
    swinging = np.where(np.arange(20) % 2, 1.5, -1.5)
    values = np.zeros((20, 2, 2))
    values[:, 0, 0], values[:, 0, 1] = np.linspace(-0.2, 0.2, 20), swinging
    variances = np.full((20, 2), 1e-4)
    prior = two_kinds([1.0, 1.0], 1.0)
    mean, _ = hpim.posterior_numpy(prior, frames, values, variances)
    for joint, kind in enumerate(prior.covariances):
        alone = hpim.Prior(kind[None], np.zeros(1), 1.0)
        expected, _ = hpim.posterior_numpy(alone, frames, values, variances)
        np.testing.assert_allclose(mean[joint], expected[joint], atol=1e-6)


@settings(max_examples=20)
@given(st.lists(st.floats(-200, 200), min_size=5, max_size=5))
def test_between_near_key_poses_paths_hardly_leave_their_range(places):
    frames = np.array([0, 9, 18, 29, 39])
    poses = np.zeros((5, 2, 2))
    poses[:, 0, 0], poses[:, 1] = places, 300
    path = PoseInterpolator().interpolate(frames, poses, noise=0.0).poses[:, 0, 0]
    for before, after in pairwise(frames):
        low, high = np.sort(path[[before, after]])
        between, slack = path[before : after + 1], 0.1 * (high - low) + 1e-2
        assert low - slack <= between.min()
        assert between.max() <= high + slack


def test_between_far_key_poses_paths_swing_as_they_may():
    """Who goes on after a key pose at a pace comes back to the next one, if that is far away."""
    frames, places = np.array([0, 4, 8, 12, 36]), np.array([0.0, 20, 60, 120, 120])
    poses = np.full((5, 2, 2), 300.0)
    poses[:, 0, 0] = places
    path = PoseInterpolator().interpolate(frames, poses, noise=0.0).poses[:, 0, 0]
    assert path[12:37].max() > 125


@pytest.mark.parametrize("keys", [1, 10, 40])
def test_least_squares_keeps_key_poses(keys):
    frames, poses = random_task(1, keys, equal=True)
    result = PoseInterpolator(POLES, method="least-squares").interpolate(frames, poses)
    np.testing.assert_allclose(result.poses[frames], poses[..., :2], atol=1e-2)


def test_the_two_forms_of_the_selection_loss_agree():
    random = np.random.default_rng(0)
    atoms = pole_atoms(random.uniform(0.85, 1.15, 80), random.uniform(0.01, 1.5, 80), 40)
    chosen, features, rho = random.random(40) < 0.3, random.normal(size=(40, 7)), 0.1
    gram, select = atoms @ atoms.T, np.eye(40)[chosen]
    left = np.linalg.solve(np.eye(40) + gram @ np.diag(chosen.astype(float)) / rho, features)
    inner = rho * np.eye(chosen.sum()) + select @ gram @ select.T
    right = features - gram @ select.T @ np.linalg.solve(inner, select @ features)
    np.testing.assert_allclose(left, right, atol=1e-10)


def lasso(atoms, values, sparsity):
    """Coordinate descent."""
    codes = np.zeros(atoms.shape[1])
    for _ in range(3000):
        for n, atom in enumerate(atoms.T):
            rest = values - atoms @ codes + atom * codes[n]
            along = atom @ rest
            codes[n] = np.sign(along) * max(abs(along) - sparsity, 0) / (atom @ atom)
    return codes


def test_fista_solves_the_lasso():
    random = np.random.default_rng(0)
    atoms, values = random.normal(size=(12, 6)), random.normal(size=(12, 1))
    codes = hpim.fista_numpy(atoms, values, 0.5, 5000)
    np.testing.assert_allclose(codes[:, 0], lasso(atoms, values[:, 0], 0.5), atol=1e-2)


def test_fista_gives_nothing_for_too_much_sparsity_and_gets_better_by_steps():
    random = np.random.default_rng(1)
    atoms, values = random.normal(size=(12, 30)), random.normal(size=(12, 4))
    assert not hpim.fista_numpy(atoms, values, 1e6).any()

    def objective(iterations):
        codes = hpim.fista_numpy(atoms, values, 0.1, iterations)
        return ((values - atoms @ codes) ** 2).sum() / 2 + 0.1 * np.abs(codes).sum()

    assert objective(1) > objective(10) > objective(100)


def test_known_noise_is_found_out():
    random = np.random.default_rng(0)
    prior = hpim.expected_movement(several_kinds(0), 40)
    paths = np.linalg.cholesky(prior.covariances[0]) @ random.normal(size=(40, 26))
    noisy = (paths + 0.04 * random.normal(size=paths.shape)).reshape(40, 13, 2).swapaxes(1, 2)

    def fit(noise):
        variances = hpim.variances_numpy(np.ones((40, 13)), noise)
        return hpim.evidence_numpy(prior, np.arange(40), noisy, variances)

    assert max(hpim.NOISE_LEVELS, key=fit) == 0.04
