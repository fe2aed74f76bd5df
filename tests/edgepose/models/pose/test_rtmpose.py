import pytest
import torch
from torch import nn

from edgepose.models.pose.rtmpose import DEVIATIONS, RTMPose, RTMPoseHeatmaps
from edgepose_runtime.geometry.input_view import InputView

SIZE, GRID = 192, (48, 4.0, 1.5)


class Told(nn.Module):
    """Answers with Gaussians at places in its window that it was told, and notes what it sees."""

    def __init__(self, places, scores):
        super().__init__()
        self.places, self.scores, self.seen = places, scores, None

    def forward(self, image):
        self.seen = image
        found = []
        for axis, (pixels, deviation) in enumerate(zip((192, 256), DEVIATIONS, strict=True)):
            bins = torch.arange(2 * pixels) / 2
            distance = (bins - self.places[:, axis, None]) / deviation
            found.append((self.scores[:, None] * torch.exp(-0.5 * distance**2))[None])
        return tuple(found)


def heatmaps_of(network, joints, zoom):
    view = InputView(192, 256, (192 / (SIZE * zoom), 256 / (SIZE * zoom)))
    return RTMPoseHeatmaps(network, torch.eye(joints), SIZE, GRID, 6.0, view)


@pytest.mark.parametrize("zoom", [1.0, 256 / SIZE])
def test_joints_come_out_where_the_window_shows_them(zoom):
    crop = torch.tensor([[95.5, 95.5], [60.2, 30.7], [120.0, 150.3]])
    middle = torch.tensor([95.5, 127.5])
    places = (crop - (SIZE - 1) / 2) * zoom + middle
    scores = torch.tensor([0.9, 0.4, 0.8])
    maps = heatmaps_of(Told(places, scores), 3, zoom)(torch.zeros(1, 3, SIZE, SIZE))[0]
    assert maps.shape == (3, 48, 48)
    cells = torch.arange(48.0) * 4 + 1.5
    mass = maps.sum((1, 2))
    found = torch.stack([maps.sum(1) @ cells / mass, maps.sum(2) @ cells / mass], 1)
    torch.testing.assert_close(found, crop, atol=0.1, rtol=0)
    assert maps.amax((1, 2)).numpy() == pytest.approx(scores.sqrt().numpy(), rel=1e-3)


def test_maps_are_as_wide_as_those_of_our_networks():
    places = torch.tensor([[95.5, 127.5]])
    network = heatmaps_of(Told(places, torch.ones(1)), 1, 256 / SIZE)
    maps = network(torch.zeros(1, 3, SIZE, SIZE))[0, 0]
    cells = torch.arange(48.0) * 4 + 1.5
    along = maps.sum(0) / maps.sum()
    assert ((along * (cells - 95.5) ** 2).sum() ** 0.5).item() == pytest.approx(6.0, rel=0.05)


def test_the_window_shows_the_middle_upright():
    network = Told(torch.tensor([[96.0, 128.0]]), torch.ones(1))
    image = torch.linspace(-1, 1, SIZE).expand(1, 3, SIZE, SIZE)  # grows to the right
    heatmaps_of(network, 1, 256 / SIZE)(image)
    assert network.seen.shape == (1, 3, 256, 192)
    row = network.seen[0, 0, 128]
    assert row[0].item() == pytest.approx(-0.75, abs=0.02)
    assert row[-1].item() == pytest.approx(0.75, abs=0.02)


def test_what_makes_up_a_joint_is_averaged():
    network = Told(torch.tensor([[80.0, 100.0], [84.0, 100.0]]), torch.ones(2))
    view = InputView(192, 256, (192 / SIZE, 256 / SIZE))
    head = RTMPoseHeatmaps(network, torch.tensor([[0.5, 0.5]]), SIZE, GRID, 6.0, view)
    along = head(torch.zeros(1, 3, SIZE, SIZE))[0, 0].sum(0)
    cells = torch.arange(48.0) * 4 + 1.5
    assert ((along @ cells) / along.sum()).item() == pytest.approx(82.0, abs=0.1)


def test_rtmpose_has_the_size_that_was_published():
    network = RTMPose(26)
    assert sum(parameter.numel() for parameter in network.parameters()) == pytest.approx(
        5.5e6, rel=0.05
    )
    with torch.no_grad():
        x, y = network.eval()(torch.randn(1, 3, 256, 192))
    assert x.shape == (1, 26, 384)
    assert y.shape == (1, 26, 512)
