"""A float bundle of tiny networks, and clips to calibrate it with."""

import numpy as np
import pytest

pytest.importorskip("nncf")

from edgepose.datasets.clips import Clip
from edgepose_converters.export.networks import export_ppn
from edgepose_converters.export.verification import synthetic_crops
from edgepose_runtime.bundles.bundle import write_bundle
from edgepose_runtime.bundles.manifest import (
    GraphSpec,
    HeatmapSpec,
    InputSpec,
    Manifest,
    Normalisation,
)
from edgepose_runtime.poses.skeletons import PENN13


@pytest.fixture
def float_bundle(ppn, geometry, tmp_path):
    graphs = export_ppn(ppn, geometry, weights="float16")
    manifest = Manifest(
        name="tiny",
        method="propagation",
        skeleton="penn13",
        input=InputSpec(32),
        normalisation=Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        heatmap=HeatmapSpec(8, 4.0, 1.5),
        graphs={n: GraphSpec(f"{n}.onnx", g.inputs, g.outputs) for n, g in graphs.items()},
        weights="float16",
    )
    return write_bundle(tmp_path / "tiny", manifest, {n: g.content for n, g in graphs.items()})


def made_up_clip(index, frames=15):
    pictures = [np.ascontiguousarray(each) for each in synthetic_crops(48, frames, seed=index)]
    keypoints = np.random.default_rng(index).uniform(4, 44, (frames, 13, 3)).astype(np.float32)
    keypoints[..., 2] = 1
    return Clip(
        name=f"clip{index}",
        film=f"film{index}",
        frames=lambda: iter(pictures),
        keypoints=keypoints,
        boxes=None,
        skeleton=PENN13,
        fps=25.0,
        split="train",
    )


@pytest.fixture(scope="session")
def clips():
    return [made_up_clip(index) for index in range(8)]
