"""Images of other libraries: Pillow, PyAV and PyTorch. None of them is imported here."""

from __future__ import annotations

import sys
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.errors import ConfigError, FrameError

#: The order of colours in an array. Images of Pillow, PyAV and PyTorch have one of their own.
ColorOrder = Literal["bgr", "rgb"]
#: Modes of Pillow with one meaning as a picture of 8 bits.
_PILLOW_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV")


class _HasArrayInterface(Protocol):
    """An image of Pillow."""

    @property
    def __array_interface__(self) -> Any: ...


class _HasArray(Protocol):
    """An array of NumPy, or a tensor of PyTorch."""

    def __array__(self, *args: Any, **options: Any) -> Any: ...


class _HasToNdarray(Protocol):
    """A frame of PyAV."""

    def to_ndarray(self, *args: Any, **options: Any) -> Any: ...


#: What type checkers accept as a frame.
FrameLike = _HasArray | _HasArrayInterface | _HasToNdarray


def require_color(color: object) -> None:
    """Refuse an order of colours that there is not.

    Raises:
        ConfigError: it is neither ``"bgr"`` nor ``"rgb"``.
    """
    if not isinstance(color, str) or color not in ("bgr", "rgb"):
        raise ConfigError(f"color must be 'bgr' or 'rgb', the order in arrays; got {color!r}.")


def array_of(image: object) -> tuple[NDArray[Any], ColorOrder]:
    """Return an image of another library as an array, and the order of its colours.

    Args:
        image: an image of Pillow; a frame of PyAV; or a tensor of PyTorch on any device, uint8
            (3, H, W), (4, H, W) or (1, H, W) in RGB, as torchvision has them.

    Returns:
        uint8 (H, W) or (H, W, C); in memory of its own where no conversion to BGR follows.

    Raises:
        FrameError: it is something else, or cannot be converted.
    """
    try:
        if _is_instance(image, "torch", "Tensor"):
            return _tensor(image), "rgb"
        if _is_instance(image, "PIL.Image", "Image"):
            return _pillow(image), "rgb"
        if _is_instance(image, "av", "VideoFrame"):
            return _pyav(image), "bgr"
    except (OSError, RuntimeError, ValueError, TypeError) as error:
        raise FrameError(f"A {type(image).__name__} cannot be read as a frame: {error}.") from error
    raise FrameError(
        "A frame must be a NumPy array of uint8 in BGR order, an image of Pillow, a frame of PyAV "
        f"or a tensor of PyTorch; got {type(image).__name__}."
    )


def time_of(image: object) -> float | None:
    """Return when a frame of PyAV is shown, in ms; ``None`` for what has no time."""
    seconds = getattr(image, "time", None) if _is_instance(image, "av", "VideoFrame") else None
    return None if seconds is None else 1000 * float(seconds)


def _is_instance(value: object, module: str, name: str) -> bool:
    """Whether a value is of a class of a module, which is then loaded already."""
    kind = getattr(sys.modules.get(module), name, None)
    return isinstance(kind, type) and isinstance(value, kind)


def _tensor(tensor: Any) -> NDArray[Any]:
    if str(tensor.dtype) != "torch.uint8":
        raise FrameError(
            f"A tensor must hold uint8 values; got {tensor.dtype}: convert a range of 0 to 1 by "
            "(tensor * 255).round().to(torch.uint8)."
        )
    if tensor.ndim != 3 or tensor.shape[0] not in (1, 3, 4):
        raise FrameError(
            "A tensor must have shape (3, H, W), (4, H, W) or (1, H, W), in RGB; got "
            f"{tuple(tensor.shape)}. Give other layouts as arrays, by tensor.numpy()."
        )
    return np.ascontiguousarray(tensor.detach().permute(1, 2, 0).cpu().numpy())


def _pillow(image: Any) -> NDArray[Any]:
    if image.mode not in _PILLOW_MODES:
        raise FrameError(
            f"An image of Pillow must have a mode of 8 bits; got {image.mode!r}: convert it to "
            "'RGB' or 'L'."
        )
    return np.asarray(image if image.mode == "L" else image.convert("RGB"))


def _pyav(frame: Any) -> NDArray[Any]:
    # A copy: the array may lie in the memory of the frame.
    return np.array(frame.to_ndarray(format="bgr24"))
