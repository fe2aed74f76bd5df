"""Miniature data sets on disk, laid out as their authors publish them, and pictures of dots."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.io

from edgepose.datasets.records import PersonClip, PersonImage
from edgepose.testing import standing_person

WIDTH, HEIGHT = 64, 48


def picture_of_dots(points, size=(WIDTH, HEIGHT), deviation=1.5):
    """A black picture, (width, height) = ``size``, with a soft white dot on each point."""
    y, x = np.mgrid[: size[1], : size[0]]
    squared = [(x - px) ** 2 + (y - py) ** 2 for px, py in points]
    levels = 255 * np.exp(-np.min(squared, axis=0) / (2 * deviation**2))
    return np.repeat(levels.round().astype(np.uint8)[..., None], 3, axis=2)


def middle_of_dot(image, near, radius):
    """The middle (x, y) of the brightness within ``radius`` pixels of a place."""
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    inside = (x - near[0]) ** 2 + (y - near[1]) ** 2 <= radius**2
    weight = np.where(inside, image[..., 0].astype(float), 0)
    return np.array([(weight * x).sum(), (weight * y).sum()]) / weight.sum()


def png(image):
    return cv2.imencode(".png", image)[1].tobytes()


def write_picture(path, level=0, size=(WIDTH, HEIGHT)):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((size[1], size[0], 3), level, np.uint8))
    return path


def write_matlab(path, **variables):
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(path, variables, do_compression=True)
    return path


@pytest.fixture(scope="session")
def draw_dots():
    return picture_of_dots


@pytest.fixture(scope="session")
def find_dot():
    return middle_of_dot


@pytest.fixture
def person_image():
    """A function that makes a still of a person; its picture may be replaced by anything."""

    def make(name="still", picture=None, **fields):
        keypoints = standing_person((32, 24), 36)
        picture = png(picture_of_dots(keypoints[:, :2])) if picture is None else picture
        return PersonImage(name, picture, keypoints, **fields)

    return make


@pytest.fixture
def person_clip():
    """A function that makes a clip of T frames of a person who goes to the right."""

    def make(num_frames=8, step=1.0, name="clip", **fields):
        poses = [standing_person((24 + step * t, 24), 30) for t in range(num_frames)]
        frames = tuple(png(picture_of_dots(pose[:, :2])) for pose in poses)
        return PersonClip(name, frames, np.stack(poses), **fields)

    return make


@pytest.fixture
def penn(tmp_path):
    """A function that adds a clip to a Penn Action in ``tmp_path`` and returns the root."""

    def write(name="0001", num_frames=3, train=-1, pictures=None, **changes):
        x, y = np.mgrid[:num_frames, :13][1] + 10.0, np.full((num_frames, 13), 20.0)
        labels = {
            "x": x,
            "y": y,
            "visibility": np.ones((num_frames, 13), np.uint8),
            "bbox": np.tile([5.0, 6.0, 40.0, 41.0], (num_frames, 1)),
            "train": train,
            "nframes": num_frames,
            "dimensions": [9999.0, 9999.0, float(num_frames)],
            "action": "bowl",
            "pose": "back",
        }
        write_matlab(tmp_path / "labels" / f"{name}.mat", **labels | changes)
        for index in range(num_frames if pictures is None else pictures):
            write_picture(tmp_path / "frames" / name / f"{index + 1:06}.jpg", 20 * index)
        return tmp_path

    return write


@pytest.fixture
def jhmdb(tmp_path):
    """A function that adds a clip to a published JHMDB in ``tmp_path`` and returns the root."""

    def write(name="some_clip", action="golf", num_frames=3, flags="121", masks=None, **changes):
        joints = np.tile(np.array([[11.0], [21.0]]), (1, 15))
        labels = {"pos_img": np.stack([joints + t for t in range(num_frames)], axis=-1)}
        folder = Path(action, name)
        write_matlab(
            tmp_path / "joint_positions" / folder / "joint_positions.mat", **labels | changes
        )
        if masks is None:
            masks = np.zeros((HEIGHT, WIDTH, num_frames), np.uint8)
            masks[10:31, 5:16] = 1
        write_matlab(tmp_path / "puppet_mask" / folder / "puppet_mask.mat", part_mask=masks)
        for index in range(num_frames):
            write_picture(tmp_path / "Rename_Images" / folder / f"{index + 1:05}.png", 20 * index)
        for number, flag in enumerate(flags, 1):
            path = tmp_path / "sub_splits" / f"{action}_test_split{number}.txt"
            path.parent.mkdir(exist_ok=True)
            with path.open("a") as file:
                file.write(f"{name}.avi {flag} \n")
        return tmp_path

    return write


@pytest.fixture(name="write_picture", scope="session")
def fixture_write_picture():
    return write_picture


@pytest.fixture(name="write_matlab", scope="session")
def fixture_write_matlab():
    return write_matlab


@pytest.fixture(scope="session")
def write_video():
    """A function that writes a video whose frames grow lighter by 40 levels each."""

    def write(path, num_frames, size=(WIDTH, HEIGHT)):
        path.parent.mkdir(parents=True, exist_ok=True)
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 12, size)
        for index in range(num_frames):
            writer.write(np.full((size[1], size[0], 3), 40 * index, np.uint8))
        writer.release()
        return path

    return write


@pytest.fixture(scope="session")
def huge_png():
    """A PNG of a few bytes whose header says 100000 x 100000."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(b"0" * 1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")
