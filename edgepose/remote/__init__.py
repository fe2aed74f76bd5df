"""A heavy head on a server, whose late answers are merged into the running track.

The tracker starts at once with its light network, and sends some frames to the server. When the
answer for frame t arrives at t + n, it is propagated through the frames since, with what was kept
of each: the light network's heat-maps and a thumbnail. If it is better supported than the track,
it replaces the track's pose.
"""

from edgepose.remote.client import HeadConnection
from edgepose.remote.joined_requests import JoinedRequests
from edgepose.remote.late_answers import RemoteHeadTracker
from edgepose.remote.settings import LOCAL, HeadLocal, RemoteHead, remote_head
from edgepose.remote.shared_client import SharedHeadConnection
from edgepose.stats import HeadStats, LateReason

__all__ = [
    "LOCAL",
    "HeadConnection",
    "HeadLocal",
    "HeadStats",
    "JoinedRequests",
    "LateReason",
    "RemoteHead",
    "RemoteHeadTracker",
    "SharedHeadConnection",
    "remote_head",
]
