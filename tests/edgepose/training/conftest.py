"""A person drawn as coloured dots, a network small enough to learn them, and runs of few steps."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from edgepose.datasets.records import PersonClip, PersonImage
from edgepose.datasets.sampling.sampler import Source
from edgepose.testing import standing_person
from edgepose.training.checkpoint import save_checkpoint
from edgepose.training.config.loader import parse_config
from edgepose.training.config.settings import TrainConfig
from edgepose.training.tasks.networks import build_module
from edgepose.training.tasks.stages import ImageTask
from edgepose.training.trainer import RunSettings, Trainer

JOINTS = 13
LIGHT = {"backbone": "mobilenet_v2", "neck": 16}


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)
    torch.manual_seed(0)


def draw(person) -> bytes:
    image = np.full((96, 96, 3), 90, np.uint8)
    for index, (x, y, _) in enumerate(person):
        cv2.circle(image, (round(float(x)), round(float(y))), 3, (20 * index, 255, 0), -1)
    return cv2.imencode(".jpg", image)[1].tobytes()


@pytest.fixture
def stills() -> Source:
    people = [standing_person((40 + 4 * i, 48), 50 + 3 * i) for i in range(4)]
    return Source("stills", 1.0, images=[PersonImage("still", draw(p), p) for p in people])


@pytest.fixture
def clips() -> Source:
    people = np.stack([standing_person((40 + 2 * i, 48), 60) for i in range(8)])
    return Source("clips", 1.0, clips=[PersonClip("clip", tuple(map(draw, people)), people)])


@pytest.fixture
def recipe() -> Callable[..., TrainConfig]:
    """A recipe of six steps, with options changed."""

    def build(**options) -> TrainConfig:
        values = {
            "name": "tiny",
            "phases": [{"steps": 6, "size": 64, "batch": 2}],
            "sources": [{"kind": "people"}],
            "network": {"backbone": "mobilenet_v2"},
            "optimiser": {"warmup": 2, "ema": 0.9},
        }
        if options.get("ppn") or options.get("dkd"):
            del values["network"]
        return parse_config({**values, **options})

    return build


@pytest.fixture
def saved(recipe, tmp_path):
    """Saves a network with its recipe as training does, every weight of its last layer at 3."""

    def save(network=LIGHT, **options):
        config = recipe(network=network, **options)
        module = build_module(config)
        torch.nn.init.constant_(module.head.final_layer.weight, 3.0)
        content = {
            "config": config.as_dict(),
            "model": {},
            "ema": module.state_dict(),
            "step": 5,
            "training": {"images": 10},
        }
        save_checkpoint(tmp_path / "checkpoint.pt", content)
        return tmp_path / "checkpoint.pt"

    return save


def tiny_network() -> nn.Module:
    """(B, 3, S, S) to (B, 13, S / 4, S / 4), with everything that has a state or draws."""
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(3, 16, 5, 2, 2),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Dropout(0.1),
        nn.Conv2d(16, JOINTS, 5, 2, 2),
    )


@pytest.fixture
def network() -> nn.Module:
    """The tiny network."""
    return tiny_network()


@pytest.fixture
def trainer(stills, recipe, tmp_path) -> Callable[..., Trainer]:
    """Builds a run of the tiny recipe in ``tmp_path / "run"``."""

    def build(config=None, *, network=None, validate=None, **settings) -> Trainer:
        config = config or recipe()
        run = RunSettings(tmp_path / "run", **{"workers": 0, **settings})
        task = ImageTask(config, network or tiny_network())
        return Trainer(config, task, [stills], run, validate)

    return build
