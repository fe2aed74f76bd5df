"""Key frames: the few frames worth looking at, and the poses of all others from those."""

from edgepose.keyframes.settings import AUTO, KeyFrames, key_frame_settings

__all__ = ["AUTO", "KeyFrames", "key_frame_settings"]
