"""The errors of edgepose.

Everything that edgepose raises on purpose is an :class:`EdgePoseError`, so one ``except`` clause
is enough around the whole SDK; where a built-in error says the same, ours is that error too::

    EdgePoseError
     ├─ ConfigError               (ValueError)    unknown, contradictory or unavailable options
     ├─ FrameError                (ValueError)    a frame of a wrong type, shape or size
     │   └─ RoiError                              a region outside the frame, empty or not finite
     ├─ TimestampError            (ValueError)    a timestamp that runs backwards or is not finite
     ├─ SourceError               (OSError)       a video, images or a camera that cannot be read
     ├─ OutputError               (OSError)       a results file, video or bundle not to be written
     ├─ BundleError                               a bundle that cannot be used
     │   ├─ BundleNotFoundError                   nothing lies at that path or under that name
     │   ├─ BundleFormatError                     a manifest or graph missing, cut off or invalid
     │   ├─ BundleVersionError                    written for another version of the format
     │   └─ BundleHashError                       a file differs from what the manifest recorded
     ├─ BackendError                              a backend that fails
     │   ├─ BackendUnavailableError               its package is not installed
     │   ├─ DeviceError                           the device that was asked for is not there
     │   └─ InferenceError                        inputs that do not fit, or a failed run
     │       └─ ServerError                       a server that fails; ``fault`` says how
     ├─ PoseFileError                             a file of poses that is damaged or no such file
     ├─ DataError                                 training or evaluation data that cannot be read
     ├─ CheckpointError                           a checkpoint that is damaged or does not fit
     ├─ CollapseError                             a training run that learns nothing any more
     ├─ ProcessGroupError                         processes that train together lose each other
     ├─ AccuracyError                             a conversion that loses more than is allowed
     └─ ClosedError               (RuntimeError)  a call on something that was closed
"""

from __future__ import annotations

import re

from edgepose_runtime.redaction import printable, redact
from edgepose_runtime.text_enum import TextEnum

_ERROR_NUMBER = re.compile(r"\[(?:Errno|WinError) -?\d+\] ")


class ServerFault(TextEnum):
    """How an inference server failed."""

    UNREACHABLE = "unreachable"
    """Nothing answers there, or the connection broke."""
    OVERLOADED = "overloaded"
    """It has no room for another request."""
    TIMEOUT = "timeout"
    """It did not answer before the deadline."""
    REFUSED = "refused"
    """It does not accept the token or the certificate."""
    WRONG_MODEL = "wrong_model"
    """It has no such model, or another one of that name."""
    BAD_ANSWER = "bad_answer"
    """The answer is of another size or type, too large, or not finite."""
    CIRCUIT_OPEN = "circuit_open"
    """It failed several times in a row: the circuit breaker sends nothing for a while."""


def _readable(message: str) -> str:
    """Return a message without passwords, and without the numbers that systems give to errors."""
    return _ERROR_NUMBER.sub("", redact(message))


class EdgePoseError(Exception):
    """Root of every error that edgepose raises on purpose.

    No message of one holds a password, wherever it comes from: it is redacted here.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*(_readable(each) if isinstance(each, str) else each for each in args))


class ConfigError(EdgePoseError, ValueError):
    """An option or argument is unknown, contradicts another one, or is not available."""


class FrameError(EdgePoseError, ValueError):
    """A frame has a type, shape or size that cannot be tracked."""


class RoiError(FrameError):
    """A region of interest is not finite, has no area, or misses the frame."""


class TimestampError(EdgePoseError, ValueError):
    """A timestamp is not finite or does not come after the one before."""


class SourceError(EdgePoseError, OSError):
    """A video, image folder or camera is missing, empty, not what it seems, or cut off."""


class OutputError(EdgePoseError, OSError):
    """A results file, video or bundle cannot be written where it was asked for."""


class BundleError(EdgePoseError):
    """A bundle cannot be used."""


class BundleNotFoundError(BundleError):
    """Nothing lies at the path, or under the name, that was given for a bundle."""


class BundleFormatError(BundleError):
    """A bundle's manifest or one of its graphs is missing, cut off or not valid."""


class BundleVersionError(BundleError):
    """A bundle was written for a version of the format that this release cannot read."""


class BundleHashError(BundleError):
    """A file of a bundle differs from the one whose hash the manifest recorded."""


class BackendError(EdgePoseError):
    """An inference backend fails."""


class BackendUnavailableError(BackendError):
    """A backend's package is not installed; the message gives the command that installs it."""


class DeviceError(BackendError):
    """The device that was asked for does not exist or cannot be used."""


class InferenceError(BackendError):
    """A network was given inputs that do not fit, or failed while it ran."""


class ServerError(InferenceError):
    """An inference server is not there, refuses, is too slow, or answers what is of no use.

    Attributes:
        fault: which of these, a :class:`ServerFault`.
    """

    def __init__(self, message: str, fault: ServerFault) -> None:
        # Servers choose names and errors, and so parts of the message.
        super().__init__(printable(redact(message)))
        self.fault = fault


class DataError(EdgePoseError):
    """Training or evaluation data is missing, damaged or inconsistent."""


class PoseFileError(EdgePoseError):
    """A file of poses (JSON Lines, CSV, Parquet) is missing, damaged, or something else."""


class CheckpointError(EdgePoseError):
    """A training checkpoint is missing, damaged, or does not fit the network."""


class CollapseError(EdgePoseError):
    """A training run learns nothing any more: its heat-maps are empty, or D has run away."""


class ProcessGroupError(EdgePoseError):
    """Processes that train together cannot reach each other, or one of them is gone."""


class AccuracyError(EdgePoseError):
    """A converted network is less accurate than was asked for."""


class ClosedError(EdgePoseError, RuntimeError):
    """Something was used after it was closed."""
