"""What an ONNX file may hold, looked at before a runtime allocates anything for it.

Runtimes read other files that a model names, abort the process at names that are not UTF-8, and
allocate whatever sizes are declared. This reads the file's structure alone, without its weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

from edgepose_runtime.errors import BackendError
from edgepose_runtime.files import shown

#: Elements of the largest tensor that a model may make: as many floats are 1 GiB.
LARGEST_TENSOR = 1 << 28
# Protobuf's own limit.
_LARGEST_FILE = 1 << 31
_DEEPEST = 16

# Numbers of the fields in onnx.proto.
_MODEL_GRAPH, _MODEL_FUNCTION = 7, 25
_GRAPH_NODE, _GRAPH_INITIALISER, _GRAPH_SPARSE, _FUNCTION_NODE = 1, 5, 15, 7
_NODE_INPUT, _NODE_OUTPUT, _NODE_OPERATOR, _NODE_ATTRIBUTE = 1, 2, 4, 5
_ATTRIBUTE_TENSOR, _ATTRIBUTE_GRAPH, _ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS = 5, 6, 10, 11
_ATTRIBUTE_SPARSE = (22, 23)
_TENSOR_DIMENSION, _TENSOR_INT64, _TENSOR_NAME, _TENSOR_RAW = 1, 7, 8, 9
_TENSOR_TYPE, _TENSOR_EXTERNAL, _TENSOR_LOCATION, _INT64 = 2, 13, 14, 7
_NODE_NAMES = (_NODE_INPUT, _NODE_OUTPUT, 3, _NODE_OPERATOR, 7)
_GRAPH_VALUES, _VALUE_NAME = (11, 12), 1
#: Operators whose output is as large as one of their inputs says, and which.
_SIZED_BY = {"ConstantOfShape": 0, "Expand": 1, "Tile": 1, "Resize": 3}

# In bytes: no shape has more numbers than 16.
_LONGEST_SHAPE = 8 * 16

Value = int | memoryview


def read_checked(model: Path | bytes) -> bytes:
    """Return the content of an ONNX model that a runtime may be given.

    Raises:
        BackendError: it cannot be read, is no ONNX file, keeps data in other files, has names
            that are not UTF-8, or declares tensors of more than :data:`LARGEST_TENSOR` elements.
    """
    name = "given as bytes" if isinstance(model, bytes) else shown(model)
    try:
        content = model if isinstance(model, bytes) else _content(model)
        _check_model(memoryview(content))
    except (OSError, ValueError) as error:
        raise BackendError(f"The model {name} cannot be used: {error}.") from error
    return content


def _content(path: Path) -> bytes:
    if not path.is_file():
        raise ValueError("there is no such file")
    if path.stat().st_size >= _LARGEST_FILE:
        raise ValueError("it is larger than an ONNX file can be")
    return path.read_bytes()


def _check_model(model: memoryview) -> None:
    graphs = 0
    for number, value in _fields(model):
        if number == _MODEL_GRAPH:
            _check_graph(_message(value), 0)
            graphs += 1
        elif number == _MODEL_FUNCTION:
            nodes = (each for n, each in _fields(_message(value)) if n == _FUNCTION_NODE)
            _check_nodes(nodes, {}, 0)
    if graphs != 1:
        raise ValueError("it is no ONNX file, or cut off")


def _check_graph(graph: memoryview, depth: int) -> None:
    if depth > _DEEPEST:
        raise ValueError(f"graphs lie in graphs more than {_DEEPEST} deep")
    constants: dict[str, int] = {}
    nodes = []
    for number, value in _fields(graph):
        if number == _GRAPH_NODE:
            nodes.append(value)
        elif number == _GRAPH_INITIALISER:
            name, product = _check_tensor(_message(value))
            constants[name] = product
        elif number == _GRAPH_SPARSE:
            raise ValueError("it has sparse weights, which edgepose does not read")
        elif number in _GRAPH_VALUES:
            _ = [_name(each) for n, each in _fields(_message(value)) if n == _VALUE_NAME]
    _check_nodes(iter(nodes), constants, depth)


def _check_nodes(nodes: Iterator[Value], constants: Mapping[str, int], depth: int) -> None:
    known = dict(constants)
    for node in nodes:
        names: dict[int, list[str]] = {number: [] for number in _NODE_NAMES}
        product = 0
        for number, value in _fields(_message(node)):
            if number == _NODE_ATTRIBUTE:
                product = max(product, _check_attribute(_message(value), depth))
            elif number in _NODE_NAMES:
                names[number].append(_name(value))
        operator = "".join(names[_NODE_OPERATOR])
        if operator == "Constant" and names[_NODE_OUTPUT]:
            known[names[_NODE_OUTPUT][0]] = product
        _check_size(operator, names[_NODE_INPUT], known)


def _check_size(operator: str, inputs: list[str], constants: Mapping[str, int]) -> None:
    place = _SIZED_BY.get(operator)
    if place is not None and place < len(inputs):
        _refuse_huge(constants.get(inputs[place], 0), f"the operator {operator} makes a tensor")


def _check_attribute(attribute: memoryview, depth: int) -> int:
    """Return the product of the numbers in the attribute's tensor, 0 if there is none."""
    product = 0
    for number, value in _fields(attribute):
        if number in (_ATTRIBUTE_TENSOR, _ATTRIBUTE_TENSORS):
            product = _check_tensor(_message(value))[1]
        elif number in (_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS):
            _check_graph(_message(value), depth + 1)
        elif number in _ATTRIBUTE_SPARSE:
            raise ValueError("it has sparse weights, which edgepose does not read")
    return product


def _check_tensor(tensor: memoryview) -> tuple[str, int]:
    """Return a tensor's name, and the product of its values if it may be a shape, else 0."""
    numbers: dict[int, list[int]] = {_TENSOR_DIMENSION: [], _TENSOR_INT64: [], _TENSOR_TYPE: []}
    name, raw = "", memoryview(b"")
    for number, value in _fields(tensor):
        if number in numbers:
            numbers[number] += _numbers(value)
        elif number == _TENSOR_NAME:
            name = _name(value)
        elif number == _TENSOR_RAW:
            raw = _message(value)
        elif number == _TENSOR_EXTERNAL or (number == _TENSOR_LOCATION and value):
            raise ValueError("it keeps weights in another file, whose hash nobody knows")
    _check_declared(math.prod(numbers[_TENSOR_DIMENSION]), len(tensor))
    if _INT64 not in numbers[_TENSOR_TYPE]:
        return name, 0
    sides = numbers[_TENSOR_INT64] or _whole_numbers(raw[:_LONGEST_SHAPE])
    return name, math.prod(abs(side) for side in sides)


def _check_declared(elements: int, size: int) -> None:
    _refuse_huge(elements, "it declares weights")
    if elements > 2 * size:  # the shortest numbers have four bits
        raise ValueError("it declares more weights than it has")


def _whole_numbers(raw: memoryview) -> list[int]:
    content = bytes(raw)
    starts = range(0, len(content), 8)
    return [int.from_bytes(content[at : at + 8], "little", signed=True) for at in starts]


def _refuse_huge(elements: int, what: str) -> None:
    if elements > LARGEST_TENSOR:
        raise ValueError(f"{what} of {elements:.3g} elements; {LARGEST_TENSOR:.3g} are the most")


def _name(value: Value) -> str:
    """Return a name; one that is not UTF-8 raises UnicodeDecodeError, a ValueError."""
    return str(_message(value), "utf-8")


def _message(value: Value) -> memoryview:
    if isinstance(value, int):
        raise ValueError("it is no ONNX file")
    return value


def _fields(message: memoryview) -> Iterator[tuple[int, Value]]:
    """Yield the number and value of each field: a whole number, or the bytes of all others."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(message, at)
            yield number, value
            continue
        if wire == 2:
            size, at = _varint(message, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise ValueError("it is no ONNX file")
        if at + size > len(message):
            raise ValueError("it is cut off, or no ONNX file")
        yield number, message[at : at + size]
        at += size


def _numbers(value: Value) -> list[int]:
    """Return the whole numbers of a repeated field, packed or not; of many, the first."""
    if isinstance(value, int):
        return [value]
    at, found = 0, []
    while at < min(len(value), _LONGEST_SHAPE):
        number, at = _varint(value, at)
        found.append(number)
    return found


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """Return a whole number and where it ends."""
    if at < len(message) and message[at] < 0x80:
        return message[at], at + 1
    value = shift = 0
    while at < len(message) and shift < 70:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise ValueError("it is cut off, or no ONNX file")
