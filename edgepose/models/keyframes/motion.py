"""A dictionary of dynamics that is trained for interpolation, through the ridge solve."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from edgepose.models.keyframes.dyan import build_atoms
from edgepose_runtime.interpolation.dictionary import Kinds, PoleDictionary
from edgepose_runtime.interpolation.hpim import FLOOR

#: Poles to start from lie on the unit circle: some closer and closer to 1, for slow movements, the
#: others even enough that atoms over a window of 40 frames can express anything.
SLOWEST, EVEN_FROM = 0.01, 0.25
#: The variance that stands for a joint that was not seen: little enough for exact gradients.
UNSEEN = 1e6


class MotionModel(nn.Module):
    """Poles, and what to expect of them for several kinds of movement.

    Args:
        poles: number N of poles in the first quadrant.
        kinds: number M of kinds of movement.
        length: frames T of a window.
    """

    def __init__(self, poles: int = 40, kinds: int = 4, length: int = 40) -> None:
        super().__init__()
        self.length = length
        slow = np.geomspace(SLOWEST, EVEN_FROM, poles // 4, endpoint=False)
        even = np.linspace(EVEN_FROM, math.pi / 2 - 0.02, poles - poles // 4)
        angle = np.concatenate([slow, even])
        self.angle = nn.Parameter(torch.from_numpy(angle))
        self.radius = nn.Parameter(torch.ones(poles, dtype=torch.float64))
        self.log_weights = nn.Parameter(torch.from_numpy(_first_log_weights(angle, kinds)))
        self.log_odds = nn.Parameter(torch.zeros(kinds, dtype=torch.float64))
        self.trust = nn.Parameter(torch.tensor(0.5, dtype=torch.float64))

    def forward(self, key_frames: Tensor, poses: Tensor, seen: Tensor, noise: float) -> Tensor:
        """Interpolate: `edgepose_runtime.interpolation.hpim.posterior_numpy`, with gradients.

        Args:
            key_frames: int64 (B, r).
            poses: float64 (B, r, K, 2) in sides of the person's box.
            seen: bool (B, r, K).
            noise: standard deviation of their coordinates.

        Returns:
            (B, T, K, 2).
        """
        atoms = build_atoms(self.radius, self.angle, self.length)
        priors = (atoms * self.log_weights.exp()[:, None]) @ atoms.mT
        towards = priors[:, :, key_frames].permute(2, 0, 1, 3)  # (B, M, T, r)
        places = key_frames[:, None, :, None].expand(-1, len(priors), -1, key_frames.shape[1])
        among = torch.gather(towards, 2, places)
        count = seen.sum(1).clamp_min(1)[..., None]
        centre = torch.where(seen[..., None], poses, 0.0).sum(1) / count  # (B, K, 2)
        values = torch.where(seen[..., None], poses - centre[:, None], 0.0)
        values = values.transpose(1, 2)[:, :, None].expand(-1, -1, len(priors), -1, -1)
        variances = torch.where(seen, noise**2 + FLOOR, UNSEEN).transpose(1, 2)
        systems = among[:, None] + torch.diag_embed(variances)[:, :, None]
        factors = torch.linalg.cholesky(systems)  # (B, K, M, r, r)
        gains = torch.cholesky_solve(values, factors)
        paths = towards[:, None] @ gains  # (B, K, M, T, 2)
        volumes = torch.diagonal(factors, dim1=-2, dim2=-1).log().sum(-1)
        likelihoods = -(values * gains).sum((-1, -2)) / 2 - 2 * volumes
        shares = torch.softmax(self.log_odds + self.trust * likelihoods, dim=-1)
        path = (paths * shares[..., None, None]).sum(2) + centre[:, :, None]
        return path.transpose(1, 2)

    def to_dictionary(self) -> PoleDictionary:
        """Return what was learned, for `edgepose_runtime`."""
        kinds = Kinds(
            self.log_weights.detach().exp().numpy(),
            self.log_odds.detach().numpy(),
            max(float(self.trust.detach()), 0.0),
            self.length,
        )
        return PoleDictionary(self.radius.detach().numpy(), self.angle.detach().numpy(), kinds)


def _first_log_weights(angle: np.ndarray, kinds: int) -> np.ndarray:
    """Slow atoms weigh more, by the third power of their angle; kinds differ in how much moves."""
    angles = np.concatenate([angle, math.pi - angle])
    spacing = np.gradient(angle)
    power = 1e-3 * np.concatenate([spacing, spacing]) / (angles + 0.02) ** 3
    one = np.log(np.concatenate([[40.0], power, power]))
    gains = np.linspace(-4, 3, kinds) if kinds > 1 else np.zeros(1)
    weights: np.ndarray = one + gains[:, None]
    return weights
