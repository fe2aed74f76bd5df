import pytest

torch = pytest.importorskip("torch")

from edgepose.models.pose.network import build_network  # noqa: E402
from edgepose.training.tasks.fake_quantisation import simulate_int8  # noqa: E402
from edgepose_runtime.errors import ConfigError  # noqa: E402

torch.set_num_threads(1)


@pytest.fixture
def network():
    torch.manual_seed(0)
    network = build_network({"backbone": "mobilenet_v2", "head": "pyramid"}, 13).eval()
    torch.nn.init.normal_(network.head.final_layer.weight, std=0.1)
    return network


@pytest.fixture
def image():
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def norms_off(network):
    network.train()
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.eval()


def test_a_convolution_computes_on_the_grid_of_int8(image):
    layer = torch.nn.Conv2d(3, 4, 3, bias=False)
    simulate_int8(layer)
    layer(image)
    step = image.abs().flatten(1).amax(1).mean() / 127
    scales = layer.weight.detach().abs().amax((1, 2, 3)) / 127
    rounded = (image / step).round().clamp(-127, 127)
    weight = (layer.weight.detach() / scales[:, None, None, None]).round()
    expected = torch.nn.functional.conv2d(rounded, weight) * step * scales[:, None, None]
    torch.testing.assert_close(layer(image), expected, rtol=1e-3, atol=1e-4)


def test_weights_keep_their_names_and_learn(network, image):
    names = list(network.state_dict())
    simulate_int8(network)
    norms_off(network)
    network(image).sum().backward()
    assert list(network.state_dict()) == names
    assert all(weight.grad is not None for weight in network.parameters())


def test_layers_that_stay_float_change_nothing(network, image):
    exact = network(image)
    simulate_int8(network, ["*"])
    norms_off(network)
    torch.testing.assert_close(network(image), exact)


def test_rounding_moves_the_maps_a_little(network, image):
    exact = network(image)
    simulate_int8(network)
    norms_off(network)
    network(image)
    error = (network.eval()(image) - exact).norm() / exact.norm()
    assert 0 < error < 0.2


def test_ranges_are_followed_while_training_only(network, image):
    simulate_int8(network)
    norms_off(network)
    network(image)
    before = float(network.head.reduce.int8_range)
    network.eval()(100 * image)
    assert float(network.head.reduce.int8_range) == before
    norms_off(network)
    network(100 * image)
    assert float(network.head.reduce.int8_range) > before


def test_a_pattern_without_a_layer_is_refused(network):
    with pytest.raises(ConfigError, match=r"head\.nothing"):
        simulate_int8(network, ["head.nothing"])
