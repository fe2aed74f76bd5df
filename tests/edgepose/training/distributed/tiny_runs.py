"""Short runs of small networks, for several processes that are forked from a server."""

from __future__ import annotations

import os
import pickle
import socket
from collections.abc import Callable
from contextlib import ExitStack, closing, nullcontext
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn

from edgepose.datasets.records import PersonClip, PersonImage
from edgepose.datasets.sampling.sampler import Source
from edgepose.models import DKD
from edgepose.models.dkd.distillator import PoseKernels
from edgepose.testing import standing_person
from edgepose.training import trainer as trainer_module
from edgepose.training.config.adversary import AdversarySettings
from edgepose.training.config.loader import parse_config
from edgepose.training.config.settings import TrainConfig
from edgepose.training.distributed.group import process_group
from edgepose.training.distributed.launch import find_launch
from edgepose.training.log import TrainingLog
from edgepose.training.tasks.adversary import Adversary
from edgepose.training.tasks.dkd import DkdTask
from edgepose.training.tasks.fake_quantisation import simulate_int8
from edgepose.training.tasks.stages import ImageTask, Task
from edgepose.training.trainer import Progress, RunSettings, Trainer
from tests.edgepose.training.conftest import draw

JOINTS, CHANNELS = 13, 6
#: Until the first process starts, its server imports torch.
SECONDS = 180

_SERVER = get_context("forkserver")
# An optimiser imports torch._dynamo, in seconds.
_SERVER.set_forkserver_preload(["edgepose.training.run", "torch._dynamo", __name__])


def together(function: Callable[..., Any], count: int, *args: Any, **options: Any) -> list[Any]:
    """Call ``function(rank, *args, **options)`` in processes of a group.

    Returns:
        What each process returned, the error it raised, or None where it died.
    """
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = []
    for rank in range(count):
        ours, theirs = _SERVER.Pipe(duplex=False)
        call = (theirs, rank, count, port, function, args, options)
        process = _SERVER.Process(target=_call, args=call, daemon=True)
        process.start()
        theirs.close()
        started.append((process, ours))
    return [_answer(process, pipe) for process, pipe in started]


def _answer(process: Any, pipe: Connection) -> Any:
    try:
        assert pipe.poll(SECONDS), "A process neither came to its end nor noticed that it cannot."
        return pickle.loads(pipe.recv_bytes())
    except EOFError:
        return None
    finally:
        process.kill()
        process.join()


def _call(pipe: Connection, rank: int, count: int, port: int, function, args, options) -> None:
    torch.set_num_threads(1)
    numbers = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in numbers.items()})
    os.environ["MASTER_ADDR"] = "127.0.0.1"
    try:
        found = function(rank, *args, **options)
    except Exception as error:  # noqa: BLE001 - handed to the test
        found = error
    pipe.send_bytes(pickle.dumps(found))


def people() -> np.ndarray:
    """Return persons (8, 13, 3), of whom the later ones have fewer known joints."""
    shapes = np.stack([standing_person((40 + 2 * i, 48), 50 + 2 * i) for i in range(8)])
    for index, person in enumerate(shapes):
        person[13 - index :] = 0
    return shapes


def stills() -> Source:
    return Source("stills", 1.0, images=[PersonImage("still", draw(p), p) for p in people()])


def clips() -> Source:
    shapes = people()
    return Source("clips", 1.0, clips=[PersonClip("clip", tuple(map(draw, shapes)), shapes)])


class Eye(nn.Module):
    """A frame encoder of one layer and a norm, stride 4."""

    stride = 4

    def __init__(self) -> None:
        super().__init__()
        # Without a bias, which a norm takes away again: its gradient is nothing but rounding.
        self.look = nn.Conv2d(3, CHANNELS, 5, 4, 1, bias=False)
        self.norm = nn.BatchNorm2d(CHANNELS)
        self.final_layer = nn.Conv2d(CHANNELS, JOINTS, 1)

    def features(self, image: Tensor) -> Tensor:
        return torch.relu(self.norm(self.look(image)))

    def classify(self, features: Tensor) -> Tensor:
        return self.final_layer(features)

    def forward(self, image: Tensor) -> Tensor:
        return self.classify(self.features(image))


class Critic(nn.Module):
    """A discriminator of one layer and a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(2 * JOINTS, JOINTS, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(JOINTS)

    def forward(self, _: Tensor, heatmaps: Tensor) -> Tensor:
        return self.norm(self.layer(heatmaps.flatten(1, 2).float()))


def recipe(kind: str, **options: Any) -> TrainConfig:
    """Return a recipe of six steps with three samples each, without draws during a step."""
    values: dict[str, Any] = {
        "name": "tiny",
        "phases": [{"steps": 6, "size": 64, "batch": 3}],
        "sources": [{"kind": "people"}],
        "optimiser": {"warmup": 2, "ema": 0.9},
        "augmentation": {"background_probability": 0.0},
    }
    if kind == "contest":
        values |= {"dkd": "dkd-swift", "sequence": {"length": 3, "corrupt": 0.0}}
    else:
        values |= {"network": {"backbone": "mobilenet_v2"}}
    return parse_config({**values, **options})


def task_of(kind: str, config: TrainConfig) -> Task:
    """Return the task of ``images``, of ``int8`` with simulated rounding, or of a ``contest``."""
    torch.manual_seed(1)
    if kind == "contest":
        settings = AdversarySettings({"backbone": "mobilenet_v2", "stages": 2}, gain=1.0)
        adversary = Adversary(Critic(), settings, config.optimiser)
        return DkdTask(config, DKD(Eye(), PoseKernels(JOINTS, CHANNELS), Eye()), adversary)
    network = Eye()
    if kind == "int8":
        simulate_int8(network)
    return ImageTask(config, network)


def run_tiny(
    rank: int,
    folder: Path,
    kind: str = "images",
    *,
    exact: bool = True,
    plots: bool = False,
    after_step: Callable[[int, Trainer, Progress], None] | None = None,
    options: dict[str, Any] | None = None,
    **settings: Any,
) -> list[Progress]:
    """Train; return the progress of each step.

    Args:
        rank: of this process.
        folder: of the run.
        kind: see `task_of`.
        exact: compute in float32, so that only the order of sums differs.
        plots: draw the curves.
        after_step: called with the rank, the trainer and the progress.
        options: of the recipe.
        settings: of the run.
    """
    config = recipe(kind, **(options or {}))
    seen: list[Progress] = []
    run = RunSettings(folder, **{"workers": 0, **settings})
    with ExitStack() as patches, process_group(find_launch(), "cpu"):
        patches.enter_context(mock.patch.object(trainer_module, "REPORT_STEPS", 1))
        if exact:
            plain = mock.patch.object(torch, "autocast", lambda *_, **__: nullcontext())
            patches.enter_context(plain)
        if not plots:  # which take longer than all steps together
            patches.enter_context(mock.patch.object(TrainingLog, "plot"))
        source = clips() if kind == "contest" else stills()
        trainer = Trainer(config, task_of(kind, config), [source], run)

        def report(progress: Progress) -> None:
            seen.append(progress)
            if after_step is not None:
                after_step(rank, trainer, progress)

        trainer.run(report)
    return seen


def die_at_two(rank: int, _: Trainer, progress: Progress) -> None:
    if rank == 1 and progress.step == 2:
        os._exit(9)


def stop_second_at_three(rank: int, trainer: Trainer, progress: Progress) -> None:
    if rank == 1 and progress.step == 3:
        trainer.stop()


def break_second_at_two(rank: int, trainer: Trainer, progress: Progress) -> None:
    if rank == 1 and progress.step == 2:
        with torch.no_grad():
            trainer._task.module.final_layer.bias.fill_(float("nan"))


def norms_of_parts(rank: int, values: Tensor, sizes: list[int]) -> dict[str, Tensor]:
    """Return what a synchronised norm makes of this process's part of a batch."""
    from edgepose.training.distributed.batch_norm import synchronise_norms

    with process_group(find_launch(), "cpu"):
        norm = nn.BatchNorm2d(values.shape[1])
        synchronise_norms(norm)
        part = values.split(sizes)[rank].clone().requires_grad_(True)
        out = norm(part)
        (out * torch.arange(out.shape[-1])).square().sum().backward()
        return {
            "out": out.detach(),
            "gradient": part.grad,
            "mean": norm.running_mean,
            "variance": norm.running_var,
        }


def agree_on(rank: int, values: list[dict[str, object]]) -> str:
    from edgepose.training.distributed.group import require_agreement

    with process_group(find_launch(), "cpu"):
        require_agreement(values[rank])
    return "agreed"


def resume_in_own_folder(rank: int, folder: Path) -> list[Progress]:
    """Resume where only the main process sees the folder of the run."""
    return run_tiny(rank, folder / ("run" if rank == 0 else "elsewhere"), resume=True)
