"""Values that nobody should pass to an option."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import numpy as np

NUMBERS: tuple[Any, ...] = (
    0, 1, -1, 2, 0.5, 1.0, -0.0, 3.7, 1e-9, 5e-324, 1e300, -1e300, 1e308, 2**31, 2**63, -(2**63),
    10**400, math.nan, math.inf, -math.inf, True, False, np.int64(3), np.int8(-1), np.uint64(2**63),
    np.float32(0.5), np.float64(math.nan), np.float16(math.inf), np.bool_(True), 1j,
)  # fmt: skip
TEXTS: tuple[Any, ...] = (
    "", " ", "auto", "never", "latest", "openvino", "nan", "-1", "1e999", "\0", "a\0b", "\udcff",
    "\x1b[31mred", "\n", "%s%n", "../" * 40, "x" * 300, "x" * 5000, "名前", "grpc://",
    "rtsp://u:p@[", "grpc://host:99999", "http://[::1", "file:///", "/dev/null", "/dev/zero",
    "/", ".", "-", b"bytes",
)  # fmt: skip
OBJECTS: tuple[Any, ...] = (
    None, [], {}, (), [1, 2, 3], {"a": 1}, object(), int, print, len, Path(), Path("a" * 400),
    np.zeros(0), np.zeros((2, 2), np.uint8), np.array(1.5), np.array("text"), range(3), Ellipsis,
    NotImplemented, ValueError("an error as a value"), (math.nan,) * 4, [[1, [2]], 3], iter(()),
)  # fmt: skip


def any_value(rng: random.Random) -> Any:
    """Return a hostile value of any type."""
    return rng.choice(rng.choice((NUMBERS, NUMBERS, TEXTS, OBJECTS)))


def any_image(rng: random.Random) -> Any:
    """Return something that may be a frame, or nearly one."""
    shape = rng.choice(
        [(48, 64, 3), (48, 64), (1, 1, 3), (0, 0, 3), (48, 64, 4), (48, 64, 1), (3, 48, 64), (5,)]
    )
    kind = rng.choice(
        [np.uint8, np.uint8, np.uint8, np.float32, np.float64, np.int64, bool, object]
    )
    image = np.zeros(shape, kind)
    return rng.choice([image, image, image[::-1], image.tolist(), any_value(rng)])
