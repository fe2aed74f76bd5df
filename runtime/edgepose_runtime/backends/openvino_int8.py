"""Int8 graphs as OpenVINO likes them best."""

from __future__ import annotations

from typing import Any

_LEVELS = 256


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
        if rounding.get_type_name() != "FakeQuantize" or not _never_negative(rounding.input(0)):
            continue
        dequantised = _dequantised(rounding)
        if dequantised is None:
            continue
        low, high = ops.constant(0.0, dtype="float32"), rounding.input_value(2)
        rounded = ops.fake_quantize(rounding.input_value(0), low, high, low, high, _LEVELS)
        rounded.set_friendly_name(rounding.get_friendly_name())
        dequantised.output(0).replace(rounded.output(0))


def _never_negative(port: Any) -> bool:
    """Whether values come straight from a ReLU, a clip at 0 or more, or a sigmoid."""
    node = port.get_source_output().get_node()
    kind = node.get_type_name()
    if kind == "Minimum":  # what reading makes of a clip: the smaller one of a limit and a maximum
        return any(_is_maximum_with_zero(each) for each in node.inputs())
    return kind in ("Relu", "Sigmoid")


def _is_maximum_with_zero(port: Any) -> bool:
    node = port.get_source_output().get_node()
    if node.get_type_name() != "Maximum":
        return False
    makers = (each.get_source_output().get_node() for each in node.inputs())
    constants = [each for each in makers if each.get_type_name() == "Constant"]
    return any(float(each.get_data().min()) >= 0 for each in constants)


def _dequantised(rounding: Any) -> Any | None:
    """Return the node that gives back the values, if all between serves only that."""
    node = rounding
    for kind in ("Convert", "Convert", "Subtract", "Multiply"):
        users = list(node.output(0).get_target_inputs())
        if len(users) != 1 or users[0].get_node().get_type_name() != kind:
            return None
        node = users[0].get_node()
    return node
