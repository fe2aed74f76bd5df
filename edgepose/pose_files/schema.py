"""The schema of Parquet files of poses, and where pyarrow comes from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edgepose_runtime.errors import BackendUnavailableError
from edgepose_runtime.poses.skeletons import Skeleton

if TYPE_CHECKING:
    import pyarrow

#: The key of the file's metadata, a JSON object.
METADATA_KEY = b"edgepose"
FORMAT = "edgepose.poses"
VERSION = 1
#: The columns, in order. All but the first three are null in a frame without a person, and
#: ``reason`` is null in one with people.
COLUMNS = (
    *("video", "frame", "timestamp_ms", "person_id", "origin", "state", "score", "keypoints"),
    *("roi", "key_frame_age", "reason"),
)


def require_pyarrow() -> Any:
    """Return the package pyarrow.

    Raises:
        BackendUnavailableError: it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise BackendUnavailableError(
            'Parquet files need the package pyarrow: pip install "edgepose[parquet]"'
        ) from error
    return pyarrow


def pose_schema(skeleton: Skeleton, metadata: Mapping[str, Any]) -> pyarrow.Schema:
    """Return the schema of a file, with what it says of itself.

    ``keypoints`` has 3 K float32: x, y and score of the first joint, then of the next.

    Args:
        skeleton: of the poses.
        metadata: plain values for JSON, such as the model, its hash and the options.
    """
    pa = require_pyarrow()
    word = pa.dictionary(pa.int32(), pa.string())
    about = {
        "format": FORMAT,
        "version": VERSION,
        "skeleton": skeleton.name,
        "joints": list(skeleton.joints),
        **metadata,
    }
    types = {
        "video": word,
        "frame": pa.int64(),
        "timestamp_ms": pa.float64(),
        "person_id": pa.int32(),
        "origin": word,
        "state": word,
        "score": pa.float32(),
        "keypoints": pa.list_(pa.float32(), 3 * skeleton.num_joints),
        "roi": pa.list_(pa.float32(), 4),
        "key_frame_age": pa.int32(),
        "reason": word,
    }
    fields = [pa.field(name, types[name]) for name in COLUMNS]
    return pa.schema(fields, metadata={METADATA_KEY: json.dumps(about).encode()})
