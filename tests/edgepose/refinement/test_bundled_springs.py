"""Springs in a bundle: part of it like its graphs, hash and all."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from edgepose.inference.model import load
from edgepose_runtime.bundles.bundle import Bundle, load_bundle, with_springs
from edgepose_runtime.errors import BundleFormatError, BundleHashError
from edgepose_runtime.poses.skeletons import PENN13
from edgepose_runtime.thin_slicing.graph import body_graph
from edgepose_runtime.thin_slicing.springs import initial_springs


@pytest.fixture
def bundle(framewise_bundle, tmp_path) -> Bundle:
    folder = tmp_path / "sprung"
    shutil.copytree(framewise_bundle.path, folder)
    return with_springs(load_bundle(folder), initial_springs(body_graph(PENN13)))


def test_a_bundle_brings_its_springs(bundle, framewise_bundle):
    with load(bundle.path) as model:
        assert model.springs is not None
        np.testing.assert_array_equal(model.springs.spatial[0], np.float32([0.01, 0, 0.01, 0]))
    assert framewise_bundle.springs() is None


def test_springs_can_be_taken_out_again(bundle):
    without = with_springs(bundle, None)
    assert without.springs() is None
    assert "springs" not in (without.path / "manifest.json").read_text()


def test_springs_that_were_changed_are_refused(bundle):
    file = bundle.path / "springs.json"
    file.write_text(file.read_text().replace("0.01", "0.02"))
    with pytest.raises(BundleHashError, match="file of springs"):
        load_bundle(bundle.path)
    file.unlink()
    with pytest.raises(BundleFormatError, match="lacks the file of springs"):
        load_bundle(bundle.path)
