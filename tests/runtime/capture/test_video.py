import os
import struct
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgepose_runtime.capture import open_source
from edgepose_runtime.errors import ClosedError, SourceError

SIZE = (96, 64)


def write_video(path: Path, num_frames: int = 12, codec: str = "mp4v", fps: float = 25.0) -> Path:
    """A video in which frame i has the brightness 10 + 15 i on the left, noise on the right."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), fps, SIZE)
    random = np.random.default_rng(0)
    for index in range(num_frames):
        frame = random.integers(0, 256, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
        frame[:, :48] = 10 + 15 * index
        writer.write(frame)
    writer.release()
    return path


def boxes(content: bytes) -> list[tuple[bytes, bytes]]:
    """The boxes of an MP4 file as (kind, whole box)."""
    found = []
    while content:
        length, kind = struct.unpack(">I4s", content[:8])
        found.append((kind, content[:length]))
        content = content[length:]
    return found


def avi_frames(content: bytes) -> list[tuple[int, int]]:
    """Where the payloads of an AVI's frames lie, as (start, end)."""
    found, position = [], content.index(b"movi") + 4
    while content[position : position + 4] == b"00dc":
        length = int.from_bytes(content[position + 4 : position + 8], "little")
        found.append((position + 8, position + 8 + length))
        position += 8 + length + length % 2
    return found


def delivered(path, **options):
    with open_source(path, **options) as source:
        return list(source)


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", "mp4v"), ("a.avi", "MJPG"), ("a.mkv", "mp4v")]
)
def test_every_frame_comes_in_order_with_the_containers_time(tmp_path, name, codec):
    with open_source(write_video(tmp_path / name, codec=codec)) as source:
        assert source.fps == pytest.approx(25)
        assert source.num_frames == 12
        assert not source.is_live
        frames = list(source)
    assert [frame.frame_id for frame in frames] == list(range(12))
    assert [frame.timestamp_ms for frame in frames] == pytest.approx([40.0 * i for i in range(12)])
    assert all(frame.image.shape == (64, 96, 3) for frame in frames)
    brightness = [frame.image[8:-8, 8:40].mean() for frame in frames]
    np.testing.assert_allclose(brightness, 10 + 15 * np.arange(12), atol=4)


def test_frames_are_the_receivers_own(tmp_path):
    first, *others = delivered(write_video(tmp_path / "a.mp4"))
    assert not any(np.shares_memory(first.image, other.image) for other in others)


def test_a_video_of_one_frame_is_read(tmp_path):
    (frame,) = delivered(write_video(tmp_path / "one.mp4", num_frames=1))
    assert frame.timestamp_ms == 0.0


def test_a_path_may_be_text_with_letters_of_any_alphabet(tmp_path):
    assert len(delivered(str(write_video(tmp_path / "Übung 体操.mp4")))) == 12


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SourceError, match=r"no file .*nowhere\.mp4"):
        open_source(tmp_path / "nowhere.mp4")


def test_a_name_that_would_crash_opencv_is_refused(tmp_path):
    path = tmp_path / "walk\udcff.mp4"
    path.touch()
    with pytest.raises(SourceError, match=r"walk\\udcff\.mp4.* not UTF-8"):
        open_source(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused_without_waiting_for_its_other_end(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SourceError, match="pipe is a pipe or a device"):
        open_source(tmp_path / "pipe")


def test_an_empty_path_is_not_the_current_folder():
    with pytest.raises(SourceError, match="empty path"):
        open_source("")


def test_an_empty_file_is_named(tmp_path):
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(SourceError, match=r"empty\.mp4 is empty"):
        open_source(tmp_path / "empty.mp4")


@pytest.mark.parametrize("content", [b"Dear diary, today", bytes(5000), b"RIFF\0\0\0\0AVI "])
def test_a_file_that_is_no_video_is_named(tmp_path, content):
    path = tmp_path / "diary.mp4"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"diary\.mp4 is not a video"):
        open_source(path)


def test_an_mp4_cut_off_before_its_index_is_refused(tmp_path):
    path = write_video(tmp_path / "cut.mp4")
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(SourceError, match=r"cut\.mp4 is cut off: at least \d+ bytes"):
        open_source(path)


@pytest.mark.parametrize(("name", "codec"), [("cut.avi", "MJPG"), ("cut.mkv", "mp4v")])
def test_a_cut_off_file_delivers_what_it_has_and_then_says_so(tmp_path, name, codec):
    path = write_video(tmp_path / name, codec=codec)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(SourceError, match=r"frames were delivered\. The file is cut off"):
        delivered(path)
    assert 2 < len(delivered(path, allow_damaged=True)) < 12


def test_an_mp4_with_its_index_in_front_is_cut_off_in_the_same_way(tmp_path):
    parts = dict(boxes(write_video(tmp_path / "a.mp4").read_bytes()))
    moov, before = parts[b"moov"], len(parts[b"ftyp"]) + len(parts[b"free"])
    # The chunk offsets of the index move by its own length.
    at = moov.index(b"stco") + 8
    count = int.from_bytes(moov[at : at + 4], "big")
    offsets = struct.unpack(f">{count}I", moov[at + 4 : at + 4 + 4 * count])
    moved = struct.pack(f">{count}I", *(offset + len(moov) for offset in offsets))
    moov = moov[: at + 4] + moved + moov[at + 4 + 4 * count :]
    content = parts[b"ftyp"] + parts[b"free"] + moov + parts[b"mdat"]
    path = tmp_path / "front.mp4"
    path.write_bytes(content)
    assert len(delivered(path)) == 12
    path.write_bytes(content[: before + len(moov) + len(parts[b"mdat"]) // 2])
    with pytest.raises(SourceError, match="The file is cut off"):
        delivered(path)
    assert 2 < len(delivered(path, allow_damaged=True)) < 12


def test_a_damaged_frame_in_the_middle_is_reported_and_the_rest_delivered(tmp_path):
    path = write_video(tmp_path / "hole.avi", codec="MJPG")
    content = bytearray(path.read_bytes())
    for start, end in avi_frames(content)[4:6]:
        content[start:end] = bytes(end - start)
    path.write_bytes(content)
    frames = delivered(path, allow_damaged=True)
    assert [frame.frame_id for frame in frames] == list(range(10))
    assert frames[4].timestamp_ms - frames[3].timestamp_ms == pytest.approx(3 * 40.0)
    with pytest.raises(
        SourceError, match=r"10 frames .* after 0\.12 s cannot be decoded: 2 of them"
    ):
        delivered(path)


def test_a_video_whose_frames_are_all_damaged_is_refused_even_if_damage_is_allowed(tmp_path):
    path = write_video(tmp_path / "noise.avi", codec="MJPG")
    content = bytearray(path.read_bytes())
    for start, end in avi_frames(content):
        content[start:end] = bytes(end - start)
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"noise\.avi"):
        delivered(path, allow_damaged=True)


def test_allowed_damage_is_logged(tmp_path, caplog):
    path = write_video(tmp_path / "cut.avi", codec="MJPG")
    path.write_bytes(path.read_bytes()[:-20000])
    delivered(path, allow_damaged=True)
    assert "cut off" in caplog.text


def test_a_clock_written_as_the_frame_rate_is_not_taken_for_one(tmp_path, caplog):
    with open_source(write_video(tmp_path / "browser.webm", codec="VP80", fps=1000.0)) as source:
        assert source.fps is None
        assert len(list(source)) == 12
    assert not caplog.text


def test_an_iteration_ends_when_its_source_is_closed(tmp_path):
    source = open_source(write_video(tmp_path / "a.mp4"))
    frames = iter(source)
    next(frames)
    source.close()
    assert not list(frames)
    with pytest.raises(ClosedError, match=r"a\.mp4 was closed"):
        list(source)


@pytest.mark.data
def test_clips_whose_container_announces_frames_that_show_nothing_new_are_whole(data_root):
    path = next((data_root / "jhmdb" / "clips").glob("*/*.avi"))
    with open_source(path) as source:
        frames = list(source)
        assert source.num_frames > len(frames)
        assert not source.problems
    assert all(a.timestamp_ms < b.timestamp_ms for a, b in pairwise(frames))


def test_closing_returns_although_a_read_blocks_for_ever(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("edgepose_runtime.capture.video._CLOSE_TIMEOUT_S", 0.01)
    source = open_source(write_video(tmp_path / "a.mp4"))
    with source._lock:  # as a read holds it
        source.close()
    assert source.closed
    assert "does not return" in caplog.text
