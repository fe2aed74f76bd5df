import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepose_runtime import errors
from edgepose_runtime.capture import open_source
from edgepose_runtime.errors import ServerFault, SourceError
from edgepose_runtime.events import EventKind, StreamEvent
from edgepose_runtime.redaction import printable, redact, redact_words


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
        ("rtsp://a:p q\tr@cam/live", "rtsp://***@cam/live"),
        ("rtsp:/a:secret@cam", "rtsp:/***@cam"),
        ("a:secret@cam", "***@cam"),
        ("a: p q@cam", "***@cam"),
        (
            "invalid choice: 'a: p q@cam' (choose from x)",
            "invalid choice: '***@cam' (choose from x)",
        ),
        ("There is no file a:p q@cam; check", "There is no file ***@cam; check"),
        ("rtsp://cam/a:secret/live", "rtsp://cam/***/live"),
        ("http://cam/v?token=a b\tc&fps=5", "http://cam/v?token=***&fps=5"),
        ("http://cam/v?token=*** fails; try", "http://cam/v?token=*** fails; try"),
        ("frames/icon@2x.png", "frames/icon@2x.png"),
        ("/clips/a:b@c.mp4", "/clips/a:b@c.mp4"),
        (
            "[Errno 13] Permission denied: 'icon@2x.png'",
            "[Errno 13] Permission denied: 'icon@2x.png'",
        ),
        ("walk.mp4", "walk.mp4"),
        ("C:\\clips\\a@b.mp4", "C:\\clips\\a@b.mp4"),
        ("no answer from rtsp://a:b@cam/1 twice", "no answer from rtsp://***@cam/1 twice"),
    ],
)
def test_secrets_are_hidden_and_the_rest_is_kept(address, shown):
    assert redact(address) == shown


# What people type, and what only somebody means who attacks.
typed = st.text(st.sampled_from("abcXYZ019.-_~!$&*+,=:%@/?#[]() \t;'\""), max_size=20)
long = st.integers(0, 8000).map(lambda length: "x" * length)
password = (typed | st.text(max_size=20) | long).map(lambda text: f"<{text}>")
user = st.text(st.sampled_from("abcXYZ019.-_~"), max_size=8).map(lambda text: f"<{text}>")

ADDRESSES = {
    "an address": "rtsp://{user}:{password}@camera.example/live",
    "an address as a path": "rtsp:/{user}:{password}@camera.example/live",
    "no scheme": "{user}:{password}@camera.example/live",
    "in the query": "http://camera.example/live?user={user}&password={password}",
}
SENTENCES = (
    "{}",
    "{} cannot be opened: nothing answers there.",
    "invalid choice: {!r}",
    "No {}; so.",
)


def hides(shown, user, password):
    return not any(secret in shown for secret in (user, password, repr(password)[1:-1]))


@pytest.mark.parametrize("address", ADDRESSES.values(), ids=ADDRESSES)
@given(user=user, password=password, sentence=st.sampled_from(SENTENCES))
def test_no_user_name_and_no_password_survives(address, user, password, sentence):
    if "password=" in address:
        password = re.sub("[&;]", "", password)
    text = sentence.format(address.format(user=user, password=password))
    shown = redact(text)
    assert hides(shown, user, password)
    assert redact(shown) == shown


@given(user=user, password=password)
def test_the_rest_of_an_address_stays(user, password):
    assert redact(f"rtsp://{user}:{password}@camera.example/live") == (
        "rtsp://***@camera.example/live"
    )


@given(user=user, password=password, form=st.sampled_from(list(ADDRESSES)))
def test_words_are_hidden_wherever_they_are_quoted(user, password, form):
    if form == "in the query":
        password = re.sub("[&;]", "", password)
    word = ADDRESSES[form].format(user=user, password=password)
    said = f"unrecognized arguments: --x {word} more; {word!r}"
    assert hides(redact_words(said, [word, "--x"]), user, password)


ERRORS = [
    each
    for each in vars(errors).values()
    if isinstance(each, type) and issubclass(each, errors.EdgePoseError)
]


@pytest.mark.parametrize("kind", ERRORS)
def test_no_error_says_a_password(kind):
    extra = [ServerFault.REFUSED] if kind is errors.ServerError else []
    error = kind("rtsp://user:pass word@camera/1 is no model.", *extra)
    assert str(error) == "rtsp://***@camera/1 is no model."
    assert "pass" not in repr(error)
    assert error.args == (str(error),)


def test_errors_leave_out_the_numbers_of_the_systems():
    error = errors.SourceError("a.mp4 cannot be read: [Errno 2] No such file or directory.")
    assert str(error) == "a.mp4 cannot be read: No such file or directory."


@pytest.mark.parametrize(
    "source",
    [
        "rtsp:/u:top secret@camera",
        "u:top secret@camera",
        "nosuch://u:top secret@camera/1",
        "rtsp://u:top secret@camera/\udcff",
        f"rtsp://u:top secret@{'x' * 5000}/\udcff",
        f"u:top secret@{'x' * 5000}",
        "u:top secret\0@camera",
        "u:top secret@camera.png",
    ],
)
def test_a_source_that_cannot_be_opened_keeps_its_password(source):
    with pytest.raises(SourceError) as caught:
        open_source(source)
    assert "secret" not in str(caught.value) + repr(caught.value) + repr(caught.value.__cause__)
    assert len(str(caught.value)) < 500


def test_what_another_program_says_is_shown_without_control_characters_and_in_part():
    shown = printable("\x1b[2J" + "name\n\udcff" + "x" * 9000, 20)
    assert shown.isprintable()
    assert shown.startswith("\\x1b[2Jname\\n\\udcff")
    assert "9010 characters" in shown
    assert len(shown) < 80
    assert printable("a plain sentence, with ü and 名") == "a plain sentence, with ü and 名"


def test_the_detail_of_an_event_is_bounded_printable_and_without_passwords():
    event = StreamEvent(EventKind.LOST, 0.0, "\x1b[31mrtsp://u:secret@host failed" + "x" * 9000)
    assert event.detail.isprintable()
    assert len(event.detail) < 600
    assert "secret" not in event.detail
