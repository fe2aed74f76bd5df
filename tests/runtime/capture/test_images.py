import cv2
import numpy as np
import pytest

from edgepose_runtime.capture import open_source
from edgepose_runtime.errors import ConfigError, SourceError


def image(height=32, width=48, value=100):
    return np.full((height, width, 3), value, np.uint8)


def write(path, array):
    assert cv2.imwrite(str(path), array)
    return path


def test_a_folder_is_read_in_the_order_people_count(tmp_path):
    for number in (10, 9, 1):
        write(tmp_path / f"frame{number}.png", image(value=number))
    with open_source(tmp_path, fps=10) as source:
        assert source.num_frames == 3
        frames = list(source)
    assert [int(frame.image[0, 0, 0]) for frame in frames] == [1, 9, 10]
    assert [frame.timestamp_ms for frame in frames] == [0, 100, 200]


def test_other_files_in_a_folder_are_left_out(tmp_path):
    write(tmp_path / "1.jpg", image())
    (tmp_path / "notes.txt").write_text("three frames")
    (tmp_path / "._1.jpg").write_bytes(b"\0")
    assert len(list(open_source(tmp_path))) == 1


def test_frames_of_a_folder_may_change_in_size(tmp_path):
    write(tmp_path / "1.png", image(32, 48))
    write(tmp_path / "2.png", image(1, 1))
    assert [frame.image.shape for frame in open_source(tmp_path)] == [(32, 48, 3), (1, 1, 3)]


@pytest.mark.parametrize("shape", [(8, 9), (8, 9, 4)])
def test_grey_and_transparent_images_are_read_as_bgr(tmp_path, shape):
    write(tmp_path / "1.png", np.full(shape, 50, np.uint8))
    (frame,) = open_source(tmp_path / "1.png")
    assert frame.image.shape == (8, 9, 3)
    assert frame.image.dtype == np.uint8


def test_a_single_image_is_one_frame(tmp_path):
    (frame,) = open_source(write(tmp_path / "one.PNG", image()))
    np.testing.assert_array_equal(frame.image, image())
    assert (frame.frame_id, frame.timestamp_ms) == (0, 0.0)


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(SourceError, match=r"holds no image; files must end in \.bmp"):
        open_source(tmp_path)


def test_a_missing_image_is_refused(tmp_path):
    with pytest.raises(SourceError, match=r"no file .*nowhere\.png"):
        open_source(tmp_path / "nowhere.png")


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("part", [0, 0.5])
def test_a_single_damaged_image_is_refused(tmp_path, suffix, part):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = write(tmp_path / f"cut.{suffix}", noise)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(SourceError, match=r"cut\.\w+ is (empty|cut off or not an image)"):
        list(open_source(path, allow_damaged=True))


def test_a_damaged_image_in_a_folder_is_reported_and_the_rest_delivered(tmp_path):
    for number in (1, 2, 3):
        write(tmp_path / f"{number}.png", image())
    (tmp_path / "2.png").write_text("no image")
    frames = list(open_source(tmp_path, fps=10, allow_damaged=True))
    assert [(frame.frame_id, frame.timestamp_ms) for frame in frames] == [(0, 0), (1, 200)]
    with pytest.raises(SourceError, match=r"damaged; 2 frames were delivered.*2\.png"):
        list(open_source(tmp_path))


@pytest.mark.parametrize("source", [None, 3.5, True])
def test_what_has_no_frames_is_refused(source):
    with pytest.raises(ConfigError, match=f"cannot come from a {type(source).__name__}"):
        open_source(source)


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf")])
def test_a_frame_rate_that_is_none_is_refused(fps):
    with pytest.raises(ConfigError, match="fps must be a finite number above 0"):
        open_source([image()], fps=fps)


def test_an_open_source_is_itself(tmp_path):
    source = open_source([image()])
    assert open_source(source) is source


def test_a_folder_of_videos_comes_with_an_advice(tmp_path):
    for name, advised in (("notes.txt", False), ("walk.MP4", True)):
        (tmp_path / name).touch()
        with pytest.raises(SourceError, match="holds no image") as caught:
            open_source(tmp_path)
        assert ("edgepose archive" in str(caught.value)) == advised
