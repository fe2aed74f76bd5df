"""Kernels that arrive at run time: ways to match them, and what each takes.

``python -m benchmarks dkd`` exports V, the filters, U and BN of DKD in every way, checks that all
give the same heat-maps, and times them on one thread by turns. Writes ``dkd.json`` and ``dkd.md``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.dkd.forms import FORMS, JOINTS, Form
from benchmarks.dkd.fused import Floats, Fused
from benchmarks.ppu.forms import Call, export_with
from benchmarks.ppu.timing import milliseconds
from edgepose.evaluation.report import Table, markdown
from edgepose.models.dkd.distillator import PoseKernels, kernel_size
from edgepose.models.pose.batch_norm_folding import fold_batch_norms
from edgepose.utils.machine import describe_machine
from edgepose_runtime.backends import BackendSettings, Network, get_backend
from edgepose_runtime.errors import BackendError

OUT = Path(__file__).parent.parent / "out"
#: Channels and cells a side: of the edge form, of a wider one, and as published.
SIZES = ("16x24", "64x32", "256x32")
ENGINES = {
    "openvino": ("openvino", "float32"),
    "openvino, auto": ("openvino", "auto"),
    "onnxruntime": ("onnxruntime", "float32"),
}
_TOLERANCE = {"float32": 1e-4, "auto": 5e-2}
Rows = dict[str, dict[str, float]]


def main(words: Sequence[str] | None = None) -> None:
    """Time every form in every runtime, print the tables and write the results."""
    args = parse_arguments(words)
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    found = {size: measure(*map(int, size.split("x"))) for size in args.sizes}
    text = "\n".join(table(size, rows) for size, rows in found.items())
    content = {"format": "edgepose.dkd", "machine": describe_machine(), "milliseconds": found}
    (args.out / "dkd.json").write_text(json.dumps(content, indent=1) + "\n")
    (args.out / "dkd.md").write_text(text)
    print(text)


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks dkd", description=__doc__)
    parser.add_argument(
        "--sizes", nargs="+", default=SIZES, metavar="CxN", help="channels, and cells a side"
    )
    parser.add_argument("--out", type=Path, default=OUT, metavar="DIR", help="where to write")
    return parser.parse_args(words)


def measure(width: int, cells: int) -> Rows:
    """Return the median ms of each form by what runs it, for features (width, cells, cells)."""
    memory, features, kernels = _memory(width, cells), *_inputs(width, cells)
    example = torch.from_numpy(features), torch.from_numpy(kernels)
    calls = {form.name: _calls(form, memory, example) for form in FORMS}
    calls["numba kernel between two graphs"] = {"numba": _fused(memory, example[0])}
    wanted = _matched(memory, features, kernels)
    for name, kinds in calls.items():
        for kind, call in kinds.items():
            _require_same(name, kind, call(features, kernels), wanted)
    return milliseconds(calls, features, kernels)


def table(size: str, rows: Rows) -> str:
    """Return the times for features of one size in Markdown."""
    facts = {form.name: (form.samples, form.tensorrt) for form in FORMS}
    kinds = (*ENGINES, "numba")
    lines = [
        (name, *facts.get(name, ("1", "no")), *(_cell(row.get(kind)) for kind in kinds))
        for name, row in rows.items()
    ]
    header = ("", "samples", "TensorRT", *(f"{kind}, ms" for kind in kinds))
    return markdown(
        Table("{} channels of {} cells a side".format(*size.split("x")), header, tuple(lines))
    )


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _memory(width: int, cells: int) -> PoseKernels:
    """U, V and BN with random weights, so that heat-maps are about 1."""
    torch.manual_seed(0)
    memory = PoseKernels(JOINTS, width)
    memory.train()
    with torch.no_grad():
        for seed in range(30):
            memory.match(*map(torch.from_numpy, _inputs(width, cells, seed)))
    return memory.eval()


def _inputs(width: int, cells: int, seed: int = 0) -> tuple[Floats, Floats]:
    random = np.random.default_rng(seed)
    features, side = random.random((1, width, cells, cells), np.float32), kernel_size(cells)
    return features, random.random((1, width, side, side), np.float32)


def _matched(memory: PoseKernels, features: Floats, kernels: Floats) -> Floats:
    with torch.no_grad():
        found = memory.match(torch.from_numpy(features), torch.from_numpy(kernels))
    maps: Floats = found.numpy()
    return maps


def _calls(form: Form, memory: PoseKernels, example: tuple[Tensor, Tensor]) -> dict[str, Call]:
    """Return a form as each runtime runs it; without those that cannot."""
    module = fold_batch_norms(form.build(memory), *example)
    content = export_with(module, *example)
    found: dict[str, Call] = {}
    for name, (backend, precision) in ENGINES.items():
        settings = BackendSettings(precision=precision, num_threads=1, batch=1)
        try:
            network = get_backend(backend).load(content, settings=settings)
        except BackendError as error:
            print(f"{form.name}, {name}: {error}")
            continue
        found[name] = _call_of(network)
    return found


def _call_of(network: Network) -> Call:
    return lambda features, kernels: network.infer({"in0": features, "in1": kernels})["out"]


def _fused(memory: PoseKernels, example: Tensor) -> Fused:
    settings = BackendSettings(precision="float32", num_threads=1, batch=1)
    content = export_with(memory.v, example)
    norm = memory.norm
    with torch.no_grad():
        scale = norm.weight / (norm.running_var + norm.eps) ** 0.5  # type: ignore[operator]
        u = (memory.u.weight[:, :, 0, 0] * scale[:, None]).numpy()
        bias = (norm.bias - norm.running_mean * scale).numpy()  # type: ignore[operator]
    return Fused(get_backend("openvino").load(content, settings=settings), u, bias)


def _require_same(name: str, kind: str, found: Floats, wanted: Floats) -> None:
    error = float(np.abs(found - wanted).max() / np.abs(wanted).max())
    if error > _TOLERANCE["auto" if "auto" in kind else "float32"]:
        raise BackendError(f"{name}, {kind}: the heat-maps are {error:.2g} of their size off.")
