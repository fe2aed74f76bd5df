import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepose_runtime.errors import BundleFormatError, BundleNotFoundError, ConfigError
from edgepose_runtime.interpolation.dictionary import (
    DEFAULT_DICTIONARY,
    Kinds,
    MatrixDictionary,
    PoleDictionary,
    load_dictionary,
    pole_atoms,
    save_dictionary,
)

RADIUS, ANGLE = np.array([0.9, 1.0, 1.1]), np.array([0.1, 0.7, 1.4])


@pytest.mark.parametrize(("poles", "columns"), [(40, 161), (80, 321)])
def test_a_dictionary_has_a_constant_and_four_atoms_for_each_pole(poles, columns):
    atoms = pole_atoms(np.linspace(0.85, 1.15, poles), np.linspace(0.01, 1.5, poles), 40)
    assert atoms.shape == (40, columns)
    np.testing.assert_allclose(atoms[:, 0], 1 / np.sqrt(40))
    np.testing.assert_allclose(np.linalg.norm(atoms, axis=0), 1)


def test_atoms_are_real_and_imaginary_parts_of_powers_of_the_poles():
    atoms, time = pole_atoms(RADIUS, ANGLE, 12), np.arange(12)[:, None]
    poles = RADIUS * np.exp(1j * ANGLE)
    powers, opposite = poles**time, (-poles) ** time
    expected = np.concatenate([powers.real, opposite.real, powers.imag, opposite.imag], axis=1)
    expected /= np.linalg.norm(expected, axis=0)
    np.testing.assert_allclose(atoms[:, 1:], expected, atol=1e-12)


def test_atoms_of_fewer_frames_are_not_rows_of_longer_ones():
    assert not np.allclose(pole_atoms(RADIUS, ANGLE, 60)[:40], pole_atoms(RADIUS, ANGLE, 40))


def test_an_atom_of_zeros_stays_one():
    assert not pole_atoms([1.0], [0.0], 5)[:, 3].any()


@given(st.integers(1, 60))
def test_a_matrix_is_cut_as_it_is(length):
    matrix = np.random.default_rng(0).standard_normal((60, 7))
    np.testing.assert_array_equal(MatrixDictionary(matrix).atoms(length), matrix[:length])


@pytest.mark.parametrize("length", [0, 61])
def test_a_matrix_serves_no_longer_windows(length):
    with pytest.raises(ConfigError, match="60 frames"):
        MatrixDictionary(np.ones((60, 7))).atoms(length)


def test_longer_windows_expect_the_same_swings():
    kinds = Kinds(np.ones((1, 5)), np.zeros(1), frames=40)
    dictionary = PoleDictionary([1.0], [0.5], kinds)
    swing = [(dictionary.atoms(n) ** 2 @ dictionary.weights(n)[0]).mean() for n in (40, 80)]
    assert swing[0] == pytest.approx(swing[1])


@pytest.mark.parametrize(
    "make",
    [
        lambda: PoleDictionary([1.0, 1.0], [0.5]),
        lambda: PoleDictionary([np.nan], [0.5]),
        lambda: PoleDictionary([1.0], [0.5], Kinds.equal(4)),
        lambda: MatrixDictionary(np.zeros((0, 4))),
        lambda: MatrixDictionary(np.full((4, 4), np.inf)),
        lambda: Kinds(-np.ones((1, 4)), np.zeros(1)),
        lambda: Kinds(np.ones((1, 4)), np.zeros(2)),
        lambda: Kinds(np.ones(4), np.zeros(1)),
        lambda: Kinds(np.ones((1, 4)), np.full(1, np.nan)),
        lambda: Kinds(np.ones((1, 4)), np.zeros(1), trust=-1.0),
        lambda: Kinds(np.ones((1, 4)), np.zeros(1), frames=0),
    ],
)
def test_what_does_not_fit_is_refused(make):
    with pytest.raises(ConfigError):
        make()


def test_a_saved_dictionary_comes_back(tmp_path):
    kinds = Kinds(np.arange(26.0).reshape(2, 13), np.array([0.5, -0.5]), 0.25, 30)
    save_dictionary(PoleDictionary(RADIUS, ANGLE, kinds), tmp_path / "d.npz")
    back = load_dictionary(tmp_path / "d.npz")
    np.testing.assert_allclose(back.poles, RADIUS * np.exp(1j * ANGLE), rtol=1e-6)
    np.testing.assert_allclose(back.kinds.weights, kinds.weights)
    assert (back.kinds.trust, back.kinds.frames) == (0.25, 30)


def test_a_missing_dictionary_is_named(tmp_path):
    with pytest.raises(BundleNotFoundError, match=r"none\.npz"):
        load_dictionary(tmp_path / "none.npz")


@pytest.mark.parametrize("content", [b"", b"no archive", "cut", {"radius": 1}, {"format": "x"}])
def test_a_damaged_dictionary_is_refused(tmp_path, content):
    path = tmp_path / "d.npz"
    if isinstance(content, dict):
        np.savez(path, **content)
    else:
        whole = DEFAULT_DICTIONARY.read_bytes()
        path.write_bytes(whole[:-40] if content == "cut" else content)
    with pytest.raises(BundleFormatError):
        load_dictionary(path)


def test_the_shipped_dictionary_is_small():
    assert DEFAULT_DICTIONARY.stat().st_size < 100_000
    assert load_dictionary().atoms(40).shape[0] == 40
