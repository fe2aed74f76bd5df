"""A bundle as a model repository, the folder that Triton serves."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from edgepose_converters.triton.config import ServingOptions, config_text, model_name
from edgepose_runtime.backends import openvino_int8
from edgepose_runtime.bundles.bundle import Bundle
from edgepose_runtime.errors import ConfigError, OutputError

#: What runs inside Triton's Python backend, and what it takes from the OpenVINO backend.
_ENGINE = Path(__file__).with_name("served.py")
_INT8 = Path(openvino_int8.__file__)
#: The graphs that look at a picture alone; the first that there is makes a remote head.
HEADS = ("head", "body")
#: Builds the plans that TensorRT wants, which fit one kind of GPU and one version only.
BUILD = "build-plans.sh"
_VERSION = "1"


def default_graphs(bundle: Bundle) -> list[str]:
    """Return the graph of a bundle that serves best as a remote head, if there is one."""
    return [name for name in HEADS if name in bundle.manifest.graphs][:1]


def write_repository(
    bundle: Bundle, folder: Path, options: ServingOptions, graphs: Sequence[str] | None = None
) -> list[str]:
    """Write a model repository as a whole or not at all.

    Args:
        bundle: what to serve.
        folder: the folder to create.
        options: how to serve it.
        graphs: which graphs of the bundle; ``None`` for the one that makes a remote head.

    Returns:
        The names of the models.

    Raises:
        ConfigError: the bundle has no such graph.
        OutputError: the folder exists, or cannot be written.
    """
    wanted = default_graphs(bundle) if graphs is None else list(graphs)
    if not wanted:
        raise ConfigError("No graph was chosen to be served.")
    for name in wanted:
        bundle.graph_path(name)
    if folder.exists():
        raise OutputError(f"{folder} exists already; choose another folder.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as beside:
            draft = Path(beside) / folder.name
            for name in wanted:
                _write_model(bundle, name, draft, options)
            if options.platform == "tensorrt":
                _write_builder(bundle, wanted, draft, options)
            draft.rename(folder)
    except OSError as error:
        raise OutputError(f"The model repository {folder} cannot be written: {error}.") from error
    return [model_name(bundle.manifest, name) for name in wanted]


def _write_model(bundle: Bundle, graph: str, folder: Path, options: ServingOptions) -> None:
    model = folder / model_name(bundle.manifest, graph)
    version = model / _VERSION
    version.mkdir(parents=True)
    (model / "config.pbtxt").write_text(config_text(bundle.manifest, graph, options))
    shutil.copyfile(bundle.graph_path(graph), version / "model.onnx")
    if options.platform == "python":
        shutil.copyfile(_ENGINE, version / "model.py")
        shutil.copyfile(_INT8, version / _INT8.name)


def _write_builder(
    bundle: Bundle, graphs: Sequence[str], folder: Path, options: ServingOptions
) -> None:
    lines = [
        "#!/bin/sh",
        "# Builds the TensorRT plans on the GPU that will run them. In this folder, once:",
        "# docker run --rm --gpus all -v $PWD:/models nvcr.io/nvidia/tensorrt:24.10-py3 "
        f"sh /models/{BUILD}",
        "set -e",
    ]
    for graph in graphs:
        lines.append(_build_command(bundle, graph, options))
    (folder / BUILD).write_text("\n".join([*lines, ""]))


def _build_command(bundle: Bundle, graph: str, options: ServingOptions) -> str:
    path = f"/models/{model_name(bundle.manifest, graph)}/{_VERSION}"

    def shapes(batch: int) -> str:
        return ",".join(
            f"{spec.name}:{'x'.join(map(str, (batch, *spec.shape[1:])))}"
            for spec in bundle.manifest.graphs[graph].inputs
        )

    most = options.max_batch
    return (
        f"trtexec --onnx={path}/model.onnx --saveEngine={path}/model.plan --fp16 "
        f"--minShapes={shapes(1)} --optShapes={shapes(max(1, most // 2))} "
        f"--maxShapes={shapes(most)}"
    )
