"""What a network sees of a region: which part of it, in how many pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edgepose_runtime.geometry.crop import BACKGROUND, Color, Image, crop_frame
from edgepose_runtime.geometry.roi import Roi


@dataclass(frozen=True, slots=True)
class InputView:
    """The image of a network, cut out of a region that its heat-maps always span as a whole.

    A network for upright images looks at a narrower and higher window around the middle of a
    square region, in fewer columns than rows.

    Attributes:
        width: columns of the image in pixels.
        height: rows of the image in pixels.
        window: width and height of what is seen, in parts of the region's; above 1 more of the
            frame is seen than the region.
        background: what is seen outside the frame, as the network was trained.
    """

    width: int
    height: int
    window: tuple[float, float] = (1.0, 1.0)
    background: Color = BACKGROUND

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of the image: ``(height, width, 3)``."""
        return self.height, self.width, 3

    @property
    def aspect(self) -> float:
        """Width of what is seen of a square region, in parts of its height."""
        across, along = self.window
        return across / along

    def region(self, roi: Roi) -> Roi:
        """Return what is seen of a region."""
        across, along = self.window
        if across == along == 1:
            return roi
        return Roi.around(roi.center, roi.width * across, roi.height * along)

    def crop(self, frame: Any, roi: Roi, out: Image | None = None) -> Image:
        """Cut what is seen of a region out of a frame: uint8 (height, width, 3) in BGR.

        Args:
            frame: as for :func:`edgepose_runtime.geometry.crop.as_bgr`.
            roi: the region, with some area.
            out: C-contiguous uint8 (height, width, 3) to write into.

        Raises:
            FrameError: the frame is not usable.
            ConfigError: ``out`` does not fit.
        """
        size = self.width, self.height
        return crop_frame(frame, self.region(roi), size, out, self.background)
