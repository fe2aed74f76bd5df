"""Refining on the command line."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest

from edgepose.cli.main import main
from edgepose_runtime.bundles.bundle import load_bundle
from edgepose_runtime.bundles.springs_json import dump_springs
from edgepose_runtime.poses.skeletons import PENN13
from edgepose_runtime.thin_slicing.graph import body_graph
from edgepose_runtime.thin_slicing.springs import initial_springs


@pytest.fixture
def springs(tmp_path):
    """A file of springs that connect frames only."""
    springs = initial_springs(body_graph(PENN13), rounds=1)
    file = tmp_path / "springs.json"
    file.write_text(dump_springs(replace(springs, spatial_weight=springs.spatial_weight * 0)))
    return file


@pytest.fixture
def bundle(puppet_bundle, springs, tmp_path):
    """The folder of a bundle that has got its springs by the command."""
    folder = tmp_path / "sprung"
    shutil.copytree(puppet_bundle.path, folder)
    assert main(["springs", str(folder), "--springs", str(springs), "--into-bundle"]) == 0
    assert load_bundle(folder).springs() is not None
    return folder


def records(file):
    return [json.loads(line) for line in file.read_text().splitlines()][1:]


def test_track_refines_every_frame_in_order(bundle, puppet_video, tmp_path):
    file = tmp_path / "poses.jsonl"
    words = ["track", str(puppet_video), "--model", str(bundle), "--jsonl", str(file)]
    assert main([*words, "--refine"]) == 0
    found = records(file)
    assert [record["frame"] for record in found] == list(range(12))
    assert {record["origin"] for record in found} == {"refined"}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--lag-frames", "1"], "--lag-frames need --refine thin-slicing"),
        (["--refine", "thin-slicing", "--key-frames"], "--key-frames and --refine exclude"),
        (["--refine", "thin-slicing"], "has no springs"),
    ],
)
def test_options_that_do_not_fit_are_refused(words, sentence, puppet_bundle, puppet_video, capsys):
    model = ["--model", str(puppet_bundle.path)]
    assert main(["track", str(puppet_video), *model, *words]) == 2
    assert sentence in capsys.readouterr().err


def test_a_source_after_refine_is_not_taken_for_its_value_in_silence(puppet_video, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["track", "--refine", str(puppet_video)])
    message = " ".join(capsys.readouterr().err.split())
    assert "write it before --refine, or write --refine=thin-slicing" in message


def test_springs_that_nobody_would_see_are_not_learned(capsys):
    assert main(["springs"]) == 2
    assert "--out FILE" in capsys.readouterr().err
