"""A live window."""

from __future__ import annotations

import os
import sys

import cv2
import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.errors import OutputError

_QUIT_KEYS = (ord("q"), 27)


class Window:
    """Shows images until the user presses q or Esc, or closes it. For the main thread.

    Raises:
        OutputError: this OpenCV has no windows, or there is no screen.
    """

    def __init__(self, title: str) -> None:
        _require_screen()
        self._title = title
        cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)
        self._sized = False

    def show(self, image: NDArray[np.uint8]) -> bool:
        """Show an image, uint8 BGR; return whether the user wants to go on."""
        if not self._sized:
            self._fit(image)
        cv2.imshow(self._title, image)
        key = cv2.waitKey(1) & 0xFF
        visible = cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) >= 1
        return visible and key not in _QUIT_KEYS

    def close(self) -> None:
        """Close the window."""
        cv2.destroyWindow(self._title)

    def _fit(self, image: NDArray[np.uint8]) -> None:
        height, width = image.shape[:2]
        scale = min(1.0, 1280 / width, 800 / height)
        cv2.resizeWindow(self._title, round(width * scale), round(height * scale))
        self._sized = True


def _require_screen() -> None:
    """Ask before OpenCV does: without a screen Qt ends the whole process."""
    if not has_windows():
        raise OutputError(
            "--show needs OpenCV with windows, but opencv-python-headless is installed: "
            "pip uninstall opencv-python-headless; pip install opencv-python."
        )
    if not has_screen():
        raise OutputError("--show needs a screen, but there is none; use --video FILE instead.")


def has_windows() -> bool:
    """Return whether this build of OpenCV can open windows."""
    lines = cv2.getBuildInformation().splitlines()
    gui = next((line.split(":", 1)[1].strip() for line in lines if "GUI:" in line), "")
    return gui.upper() != "NONE"


def has_screen() -> bool:
    """Return whether there is a screen to open windows on."""
    if sys.platform != "linux":
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
