import json

import cv2
import numpy as np
import pytest

from edgepose.cli.main import main
from edgepose_converters.export.verification import synthetic_crops
from edgepose_runtime.bundles.bundle import load_bundle


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for index, picture in enumerate(synthetic_crops(96, 3)):
        cv2.imwrite(str(folder / f"{index}.png"), np.asarray(picture))
    return folder


def convert(*words):
    return main(["convert", *map(str, words)])


def test_a_checkpoint_becomes_a_bundle(ppn_checkpoint, pictures, tmp_path, capsys):
    card = tmp_path / "card.json"
    card.write_text(json.dumps({"licence": {"weights": "Apache-2.0"}}))
    out = tmp_path / "tiny"
    options = [
        "--head",
        "average",
        "--scales",
        "1,1.2",
        "--weights",
        "float16",
        "--model-card",
        card,
    ]
    assert convert(ppn_checkpoint, out, *options, "--verify", pictures, "--verify-frames", 2) == 0
    manifest = load_bundle(out).manifest
    assert (manifest.name, manifest.weights) == ("tiny", "float16")
    assert manifest.licence == {"weights": "Apache-2.0"}
    first_words = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    # "No joint scored enough": the network is not trained.
    assert first_words == ["compared", "torch,", "openvino", "onnxruntime", "No", "Wrote"]
    assert all(row["frames"] == 2 for row in manifest.accuracy["conversion"])


@pytest.mark.parametrize("prefix", ["", "average:"])
def test_the_head_may_come_from_another_checkpoint(
    ppn_checkpoint, body_checkpoint, tmp_path, prefix
):
    out = tmp_path / "tiny"
    assert convert(ppn_checkpoint, out, "--head", f"{prefix}{body_checkpoint}") == 0
    assert list(load_bundle(out).manifest.graphs) == ["head", "step", "propagate"]


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        (["--model-card", "nowhere.json"], 2, "cannot be read as JSON"),
        (["--verify", "nowhere.mp4"], 1, "no file"),
        (["--verify", ".", "--verify-frames", "0"], 2, "--verify-frames must be at least 1"),
        (["--head", "nowhere.pt"], 1, "nowhere.pt"),
        (["--name", "../up"], 1, "plain name"),
    ],
)
def test_wrong_options_end_in_one_sentence(
    body_checkpoint, tmp_path, capsys, monkeypatch, options, code, sentence
):
    monkeypatch.chdir(tmp_path)
    assert convert(body_checkpoint, "tiny", *options) == code
    errors = capsys.readouterr().err
    assert sentence in errors
    assert len(errors.splitlines()) == 1
    assert not (tmp_path / "tiny").exists()


def test_a_missing_package_is_named_with_the_command_that_installs_it(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr("edgepose.cli.extras.find_spec", lambda name: None if name == "onnx" else 1)
    assert convert("checkpoint.pt", tmp_path / "tiny") == 1
    assert 'needs onnx; install what is missing: pip install "edgepose[convert]"' in (
        capsys.readouterr().err
    )


def test_scales_that_are_no_numbers_are_wrong_usage(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        convert("checkpoint.pt", tmp_path / "tiny", "--scales", "1,wide")
    assert stopped.value.code == 2
    assert "cannot read '1,wide'" in capsys.readouterr().err
