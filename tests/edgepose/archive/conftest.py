"""Folders of fake videos, and what comes out of them."""

import sys
from pathlib import Path

import pytest

import edgepose

# For worker processes, which import the fakes by name.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def pyarrow():
    """Skip the tests without it."""
    return pytest.importorskip("pyarrow", reason="archives need pyarrow: edgepose[archive]")


@pytest.fixture
def videos(tmp_path):
    """A function that makes a folder of fake videos from their texts, by name."""

    def make(**texts):
        folder = tmp_path / "films"
        folder.mkdir(exist_ok=True)
        for name, text in texts.items():
            (folder / f"{name}.mp4").write_text(text, encoding="utf-8")
        return folder

    return make


@pytest.fixture
def rows_of():
    """A function that returns (video, frame, x of the head) of all rows of an archive."""

    def read(out):
        table = edgepose.read_poses(out)
        names = [table.videos[index] for index in table.video]
        return list(zip(names, table.frame.tolist(), table.keypoints[:, 0, 0], strict=True))

    return read
