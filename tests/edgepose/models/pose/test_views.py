import numpy as np
import torch

from edgepose.models.pose.views import seen
from edgepose_runtime.geometry.input_view import InputView
from edgepose_runtime.geometry.roi import Roi

SIZE = 64


def test_a_network_sees_in_training_what_the_runtime_crops():
    # A smooth picture that is the mean colour at its rim, as outside of a region in training.
    waves = 1 + np.cos(np.linspace(-np.pi, np.pi, SIZE))
    picture = np.rint(60 * waves[:, None, None] * waves[None, :, None] / 2).astype(np.uint8)
    frame = np.repeat(picture, 3, axis=2)
    view = InputView(36, 48, (0.9, 0.8))
    expected = view.crop(frame, Roi(0, 0, SIZE, SIZE))
    image = torch.from_numpy(frame).permute(2, 0, 1).float()
    found = seen(image, view).permute(1, 2, 0).numpy()
    assert np.abs(found - expected).max() < 2


def test_of_images_that_show_more_or_less_than_the_region_the_same_is_seen():
    # Linear in both directions, so that resampling is exact.
    rows, columns = torch.meshgrid(torch.arange(96.0), torch.arange(96.0), indexing="ij")
    around, view = (rows + 3 * columns)[None], InputView(30, 40, (0.6, 0.9))
    region, upright = around[:, 8:88, 8:88], around[..., 16:80]
    expected = seen(region, view)
    torch.testing.assert_close(seen(around, view, (1.2, 1.2)), expected)
    torch.testing.assert_close(seen(upright, view, (0.8, 1.2)), expected)


def test_what_lies_outside_a_region_is_what_is_seen_at_its_border():
    rows = torch.arange(10.0)[None, None, :, None].expand(1, 1, 10, 10)
    viewed = seen(rows, InputView(10, 20, (1.0, 2.0)))
    assert viewed.shape == (1, 1, 20, 10)
    assert (viewed[..., :5, :] == 0).all()
    torch.testing.assert_close(viewed[..., 5:15, :], rows)
    assert (viewed[..., 15:, :] == 9).all()
