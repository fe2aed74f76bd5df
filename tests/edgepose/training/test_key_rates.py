import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from edgepose.models.key_rates import KeyRates, chosen_by_rates
from edgepose.training.key_rates import (
    Example,
    film_of,
    load_rates,
    rate_loss,
    save_rates,
    train_rates,
)
from edgepose.training.selectors import new_trunk
from edgepose_runtime.errors import CheckpointError

FRAMES = 40


def burst(start, random):
    """Features that change in ten frames, where the key frames of the target are."""
    features = torch.zeros(FRAMES, 64, 6, 6)
    for frame in range(1, FRAMES):
        change = torch.from_numpy(random.normal(size=(64, 6, 6))).float()
        features[frame] = features[frame - 1] + change * (start <= frame < start + 10)
    target = torch.full((FRAMES,), 0.1)
    target[start : start + 10] = 4.0
    return Example(f"film{start % 7}", features + 1, target / target.mean())


def test_what_has_learned_nothing_chooses_even_times():
    features = torch.randn(FRAMES, 64, 6, 6)
    assert chosen_by_rates(KeyRates(), features, 8) == list(range(2, 40, 5))


@pytest.mark.parametrize("count", [1, 2, 7, 40, 60])
def test_so_many_different_frames_are_chosen(count):
    torch.manual_seed(0)
    model = KeyRates()
    torch.nn.init.normal_(model.rate.weight, std=3.0)
    chosen = chosen_by_rates(model, torch.randn(FRAMES, 64, 6, 6), count)
    assert len(chosen) == min(count, FRAMES)
    assert chosen == sorted(set(chosen))
    assert set(chosen) <= set(range(FRAMES))


def test_rates_are_learned_from_where_key_frames_are():
    random = np.random.default_rng(0)
    examples = [burst(int(start), random) for start in random.integers(0, 30, 24)]
    model, losses = train_rates(examples, epochs=6)
    assert losses[-1] < losses[0] - 0.2
    chosen = chosen_by_rates(model, burst(15, random).features, 8)
    assert sum(14 <= frame < 26 for frame in chosen) >= 5


def test_the_target_itself_has_the_least_loss():
    target = burst(3, np.random.default_rng(0)).target
    assert rate_loss(target, target) < rate_loss(torch.ones(FRAMES), target)
    assert rate_loss(target, target) < rate_loss(target.flip(0), target)


def test_a_checkpoint_comes_back(tmp_path):
    model, trunk = KeyRates(), new_trunk(pad_after=True).eval()
    torch.nn.init.normal_(model.rate.weight)
    save_rates(tmp_path / "rates.pt", trunk, model, [1.0])
    same, again = load_rates(tmp_path / "rates.pt")
    picture = torch.rand(1, 3, 96, 96)
    torch.testing.assert_close(same(picture), trunk(picture))
    features = torch.randn(FRAMES, 64, 6, 6)
    assert chosen_by_rates(again, features, 9) == chosen_by_rates(model, features, 9)


def test_another_file_is_refused(tmp_path):
    torch.save({"format": "something"}, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match="something"):
        load_rates(tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match="does not exist"):
        load_rates(tmp_path / "missing.pt")


def test_clips_of_one_film_are_told_by_their_name():
    names = ["golf/Trick_shots_golf_f_cm_np1_fr_med_2.avi", "golf/Trick_shots_golf_u_cm_1.avi"]
    assert {film_of(name) for name in names} == {"Trick_shots"}
