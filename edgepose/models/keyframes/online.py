"""Key frames of a stream: which new frames are not what was to be expected (K-FPN, online)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edgepose.models.keyframes.dyan import build_atoms, first_poles, fista
from edgepose_runtime.errors import ConfigError

_SLOPE = 0.01

#: Chooses key frames: takes a window's features (T, C, h, w), zeros for frames that are not there,
#: and how many are; returns their numbers.
Selector = Callable[[Tensor, int], list[int]]


@dataclass(frozen=True)
class OnlineConfig:
    """What the discriminator is made of.

    Attributes:
        channels: of the backbone's features.
        grid: side of its feature maps.
        edge: a form a hundred times cheaper, for the trunk of an edge network.
        batch_frames: frames T_b at the beginning of a window that the selector chooses from.
        frames: length of a window; the rest of it is decided frame by frame.
        poles: of the dictionary that says what is to be expected.
        sparsity: λ of its encoder.
        iterations: of its encoder.
    """

    channels: int = 512
    grid: int = 7
    edge: bool = False
    batch_frames: int = 30
    frames: int = 40
    poles: int = 80
    sparsity: float = 0.01
    iterations: int = 100

    def __post_init__(self) -> None:
        if not 0 < self.batch_frames < self.frames or self.channels < 1:
            raise ConfigError(
                "The discriminator needs channels, and a batch that is shorter than the window; "
                f"got {self}."
            )
        if self.grid < (1 if self.edge else 5):
            raise ConfigError(
                f"The published discriminator needs maps of 5 x 5 or more; got {self.grid}."
            )

    @property
    def pooling(self) -> int:
        """By how much the edge form makes large maps smaller."""
        return 2 if self.edge and self.grid >= 6 else 1


class OnlineDiscriminator(nn.Module):
    """Decides whether a frame is a new key frame, from its features and the expected ones.

    The published form has two 3x3 and two 1x1 convolutions on 1024 channels; the edge form has the
    same on pooled features with few channels.

    Args:
        config: its form.
        seed: of the dictionary's poles.
    """

    def __init__(self, config: OnlineConfig, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        self.pool = nn.AvgPool2d(config.pooling)
        self.layers = _edge_layers(config) if config.edge else _published_layers(config)
        radius, angle = first_poles(config.poles, seed)
        self.register_buffer("radius", radius)
        self.register_buffer("angle", angle)

    def forward(self, seen: Tensor, expected: Tensor) -> Tensor:
        """Return logits (N, 2): stay, and new key frame.

        Args:
            seen: (N, C, h, w) features of frames.
            expected: what :meth:`expect` says of them.
        """
        logits: Tensor = self.layers(torch.cat([self.pool(seen), expected], 1))
        return logits

    def atoms(self) -> Tensor:
        """Return the dictionary of a window."""
        return build_atoms(self.get_buffer("radius"), self.get_buffer("angle"), self.config.frames)

    @torch.no_grad()
    def expect(self, window: Tensor, keys: Sequence[int]) -> Tensor:
        """Return what the features of a window should be, from its key frames alone.

        Args:
            window: (T, C, h, w), of which only the key frames are used.
            keys: their numbers.

        Returns:
            (T, C, h, w), or half as high and wide in the edge form.
        """
        atoms = self.atoms()
        chosen = list(keys)
        seen = self.pool(window[chosen])
        values = seen.flatten(1)
        codes = fista(atoms[chosen], values, self.config.sparsity, self.config.iterations)
        expected: Tensor = (atoms @ codes).view(-1, *seen.shape[1:])
        return expected


class OnlineKeyFrameSelector:
    """Chooses the key frames of a stream of any length, from the past alone.

    The frames come in windows. The first of a window are collected, and the selector chooses among
    them; each frame after them is a key frame if the discriminator says so. Then the next window
    begins. Not for several threads at once.

    Args:
        selector: chooses among the first frames of a window, as :func:`selector_of` does.
        discriminator: trained.
        compared: what that compares of the features; the features themselves by default.
    """

    def __init__(
        self,
        selector: Selector,
        discriminator: OnlineDiscriminator,
        compared: Callable[[Tensor], Tensor] = lambda features: features,
    ) -> None:
        self._select, self._compared = selector, compared
        self._discriminator = discriminator.eval()
        self._start()

    def _start(self) -> None:
        self._seen: list[Tensor] = []
        self._looks: list[Tensor] = []
        self._keys: list[int] = []
        self._expected: Tensor | None = None

    def take(self, features: Tensor) -> list[int]:
        """Take in the next frame's features (C, h, w).

        Returns:
            The frames that have become key frames, as ages: 0 is this one, 1 the one before it.
            Where the batch of a window ends those are the ones chosen from it.
        """
        config = self._discriminator.config
        self._seen.append(features)
        self._looks.append(self._compared(features[None])[0])
        age = len(self._seen)
        fresh: list[int] = []
        if age == config.batch_frames:
            self._keys = self._select(self._window(self._seen), age)
            fresh = [age - 1 - key for key in self._keys]
            self._expect()
        elif age > config.batch_frames and self._is_key():
            self._keys.append(age - 1)
            fresh = [0]
            self._expect()
        if age == config.frames:
            self._start()
        return fresh

    def flush(self) -> list[int]:
        """Return, at the end of the stream, the key frames of a batch that was not complete."""
        count, done = len(self._seen), self._expected is not None
        keys = [] if done or not count else self._select(self._window(self._seen), count)
        self._start()
        return [count - 1 - key for key in keys]

    def _window(self, frames: list[Tensor]) -> Tensor:
        window = frames[0].new_zeros(self._discriminator.config.frames, *frames[0].shape)
        window[: len(frames)] = torch.stack(frames)
        return window

    def _expect(self) -> None:
        self._expected = self._discriminator.expect(self._window(self._looks), self._keys)

    @torch.no_grad()
    def _is_key(self) -> bool:
        if self._expected is None:
            return False
        expected = self._expected[len(self._looks) - 1]
        logits = self._discriminator(self._looks[-1][None], expected[None])
        return bool(logits[0, 1] > logits[0, 0])


def _published_layers(config: OnlineConfig) -> nn.Sequential:
    left = (config.grid - 4) ** 2
    return nn.Sequential(
        _convolution(2 * config.channels, 512, 3),
        _convolution(512, 256, 3),
        _convolution(256, 128, 1),
        _convolution(128, 64, 1),
        nn.Flatten(),
        nn.Linear(64 * left, 2),
    )


def _edge_layers(config: OnlineConfig) -> nn.Sequential:
    side = config.grid // config.pooling
    return nn.Sequential(
        _convolution(2 * config.channels, 64, 1),
        _convolution(64, 32, 1),
        nn.Flatten(),
        nn.Linear(32 * side * side, 2),
    )


def _convolution(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, bias=False),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(_SLOPE),
    )
