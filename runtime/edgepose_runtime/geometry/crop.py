"""Frames as they come from anywhere, and crops of them as networks want them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.errors import ConfigError, FrameError
from edgepose_runtime.geometry.image_types import ColorOrder, array_of
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.native.library import Kernel, precompiled

Image = NDArray[np.uint8]
#: The side of a square crop in pixels, or the width and height of another.
Size = int | tuple[int, int]

#: The blue, green and red of a pixel, from 0 to 255.
Color = tuple[int, int, int]

#: What a crop shows outside the frame, if nothing else is said: the mean colour of ImageNet.
BACKGROUND: Color = (104, 116, 124)
#: OpenCV's names of the conversions to BGR, by number of channels and order of colours.
_TO_BGR = {
    (1, "bgr"): "COLOR_GRAY2BGR",
    (1, "rgb"): "COLOR_GRAY2BGR",
    (3, "rgb"): "COLOR_RGB2BGR",
    (4, "bgr"): "COLOR_BGRA2BGR",
    (4, "rgb"): "COLOR_RGBA2BGR",
}


def as_bgr(frame: Any, color: ColorOrder = "bgr") -> Image:
    """Return a frame as a C-contiguous uint8 array (H, W, 3) in BGR order.

    A frame that is one already comes back as it is, without a copy.

    Args:
        frame: a uint8 array: BGR (H, W, 3), BGRA (H, W, 4), or grey (H, W) or (H, W, 1). It need
            not be contiguous. Or an image of Pillow, PyAV or PyTorch; see
            :func:`edgepose_runtime.geometry.image_types.array_of`.
        color: order of the colours of an array, ``"rgb"`` for RGB or RGBA.

    Raises:
        FrameError: it is no image, holds other numbers than uint8, is empty, or has a shape that
            could mean several things.
    """
    if not isinstance(frame, np.ndarray):
        frame, color = array_of(frame)
    _check_frame(frame)
    pixels: Image = np.ascontiguousarray(frame)
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    if channels == 3 and color == "bgr":
        return pixels
    import cv2  # here, so that importing this package stays cheap

    code = getattr(cv2, _TO_BGR[channels, color])
    converted: Image = np.asarray(cv2.cvtColor(pixels, code), dtype=np.uint8)
    return converted


def _check_frame(frame: NDArray[Any]) -> None:
    if frame.dtype != np.uint8:
        advice = (
            "convert a range of 0 to 1 by (frame * 255).round().astype(numpy.uint8)"
            if np.issubdtype(frame.dtype, np.floating)
            else "convert it to the range 0 to 255 and to numpy.uint8"
        )
        raise FrameError(f"A frame must hold uint8 values; got {frame.dtype}: {advice}.")
    if frame.ndim not in (2, 3) or frame.shape[2:] not in ((), (1,), (3,), (4,)):
        raise FrameError(
            f"A frame must have shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4); got {frame.shape}."
        )
    if frame.size == 0:
        raise FrameError(f"A frame must have at least one pixel; got shape {frame.shape}.")


def crop_frame(
    frame: Any, roi: Roi, size: Size, out: Image | None = None, background: Color = BACKGROUND
) -> Image:
    """Cut a region out of a frame and resize it, in one pass over its pixels.

    A crop pixel is the mean of the frame over the area it covers, so that a large person does not
    flicker when made small. Where the crop enlarges the frame that becomes linear interpolation.
    Coordinates map as in :func:`edgepose_runtime.geometry.roi.crop_to_frame`. Up to a scale of 100
    frame pixels for one of the crop, values are within one grey level of the exact ones.

    Args:
        frame: as for :func:`as_bgr`.
        roi: the region, with some area. One of other proportions than the crop is stretched.
        size: side of the crop in pixels, or its width and height.
        out: C-contiguous uint8 (height, width, 3) to write into.
        background: what is shown outside the frame.

    Returns:
        The crop, uint8 (height, width, 3) in BGR: ``out`` if that was given.

    Raises:
        FrameError: the frame is not usable.
        ConfigError: ``out`` does not fit.
    """
    pixels = as_bgr(frame)
    width, height = _width_and_height(size)
    shape = (height, width, 3)
    if out is None:
        out = np.empty(shape, np.uint8)
    elif out.shape != shape or out.dtype != np.uint8 or not out.flags.c_contiguous:
        raise ConfigError(
            f"The crop's buffer must be a C-contiguous uint8 array of shape {shape}; "
            f"got {out.dtype} of shape {out.shape}."
        )
    first, scale = _sampling(roi, width, height)
    _crop_area()(pixels, first, scale, background, out)
    return out


@precompiled
def _crop_area() -> Kernel:
    from edgepose_runtime.geometry.crop_kernels import crop_area

    return crop_area


def crop_frame_numpy(frame: Any, roi: Roi, size: Size, background: Color = BACKGROUND) -> Image:
    """Do what :func:`crop_frame` does, as two matrix products."""
    width, height = _width_and_height(size)
    first, scale = _sampling(roi, width, height)
    relative = as_bgr(frame) - np.array(background, np.float64)
    rows = _coverage(first[1], scale[1], relative.shape[0], height)
    columns = _coverage(first[0], scale[0], relative.shape[1], width)
    crop = np.einsum("vy,yxc,ux->vuc", rows, relative, columns, optimize=True) + background
    rounded: Image = np.floor(crop + 0.5).astype(np.uint8)
    return rounded


def _width_and_height(size: Size) -> tuple[int, int]:
    return size if isinstance(size, tuple) else (size, size)


def _sampling(roi: Roi, width: int, height: int) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the frame coordinates of the first crop pixel, and frame pixels per crop pixel."""
    scale = roi.width / width, roi.height / height
    return (roi.x - 0.5 + scale[0] / 2, roi.y - 0.5 + scale[1] / 2), scale


def _coverage(first: float, scale: float, limit: int, size: int) -> NDArray[np.float64]:
    """Return the part (size, limit) of each output pixel's area that an input pixel covers."""
    width = max(scale, 1.0)
    middle = first + scale * np.arange(size)[:, None]
    pixel = np.arange(limit)
    high = np.minimum(middle + width / 2, pixel + 0.5)
    low = np.maximum(middle - width / 2, pixel - 0.5)
    covered: NDArray[np.float64] = np.maximum(high - low, 0) / width
    return covered
