import numpy as np
import torch

from edgepose.models.keyframes.motion import MotionModel
from edgepose_runtime.interpolation import hpim


def test_what_is_trained_is_what_the_runtime_computes():
    random = np.random.default_rng(0)
    model = MotionModel(poles=12, kinds=2, length=20)
    keys = np.array([1, 5, 9, 18])
    poses, seen = random.normal(size=(4, 3, 2)) * 0.1, random.random((4, 3)) < 0.8
    paths = model(
        torch.from_numpy(keys)[None],
        torch.from_numpy(poses)[None],
        torch.from_numpy(seen)[None],
        0.02,
    )
    prior = hpim.expected_movement(model.to_dictionary(), 20)
    given = np.concatenate([poses, seen[..., None]], axis=2)
    prepared = hpim.prepare_numpy(given, 1.0)
    mean, variance = hpim.posterior_numpy(
        prior, keys, prepared.values, hpim.variances_numpy(prepared.scores, 0.02)
    )
    expected, _ = hpim.in_pose_units(mean, variance, prepared)
    shown = seen.any(axis=0)
    np.testing.assert_allclose(paths[0].detach()[:, shown], expected[:, shown], atol=2e-3)


def test_every_parameter_is_learned():
    model = MotionModel(poles=8, kinds=2, length=20)
    poses = torch.randn(2, 3, 4, 2, dtype=torch.float64) * 0.1
    paths = model(torch.tensor([[1, 5, 9], [0, 3, 19]]), poses, torch.ones(2, 3, 4) > 0, 0.01)
    paths.square().sum().backward()
    assert all(weight.grad is not None and weight.grad.any() for weight in model.parameters())
