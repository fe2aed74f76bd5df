"""Manifests as JSON text.

A manifest is read strictly: a member that is missing, of a wrong type or unknown is refused, since
running a network with the wrong geometry gives poses that are wrong without looking wrong.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from edgepose_runtime.bundles.json_fields import JsonFields
from edgepose_runtime.bundles.manifest import (
    METHOD_GRAPHS,
    DetectorSpec,
    FileSpec,
    GraphSpec,
    HeatmapSpec,
    InputSpec,
    Manifest,
    Normalisation,
)
from edgepose_runtime.bundles.self_check import Peak, SelfCheck
from edgepose_runtime.bundles.validation import check_manifest
from edgepose_runtime.errors import BundleFormatError, BundleVersionError, ConfigError
from edgepose_runtime.geometry.crop import BACKGROUND, Color
from edgepose_runtime.poses.skeletons import get_skeleton
from edgepose_runtime.tensors import TensorSpec

FORMAT = "edgepose.bundle"
VERSION = 1

_WEIGHTS = ("float32", "float16", "int8")
_VIEW = ("width", "height", "window")
_FILE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def dump_manifest(manifest: Manifest) -> str:
    """Return the text of ``manifest.json``, ending in a newline.

    Raises:
        BundleFormatError: a value has no place in JSON, such as NaN or an array.
    """
    content = {"format": FORMAT, "version": VERSION, **asdict(manifest)}
    # Older releases do not know these members, and need not where they mean nothing.
    for name in ("springs", "detector", "self_check"):
        if content[name] is None:
            del content[name]
    if replace(manifest.input, background=BACKGROUND) == InputSpec(manifest.input.size):
        for name in _VIEW:
            del content["input"][name]
    if manifest.input.background == BACKGROUND:
        del content["input"]["background"]
    if not manifest.head_is_final:
        del content["head_is_final"]
    try:
        return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise BundleFormatError(
            f"The manifest of {manifest.name!r} holds a value that JSON cannot: {error}."
        ) from error


def parse_manifest(text: str) -> Manifest:
    """Read the text of a ``manifest.json``.

    Raises:
        BundleVersionError: it was written for another version of the format.
        BundleFormatError: it is no JSON, no manifest, or not a valid one.
    """
    fields = JsonFields(_parsed(text), "the manifest", BundleFormatError)
    _check_format(fields)
    manifest = Manifest(
        name=_file_name(fields, "name"),
        method=fields.text("method", tuple(METHOD_GRAPHS)),
        skeleton=_skeleton(fields),
        input=_input(fields.section("input")),
        normalisation=_normalisation(fields.section("normalisation")),
        heatmap=_heatmap(fields.section("heatmap")),
        graphs=_graphs(fields.section("graphs")),
        precision=fields.text("precision"),
        weights=fields.text("weights", _WEIGHTS),
        score_threshold=fields.number("score_threshold"),
        reinitialise_every=fields.optional_integer("reinitialise_every", minimum=1),
        head_is_final="head_is_final" in fields.names() and fields.flag("head_is_final"),
        training=fields.free("training"),
        accuracy=fields.free("accuracy"),
        latency=fields.free("latency"),
        licence=fields.free("licence"),
        springs=_springs(fields),
        detector=_detector(fields),
        self_check=_self_check(fields),
    )
    fields.finish()
    check_manifest(manifest)
    return manifest


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _parsed(text: str) -> object:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise BundleFormatError(f"The manifest is not valid JSON ({error}).") from error


def _check_format(fields: JsonFields) -> None:
    """Look at the version before anything else: another one may have other members."""
    fields.text("format", (FORMAT,))
    version = fields.integer("version")
    if version != VERSION:
        raise BundleVersionError(
            f"The bundle has format version {version}, but this release of edgepose reads version "
            f"{VERSION}; convert the checkpoint again, or install the release it was made for."
        )


def _file_name(fields: JsonFields, name: str) -> str:
    """Read a name that is safe to join to a folder."""
    value = fields.text(name)
    if not _FILE_NAME.fullmatch(value):
        raise BundleFormatError(
            f"{name!r} must be a plain name of letters, digits, '.', '_' and '-', but is {value!r}."
        )
    return value


def _skeleton(fields: JsonFields) -> str:
    try:
        return get_skeleton(fields.text("skeleton")).name
    except ConfigError as error:
        raise BundleFormatError(f"The manifest names an unknown skeleton. {error}") from error


def _input(fields: JsonFields) -> InputSpec:
    spec = InputSpec(
        size=fields.integer("size", minimum=1),
        **_view(fields),
        background=_background(fields),
        color=fields.text("color", ("bgr",)),
        dtype=fields.text("dtype", ("uint8",)),
        layout=fields.text("layout", ("nhwc",)),
    )
    fields.finish()
    return spec


def _view(fields: JsonFields) -> dict[str, Any]:
    """Read what is seen of a region; without these members the whole of it, in a square."""
    if not set(_VIEW) & set(fields.names()):
        return {}
    window = fields.numbers("window", 2)
    if not all(0 < part < math.inf for part in window):
        raise BundleFormatError(f"'window' must be two positive numbers, but is {list(window)}.")
    sides = {name: fields.integer(name, minimum=1) for name in ("width", "height")}
    return {**sides, "window": window}


def _background(fields: JsonFields) -> Color:
    """Read what is seen outside the frame; without this member the mean colour of ImageNet."""
    if "background" not in fields.names():
        return BACKGROUND
    values = fields.numbers("background", 3)
    if not all(value in range(256) for value in values):
        raise BundleFormatError(
            f"'background' must be three whole numbers from 0 to 255, but is {list(values)}."
        )
    blue, green, red = (int(value) for value in values)
    return blue, green, red


def _normalisation(fields: JsonFields) -> Normalisation:
    spec = Normalisation(
        mean=fields.numbers("mean", 3),
        std=fields.numbers("std", 3),
        color=fields.text("color", ("rgb", "bgr")),
        folded=fields.flag("folded"),
    )
    fields.finish()
    if not spec.folded:
        raise BundleFormatError("The graphs must normalise pixels themselves ('folded': true).")
    return spec


def _heatmap(fields: JsonFields) -> HeatmapSpec:
    spec = HeatmapSpec(
        size=fields.integer("size", minimum=1),
        stride=fields.number("stride"),
        offset=fields.number("offset"),
    )
    fields.finish()
    if spec.stride <= 0:
        raise BundleFormatError(f"The heat-map's stride must be above 0, but is {spec.stride:g}.")
    return spec


def _springs(fields: JsonFields) -> FileSpec | None:
    if "springs" not in fields.names():
        return None
    section = fields.section("springs")
    spec = FileSpec(
        _file_name(section, "file"), _sha256(section), section.integer("num_bytes", minimum=1)
    )
    section.finish()
    return spec


def _self_check(fields: JsonFields) -> SelfCheck | None:
    if "self_check" not in fields.names():
        return None
    section = fields.section("self_check")
    found = SelfCheck(_peaks(section, "initialised"), _peaks(section, "advanced"))
    section.finish()
    return found


def _peaks(section: JsonFields, name: str) -> tuple[Peak, ...]:
    peaks = []
    for number, item in enumerate(section.items(name)):
        peak = JsonFields(item, f"item {number} of {name}", BundleFormatError)
        peaks.append(Peak(peak.integer("row"), peak.integer("column"), peak.number("value")))
        peak.finish()
    return tuple(peaks)


def _detector(fields: JsonFields) -> DetectorSpec | None:
    if "detector" not in fields.names():
        return None
    section = fields.section("detector")
    strides = section.items("strides")
    if not all(type(stride) is int for stride in strides):
        raise BundleFormatError("The detector's strides must be whole numbers of pixels.")
    spec = DetectorSpec(
        size=section.integer("size", minimum=1),
        strides=tuple(strides),
        score_threshold=section.number("score_threshold"),
        max_overlap=section.number("max_overlap"),
    )
    section.finish()
    return spec


def _graphs(fields: JsonFields) -> dict[str, GraphSpec]:
    return {name: _graph(fields.section(name)) for name in fields.names()}


def _graph(fields: JsonFields) -> GraphSpec:
    spec = GraphSpec(
        file=_file_name(fields, "file"),
        inputs=_tensors(fields, "inputs"),
        outputs=_tensors(fields, "outputs"),
        sha256=_sha256(fields),
        num_bytes=fields.integer("num_bytes", minimum=1),
    )
    fields.finish()
    return spec


def _sha256(fields: JsonFields) -> str:
    """Read a hash; it comes after the file's name, which the error gives."""
    value = fields.text("sha256")
    if not _SHA256.fullmatch(value):
        name = fields.text("file")
        raise BundleFormatError(f"The sha256 of {name!r} is not 64 hexadecimal digits.")
    return value


def _tensors(fields: JsonFields, name: str) -> tuple[TensorSpec, ...]:
    tensors = tuple(_tensor(JsonFields(i, name, BundleFormatError)) for i in fields.items(name))
    if not tensors or len({tensor.name for tensor in tensors}) != len(tensors):
        raise BundleFormatError(f"The {name} of a graph must be tensors with names of their own.")
    return tensors


def _tensor(fields: JsonFields) -> TensorSpec:
    name, dtype, shape = fields.text("name"), fields.text("dtype"), fields.items("shape")
    fields.finish()
    if not all(_is_dimension(dimension) for dimension in shape):
        raise BundleFormatError(
            f"The shape of {name!r} must hold whole numbers above 0 or names of free dimensions, "
            f"but is {shape}."
        )
    return TensorSpec(name, _dtype(name, dtype), tuple(shape))


def _is_dimension(value: object) -> bool:
    if isinstance(value, str):
        return bool(value)
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _dtype(tensor: str, name: str) -> str:
    try:
        known = np.dtype(name).name == name
    except TypeError:
        known = False
    if not known:
        raise BundleFormatError(f"The tensor {tensor!r} has an unknown dtype {name!r}.")
    return name
