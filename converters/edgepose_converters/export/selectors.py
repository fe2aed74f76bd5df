"""Export of a key-frame selector as one ONNX file.

Its trunk is cut out of a bundle, layer by layer as it is there, and so in int8 where that is.
"""

from __future__ import annotations

import io
import warnings
from contextlib import closing
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, compose, helper
from onnx.utils import Extractor

from edgepose.models.keyframes.rates import CHANNELS, SIDE, KeyRateNetwork
from edgepose.offline.learned_selector import IMAGES, RATES
from edgepose.training.selectors.checkpoints import load_selectors
from edgepose.training.selectors.features import TRUNK_LAYERS, TRUNK_SIZE, Backbone
from edgepose_converters.export.networks import OPSET
from edgepose_runtime.backends import BackendSettings, get_backend
from edgepose_runtime.errors import AccuracyError, BundleFormatError, CheckpointError, OutputError

#: Correlation of what the trunk of a bundle sees with what the selector was trained on: that of a
#: body trained further, in int8, is 0.98, that of another one 0.15.
LEAST_AGREEMENT = 0.9
_FEATURES = "features"
_PREFIX = "selector/"


def write_selector(checkpoint: Path, bundle: Path, out: Path) -> None:
    """Export the selector of a checkpoint to a file.

    Args:
        checkpoint: of ``edgepose train kfpn/edge``.
        bundle: folder of the bundle whose trunk it was trained on.
        out: the ONNX file; its folder is made if need be.

    Raises:
        CheckpointError: the checkpoint cannot be read, or holds the published form.
        BundleFormatError: the bundle has no such trunk.
        AccuracyError: the bundle is another body's.
        OutputError: the file cannot be written.
    """
    selectors = load_selectors(checkpoint)
    if not isinstance(selectors.network, KeyRateNetwork):
        raise CheckpointError(
            f"The selector in {checkpoint} is of the published form; only the edge form, which "
            "'edgepose train kfpn/edge' trains, can be exported."
        )
    require_same_trunk(selectors.backbone, bundle)
    model = export_selector(selectors.network, bundle)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(model.SerializeToString())
    except OSError as error:
        raise OutputError(f"The selector {out} cannot be written: {error}.") from error


def export_selector(rates: KeyRateNetwork, bundle: Path) -> onnx.ModelProto:
    """Return a graph from a window's crops (N, 96, 96, 3) to its rates (N,).

    Args:
        rates: the trained network.
        bundle: folder of the bundle whose trunk it was trained on.

    Raises:
        BundleFormatError: the bundle's step has no such trunk.
    """
    trunk, head = trunk_of_bundle(bundle), _exported(rates)
    # Tracing names the layers of both alike.
    head = compose.add_prefix(head, _PREFIX)
    links = [(trunk.graph.output[0].name, f"{_PREFIX}{_FEATURES}")]
    model = compose.merge_models(trunk, head, io_map=links)
    _rename_output(model, f"{_PREFIX}{RATES}", RATES)
    onnx.checker.check_model(model, full_check=True)
    return model


def trunk_of_bundle(bundle: Path) -> onnx.ModelProto:
    """Return the first layers of a bundle's step or body, for crops of 96 pixels.

    Raises:
        BundleFormatError: there is none, or it is no MobileNet-V2.
    """
    for name in ("step.onnx", "body.onnx"):
        if (bundle / name).is_file():
            return _cut(onnx.load(bundle / name), bundle)
    raise BundleFormatError(f"The bundle '{bundle}' has neither a step nor a body to cut.")


def require_same_trunk(backbone: Backbone, bundle: Path) -> None:
    """Refuse a bundle whose trunk sees something else than the one that was trained on.

    Raises:
        AccuracyError: their features of some patterns differ.
        BundleFormatError: the bundle has no such trunk.
    """
    patterns = np.random.default_rng(0).integers(0, 255, (4, 12, 12, 3), np.uint8)
    crops = patterns.repeat(TRUNK_SIZE // 12, 1).repeat(TRUNK_SIZE // 12, 2)
    trunk = trunk_of_bundle(bundle)
    network = get_backend("onnxruntime").load(trunk.SerializeToString(), settings=BackendSettings())
    with closing(network):
        found = network.infer({IMAGES: crops})[trunk.graph.output[0].name]
    expected = backbone.features(list(crops))
    agreement = np.corrcoef(expected.ravel(), found.ravel())[0, 1]
    if agreement < LEAST_AGREEMENT:
        raise AccuracyError(
            f"The selector was trained on another body than that of the bundle '{bundle}': what "
            f"they see correlates by {agreement:.2f}, and {LEAST_AGREEMENT} is the least; give "
            "that body's bundle with --model, or train the selector again."
        )


def _cut(model: onnx.ModelProto, bundle: Path) -> onnx.ModelProto:
    last = f"features.{TRUNK_LAYERS - 1}/Add_output_0"
    ends = [name for node in model.graph.node for name in node.output if name.endswith(last)]
    if not ends:
        raise BundleFormatError(
            f"The network of the bundle '{bundle}' is no MobileNet-V2: it has no layer '{last}'."
        )
    # Shapes that were inferred for the bundle's own input size are wrong for this one.
    del model.graph.value_info[:]
    start = model.graph.input[0].name
    shape: list[str | int | None] = ["N", TRUNK_SIZE, TRUNK_SIZE, 3]
    model.graph.input[0].CopyFrom(helper.make_tensor_value_info(start, TensorProto.UINT8, shape))
    features = helper.make_tensor_value_info(
        ends[0], TensorProto.FLOAT, ["N", CHANNELS, SIDE, SIDE]
    )
    model.graph.value_info.append(features)
    cut: onnx.ModelProto = Extractor(model).extract_model([start], [ends[0]])
    for node in cut.graph.node:
        node.input[:] = [IMAGES if name == start else name for name in node.input]
    cut.graph.input[0].name = IMAGES
    return cut


def _exported(rates: KeyRateNetwork) -> onnx.ModelProto:
    content = io.BytesIO()
    with warnings.catch_warnings():
        # The tracing exporter is the one that writes opset 17; PyTorch says that it is the old one.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            rates.eval(),
            (torch.rand(7, CHANNELS, SIDE, SIDE),),
            content,  # type: ignore[arg-type]
            opset_version=OPSET,
            input_names=[_FEATURES],
            output_names=[RATES],
            dynamic_axes={_FEATURES: {0: "N"}, RATES: {0: "N"}},
            dynamo=False,
        )
    return onnx.load_from_string(content.getvalue())


def _rename_output(model: onnx.ModelProto, old: str, new: str) -> None:
    for node in model.graph.node:
        node.output[:] = [new if name == old else name for name in node.output]
    model.graph.output[0].name = new
