"""The manifest of a bundle: everything a program must know to run its graphs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edgepose_runtime.bundles.self_check import SelfCheck
from edgepose_runtime.geometry.crop import BACKGROUND, Color
from edgepose_runtime.geometry.input_view import InputView
from edgepose_runtime.poses.skeletons import get_skeleton
from edgepose_runtime.tensors import TensorSpec

#: The graphs that each method needs.
METHOD_GRAPHS: Mapping[str, tuple[str, ...]] = {
    "propagation": ("head", "step"),
    "flow-propagation": ("head", "body"),
    "distillation": ("head", "step"),
    "framewise": ("body",),
}
#: Further graphs that a bundle of a method may have.
OPTIONAL_GRAPHS: Mapping[str, tuple[str, ...]] = {"propagation": ("propagate",)}
#: The graph of the person detector, which a bundle of any method may have.
DETECTOR_GRAPH = "detector"


@dataclass(frozen=True, slots=True)
class InputSpec:
    """The crop that the graphs take: uint8 BGR, channels last.

    Attributes:
        size: side of the region that the heat-maps span, in the pixels that their stride counts.
        width: columns of the crop, None for ``size``.
        height: rows of the crop, None for ``size``.
        window: which part of the region the crop shows along x and y; see `InputView`.
        background: blue, green and red, 0 to 255, of what the crop shows outside the frame.
        color: order of the channels.
        dtype: type of the pixels.
        layout: order of the axes.
    """

    size: int
    width: int | None = None
    height: int | None = None
    window: tuple[float, ...] = (1.0, 1.0)
    background: Color = BACKGROUND
    color: str = "bgr"
    dtype: str = "uint8"
    layout: str = "nhwc"

    @property
    def view(self) -> InputView:
        """What the graphs see of a region."""
        across, along = self.window
        width, height = self.width or self.size, self.height or self.size
        return InputView(width, height, (across, along), self.background)


@dataclass(frozen=True, slots=True)
class Normalisation:
    """What the graphs do to pixels first: (value / 255 - mean) / std, by channel of ``color``.

    ``folded`` says that the graphs do it themselves.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    color: str = "rgb"
    folded: bool = True


@dataclass(frozen=True, slots=True)
class HeatmapSpec:
    """The grid of the heat-maps: cell c lies at crop pixel ``c * stride + offset``."""

    size: int
    stride: float
    offset: float


@dataclass(frozen=True, slots=True)
class GraphSpec:
    """One ONNX file of a bundle.

    Attributes:
        file: its name in the bundle's folder.
        sha256: lower-case hexadecimal hash of its content; "" until the bundle is written.
        num_bytes: its size; 0 until the bundle is written.
        inputs: the tensors it takes.
        outputs: the tensors it returns.
    """

    file: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    sha256: str = ""
    num_bytes: int = 0


@dataclass(frozen=True, slots=True)
class FileSpec:
    """Another file of a bundle: its name there, and its hash and size once that is written."""

    file: str
    sha256: str = ""
    num_bytes: int = 0


@dataclass(frozen=True, slots=True)
class DetectorSpec:
    """How the output of the graph ``DETECTOR_GRAPH`` becomes boxes of people.

    The graph takes ``frame``, uint8 (N, size, size, 3) BGR: a whole frame, scaled and padded to a
    square with the frame in the middle. For each stride it returns ``stride_<s>``, float32
    (N, size / s, size / s, 5): a logit, and how far the box reaches to the left, top, right and
    bottom of the point (column * s, row * s), in pixels of the input.

    Attributes:
        size: side of the input in pixels.
        strides: of the output maps in pixels of the input, each a divisor of ``size``.
        score_threshold: from this score on, 0 to 1, a box counts as a person.
        max_overlap: of two boxes with a larger intersection over union, 0 to 1, the one with the
            lower score is dropped.
    """

    size: int
    strides: tuple[int, ...]
    score_threshold: float
    max_overlap: float


@dataclass(frozen=True, slots=True)
class Manifest:
    """The content of ``manifest.json``.

    Attributes:
        name: the bundle's name, such as ``"ppn-swift"``.
        method: which temporal method the graphs belong to, a key of ``METHOD_GRAPHS``.
        skeleton: name of the skeleton whose joints the heat-maps follow.
        input: the crop that the graphs take.
        normalisation: what happens to its pixels.
        heatmap: the grid of the heat-maps.
        graphs: the graphs by name.
        precision: in what the graphs compute.
        weights: in what their weights are stored.
        score_threshold: below this score a joint is not to be trusted (0 to 1).
        reinitialise_every: after how many frames the head should run again, None for never.
        head_is_final: whether the head's heat-maps are the result of a frame on which it runs,
            rather than what the light network starts from on that frame.
        training: which data the networks were trained on, and how.
        accuracy: measured accuracy.
        latency: measured latency.
        licence: licence notes of weights and data.
        springs: the springs that refine this network's heat-maps by thin-slicing, None for none.
        detector: how the bundle's person detector is read, None if it has none.
        self_check: what the graphs compute for the reference picture, None if nobody noted it.
    """

    name: str
    method: str
    skeleton: str
    input: InputSpec
    normalisation: Normalisation
    heatmap: HeatmapSpec
    graphs: Mapping[str, GraphSpec]
    precision: str = "float32"
    weights: str = "float32"
    score_threshold: float = 0.0
    reinitialise_every: int | None = None
    head_is_final: bool = False
    training: Mapping[str, Any] = field(default_factory=dict)
    accuracy: Mapping[str, Any] = field(default_factory=dict)
    latency: Mapping[str, Any] = field(default_factory=dict)
    licence: Mapping[str, Any] = field(default_factory=dict)
    springs: FileSpec | None = None
    detector: DetectorSpec | None = None
    self_check: SelfCheck | None = None

    @property
    def num_joints(self) -> int:
        """K, how many heat-maps the graphs return."""
        return get_skeleton(self.skeleton).num_joints
