"""Kernels that were compiled ahead do what numba's do, bit for bit."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest

from edgepose_runtime.geometry import crop_kernels
from edgepose_runtime.heatmaps import kernels as heatmap_kernels
from edgepose_runtime.heatmaps import propagation_kernels
from edgepose_runtime.native import library as native
from edgepose_runtime.native.signatures import LIBRARY, PREFIX, SIGNATURES, sources_hash
from edgepose_runtime.poses import flow_kernels
from edgepose_runtime.poses import kernels as pose_kernels
from edgepose_runtime.poses.grey_view import VIEW_SIZE, view_of

pytestmark = pytest.mark.skipif(
    not native._runs_here(), reason="the library is for Linux on x86-64 with AVX2"
)
RNG = np.random.default_rng(4)


def floats(*shape, dtype=np.float32):
    return RNG.normal(30, 20, shape).astype(dtype)


def joints(missing=0.2):
    found = np.column_stack([floats(13, 2), RNG.random(13, np.float32)]).astype(np.float32)
    found[RNG.random(13) < missing, :2] = np.nan
    return found


def crop_of(height, width, out, first, scale):
    frame = RNG.integers(0, 256, (height, width, 3), np.uint8)
    return frame, first, scale, (104, 116, 124), np.zeros((*out, 3), np.uint8)


def maps():
    return (floats(13, 64, 64) / 60).astype(np.float32)


def views():
    """Two views of noise, the second of it a bit to the right."""
    smooth = cv2.GaussianBlur(
        RNG.integers(0, 256, (VIEW_SIZE, 2 * VIEW_SIZE)).astype(np.uint8), (0, 0), 2
    )
    return [view_of(np.ascontiguousarray(smooth[:, x : x + VIEW_SIZE])) for x in (9, 6)]


def followed(half_trusted):
    before, after = views()
    neighbours = (RNG.random((13, 13)) < 0.2).astype(np.float64)
    outs = np.zeros((13, 2)), np.zeros(13)
    return *before, *after, floats(13, 2, dtype=np.float64), neighbours, half_trusted, 4.0, *outs


def propagated():
    before, after = views()
    known = np.column_stack([floats(13, 2), RNG.random((13, 2)) + 0.5, RNG.normal(0, 2, (13, 2))])
    neighbours = (RNG.random((13, 13)) < 0.2).astype(np.float64)
    weights = (0.47, 0.45, 4.0, 5.0, 0.87, 0.15, 4.0)
    settings = neighbours, (1.5, 0.25), (1.0, 4.0), weights
    return *before, *after, maps(), known, *settings, floats(13, 64, 64), np.zeros((13, 6))


CALLS = {
    "propagate_heatmaps": lambda: [propagated()],
    "propagate_on_three_levels": lambda: [followed(1.0), followed(0.2)],
    "crop_area": lambda: [
        crop_of(480, 640, (256, 256), (-20.3, 31.7), (2.13, 2.13)),
        crop_of(97, 131, (64, 48), (3.2, -8.1), (0.37, 1.61)),
        crop_of(1, 1, (5, 7), (0.0, 0.0), (0.1, 0.3)),
        crop_of(300, 2000, (96, 96), (500.0, -900.0), (30.0, 21.0)),
    ],
    "locate_peaks": lambda: [
        (m, m.reshape(13, -1).argmax(1), quarter, (4.0, 1.5), (3.9, -2.25), floats(13, 3))
        for m in (maps(), np.full((13, 8, 8), np.nan, np.float32))
        for quarter in (False, True)
    ],
    "resample_bilinear": lambda: [
        (maps(), first, scale, floats(13, 64, 64))
        for first, scale in (((0.4, -3.1), (1.03, 0.98)), ((-900.0, 5.0), (0.5, 3.0)))
    ],
    "survey_joints": lambda: [(joints(), 0.3), (joints(), 2.0), (joints(1.0), 0.0)],
    "middle_joint": lambda: [(joints(), 0.1), (joints(0.8), 0.0), (joints(0.0), 0.0)],
    "update_remembered_joints": lambda: [
        (joints(), 0.3, floats(13, 2, dtype=np.float64), floats(13, dtype=np.float64), t, 500.0)
        for t in (10.0, 700.0)
    ],
    "extent_inside": lambda: [
        (floats(13, 2, dtype=np.float64), 64.0, 48.0),
        (np.full((13, 2), np.nan), 640, 480),
    ],
    "smooth_joints": lambda: [
        (
            floats(13, 2, dtype=np.float64),
            t,
            87.5,
            (1.7, 0.3, 1.0, 250.0, 2.0),
            floats(3, 13, 2, dtype=np.float64),
            floats(13, dtype=np.float64),
            floats(13, 2),
        )
        for t in (40.0, 61.0, 900.0)
    ],
}


#: Their sums are vectors, as long as those of the processor.
SUMS_IN_ANY_ORDER = {"propagate_heatmaps", "propagate_on_three_levels"}


def numbas(name):
    modules = (crop_kernels, heatmap_kernels, propagation_kernels, flow_kernels, pose_kernels)
    return next(vars(module)[name] for module in modules if name in vars(module))


def never():
    raise AssertionError("numba was asked")


def kernel(name, compiled=never):
    entry = getattr(native.library(), PREFIX + name)
    return native.NativeKernel(entry, SIGNATURES[name], compiled)


def copied(arguments):
    return [each.copy() if isinstance(each, np.ndarray) else each for each in arguments]


def test_the_library_is_made_of_these_sources():
    made_of = ctypes.c_char_p.in_dll(ctypes.CDLL(str(LIBRARY)), PREFIX + "sources").value
    assert made_of == sources_hash().encode(), (
        "Kernels were changed: run 'python -m edgepose_converters.kernels'."
    )


@pytest.mark.parametrize("name", sorted(SIGNATURES.keys() - SUMS_IN_ANY_ORDER))
def test_both_compute_the_same_bits(name):
    for arguments in CALLS[name]():
        ours, theirs = copied(arguments), copied(arguments)
        results = kernel(name)(*ours), numbas(name)(*theirs)
        assert repr(results[0]) == repr(results[1])
        for mine, other in zip(ours, theirs, strict=True):
            if isinstance(mine, np.ndarray):
                assert mine.tobytes() == other.tobytes()


@pytest.mark.parametrize("name", sorted(SUMS_IN_ANY_ORDER))
def test_both_sum_to_nearly_the_same(name):
    for arguments in CALLS[name]():
        ours, theirs = copied(arguments), copied(arguments)
        kernel(name)(*ours)
        numbas(name)(*theirs)
        for mine, other in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(mine, other, atol=1e-3)


@pytest.mark.parametrize(
    "keypoints",
    [
        joints()[:, ::-1],
        joints().astype(np.float64),
        joints()[None],
        joints().tolist(),
    ],
    ids=["not contiguous", "of another type", "of another shape", "no array"],
)
def test_what_the_library_is_not_for_goes_to_numba(keypoints):
    asked = []
    kernel("survey_joints", lambda: lambda *given: asked.append(given))(keypoints, 0.3)
    assert asked == [(keypoints, 0.3)]


def test_arrays_that_cannot_be_written_or_are_empty_are_read():
    locked = joints(0.0)
    locked.flags.writeable = False
    assert kernel("survey_joints")(locked, 0.0) == numbas("survey_joints")(locked, 0.0)
    assert kernel("survey_joints")(locked[:0], 0.0) == (0, 0.0)


def test_what_a_kernel_refuses_goes_to_numba_which_raises_its_error():
    arguments = [*crop_of(4, 4, (2, 2), (0.0, 0.0), (1e18, 1.0))]
    arguments[-1] = np.zeros((2, 2, 3), np.uint8)
    asked = []
    entry = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p)(lambda *_: 1)
    failing = native.NativeKernel(
        entry, SIGNATURES["crop_area"], lambda: lambda *given: asked.append(len(given))
    )
    failing(*arguments)
    assert asked == [5]


@pytest.mark.parametrize(
    ("change", "available"),
    [
        ("", True),
        ("os.environ['EDGEPOSE_PRECOMPILED'] = '0'", False),
        ("library.CPU_FLAGS = frozenset({'avx9000'})", False),
        ("library.LIBRARY = library.LIBRARY.with_name('signatures.py')", False),
        ("library.sources_hash = lambda: 'of others'", False),
    ],
)
def test_the_library_is_used_only_where_it_fits(change, available):
    code = f"import os\nfrom edgepose_runtime.native import library\n{change}\n"
    code += "print(library.library() is not None)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(available)
