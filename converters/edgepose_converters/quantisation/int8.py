"""A float bundle as an int8 one: calibrate, quantise, choose what stays float, measure, write."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import onnx

from edgepose.datasets.clips import Clip
from edgepose.datasets.readers.jhmdb import read_jhmdb_clips
from edgepose.utils.progress import show_progress
from edgepose_converters.export.verification import add_self_check
from edgepose_converters.quantisation.accuracy import (
    MEASURE,
    Loss,
    Pck,
    bundle_pck,
    head_pck,
    subsampled,
    validation_clips,
)
from edgepose_converters.quantisation.calibration import (
    Feeds,
    Recording,
    evenly_spaced_clips,
    record,
)
from edgepose_converters.quantisation.cleaning import cleaned
from edgepose_converters.quantisation.equalisation import equalise_channels
from edgepose_converters.quantisation.layers import (
    quantised_layers,
    weighted_layers,
    with_float_layers,
)
from edgepose_converters.quantisation.pixels import centre_pixels
from edgepose_converters.quantisation.post_training import quantised
from edgepose_converters.quantisation.probing import Probe, relative_error, run_graph
from edgepose_converters.quantisation.sensitivity import DEFAULT_SEARCH, sensitive_layers
from edgepose_runtime.backends import available_backends
from edgepose_runtime.bundles.bundle import Bundle, check_bundle_target, write_bundle
from edgepose_runtime.errors import AccuracyError, BackendError, ConfigError

#: How far ONNX Runtime and OpenVINO may differ: about as much as ONNX Runtime does from float, as
#: it rounds what is never negative in half as many steps.
LARGEST_DISAGREEMENT = 0.15
_PROBE_FRAMES = 30
# A head costs several times a step; its frames are independent, so fewer of them will do.
_HEAD_EVERY = 8
_WHOLE = "all"

Measured = Callable[[Bundle, Sequence[Clip], Callable[[], None]], Pck]


@dataclass(frozen=True)
class Int8Options:
    """How an int8 bundle is made.

    Attributes:
        name: the bundle's name.
        data: folder of the real data, which holds ``jhmdb``.
        max_drop: how many points of PCK-torso@0.2 may be lost.
        calibration_frames: how many frames of training clips give the ranges of activations.
        limit_clips: measure on so many validation clips only, None for all.
        float_layers: patterns (as of file names) of layers that stay float in any case; the others
            are searched for more.
        int8_layers: patterns of layers that stay as they are, as they have learned to round: they
            are not searched, and their channels are not equalised.
        overwrite: replace a bundle that is already there.
    """

    name: str
    data: Path
    max_drop: float = 0.5
    calibration_frames: int = 300
    limit_clips: int | None = None
    float_layers: tuple[str, ...] = ()
    int8_layers: tuple[str, ...] = ()
    overwrite: bool = False

    def __post_init__(self) -> None:
        if not self.max_drop >= 0:  # nor NaN, which no loss is above
            raise ConfigError(f"The largest drop must be 0 or more points; got {self.max_drop:g}.")


@dataclass(frozen=True)
class Int8Report:
    """What became of a float bundle.

    Attributes:
        losses: by part (``tracking``, and ``head`` where there is one).
        float_layers: by graph, the layers that stayed float; ``["all"]`` for a graph as a whole.
        disagreement: by graph, the relative difference of what it computes between runtimes.
        calibration: the frames that the ranges come from.
    """

    losses: Mapping[str, Loss]
    float_layers: Mapping[str, Sequence[str]]
    disagreement: Mapping[str, float]
    calibration: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Return the facts for the manifest."""
        return {
            "measure": MEASURE,
            **{
                f"{part}, float32 and int8": [loss.float32.as_list(), loss.int8.as_list()]
                for part, loss in self.losses.items()
            },
            "float layers": {name: list(layers) for name, layers in self.float_layers.items()},
            "ONNX Runtime against OpenVINO": dict(self.disagreement),
            "calibration": dict(self.calibration),
        }


def quantise_bundle(source: Bundle, out: Path, options: Int8Options) -> tuple[Bundle, Int8Report]:
    """Make an int8 bundle of a float one.

    The head stays float where it would lose more than allowed, or where its answer is final: it
    runs seldom, and is there for its accuracy.

    Args:
        source: a float bundle.
        out: folder of the int8 bundle.
        options: how to make it.

    Raises:
        ConfigError: the bundle is not float, or options do not fit.
        DataError: the clips for calibration and measurement are missing.
        AccuracyError: more accuracy is lost than allowed; nothing is written.
        BackendError: a graph cannot be quantised, or runtimes disagree on it.
        OutputError: the bundle cannot be written there.
    """
    if source.manifest.precision != "float32":
        raise ConfigError(
            f"The bundle {source.manifest.name!r} is {source.manifest.precision} already; "
            "quantise the float bundle that it was made from."
        )
    check_bundle_target(out, overwrite=options.overwrite)
    return _Quantisation(source, options).write(out)


class _Quantisation:
    """One run of :func:`quantise_bundle`."""

    def __init__(self, source: Bundle, options: Int8Options) -> None:
        self._source, self._options = source, options
        self._validation = validation_clips(options.data, options.limit_clips)
        clips = read_jhmdb_clips(options.data / "jhmdb", "train")
        self._calibration = self._record(clips, options.calibration_frames, 0.0, "Calibration")
        self._probes = self._record(clips, _PROBE_FRAMES, 0.5, "Frames to compare on")
        self._floats = {
            name: source.graph_path(name).read_bytes() for name in source.manifest.graphs
        }
        self._left: dict[str, Sequence[str]] = {}

    def write(self, out: Path) -> tuple[Bundle, Int8Report]:
        kept = ["head"] if self._source.manifest.head_is_final else []
        self._left.update({name: [_WHOLE] for name in kept})
        names = [name for name in self._calibration.feeds if name not in kept]
        graphs = {name: self._quantised(name) for name in names}
        graphs = {**self._floats, **graphs}
        losses = self._losses(graphs)
        if "head" in losses and losses["head"].points > self._options.max_drop:
            graphs["head"], self._left["head"] = self._floats["head"], [_WHOLE]
        report = Int8Report(
            losses, self._left, self._disagreement(graphs), self._calibration_facts()
        )
        self._require(report)
        return self._written(out, graphs, report), report

    def _record(self, clips: Sequence[Clip], frames: int, offset: float, label: str) -> Recording:
        chosen = evenly_spaced_clips(clips, frames, offset=offset)
        with show_progress(f"{label}: clips", len(chosen)) as progress:
            return record(self._source, chosen, progress.advance)

    def _quantised(self, name: str) -> bytes:
        model = cleaned(self._floats[name])
        layers = [layer.name for layer in weighted_layers(model)]
        floats = _matching(layers, self._options.float_layers)
        if floats == layers:
            self._left[name] = [_WHOLE]
            return self._floats[name]
        centre_pixels(model.graph)
        left = [*floats, *_matching(layers, self._options.int8_layers)]
        equalise_channels(model, self._calibration.feeds[name], left)
        graph = self._mixed(name, model, floats)
        made = set(quantised_layers(graph))
        self._left[name] = [layer for layer in layers if layer not in made]
        content: bytes = graph.SerializeToString()
        return content

    def _mixed(self, name: str, model: onnx.ModelProto, floats: Sequence[str]) -> onnx.ModelProto:
        """Return the int8 graph; the given layers, and those found sensitive, stay float."""
        graph = self._ptq(name, model, self._calibration.feeds[name])
        graph = with_float_layers(graph, model, floats)
        return with_float_layers(graph, model, self._sensitive(name, graph, model))

    def _ptq(self, name: str, model: onnx.ModelProto, feeds: Sequence[Feeds]) -> onnx.ModelProto:
        with show_progress(f"Quantising {name}: frames", len(feeds)) as progress:
            return quantised(model, feeds, progress.advance)

    def _sensitive(
        self, name: str, everything: onnx.ModelProto, model: onnx.ModelProto
    ) -> list[str]:
        probe = Probe(self._floats[name], self._probes.feeds[name])
        layers = quantised_layers(everything)
        settled = set(_matching(layers, self._options.int8_layers))
        with show_progress(f"Layers of {name}", DEFAULT_SEARCH.trials) as progress:
            return sensitive_layers(
                everything,
                model,
                probe,
                on_trial=lambda error: progress.advance(note=f"error {error:.4f}"),
                candidates=[layer for layer in layers if layer not in settled],
            )

    def _losses(self, graphs: Mapping[str, bytes]) -> dict[str, Loss]:
        clips = self._validation
        found = {"tracking": self._loss(graphs, clips, bundle_pck, "Tracking")}
        if "head" in graphs:
            few = [subsampled(clip, _HEAD_EVERY) for clip in clips]
            found["head"] = self._loss(graphs, few, head_pck, "Head")
        return found

    def _loss(
        self, graphs: Mapping[str, bytes], clips: Sequence[Clip], measured: Measured, part: str
    ) -> Loss:
        with (
            tempfile.TemporaryDirectory() as folder,
            show_progress(f"{part}, float32 and int8: clips", 2 * len(clips)) as progress,
        ):
            # Whether it still is right is the question: the reference is that of the float graphs.
            manifest = replace(self._source.manifest, self_check=None)
            candidate = write_bundle(Path(folder) / "int8", manifest, graphs)
            return Loss(
                measured(self._source, clips, progress.advance),
                measured(candidate, clips, progress.advance),
            )

    def _disagreement(self, graphs: Mapping[str, bytes]) -> dict[str, float]:
        """Run the same frames through all runtimes; return the largest difference to the first."""
        first, *others = available_backends()
        found = {}
        for name, feeds in self._probes.feeds.items():
            graph = graphs[name]
            maps = run_graph(graph, feeds, first)
            errors = (relative_error(run_graph(graph, feeds, other), maps) for other in others)
            found[name] = round(max(errors, default=0.0), 4)
        return found

    def _require(self, report: Int8Report) -> None:
        lost = report.losses["tracking"].points
        if lost > self._options.max_drop:
            raise AccuracyError(
                f"In int8 the bundle loses {lost:.2f} points of PCK-torso@0.2 on "
                f"{len(self._validation)} validation clips, and {self._options.max_drop:g} are "
                "allowed; leave more layers float, or allow more with --max-drop."
            )
        for name, difference in report.disagreement.items():
            if difference > LARGEST_DISAGREEMENT:
                raise BackendError(
                    f"Runtimes disagree on the int8 graph {name!r}: their heat-maps differ by "
                    f"{difference:.2f} of their size, and {LARGEST_DISAGREEMENT:g} is allowed."
                )

    def _calibration_facts(self) -> dict[str, Any]:
        frames = {name: len(feeds) for name, feeds in self._calibration.feeds.items()}
        clips = f"{len(self._calibration.clips)} clips of the JHMDB training part"
        return {"data": clips, "frames": frames, "clips": list(self._calibration.clips)}

    def _written(self, out: Path, graphs: Mapping[str, bytes], report: Int8Report) -> Bundle:
        manifest = replace(
            self._source.manifest,
            name=self._options.name,
            precision="int8",
            weights="int8",
            latency={},  # that of the float graphs
            accuracy={**self._source.manifest.accuracy, "int8": report.as_dict()},
            self_check=None,
        )
        springs, overwrite = self._source.springs(), self._options.overwrite
        written = write_bundle(out, manifest, graphs, springs=springs, overwrite=overwrite)
        return add_self_check(written)


def _matching(layers: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """Return the layers that a pattern, as of file names, fits."""
    return [layer for layer in layers if any(fnmatchcase(layer, each) for each in patterns)]
