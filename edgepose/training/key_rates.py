"""``python -m edgepose.training.key_rates``: teach K-FPN which key frames would have been best.

The selections that recover the body network's poses best on annotated JHMDB training clips are
found by search, and distilled into a small network on the body's own trunk at 96 pixels.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgepose.datasets.clips import Clip
from edgepose.datasets.jhmdb import read_jhmdb_clips
from edgepose.datasets.root import data_root
from edgepose.evaluation.boxes import person_boxes
from edgepose.loading import DEFAULT_MODEL, PoseModel, load
from edgepose.models.key_rates import KeyRates
from edgepose.progress import show_progress
from edgepose.training.checkpoint import read_file
from edgepose.training.key_targets import BUDGETS, RecoveryError, best_keys, target_rates
from edgepose.training.selectors import (
    trunk_content,
    trunk_features,
    trunk_in,
    trunk_of_body,
)
from edgepose_runtime.conversion import convert_keypoints
from edgepose_runtime.crop import crop_frame
from edgepose_runtime.errors import CheckpointError
from edgepose_runtime.interpolation import WINDOW, PoseInterpolator

FORMAT = "edgepose.key-rates"
#: Clips shorter than this are left out.
SHORTEST = 20
#: Every so many films one is kept from training, to tell when to stop.
KEPT = 5
EPOCHS, RATE, DECAY, NOISE = 12, 2e-3, 0.02, 0.03


class Example(NamedTuple):
    """A training clip.

    Attributes:
        film: that it was cut from.
        features: (T, C, h, w) of the trunk.
        target: (T,) rate of key frames, of mean 1.
    """

    film: str
    features: Tensor
    target: Tensor


def film_of(name: str) -> str:
    """Return the film of a clip named ``action/film_action_details.avi``."""
    action, _, file = name.partition("/")
    return file.split(f"_{action}_")[0]


def example_of(
    clip: Clip, model: PoseModel, trunk: nn.Module, interpolator: PoseInterpolator
) -> Example:
    """Find the best key frames of a clip, and what its frames look like."""
    frames = list(clip.frames())
    truth = convert_keypoints(clip.keypoints, clip.skeleton, model.skeleton)
    error = RecoveryError(
        _poses(clip, frames, model), truth[..., :2], truth[..., 2] > 0, interpolator
    )
    counts = [max(1, round(budget * len(frames) / WINDOW)) for budget in BUDGETS]
    chosen = [best_keys(error, len(frames), count) for count in counts]
    target = torch.from_numpy(target_rates(chosen, len(frames)))
    return Example(film_of(clip.name), torch.from_numpy(trunk_features(trunk, frames)), target)


def _poses(
    clip: Clip, frames: Sequence[NDArray[np.uint8]], model: PoseModel
) -> NDArray[np.float32]:
    spec, found = model.method.spec, []
    for frame, box in zip(frames, person_boxes(clip), strict=True):
        roi = box.squared()
        crop = crop_frame(frame, roi, spec.input_size)
        found.append(spec.decode(model.method.locate(crop, roi), roi))
    return np.stack(found)


def train_rates(
    examples: Sequence[Example], epochs: int = EPOCHS, seed: int = 0
) -> tuple[KeyRates, list[float]]:
    """Distil the targets; the state with the least loss on films kept from training is returned.

    Returns:
        The model, and the loss on those films before training and after each epoch.
    """
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    films = sorted({example.film for example in examples})
    kept = set(films[::KEPT]) if len(films) >= KEPT else set()
    train = [each for each in examples if each.film not in kept]
    check = [each for each in examples if each.film in kept] or train
    model = KeyRates(examples[0].features.shape[1])
    optimiser = torch.optim.AdamW(model.parameters(), RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    losses, best = [_check(model, check)], _copy(model)
    with show_progress("K-FPN", epochs) as progress:
        for _ in range(epochs):
            for index in random.permutation(len(train)):
                _descend(model, optimiser, _augmented(train[index], random))
            schedule.step()
            losses.append(_check(model, check))
            if losses[-1] <= min(losses):
                best = _copy(model)
            progress.advance(note=f"{losses[-1]:.4f}")
    model.load_state_dict(best)
    return model.eval(), losses


def rate_loss(rates: Tensor, target: Tensor) -> Tensor:
    """Return how badly rates (T,) of mean 1 describe a target: of a Poisson process."""
    loss: Tensor = (rates - target * torch.log(rates + 1e-4)).mean()
    return loss


def _descend(model: KeyRates, optimiser: torch.optim.Optimizer, example: Example) -> None:
    model.train()
    optimiser.zero_grad()
    rate_loss(model(example.features), example.target).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()


def _augmented(example: Example, random: np.random.Generator) -> Example:
    """Mirror, reverse and disturb a clip."""
    features, target = example.features, example.target
    if random.random() < 0.5:
        features = features.flip(3)
    if random.random() < 0.5:
        features, target = features.flip(0), target.flip(0)
    scale = NOISE * features.square().mean().sqrt()
    return Example(example.film, features + scale * torch.randn_like(features), target)


@torch.no_grad()
def _check(model: KeyRates, examples: Sequence[Example]) -> float:
    model.eval()
    return float(np.mean([float(rate_loss(model(e.features), e.target)) for e in examples]))


def _copy(model: KeyRates) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def save_rates(path: Path, trunk: nn.Module, model: KeyRates, losses: Sequence[float]) -> None:
    """Write a checkpoint, with the losses of :func:`train_rates`."""
    content = {
        "format": FORMAT,
        **trunk_content(trunk),
        "rates": model.state_dict(),
        "losses": list(losses),
    }
    torch.save(content, path)


def load_rates(path: Path) -> tuple[nn.Module, KeyRates]:
    """Read a checkpoint: the trunk and the model.

    Raises:
        CheckpointError: the file is missing, damaged, or holds something else.
    """
    content = read_file(path, FORMAT)
    try:
        trunk, model = trunk_in(content), KeyRates()
        model.load_state_dict(content["rates"])
    except (KeyError, TypeError, RuntimeError) as error:
        raise CheckpointError(f"The key rates in {path} cannot be read: {error}") from error
    return trunk, model.eval()


def main(words: Sequence[str] | None = None) -> None:
    """Find the targets on the training clips, train, and write the checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--body", type=Path, required=True, help="checkpoint of a body network")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="bundle whose poses are recovered")
    parser.add_argument("--root", type=Path, help="folder of the JHMDB clips")
    parser.add_argument("--limit-clips", type=int, metavar="N", help="the first N")
    parser.add_argument("--out", type=Path, default=Path("runs/key-rates/checkpoint.pt"))
    args = parser.parse_args(words)
    clips = read_jhmdb_clips(args.root or data_root() / "jhmdb", "train")[: args.limit_clips]
    clips = [clip for clip in clips if len(clip) >= SHORTEST]
    trunk, interpolator, examples = trunk_of_body(args.body), PoseInterpolator(), list[Example]()
    with (
        load(args.model, num_threads=1) as model,
        show_progress("targets", len(clips)) as progress,
    ):
        for clip in clips:
            examples.append(example_of(clip, model, trunk, interpolator))
            progress.advance()
    rates, losses = train_rates(examples)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    save_rates(args.out, trunk, rates, losses)


if __name__ == "__main__":
    main()
