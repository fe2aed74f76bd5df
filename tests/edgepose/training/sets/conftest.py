import io
import zipfile

import cv2
import numpy as np
import pytest


@pytest.fixture
def picture():
    """Makes JPEGs that look different by a number: blocks of random brightness."""

    def make(number, size=(120, 160)):
        blocks = np.random.default_rng(number).integers(0, 255, (6, 8, 3), np.uint8)
        image = cv2.resize(blocks, size[::-1], interpolation=cv2.INTER_NEAREST)
        return cv2.imencode(".jpg", image)[1].tobytes()

    return make


@pytest.fixture
def zipped():
    """Makes ZIP files out of contents by name."""

    def make(path, contents):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, content in contents.items():
                archive.writestr(name, content)
        path.write_bytes(buffer.getvalue())

    return make
