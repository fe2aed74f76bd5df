"""K-FPN: proposes the key frames of a window from what its frames look like."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edgepose.models.keyframes.dyan import build_atoms, first_poles
from edgepose_runtime.errors import ConfigError

#: Channels and grid of the embedded feature Y of a frame: M = 64 * 3 * 3.
EMBEDDED, GRID = 64, 3
#: Channels of the spatial convolutions, and frames left over by the temporal ones.
_SPATIAL, _TEMPORAL = (256, 128), (25, 10)
_SLOPE = 0.01


@dataclass(frozen=True)
class KfpnConfig:
    """What a selector is made of, and what it minimises.

    Attributes:
        channels: of the backbone's features.
        frames: length T of a window.
        stride: of the first temporal convolution in space: 2 for Penn, 1 for JHMDB.
        poles: of the selector's own dictionary.
        rho: weight of the ridge in Eq. 16.
        sparsity: weight of the number of key frames.
        recovery: weight of the residual.
        power: 2 for the squared norm of that, Eq. 16 as the paper has it; 1 for the norm, as in the
            released code.
        fixed_scale: Y counts in the loss as it is around its mean, at unit mean square and without
            gradients, so that the loss cannot fall by shrinking Y. Published is without that.
        alpha: steepness of the selection when it is used; see `alpha_of_epoch` for training.
        threshold: a frame whose selection is above it is a key frame.
    """

    channels: int = 2048
    frames: int = 40
    stride: int = 1
    poles: int = 80
    rho: float = 0.1
    sparsity: float = 4.0
    recovery: float = 2.0
    power: int = 1
    fixed_scale: bool = False
    alpha: float = 3.0
    threshold: float = 0.984

    def __post_init__(self) -> None:
        if self.channels < 1 or self.frames < 1 or self.poles < 1 or self.stride not in (1, 2):
            raise ConfigError(f"A selector needs channels, frames, poles and a stride; got {self}.")
        if self.rho <= 0 or self.power not in (1, 2) or not 0 < self.threshold < 1:
            raise ConfigError(
                "A selector needs a rho above 0, a power of 1 or 2 and a threshold between 0 and "
                f"1; got {self.rho}, {self.power} and {self.threshold}."
            )


class Embedding(nn.Module):
    """Three convolutions over space: (T, C, 7, 7) to Y (T, 64, 3, 3)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        wide, narrow = _SPATIAL
        self.layers = nn.Sequential(
            _convolution(channels, wide, 3),
            _convolution(wide, narrow, 3),
            _convolution(narrow, EMBEDDED, 3, padding=1),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return Y."""
        return self.after_first(self.first(features))

    def first(self, features: Tensor) -> Tensor:
        """Return the first convolution (T, 256, 5, 5) alone: nine tenths of the computation."""
        mapped: Tensor = self.layers[0][0](features)  # type: ignore[index]
        return mapped

    def after_first(self, mapped: Tensor) -> Tensor:
        """Return Y from what :meth:`first` returns."""
        normalised = self.layers[0][1:](mapped)  # type: ignore[index]
        embedded: Tensor = self.layers[1:](normalised)
        return embedded


class KFPN(nn.Module):
    """Scores the frames of a window by how much they say about the others.

    Args:
        config: its form and settings.
        seed: of the poles to start from.
    """

    def __init__(self, config: KfpnConfig, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        self.embedding = Embedding(config.channels)
        side = -(-GRID // config.stride)
        first, second = _TEMPORAL
        self.temporal = nn.Sequential(
            _convolution(config.frames, first, 1, stride=config.stride),
            _convolution(first, second, 1),
        )
        self.scores = nn.Linear(EMBEDDED * second * side * side, config.frames)
        radius, angle = first_poles(config.poles, seed)
        self.radius, self.angle = nn.Parameter(radius), nn.Parameter(angle)
        self.apply(_initialise)

    def forward(self, features: Tensor, alpha: float | None = None) -> tuple[Tensor, Tensor]:
        """Score the frames of one window.

        Args:
            features: (T, C, h, w) of the frozen backbone; zeros for frames that are not there.
            alpha: steepness; by default the configuration's.

        Returns:
            Selections (T,) from 0 to 1, and Y (T, M).
        """
        embedded = self.embedding(features)
        return self.select(embedded, alpha), embedded.flatten(1)

    def select(self, embedded: Tensor, alpha: float | None = None) -> Tensor:
        """Return the selections (T,) of a window's Y (T, C, 3, 3)."""
        return torch.sigmoid(self.scored(embedded, alpha))

    def scored(self, embedded: Tensor, alpha: float | None = None) -> Tensor:
        """Return the same before the sigmoid."""
        # Time becomes the channel of convolutions over space, one sample per feature channel.
        folded = self.temporal(embedded.transpose(0, 1))
        steep = self.config.alpha if alpha is None else alpha
        scores: Tensor = steep * self.scores(folded.flatten())
        return scores

    def loss(self, selection: Tensor, embedded: Tensor, present: Tensor | None = None) -> Tensor:
        """Return Eq. 16: what key frames leave unexplained, and how many there are.

        Args:
            selection: (T,) from 0 to 1.
            embedded: (T, M) Y.
            present: (T,) 1 for frames that are there, 0 for padding; all by default.
        """
        config = self.config
        if config.fixed_scale:
            embedded = standardised(embedded.detach(), present)
        if present is not None:
            selection, embedded = selection * present, embedded * present[:, None]
        atoms = build_atoms(self.radius, self.angle, config.frames)
        rest = residual(atoms @ atoms.mT, selection, embedded, config.rho)
        left = rest.norm() if config.power == 1 else rest.square().sum()
        return config.recovery * left + config.sparsity * selection.sum()


def residual(gram: Tensor, selection: Tensor, values: Tensor, rho: float) -> Tensor:
    """Return ``(I + D D' S / rho)^-1 Y``: what selected frames do not say about all (Eq. 16).

    Args:
        gram: (T, T) D D'.
        selection: (T,) the diagonal of S.
        values: (T, M) Y.
        rho: the ridge.
    """
    system = torch.eye(len(gram), dtype=gram.dtype) + gram * selection / rho
    rest: Tensor = torch.linalg.solve(system, values)
    return rest


def standardised(embedded: Tensor, present: Tensor | None = None) -> Tensor:
    """Return Y (T, M) around its mean, of unit mean square over the frames that are there."""
    there = torch.ones(len(embedded)) if present is None else present
    around = (embedded - (there @ embedded) / there.sum()) * there[:, None]
    size = (around.square().sum() / (there.sum() * embedded.shape[1])).sqrt()
    return around / size.clamp_min(1e-6)


def key_frames(selection: Tensor, threshold: float, count: int | None = None) -> list[int]:
    """Return the chosen frames: those above the threshold, and the best one if none is.

    Args:
        selection: (T,) selections of the frames that are there, without padding.
        threshold: see `KfpnConfig`.
        count: choose so many of the best instead.
    """
    if count is not None:
        return sorted(torch.topk(selection, min(count, len(selection))).indices.tolist())
    chosen: list[int] = torch.nonzero(selection > threshold)[:, 0].tolist()
    return chosen or [int(selection.argmax())]


def binarised(selection: Tensor) -> Tensor:
    """Return selections as 0 or 1, with the gradients of those from 0 to 1."""
    return (selection > 0.5).to(selection.dtype) + selection - selection.detach()


def selector_of(model: KFPN) -> Callable[[Tensor, int], list[int]]:
    """Return what chooses the key frames among the first so many frames of a window."""

    @torch.no_grad()
    def select(window: Tensor, count: int) -> list[int]:
        return key_frames(model.eval()(window)[0][:count], model.config.threshold)

    return select


def alpha_of_epoch(epoch: int, slope: float) -> float:
    """Steepness in training: it grows with the epochs (from 1), by 0.2 on Penn, 0.5 on JHMDB."""
    return slope * epoch


def _convolution(
    inputs: int, outputs: int, kernel: int, *, stride: int = 1, padding: int = 0
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(_SLOPE),
    )


def _initialise(layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv2d):
        nn.init.kaiming_normal_(layer.weight, mode="fan_out", a=_SLOPE)
    elif isinstance(layer, nn.Linear):
        nn.init.xavier_normal_(layer.weight)
        nn.init.zeros_(layer.bias)
