import numpy as np
import pytest
from scipy.io import savemat

from edgepose.models.published import load_published_dictionary
from edgepose_runtime.errors import DataError


@pytest.mark.parametrize(
    ("file", "frames"), [("jhmdb_T40_N161.mat", 40), ("penn_T60_N161.mat", 60)]
)
def test_published_dictionaries_are_read(data_root, file, frames):
    dictionary = load_published_dictionary(data_root / "dyan" / file)
    assert dictionary.matrix.shape == (frames, 161)
    np.testing.assert_allclose(np.linalg.norm(dictionary.matrix, axis=0), 1, atol=1e-5)
    assert dictionary.atoms(40).shape == (40, 161)


@pytest.mark.parametrize("matrix", [np.full((4, 5), np.nan), np.zeros((2, 3, 4)), "text"])
def test_a_dictionary_that_is_no_matrix_is_refused(tmp_path, matrix):
    savemat(tmp_path / "d.mat", {"Dictionary": matrix})
    with pytest.raises(DataError, match=r"d\.mat"):
        load_published_dictionary(tmp_path / "d.mat")


def test_a_file_without_a_dictionary_is_refused(tmp_path):
    savemat(tmp_path / "d.mat", {"Other": 1})
    with pytest.raises(DataError, match="Dictionary"):
        load_published_dictionary(tmp_path / "d.mat")
