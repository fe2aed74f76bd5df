import csv
import signal
from dataclasses import replace

import pytest
import torch
from torch import nn

from edgepose.training import trainer as trainer_module
from edgepose.training.checkpoint import load_checkpoint
from edgepose.training.devices import find_device
from edgepose_runtime.errors import CheckpointError, DataError, DeviceError


def rows(folder):
    with (folder / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(autouse=True)
def report_every_step(monkeypatch):
    monkeypatch.setattr(trainer_module, "REPORT_STEPS", 1)


def stop_after(trainer, step):
    """A report callback that stops the run."""
    return lambda progress: trainer.stop() if progress.step == step else None


def test_a_run_leaves_a_checkpoint_a_log_and_curves(trainer, tmp_path):
    seen = []
    assert trainer().run(seen.append)
    assert [progress.step for progress in seen] == [1, 2, 3, 4, 5, 6]
    content = load_checkpoint(tmp_path / "run" / "checkpoint.pt")
    assert content["step"] == 6
    assert content["training"]["images"] == 12
    assert content["config"]["name"] == "tiny"
    assert len(rows(tmp_path / "run")) == 6
    assert (tmp_path / "run" / "curves.png").is_file()


def test_the_loss_falls(trainer, recipe):
    seen = []
    config = recipe(phases=[{"steps": 40, "size": 64, "batch": 4}], foreground=8.0)
    trainer(config).run(seen.append)
    assert seen[-1].metrics["loss"] < 0.7 * seen[0].metrics["loss"]


def test_a_stopped_run_goes_on_without_a_jump(trainer, tmp_path):
    """Same weights, averages and log to the last bit as a run that was never stopped."""
    trainer().run(lambda _: None)
    whole = load_checkpoint(tmp_path / "run" / "checkpoint.pt")
    expected = rows(tmp_path / "run")
    (tmp_path / "run").rename(tmp_path / "whole")

    first = trainer()
    assert not first.run(stop_after(first, 3))
    assert load_checkpoint(tmp_path / "run" / "checkpoint.pt")["step"] == 3
    assert trainer(resume=True).run(lambda _: None)
    resumed = load_checkpoint(tmp_path / "run" / "checkpoint.pt")

    for part in ("model", "ema"):
        for name, value in whole[part].items():
            assert torch.equal(value, resumed[part][name]), name
    for a, b in zip(expected, rows(tmp_path / "run"), strict=True):
        assert {**a, "images_per_second": ""} == {**b, "images_per_second": ""}


def test_worker_processes_change_nothing(trainer, tmp_path):
    trainer().run(lambda _: None)
    alone = load_checkpoint(tmp_path / "run" / "checkpoint.pt")["model"]
    (tmp_path / "run").rename(tmp_path / "alone")
    trainer(workers=1).run(lambda _: None)
    helped = load_checkpoint(tmp_path / "run" / "checkpoint.pt")["model"]
    assert all(torch.equal(value, helped[name]) for name, value in alone.items())


def test_time_that_is_up_stops_a_run_cleanly(trainer, tmp_path):
    assert not trainer(max_minutes=0.0).run(lambda _: None)
    assert load_checkpoint(tmp_path / "run" / "checkpoint.pt")["step"] == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_stop_a_run_with_a_checkpoint(trainer, tmp_path, number):
    before = signal.getsignal(number)
    assert not trainer().run(lambda _: signal.raise_signal(number))
    assert load_checkpoint(tmp_path / "run" / "checkpoint.pt")["step"] == 1
    assert signal.getsignal(number) is before


def test_a_second_signal_interrupts_at_once(trainer):
    def report(_):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        trainer().run(report)


def test_a_loss_that_is_no_number_is_an_error_that_says_what_to_do(trainer):
    class Bad(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Conv2d(3, 13, 4, 4)

        def forward(self, image):
            return self.layer(image) * float("nan")

    with pytest.raises(CheckpointError, match=r"not a number at step 0.*learning rate"):
        trainer(network=Bad()).run(lambda _: None)


@pytest.mark.parametrize("workers", [0, 1])
def test_data_that_cannot_be_used_is_one_sentence(trainer, stills, workers):
    broken = replace(stills.images[0], picture=b"no picture")
    stills.images[:] = [broken]
    with pytest.raises(DataError, match="in a row") as error:
        trainer(workers=workers).run(lambda _: None)
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_checkpoints_are_written_on_the_way(trainer, recipe, tmp_path):
    steps = []

    def report(_):
        path = tmp_path / "run" / "checkpoint.pt"
        steps.append(load_checkpoint(path)["step"] if path.is_file() else 0)

    trainer(recipe(checkpoint_minutes=0.0)).run(report)
    assert steps == [0, 1, 2, 3, 4, 5]


def test_validation_sees_the_averaged_weights_and_its_figures_are_logged(trainer, recipe, tmp_path):
    weights = []

    def validate(module):
        assert not module.training
        weights.append(module[0].weight.clone())
        return {"pck": 50.0}

    run = trainer(recipe(validate_every=4), validate=validate)
    run.run(lambda _: None)
    assert [row["pck"] for row in rows(tmp_path / "run")] == ["", "", "", "50", "", "50"]
    content = load_checkpoint(tmp_path / "run" / "checkpoint.pt")
    assert torch.equal(weights[-1], content["ema"]["0.weight"])
    assert not torch.equal(weights[-1], content["model"]["0.weight"])


def test_a_checkpoint_of_another_network_is_refused(trainer, tmp_path):
    trainer().run(lambda _: None)
    with pytest.raises(CheckpointError, match="another network"):
        trainer(network=nn.Conv2d(3, 13, 4, 4), resume=True)


def test_a_changed_recipe_is_mentioned_and_its_rates_count(trainer, recipe, caplog):
    first = trainer()
    first.run(stop_after(first, 2))
    seen = []
    changed = recipe(optimiser={"learning_rate": 5e-2, "schedule": "constant"})
    trainer(changed, resume=True).run(seen.append)
    assert "differs" in caplog.text
    assert seen[-1].metrics["learning_rate"] == 5e-2


def test_resuming_where_nothing_was_left_starts_anew(trainer):
    assert trainer(resume=True).run(lambda _: None)


@pytest.mark.parametrize("name", ["abacus", "cuda:77"])
def test_a_device_that_is_not_there_is_refused(name):
    with pytest.raises(DeviceError, match=name):
        find_device(name)
