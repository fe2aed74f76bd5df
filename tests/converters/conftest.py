"""Networks small enough to be exported in no time."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from edgepose.inference.model import bundle_path  # noqa: E402
from edgepose.models import DKD, PPN, FlowPPU  # noqa: E402
from edgepose.models.dkd.distillator import PoseKernels  # noqa: E402
from edgepose.training.checkpoint import save_checkpoint  # noqa: E402
from edgepose.training.config.loader import load_config, parse_config  # noqa: E402
from edgepose.training.tasks.networks import build_module  # noqa: E402
from edgepose_converters.checkpoints.bundle import read_bundle_body  # noqa: E402
from edgepose_converters.export.networks import Geometry  # noqa: E402
from edgepose_runtime.bundles.bundle import load_bundle  # noqa: E402

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
    ppu = FlowPPU(13, channels=8, blocks=1, grid_stride=2, size=8)
    for layer in ppu.offsets:
        torch.nn.init.normal_(layer.weight, std=0.1)
    return PPN(TinyNetwork(1), TinyNetwork(2), ppu).eval()


class TinyEncoder(TinyNetwork):
    """The same at stride 8, with features for kernels."""

    stride = 8

    def __init__(self, seed):
        super().__init__(seed)
        self.up = torch.nn.Conv2d(16, 16, 3, 1, 1, bias=False)

    def features(self, image):
        features = self.deep(torch.relu(self.norm(self.entry(image))))
        return torch.relu(self.up_norm(self.up(features)))

    def respond(self, features):
        return self.final(features)

    def activate(self, responses):
        return responses

    def classify(self, features):
        return self.activate(self.respond(features))

    def forward(self, image):
        return self.classify(self.features(image))


def seen(module, shape, steps=8):
    """Let batch norms see what they are to normalise, so that maps stay as large over time."""
    module.train()
    with torch.no_grad():
        for _ in range(steps):
            module(torch.rand(shape) * 4 - 2)
    return module.eval()


@pytest.fixture(scope="session")
def dkd():
    """A DKD for images of 256 pixels."""
    network = DKD(TinyEncoder(1), PoseKernels(13, 16), TinyEncoder(2))
    torch.nn.init.constant_(network.memory.norm.weight, 0.3)
    return seen(network, (2, 3, 3, 256, 256))


def write_checkpoint(path, changes):
    """Write what a training of a few steps at 64 pixels would have written."""
    config = parse_config(
        {
            "name": "tiny",
            "phases": [{"steps": 3, "size": 64, "batch": 2}],
            "sources": [{"kind": "lspet", "path": "/home/somebody/lspet"}],
            **changes,
        }
    )
    torch.manual_seed(0)
    module = build_module(config)
    save_checkpoint(
        path,
        {
            "config": config.as_dict(),
            "model": module.state_dict(),
            "ema": module.state_dict(),
            "step": 3,
            "training": {"images": 6, "sources": [vars(s) for s in config.sources]},
        },
    )
    return path


@pytest.fixture(scope="session")
def ppn_checkpoint(tmp_path_factory):
    changes = {"ppn": {"base": "ppn-swift", "input_size": 64}, "sequence": {"length": 2}}
    return write_checkpoint(tmp_path_factory.mktemp("ppn") / "checkpoint.pt", changes)


@pytest.fixture(scope="session")
def body_checkpoint(tmp_path_factory):
    changes = {"network": {"backbone": "mobilenet_v2", "neck": 256}}
    return write_checkpoint(tmp_path_factory.mktemp("body") / "checkpoint.pt", changes)


@pytest.fixture(scope="session")
def tuned_checkpoint(tmp_path_factory):
    """Of the body of ppn-swift, its output layer changed a little as by fine-tuning."""
    return _tuned("fine-tune", tmp_path_factory.mktemp("tuned"))


@pytest.fixture(scope="session")
def upright_checkpoint(tmp_path_factory):
    """The same as a network for upright images."""
    return _tuned("ppn-swift-body-upright", tmp_path_factory.mktemp("upright"))


def _tuned(name, folder):
    recipe = load_config(name)
    phases = [{"steps": 3, "size": recipe.phases[-1].size, "batch": 2}]
    path = write_checkpoint(folder / "checkpoint.pt", {"network": recipe.network, "phases": phases})
    content = torch.load(path, weights_only=True)
    content["ema"] = read_bundle_body(load_bundle(bundle_path("ppn-swift-float"))).state_dict()
    content["ema"]["head.final_layer.bias"] += 0.1
    torch.save(content, path)
    return path
