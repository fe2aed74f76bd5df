import pytest
import torch
from torch import nn

from edgepose.models.pose.test_time_averaging import TestTimeAveragedHead
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.poses.skeletons import PENN13


class Blobs(nn.Module):
    """Sees the right shoulder (1) in red and the left shoulder (2) in green, at stride 4."""

    def __init__(self):
        super().__init__()
        self.batches = []

    def forward(self, image):
        self.batches.append(len(image))
        small = nn.functional.avg_pool2d(image, 4)
        maps = torch.zeros(len(image), 13, *small.shape[2:])
        maps[:, 1], maps[:, 2] = small[:, 0], small[:, 1]
        return maps


def gaussian(x, y, size, sigma):
    axis = torch.arange(size, dtype=torch.float32)
    return torch.exp(-((axis - x) ** 2 + (axis[:, None] - y) ** 2) / (2 * sigma**2))


def peak(heatmap):
    index = int(heatmap.argmax())
    return index % heatmap.shape[1], index // heatmap.shape[1]


def test_one_view_is_the_network_itself():
    network = Blobs()
    head = TestTimeAveragedHead(network, PENN13.flip_order, 64, 16, mirror=False)
    image = torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(head(image), network(image))


def test_mirrored_maps_are_turned_back_and_their_sides_swapped():
    image = torch.rand(1, 3, 64, 64)
    alone, averaged = (
        TestTimeAveragedHead(Blobs(), PENN13.flip_order, 64, 16, mirror=mirror)(image)
        for mirror in (False, True)
    )
    torch.testing.assert_close(averaged[:, 1], (alone[:, 1] + alone[:, 2]) / 2)
    torch.testing.assert_close(averaged[:, 2], averaged[:, 1])


@pytest.mark.parametrize("scale", [0.7, 0.85, 1.0, 1.2, 1.6])
def test_peaks_stay_in_place_at_every_scale(scale):
    head = TestTimeAveragedHead(
        Blobs(), PENN13.flip_order, 128, 32, mirror=False, scales=(scale, 1.0)
    )
    image = torch.zeros(1, 3, 128, 128)
    # Centres of the cells (12, 18) and (20, 9), 4 pixels a cell.
    image[0, 0] = gaussian(12 * 4 + 1.5, 18 * 4 + 1.5, 128, 8)
    image[0, 1] = gaussian(20 * 4 + 1.5, 9 * 4 + 1.5, 128, 8)
    maps = head(image)[0]
    assert peak(maps[1]) == (12, 18)
    assert peak(maps[2]) == (20, 9)
    assert maps[1].max() == pytest.approx(0.97, abs=0.05)


def test_a_constant_is_kept_where_a_view_does_not_reach():
    class Ones(nn.Module):
        def forward(self, image):
            return torch.ones(len(image), 13, 32, 32)

    head = TestTimeAveragedHead(Ones(), PENN13.flip_order, 128, 32, scales=(0.8, 1.0, 1.25))
    torch.testing.assert_close(head(torch.zeros(2, 3, 128, 128)), torch.ones(2, 13, 32, 32))


def test_all_views_are_one_batch():
    network = Blobs()
    TestTimeAveragedHead(network, PENN13.flip_order, 64, 16, scales=(0.8, 1.0, 1.2))(
        torch.zeros(2, 3, 64, 64)
    )
    assert network.batches == [12]


def test_geometry_is_not_stored_with_the_weights():
    head = TestTimeAveragedHead(nn.Conv2d(3, 13, 1), PENN13.flip_order, 64, 16, scales=(0.8, 1.0))
    assert set(head.state_dict()) == {"network.weight", "network.bias"}


@pytest.mark.parametrize("scales", [(), (0.5, 0.9), (-1.0, 1.0)])
def test_scales_that_leave_the_rim_unseen_are_refused(scales):
    with pytest.raises(ConfigError, match="one of them at least 1"):
        TestTimeAveragedHead(Blobs(), PENN13.flip_order, 64, 16, scales=scales)
