import pytest
import torch
from torch import nn

from edgepose.models.pose.batch_norm_folding import fold_batch_norms, fold_while_training
from edgepose.models.pose.network import LIGHT_PYRAMID, build_network
from edgepose_runtime.errors import CheckpointError


@pytest.fixture
def network():
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
        nn.Conv2d(8, 8, 3, 2, 1),
        nn.BatchNorm2d(8),
        nn.ConvTranspose2d(8, 8, 4, 2, 1, bias=False),
        nn.BatchNorm2d(8),
        nn.Conv2d(8, 13, 1),
    )
    for norm in norms(layers):
        nn.init.normal_(norm.running_mean, std=0.3)
        nn.init.uniform_(norm.running_var, 0.5, 2)
        nn.init.uniform_(norm.weight, 0.5, 2)
    return layers.eval()


def norms(module):
    return [layer for layer in module.modules() if isinstance(layer, nn.BatchNorm2d)]


def test_folding_leaves_no_norm_and_the_same_results(network):
    image = torch.randn(2, 3, 32, 32)
    folded = fold_batch_norms(network, image)
    assert not norms(folded)
    torch.testing.assert_close(folded(image), network(image), rtol=1e-4, atol=1e-5)


def test_folding_leaves_the_network_as_it_was(network):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    fold_batch_norms(network, torch.randn(1, 3, 32, 32))
    assert len(norms(network)) == 3
    torch.testing.assert_close(network.state_dict(), before)


def test_folding_computes_as_in_evaluation():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).train()
    image = torch.randn(2, 3, 8, 8)
    folded = fold_batch_norms(network, image)
    torch.testing.assert_close(folded(image), network.eval()(image))


def test_a_norm_after_something_else_stays():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.BatchNorm2d(4)).eval()
    assert len(norms(fold_batch_norms(network, torch.randn(1, 3, 8, 8)))) == 1


def test_a_shared_norm_stays():
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1)
            self.norm = nn.BatchNorm2d(4)

        def forward(self, image):
            return self.norm(self.first(image)) + self.norm(self.second(image))

    network = Shared().eval()
    image = torch.randn(1, 3, 8, 8)
    folded = fold_batch_norms(network, image)
    torch.testing.assert_close(folded(image), network(image))


def test_a_convolution_whose_output_is_also_used_plainly_keeps_its_results():
    class Branching(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)
            nn.init.constant_(self.norm.bias, 3.0)

        def forward(self, image):
            plain = self.conv(image)
            return plain + self.norm(plain)

    network = Branching().eval()
    image = torch.randn(1, 3, 8, 8)
    with pytest.raises(CheckpointError, match="cannot be folded"):
        fold_batch_norms(network, image)


class TestFoldingWhileTraining:
    @pytest.fixture
    def learning(self):
        torch.manual_seed(0)
        network = build_network(LIGHT_PYRAMID, 13)
        for norm in norms(network):
            nn.init.normal_(norm.running_mean, std=0.1)
            nn.init.uniform_(norm.running_var, 0.5, 2)
        return network

    def test_computes_as_in_evaluation(self, learning):
        image = torch.randn(1, 3, 64, 64)
        with torch.no_grad():
            expected = learning.eval()(image)
            fold_while_training(learning.train(), image)
            found = learning(image)
        assert learning.training
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)

    def test_lets_convolutions_and_norms_learn_and_leaves_statistics(self, learning):
        image = torch.randn(1, 3, 64, 64)
        before = {name: value.clone() for name, value in learning.named_buffers()}
        names = set(learning.state_dict())
        fold_while_training(learning, image)
        learning(image).square().sum().backward()
        assert all(parameter.grad is not None for parameter in learning.parameters())
        assert learning.backbone.features[5].conv[1][1].weight.grad.any()
        torch.testing.assert_close(dict(learning.named_buffers()), before)
        assert set(learning.state_dict()) == names
