"""One network per frame, without memory."""

from __future__ import annotations

from edgepose.methods.base import Crop, Estimate, Heatmaps, MethodSpec
from edgepose.results import Origin
from edgepose_runtime.backends.base import Network
from edgepose_runtime.geometry.roi import Roi


class FramewiseMethod:
    """Runs one network on every frame; no frame knows of another.

    Args:
        spec: geometry of crop and heat-maps.
        body: the network: ``image`` to ``heatmaps``.
    """

    def __init__(self, spec: MethodSpec, body: Network) -> None:
        self.spec = spec
        self._body = body

    def locate(self, crop: Crop, roi: Roi) -> Heatmaps:  # noqa: ARG002 - Method's signature
        """Run the network."""
        heatmaps: Heatmaps = self._body.infer({"image": crop[None]})["heatmaps"][0]
        return heatmaps

    def initialise(self, crop: Crop, roi: Roi) -> Estimate:
        """Run the network."""
        return Estimate(self.locate(crop, roi), None, Origin.INITIALISED)

    def advance(self, crop: Crop, roi: Roi, state: None) -> Estimate:  # noqa: ARG002 - as above
        """Run the network: there is nothing to go on from."""
        return Estimate(self.locate(crop, roi), None, Origin.INITIALISED)
