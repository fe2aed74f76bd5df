"""Networks small enough to be exported in no time."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from edgepose.models import PPN, FlowPPU  # noqa: E402
from edgepose_converters.export import Geometry  # noqa: E402

torch.set_num_threads(1)


class TinyNetwork(torch.nn.Module):
    """A pose network of stride 4 for 13 joints, with batch norms that do something."""

    stride = 4

    def __init__(self, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.entry = torch.nn.Conv2d(3, 16, 3, 2, 1, bias=False)
        self.norm = torch.nn.BatchNorm2d(16)
        self.deep = torch.nn.Sequential(
            torch.nn.Conv2d(16, 16, 3, 2, 1, bias=False),
            torch.nn.BatchNorm2d(16),
            torch.nn.ReLU(inplace=True),
            torch.nn.Conv2d(16, 16, 3, 2, 1),
        )
        self.up = torch.nn.ConvTranspose2d(16, 16, 4, 2, 1, bias=False)
        self.up_norm = torch.nn.BatchNorm2d(16)
        self.final = torch.nn.Conv2d(16, 13, 1)
        for norm in (self.norm, self.deep[1], self.up_norm):
            torch.nn.init.normal_(norm.running_mean, std=0.3)
            torch.nn.init.uniform_(norm.running_var, 0.5, 2)
            torch.nn.init.uniform_(norm.weight, 0.5, 2)
            torch.nn.init.normal_(norm.bias, std=0.3)

    def forward(self, image):
        features = self.deep(torch.relu(self.norm(self.entry(image))))
        return self.final(torch.relu(self.up_norm(self.up(features))))


@pytest.fixture
def geometry():
    return Geometry(input_size=32, heatmap_size=8, joints=13)


@pytest.fixture
def network():
    return TinyNetwork(0).eval()


@pytest.fixture
def ppn():
    ppu = FlowPPU(13, channels=8, blocks=1, dilations=(1, 2), grid_stride=2, size=8)
    for layer in ppu.offsets:
        torch.nn.init.normal_(layer.weight, std=0.1)
    return PPN(TinyNetwork(1), TinyNetwork(2), ppu).eval()
