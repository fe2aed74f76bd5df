import sys

import numpy as np
import pytest
import scipy.io

from edgepose.datasets.readers.tables import load_matlab, load_table, numbers
from edgepose_runtime.errors import DataError


@pytest.fixture(params=["npz", "mat", "packed mat"])
def table(request, tmp_path):
    """A file of an array ``x``, and what reads it."""
    if request.param == "npz":
        np.savez(tmp_path / "labels.npz", x=np.arange(600.0))
        return tmp_path / "labels.npz", load_table
    path = tmp_path / "labels.mat"
    scipy.io.savemat(path, {"x": np.arange(600.0)}, do_compression="packed" in request.param)
    return path, load_matlab


def test_arrays_come_by_name(table):
    path, load = table
    assert load(path, "x")["x"].ravel()[7] == 7


def test_a_missing_file_is_named(table):
    path, load = table
    with pytest.raises(DataError, match=r"nowhere.* is missing"):
        load(path.with_name("nowhere"))


def test_a_missing_array_is_named(table):
    path, load = table
    with pytest.raises(DataError, match="lacks y, z"):
        load(path, "x", "y", "z")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.3, 0.6, 0.9, 0.99])
def test_a_file_that_is_cut_off_is_named(table, share):
    path, load = table
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError, match=r"labels\.\w+' cannot be read"):
        load(path, "x")


def test_a_file_that_is_something_else_is_named(table):
    path, load = table
    path.write_bytes(b"<html>Too many requests</html>" * 20)
    with pytest.raises(DataError, match="cannot be read"):
        load(path)


def test_a_folder_in_place_of_a_file_is_named(tmp_path):
    for load in (load_table, load_matlab):
        with pytest.raises(DataError, match="cannot be read"):
            load(tmp_path)


def test_without_scipy_the_command_that_installs_it_is_given(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(DataError, match=r"pip install 'edgepose\[train\]'"):
        load_matlab(tmp_path / "labels.mat")


@pytest.mark.parametrize(
    "array", [np.zeros((3, 12)), np.zeros(13), np.zeros((3, 13), object), np.full((3, 13), "a")]
)
def test_numbers_of_another_shape_or_type_are_named(array, tmp_path):
    right = np.zeros((3, 13), np.uint8)
    assert numbers({"x": right}, "x", (None, 13), tmp_path).dtype == np.float32
    with pytest.raises(DataError, match=r"'x' in .* should hold any x 13 numbers"):
        numbers({"x": array}, "x", (None, 13), tmp_path)
