"""What each kind of network becomes in a bundle: the method, and the graphs that it needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from edgepose.models import DKD, PPN
from edgepose_converters.export.networks import (
    ExportedGraph,
    Geometry,
    export_body,
    export_dkd,
    export_image_graph,
    export_ppn,
)
from edgepose_runtime.errors import ConfigError

Graphs = dict[str, ExportedGraph]
FLOW_PROPAGATION = "flow-propagation"


@dataclass(frozen=True)
class Exporter:
    """How a kind of network is exported.

    Attributes:
        method: a key of ``edgepose_runtime.bundles.manifest.METHOD_GRAPHS``.
        starter: returns the part that finds a pose in one image.
        graphs: exports a network, with another one that starts sequences if that is not ``None``,
            and weights stored as the last argument says.
    """

    method: str
    starter: Callable[[Any], nn.Module]
    graphs: Callable[[Any, Geometry, nn.Module | None, str], Graphs]


def exporter_for(network: nn.Module, head: nn.Module | None = None) -> Exporter:
    """Return how a network is exported, with another one that starts sequences if that is given."""
    if isinstance(network, PPN):
        return _PROPAGATION
    if isinstance(network, DKD):
        return _ENCODER_ALONE if network.memory is None else _DISTILLATION
    return _FRAMEWISE if head is None else _FLOW_PROPAGATION


def _export_ppn(ppn: PPN, geometry: Geometry, head: nn.Module | None, weights: str) -> Graphs:
    return export_ppn(ppn, geometry, head=head, weights=weights)


def _export_dkd(dkd: DKD, geometry: Geometry, head: nn.Module | None, weights: str) -> Graphs:
    return export_dkd(dkd, geometry, head=head, weights=weights)


def _export_encoder(dkd: DKD, geometry: Geometry, head: nn.Module | None, weights: str) -> Graphs:
    return _export_single(dkd.encoder, geometry, head, weights)


def _export_single(
    network: nn.Module, geometry: Geometry, head: nn.Module | None, weights: str
) -> Graphs:
    if head is not None:
        raise ConfigError("The network remembers nothing from frame to frame; it takes no head.")
    return export_body(network, geometry, weights=weights)


def _export_pair(
    network: nn.Module, geometry: Geometry, head: nn.Module | None, weights: str
) -> Graphs:
    starter = head or network
    graphs = export_image_graph("head", starter, geometry, weights=weights)
    return {**graphs, **export_body(network, geometry, weights=weights)}


_PROPAGATION = Exporter("propagation", lambda ppn: ppn.head or ppn.body, _export_ppn)
_DISTILLATION = Exporter("distillation", lambda dkd: dkd.initialiser or dkd.encoder, _export_dkd)
# The ablation without kernels remembers nothing.
_ENCODER_ALONE = Exporter("framewise", lambda dkd: dkd.encoder, _export_encoder)
_FRAMEWISE = Exporter("framewise", lambda network: network, _export_single)
# A network for single images beside a head: what lies between is followed by optical flow.
_FLOW_PROPAGATION = Exporter(FLOW_PROPAGATION, lambda network: network, _export_pair)
