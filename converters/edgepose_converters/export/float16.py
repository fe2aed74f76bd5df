"""Weights stored as float16 in a graph that computes in float32."""

from __future__ import annotations

from copy import deepcopy
from typing import TypeVar

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from edgepose_runtime.errors import CheckpointError

Module = TypeVar("Module", bound=nn.Module)

# Smaller tensors are not worth a node of their own.
_SMALLEST = 256


def round_weights(module: Module) -> Module:
    """Return a copy whose weights are what float16 can hold; they stay float32 tensors.

    Biases and norms keep their precision: they are small, and every error in them counts.

    Raises:
        CheckpointError: a weight is too large for float16.
    """
    copy = deepcopy(module)
    for name, parameter in copy.named_parameters():
        if parameter.ndim > 1:
            parameter.data = parameter.data.half().float()
            if not parameter.data.isfinite().all():
                raise CheckpointError(
                    f"The weight {name!r} holds values that float16 cannot; store float32."
                )
    return copy


def store_as_float16(model: onnx.ModelProto) -> None:
    """Store every large float32 constant that float16 holds exactly as such, and cast it back.

    The values do not change, so neither does what the graph computes; runtimes cast once, when the
    model is loaded. Constants that would change are left as they are: round the weights before.
    """
    casts = []
    for stored in model.graph.initializer:
        values = _halved(stored)
        if values is not None:
            name = stored.name
            stored.CopyFrom(numpy_helper.from_array(values, f"{name}.float16"))
            casts.append(helper.make_node("Cast", [stored.name], [name], to=TensorProto.FLOAT))
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(casts + nodes)


def _halved(stored: onnx.TensorProto) -> np.ndarray | None:
    if stored.data_type != TensorProto.FLOAT:
        return None
    values = numpy_helper.to_array(stored)
    if values.size < _SMALLEST:
        return None
    with np.errstate(over="ignore"):
        halved = values.astype(np.float16)
    return halved if np.array_equal(halved.astype(np.float32), values) else None
