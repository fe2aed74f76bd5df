"""A bundle's method from its networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from edgepose.methods.base import Method, MethodSpec
from edgepose.methods.distillation import DistillationMethod
from edgepose.methods.flow_propagation import FlowPropagation
from edgepose.methods.framewise import FramewiseMethod
from edgepose.methods.propagation import PropagationMethod
from edgepose_runtime.backends.base import Network
from edgepose_runtime.bundles.manifest import Manifest
from edgepose_runtime.bundles.validation import check_network
from edgepose_runtime.errors import BundleFormatError

Networks = Mapping[str, Network]


def _propagation(manifest: Manifest, spec: MethodSpec, nets: Networks) -> Method:
    final, propagate = manifest.head_is_final, nets.get("propagate")
    return PropagationMethod(spec, nets["head"], nets["step"], propagate, head_is_final=final)


_BUILDERS: dict[str, Callable[[Manifest, MethodSpec, Networks], Method]] = {
    "propagation": _propagation,
    "flow-propagation": lambda _, spec, nets: FlowPropagation(spec, nets["head"], nets["body"]),
    "distillation": lambda _, spec, nets: DistillationMethod(spec, nets["head"], nets["step"]),
    "framewise": lambda _, spec, nets: FramewiseMethod(spec, nets["body"]),
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
    spec = MethodSpec.from_manifest(manifest)
    return _BUILDERS[manifest.method](manifest, spec, networks)
