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
    nn.init.normal_(ppu.gate.weight)
    return ppu.eval()


def ungated(ppu):
    """Let the gate trust the previous maps, so that ``PPN``'s sum is what was carried over."""
    nn.init.constant_(ppu.gate.bias, 30.0)
    return ppu


def carried(ppu, preliminary, previous):
    """Return the heat-maps that the skip connection makes of the unit's."""
    return preliminary + ppu(preliminary, previous)


@pytest.mark.parametrize("joints", [13, 15, 16])
@pytest.mark.parametrize("grid_stride", [1, 2, 4])
def test_returns_the_previous_maps_at_initialisation(joints, grid_stride):
    ppu = ungated(FlowPPU(joints, grid_stride=grid_stride, size=16))
    preliminary, previous = maps(joints)
    with torch.no_grad():
        torch.testing.assert_close(carried(ppu, preliminary, previous), previous)


def test_all_joints_follow_the_flow_with_weights_of_their_own():
    ppu = ungated(FlowPPU(3, channels=4, blocks=1, grid_stride=1, size=8))
    nn.init.uniform_(ppu.weights)
    flow = 2 * torch.randn(2, 2, 8, 8)
    ppu.offsets[0] = Fixed(flow)
    preliminary, previous = maps(3, 8)
    expected = sample_bilinear(previous, flow[:, 1], flow[:, 0]) * ppu.weights[:, :, 0]
    torch.testing.assert_close(carried(ppu, preliminary, previous), expected)


def test_flows_are_enlarged_bilinearly():
    ppu = ungated(FlowPPU(1, channels=4, blocks=0, grid_stride=4, size=32))
    coarse = torch.randn(1, 2, 8, 8)
    ppu.offsets[0] = Fixed(coarse)
    dx, dy = nn.functional.interpolate(coarse, scale_factor=4, mode="bilinear").unbind(1)
    preliminary, previous = maps(1, 32, batch=1)
    expected = sample_bilinear(previous, dy, dx)
    torch.testing.assert_close(carried(ppu, preliminary, previous), expected)


def test_learns_a_motion():
    torch.manual_seed(0)
    ppu = ungated(FlowPPU(1, channels=8, blocks=1, grid_stride=2, size=16))
    ppu.gate.requires_grad_(False)
    previous, now = peak(6), peak(9)
    optimiser = torch.optim.Adam([p for p in ppu.parameters() if p.requires_grad], 0.02)
    losses = []
    for _ in range(60):
        loss = (carried(ppu, now, previous) - now).square().sum()
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


@pytest.mark.parametrize("grid_stride", [5, 0])
def test_grids_that_do_not_fit_are_refused(grid_stride):
    with pytest.raises(ConfigError, match=f"stride of {grid_stride} does not divide"):
        FlowPPU(13, grid_stride=grid_stride)


def test_a_gate_makes_the_skip_connection_a_mean_of_both_maps():
    ppu = FlowPPU(13, channels=8, blocks=1, grid_stride=4, size=16)
    nn.init.constant_(ppu.gate.bias, 0.0)
    preliminary, previous = maps()
    with torch.no_grad():
        final = carried(ppu, preliminary, previous)
    torch.testing.assert_close(final, (preliminary + previous) / 2)


@pytest.fixture(scope="module")
def exported():
    """An edge PPU and the ONNX graph made of it."""
    pytest.importorskip("onnx")
    ppu = trained_like(FlowPPU(13, channels=8, blocks=1, grid_stride=4, size=16))
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
