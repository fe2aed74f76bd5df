import pytest

from edgepose.training.distributed.group import own_device
from edgepose.training.distributed.launch import Launch, find_launch
from edgepose_runtime.errors import ConfigError

TORCHRUN = {
    "RANK": "5",
    "WORLD_SIZE": "8",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "4",
    "MASTER_ADDR": "10.0.0.1",
    "MASTER_PORT": "29500",
}


def test_the_variables_of_torchrun_are_read():
    launch = find_launch(TORCHRUN)
    assert launch == Launch(5, 8, 1, 4, is_distributed=True)
    assert not launch.is_main


@pytest.mark.parametrize("missing", ["RANK", "WORLD_SIZE", "MASTER_ADDR"])
def test_without_them_a_process_is_alone(missing):
    launch = find_launch({name: value for name, value in TORCHRUN.items() if name != missing})
    assert launch == Launch()
    assert launch.is_main


@pytest.mark.parametrize(
    ("name", "value"), [("RANK", "first"), ("RANK", "8"), ("WORLD_SIZE", "2.5"), ("RANK", "-1")]
)
def test_values_that_make_no_group_are_refused(name, value):
    with pytest.raises(ConfigError, match=name):
        find_launch({**TORCHRUN, name: value})


@pytest.mark.parametrize("device", ["meta", "cuda:0"])
def test_a_device_that_processes_cannot_share_is_refused(device, monkeypatch):
    import torch

    from edgepose.training.distributed import group

    monkeypatch.setattr(group, "find_device", torch.device)
    with pytest.raises(ConfigError, match=r"--device cpu, or --device cuda"):
        own_device(Launch(0, 2, 0, 2, is_distributed=True), device)
    assert own_device(Launch(1, 2, 1, 2, is_distributed=True), "cuda") == torch.device("cuda:1")
