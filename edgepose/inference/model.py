"""Bundles by name or path, loaded once and shared by many trackers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import NoReturn, cast

from edgepose.inference.compile_cache import with_cache
from edgepose.inference.networks import batch_loader, detector_loader, listed, open_networks
from edgepose.methods import Method, build_method
from edgepose.methods.base import BatchMethod
from edgepose.utils.machine import return_free_memory, usable_cores
from edgepose_runtime.backends import BackendSettings, Network
from edgepose_runtime.bundles.bundle import MANIFEST_FILE, load_bundle
from edgepose_runtime.bundles.manifest import DetectorSpec, Manifest
from edgepose_runtime.closable import Closable
from edgepose_runtime.errors import BundleNotFoundError, ClosedError, ConfigError
from edgepose_runtime.files import exists, shown
from edgepose_runtime.poses.skeletons import Skeleton
from edgepose_runtime.thin_slicing.springs import Springs

#: The bundle that is used where none is named.
DEFAULT_MODEL = "ppn-swift"
#: CPU threads of a network where nobody says how many, if there are as many cores: what
#: ``edgepose benchmark --threads 1,2`` measured as the faster.
DEFAULT_THREADS = 2
_BUNDLES = Path(__file__).parents[1] / "bundles"


class PoseModel(Closable):
    """The networks of one bundle, ready to run.

    Trackers share a model: it keeps nothing of any stream. :func:`load` makes one.
    Any call may come from any thread.

    Attributes:
        method: the method with its networks; using it raises :class:`ClosedError` once the model
            was closed.
        skeleton: names and order of the joints.

    Args:
        name: what the model is called in results.
        method: does the estimating.
        device: where the networks run.
        precision: in what they really compute.
        manifest: of the bundle that it was loaded from, if there is one.
        close: releases the networks.
        springs: what refines the heat-maps by thin-slicing, ``None`` for nothing.
        load_detector: loads the network of the bundle's person detector; ``None`` if it has none.
        load_batches: loads the method for several crops of a frame at a time, and has its networks
            closed by what it is given; ``None`` for one crop after the other.
    """

    def __init__(
        self,
        name: str,
        method: Method,
        *,
        device: str = "cpu",
        precision: str = "float32",
        manifest: Manifest | None = None,
        close: Callable[[], None] | None = None,
        springs: Springs | None = None,
        load_detector: Callable[[], Network] | None = None,
        load_batches: Callable[[ExitStack], BatchMethod | None] | None = None,
    ) -> None:
        self.name = name
        self.device = device
        self.precision = precision
        self.springs = springs
        self.manifest = manifest
        self.method = method
        self.skeleton: Skeleton = method.spec.skeleton
        self._close = close
        self._closed = False
        self._load_detector = load_detector
        self._load_again: Callable[[], PoseModel] | None = None
        self._detector: Network | None = None
        self._load_batches = load_batches
        self._batch_method: BatchMethod | None = None
        self._later = ExitStack()
        self._lock = threading.Lock()

    @property
    def has_detector(self) -> bool:
        """Whether the bundle has a person detector."""
        return self._load_detector is not None

    def head_interval(self, own: int | None) -> int | None:
        """Return after how many frames the head runs again; 0 or ``None`` for never.

        Args:
            own: of a tracker; ``None`` for what the bundle recommends.
        """
        return self.method.spec.reinitialise_every if own is None else own

    def detector(self) -> tuple[Network, DetectorSpec]:
        """Return the network of the person detector, loaded on first use, and how it is read.

        Raises:
            ConfigError: the bundle has none.
            ClosedError: the model was closed.
        """
        spec = None if self.manifest is None else self.manifest.detector
        if spec is None or self._load_detector is None:
            raise ConfigError(
                f"The model {self.name!r} has no person detector, which following several people "
                "needs: choose another model, add one by 'edgepose convert BUNDLE OUT "
                "--detector FILE', or leave max_people at 1."
            )
        with self._lock:
            self._require_open()
            if self._detector is None:
                self._detector = self._later.enter_context(self._load_detector())
            return self._detector, spec

    def batch_method(self) -> BatchMethod | None:
        """Return the method for several crops of a frame at a time, loaded on first use.

        ``None`` where one after the other is as fast, or not known to be slower.

        Raises:
            ClosedError: the model was closed.
        """
        with self._lock:
            self._require_open()
            if self._load_batches is not None:
                load, self._load_batches = self._load_batches, None
                self._batch_method = load(self._later)
            return self._batch_method

    def _require_open(self) -> None:
        if self._closed:
            raise ClosedError(f"The model {self.name!r} was closed; load it again.")

    def close(self) -> None:
        """Release the networks; trackers that use them fail from here on. A second call is fine."""
        if not self._closed:
            self._closed = True
            self.method = cast(Method, _ClosedMethod(self.name))
            with self._lock:
                self._later.close()
            if self._close is not None:
                self._close()

    def __reduce__(self) -> tuple[Callable[[], PoseModel], tuple[()]]:
        """Pickle the options alone: another process loads the model itself."""
        if self._load_again is None:
            raise TypeError(f"Only models of edgepose.load() can be pickled; {self!r} is none.")
        return self._load_again, ()

    def __repr__(self) -> str:
        return f"PoseModel({self.name!r}, device={self.device!r}, precision={self.precision!r})"


class _ClosedMethod:
    """Stands in for the method of a closed model: any use of it is an error."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, _: str) -> NoReturn:
        raise ClosedError(f"The model {self._name!r} was closed; load it again.")


def load(
    model: str | Path = DEFAULT_MODEL,
    *,
    backend: str = "openvino",
    device: str = "cpu",
    precision: str = "auto",
    num_threads: int | None = None,
) -> PoseModel:
    """Load a bundle's networks, for one tracker or several.

    Example:
        >>> with load("ppn-swift", num_threads=1) as model:
        ...     left, right = edgepose.PoseTracker(model), edgepose.PoseTracker(model)
        ...     model.device, model.skeleton.num_joints
        ('cpu', 13)

    Args:
        model: name of a shipped bundle, or the path of one.
        backend: what runs the networks: ``"openvino"``, ``"onnxruntime"`` or, on a
            server, ``"triton"``.
        device: where; asking for a device that is not there is an error, never a silent fallback.
        precision: what the layers compute in that are not quantised: ``"auto"`` for the fastest
            that the processor has in OpenVINO (bfloat16 where there is one) and float32 in
            ONNX Runtime, or ``"float32"``, ``"float16"``, ``"bfloat16"``. Quantised layers compute
            in int8 with all of them; ``"int8"`` refuses a model without any. What is in use is
            :attr:`PoseModel.precision`.
        num_threads: CPU threads for one network; ``None`` for :data:`DEFAULT_THREADS`, or as many
            as this process has cores.

    Raises:
        BundleError: there is no such bundle, or it is damaged.
        BackendError: the backend is not installed, has no such device, or computes wrong results.
        ConfigError: an option has a value that nothing knows.
    """
    # A tracker processes one region at a time, and a fixed batch runs some percent faster.
    threads = min(DEFAULT_THREADS, usable_cores()) if num_threads is None else num_threads
    settings = BackendSettings(device=device, precision=precision, num_threads=threads, batch=1)
    loaded = open_model(model, backend, settings)
    place = str(model) if str(model) in available_models() else bundle_path(model).resolve()
    loaded._load_again = partial(
        load, place, backend=backend, device=device, precision=precision, num_threads=num_threads
    )
    return loaded


def open_model(
    model: str | Path,
    backend: str,
    settings: BackendSettings,
    wrap: Callable[[str, Network], Network] = lambda _, network: network,
) -> PoseModel:
    """Load a bundle's networks as the settings say; see :func:`load`.

    Args:
        model: name of a shipped bundle, or the path of one.
        backend: what runs the networks.
        settings: how.
        wrap: makes of each network, given its name, the one that the method uses.
    """
    bundle = load_bundle(bundle_path(model))
    with ExitStack() as opened:
        loaded, settings = open_networks(bundle, backend, with_cache(settings), opened)
        return_free_memory()
        networks = {name: wrap(name, network) for name, network in loaded.items()}
        method = build_method(bundle.manifest, networks)
        return PoseModel(
            bundle.manifest.name,
            method,
            device=listed(network.device for network in networks.values()),
            precision=listed(network.precision for network in networks.values()),
            springs=bundle.springs(),
            manifest=bundle.manifest,
            close=opened.pop_all().close,
            load_detector=detector_loader(bundle, backend, settings),
            load_batches=batch_loader(bundle, backend, settings, networks),
        )


def available_models() -> tuple[str, ...]:
    """Return the names of the bundles that this installation ships.

    Example:
        >>> available_models()
        ('ppn-stable', 'ppn-stable-float', 'ppn-swift', 'ppn-swift-float')
    """
    return tuple(sorted(manifest.parent.name for manifest in _BUNDLES.glob(f"*/{MANIFEST_FILE}")))


def bundle_path(model: str | Path) -> Path:
    """Return the folder of a bundle, given its name or path.

    Raises:
        BundleNotFoundError: it is no shipped name, and no folder either.
    """
    if str(model) in available_models():
        return _BUNDLES / str(model)
    path = Path(str(model))
    with suppress(RuntimeError):  # "~somebody" who is no user here
        path = path.expanduser()
    if not str(model) or not exists(path) or not path.is_dir():
        shipped = ", ".join(available_models()) or "none"
        raise BundleNotFoundError(
            f"There is no model '{shown(str(model))}': it is neither the folder of a bundle "
            f"nor one of those that come with edgepose ({shipped})."
        )
    return path
