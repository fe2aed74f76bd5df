"""A bundle's method from its networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from edgepose.methods.base import Method, MethodSpec
from edgepose.methods.distillation import DistillationMethod
from edgepose.methods.framewise import FramewiseMethod
from edgepose.methods.propagation import PropagationMethod
from edgepose_runtime.backends.base import Network
from edgepose_runtime.bundles.manifest import Manifest
from edgepose_runtime.bundles.validation import check_network
from edgepose_runtime.errors import BundleFormatError

Networks = Mapping[str, Network]

_BUILDERS: dict[str, Callable[[MethodSpec, Networks], Method]] = {
    "propagation": lambda spec, nets: PropagationMethod(
        spec, nets["head"], nets["step"], nets.get("propagate")
    ),
    "distillation": lambda spec, nets: DistillationMethod(spec, nets["head"], nets["step"]),
    "framewise": lambda spec, nets: FramewiseMethod(spec, nets["body"]),
}


def build_method(manifest: Manifest, networks: Networks) -> Method:
    """Return the method that a manifest names, made of loaded graphs.

    Args:
        manifest: of the bundle.
        networks: its graphs by name.

    Raises:
        BundleFormatError: this release does not know the method, or a graph is not what the
            manifest says.
    """
    if manifest.method not in _BUILDERS:
        raise BundleFormatError(
            f"The bundle {manifest.name!r} is for the method {manifest.method!r}; "
            f"this release knows {', '.join(_BUILDERS)}."
        )
    for name in networks.keys() & manifest.graphs.keys():
        check_network(name, manifest.graphs[name], networks[name].inputs, networks[name].outputs)
    return _BUILDERS[manifest.method](MethodSpec.from_manifest(manifest), networks)
