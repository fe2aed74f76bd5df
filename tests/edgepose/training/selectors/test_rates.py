import numpy as np
import pytest
import torch

from edgepose.offline.selection import frames_by_rates
from edgepose.training.config.selectors import SelectionTraining
from edgepose.training.selectors import rates as rate_selection
from edgepose.training.selectors.rates import (
    ClipWithPoses,
    clip_with_poses,
    expected_gram,
    rate_loss,
    train_rates,
)

FRAMES = 40


def burst(start, random):
    """A person who moves in ten frames, and features that change there."""
    moving = (np.arange(FRAMES) >= start) & (np.arange(FRAMES) < start + 10)
    change = random.normal(size=(FRAMES, 8, 6, 6)) * moving[:, None, None, None]
    places = (random.normal(size=(FRAMES, 6)) * moving[:, None]).cumsum(axis=0)
    features = torch.from_numpy(1 + change.cumsum(axis=0)).float()
    return ClipWithPoses(f"film{start % 7}", features, torch.from_numpy(places).float())


#: What is to be expected: a place, and steps from frame to frame.
STEPS = torch.from_numpy(25 + np.minimum.outer(np.arange(FRAMES), np.arange(FRAMES))).float()


def test_equal_rates_leave_as_much_as_even_times():
    clip = burst(12, np.random.default_rng(0))
    loss = rate_loss(torch.full((FRAMES,), 3.0), clip.poses, expected_gram(FRAMES), (3, 8))
    assert float(loss) == pytest.approx(1, abs=1e-4)


def test_key_frames_where_the_movement_is_leave_less():
    clip = burst(12, np.random.default_rng(0))
    rates = torch.full((FRAMES,), 0.3)
    rates[12:22] = 3.0
    assert rate_loss(rates, clip.poses, STEPS, (6, 8)) < 0.97
    assert rate_loss(rates.flip(0), clip.poses, STEPS, (6, 8)) > 1.1


def test_rates_are_learned_without_labels(monkeypatch):
    monkeypatch.setattr(rate_selection, "expected_gram", lambda _frames: STEPS)
    random = np.random.default_rng(0)
    clips = [burst(int(start), random) for start in random.integers(2, 28, 24)]
    losses: list[float] = []
    model = train_rates(
        clips,
        SelectionTraining(8, 1e-2, decay=0.05),
        lambda _epoch, loss: losses.append(loss),
    )
    assert losses[0] == pytest.approx(1, abs=1e-4)
    assert min(losses) < 0.9
    with torch.no_grad():
        chosen = frames_by_rates(model(burst(15, random).features).numpy(), 8)
    assert sum(13 <= frame < 27 for frame in chosen) >= 5


def test_poses_are_measured_in_sides_of_the_person():
    poses = np.zeros((5, 3, 3), np.float32)
    poses[:, 1, 0], poses[:, 2, 1] = 10, 50
    clip = clip_with_poses("film", np.zeros((5, 8, 6, 6), np.float16), poses)
    assert clip.poses.shape == (5, 6)
    assert float(clip.poses.max()) == 1
    assert clip.features.dtype == torch.float32
