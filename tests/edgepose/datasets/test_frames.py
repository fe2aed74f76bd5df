import numpy as np
import pytest

from edgepose.datasets.frames import PictureFiles, VideoFile, decode_frames, frame_rate
from edgepose.datasets.records import PersonImage, decode_picture, encode_picture
from edgepose_runtime.errors import DataError


@pytest.fixture
def video(tmp_path, write_video):
    """A video of 4 frames, each lighter than the one before."""
    return write_video(tmp_path / "clip.avi", 4)


def levels(frames):
    return [round(float(frame.mean()), -1) for frame in frames]


def test_a_video_has_its_frames_in_order_as_often_as_they_are_asked_for(video):
    frames = VideoFile(video, 4)
    assert levels(frames()) == levels(frames()) == [0, 40, 80, 120]
    assert frame_rate(video) == 12


@pytest.mark.parametrize(
    ("count", "problem"), [(5, "ends after 4 of its 5"), (3, "more than its 3")]
)
def test_a_video_of_another_length_than_its_annotation_is_an_error(video, count, problem):
    with pytest.raises(DataError, match=problem):
        list(decode_frames(video, count))


@pytest.mark.parametrize("content", [None, b"", b"no video at all"])
def test_a_file_that_is_no_video_is_an_error(tmp_path, content):
    path = tmp_path / "no.avi"
    if content is not None:
        path.write_bytes(content)
    for read in (lambda: next(decode_frames(path, 1)), lambda: frame_rate(path)):
        with pytest.raises(DataError, match=r"no\.avi"):
            read()


def test_pictures_are_decoded_one_after_the_other(tmp_path, write_picture):
    paths = tuple(write_picture(tmp_path / f"{level}.png", level) for level in (30, 20, 10))
    assert levels(PictureFiles(paths)()) == [30, 20, 10]
    (tmp_path / "20.png").unlink()
    frames = PictureFiles(paths)()
    next(frames)
    with pytest.raises(DataError, match=r"20\.png"):
        next(frames)


class TestAPicture:
    def test_is_the_same_from_memory_and_from_its_file(self, tmp_path):
        image = np.full((8, 9, 3), 77, np.uint8)
        (tmp_path / "1.jpg").write_bytes(encode_picture(image))
        for picture in (encode_picture(image), tmp_path / "1.jpg"):
            record = PersonImage("one", picture, np.zeros((13, 3), np.float32))
            np.testing.assert_allclose(record.image(), image, atol=2)

    @pytest.mark.parametrize("share", [0.0, 0.1, 0.6, 0.98])
    def test_that_is_cut_off_is_named(self, tmp_path, share):
        noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3)).astype(np.uint8)
        content = encode_picture(noise)
        content = content[: int(share * len(content))]
        (tmp_path / "one.jpg").write_bytes(content)
        for picture in (content, tmp_path / "one.jpg"):
            with pytest.raises(DataError, match="one"):
                decode_picture(picture, "one")

    def test_that_is_missing_is_named(self, tmp_path):
        with pytest.raises(DataError, match=r"gone\.jpg"):
            decode_picture(tmp_path / "gone.jpg", "one")

    def test_whose_header_promises_billions_of_pixels_is_named(self, huge_png):
        with pytest.raises(DataError, match="one"):
            decode_picture(huge_png, "one")
