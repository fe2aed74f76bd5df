"""Which network processes key frames, where the settings leave that open."""

from __future__ import annotations

from dataclasses import replace

from edgepose.inference.model import PoseModel
from edgepose.keyframes.settings import KeyFrameNetwork, KeyFrames

#: In these the head of ``ppn-swift`` takes about twice the time of its light network, and in
#: float32 five times: then the light network on more frames is as accurate in the same time.
_SHORT_FLOATS = ("bfloat16", "float16")


def with_network(
    settings: KeyFrames, model: PoseModel, interval: int | None, *, is_remote: bool = False
) -> KeyFrames:
    """Return settings that name the network of key frames in place of ``"auto"``.

    Args:
        settings: of a tracker.
        model: its networks.
        interval: the tracker's own number of frames between two runs of the head, which stands
            above the settings; ``None`` if it has none.
        is_remote: the head is on a server, which is asked as often as without key frames.
    """
    if interval is not None or is_remote:
        return replace(settings, network="head" if interval == 1 else "light")
    if settings.network != "auto":
        return settings
    return replace(settings, network=_suitable(model))


def _suitable(model: PoseModel) -> KeyFrameNetwork:
    if model.method.spec.reinitialise_every is None:
        return "light"
    return "head" if any(name in model.precision for name in _SHORT_FLOATS) else "light"
