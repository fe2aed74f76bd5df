"""One graph of a bundle inside Triton's Python backend, run by OpenVINO.

This file is copied into the model repository as ``model.py``. It runs in Triton's own environment,
where edgepose is not installed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from runpy import run_path
from typing import Any

import numpy as np

# As if it were not installed: OpenVINO would send usage data when it is imported.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

import openvino  # noqa: E402

# Triton puts this module there when it starts the backend.
import triton_python_backend_utils as utils  # type: ignore[import-not-found]  # noqa: E402


class TritonPythonModel:
    """Joins the requests that Triton's dynamic batcher hands over to one inference."""

    def initialize(self, args: dict[str, str]) -> None:
        """Compile the graph."""
        config = json.loads(args["model_config"])
        self._inputs = [each["name"] for each in config["input"]]
        self._outputs = [each["name"] for each in config["output"]]
        file = Path(args["model_repository"]) / args["model_version"] / "model.onnx"
        # Where tracker and server must agree, both compute in float32.
        options = {
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": int(config["parameters"]["edgepose.threads"]["string_value"]),
        }
        core = openvino.Core()
        graph = core.read_model(file)
        # And both round int8 alike: edgepose's own code for that lies beside this file.
        run_path(str(file.with_name("openvino_int8.py")))["use_unsigned_steps"](graph)
        compiled = core.compile_model(graph, "CPU", options)
        self._request: Any = compiled.create_infer_request()

    def execute(self, requests: list[Any]) -> list[Any]:
        """Run all requests at once; return one response for each."""
        feeds = {name: [_array(request, name) for request in requests] for name in self._inputs}
        joined = {name: np.concatenate(arrays) for name, arrays in feeds.items()}
        results = self._request.infer(joined)
        ends = np.cumsum([len(array) for array in feeds[self._inputs[0]]])[:-1]
        parts = [np.split(results[name], ends) for name in self._outputs]
        return [self._response(list(arrays)) for arrays in zip(*parts, strict=True)]

    def _response(self, arrays: list[Any]) -> Any:
        named = zip(self._outputs, arrays, strict=True)
        return utils.InferenceResponse([utils.Tensor(name, array) for name, array in named])


def _array(request: Any, name: str) -> Any:
    return utils.get_input_tensor_by_name(request, name).as_numpy()
