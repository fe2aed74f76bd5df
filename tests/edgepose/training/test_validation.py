import numpy as np
import pytest
import torch
from torch import nn

from edgepose.datasets.clips import Clip
from edgepose.datasets.sampling.targets import TargetSettings, render_targets
from edgepose.models import PPN
from edgepose.testing import standing_person
from edgepose.training import validation
from edgepose.training.checkpoint import save_checkpoint
from edgepose.training.tasks.networks import build_module
from edgepose.training.validation import Validator, validate_checkpoint
from edgepose_runtime.errors import CheckpointError, DataError
from edgepose_runtime.geometry.roi import Roi, frame_to_crop
from edgepose_runtime.poses.skeletons import PENN13

FRAMES, SIZE = 12, 64


@pytest.fixture
def clip(monkeypatch):
    """Someone who walks to the right before an even background."""
    people = np.stack([standing_person((100 + 3 * t, 120), 120) for t in range(FRAMES)])
    clip = Clip(
        name="walk",
        film="film",
        frames=lambda: iter(np.full((FRAMES, 240, 320, 3), 100, np.uint8)),
        keypoints=people,
        boxes=None,
        skeleton=PENN13,
        fps=25.0,
        split="val",
    )
    monkeypatch.setattr(validation, "select_clips", lambda _: [clip])
    return clip


class Knowing(nn.Module):
    """Gives the maps of whoever walks in the clip: in its crop he stands still."""

    def __init__(self, error=0.0, factor=1.25):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        person = standing_person((100, 120), 120)
        roi = Roi.from_points(person[:, :2]).enlarged(0.1).squared(factor)
        inside = frame_to_crop(person[:, :2], roi, SIZE) + np.array([error, 0.0])
        keypoints = torch.from_numpy(np.column_stack([inside, np.ones(13)]).astype(np.float32))
        self.batches = []
        self.maps, _ = render_targets(keypoints[None], SIZE, TargetSettings())

    def forward(self, image):
        self.batches.append(len(image))
        return self.maps.expand(len(image), -1, -1, -1)


def test_a_network_that_is_right_has_every_joint(clip, recipe, tmp_path):
    network = Knowing()
    found = Validator(recipe(), tmp_path)(network)
    assert found == {"pck_torso@0.2": 100.0, "pck_torso@0.1": 100.0}
    assert network.batches == [3]  # every fifth of twelve frames


def test_errors_between_the_tolerances_tell(clip, recipe, tmp_path):
    # The torso is about a third of the height, which is 120 of about 180 frame pixels in the crop.
    found = Validator(recipe(), tmp_path)(Knowing(error=2.2))
    assert found == {"pck_torso@0.2": 100.0, "pck_torso@0.1": 0.0}


def test_crops_follow_the_convention_that_was_trained(clip, recipe, tmp_path):
    config = recipe(augmentation={"convention": "image"})  # of 64 pixels, too few for the person
    found = Validator(config, tmp_path)(Knowing(factor=1.05))
    assert found == {"pck_torso@0.2": 100.0, "pck_torso@0.1": 100.0}


def test_crops_of_upright_networks_show_more_than_the_region(clip, recipe, tmp_path):
    image = {"backbone": "mobilenet_v2", "head": "pyramid", "image": [32, 64], "region": 48}
    found = Validator(recipe(network=image), tmp_path)(Knowing(factor=1.25 * 64 / 48))
    assert found == {"pck_torso@0.2": 100.0, "pck_torso@0.1": 100.0}


def test_a_ppn_sees_frames_one_after_the_other_beside_its_body(clip, recipe, tmp_path):
    class Wrong(nn.Module):
        def forward(self, _, previous):
            return previous.flip(-1) * 2

    body = Knowing()
    config = recipe(ppn="ppn-swift", sequence={"head": False})
    found = Validator(config, tmp_path)(PPN(None, body, Wrong()))
    assert found["body_pck_torso@0.2"] == 100.0
    assert found["pck_torso@0.2"] < 100.0
    assert body.batches == [1, 3]  # the first maps, and then a fifth of the clip


def test_missing_clips_are_named(recipe, tmp_path):
    with pytest.raises(DataError, match=r"joints\.npz"):
        Validator(recipe(), tmp_path)


def test_a_checkpoint_is_measured_by_its_averaged_weights(clip, recipe, tmp_path):
    config = recipe(network={"backbone": "mobilenet_v2", "neck": 16})
    module = build_module(config)
    content = {"config": config.as_dict(), "ema": module.state_dict(), "step": 7, "training": {}}
    save_checkpoint(tmp_path / "checkpoint.pt", content)
    found = validate_checkpoint(tmp_path / "checkpoint.pt", root=tmp_path)
    assert found["step"] == 7
    assert 0 <= found["pck_torso@0.2"] <= 100


def test_a_checkpoint_that_does_not_fit_its_recipe_is_refused(recipe, tmp_path):
    content = {"config": recipe().as_dict(), "ema": {}, "step": 7, "training": {}}
    save_checkpoint(tmp_path / "checkpoint.pt", content)
    with pytest.raises(CheckpointError, match="do not fit"):
        validate_checkpoint(tmp_path / "checkpoint.pt", root=tmp_path)
