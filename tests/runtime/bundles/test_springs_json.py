"""Springs as files, and in bundles."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import numpy as np
import pytest

from edgepose_runtime.bundles.springs_json import dump_springs, parse_springs, read_springs
from edgepose_runtime.errors import BundleFormatError, BundleVersionError, ConfigError
from edgepose_runtime.poses.skeletons import PENN13
from edgepose_runtime.thin_slicing.graph import body_graph
from edgepose_runtime.thin_slicing.springs import Springs, initial_springs


@pytest.fixture
def springs() -> Springs:
    return initial_springs(body_graph(PENN13, reach=2), rounds=4)


def test_what_is_written_is_read(springs):
    again = parse_springs(dump_springs(springs))
    for field in fields(springs):
        before, after = getattr(springs, field.name), getattr(again, field.name)
        if isinstance(before, np.ndarray):
            np.testing.assert_array_equal(before, after)
        else:
            assert before == after


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("format", "something"),
        ("edges", [{"joints": ["head", "tail"], "spring": [1, 0, 1, 0], "weight": 1}]),
        ("edges", [{"joints": ["head", "left_hip"], "spring": [0, 0, 1, 0], "weight": 1}]),
        ("edges", [{"joints": ["head", "left_hip"], "spring": [1, 0, 1, 0], "weight": -1}]),
        ("edges", [{"joints": ["head", "left_hip"], "weight": 1}]),
        ("unary", []),
        ("rounds", -1),
        ("normalise", "softmax"),
        ("surprise", 1),
    ],
)
def test_what_is_wrong_is_refused(springs, member, value):
    content = json.loads(dump_springs(springs)) | {member: value}
    with pytest.raises(BundleFormatError):
        parse_springs(json.dumps(content))


def test_files_that_are_none_are_refused(tmp_path):
    with pytest.raises(BundleFormatError, match="not valid JSON"):
        parse_springs("{")
    with pytest.raises(BundleFormatError, match="cannot be read"):
        read_springs(tmp_path / "nowhere.json")
    (tmp_path / "empty.json").write_text("{}")
    with pytest.raises(BundleFormatError, match=r"empty\.json"):
        read_springs(tmp_path / "empty.json")


def test_springs_of_another_version_are_refused(springs):
    content = json.loads(dump_springs(springs)) | {"version": 2}
    with pytest.raises(BundleVersionError, match="version 2"):
        parse_springs(json.dumps(content))


@pytest.mark.parametrize("change", [{"gain": np.zeros(13, np.float32)}, {"rounds": -1}])
def test_springs_that_make_no_sense_are_refused(springs, change):
    with pytest.raises(ConfigError):
        replace(springs, **change)
