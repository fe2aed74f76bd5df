"""A heavy head on a server, whose late answers are merged into the running track.

The tracker starts at once with its light network, and asks the server about some frames. When the
answer for frame t comes at t + n, it is carried through the frames since, with what was kept of
each: the light network's heat-maps and a small picture. If it is better supported than the track,
it takes its place.
"""

from edgepose.remote.client import HeadLink
from edgepose.remote.late_answers import LateHead
from edgepose.remote.recorder import HeadStats, LateReason
from edgepose.remote.settings import LOCAL, RemoteHead, remote_head
from edgepose.remote.shared_client import SharedHead

__all__ = [
    "LOCAL",
    "HeadLink",
    "HeadStats",
    "LateHead",
    "LateReason",
    "RemoteHead",
    "SharedHead",
    "remote_head",
]
