import pytest
import torch
from torch import nn

from edgepose.datasets.sampling.targets import render_targets
from edgepose.models import PPN, FlowPPU
from edgepose.training.tasks.losses import heatmap_loss
from edgepose.training.tasks.networks import network_input
from edgepose.training.tasks.stages import ImageTask, SequenceTask, build_task
from edgepose_runtime.errors import ConfigError

SIZE, CELLS, JOINTS, FRAMES = 64, 16, 13, 4


class Blind(nn.Module):
    """Sees nothing: what it says is the same for every image."""

    def __init__(self):
        super().__init__()
        self.maps = nn.Parameter(torch.zeros(1, JOINTS, CELLS, CELLS))

    def forward(self, image):
        return self.maps.expand(len(image), -1, -1, -1)


class Dots(nn.Module):
    """Finds the joint of each map where the image is bright, with one weight to learn."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(0.5))

    def forward(self, image):
        bright = nn.functional.avg_pool2d(image.mean(1, keepdim=True), 4)
        peak = bright - bright.amin((-2, -1), keepdim=True)
        peak = peak / peak.amax((-2, -1), keepdim=True).clamp_min(1e-3)
        return self.gain * peak.expand(-1, JOINTS, -1, -1)


def ppu():
    return FlowPPU(JOINTS, channels=8, blocks=1, grid_stride=2, size=CELLS)


@pytest.fixture
def batch():
    """All joints on one bright square, which is seen in the first frame only and does not move."""
    torch.manual_seed(0)
    centers = torch.randint(16, 48, (4, 1, 1, 2)).float()
    keypoints = torch.cat([centers, torch.ones(4, 1, 1, 1)], -1)
    image = torch.zeros(4, FRAMES, SIZE, SIZE, 3, dtype=torch.uint8)
    for sample, (x, y) in zip(image, centers[:, 0, 0].int().tolist(), strict=True):
        sample[0, y - 4 : y + 5, x - 4 : x + 5] = 255
    return {
        "image": image,
        "keypoints": keypoints.expand(-1, FRAMES, JOINTS, -1).contiguous(),
        "matrix": torch.eye(2, 3).expand(4, FRAMES, 2, 3),
    }


@pytest.fixture
def task(recipe):
    """A sequence task with a head that sees and a body that does not."""

    def build(head=True, **sequence):
        config = recipe(ppn="ppn-swift", sequence={"length": FRAMES, "head": head, **sequence})
        return SequenceTask(config, PPN(Dots() if head else None, Blind(), ppu()))

    return build


def test_a_perfect_image_network_has_no_loss(recipe, batch):
    config = recipe()
    still = {name: value[:, 0] for name, value in batch.items()}
    targets, _ = render_targets(still["keypoints"], SIZE, config.targets)

    class Perfect(nn.Module):
        def forward(self, image):
            assert image.shape == (4, 3, SIZE, SIZE)
            return targets

    assert ImageTask(config, Perfect()).loss(still)["loss"].item() == 0.0


def test_what_is_remembered_is_learned_to_be_kept(task, batch):
    """The body is blind, so that only propagation can bring the loss down."""
    task = task()
    optimiser = torch.optim.Adam(task.module.parameters(), 1e-2)
    losses = []
    for _ in range(60):
        loss = task.loss(batch)
        optimiser.zero_grad()
        loss["loss"].backward()
        optimiser.step()
        losses.append(loss["loss_ppn"].item())
    assert losses[-1] < 0.4 * losses[0]


def test_gradients_reach_the_head_through_all_frames(task, batch):
    """Only the last frame has labels, so the head can learn from nothing else."""
    batch["keypoints"][:, :-1, :, 2] = 0
    task = task()
    task.loss(batch)["loss"].backward()
    assert task.module.head.gain.grad.abs() > 0
    assert all(p.grad is not None for p in task.module.ppu.parameters())


def test_the_head_counts_in_one_of_the_frames_and_the_propagated_maps_in_all(task, batch):
    """Eq. 1 divided by T: what the head says of the first frame adds its loss once."""
    task = task(preliminary=0.25)
    found = task.loss(batch)
    targets, weight = render_targets(batch["keypoints"], SIZE, task._config.targets)
    head = task.module.head(network_input(batch["image"])[:, 0])
    torch.testing.assert_close(found["loss_head"], heatmap_loss(head, targets[:, 0], weight[:, 0]))
    assert found["loss_head"] > 0
    torch.testing.assert_close(
        found["loss"], found["loss_ppn"] + 0.25 * found["loss_body"] + found["loss_head"] / FRAMES
    )


def test_the_head_learns_its_own_frame_even_where_nothing_is_propagated(task, batch):
    task = task()
    task.module.ppu = Forget()
    task.module.skip = False
    task.loss(batch)["loss"].backward()
    assert task.module.head.gain.grad.abs() > 0


def test_without_a_head_the_body_learns_and_frames_start_from_stand_ins(task, batch):
    task = task(head=False, preliminary=1.0, corrupt=0.5)
    losses = task.loss(batch)
    assert set(losses) == {"loss", "loss_ppn", "loss_body"}
    torch.testing.assert_close(losses["loss"], losses["loss_ppn"] + losses["loss_body"])
    losses["loss"].backward()
    assert task.module.body.maps.grad.abs().sum() > 0


def test_stand_ins_are_never_the_bare_targets(task, batch, monkeypatch):
    """Else the network learns that its memory is always true."""
    handed = []
    task = task(head=False)
    monkeypatch.setattr(
        task.module, "propagate", lambda body, previous: handed.append(previous) or body
    )
    task.loss(batch)
    targets, _ = render_targets(batch["keypoints"][:, 0], SIZE, task._config.targets)
    assert all(not torch.allclose(a, b) for a, b in zip(handed[0], targets, strict=True))


def test_previous_maps_follow_the_crop(task, batch):
    """The crop moves by two cells a frame: a person at rest moves the other way in it."""
    task = task()
    task.module.ppu = Remember()
    batch["matrix"] = batch["matrix"].clone()
    batch["matrix"][:, :, 0, 2] = -8.0 * torch.arange(FRAMES)
    batch["keypoints"][..., 0] -= 8.0 * torch.arange(FRAMES)[None, :, None]
    still = task.loss(batch)["loss_ppn"]
    assert still < 0.5 * heatmap_loss(
        torch.zeros(4, FRAMES, JOINTS, CELLS, CELLS),
        render_targets(batch["keypoints"], SIZE, task._config.targets)[0],
        torch.ones(4, FRAMES, JOINTS),
    )


class Remember(nn.Module):
    def forward(self, _, previous):
        return previous


class Forget(nn.Module):
    def forward(self, body, _):
        return body


def test_the_loss_counts_known_joints_and_centres_more():
    target = torch.zeros(1, 2, 4, 4)
    target[..., 1, 1] = 1.0
    predicted = torch.zeros_like(target)
    both = heatmap_loss(predicted, target, torch.tensor([[1.0, 1.0]]))
    assert both.item() == pytest.approx(1 / 16)
    predicted[:, 1] = 9.0
    one = heatmap_loss(predicted, target, torch.tensor([[1.0, 0.0]]))
    assert one.item() == pytest.approx(1 / 16)
    lit = heatmap_loss(predicted, target, torch.tensor([[1.0, 0.0]]), foreground=8.0)
    assert lit.item() == pytest.approx(9 / 16)
    nothing = heatmap_loss(predicted, target, torch.zeros(1, 2))
    assert nothing.item() == 0.0


def test_frozen_parts_keep_weights_and_norms_and_the_others_learn(recipe, network, batch):
    task = ImageTask(recipe(frozen=["0", "1"]), network)
    task.module.train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    task.loss({name: value[:, 0] for name, value in batch.items()})["loss"].backward()
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert [p.grad is None for p in network.parameters()] == [True] * 4 + [False] * 2


SEQUENCES = {"ppn": "ppn-swift", "sequence": {}}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"int8": True, **SEQUENCES}, "for single images; train their 'network'"),
        ({"int8": True, "dkd": "dkd-swift", "sequence": {}}, "for single images"),
        ({"int8": True, "slices": {}}, "for single images"),
        ({"float_layers": ["head.*"]}, "but not 'int8'"),
        ({"float_layers": ["head.*"], **SEQUENCES}, "but not 'int8'"),
    ],
)
def test_rounding_is_refused_where_it_would_not_be_done(recipe, options, words):
    with pytest.raises(ConfigError, match=words):
        recipe(**options)


@pytest.mark.parametrize("method", [{"ppn": "ppn-swift"}, {"dkd": "dkd-swift"}])
def test_a_loss_of_sequences_is_no_sum(recipe, method):
    with pytest.raises(ConfigError, match="reduction 'sum'"):
        recipe(reduction="sum", sequence={}, **method)


def test_a_recipe_says_which_layers_round(recipe, tmp_path):
    options = {"network": {"backbone": "mobilenet_v2", "head": "pyramid"}, "int8": True}
    module = build_task(recipe(float_layers=["head.*"], **options), tmp_path).module
    assert hasattr(module.backbone.features[0][0], "int8_range")
    assert not any(hasattr(layer, "int8_range") for layer in module.head.modules())
    with pytest.raises(ConfigError, match=r"No layer matches 'tail\.\*'"):
        build_task(recipe(float_layers=["tail.*"], **options), tmp_path)


def test_the_seed_of_a_recipe_decides_its_first_weights(recipe, tmp_path):
    def weights(seed):
        module = build_task(recipe(seed=seed), tmp_path).module
        return torch.cat([value.flatten() for value in module.parameters()])

    first = weights(3)
    assert torch.equal(first, weights(3))
    assert not torch.equal(first, weights(4))
