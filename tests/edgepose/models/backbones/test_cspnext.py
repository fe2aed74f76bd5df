import pytest
import torch

from edgepose.models.backbones.cspnext import ConvSilu, CSPNeXt, centre_features


@pytest.fixture
def backbone():
    """With means far from zero, as published weights have them."""
    torch.manual_seed(0)
    backbone = CSPNeXt(centred=True).eval()
    for layer in backbone.modules():
        if isinstance(layer, ConvSilu):
            torch.nn.init.uniform_(layer.conv.bias, 5, 15)
    return backbone


def test_centring_leaves_what_the_network_computes(backbone):
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        before = backbone(images)
        centre_features(backbone, images)
        after = backbone(images)
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-4)


def test_features_before_1x1_convolutions_have_no_mean_afterwards(backbone):
    images, found = torch.randn(2, 3, 64, 64), []
    centred = [layer for layer in backbone.modules() if getattr(layer, "mean", None) is not None]
    assert len(centred) == 7  # of six blocks, and before the poolings
    for layer in centred:
        layer.register_forward_hook(lambda *hooked: found.append(hooked[2].mean((0, 2, 3))))
    with torch.no_grad():
        backbone(images)
    assert max(float(means.abs().max()) for means in found) > 1
    centre_features(backbone, images)
    found.clear()
    with torch.no_grad():
        backbone(images)
    assert max(float(means.abs().max()) for means in found) < 1e-3


def test_centring_twice_is_centring_once(backbone):
    images = torch.randn(2, 3, 64, 64)
    centre_features(backbone, images)
    once = {name: value.clone() for name, value in backbone.state_dict().items()}
    centre_features(backbone, images)
    torch.testing.assert_close(backbone.state_dict(), once, rtol=1e-4, atol=1e-4)


def test_the_published_form_has_no_means():
    assert not any(name.endswith("mean") for name in CSPNeXt().state_dict())
