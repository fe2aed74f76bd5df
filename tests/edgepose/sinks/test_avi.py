import numpy as np
import pytest

from edgepose.sinks.avi import AviWriter
from edgepose.utils.output_files import AppendedFile
from edgepose_runtime.capture import open_source
from edgepose_runtime.errors import ClosedError, OutputError

SIZE = (64, 48)


def frame(value):
    noise = np.random.default_rng(value).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    noise[:, :32] = 20 + 2 * value
    return noise


def brightness(path):
    with open_source(path) as source:
        return [round((float(f.image[:, :28].mean()) - 20) / 2) for f in source]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "out.avi"


@pytest.mark.parametrize("longest_riff", [1 << 30, 20_000])
@pytest.mark.parametrize("finished", [True, False])
def test_every_frame_can_be_read_at_any_moment(path, longest_riff, finished):
    writer = AviWriter(path, SIZE, 12.5, longest_riff)
    for value in range(40):
        writer.write(frame(value))
    if finished:
        writer.release()
    assert brightness(path) == list(range(40))
    with open_source(path) as source:
        assert source.fps == pytest.approx(12.5)
        assert source.num_frames == (40 if finished else None)
        assert [f.timestamp_ms for f in source] == pytest.approx([80.0 * i for i in range(40)])
    writer.release()


def test_a_full_disk_is_an_error_and_leaves_the_frames_before_it(path, small_disk):
    small_disk(20_000)
    writer = AviWriter(path, SIZE, 25)
    written = 0
    with pytest.raises(OutputError, match="disk is full"):
        for value in range(40):
            writer.write(frame(value))
            written += 1
    assert written > 3
    assert brightness(path) == list(range(written))


def test_a_disk_without_room_for_the_index_keeps_the_frames(path, small_disk):
    writer = AviWriter(path, SIZE, 25)
    for value in range(10):
        writer.write(frame(value))
    writer.release()
    small_disk(path.stat().st_size - 30)
    writer = AviWriter(path, SIZE, 25)
    for value in range(10):
        writer.write(frame(value))
    with pytest.raises(OutputError, match="disk is full"):
        writer.release()
    assert brightness(path) == list(range(10))


def test_a_disk_that_was_full_where_a_chunk_begins_costs_no_frame(path, monkeypatch):
    append = AppendedFile.append
    refused = []

    def append_later(file, piece):
        if b"AVIX" in piece and not refused:
            refused.append(piece)
            raise OutputError("The disk is full.")
        append(file, piece)

    monkeypatch.setattr(AppendedFile, "append", append_later)
    writer = AviWriter(path, SIZE, 25, longest_riff=10_000)
    written = []
    for value in range(20):
        try:
            writer.write(frame(value))
            written.append(value)
        except OutputError:
            continue
    writer.release()
    assert len(written) == 19
    assert brightness(path) == written
    assert path.read_bytes().count(b"idx1") == 1


def test_writing_after_the_end_is_an_error_and_ending_twice_is_not(path):
    writer = AviWriter(path, SIZE, 25)
    writer.write(frame(0))
    writer.release()
    writer.release()
    with pytest.raises(ClosedError):
        writer.write(frame(1))
    assert brightness(path) == [0]
