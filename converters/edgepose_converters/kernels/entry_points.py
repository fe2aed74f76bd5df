"""C functions through which Python calls kernels: packed numbers in, packed numbers out."""

from __future__ import annotations

from collections.abc import Iterator

from edgepose_runtime.native.signatures import PREFIX, Parameter, Signature

_C_TYPES = {"float64": "double", "int64": "int64_t", "bool": "uint8_t"}
_ITEM_SIZES = {"uint8": 1, "float32": 4, "float64": 8, "int64": 8}


def entry_point(name: str, signature: Signature) -> str:
    """Return the C code that calls a kernel as numba calls it.

    It takes arrays as an address and a shape, each number in 8 bytes. numba wants of an array
    (owner, parent, elements, bytes of an element, data, shape, strides), and of a tuple its parts.

    Args:
        name: of the kernel.
        signature: what it takes.
    """
    types, values = ["void *", "void **"], ["result", "&error"]
    place = 0
    for parameter in signature.parameters:
        for kind, value in _arguments(parameter, place):
            types.append(kind)
            values.append(value)
        place += 1 + parameter.ndim if parameter.ndim else max(parameter.length, 1)
    return (
        f"int kernel_{name}({', '.join(types)});\n"
        f'__attribute__((visibility("default"))) int {PREFIX}{name}'
        "(const int64_t *given, void *result) {\n"
        f"    void *error;\n    return kernel_{name}({', '.join(values)});\n}}\n"
    )


def _arguments(parameter: Parameter, place: int) -> Iterator[tuple[str, str]]:
    if not parameter.ndim:
        kind = _C_TYPES[parameter.dtype]
        cast = f"*({kind} *)&" if kind == "double" else f"({kind})"
        for offset in range(max(parameter.length, 1)):
            yield kind, f"{cast}given[{place + offset}]"
        return
    shape = [f"given[{place + 1 + axis}]" for axis in range(parameter.ndim)]
    item = str(_ITEM_SIZES[parameter.dtype])
    yield from (("void *", "0"), ("void *", "0"))
    yield "int64_t", " * ".join(shape)
    yield "int64_t", item
    yield "void *", f"(void *)given[{place}]"
    yield from (("int64_t", side) for side in shape)
    for axis in range(parameter.ndim):
        yield "int64_t", " * ".join([item, *shape[axis + 1 :]])
