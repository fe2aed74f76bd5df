"""Results of several people, and files that hold them."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st

from edgepose.results import Origin, Person, PersonState, PoseResult
from edgepose.sinks import CsvSink, JsonlSink, ParquetSink
from edgepose_runtime.poses.skeletons import PENN13

#: Coordinates that JSON Lines and CSV, which round to 0.001, keep.
COORDINATES = st.integers(-50_000, 4_000_000).map(lambda number: number / 1000)
SCORES = st.integers(0, 1000).map(lambda number: number / 1000)
JOINTS = st.one_of(
    st.tuples(COORDINATES, COORDINATES, SCORES), st.just((float("nan"), float("nan"), 0.0))
)


@st.composite
def people(draw, identities):
    poses = draw(st.lists(JOINTS, min_size=13, max_size=13))
    keypoints = np.array(poses, np.float32)
    return tuple(
        Person(
            person_id=identity,
            keypoints=keypoints + np.float32(identity) * np.array([1, 1, 0], np.float32),
            score=float(keypoints[:, 2].mean()),
            origin=draw(st.sampled_from(Origin)),
            key_frame_age=draw(st.integers(0, 99)),
            roi=tuple(draw(st.lists(COORDINATES, min_size=4, max_size=4))),
            state=draw(st.sampled_from(PersonState)),
        )
        for identity in identities
    )


@st.composite
def streams(draw, most_people=3):
    """Draw the results of a few frames, some of them without anybody."""
    results = []
    for frame in range(draw(st.integers(1, 6))):
        identities = draw(st.sets(st.integers(1, most_people), max_size=most_people))
        results.append(result_of(frame, draw(people(sorted(identities)))))
    return results


def result_of(frame, everybody):
    main = everybody[0] if everybody else None
    return PoseResult(
        frame_id=frame,
        timestamp_ms=40.0 * frame,
        keypoints=None if main is None else main.keypoints,
        reason=None if main else "no person found",
        roi=None if main is None else main.roi,
        origin=None if main is None else main.origin,
        key_frame_age=None if main is None else main.key_frame_age,
        latency={"total": 1.0},
        skeleton=PENN13,
        several=everybody,
    )


def write(path: Path, results, several=True, video="walk.mp4"):
    """Write results to a file whose format follows from its ending."""
    if path.suffix == ".parquet":
        sink = ParquetSink(path, skeleton=PENN13, video=video, metadata={"model": "ppn-swift"})
    elif path.suffix == ".csv":
        sink = CsvSink(path, skeleton=PENN13, several=several)
    else:
        sink = JsonlSink(path, skeleton=PENN13, model="ppn-swift", source=video, several=several)
    with sink:
        for result in results:
            sink.write(result)
    return path


@pytest.fixture(params=["jsonl", "csv", "parquet"])
def ending(request):
    if request.param == "parquet":
        pytest.importorskip("pyarrow", reason="Parquet needs pyarrow: edgepose[parquet]")
    return request.param


@pytest.fixture
def several_results():
    """Two people, nobody, and one of the two."""
    return [result_of(0, everybody(1, 2)), result_of(1, ()), result_of(2, everybody(2))]


def everybody(*identities):
    rng = np.random.default_rng(0)
    state = PersonState.TRACKED
    poses = {i: (rng.integers(0, 1000, (13, 3)) / 1000).astype(np.float32) for i in identities}
    return tuple(
        Person(i, pose, float(pose[:, 2].mean()), Origin.PROPAGATED, 3, (1, 2, 3, 3), state)
        for i, pose in poses.items()
    )
