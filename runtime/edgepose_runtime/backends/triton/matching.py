"""Whether the model that a server has is the one that is meant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from edgepose_runtime.backends.triton.client import ServerClient
from edgepose_runtime.errors import ServerError, ServerFault
from edgepose_runtime.tensors import TensorSpec

#: Under this name a model's configuration holds the hash of the graph that it runs.
HASH = "edgepose.sha256"


@dataclass(frozen=True, slots=True)
class Expected:
    """What a client knows of the model it wants.

    Attributes:
        name: its name on the server; ``None`` for the one with the hash.
        usual_name: what it is called on a server of ``edgepose serve``: tried where the name is not
            known and the server keeps the list of its models to itself.
        sha256: hash of its graph; ``None`` where any graph with these tensors will do.
        inputs: the tensors it takes; ``None`` for whatever it takes.
        outputs: tensors that it must return, among others; ``None`` for whatever it returns.
        facts: further parameters of its configuration, such as ``edgepose.skeleton``. A server
            that says nothing of one (they are extensions of Triton's) is believed.
    """

    name: str | None = None
    usual_name: str | None = None
    sha256: str | None = None
    inputs: tuple[TensorSpec, ...] | None = None
    outputs: tuple[TensorSpec, ...] | None = None
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model that was found to be the right one."""

    name: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    parameters: Mapping[str, str]


def find_model(client: ServerClient, expected: Expected, timeout_s: float) -> ServedModel:
    """Return the model that is meant.

    Raises:
        ServerError: the server has none, or one that differs.
    """
    if expected.name is not None:
        return _checked(client, expected.name, expected, timeout_s)
    names = _candidates(client, expected, timeout_s)
    for name in names:
        if client.parameters(name, timeout_s).get(HASH) == expected.sha256:
            return _checked(client, name, expected, timeout_s)
    raise ServerError(
        f"None of the server's models ({', '.join(names) or 'it has none'}) runs the graph with "
        f"the hash {expected.sha256}; serve this bundle, or name the model.",
        ServerFault.WRONG_MODEL,
    )


def _candidates(client: ServerClient, expected: Expected, timeout_s: float) -> list[str]:
    try:
        return client.models(timeout_s)
    except ServerError as error:
        if error.fault is not ServerFault.REFUSED:
            raise
        if expected.usual_name is None:
            raise ServerError(
                "The server does not list its models; name the one that is meant, as in "
                f"grpc://HOST:PORT/MODEL ({error})",
                ServerFault.REFUSED,
            ) from error
        return [expected.usual_name]


def _checked(client: ServerClient, name: str, expected: Expected, timeout_s: float) -> ServedModel:
    found = ServedModel(name, *client.specs(name, timeout_s), client.parameters(name, timeout_s))
    _check_facts(found, expected)
    _check_tensors(found, expected)
    return found


def _check_facts(found: ServedModel, expected: Expected) -> None:
    wanted = dict(expected.facts)
    if expected.sha256 is not None:
        wanted[HASH] = expected.sha256
    for fact, value in wanted.items():
        said = found.parameters.get(fact, value)
        if said != value:
            raise ServerError(
                f"The server's model {found.name!r} has the {fact.removeprefix('edgepose.')} "
                f"{said!r}, but the bundle needs {value!r}; serve the bundle's own graph.",
                ServerFault.WRONG_MODEL,
            )


def _check_tensors(found: ServedModel, expected: Expected) -> None:
    takes = expected.inputs is None or set(expected.inputs) == set(found.inputs)
    returns = expected.outputs is None or set(expected.outputs) <= set(found.outputs)
    if not (takes and returns):
        raise ServerError(
            f"The server's model {found.name!r} should take {_listed(expected.inputs)} and return "
            f"{_listed(expected.outputs)}, but takes {_listed(found.inputs)} and returns "
            f"{_listed(found.outputs)}.",
            ServerFault.WRONG_MODEL,
        )


def _listed(tensors: tuple[TensorSpec, ...] | None) -> str:
    return ", ".join(f"{each.name}: {each}" for each in tensors or ()) or "anything"
