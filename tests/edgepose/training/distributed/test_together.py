import csv

import pytest
import torch
from torch import nn

from edgepose.training.checkpoint import load_checkpoint
from edgepose.training.distributed.batch_norm import SynchronisedBatchNorm2d, synchronise_norms
from edgepose_runtime.errors import CheckpointError, ConfigError, ProcessGroupError
from tests.edgepose.training.distributed import tiny_runs
from tests.edgepose.training.distributed.tiny_runs import run_tiny, together

#: A speed, and two ratios, which are means of those of the parts.
LEFT_OUT = {"images_per_second", "against_empty", "against_heatmaps"}


def rows(folder):
    with (folder / "log.csv").open(newline="") as file:
        return [
            {name: float(value) for name, value in row.items() if name not in LEFT_OUT}
            for row in csv.DictReader(file)
        ]


def require_same_run(folder, alone, tolerance=1e-4):
    """The logs and checkpoints of two runs are the same, but for the rounding of float32."""
    first, second = (load_checkpoint(each / "checkpoint.pt") for each in (folder, alone))
    for mine, theirs in zip(rows(folder), rows(alone), strict=True):
        assert mine == pytest.approx(theirs, rel=tolerance)
    for part in ("model", "ema"):
        for name, value in first[part].items():
            expected = second[part][name]
            assert torch.allclose(value, expected, rtol=tolerance, atol=1e-5), name
    assert first["step"] == second["step"]
    assert first["training"] == second["training"]


@pytest.mark.parametrize("kind", ["images", "int8", "contest"])
def test_two_processes_learn_what_one_learns_with_the_same_batches(tmp_path, kind):
    """Parts of two and one samples, with different numbers of known joints and batch norms."""
    run_tiny(0, tmp_path / "alone", kind)
    assert [len(each) for each in together(run_tiny, 2, tmp_path / "both", kind)] == [6, 6]
    require_same_run(tmp_path / "both", tmp_path / "alone")


def test_in_bfloat16_the_curves_are_alike(tmp_path):
    run_tiny(0, tmp_path / "alone", exact=False)
    together(run_tiny, 2, tmp_path / "both", exact=False)
    alone, both = ([row["loss"] for row in rows(tmp_path / each)] for each in ("alone", "both"))
    assert both == pytest.approx(alone, rel=0.02)


def test_only_the_main_process_writes_and_reports(tmp_path):
    main, other = together(run_tiny, 2, tmp_path / "run", plots=True)
    assert all("loss" in progress.metrics for progress in main)
    assert not any(progress.metrics for progress in other)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "checkpoint.pt",
        "curves.png",
        "log.csv",
    ]


@pytest.mark.parametrize("later", [1, 3])
def test_a_run_stopped_by_one_of_two_processes_goes_on_with_another_number(tmp_path, later):
    run_tiny(0, tmp_path / "alone")
    stopped = together(run_tiny, 2, tmp_path / "run", after_step=tiny_runs.stop_second_at_three)
    assert [len(each) for each in stopped] == [3, 3]
    assert load_checkpoint(tmp_path / "run" / "checkpoint.pt")["step"] == 3
    resumed = together(run_tiny, later, tmp_path / "run", resume=True)
    assert [len(each) for each in resumed] == [3] * later
    require_same_run(tmp_path / "run", tmp_path / "alone")


def test_processes_other_than_the_main_one_do_not_need_the_checkpoint(tmp_path):
    """As on machines without a common folder."""
    stopped = tiny_runs.stop_second_at_three
    together(run_tiny, 2, tmp_path / "run", after_step=stopped)
    resumed = together(tiny_runs.resume_in_own_folder, 2, tmp_path)
    assert [each[0].step for each in resumed] == [4, 4]
    assert not (tmp_path / "elsewhere").exists()


def test_a_process_that_dies_is_an_error_in_the_others_and_leaves_the_last_checkpoint(tmp_path):
    options = {"checkpoint_minutes": 0.0}
    main, dead = together(
        run_tiny, 2, tmp_path / "run", options=options, after_step=tiny_runs.die_at_two
    )
    assert dead is None
    assert isinstance(main, ProcessGroupError)
    assert "Process 0 of 2 has lost another one" in str(main)
    assert "--resume" in str(main)
    assert load_checkpoint(tmp_path / "run" / "checkpoint.pt")["step"] == 1


def test_a_loss_that_is_no_number_in_one_process_ends_all_of_them(tmp_path):
    errors = together(run_tiny, 2, tmp_path / "run", after_step=tiny_runs.break_second_at_two)
    assert all(isinstance(error, CheckpointError) for error in errors)
    assert all("not a number at step 2" in str(error) for error in errors)


def test_batches_smaller_than_the_number_of_processes_are_refused(tmp_path):
    options = {"phases": [{"steps": 6, "size": 64, "batch": 1}]}
    errors = together(run_tiny, 2, tmp_path / "run", options=options)
    assert all(isinstance(error, ConfigError) for error in errors)
    assert "batches of 1, too few for 2 processes" in str(errors[0])


def test_processes_that_differ_are_refused_in_all_of_them():
    values = [{"the option seed": 0, "same": 1}, {"the option seed": 5, "same": 1}]
    errors = together(tiny_runs.agree_on, 2, values)
    assert all(isinstance(error, ConfigError) for error in errors)
    assert "the option seed is 5 in process 1 and 0 in process 0" in str(errors[0])
    assert together(tiny_runs.agree_on, 2, [values[0]] * 2) == ["agreed"] * 2


def test_a_synchronised_norm_is_that_of_the_whole_batch():
    torch.manual_seed(0)
    values = 3 + torch.randn(5, 4, 6, 7)
    whole, norm = values.clone().requires_grad_(True), nn.BatchNorm2d(4)
    out = norm(whole)
    (out * torch.arange(7)).square().sum().backward()
    parts = together(tiny_runs.norms_of_parts, 2, values, [4, 1])
    for name, expected in (("out", out), ("gradient", whole.grad)):
        found = torch.cat([part[name] for part in parts])
        assert torch.allclose(found, expected, atol=2e-4), name
    for part in parts:
        assert torch.allclose(part["mean"], norm.running_mean, atol=1e-6)
        assert torch.allclose(part["variance"], norm.running_var, atol=1e-6)


def test_norms_are_synchronised_as_the_same_objects():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    norm = network[1]
    synchronise_norms(network)
    assert network[1] is norm
    assert isinstance(norm, SynchronisedBatchNorm2d)
    norm.eval()
    assert network(torch.zeros(1, 3, 2, 2)).shape == (1, 4, 2, 2)  # alone, without a group
