"""Devices to train on."""

from __future__ import annotations

import torch
from torch import nn

from edgepose_runtime.errors import DeviceError


def find_device(name: str) -> torch.device:
    """The device of this name.

    Raises:
        DeviceError: torch does not know it, or this machine does not have it.
    """
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise DeviceError(
            f"The device {name!r} cannot be used for training here: {str(error).splitlines()[0]} "
            "Choose cpu, or install a build of PyTorch for this device."
        ) from error
    return device


def move(module: nn.Module, device: torch.device) -> nn.Module:
    """Bring a module to a device, convolutions in the order that bf16 kernels like."""
    for layer in module.to(device).modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            layer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return module
