"""Which network processes key frames, where the settings leave that open."""

from __future__ import annotations

from dataclasses import replace

from edgepose.inference.model import PoseModel
from edgepose.keyframes.settings import KeyFrameNetwork, KeyFrames

#: In these the head of ``ppn-swift`` takes about twice the time of its light network, and in
#: float32 five times: then the light network on more frames is as accurate in the same time.
_SHORT_FLOATS = ("bfloat16", "float16")
#: The part of key frames of each of several people, where neither that nor a tolerance is given.
PEOPLE_RATE = 0.5


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


def for_one(
    settings: KeyFrames, model: PoseModel, interval: int | None, *, is_remote: bool = False
) -> tuple[KeyFrames, int | None]:
    """Return settings that name the network, and after how many frames the head is due.

    Args:
        settings: of a tracker.
        model: its networks.
        interval: see :func:`with_network`.
        is_remote: likewise.
    """
    chosen = with_network(settings, model, interval, is_remote=is_remote)
    return chosen, 1 if chosen.network == "head" else model.head_interval(interval)


def for_several(
    settings: KeyFrames, model: PoseModel, interval: int | None, *, is_remote: bool = False
) -> tuple[KeyFrames, int | None]:
    """Return what :func:`for_one` does, for each of several people.

    With ``"auto"`` that is the light network, on more frames than there is time for the head, which
    starts tracks and is never due after that: :class:`~edgepose.people.person.FollowedPerson` asks
    for it where people are small or may be mistaken for each other, if the bundle recommends to run
    it repeatedly. With one that does not, such as ``ppn-stable``, nobody gets it after the start.
    """
    if settings.network != "auto" or interval is not None or is_remote:
        return for_one(settings, model, interval, is_remote=is_remote)
    is_open = settings.max_key_rate is None and settings.tolerance is None
    rate = PEOPLE_RATE if is_open else settings.max_key_rate
    return replace(settings, network="light", max_key_rate=rate), None


def _suitable(model: PoseModel) -> KeyFrameNetwork:
    if model.method.spec.reinitialise_every is None:
        return "light"
    return "head" if any(name in model.precision for name in _SHORT_FLOATS) else "light"
