from __future__ import annotations

import io
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from edgepose.models import PPU, FlowPPU, count_macs
from edgepose.models.ppn.deformable_convolution import sample_bilinear
from edgepose_runtime.errors import ConfigError


def maps(joints=13, size=16, batch=2):
    torch.manual_seed(size)
    return torch.rand(batch, joints, size, size), torch.rand(batch, joints, size, size)


def trained_like(ppu):
    """Give the flows some cells of length, and the joints weights of their own."""
    torch.manual_seed(0)
    for layer in ppu.offsets:
        nn.init.normal_(layer.weight, std=0.3)
    nn.init.uniform_(ppu.weights)
    if ppu.gate is not None:
        nn.init.normal_(ppu.gate.weight)
    return ppu.eval()


@pytest.mark.parametrize("joints", [13, 15, 16])
@pytest.mark.parametrize("grid_stride", [1, 2, 4])
def test_returns_the_previous_maps_at_initialisation(joints, grid_stride):
    preliminary, previous = maps(joints)
    with torch.no_grad():
        propagated = FlowPPU(joints, grid_stride=grid_stride, size=16)(preliminary, previous)
    torch.testing.assert_close(propagated, previous, rtol=2**-23, atol=0)


def test_shares_of_whole_binary_fractions_return_them_bit_by_bit():
    preliminary, previous = maps()
    ppu = FlowPPU(13, dilations=(1, 2, 3, 6), size=16)
    assert torch.equal(ppu(preliminary, previous), previous)


def test_each_joint_follows_its_own_flow_of_each_dilation():
    ppu = FlowPPU(3, channels=4, blocks=1, dilations=(1, 2), grid_stride=1, size=8)
    nn.init.uniform_(ppu.weights)
    preliminary, previous = maps(3, 8)
    flows = 2 * torch.randn(2, 2, 3, 2, 8, 8)  # batch, dilation, joint, (x, y)
    for index in range(2):
        ppu.offsets[index] = Fixed(flows[:, index].flatten(1, 2))
    expected = torch.zeros_like(previous)
    for dilation, joint in [(d, k) for d in range(2) for k in range(3)]:
        dx, dy = flows[:, dilation, joint].unbind(1)
        sampled = sample_bilinear(previous[:, joint : joint + 1], dy, dx)
        expected[:, joint] += ppu.weights[0, joint, dilation] * sampled[:, 0]
    torch.testing.assert_close(ppu(preliminary, previous), expected)


@pytest.mark.parametrize("dilations", [(1,), (1, 2)])
@pytest.mark.parametrize("groups", [1, 2, 6])
def test_joints_of_a_group_share_their_flows(groups, dilations):
    shape = {"joints": 6, "channels": 4, "blocks": 1, "dilations": dilations}
    shared = FlowPPU(**shape, grid_stride=1, size=8, flow_groups=groups)
    each = FlowPPU(**shape, grid_stride=1, size=8)
    nn.init.uniform_(shared.weights)
    each.weights = shared.weights
    for index in range(len(dilations)):
        flows = torch.randn(2, groups, 2, 8, 8)
        shared.offsets[index] = Fixed(flows.flatten(1, 2))
        each.offsets[index] = Fixed(flows.repeat_interleave(6 // groups, 1).flatten(1, 2))
    torch.testing.assert_close(shared(*maps(6, 8)), each(*maps(6, 8)))


def test_flows_are_enlarged_bilinearly():
    ppu = FlowPPU(1, channels=4, blocks=0, dilations=(1,), grid_stride=4, size=32)
    coarse = torch.randn(1, 2, 8, 8)
    ppu.offsets[0] = Fixed(coarse)
    dx, dy = nn.functional.interpolate(coarse, scale_factor=4, mode="bilinear").unbind(1)
    preliminary, previous = maps(1, 32, batch=1)
    expected = sample_bilinear(previous, dy, dx)
    torch.testing.assert_close(ppu(preliminary, previous), expected)


def test_learns_a_motion():
    torch.manual_seed(0)
    ppu = FlowPPU(1, channels=8, blocks=1, dilations=(1,), grid_stride=2, size=16)
    previous, now = peak(6), peak(9)
    optimiser = torch.optim.Adam(ppu.parameters(), 0.02)
    losses = []
    for _ in range(60):
        loss = (ppu(now, previous) - now).square().sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]


def test_costs_a_fraction_of_the_reference():
    cells = torch.zeros(1, 13, 16, 16)
    reference = count_macs(PPU(13), cells, cells)
    assert count_macs(FlowPPU(13, size=16), cells, cells) < reference / 10


def test_geometry_is_not_stored():
    names = FlowPPU(13).state_dict()
    assert not any("grid" in name or "enlarge" in name for name in names)


@pytest.mark.parametrize("options", [{"grid_stride": 3}, {"grid_stride": 0}, {"dilations": ()}])
def test_grids_that_do_not_fit_are_refused(options):
    with pytest.raises(ConfigError):
        FlowPPU(13, **options)


def test_a_gate_makes_the_skip_connection_a_mean_of_both_maps():
    ppu = FlowPPU(13, channels=8, blocks=1, dilations=(1,), grid_stride=4, size=16, gate=True)
    nn.init.constant_(ppu.gate.bias, 0.0)
    preliminary, previous = maps()
    with torch.no_grad():
        final = preliminary + ppu(preliminary, previous)
    torch.testing.assert_close(final, (preliminary + previous) / 2)


FORMS = {
    "plain": {"dilations": (1, 3)},
    "gated": {"dilations": (1, 3), "gate": True},
    "shared": {"dilations": (1,), "gate": True, "flow_groups": 1},
}


@pytest.fixture(scope="module", params=FORMS)
def exported(request):
    """An edge PPU and the ONNX graph made of it."""
    pytest.importorskip("onnx")
    shape = {"channels": 8, "blocks": 1, "grid_stride": 4, "size": 16}
    ppu = trained_like(FlowPPU(13, **shape, **FORMS[request.param]))
    file = io.BytesIO()
    names = ["preliminary", "previous", "heatmaps"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            ppu,
            maps(),
            file,
            dynamo=False,
            opset_version=17,
            input_names=names[:2],
            output_names=names[2:],
            dynamic_axes={name: {0: "N"} for name in names},
        )
    return ppu, file.getvalue()


def run_onnxruntime(graph, feeds):
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)[0]


def run_openvino(graph, feeds):
    core = pytest.importorskip("openvino").Core()
    hints = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    return core.compile_model(core.read_model(graph), "CPU", hints)(feeds)[0]


@pytest.mark.parametrize("run", [run_onnxruntime, run_openvino])
def test_exported_graph_gives_equal_results_for_any_batch(exported, run):
    ppu, graph = exported
    for batch in (1, 3):
        preliminary, previous = maps(batch=batch)
        with torch.no_grad():
            expected = ppu(preliminary, previous).numpy()
        feeds = {"preliminary": preliminary.numpy(), "previous": previous.numpy()}
        np.testing.assert_allclose(run(graph, feeds), expected, atol=1e-4)


def test_exported_graph_has_no_dynamic_shape_arithmetic(exported):
    onnx = pytest.importorskip("onnx")
    kinds = {node.op_type for node in onnx.load_from_string(exported[1]).graph.node}
    assert "GridSample" in kinds
    assert not kinds & {"Shape", "Gather", "Range", "Expand", "Loop", "If"}


class Fixed(nn.Module):
    """Says the same whatever it is asked."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, _):
        return self.answer


def peak(column):
    """A Gaussian of 2 cells at row 8."""
    cells = torch.arange(16.0)
    distance = (cells[:, None] - 8) ** 2 + (cells - column) ** 2
    return torch.exp(-distance / 8)[None, None]
