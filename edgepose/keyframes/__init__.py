"""Key frames: networks run on few frames, whose poses are propagated to the others."""

from edgepose.keyframes.settings import AUTO, KeyFrames, key_frame_settings

__all__ = ["AUTO", "KeyFrames", "key_frame_settings"]
