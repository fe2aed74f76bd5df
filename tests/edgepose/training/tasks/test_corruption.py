import pytest
import torch

from edgepose.datasets.sampling.targets import TargetSettings, render_targets
from edgepose.testing import standing_person
from edgepose.training.tasks import corruption
from edgepose.training.tasks.corruption import augmented, corrupt
from edgepose_runtime.poses.skeletons import PENN13


@pytest.fixture
def maps():
    person = torch.from_numpy(standing_person((128, 128), 180)).repeat(6, 1, 1)
    person[..., 0] += 5 * torch.arange(6.0)[:, None]
    return render_targets(person, 256, TargetSettings())[0]


def peaks(maps):
    """(B, K, 2) x and y of the highest cells."""
    index = maps.flatten(-2).argmax(-1)
    return torch.stack([index % maps.shape[-1], index // maps.shape[-1]], -1).float()


def test_imperfect_maps_are_lower_and_near(maps):
    found = augmented(maps)
    heights = found.amax((-2, -1))
    assert heights.min() > 0.1
    assert heights.max() <= 1.0
    assert heights.std() > 0.05
    assert (peaks(found) - peaks(maps)).norm(dim=-1).mean() < 2.0


def test_nothing_is_spoiled_without_a_share(maps):
    assert corrupt(maps, 0.0, PENN13) is maps


def test_a_share_of_the_samples_is_spoiled(maps):
    many = maps.repeat(20, 1, 1, 1)
    spoiled = (corrupt(many, 0.5, PENN13) != many).flatten(1).any(1).float().mean()
    assert 0.25 < spoiled < 0.75


def test_gradients_pass_through_what_is_not_replaced(maps):
    maps.requires_grad_(True)
    corrupt(maps, 0.5, PENN13).sum().backward()
    assert maps.grad is not None
    assert maps.grad.abs().sum() > 0


def test_the_same_seed_spoils_alike(maps):
    torch.manual_seed(3)
    first = corrupt(maps, 0.9, PENN13)
    torch.manual_seed(3)
    assert torch.equal(first, corrupt(maps, 0.9, PENN13))


@pytest.mark.parametrize("fault", corruption.FAULTS)
def test_every_fault_keeps_shape_and_range_and_changes_something(maps, fault):
    rows = torch.arange(len(maps))
    found = fault(maps, rows, PENN13)
    assert found.shape == maps.shape
    assert found.min() >= 0
    assert found.max() <= 1 + 1e-5
    assert not torch.allclose(found, maps)


def test_swapped_sides_stay_where_some_joint_is(maps):
    found = peaks(corruption.sides_swapped(maps, torch.tensor([0]), PENN13))[0]
    mirrored = peaks(maps)[0][list(PENN13.flip_order)]
    as_before = (found == peaks(maps)[0]).all(-1)
    assert torch.equal(found[~as_before], mirrored[~as_before])


def test_somebody_else_is_the_sample_before(maps):
    found = corruption.someone_else(maps, torch.tensor([1, 0]), PENN13)
    assert torch.equal(found, maps[[0, len(maps) - 1]])
