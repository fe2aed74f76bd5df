"""Training of K-FPN for the edge: Eq. 16 on the body network's poses in unlabelled clips."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgepose.models.keyframes.rates import KeyRateNetwork, key_times, residual_at
from edgepose.training.config.selectors import SelectionTraining
from edgepose_runtime.interpolation.dictionary import load_dictionary
from edgepose_runtime.interpolation.hpim import expected_movement

#: Noise on the features, and every so many films are kept apart.
NOISE, KEPT = 0.1, 6
#: Key frames per 40 frames that are trained for, and the noise in poses in sides of the person.
BUDGETS, WINDOW, RHO = (3, 4, 6, 8, 10, 13), 40, 0.02**2


class ClipWithPoses(NamedTuple):
    """What is learned from.

    Attributes:
        film: the film it was cut from.
        features: (T, C, 6, 6) of the trunk.
        poses: (T, M) Y: places of the joints by the body network, in sides of the person.
    """

    film: str
    features: Tensor
    poses: Tensor


def clip_with_poses(
    film: str, features: NDArray[np.floating], poses: NDArray[np.floating]
) -> ClipWithPoses:
    """Return a clip from the trunk's features and the body's poses (T, K, 3)."""
    places = np.asarray(poses[..., :2], np.float32)
    size = float(np.median(np.ptp(places, axis=1).max(axis=1)))
    scaled = places.reshape(len(places), -1) / max(size, 1.0)
    return ClipWithPoses(film, torch.from_numpy(np.array(features, np.float32)), _tensor(scaled))


def expected_gram(frames: int) -> Tensor:
    """Return D D' (T, T): how poses of a window go together by the dictionary of interpolation."""
    return _tensor(expected_movement(load_dictionary(), frames).mean_covariance())


def rate_loss(rates: Tensor, poses: Tensor, gram: Tensor, counts: Sequence[int]) -> Tensor:
    """Return what key frames at even steps of the rates leave unexplained, and even times do not.

    Args:
        rates: (T,).
        poses: (T, M) Y.
        gram: (W, W) with W at least T.
        counts: of key frames; the mean over them is returned.

    Returns:
        The mean absolute rest in parts of that of even times: 1 for equal rates.
    """
    part = gram[: len(poses), : len(poses)]
    even = torch.ones_like(rates)
    rests = [
        [
            residual_at(part, key_times(each, count), poses, RHO).abs().mean()
            for each in (rates, even)
        ]
        for count in counts
    ]
    return torch.stack([found / usual.clamp_min(1e-5) for found, usual in rests]).mean()


def train_rates(
    clips: Sequence[ClipWithPoses],
    training: SelectionTraining,
    report: Callable[[int, float], None] = lambda _epoch, _loss: None,
) -> KeyRateNetwork:
    """Train without labels; the state with the least loss on films kept apart is returned.

    Args:
        clips: of at most 40 frames.
        training: epochs, learning rate at first, weight decay and seed.
        report: called with the epoch, 0 before training, and the loss on those films.
    """
    torch.manual_seed(training.seed)
    random = np.random.default_rng(training.seed)
    films = sorted({clip.film for clip in clips})
    kept = set(films[::KEPT]) if len(films) >= KEPT else set()
    train = [clip for clip in clips if clip.film not in kept]
    check = [clip for clip in clips if clip.film in kept] or train
    model, gram = KeyRateNetwork(clips[0].features.shape[1]), expected_gram(WINDOW)
    optimiser = torch.optim.AdamW(model.parameters(), training.rate, weight_decay=training.decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, training.epochs)
    least, best = _check(model, check, gram), _copy(model)
    report(0, least)
    for epoch in range(1, training.epochs + 1):
        for index in random.permutation(len(train)):
            _descend(model, optimiser, _augmented(train[index], random), gram, random)
        schedule.step()
        loss = _check(model, check, gram)
        report(epoch, loss)
        if loss < least:
            least, best = loss, _copy(model)
    model.load_state_dict(best)
    return model.eval()


def _descend(
    model: KeyRateNetwork,
    optimiser: torch.optim.Optimizer,
    clip: ClipWithPoses,
    gram: Tensor,
    random: np.random.Generator,
) -> None:
    model.train()
    optimiser.zero_grad()
    counts = _counts(len(clip.poses), random.choice(BUDGETS, 2, replace=False).tolist())
    rate_loss(model(clip.features), clip.poses, gram, counts).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()


def _augmented(clip: ClipWithPoses, random: np.random.Generator) -> ClipWithPoses:
    """Mirror, reverse and disturb a clip."""
    features, poses = clip.features, clip.poses
    if random.random() < 0.5:
        features = features.flip(3)
    if random.random() < 0.5:
        features, poses = features.flip(0), poses.flip(0)
    scale = NOISE * features.square().mean().sqrt()
    return ClipWithPoses(clip.film, features + scale * torch.randn_like(features), poses)


@torch.no_grad()
def _check(model: KeyRateNetwork, clips: Sequence[ClipWithPoses], gram: Tensor) -> float:
    model.eval()
    losses = [
        rate_loss(model(clip.features), clip.poses, gram, _counts(len(clip.poses), BUDGETS))
        for clip in clips
    ]
    return float(torch.stack(losses).mean())


def _counts(frames: int, budgets: Sequence[int]) -> list[int]:
    return [max(1, round(budget * frames / WINDOW)) for budget in budgets]


def _tensor(values: NDArray[np.floating]) -> Tensor:
    return torch.from_numpy(np.asarray(values, np.float32))


def _copy(model: KeyRateNetwork) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}
