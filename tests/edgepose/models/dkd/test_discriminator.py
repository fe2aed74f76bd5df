import pytest
import torch
from torch import nn

from edgepose.models import build_network
from edgepose.models.dkd.discriminator import Discriminator, widen_first_layer
from edgepose_runtime.errors import ConfigError

JOINTS = 13


def network(backbone="mobilenet_v2", stages=2):
    return build_network({"backbone": backbone, "stages": stages}, JOINTS)


@pytest.mark.parametrize("backbone", ["mobilenet_v2", "resnet18"])
@pytest.mark.parametrize(("frames", "shrink", "stages"), [(2, 1, 2), (1, 1, 2), (2, 2, 3)])
def test_one_change_comes_out_of_pictures_and_maps(backbone, frames, shrink, stages):
    with torch.device("meta"):
        discriminator = Discriminator(network(backbone, stages), JOINTS, frames, shrink)
        images, maps = torch.zeros(2, frames, 3, 128, 128), torch.zeros(2, frames, JOINTS, 16, 16)
        assert discriminator(images, maps).shape == (2, JOINTS, 16, 16)
    assert discriminator.stride == 8


def test_weights_of_colours_are_shared_among_the_frames():
    """A picture beside itself and empty maps look to the first layer like the picture alone."""
    plain = network().backbone
    wide = network().backbone
    wide.load_state_dict(plain.state_dict())
    widen_first_layer(wide, 2, JOINTS)
    image = torch.rand(1, 3, 64, 64)
    doubled = torch.cat((image, image, torch.zeros(1, 2 * JOINTS, 64, 64)), 1)
    expected = plain.features[0][0](image)
    torch.testing.assert_close(wide.features[0][0](doubled), expected, rtol=1e-4, atol=1e-5)


def test_both_pictures_and_both_maps_are_seen():
    torch.manual_seed(0)
    discriminator = Discriminator(network(stages=2), JOINTS).eval()
    nn.init.normal_(discriminator.network.head.final_layer.weight)
    inputs = torch.rand(1, 2, 3, 64, 64), torch.rand(1, 2, JOINTS, 8, 8)
    plain = discriminator(*inputs)
    for which in inputs:
        for frame in range(2):
            kept = which[:, frame].clone()
            which[:, frame] = 0
            assert not torch.equal(discriminator(*inputs), plain)
            which[:, frame] = kept


@pytest.mark.parametrize(("frames", "shrink"), [(3, 1), (2, 0)])
def test_other_numbers_of_frames_are_refused(frames, shrink):
    with pytest.raises(ConfigError, match="1 or 2 frames"):
        Discriminator(network(), JOINTS, frames, shrink)


def test_a_backbone_without_colours_at_its_start_is_refused():
    with pytest.raises(ConfigError, match="RGB"):
        widen_first_layer(nn.Sequential(nn.Conv2d(1, 2, 3)), 2, JOINTS)
    with pytest.raises(ConfigError, match="no convolution"):
        widen_first_layer(nn.Sequential(nn.ReLU()), 2, JOINTS)
