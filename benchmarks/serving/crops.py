"""What a crop weighs on its way to a server: as plain bytes, and as a JPEG."""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgepose.evaluation.data_sets import Selection, select_clips
from edgepose.evaluation.metrics.scoring import measures_for
from edgepose.evaluation.protocols.gt_box import GtBox
from edgepose.evaluation.protocols.runner import Contender, evaluate
from edgepose.evaluation.report import Table, markdown
from edgepose.inference.model import bundle_path
from edgepose.methods import Estimate, Method, MethodSpec
from edgepose.methods.base import Crop, Heatmaps
from edgepose.methods.framewise import FramewiseMethod
from edgepose_runtime.backends import BackendSettings, get_backend
from edgepose_runtime.bundles.bundle import load_bundle
from edgepose_runtime.geometry.roi import Roi

QUALITIES = (75, 90, 95)
MEASURES = measures_for((0.2, 0.1))[:2]


class SentAsJpeg:
    """A network that gets each crop the way that a server would.

    Args:
        method: looks at every frame, knowing nothing of the others.
        quality: of the JPEG; ``None`` for plain bytes.
    """

    def __init__(self, method: Method, quality: int | None) -> None:
        self.spec = method.spec
        self.costs: dict[str, list[float]] = defaultdict(list)
        self._method = method
        self._quality = quality

    def locate(self, crop: Crop, roi: Roi) -> Heatmaps:
        """Return what the head says."""
        return self._method.locate(self._sent(crop), roi)

    def initialise(self, crop: Crop, roi: Roi) -> Estimate:
        """Let the head look."""
        return self._method.initialise(self._sent(crop), roi)

    def advance(self, crop: Crop, roi: Roi, state: None) -> Estimate:  # noqa: ARG002 - as Method says
        """Let the head look: there is no state."""
        return self.initialise(crop, roi)

    def _sent(self, crop: Crop) -> Crop:
        if self._quality is None:
            self.costs["bytes"].append(crop.nbytes)
            return crop
        start = time.perf_counter()
        _, coded = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, self._quality])
        encoded = time.perf_counter()
        decoded: NDArray[np.uint8] = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
        self.costs["bytes"].append(coded.nbytes)
        self.costs["encode_ms"].append((encoded - start) * 1e3)
        self.costs["decode_ms"].append((time.perf_counter() - encoded) * 1e3)
        return decoded


def measure(args: argparse.Namespace, _before: dict[str, Any]) -> dict[str, Any]:
    """Let the head look at every frame of the clips in the annotated boxes, sent each way."""
    clips = select_clips(Selection(root=args.root, grade=args.grade, limit=args.limit_clips))
    found: dict[str, Any] = {}
    bundle = load_bundle(bundle_path(args.model))
    settings = BackendSettings(precision="float32", num_threads=1, batch=1)
    with get_backend("openvino").load(bundle.graph_path("head"), settings=settings) as network:
        head = FramewiseMethod(MethodSpec.from_manifest(bundle.manifest), network)
        for quality in (None, *QUALITIES):
            sent = SentAsJpeg(head, quality)
            name = "plain" if quality is None else f"JPEG {quality}"
            score = evaluate(Contender(name, GtBox(sent)), clips, MEASURES).score
            found[name] = {
                **{each: round(float(np.median(values)), 2) for each, values in sent.costs.items()},
                **{each.label: round(score.pck(each).limbs12, 2) for each in MEASURES},
            }
    print(markdown(_table(found)))
    return found


def _table(found: dict[str, Any]) -> Table:
    keys = ("bytes", "encode_ms", "decode_ms", *(each.label for each in MEASURES))
    rows = [(name, *(str(row.get(key, "")) for key in keys)) for name, row in found.items()]
    return Table("Crops", ("sent as", *keys), tuple(rows))
