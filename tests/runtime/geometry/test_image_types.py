import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest

from edgepose_runtime.capture import CapturedFrame, open_source
from edgepose_runtime.errors import ConfigError, FrameError
from edgepose_runtime.geometry.crop import as_bgr

#: Red, green and blue in one row.
RGB = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
BGR = RGB[..., ::-1]


@pytest.fixture
def pillow():
    return pytest.importorskip("PIL.Image")


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.fixture
def av():
    return pytest.importorskip("av", reason="needs PyAV: pip install av")


@pytest.mark.parametrize("channels", [3, 4])
def test_colours_of_an_array_are_in_the_given_order(channels):
    opaque = np.full((1, 3, channels - 3), 9, np.uint8)
    np.testing.assert_array_equal(as_bgr(np.concatenate([RGB, opaque], 2), "rgb"), BGR)
    np.testing.assert_array_equal(as_bgr(np.concatenate([BGR, opaque], 2), "bgr"), BGR)


def test_a_grey_array_has_no_order():
    grey = np.array([[1, 2]], np.uint8)
    assert as_bgr(grey, "rgb").tolist() == as_bgr(grey).tolist() == [[[1] * 3, [2] * 3]]


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "RGBX"])
def test_an_image_of_pillow_is_rgb_whatever_the_order_of_arrays(pillow, mode):
    image = pillow.fromarray(RGB).convert(mode)
    for order in ("bgr", "rgb"):
        np.testing.assert_array_equal(as_bgr(image, order), BGR)


@pytest.mark.parametrize("mode", ["L", "1", "LA"])
def test_a_grey_image_of_pillow_is_grey(pillow, mode):
    white = pillow.new("L", (2, 1), 255).convert(mode)
    assert as_bgr(white).tolist() == [[[255] * 3] * 2]


@pytest.mark.parametrize("mode", ["F", "I", "I;16"])
def test_an_image_of_pillow_that_is_not_of_8_bits_is_refused(pillow, mode):
    with pytest.raises(FrameError, match=f"mode of 8 bits; got '{mode}': convert it"):
        as_bgr(pillow.new(mode, (2, 2)))


def test_a_damaged_image_of_pillow_is_refused(pillow, tmp_path):
    pillow.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:60])
    with (
        pillow.open(tmp_path / "a.png") as image,
        pytest.raises(FrameError, match="cannot be read as a frame"),
    ):
        as_bgr(image)


def test_a_tensor_is_rgb_with_channels_first(torch):
    tensor = torch.from_numpy(RGB).permute(2, 0, 1)
    np.testing.assert_array_equal(as_bgr(tensor), BGR)
    np.testing.assert_array_equal(as_bgr(torch.cat([tensor, tensor[:1]])), BGR)
    assert as_bgr(torch.full((1, 2, 2), 7, dtype=torch.uint8)).tolist() == [[[7] * 3] * 2] * 2


@pytest.mark.parametrize("shape", [(5, 6, 3), (4, 6), (1, 3, 4, 6), (2, 4, 6)])
def test_a_tensor_of_another_layout_is_refused(torch, shape):
    with pytest.raises(FrameError, match=r"A tensor must have shape \(3, H, W\)"):
        as_bgr(torch.zeros(shape, dtype=torch.uint8))


def test_a_tensor_of_other_numbers_is_refused(torch):
    with pytest.raises(FrameError, match=r"got torch\.float32: convert"):
        as_bgr(torch.zeros(3, 4, 6))


def test_a_frame_of_pyav_is_read_with_its_time(av):
    frame = av.VideoFrame.from_ndarray(np.repeat(np.repeat(RGB, 8, 0), 8, 1), format="rgb24")
    frame.pts, frame.time_base = 3, Fraction(1, 50)
    expected = np.repeat(np.repeat(BGR, 8, 0), 8, 1)
    np.testing.assert_array_equal(as_bgr(frame), expected)
    (captured,) = open_source([frame])
    np.testing.assert_array_equal(captured.image, expected)
    assert captured.timestamp_ms == 60.0


def test_an_array_of_a_pyav_frame_does_not_change_with_it(av):
    frame = av.VideoFrame.from_ndarray(np.full((8, 8, 3), 5, np.uint8), format="bgr24")
    image = as_bgr(frame)
    frame.planes[0].update(bytes(frame.planes[0].buffer_size))
    assert (image == 5).all()


@pytest.mark.parametrize("given", ["text", None, 3, [[1, 2]], object()])
def test_what_is_no_image_is_refused_by_its_type(given):
    with pytest.raises(FrameError, match=f"must be a NumPy array .* got {type(given).__name__}"):
        as_bgr(given)


def test_sources_take_the_order_and_copy(pillow):
    buffer = RGB.copy()
    source = open_source(iter([buffer, CapturedFrame(0, buffer, 70.0)]), color="rgb")
    first = next(iter(source))
    buffer[:] = 0
    np.testing.assert_array_equal(first.image, BGR)
    (image,) = open_source([pillow.fromarray(RGB)])
    np.testing.assert_array_equal(image.image, BGR)


@pytest.mark.parametrize("color", ["RGB", "grb", None, 3, b"rgb"])
def test_another_order_is_refused(color):
    with pytest.raises(ConfigError, match="color must be 'bgr' or 'rgb'"):
        open_source([RGB], color=color)


def test_none_of_the_libraries_is_imported():
    program = (
        "import sys, numpy, edgepose_runtime.geometry.crop as crop\n"
        "try:\n    crop.as_bgr(object())\nexcept Exception:\n    pass\n"
        "assert not {'PIL', 'torch', 'av'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
