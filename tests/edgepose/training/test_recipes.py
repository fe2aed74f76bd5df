"""Every shipped recipe trains, its starting weights fit, and documents name it correctly."""

import json
import re
import shlex
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from edgepose.datasets.records import PersonClip, PersonImage
from edgepose.datasets.sampling.sampler import Source
from edgepose.inference.model import bundle_path
from edgepose.models.backbones import hrnet, resnet
from edgepose.testing import standing_person
from edgepose.training import run
from edgepose.training.checkpoint import Weights
from edgepose.training.config.loader import RECIPES, load_config, load_recipe, recipe_names
from edgepose.training.config.settings import TrainConfig
from edgepose.training.run import train
from edgepose.training.state import TrainingState
from edgepose.training.tasks import adversary, stages
from edgepose.training.tasks.networks import build_module, convert_outputs, named_part
from edgepose.training.trainer import RunSettings
from edgepose_runtime.poses.conversion import convert_keypoints
from edgepose_runtime.poses.skeletons import PENN13
from tests.edgepose.training.conftest import draw

ROOT = Path(__file__).parents[3]
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "benchmarks" / "README.md"]
CLIP_SETS = {"jhmdb", "penn", "sub-jhmdb", "full-jhmdb"}
#: Recipes of published networks that are always trained: the others have the same parts, larger.
ALWAYS = {"mpii/mobilenet-v2-duc", "sub-jhmdb/ppn-resnet18-stride8"}
#: Runs whose checkpoint a recipe starts from, by the file that it names.
RUNS = {f"runs/{name.replace('/', '-')}/checkpoint.pt": name for name in recipe_names()}


@pytest.fixture
def small_world(monkeypatch):
    """Drawn people in place of data, random weights to start from, and fewer equal blocks.

    A ResNet keeps one block of each width and HRNet one module for each number of branches: the
    others repeat these, and a checkpoint of all of them is half a gigabyte.
    """
    for depth in (18, 34, 50, 101):
        monkeypatch.setitem(resnet._BLOCKS, depth, (1, 1, 1, 1))
    monkeypatch.setattr(hrnet, "_MODULES", (1, 1, 1))
    monkeypatch.setattr(hrnet, "_BLOCKS_PER_BRANCH", 1)
    monkeypatch.setattr(run, "load_source", drawn_source)
    monkeypatch.setattr(stages, "start_from", lambda *_: None)
    monkeypatch.setattr(adversary, "find_weights", lambda name, _root: Path(name))
    monkeypatch.setattr(adversary, "load_weights", lambda _: Weights({}, None))
    monkeypatch.setattr(adversary, "load_backbone_weights", lambda *_: None)


def drawn_source(kind, share, _folder, skeleton, **_options) -> Source:
    """Return pictures or a clip of a person, whichever the set has."""
    people = np.stack([standing_person((40 + 2 * i, 48), 60) for i in range(10)])
    pictures = [draw(person) for person in people]
    joints = np.nan_to_num(convert_keypoints(people, PENN13, skeleton))
    if kind in CLIP_SETS:
        return Source(kind, share, clips=[PersonClip("clip", tuple(pictures), joints)])
    stills = zip(pictures, joints, strict=True)
    return Source(kind, share, images=[PersonImage("still", *still) for still in stills])


def trained_recipes():
    """Yield all recipes, most of those of published networks with a marker."""
    for name in recipe_names():
        large = "/" in name and name not in ALWAYS
        yield pytest.param(name, marks=[pytest.mark.published] if large else [])


def two_steps(name: str) -> TrainConfig:
    """Return a recipe with two steps of the smallest batch and, where it fits, input size."""
    config = load_config(name)
    # A PPU, a simcc head and upright images are of one size; at 64 pixels a discriminator of half
    # the size has one cell left.
    size = 64 if config.adversary is None else 128
    has_size = config.ppn is not None or config.view is not None
    if has_size or "simcc" in str((config.dkd, config.network)):
        size = config.phases[-1].size
    changes = [f"phases=[{{steps=2, size={size}, batch=1}}]", "validate_every=0"]
    changes += ["sequence.length=2"] if config.sequence is not None else []
    changes += ["slices.length=2"] if config.slices is not None else []
    return load_config(name, changes)


@pytest.mark.parametrize("name", trained_recipes())
def test_every_recipe_trains_two_steps(small_world, monkeypatch, tmp_path, name):
    saved = []
    monkeypatch.setattr(TrainingState, "save", lambda state, _: saved.append(state))
    steps = []
    config = two_steps(name)
    assert train(config, tmp_path, RunSettings(tmp_path, workers=0), steps.append)
    assert [progress.step for progress in steps] == [1, 2]
    assert np.isfinite(steps[-1].metrics["loss"])
    assert all(bool(torch.isfinite(value).all()) for value in saved[-1].module.parameters())


@pytest.mark.parametrize(
    "name", [name for name in recipe_names() if set(load_config(name).start.values()) & set(RUNS)]
)
def test_what_another_recipe_makes_fits_where_a_recipe_starts_from_it(name):
    config = load_config(name)
    with torch.device("meta"):  # without memory or time for weights
        module = build_module(config)
        for part, file in config.start.items():
            if file in RUNS:
                before = load_config(RUNS[file])
                made = shapes(convert_outputs(*made_by(before), config.joints))
                assert made == shapes(named_part(module, part).state_dict()), (part, file)


def made_by(config: TrainConfig):
    return build_module(config).state_dict(), config.joints


def shapes(weights):
    return {name: tuple(value.shape) for name, value in weights.items()}


def commands(text: str) -> list[list[str]]:
    """Return the words of each ``edgepose train`` of a document, broken lines joined."""
    text = re.sub(r"\\\n\s*", " ", text)
    blocks = re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    lines += [" ".join(quoted.split()) for quoted in re.findall(r"`(edgepose train [^`]*)`", text)]
    found = [line for line in lines if line.startswith("edgepose train ")]
    return [shlex.split(line, comments=True)[2:] for line in found]


def changes_of(words: list[str]) -> list[str]:
    """Return what is set, without what a document leaves out by dots."""
    pairs = pairwise(words)
    return [after for word, after in pairs if word == "--set" and "..." not in after]


NAMED = [
    pytest.param(words, id=f"{path.relative_to(ROOT)}-{' '.join(words)}")
    for path in DOCUMENTS
    for words in commands(path.read_text(encoding="utf8"))
    if words[0] != "my-recipe.toml" and "*" not in words[0]  # one's own file; several at once
]


def test_documents_name_recipes():
    assert len(NAMED) > 20


@pytest.mark.parametrize("words", NAMED)
def test_every_command_in_a_document_names_a_recipe_and_options_that_it_has(words):
    require_buildable(words[0], changes_of(words))


@pytest.mark.parametrize("path", sorted(RECIPES.rglob("*.toml")), ids=lambda path: path.stem)
def test_every_change_that_a_recipe_suggests_is_possible(path):
    comments = "\n".join(re.findall(r"#\s*(.*)", path.read_text(encoding="utf8")))
    name = example_of(path)
    for change in re.findall(r"--set ('[^']+'|\S+=\S+)", comments):
        if "FILE" not in change and "..." not in change:
            require_buildable(name, [change.strip("'").rstrip(".,;")])


@pytest.mark.parametrize("name", ["ppn-swift", "ppn-stable"])
def test_the_model_card_beside_a_recipe_says_what_the_shipped_bundle_does(name):
    card = json.loads((RECIPES / f"{name}.card.json").read_text(encoding="utf8"))
    shipped = json.loads((bundle_path(name) / "manifest.json").read_text(encoding="utf8"))
    for topic, said in card.items():
        assert said.items() <= shipped[topic].items(), topic


def example_of(path: Path) -> str:
    """Return the name of a recipe, or of one that extends it where it is a base."""
    if path.stem[0] != "_":
        return path.relative_to(RECIPES).with_suffix("").as_posix()
    others = sorted(path.parent.glob("[!_]*.toml"))
    return next(example_of(file) for file in others if f'"{path.name}"' in file.read_text())


def require_buildable(name: str, changes: list[str]) -> None:
    config = load_recipe(name, changes)
    if isinstance(config, TrainConfig):
        with torch.device("meta"):
            build_module(config)
