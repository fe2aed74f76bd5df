import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepose_runtime.capture import redact


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://admin:secret@10.0.0.7:554/live", "rtsp://***@10.0.0.7:554/live"),
        ("rtsp://admin@cam/live", "rtsp://***@cam/live"),
        ("rtsp://a:p@ss@cam/live", "rtsp://***@cam/live"),
        ("rtsp://a:p/s#s?@cam/live", "rtsp://***@cam/live"),
        ("rtsp://:secret@cam", "rtsp://***@cam"),
        ("rtsp://cam/live@1", "rtsp://cam/live@1"),
        ("rtsp://cam:554/live@1", "rtsp://***@1"),
        ("rtsp://admin:1/2@cam/live", "rtsp://***@cam/live"),
        ("rtsp://cam:554/live", "rtsp://cam:554/live"),
        ("rtsp://[::1]:554/live", "rtsp://[::1]:554/live"),
        ("rtsp://a:b@[::1]:554/live", "rtsp://***@[::1]:554/live"),
        ("http://cam/v?token=abc&fps=5", "http://cam/v?token=***&fps=5"),
        ("http://cam/v?loginuse=bob&loginpas=x", "http://cam/v?loginuse=***&loginpas=***"),
        (
            "rtsp://cam/user=admin&password=x&channel=1",
            "rtsp://cam/user=***&password=***&channel=1",
        ),
        ("walk.mp4", "walk.mp4"),
        ("C:\\clips\\a@b.mp4", "C:\\clips\\a@b.mp4"),
        ("no answer from rtsp://a:b@cam/1 twice", "no answer from rtsp://***@cam/1 twice"),
    ],
)
def test_secrets_are_hidden_and_the_rest_is_kept(address, shown):
    assert redact(address) == shown


word = st.text(st.sampled_from("abcXYZ019.-_~!$&*+,=:%@/?#[]"), min_size=1)


@given(user=word.map(lambda text: re.sub("[/?#]", "", text)), password=word)
def test_no_user_name_and_no_password_survives(user, password):
    shown = redact(f"rtsp://<{user}>:<{password}>@camera.example/live")
    assert f"<{user}>" not in shown
    assert f"<{password}>" not in shown
    assert "camera.example/live" in shown
