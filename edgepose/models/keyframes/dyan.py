"""DYAN: a learnable dictionary of dynamics, its sparse encoder and its decoder."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from edgepose_runtime.errors import ConfigError
from edgepose_runtime.interpolation.dictionary import PoleDictionary

#: The ring that first poles are drawn from: radii of the paper, and angles in steps of `GRID`.
FIRST_RADII = (0.85, 1.15)
GRID = 0.001
#: FISTA stops when the codes change by less than this.
TOLERANCE = 1e-4


def build_atoms(radius: Tensor, angle: Tensor, length: int) -> Tensor:
    """Build the dictionary of N poles, differentiably.

    The twin of `edgepose_runtime.interpolation.dictionary.pole_atoms`.

    Args:
        radius: (N,).
        angle: (N,) radians per frame.
        length: T.

    Returns:
        (T, 1 + 4 N) in the poles' dtype.
    """
    time = torch.arange(length, dtype=radius.dtype, device=radius.device)[:, None]
    grown = radius**time
    flipped = grown * (1 - 2 * (time % 2))
    cosine, sine = torch.cos(angle * time), torch.sin(angle * time)
    parts = [torch.ones_like(time), grown * cosine, flipped * cosine, grown * sine, flipped * sine]
    atoms = torch.cat(parts, 1)
    norms = atoms.norm(dim=0)
    return atoms / torch.where(norms > 0, norms, math.sqrt(length))


def fista(
    atoms: Tensor,
    values: Tensor,
    sparsity: float,
    iterations: int = 100,
    mask: Tensor | None = None,
) -> Tensor:
    """Minimise ``1/2 |Y - D C|^2 + sparsity |C|_1`` by FISTA; gradients flow through every step.

    Args:
        atoms: (T, N) D.
        values: (..., T, L) Y.
        sparsity: λ.
        iterations: at most so many.
        mask: (..., T, L) or what broadcasts to it, 1 where a value counts; all by default.

    Returns:
        (..., N, L) C.
    """
    step = 1 / (atoms.mT @ atoms).norm()  # the Frobenius norm: shorter steps than needed, but safe
    target = values if mask is None else values * mask
    codes = ahead = values.new_zeros(*values.shape[:-2], atoms.shape[1], values.shape[-1])
    momentum = 1.0
    for _ in range(iterations):
        fitted = atoms @ ahead
        residual = target - (fitted if mask is None else fitted * mask)
        moved = ahead + step * (atoms.mT @ residual)
        shrunk = torch.sign(moved) * torch.relu(moved.abs() - sparsity * step)
        following = (1 + math.sqrt(1 + 4 * momentum**2)) / 2
        change = shrunk - codes
        ahead = shrunk + (momentum - 1) / following * change
        codes, momentum = shrunk, following
        if float(change.detach().norm()) / values.shape[-1] < TOLERANCE:
            break
    return codes


class DYAN(nn.Module):
    """Sequences as sparse sums of dynamics atoms.

    Args:
        poles: number N of poles in the first quadrant; the dictionary has 1 + 4 N atoms.
        sparsity: λ of the encoder.
        iterations: of the encoder, at most.
        seed: of the poles to start from.

    Raises:
        ConfigError: a number is out of its range.
    """

    def __init__(
        self,
        poles: int = 40,
        sparsity: float = 0.01,
        iterations: int = 100,
        seed: int = 0,
    ) -> None:
        super().__init__()
        radius, angle = first_poles(poles, seed)
        if iterations < 1 or not sparsity >= 0:
            raise ConfigError(
                "DYAN needs at least one iteration and a sparsity from 0 on; "
                f"got {iterations} and {sparsity}."
            )
        self.radius, self.angle = nn.Parameter(radius), nn.Parameter(angle)
        self.sparsity, self.iterations = sparsity, iterations

    def atoms(self, length: int) -> Tensor:
        """Return the dictionary for so many frames, (T, 1 + 4 N)."""
        return build_atoms(self.radius, self.angle, length)

    def encode(self, values: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the codes (..., 1 + 4 N, L) of sequences (..., T, L); see `fista` for the mask.

        No gradient reaches the poles through them: these learn by the decoder alone.
        """
        with torch.no_grad():
            atoms = self.atoms(values.shape[-2])
            return fista(atoms, values, self.sparsity, self.iterations, mask)

    def decode(self, codes: Tensor, length: int) -> Tensor:
        """Return the sequences (..., T, L) of codes, also longer ones than were encoded."""
        return self.atoms(length) @ codes

    def forward(self, values: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return sequences (..., T, L) as the dictionary expresses them."""
        return self.decode(self.encode(values, mask), values.shape[-2])

    def to_dictionary(self) -> PoleDictionary:
        """Return the poles for `edgepose_runtime`, without expectations of the weights."""
        return PoleDictionary(
            self.radius.detach().cpu().double().numpy(), self.angle.detach().cpu().double().numpy()
        )


def first_poles(count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Draw poles from the ring in the first quadrant, all different: radii (N,) and angles (N,).

    Raises:
        ConfigError: fewer than one pole.
    """
    if count < 1:
        raise ConfigError(f"A dictionary needs at least one pole; got {count}.")
    random = np.random.default_rng(seed)
    radii = np.arange(FIRST_RADII[0], FIRST_RADII[1] + GRID / 2, GRID)
    angles = np.arange(GRID, np.pi / 2, GRID)
    places = random.choice(len(radii) * len(angles), count, replace=False)
    radius, angle = radii[places // len(angles)], angles[places % len(angles)]
    return torch.tensor(radius, dtype=torch.float32), torch.tensor(angle, dtype=torch.float32)
