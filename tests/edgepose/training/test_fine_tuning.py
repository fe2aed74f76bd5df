"""The commands of docs/fine-tuning.md, with two steps for each network."""

import json

import cv2
import numpy as np
import pytest
import torch

from edgepose.cli.main import main
from edgepose.inference.model import bundle_path
from edgepose.testing import standing_person
from edgepose.training.tasks.networks import load_trained
from edgepose_runtime.bundles.bundle import load_bundle
from edgepose_runtime.poses.conversion import convert_keypoints
from edgepose_runtime.poses.skeletons import COCO17, PENN13

pytest.importorskip("onnx")
FROZEN = "backbone.features.0.0.weight"
SHORT = "phases=[{steps=2, size=192, batch=1}]"


@pytest.fixture
def labelled_pictures(tmp_path):
    """A folder with four pictures in the format of COCO in its ``coco/``."""
    (tmp_path / "my-data" / "coco" / "images").mkdir(parents=True)
    people = [standing_person((40 + 4 * i, 48), 60) for i in range(4)]
    labels = np.nan_to_num(convert_keypoints(np.stack(people), PENN13, COCO17))
    labels[..., 2] = np.where(labels[..., 2] > 0, 2, 0)
    rows = [
        {"id": i, "image_id": i, "keypoints": person.ravel().tolist()}
        for i, person in enumerate(labels)
    ]
    images = [{"id": i, "file_name": f"{i}.png"} for i in range(4)]
    folder = tmp_path / "my-data" / "coco"
    (folder / "annotations.json").write_text(json.dumps({"images": images, "annotations": rows}))
    for i in range(4):
        picture = np.full((96, 96, 3), 60 * i, np.uint8)
        assert cv2.imwrite(str(folder / "images" / f"{i}.png"), picture)
    return tmp_path / "my-data"


@pytest.mark.slow
def test_the_body_of_a_shipped_model_learns_from_labelled_pictures_and_goes_back_into_it(
    labelled_pictures, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    start, data = "runs/ppn-swift-start.pth", ["--data-root", str(labelled_pictures)]
    train = [*data, "--workers", "0", "--set", SHORT]
    assert main(["convert", "ppn-swift-float", start, "--from", "bundle"]) == 0
    assert main(["train", "fine-tune", *train]) == 0
    base = ["--base", "ppn-swift-float"]
    assert main(["convert", "runs/fine-tune/checkpoint.pt", "my-model", *base]) == 0
    before, after = (load_bundle(path).manifest for path in (bundle_path(base[1]), "my-model"))
    assert after.name == "my-model"
    assert after.graphs["body"].sha256 != before.graphs["body"].sha256
    assert all(after.graphs[name] == before.graphs[name] for name in ("head", "detector"))
    assert (after.springs, after.score_threshold) == (before.springs, before.score_threshold)
    shipped = torch.load(start, weights_only=True)
    tuned = load_trained("runs/fine-tune/checkpoint.pt").module.state_dict()
    changed = {name for name in shipped if not torch.equal(shipped[name], tuned[name])}
    assert FROZEN in shipped
    assert FROZEN not in changed
    assert "head.final_layer.weight" in changed
