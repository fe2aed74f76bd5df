"""How a tracker chooses the frames that its networks process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from edgepose_runtime.checks import is_finite_number, is_whole_number
from edgepose_runtime.errors import ConfigError

#: Stands for the defaults of :class:`KeyFrames`.
AUTO = "auto"
#: A frame cannot be held back for longer: with both its key frames that is a window of 40.
LONGEST_LAG = 38

#: What moves joints between key frames; see :class:`KeyFrames`.
Motion = Literal["flow", "dynamics", "both"]
#: What estimates the error of propagated joints; see :class:`KeyFrames`.
Decision = Literal["drift", "learned", "uncertainty"]
#: What processes key frames; see :class:`KeyFrames`.
KeyFrameNetwork = Literal["auto", "head", "light"]
#: The part of key frames where neither that nor a tolerance is given. Those of a strong head may be
#: fewer.
HEAD_RATE, LIGHT_RATE = 0.23, 0.4
#: With a tolerance of so much divided by a part of the frames, about that part of the frames of
#: sports and everyday movements become key frames.
TOLERANCE_TIMES_RATE = 0.005


@dataclass(frozen=True, slots=True)
class KeyFrames:
    """Run the networks on few frames; the others' poses are propagated from those.

    Between key frames the joints are propagated. A frame becomes a key frame when their expected
    error grows beyond ``tolerance``, and the budget allows it. Without a ``tolerance`` the part of
    key frames of a person who moves approaches the budget. After a key frame that differs from what
    was expected, the next ones are key frames too.

    Example:
        >>> key_frames = KeyFrames(max_key_rate=0.25, lag_frames=8)
        >>> with edgepose.PoseTracker(key_frames=key_frames) as tracker:
        ...     origins = {str(result.origin) for result in tracker.stream(clip)}
        >>> "interpolated" in origins
        True

    Attributes:
        max_key_rate: the part of all frames, above 0 to 1, that may be key frames in the long run;
            ``None`` for 0.23 where the head processes key frames, and for 0.4 where the light
            network does or a tolerance is given; with several people 0.5 for ``network="auto"``.
        tolerance: expected mean error of the joints, in sides of the person's square region, above
            which a frame becomes a key frame. ``None`` to adapt to the movement: the part of
            key frames approaches ``max_key_rate``, but a person who stands still has fewer.
        lag_frames: give each result out so many frames later, so that poses between key frames
            can be interpolated from both sides instead of predicted from one.
        motion: what moves the joints. ``"flow"``: optical flow. ``"dynamics"``: the dictionary of
            dynamics, which extrapolates the last key poses (weighted HPIM); flow only tells how
            much changes. ``"both"``: the mean of the two, weighted for each joint by the inverse of
            their variances.
        decision: what estimates the error. ``"drift"``: a sum of how far the joints move.
            ``"learned"``: a small network, from what flow and dynamics say since the last key
            frame.
            ``"uncertainty"``: the standard deviation of HPIM, combined with that of flow where
            ``motion`` uses it. The same ``tolerance`` gives about as many key frames with each.
        network: what processes key frames. ``"head"``: the heavy head; their origin is then
            ``initialised``. ``"light"``: the light network, and the head as often as
            ``reinitialise_every`` says. ``"auto"``: the head if the bundle recommends to run it
            repeatedly and it computes in 16-bit floating point, in which it takes about twice the
            time of the light network and not five times; with several people the light network.
            Then the head runs at the start and, if the bundle recommends to run it repeatedly, in
            key frames of people whose boxes overlap, and, once its last run is 3 frames old, of
            people lower than 120 pixels or who were close to others. A tracker's own
            ``reinitialise_every``, or a remote head, stands above this.

    Raises:
        ConfigError: a number is outside its range, or a name is not known.
    """

    max_key_rate: float | None = None
    tolerance: float | None = None
    lag_frames: int = 0
    motion: Motion = "flow"
    decision: Decision = "drift"
    network: KeyFrameNetwork = "auto"

    def __post_init__(self) -> None:
        if self.max_key_rate is not None and not _is_part(self.max_key_rate):
            raise ConfigError(
                "max_key_rate must be a part of the frames, above 0 and at most 1, or None for "
                f"what suits the network; got {self.max_key_rate!r}."
            )
        if self.tolerance is not None and not _is_length(self.tolerance):
            raise ConfigError(
                "The tolerance of key frames must be 0 or more, in sides of the person's region, "
                f"or None to adapt it to the budget; got {self.tolerance!r}."
            )
        if not is_whole_number(self.lag_frames) or not 0 <= self.lag_frames <= LONGEST_LAG:
            raise ConfigError(
                f"lag_frames must be a whole number of frames from 0 to {LONGEST_LAG}; "
                f"got {self.lag_frames!r}."
            )
        _require_one_of("motion", self.motion, get_args(Motion))
        _require_one_of("decision", self.decision, get_args(Decision))
        _require_one_of("network", self.network, get_args(KeyFrameNetwork))

    @property
    def budget(self) -> float:
        """The part of frames that may be key frames, or what stands for ``None``."""
        if self.max_key_rate is not None:
            return self.max_key_rate
        return HEAD_RATE if self.network == "head" and self.tolerance is None else LIGHT_RATE

    @property
    def largest_error(self) -> float:
        """The tolerance, or the one that adaptation starts with."""
        if self.tolerance is not None:
            return self.tolerance
        return TOLERANCE_TIMES_RATE / self.budget


def _is_part(value: Any) -> bool:
    return is_finite_number(value) and 0 < value <= 1


def _is_length(value: Any) -> bool:
    return is_finite_number(value) and value >= 0


def _require_one_of(name: str, value: Any, known: tuple[str, ...]) -> None:
    if not isinstance(value, str) or value not in known:
        raise ConfigError(f"The {name} of key frames is one of {', '.join(known)}; got {value!r}.")


def key_frame_settings(value: KeyFrames | str | None) -> KeyFrames | None:
    """Return how to choose key frames; ``None`` to process every frame.

    Args:
        value: settings, ``"auto"`` for the defaults, or ``None``.

    Raises:
        ConfigError: it is something else.
    """
    if value is None or isinstance(value, KeyFrames):
        return value
    if str(value) == AUTO:  # what is no text may compare in a way of its own, such as arrays
        return KeyFrames()
    raise ConfigError(f"key_frames must be {AUTO!r}, KeyFrames(...) or None; got {value!r}.")
