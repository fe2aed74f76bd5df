"""Readers that are given what is no file, or far too much."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from edgepose.benchmarking.accuracy import read_accuracy
from edgepose.datasets.readers.archives import open_archive
from edgepose.datasets.readers.tables import load_table
from edgepose.inference.model import bundle_path
from edgepose.training.config.loader import load_recipe
from edgepose_runtime.bundles.springs_json import read_springs
from edgepose_runtime.capture import open_source
from edgepose_runtime.errors import ConfigError, EdgePoseError
from edgepose_runtime.files import read_json, read_regular, require_small
from edgepose_runtime.interpolation.dictionary import load_dictionary

needs_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")


def read_frames(path):
    with open_source(path) as source:
        return list(source)


READERS = {
    ".json": [read_accuracy, read_springs],
    ".npz": [load_table, load_dictionary],
    ".zip": [open_archive],
    ".png": [read_frames],
    ".mp4": [read_frames],
}


@needs_pipes
@pytest.mark.parametrize("special", ["a pipe", "/dev/zero", "/dev/full", "a folder"])
@pytest.mark.parametrize(
    ("suffix", "read"), [(suffix, read) for suffix, all_ in READERS.items() for read in all_]
)
def test_every_reader_refuses_what_is_no_file(suffix, read, special, tmp_path):
    """Reading a pipe waits for ever, and a device ends when memory does."""
    path = tmp_path / f"given{suffix}"
    if special == "a pipe":
        os.mkfifo(path)
    elif special == "a folder":
        path.mkdir()
    elif Path(special).exists():
        path.symlink_to(special)
    with pytest.raises(EdgePoseError):
        read(path)


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    path = tmp_path / "large.json"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # takes no room on the disk
    with pytest.raises(OSError, match="may have 100 at most"):
        read_regular(path, 100)
    with pytest.raises(EdgePoseError):
        read_springs(path)


@pytest.mark.parametrize("depth", [10_000, 200_000])
def test_json_that_is_nested_too_deeply_is_refused(depth, tmp_path):
    path = tmp_path / "deep.json"
    path.write_text("[" * depth + "]" * depth)
    with pytest.raises(ValueError, match="nested too deeply"):
        read_json(path)
    with pytest.raises(EdgePoseError):
        read_accuracy(path)


def test_an_archive_that_unpacks_to_too_much_is_refused_before(tmp_path):
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, zeros=np.zeros(1 << 20, np.uint8))
    with np.load(path) as archive, pytest.raises(OSError, match="may hold 1000 at most"):
        require_small(archive, 1000)


@pytest.mark.parametrize("frames", ["many", None, -0.5, [1], {}])
def test_results_with_values_of_other_types_are_refused(frames, tmp_path):
    path = tmp_path / "benchmark.json"
    known = {"data": "clips", "clips": 2, "headline": "PCK", "results": []}
    path.write_text(json.dumps({"accuracy": {**known, "frames": frames}}))
    with pytest.raises(EdgePoseError, match="frames"):
        read_accuracy(path)
    path.write_text(json.dumps({"accuracy": {**known, "frames": 20}}))
    assert read_accuracy(path).frames == 20


def test_a_recipe_that_extends_itself_is_refused(tmp_path):
    path = tmp_path / "endless.toml"
    path.write_text('extends = "endless.toml"\n')
    with pytest.raises(ConfigError, match="extends itself"):
        load_recipe(path)


@pytest.mark.parametrize("read", [load_recipe, bundle_path])
def test_a_name_that_no_file_can_have_is_refused(read):
    for name in ("1" * 401, "a\0b"):
        with pytest.raises(EdgePoseError, match="There is no"):
            read(name)
