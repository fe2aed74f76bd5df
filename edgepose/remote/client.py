"""A tracker's connection to its remote head."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Protocol

from edgepose.inference.estimator import person_criteria
from edgepose.inference.model import PoseModel
from edgepose.methods.base import PropagatingMethod
from edgepose.remote.late_answers import AsyncHead, RemoteHeadTracker
from edgepose.remote.recorder import HeadRecorder
from edgepose.remote.settings import RemoteHead
from edgepose.stats import HeadStats
from edgepose_runtime.backends.triton import (
    BreakerState,
    Expected,
    ServerAddress,
    ServerNetwork,
    open_server,
)
from edgepose_runtime.bundles.manifest import Manifest
from edgepose_runtime.closable import Closable
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.events import EventKind, StreamEvent
from edgepose_runtime.tensors import Array, TensorSpec

#: Events that wait for the next frame; nobody needs older ones.
_QUEUED_EVENTS = 100


class HeadNetwork(Protocol):
    """A head that answers requests: a server's, or one that stands in for it."""

    @property
    def state(self) -> BreakerState:
        """Whether requests go out to it."""

    @property
    def wants_probe(self) -> bool:
        """Whether a request would find out if it is back."""

    def start(self, feeds: Mapping[str, Array]) -> Future[dict[str, Array]]:
        """Send a request; see :meth:`ServerNetwork.start`."""

    def close(self) -> None:
        """End the connection, unless it is others' too."""


class HeadConnection(Closable):
    """The connection of one tracker, for all its streams one after another.

    Nothing is connected before the first request: a server that is away never keeps a tracker from
    starting.

    Args:
        model: its method must be able to propagate heat-maps.
        settings: where the head is, and when to send requests.
        local: the bundle's own head steps in while the remote one is away.
        network: in place of a connection of its own; whoever has the connection then calls
            :meth:`note`.

    Raises:
        ConfigError: the model's method cannot, or the token would be sent in the clear.
        BackendUnavailableError: ``tritonclient`` is not installed.
    """

    def __init__(
        self,
        model: PoseModel,
        settings: RemoteHead,
        *,
        local: bool = True,
        network: HeadNetwork | None = None,
    ) -> None:
        self._method = _propagating_method(model)
        self._settings = settings
        self._local = local
        self._recorder = HeadRecorder()
        self._events: deque[tuple[EventKind, str]] = deque(maxlen=_QUEUED_EVENTS)
        self._network = network or connect(model, settings, self.note)

    @property
    def stats(self) -> HeadStats:
        """What became of the requests so far."""
        return self._recorder.snapshot(str(self._network.state))

    @property
    def is_away(self) -> bool:
        """Whether the circuit breaker stops requests for now."""
        return self._network.state is not BreakerState.CLOSED

    @property
    def wants_probe(self) -> bool:
        """Whether a request would show if the server is back."""
        return self._network.wants_probe

    def start(self, feeds: Mapping[str, Array]) -> Future[dict[str, Array]]:
        """Send a request; see :meth:`ServerNetwork.start`."""
        return self._network.start(feeds)

    def new_tracker(self, every: int | None, network: AsyncHead | None = None) -> RemoteHeadTracker:
        """Return the requests and answers of a new stream.

        Args:
            every: send a request every N frames, 0 for never; ``None`` for what the bundle
                recommends.
            network: answers the requests over this connection; ``None`` for the connection itself.
        """
        spec = self._method.spec
        every = spec.reinitialise_every if every is None else every
        return RemoteHeadTracker(
            self._method,
            network or self,
            self._settings,
            person_criteria=person_criteria(spec.score_threshold),
            every=every or None,
            local=self._local,
            recorder=self._recorder,
        )

    def take_events(self, timestamp_ms: float) -> list[StreamEvent]:
        """Return what happened to the server since the last call, with the time of this frame."""
        events = []
        while self._events:
            kind, detail = self._events.popleft()
            events.append(StreamEvent(kind, timestamp_ms, detail))
        return events

    def reset(self) -> None:
        """Count from the beginning."""
        self._recorder.reset()

    def close(self) -> None:
        """End the connection; requests that are under way fail."""
        self._network.close()

    def note(self, there: bool, detail: str) -> None:
        """Take in whether the server is there, to be reported with the next frame. Any thread."""
        kind = EventKind.HEAD_RECONNECTED if there else EventKind.HEAD_LOST
        self._events.append((kind, detail))


def connect(
    model: PoseModel, settings: RemoteHead, listener: Callable[[bool, str], None]
) -> ServerNetwork:
    """Return the connection to a head that fits a bundle; nothing is sent yet.

    Args:
        model: the bundle.
        settings: where the head is.
        listener: called with whether the server is there, and a sentence for people; on any
            thread.

    Raises:
        ConfigError: the model's method cannot propagate answers, or the token would be sent in the
            clear.
        BackendUnavailableError: ``tritonclient`` is not installed.
    """
    _propagating_method(model)
    address = ServerAddress.parse(settings.address)
    expected = _expected(model, address, settings)
    return open_server(address, expected, settings.server, batch=None, listener=listener)


def _propagating_method(model: PoseModel) -> PropagatingMethod:
    method = model.method
    if not isinstance(method, PropagatingMethod) or not method.can_propagate:
        raise ConfigError(
            f"A remote head needs a bundle whose method can propagate its late answers, with the "
            f"graph 'propagate'; {model.name!r} cannot."
        )
    return method


def _expected(model: PoseModel, address: ServerAddress, settings: RemoteHead) -> Expected:
    """Return what the server's model must be like to be this bundle's head."""
    spec, manifest = model.method.spec, model.manifest
    cells = spec.heatmap_size
    image = TensorSpec("image", "uint8", ("N", *spec.view.shape))
    maps = ("N", spec.skeleton.num_joints, cells, cells)
    own = None if manifest is None else manifest.graphs.get("head")
    # Another model is named by the user: its hash is its own.
    sha256 = settings.sha256 or (own.sha256 if own is not None and not address.model else None)
    return Expected(
        name=address.model or settings.server.model or f"{model.name}-head",
        sha256=sha256,
        inputs=(image,),
        outputs=(TensorSpec("heatmaps", "float32", maps),),
        facts={} if manifest is None else head_facts(manifest),
    )


def head_facts(manifest: Manifest) -> dict[str, str]:
    """Return the facts in a server's configuration that a head for a bundle must match."""
    maps = manifest.heatmap
    return {
        "edgepose.skeleton": manifest.skeleton,
        "edgepose.heatmap": f"{maps.size} cells, stride {maps.stride:g}, offset {maps.offset:g}",
    }
