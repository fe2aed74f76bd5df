"""The ``config.pbtxt`` of a model: what Triton must know to serve one graph of a bundle."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from edgepose_runtime.bundles.manifest import GraphSpec, Manifest
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.tensors import TensorSpec

#: What runs the graph, by the names that users type, and how ``config.pbtxt`` says it.
PLATFORMS: Mapping[str, str] = {
    "onnxruntime": 'platform: "onnxruntime_onnx"',
    "tensorrt": 'platform: "tensorrt_plan"',
    "python": 'backend: "python"',
}
_DTYPES = {"uint8": "TYPE_UINT8", "float32": "TYPE_FP32"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingOptions:
    """How a bundle is served.

    Attributes:
        platform: a key of :data:`PLATFORMS`. ``python`` runs OpenVINO inside Triton's Python
            backend, the only one that the package ``nvidia-pytriton`` brings along.
        device: ``cpu`` or ``gpu``; what is for TensorRT is for a GPU.
        max_batch: requests that may be joined to one inference; 1 serves them one at a time.
        queue_delay_us: how long the first of them may wait for others, in microseconds.
        instances: copies of the model that run side by side (on each GPU).
        threads: CPU threads of one instance on the ``python`` platform.
        versions: how many versions of a model are served, the newest first.

    Raises:
        ConfigError: an option has no such value.
    """

    platform: str = "onnxruntime"
    device: str = "gpu"
    max_batch: int = 16
    queue_delay_us: int = 2000
    instances: int = 1
    threads: int = 2
    versions: int = 1

    def __post_init__(self) -> None:
        if self.platform not in PLATFORMS:
            raise ConfigError(
                f"There is no platform {self.platform!r}; choose one of {', '.join(PLATFORMS)}."
            )
        if self.device not in ("cpu", "gpu") or (self.platform, self.device) == ("tensorrt", "cpu"):
            raise ConfigError(f"{self.platform} cannot run on the device {self.device!r}.")
        for name in ("max_batch", "instances", "threads", "versions"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1; got {getattr(self, name)!r}.")
        if self.queue_delay_us < 0:
            raise ConfigError(f"queue_delay_us must be 0 or more; got {self.queue_delay_us!r}.")


def model_name(manifest: Manifest, graph: str) -> str:
    """Return what a graph of a bundle is called on the server."""
    return f"{manifest.name}-{graph}"


def facts(manifest: Manifest, graph: str) -> dict[str, str]:
    """Return what a client compares with its own bundle; it stands in the configuration."""
    maps = manifest.heatmap
    return {
        "edgepose.sha256": manifest.graphs[graph].sha256,
        "edgepose.bundle": manifest.name,
        "edgepose.skeleton": manifest.skeleton,
        "edgepose.heatmap": f"{maps.size} cells, stride {maps.stride:g}, offset {maps.offset:g}",
    }


def config_text(manifest: Manifest, graph: str, options: ServingOptions) -> str:
    """Return the content of ``config.pbtxt``."""
    spec = manifest.graphs[graph]
    parameters = {**facts(manifest, graph), "edgepose.threads": str(options.threads)}
    return "\n".join(
        [
            f'name: "{model_name(manifest, graph)}"',
            PLATFORMS[options.platform],
            f"max_batch_size: {options.max_batch}",
            *_tensors("input", spec.inputs),
            *_tensors("output", spec.outputs),
            _instances(options),
            *_batching(options),
            f"version_policy {{ latest {{ num_versions: {options.versions} }} }}",
            *_warmup(spec, options),
            *_parameters(parameters),
            "",
        ]
    )


def _tensors(kind: str, specs: Sequence[TensorSpec]) -> Iterator[str]:
    for spec in specs:
        yield f'{kind} [ {{ name: "{spec.name}" {_type_and_dims(spec)} }} ]'


def _type_and_dims(spec: TensorSpec) -> str:
    # Triton adds the dimension of the batch itself.
    return f"data_type: {_DTYPES[spec.dtype]} dims: {json.dumps(list(spec.shape[1:]))}"


def _instances(options: ServingOptions) -> str:
    kind = f"KIND_{options.device.upper()}"
    return f"instance_group [ {{ count: {options.instances} kind: {kind} }} ]"


def _batching(options: ServingOptions) -> Iterator[str]:
    if options.max_batch > 1:
        yield f"dynamic_batching {{ max_queue_delay_microseconds: {options.queue_delay_us} }}"


def _warmup(spec: GraphSpec, options: ServingOptions) -> Iterator[str]:
    """One inference of each kind before the server reports ready: the first is slow."""
    for batch in sorted({1, options.max_batch}):
        inputs = " ".join(
            f'inputs {{ key: "{each.name}" value {{ {_type_and_dims(each)} zero_data: true }} }}'
            for each in spec.inputs
        )
        yield f'model_warmup [ {{ name: "batch of {batch}" batch_size: {batch} {inputs} }} ]'


def _parameters(values: Mapping[str, str]) -> Iterator[str]:
    for key, value in values.items():
        text = json.dumps(value)
        yield f'parameters [ {{ key: "{key}" value {{ string_value: {text} }} }} ]'
