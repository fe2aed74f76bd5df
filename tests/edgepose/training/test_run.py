import json

import pytest

from edgepose.training import run as run_module
from edgepose.training.checkpoint import load_checkpoint
from edgepose.training.config.loader import parse_config
from edgepose.training.run import train
from edgepose.training.tasks import stages as tasks
from edgepose.training.trainer import RunSettings
from edgepose_runtime.errors import ConfigError, OutputError


@pytest.fixture
def settings(tmp_path):
    return RunSettings(tmp_path / "run", workers=0)


@pytest.fixture
def sources(monkeypatch, stills, network):
    """What is read in place of data; the tiny network in place of the recipe's."""
    asked = []
    monkeypatch.setattr(
        run_module, "load_source", lambda *args, **options: asked.append((args, options)) or stills
    )
    monkeypatch.setattr(tasks, "build_module", lambda _: network)
    return asked


def test_a_recipe_runs_from_data_to_checkpoint(recipe, settings, sources, tmp_path):
    config = recipe(sources=[{"kind": "people", "path": "here", "share": 0.5}])
    assert train(config, tmp_path, settings, lambda _: None)
    assert sources[0][0][:3] == ("people", 0.5, tmp_path / "here")
    assert load_checkpoint(settings.checkpoint)["step"] == 6
    assert json.loads((settings.folder / "config.json").read_text())["name"] == "tiny"


def test_the_stored_recipe_is_the_one_that_was_run(recipe, settings, sources, tmp_path):
    config = recipe(seed=5)
    train(config, tmp_path, settings, lambda _: None)
    assert parse_config(load_checkpoint(settings.checkpoint)["config"]) == config


def test_unknown_data_is_a_config_error(recipe, settings, tmp_path):
    config = recipe(network={"backbone": "mobilenet_v2", "neck": 16}, sources=[{"kind": "cats"}])
    with pytest.raises(ConfigError, match="cats"):
        train(config, tmp_path, settings, lambda _: None)


def test_a_folder_that_cannot_be_written_is_an_output_error(recipe, sources, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        train(recipe(), tmp_path, RunSettings(tmp_path / "file", workers=0), lambda _: None)
