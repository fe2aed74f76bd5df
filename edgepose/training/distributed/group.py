"""Joins the processes that train together, checks that they agree, and notices lost ones."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from edgepose.training.devices import find_device
from edgepose.training.distributed.collectives import in_group, process_count
from edgepose.training.distributed.launch import Launch
from edgepose_runtime.errors import ConfigError, ProcessGroupError

#: How long processes wait for each other: longer than the main process takes to validate.
TIMEOUT = timedelta(hours=1)
_MISSING = "nothing"


@contextmanager
def process_group(launch: Launch, device: str) -> Iterator[str]:
    """Join the process group for a while, and yield the device of this process.

    Args:
        launch: how this process was started; alone, it joins nothing.
        device: ``cpu``, whose processes exchange by gloo, or ``cuda``, of which each process gets
            the GPU of its local rank, with NCCL.

    Raises:
        ConfigError: several processes cannot share this device.
        DeviceError: there is no such device.
        ProcessGroupError: the other processes cannot be reached, or one is lost.
    """
    if not launch.is_distributed:
        yield str(find_device(device))
        return
    own = own_device(launch, device)
    if own.type == "cuda":
        torch.cuda.set_device(own)
    with lost_processes_named(launch):
        _join(launch, "nccl" if own.type == "cuda" else "gloo")
        try:
            yield str(own)
        finally:
            dist.destroy_process_group()


def own_device(launch: Launch, device: str) -> torch.device:
    """Return the device of one of several processes.

    Raises:
        ConfigError: several processes cannot share this device.
        DeviceError: there is no such device.
    """
    if device == "cuda":
        return find_device(f"cuda:{launch.local_rank}")
    found = find_device(device)
    if found.type not in ("cpu", "cuda") or (found.type == "cuda" and launch.local_count > 1):
        raise ConfigError(
            f"The device {device!r} cannot be used by {launch.local_count} processes of torchrun; "
            "give --device cpu, or --device cuda for one GPU per process."
        )
    return found


def _join(launch: Launch, backend: str) -> None:
    try:
        dist.init_process_group(backend, timeout=TIMEOUT)
    except (RuntimeError, ValueError) as error:
        place = f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"
        raise ProcessGroupError(
            f"Process {launch.rank} of {launch.count} cannot join the others at {place}: "
            f"{_first_line(error)}. Start all of them with the same options of torchrun."
        ) from error


@contextmanager
def lost_processes_named(launch: Launch) -> Iterator[None]:
    """Turn errors of broken connections into a `ProcessGroupError`."""
    try:
        yield
    except RuntimeError as error:
        if not _is_of_connection(error):
            raise
        raise ProcessGroupError(
            f"Process {launch.rank} of {launch.count} has lost another one: "
            f"{_first_line(error)}. What ended that process is in its own output; start all of "
            "them again with --resume."
        ) from error


def _is_of_connection(error: RuntimeError) -> bool:
    # Gloo raises plain RuntimeErrors that name its source files.
    return isinstance(error, dist.DistError) or "gloo" in str(error).lower()


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else repr(error)


def require_agreement(values: Mapping[str, Any]) -> None:
    """Check that all processes have the same values, by name.

    Raises:
        ConfigError: they differ, in every process.
    """
    if not in_group():
        return
    gathered: list[Any] = [None] * process_count()
    dist.all_gather_object(gathered, dict(values))
    for rank, other in enumerate(gathered):
        for name in sorted({*gathered[0], *other}):
            expected, found = gathered[0].get(name, _MISSING), other.get(name, _MISSING)
            if found != expected:
                raise ConfigError(
                    f"The processes of a run must agree, but {name} is {found!r} in process "
                    f"{rank} and {expected!r} in process 0. Start all of them with the same "
                    "recipe, options, data and versions."
                )
