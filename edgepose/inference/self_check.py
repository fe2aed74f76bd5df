"""The first use of a bundle on a device: do its networks compute what they should?

There are processors on which a runtime computes nonsense without an error, such as int8 networks of
OpenVINO on ARM with SVE and i8mm as QEMU emulates it. A bundle therefore carries what its networks
make of a reference picture.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from contextlib import suppress
from dataclasses import replace

from edgepose.inference.compile_cache import cache_folder
from edgepose.methods import Method
from edgepose.methods.base import Heatmaps
from edgepose.utils.machine import installed, instruction_sets, processor
from edgepose_runtime.bundles.bundle import MANIFEST_FILE, Bundle, load_bundle
from edgepose_runtime.bundles.manifest import Manifest
from edgepose_runtime.bundles.manifest_json import dump_manifest
from edgepose_runtime.bundles.self_check import (
    TOLERANCE,
    SelfCheck,
    difference,
    find_peaks,
    reference_crop,
)
from edgepose_runtime.errors import DeviceError, OutputError
from edgepose_runtime.geometry.roi import Roi

#: ``off`` in this variable leaves the check out.
ENVIRONMENT_VARIABLE = "EDGEPOSE_SELF_CHECK"
_PACKAGES = ("edgepose", "openvino", "onnxruntime", "onnxruntime-gpu")


def require_right_results(manifest: Manifest, method: Method, running: str) -> None:
    """Compare what networks compute with the reference of their bundle, once for each device.

    The outcome is kept in the cache; it is compared again after another version of edgepose, of the
    runtime or of the bundle, and on another processor.

    Args:
        manifest: of the bundle; nothing happens if it has no reference.
        method: its networks.
        running: backend, device and precision in use.

    Raises:
        DeviceError: the networks compute something else.
    """
    worst = _difference_here(manifest, method, running)
    if not worst <= TOLERANCE:
        raise DeviceError(
            f"The networks of {manifest.name!r} compute wrong results here ({running}): at the "
            f"joints of a reference picture they differ by {worst:.2f}, and up to {TOLERANCE} is "
            "right. Choose the precision 'float32' if it was another, backend='onnxruntime', or "
            "a model that is not quantised: 'ppn-swift-float' or 'ppn-stable-float'. "
            f"{ENVIRONMENT_VARIABLE}=off leaves this check out, and poses would be wrong."
        )


def is_right(manifest: Manifest, method: Method, running: str) -> bool:
    """Return what :func:`require_right_results` finds, in place of an error."""
    return _difference_here(manifest, method, running) <= TOLERANCE


def _difference_here(manifest: Manifest, method: Method, running: str) -> float:
    """Return the difference from the reference: of the cache, else measured."""
    if manifest.self_check is None or os.environ.get(ENVIRONMENT_VARIABLE) == "off":
        return 0.0
    outcome = cache_folder() / "self-check" / _key(manifest, running)
    with suppress(OSError, ValueError):
        return float(outcome.read_text(encoding="utf-8").partition(" ")[0])
    worst = measure_difference(manifest.self_check, method)
    with suppress(OSError):  # it is fast enough to be done at each start
        outcome.parent.mkdir(parents=True, exist_ok=True)
        outcome.write_text(f"{worst:.4f} {manifest.name}: {running}\n", encoding="utf-8")
    return worst


def measure_difference(reference: SelfCheck, method: Method) -> float:
    """Return the larger difference of the two networks from a reference."""
    initialised, advanced = _run(method)
    return max(
        difference(initialised, reference.initialised), difference(advanced, reference.advanced)
    )


def with_self_check(bundle: Bundle, method: Method) -> Bundle:
    """Write what networks compute here into the manifest of their bundle, as its reference.

    Args:
        bundle: on disk, whose manifest is replaced.
        method: its networks, on a device and in a precision known to be right.

    Raises:
        OutputError: the manifest cannot be written.
    """
    reference = SelfCheck(*(find_peaks(maps) for maps in _run(method)))
    text = dump_manifest(replace(bundle.manifest, self_check=reference))
    beside = bundle.path / f".{MANIFEST_FILE}.part"
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(bundle.path / MANIFEST_FILE)
    except OSError as error:
        raise OutputError(f"The bundle {bundle.path} cannot be written: {error}.") from error
    return load_bundle(bundle.path)


def _run(method: Method) -> tuple[Heatmaps, Heatmaps]:
    crop = reference_crop(method.spec.view.shape)
    roi = Roi(0, 0, method.spec.input_size, method.spec.input_size)
    first = method.initialise(crop, roi)
    return first.heatmaps, method.advance(crop, roi, first.state).heatmaps


def _key(manifest: Manifest, running: str) -> str:
    """Return a name for what the outcome depends on."""
    versions = {package: installed(package) for package in _PACKAGES}
    machine = [platform.machine(), processor(), instruction_sets()]
    graphs = {name: graph.sha256 for name, graph in manifest.graphs.items()}
    facts = json.dumps([graphs, versions, machine, running], sort_keys=True)
    return hashlib.sha256(facts.encode()).hexdigest()[:32]
