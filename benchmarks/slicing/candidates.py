"""The candidates: unary networks, and the forms of message passing behind each."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgepose.inference.model import PoseModel, load
from edgepose.methods.base import Crop, Heatmaps, MethodSpec
from edgepose_runtime.bundles.springs_json import read_springs
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.thin_slicing.springs import Springs

UNARY = "unary"
_DIGITS = 12
#: Heat-maps are no nearer to 0 and 1 before they are taken back to what was before the sigmoid.
_LEAST = 1e-3


@dataclass(frozen=True)
class Unary:
    """A network that looks at single frames, and what stands behind it.

    Attributes:
        key: changes with its weights; names files of what it said.
        look: potentials (K, h, w) of a crop, about which messages are exchanged.
        spec: geometry of crop and heat-maps.
        forms: springs by the name of the row; ``None`` for its own heat-maps.
        before_sigmoid: the potentials are of before a sigmoid; else they are heat-maps.
    """

    key: str
    look: Callable[[Crop, Roi], Heatmaps]
    spec: MethodSpec
    forms: dict[str, Springs | None]
    before_sigmoid: bool = False

    @property
    def reach(self) -> int:
        """How far apart frames are compared."""
        return max(
            (each.graph.reach for each in self.forms.values() if each is not None), default=1
        )


@contextmanager
def unaries(
    bundle: str, springs: Sequence[str], trained: Sequence[str], *, before_sigmoid: bool = False
) -> Iterator[list[Unary]]:
    """Open the body of a bundle, which stays as it is, and networks trained end to end.

    Args:
        bundle: name or folder.
        springs: ``NAME=FILE``, to be compared with the bundle's own.
        trained: ``NAME=FILE``, checkpoints of the recipe ``thin-slicing``.
        before_sigmoid: add the bundle's springs on what is before the sigmoid of its body.

    Raises:
        ConfigError: one of them has no name.
    """
    with load(bundle, precision="float32", num_threads=1) as model:
        forms: dict[str, Springs | None] = {UNARY: None}
        if model.springs is not None:
            forms |= forms_of(model.springs)
        for name, path in map(_named, springs):
            forms |= {
                f"{name}: {form}": each for form, each in forms_of(read_springs(path)).items()
            }
        frozen = Unary(_key(model), model.method.locate, model.method.spec, forms)
        others = [_trained(name, path, frozen.spec) for name, path in map(_named, trained)]
        if before_sigmoid and model.springs is not None:
            others.append(_before_sigmoid(frozen, model.springs))
        yield [frozen, *others]


def forms_of(springs: Springs) -> dict[str, Springs | None]:
    """Return springs with all of their messages, and with some, by the names of the rows."""
    graph = springs.graph
    found: dict[str, Springs | None] = {
        "S-infer": replace(springs, temporal_weight=np.zeros_like(springs.temporal_weight)),
        "temporal only": replace(springs, spatial_weight=np.zeros_like(springs.spatial_weight)),
    }
    if graph.reach > 1:
        found["ST-infer, t±1"] = replace(
            springs,
            graph=replace(graph, reach=1),
            temporal=springs.temporal[:1],
            temporal_weight=springs.temporal_weight[:1],
        )
    found[f"ST-infer, t±{graph.reach}" if graph.reach else "ST-infer"] = springs
    return found


def _before_sigmoid(unary: Unary, springs: Springs) -> Unary:
    """Return a network that gives linearised responses; see ``linearised_sigmoid``."""

    def look(crop: Crop, roi: Roi) -> Heatmaps:
        maps = unary.look(crop, roi).clip(_LEAST, 1 - _LEAST)
        potentials: Heatmaps = np.log(maps / (1 - maps)) / 4 + np.float32(0.5)
        return potentials

    forms = {f"before the sigmoid: {name}": each for name, each in forms_of(springs).items()}
    only = {name: each for name, each in forms.items() if "ST" in name}
    return Unary(f"{unary.key}-before-sigmoid", look, unary.spec, only, before_sigmoid=True)


def _trained(name: str, path: Path, like: MethodSpec) -> Unary:
    """Return the network of a checkpoint: by itself, and with the springs that it learned with."""
    import torch

    from edgepose.models.thin_slicing.network import SliceNetwork
    from edgepose.training.tasks.networks import load_trained, network_input

    loaded = load_trained(path)
    module, config = loaded.module, loaded.config
    if not isinstance(module, SliceNetwork):
        raise ConfigError(f"{path} is no checkpoint of a recipe with 'slices'.")
    size, targets = config.phases[-1].size, config.targets
    spec = replace(
        like,
        input_size=size,
        heatmap_size=size // targets.stride,
        stride=targets.stride,
        offset=targets.offset,
    )

    def look(crop: Crop, _roi: Roi) -> Heatmaps:
        with torch.inference_mode():
            found = module.potentials(network_input(torch.from_numpy(crop)[None]))
        maps: Heatmaps = found[0].numpy()
        return maps

    learned = module.messages.springs()
    rows = {f"{name}: {form}": each for form, each in forms_of(learned).items() if "ST" in form}
    key = f"{name}-{hashlib.sha256(path.read_bytes()).hexdigest()[:_DIGITS]}"
    forms = {f"{name}: unary alone": None, **rows}
    return Unary(key, look, spec, forms, module.before_sigmoid)


def _key(model: PoseModel) -> str:
    manifest = model.manifest
    graphs = {} if manifest is None else manifest.graphs
    hashes = "".join(graphs[name].sha256 for name in sorted(graphs))
    return f"{model.name}-{hashlib.sha256(hashes.encode()).hexdigest()[:_DIGITS]}"


def _named(given: str) -> tuple[str, Path]:
    name, equals, path = given.partition("=")
    if not equals:
        raise ConfigError(f"NAME=FILE is needed to name a row of the table; got {given!r}.")
    return name, Path(path)
