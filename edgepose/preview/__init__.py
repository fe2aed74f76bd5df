"""A page in a browser that shows what trackers do: pictures, poses, latency, drops, events.

It needs no more than the base install; ``/metrics`` needs the extra ``metrics``.
"""

from edgepose.preview.preview import Preview
from edgepose.preview.settings import PreviewSettings

__all__ = ["Preview", "PreviewSettings"]
