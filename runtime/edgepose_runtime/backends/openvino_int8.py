"""Int8 graphs as OpenVINO likes them best."""

from __future__ import annotations

import platform
from typing import Any

_ARM = ("aarch64", "arm64")
#: Values of int8, and of uint8.
_LEVELS = 256


def gains_from_unsigned_steps() -> bool:
    """Whether OpenVINO computes faster with unsigned int8 on this processor.

    On ARM it takes a reference implementation in float16 for some layers behind them, and refuses
    the model where the processor has no float16 (Cortex-A72).
    """
    return platform.machine().lower() not in _ARM


def use_unsigned_steps(graph: Any) -> None:
    """Quantise activations that are never negative in 255 steps of their range, not in 127.

    Bundles hold signed int8 with a zero point of 0, as TensorRT takes nothing else; behind a ReLU
    that leaves half of the values unused. The range stays what the bundle says. A CPU computes a
    tenth faster so, as the ReLU is then part of the rounding, and loses less.

    Args:
        graph: an ``openvino.Model`` as it was read; changed in place.
    """
    from openvino import opset13 as ops

    for rounding in graph.get_ordered_ops():
        if not (_rounds_to_int8(rounding) and _never_negative(rounding.input(0))):
            continue
        dequantised = _dequantised(rounding)
        if dequantised is None:
            continue
        high = rounding.input_value(2)
        low = ops.constant(0.0, dtype=high.get_element_type())
        rounded = ops.fake_quantize(rounding.input_value(0), low, high, low, high, _LEVELS)
        rounded.set_friendly_name(rounding.get_friendly_name())
        dequantised.output(0).replace(rounded.output(0))


def _rounds_to_int8(node: Any) -> bool:
    if node.get_type_name() != "FakeQuantize":
        return False
    levels: int = node.get_attributes()["levels"]
    return levels == _LEVELS


def _never_negative(port: Any) -> bool:
    """Whether values come straight from a ReLU, a clip at 0 or more, or a sigmoid.

    Reading makes a clip the smaller one of a limit and a maximum.
    """
    node = port.get_source_output().get_node()
    kind = node.get_type_name()
    if kind == "Constant":
        return float(node.get_data().min()) >= 0
    if kind in ("Minimum", "Maximum"):
        enough = all if kind == "Minimum" else any
        return enough(_never_negative(each) for each in node.inputs())
    return kind in ("Relu", "Sigmoid")


def _dequantised(rounding: Any) -> Any | None:
    """Return the node that gives back the values, if all between serves only that."""
    node = rounding
    for kind in ("Convert", "Convert", "Subtract", "Multiply"):
        users = list(node.output(0).get_target_inputs())
        if len(users) != 1 or users[0].get_node().get_type_name() != kind:
            return None
        node = users[0].get_node()
    return node
