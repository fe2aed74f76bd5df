"""Whether an answer can be used."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgepose_runtime.errors import ServerError, ServerFault
from edgepose_runtime.tensors import Array, TensorSpec


def check_answer(
    outputs: Mapping[str, TensorSpec], answer: Mapping[str, Array], batch: int
) -> None:
    """Refuse an answer of a wrong name, type, shape or value.

    Args:
        outputs: what the model returns.
        answer: what came.
        batch: how many samples were sent.

    Raises:
        ServerError: it cannot be used.
    """
    for name, spec in outputs.items():
        array = answer.get(name)
        if not isinstance(array, np.ndarray) or not spec.accepts(array, {"N": batch}):
            found = "nothing" if array is None else f"{array.dtype} {tuple(array.shape)}"
            raise _bad(f"The output {name!r} should be {spec} with N = {batch}, but is {found}.")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise _bad(f"The output {name!r} has values that are not finite.")


def _bad(sentence: str) -> ServerError:
    return ServerError(sentence, ServerFault.BAD_ANSWER)
