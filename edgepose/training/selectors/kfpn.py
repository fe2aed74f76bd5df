"""Training of the published K-FPN, and of the discriminator for key frames of streams.

The backbone is frozen, so that its features are computed once per clip and training takes minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgepose.models.keyframes.kfpn import KFPN, alpha_of_epoch, binarised
from edgepose.models.keyframes.online import OnlineDiscriminator, Selector
from edgepose.training.config.selectors import SelectionTraining
from edgepose.training.selectors.epochs import Epochs
from edgepose_runtime.errors import DataError

Features = NDArray[np.floating]
#: How fast the bias of the scores follows the number of key frames, per window.
_PACE = 0.1
Report = Callable[[int, float], None]


def train_selector(
    model: KFPN,
    clips: Sequence[Features],
    training: SelectionTraining,
    report: Report = lambda _epoch, _loss: None,
    epochs: Epochs | None = None,
) -> None:
    """Train a selector without labels, by Eq. 16.

    Args:
        model: is changed.
        clips: (n, C, h, w) the backbone's features of each clip's frames.
        training: how.
        report: told the epoch, from 1, and the mean loss.
        epochs: what counts them, to be able to stop and to go on; all of them by default.
    """
    optimiser, schedule = _optimiser(model, training)
    random = np.random.default_rng(training.seed)
    left = (epochs or Epochs()).left(training.epochs, model, optimiser, schedule, random)
    embed: Callable[[Tensor], Tensor] = model.embedding
    if training.freeze_first:
        clips, embed = _after_first(model, clips), model.embedding.after_first
    for epoch in left:
        model.train()
        losses = []
        alpha = alpha_of_epoch(epoch, training.alpha_slope) if training.alpha_slope else None
        for window, present in _windows(clips, model.config.frames, random):
            with torch.autocast("cpu", torch.bfloat16, enabled=training.bfloat16):
                embedded = embed(window)
            embedded = embedded.float()
            scores = model.scored(embedded, alpha)
            if training.keys is not None:
                scores = scores - _level(model, scores, present, training.keys)
            selection = torch.sigmoid(scores)
            chosen = binarised(selection) if training.decide else selection
            losses.append(_descend(optimiser, model.loss(chosen, embedded.flatten(1), present)))
        schedule.step()
        report(epoch, float(np.mean(losses)))
    model.eval()


@torch.no_grad()
def _after_first(model: KFPN, clips: Sequence[Features]) -> list[Features]:
    """Return what the first convolution makes of the features of each clip, float16."""
    found: list[Features] = []
    for clip in clips:
        mapped = model.embedding.first(torch.from_numpy(np.asarray(clip, np.float32)))
        found.append(mapped.numpy().astype(np.float16))
    return found


@torch.no_grad()
def _level(model: KFPN, scores: Tensor, present: Tensor, keys: float) -> Tensor:
    """Return what the scores of so many key frames are above, and let the bias follow it."""
    there = scores[present > 0].sort(descending=True).values
    count = min(max(1, round(keys * len(there) / len(scores))), len(there) - 1)
    level = (there[count - 1] + there[count]) / 2
    model.scores.bias.sub_(_PACE * level / model.config.alpha)
    return level


def train_online(
    model: OnlineDiscriminator,
    select: Selector,
    clips: Sequence[Features],
    training: SelectionTraining,
    report: Report = lambda _epoch, _loss: None,
    compared: Callable[[Tensor], Tensor] = lambda features: features,
    epochs: Epochs | None = None,
) -> None:
    """Train the discriminator to predict, from the past alone, the selector's key frames.

    A frame's label is whether the selector chooses it when it sees all frames of the window; what
    is expected of it follows from those that the selector chooses of the batch before it.

    Args:
        model: is changed.
        select: the trained selector.
        clips: as in :func:`train_selector`; shorter ones than a window are left out.
        training: how.
        report: as there.
        compared: what it compares of the backbone's features.
        epochs: as there.

    Raises:
        DataError: all clips are shorter than a window.
    """
    frames = model.config.frames
    require_whole_window(clips, frames)
    windows = [
        _label(select, model, clip[:frames], compared) for clip in clips if len(clip) >= frames
    ]
    optimiser, schedule = _optimiser(model, training)
    random = np.random.default_rng(training.seed)
    share = float(torch.cat([labels for _, _, labels in windows]).float().mean())
    weight = torch.tensor([1.0, min(max((1 - share) / max(share, 1e-3), 0.2), 5.0)])
    left = (epochs or Epochs()).left(training.epochs, model, optimiser, schedule, random)
    for epoch in left:
        model.train()
        losses = []
        for index in random.permutation(len(windows)):
            seen, expected, labels = windows[index]
            loss = nn.functional.cross_entropy(model(seen, expected), labels, weight)
            losses.append(_descend(optimiser, loss))
        schedule.step()
        report(epoch, float(np.mean(losses)))
    model.eval()


def require_whole_window(clips: Sequence[Features], frames: int) -> None:
    """Refuse clips that the discriminator cannot learn from.

    Raises:
        DataError: all are shorter than a window.
    """
    longest = max(map(len, clips), default=0)
    if longest < frames:
        raise DataError(
            f"Training the form for streams needs clips of {frames} frames, but the longest of "
            f"the {len(clips)} clips has {longest}; give more or longer clips."
        )


def window_of(clip: Features, start: int, frames: int) -> tuple[Tensor, Tensor]:
    """Return ``frames`` frames from one on, zeros after the end, and which of them are there."""
    part = torch.from_numpy(np.asarray(clip[start : start + frames], np.float32))
    window = part.new_zeros(frames, *part.shape[1:])
    window[: len(part)] = part
    present = (torch.arange(frames) < len(part)).float()
    return window, present


def _windows(
    clips: Sequence[Features], frames: int, random: np.random.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    for index in random.permutation(len(clips)):
        start = int(random.integers(max(1, len(clips[index]) - frames + 1)))
        yield window_of(clips[index], start, frames)


@torch.no_grad()
def _label(
    select: Selector,
    model: OnlineDiscriminator,
    clip: Features,
    compared: Callable[[Tensor], Tensor],
) -> tuple[Tensor, Tensor, Tensor]:
    """Return what is seen, what is expected and the labels of the frames after the batch."""
    frames, first = model.config.frames, model.config.batch_frames
    window, batch = window_of(clip, 0, frames)[0], window_of(clip[:first], 0, frames)[0]
    chosen = torch.zeros(frames, dtype=torch.long)
    chosen[select(window, frames)] = 1
    expected = model.expect(compared(batch), select(batch, first))
    return compared(window[first:]), expected[first:], chosen[first:]


def _optimiser(
    model: nn.Module, training: SelectionTraining
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    weights, rate, decay = model.parameters(), training.rate, training.decay
    optimiser: torch.optim.Optimizer
    if training.momentum is None:
        optimiser = torch.optim.Adam(weights, rate, weight_decay=decay)
    else:
        optimiser = torch.optim.SGD(weights, rate, training.momentum, weight_decay=decay)
    milestones = [round(share * training.epochs) for share in training.milestones]
    return optimiser, torch.optim.lr_scheduler.MultiStepLR(optimiser, milestones)


def _descend(optimiser: torch.optim.Optimizer, loss: Tensor) -> float:
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return float(loss.detach())
