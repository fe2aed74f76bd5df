"""What kernels that are compiled ahead take and return, and the sources that they are made of."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from edgepose_runtime.files import hash_files

PACKAGE = Path(__file__).parent.parent
#: The library for Linux on x86-64 with AVX2 and FMA, which all of Intel's and AMD's processors
#: have since 2015 but small ones.
LIBRARY = Path(__file__).with_name("linux_x86_64_v3.so")
#: What its machine code uses, as Linux names it; the third level of the x86-64 ABI.
CPU_FLAGS = frozenset(
    {"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe", "sse4_2", "popcnt", "xsave"}
)
#: Files that the kernels are made of, with the constants that they use.
SOURCES = (
    "geometry/crop_kernels.py",
    "geometry/vector_kernels.py",
    "heatmaps/kernels.py",
    "heatmaps/propagation_kernels.py",
    "poses/flow_kernels.py",
    "poses/grey_view.py",
    "poses/joints.py",
    "poses/kernels.py",
)
#: Functions of the library have this before a kernel's name.
PREFIX = "edgepose_"


class Parameter(NamedTuple):
    """A parameter of a kernel.

    Attributes:
        dtype: NumPy's name of the type of a number.
        ndim: dimensions of a C-contiguous array; 0 for no array.
        length: how many numbers a tuple has; 0 for no tuple.
    """

    dtype: str
    ndim: int = 0
    length: int = 0


class Signature(NamedTuple):
    """Parameters of a kernel, and the types of the numbers that it returns."""

    parameters: tuple[Parameter, ...]
    results: tuple[str, ...] = ()


def _array(dtype: str, ndim: int) -> Parameter:
    return Parameter(dtype, ndim=ndim)


_NUMBER = Parameter("float64")
_PAIR = Parameter("float64", length=2)
_JOINTS = _array("float32", 2)
_PLACES = _array("float64", 2)
_TIMES = _array("float64", 1)
_MAPS = _array("float32", 3)
_IMAGE = _array("uint8", 3)
_GREY = _array("uint8", 2)

SIGNATURES = {
    "crop_area": Signature((_IMAGE, _PAIR, _PAIR, Parameter("int64", length=3), _IMAGE)),
    "locate_peaks": Signature(
        (_MAPS, _array("int64", 1), Parameter("bool"), _PAIR, _PAIR, _JOINTS)
    ),
    "propagate_heatmaps": Signature(
        (
            *6 * (_GREY,),
            _MAPS,
            _PLACES,
            _PLACES,
            _PAIR,
            _PAIR,
            Parameter("float64", length=7),
            _MAPS,
            _PLACES,
        )
    ),
    "propagate_on_three_levels": Signature(
        (*6 * (_GREY,), _PLACES, _PLACES, _NUMBER, _NUMBER, _PLACES, _TIMES)
    ),
    "resample_bilinear": Signature((_MAPS, _PAIR, _PAIR, _MAPS)),
    "survey_joints": Signature((_JOINTS, _NUMBER), ("int64", "float64")),
    "middle_joint": Signature((_JOINTS, _NUMBER), ("float64", "float64")),
    "update_remembered_joints": Signature((_JOINTS, _NUMBER, _PLACES, _TIMES, _NUMBER, _NUMBER)),
    "extent_inside": Signature((_PLACES, _NUMBER, _NUMBER), ("float64",) * 4),
    "smooth_joints": Signature(
        (
            _PLACES,
            _NUMBER,
            _NUMBER,
            Parameter("float64", length=5),
            _array("float64", 3),
            _TIMES,
            _JOINTS,
        )
    ),
}


def sources_hash() -> str:
    """Return a hash of the sources: a library of others is not used."""
    return hash_files(*(PACKAGE / name for name in SOURCES))
