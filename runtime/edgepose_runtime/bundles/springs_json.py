"""Springs as JSON: small, readable, by the names of joints."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import numpy as np

from edgepose_runtime.bundles.json_fields import JsonFields
from edgepose_runtime.errors import BundleFormatError, BundleVersionError, ConfigError
from edgepose_runtime.files import read_regular, shown
from edgepose_runtime.poses.skeletons import get_skeleton
from edgepose_runtime.thin_slicing.graph import named_graph
from edgepose_runtime.thin_slicing.springs import Floats, Normalisation, Springs

FORMAT = "edgepose.springs"
VERSION = 1


def dump_springs(springs: Springs) -> str:
    """Return springs as JSON text, ending in a newline."""
    joints = springs.graph.skeleton.joints
    content = {
        "format": FORMAT,
        "version": VERSION,
        "skeleton": springs.graph.skeleton.name,
        "heatmap_size": springs.heatmap_size,
        "rounds": springs.rounds,
        "normalise": springs.normalise,
        "exclude_reverse": springs.exclude_reverse,
        "reach": springs.graph.reach,
        "edges": [
            {"joints": list(names), "spring": _rounded(spring), "weight": _rounded(weight)}
            for names, spring, weight in zip(
                springs.graph.names, springs.spatial, springs.spatial_weight, strict=True
            )
        ],
        "temporal": [
            {"joint": joint, "spring": _rounded(spring), "weight": _rounded(weight)}
            for of_distance, weights in zip(springs.temporal, springs.temporal_weight, strict=True)
            for joint, spring, weight in zip(joints, of_distance, weights, strict=True)
        ],
        "unary": [
            {"joint": joint, "gain": _rounded(gain), "bias": _rounded(bias)}
            for joint, gain, bias in zip(joints, springs.gain, springs.bias, strict=True)
        ],
    }
    return json.dumps(content, indent=1) + "\n"


def parse_springs(text: str) -> Springs:
    """Read what :func:`dump_springs` wrote.

    Raises:
        BundleFormatError: it is no JSON, or no springs, or they contradict themselves.
        BundleVersionError: they are of another version of the format.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BundleFormatError(f"The springs are not valid JSON ({error}).") from error
    try:
        return _springs(JsonFields(content, "the springs", BundleFormatError))
    except ConfigError as error:
        raise BundleFormatError(f"The springs cannot be used. {error}") from error


def read_springs(path: str | Path) -> Springs:
    """Read a file of springs.

    Raises:
        BundleFormatError: it cannot be read, or holds no springs.
        BundleVersionError: they are of another version of the format.
    """
    try:
        text = read_regular(path).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise BundleFormatError(f"The springs {shown(path)} cannot be read: {error}.") from error
    try:
        return parse_springs(text)
    except BundleFormatError as error:
        raise BundleFormatError(
            f"'{shown(path)}' holds no springs that can be used: {error}"
        ) from error


def _springs(fields: JsonFields) -> Springs:
    fields.text("format", (FORMAT,))
    version = fields.integer("version")
    if version != VERSION:
        raise BundleVersionError(
            f"Springs of format version {version} were given, but this release of edgepose reads "
            f"version {VERSION}; learn them again with: edgepose springs."
        )
    skeleton, reach = get_skeleton(fields.text("skeleton")), fields.integer("reach")
    edges = _each(fields, "edges")
    springs = Springs(
        named_graph(skeleton, [edge["joints"] for edge in edges], reach),
        spatial=_array(edges, "spring").reshape(len(edges), 4),
        temporal=_in_time(fields, skeleton.joints, reach, "spring", (4,)),
        spatial_weight=_array(edges, "weight").reshape(len(edges)),
        temporal_weight=_in_time(fields, skeleton.joints, reach, "weight", ()),
        gain=_array(_named(fields, "unary", skeleton.joints), "gain"),
        bias=_array(_named(fields, "unary", skeleton.joints), "bias"),
        heatmap_size=fields.integer("heatmap_size", minimum=1),
        rounds=fields.integer("rounds"),
        normalise=_normalisation(fields),
        exclude_reverse=fields.flag("exclude_reverse"),
    )
    fields.finish()
    return springs


def _normalisation(fields: JsonFields) -> Normalisation:
    known: tuple[Normalisation, ...] = get_args(Normalisation)
    return known[known.index(fields.text("normalise", known))]


def _in_time(
    fields: JsonFields, joints: tuple[str, ...], reach: int, name: str, shape: tuple[int, ...]
) -> Floats:
    rows = _named(fields, "temporal", joints * reach)
    return _array(rows, name).reshape(reach, len(joints), *shape)


def _named(fields: JsonFields, name: str, joints: tuple[str, ...]) -> list[Mapping[str, Any]]:
    rows = _each(fields, name)
    if tuple(row.get("joint") for row in rows) != joints:
        raise BundleFormatError(f"{name!r} of the springs must name all joints in their order.")
    return rows


def _each(fields: JsonFields, name: str) -> list[Mapping[str, Any]]:
    rows = fields.items(name)
    if not all(isinstance(row, Mapping) for row in rows):
        raise BundleFormatError(f"{name!r} of the springs must list objects.")
    return rows


def _array(rows: list[Mapping[str, Any]], name: str) -> Floats:
    try:
        return np.array([row[name] for row in rows], np.float32)
    except (KeyError, TypeError, ValueError) as error:
        raise BundleFormatError(f"The springs lack numbers {name!r} in a place.") from error


def _rounded(values: Any) -> Any:
    """Seven digits give a float32 back exactly enough, and keep the file small."""
    return [float(f"{v:.7g}") for v in values] if np.ndim(values) else float(f"{values:.7g}")
