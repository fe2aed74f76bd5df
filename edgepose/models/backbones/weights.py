"""Loading weights into a network whose names may differ a little from the file's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from edgepose_runtime.errors import CheckpointError

# What trainers put before every name when they wrap or nest the network.
_WRAPPERS = ("module.", "backbone.")
_OWN_PARTS = ("backbone.", "head.")
_HEAD_LAYERS = ("deconv_layers.", "final_layer.")
#: A counter that files from before PyTorch 0.4.1 lack; nothing is computed from it.
COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class LoadReport:
    """Which names did not meet when weights were loaded.

    Attributes:
        missing: names of the network that the file lacks (these keep their initial values).
        unexpected: names of the file that the network has no place for.
    """

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]


def load_backbone_weights(backbone: nn.Module, state_dict: Mapping[str, Tensor]) -> LoadReport:
    """Copy the weights that ``backbone`` knows, and report the names that did not meet.

    A classifier's weights in the file are reported as unexpected; ``module.`` and ``backbone.``
    before the names are dropped.

    Raises:
        CheckpointError: a weight of the same name has another shape, or no name meets at all.
    """
    return _load(backbone, {backbone_name(name): value for name, value in state_dict.items()})


def load_published_weights(network: nn.Module, state_dict: Mapping[str, Tensor]) -> LoadReport:
    """Copy a checkpoint of SimpleBaselines or HRNet into a ``PoseNetwork`` of that form.

    Their files have no level of names for backbone and head: ``conv1.weight`` belongs to the
    first, ``deconv_layers.0.weight`` and ``final_layer.weight`` to the second.

    Raises:
        CheckpointError: a weight of the same name has another shape (another number of joints,
            for instance), or no name meets at all.
    """
    return _load(network, {published_name(name): value for name, value in state_dict.items()})


def _load(module: nn.Module, offered: Mapping[str, Tensor]) -> LoadReport:
    wanted = module.state_dict()
    shared = {name: value for name, value in offered.items() if name in wanted}
    if not shared:
        raise CheckpointError(
            f"None of the {len(offered)} weights in the checkpoint belongs to "
            f"{type(module).__name__}; it was made for another network."
        )
    _require_shapes(wanted, shared)
    module.load_state_dict(shared, strict=False)
    missing = (name for name in wanted if name not in shared and not name.endswith(COUNTER))
    return LoadReport(tuple(missing), tuple(name for name in offered if name not in wanted))


def published_name(name: str) -> str:
    """Return what a `PoseNetwork` calls a weight of SimpleBaselines or HRNet."""
    name = name.removeprefix("module.")
    if name.startswith(_OWN_PARTS):
        return name
    return f"head.{name}" if name.startswith(_HEAD_LAYERS) else f"backbone.{name}"


def backbone_name(name: str) -> str:
    """Return what a backbone calls a weight, without what trainers put before it."""
    for wrapper in _WRAPPERS:
        name = name.removeprefix(wrapper)
    return name


def _require_shapes(wanted: Mapping[str, Tensor], offered: Mapping[str, Tensor]) -> None:
    for name, value in offered.items():
        if value.shape != wanted[name].shape:
            raise CheckpointError(
                f"The weight {name!r} has the shape {tuple(value.shape)} in the checkpoint, "
                f"but the network expects {tuple(wanted[name].shape)}."
            )
