import pytest
import torch

from edgepose.models.pose.rtmpose import RTMPose


def test_rtmpose_has_the_size_that_was_published():
    network = RTMPose(26)
    assert sum(parameter.numel() for parameter in network.parameters()) == pytest.approx(
        5.5e6, rel=0.05
    )
    with torch.no_grad():
        x, y = network.eval()(torch.randn(1, 3, 256, 192))
    assert x.shape == (1, 26, 384)
    assert y.shape == (1, 26, 512)
