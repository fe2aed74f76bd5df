"""Loads the graphs of a bundle, and has them checked where they run for the first time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace

import numpy as np

from edgepose.inference.batching import BatchSizes
from edgepose.inference.self_check import is_right, require_right_results
from edgepose.methods import build_method
from edgepose.methods.base import BatchMethod
from edgepose.utils.machine import usable_cores
from edgepose_runtime.backends import BackendSettings, Network, get_backend
from edgepose_runtime.backends.base import INT8, int8_error
from edgepose_runtime.bundles.bundle import Bundle
from edgepose_runtime.bundles.manifest import DETECTOR_GRAPH
from edgepose_runtime.bundles.self_check import TOLERANCE, reference_crop
from edgepose_runtime.bundles.validation import check_network
from edgepose_runtime.errors import BackendError

_logger = logging.getLogger("edgepose")

Networks = Mapping[str, Network]

#: The graph that processes several people of a frame at once, and how many at most. Six at once
#: would be 5 % faster than four, and for each size there is another network in memory.
BATCH_GRAPH, LARGEST_FRAME_BATCH = "body", 4


def open_networks(
    bundle: Bundle, backend: str, settings: BackendSettings, opened: ExitStack
) -> tuple[Networks, BackendSettings]:
    """Load the graphs of a bundle but the person detector, and compare them with its reference.

    Where its int8 layers cannot run, or compute wrong results, they compute in floating point
    instead, unless int8 was asked for; a warning says so.

    Args:
        bundle: the bundle.
        backend: what runs them.
        settings: how.
        opened: closes them.

    Returns:
        Networks by name, and the settings that they run with.

    Raises:
        DeviceError: they compute wrong results here.
        BackendError: they cannot be loaded.
    """
    with ExitStack() as loading:
        try:
            networks = _load_networks(bundle, backend, settings, loading)
        except BackendError as error:
            if bundle.manifest.precision != INT8 or settings.precision == INT8:
                raise
            loading.close()
            return _in_float(bundle, backend, settings, opened, f"cannot run here ({error})")
        running = _running(backend, networks)
        method = build_method(bundle.manifest, networks)
        if INT8 not in running or settings.precision == INT8:
            require_right_results(bundle.manifest, method, running)
        elif not is_right(bundle.manifest, method, running):
            loading.close()
            wrong = f"compute wrong results here ({running})"
            return _in_float(bundle, backend, settings, opened, wrong)
        opened.enter_context(loading.pop_all())
        return networks, settings


def _in_float(
    bundle: Bundle, backend: str, settings: BackendSettings, opened: ExitStack, reason: str
) -> tuple[Networks, BackendSettings]:
    settings = replace(settings, quantised=False)
    networks = _load_networks(bundle, backend, settings, opened)
    running = _running(backend, networks)
    require_right_results(bundle.manifest, build_method(bundle.manifest, networks), running)
    _logger.warning(
        "The int8 layers of '%s' %s, so they run in floating point (%s): the poses are right, but "
        "come later. A model that is not quantised, 'ppn-swift-float' or 'ppn-stable-float', may "
        "be faster.",
        bundle.manifest.name,
        reason,
        running,
    )
    return networks, settings


def _running(backend: str, networks: Networks) -> str:
    """Return backend, devices and precisions in use."""
    devices = listed(network.device for network in networks.values())
    return f"{backend}, {devices}, {listed(network.precision for network in networks.values())}"


def listed(values: Iterable[str]) -> str:
    """Return the different ones of some names in a line."""
    return ", ".join(sorted(set(values)))


def _for_graph(settings: BackendSettings) -> BackendSettings:
    """Return how one graph runs: int8 is asked of the bundle, whose small graphs stay float."""
    return replace(settings, precision="auto") if settings.precision == INT8 else settings


def detector_loader(
    bundle: Bundle, backend: str, settings: BackendSettings
) -> Callable[[], Network] | None:
    """Return what loads the bundle's person detector; ``None`` if it has none."""
    if bundle.manifest.detector is None:
        return None

    def load_detector() -> Network:
        path = bundle.graph_path(DETECTOR_GRAPH)
        network = get_backend(backend).load(path, settings=_for_graph(settings))
        graph = bundle.manifest.graphs[DETECTOR_GRAPH]
        check_network(DETECTOR_GRAPH, graph, network.inputs, network.outputs)
        return network

    return load_detector


def batch_loader(
    bundle: Bundle, backend: str, settings: BackendSettings, networks: Networks
) -> Callable[[ExitStack], BatchMethod | None] | None:
    """Return what loads the method for several crops of a frame at a time.

    ``None`` where that is not known to be faster: it is with OpenVINO on processors.

    Args:
        bundle: the bundle.
        backend: what runs it.
        settings: how the networks run.
        networks: those for one crop, which are used for it.
    """
    manifest = bundle.manifest
    if backend != "openvino" or settings.device != "cpu" or settings.batch != 1:
        return None

    def load_batches(opened: ExitStack) -> BatchMethod | None:
        if not isinstance(build_method(manifest, networks), BatchMethod):
            return None
        with ExitStack() as loading:
            try:
                larger = load_sizes(loading)
                batches = BatchSizes({1: networks[BATCH_GRAPH], **larger})
                agrees = _agree(batches, manifest.input.view.shape)
                reason = listed(network.precision for network in larger.values())
            except BackendError as error:
                agrees, reason = False, str(error)
            if agrees:
                opened.enter_context(loading.pop_all())
                method = build_method(manifest, {**networks, BATCH_GRAPH: batches})
                return method if isinstance(method, BatchMethod) else None
        _logger.warning(
            "'%s' does not compute the same for several people at once as for one here (%s), "
            "so they are processed one after the other.",
            manifest.name,
            reason,
        )
        return None

    def load_sizes(opened: ExitStack) -> Mapping[int, Network]:
        def load(size: int) -> Network:
            one_size = replace(_for_graph(settings), batch=size)
            network = get_backend(backend).load(bundle.graph_path(BATCH_GRAPH), settings=one_size)
            with lock:
                return opened.enter_context(network)

        lock = threading.Lock()
        sizes = range(2, LARGEST_FRAME_BATCH + 1)
        with ThreadPoolExecutor(min(len(sizes), usable_cores())) as pool:
            return dict(zip(sizes, pool.map(load, sizes), strict=True))

    return load_batches


def _agree(batches: BatchSizes, shape: tuple[int, int, int]) -> bool:
    """Return whether a network computes about the same for a picture in batches of each size."""
    crop = reference_crop(shape)[None]
    (alone,) = batches.infer({"image": crop}).values()
    sizes = range(2, LARGEST_FRAME_BATCH + 1)
    together = [batches.infer({"image": np.repeat(crop, size, axis=0)}) for size in sizes]
    return all(
        np.abs(maps - alone).max() <= TOLERANCE for found in together for maps in found.values()
    )


def _load_networks(
    bundle: Bundle, backend: str, settings: BackendSettings, opened: ExitStack
) -> Networks:
    engine = get_backend(backend)
    wants_int8, per_graph = settings.precision == INT8, _for_graph(settings)
    names = [each for each in bundle.manifest.graphs if each != DETECTOR_GRAPH]

    def load_graph(name: str) -> Network:
        network = engine.load(bundle.graph_path(name), settings=per_graph)
        with lock:
            return opened.enter_context(network)

    # Side by side: compiling keeps about one core busy, and most machines have more.
    lock = threading.Lock()
    with ThreadPoolExecutor(min(len(names), usable_cores())) as pool:
        networks = dict(zip(names, pool.map(load_graph, names), strict=True))
    computed = listed(network.precision for network in networks.values())
    if wants_int8 and INT8 not in computed:
        raise int8_error(computed)
    return networks
