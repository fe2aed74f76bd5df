"""Do the exported graphs estimate the same joints as the networks that were trained?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgepose.inference.model import load
from edgepose.inference.self_check import with_self_check
from edgepose.methods import Method, build_method
from edgepose_converters.export.networks import ExportedGraph
from edgepose_converters.export.torch_network import TorchNetwork
from edgepose_runtime.backends import BackendSettings, Network, available_backends, get_backend
from edgepose_runtime.bundles.bundle import Bundle
from edgepose_runtime.bundles.manifest import Manifest
from edgepose_runtime.errors import BackendError
from edgepose_runtime.geometry.crop import Size, crop_frame
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.heatmaps.decoding import decode_heatmaps

#: How far joints may move from torch to another runtime, in pixels of the network's input.
LARGEST_STEP = 0.05
#: How far heat-maps may, where a joint has the value 1.
LARGEST_CHANGE = 1e-3
#: Peaks below this are noise, whose place means nothing.
SMALLEST_SCORE = 0.1

#: What a bundle must run on.
RUNTIMES = ("openvino", "onnxruntime")

Crop = NDArray[np.uint8]
Maps = NDArray[np.float32]


@dataclass(frozen=True)
class Agreement:
    """How well the estimates of a runtime agree with those of a reference.

    Attributes:
        runtime: what was compared: a backend's name, or torch with rounded weights.
        reference: what it was compared with.
        frames: how many frames both have seen, one after another.
        joints: how many joints with a score were compared.
        largest_px: the largest distance between joints, in pixels of the network's input.
        p99_px: the distance that 99 of 100 joints keep below.
        mean_px: the mean distance.
        largest_change: the largest difference between heat-maps.
    """

    runtime: str
    reference: str
    frames: int
    joints: int
    largest_px: float
    p99_px: float
    mean_px: float
    largest_change: float

    @property
    def holds(self) -> bool:
        """Whether both may be called the same."""
        return self.largest_px <= LARGEST_STEP and self.largest_change <= LARGEST_CHANGE


def crops_from_clips(frames: Iterable[NDArray[np.uint8]], size: Size, limit: int) -> list[Crop]:
    """Return the middle square around each of the first frames as the network sees it."""
    crops: list[Crop] = []
    for frame in frames:
        if len(crops) == limit:
            break
        height, width = frame.shape[:2]
        crops.append(crop_frame(frame, Roi(0, 0, width, height).squared(1.0), size))
    return crops


def synthetic_crops(size: Size, count: int, seed: int = 0) -> list[Crop]:
    """Return smooth random pictures, for want of real frames."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (count, 9, 9, 3)).astype(np.float64)
    # Linear interpolation between the coarse values, along columns and then along rows.
    width, height = size if isinstance(size, tuple) else (size, size)
    across, along = (
        np.clip(1 - np.abs(np.linspace(0, 8, side)[:, None] - np.arange(9)), 0, None)
        for side in (width, height)
    )
    smooth = np.einsum("ya,xb,nabc->nyxc", along, across, coarse, optimize=True)
    return list(np.rint(smooth).astype(np.uint8))


def compare(
    manifest: Manifest, graphs: Mapping[str, ExportedGraph], crops: Sequence[Crop]
) -> list[Agreement]:
    """Run the same crops through torch and through every runtime that is installed.

    Each carries on its own heat-maps from frame to frame, so that differences add up as they
    would in a tracker.

    Args:
        manifest: describes the graphs.
        graphs: by name.
        crops: consecutive frames as the network sees them.

    Returns:
        One agreement for each runtime, with the network as it is stored; and before them, where
        weights were rounded, that of the stored with the trained network.

    Raises:
        BackendError: a runtime cannot load a graph.
    """
    stride = manifest.heatmap.stride
    reference, named = _run(manifest, _torch_networks(graphs, stored=False), crops), "torch"
    found = []
    if manifest.weights != "float32":
        stored = _run(manifest, _torch_networks(graphs, stored=True), crops)
        rounded = f"torch, {manifest.weights} weights"
        found.append(_agreement((rounded, named), stored, reference, stride))
        reference, named = stored, rounded
    for name in available_backends():
        with ExitStack() as opened:
            maps = _run(manifest, _networks(name, graphs, opened), crops)
        found.append(_agreement((name, named), maps, reference, stride))
    return found


def require_agreement(agreements: Iterable[Agreement]) -> None:
    """Refuse graphs that compute something else than the network they store.

    Raises:
        BackendError: a runtime's joints or heat-maps are too far off.
    """
    for agreement in agreements:
        if agreement.runtime in RUNTIMES and not agreement.holds:
            raise BackendError(
                f"With {agreement.runtime} joints lie up to {agreement.largest_px:.3f} pixels and "
                f"heat-maps up to {agreement.largest_change:.2g} from those of torch; "
                f"{LARGEST_STEP} and {LARGEST_CHANGE:g} are allowed."
            )


def _torch_networks(graphs: Mapping[str, ExportedGraph], *, stored: bool) -> dict[str, Network]:
    return {
        name: TorchNetwork(graph.stored if stored else graph.trained, graph.inputs, graph.outputs)
        for name, graph in graphs.items()
    }


def _networks(
    backend: str, graphs: Mapping[str, ExportedGraph], opened: ExitStack
) -> dict[str, Network]:
    settings = BackendSettings(precision="float32")
    return {
        name: opened.enter_context(get_backend(backend).load(graph.content, settings=settings))
        for name, graph in graphs.items()
    }


def _run(manifest: Manifest, networks: Mapping[str, Network], crops: Sequence[Crop]) -> list[Maps]:
    return list(_estimates(build_method(manifest, networks), crops))


def _estimates(method: Method, crops: Sequence[Crop]) -> Iterator[Maps]:
    roi = Roi(0, 0, method.spec.input_size, method.spec.input_size)
    estimate = method.initialise(crops[0], roi)
    yield estimate.heatmaps
    for crop in crops[1:]:
        estimate = method.advance(crop, roi, estimate.state)
        yield estimate.heatmaps


def _agreement(
    names: tuple[str, str], maps: Sequence[Maps], reference: Sequence[Maps], stride: float
) -> Agreement:
    found, wanted = (np.stack([decode_heatmaps(m) for m in each]) for each in (maps, reference))
    seen = wanted[..., 2] >= SMALLEST_SCORE
    steps = np.linalg.norm(found[..., :2] - wanted[..., :2], axis=-1)[seen]
    # A joint that got lost is as far away as can be.
    steps = np.nan_to_num(steps, nan=maps[0].shape[-1]) * stride
    return Agreement(
        *names,
        frames=len(maps),
        joints=len(steps),
        largest_px=float(steps.max(initial=0.0)),
        p99_px=float(np.percentile(steps, 99)) if len(steps) else 0.0,
        mean_px=float(steps.mean()) if len(steps) else 0.0,
        largest_change=max(
            float(np.abs(a - b).max()) for a, b in zip(maps, reference, strict=True)
        ),
    )


def add_self_check(bundle: Bundle) -> Bundle:
    """Write the reference of a bundle, whose graphs were compared with torch before.

    Raises:
        OutputError: the manifest cannot be written.
        BackendError: the graphs cannot be run.
    """
    with load(bundle.path, precision="float32", num_threads=1) as model:
        return with_self_check(bundle, model.method)
