"""Who may look: token, names, addresses."""

import logging

import pytest

from edgepose.preview import Preview, PreviewSettings
from edgepose.preview.settings import parse_address, token_from
from edgepose.preview.web.access import Access
from edgepose.preview.web.requests import Request
from edgepose_runtime.errors import ConfigError

TOKEN = "a-token-of-the-user"
PATHS = ["/", "/page.js", "/events", "/metrics", "/stream/camera.mjpg", "/nowhere"]


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_shown_without_the_token(client, path):
    assert client.get(path, token=False).status == 401
    assert client.get(f"{path}?token=wrong", token=False).status == 401
    wrong = "Authorization: Bearer wrong\r\nCookie: edgepose_preview=wrong\r\n"
    assert client.get(path, token=False, extra=wrong).status == 401


def test_the_tokens_of_two_previews_differ(preview):
    with Preview(PreviewSettings(port=0)) as other:
        tokens = {one.url.partition("token=")[2] for one in (preview, other)}
    assert len(tokens) == 2
    assert all(len(token) >= 32 for token in tokens)


def test_the_token_of_the_address_moves_into_a_cookie(client):
    answer = client.get(f"/?token={client.token}", token=False)
    assert (answer.status, answer.headers["location"]) == (303, "./")
    cookie, *attributes = answer.headers["set-cookie"].split("; ")
    assert {"HttpOnly", "SameSite=Strict"} <= set(attributes)
    page = client.get("/", token=False, extra=f"Cookie: other=1; {cookie}\r\n")
    assert page.status == 200
    assert client.token not in page.body.decode()


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "192.168.1.5", "", "127.0.0.1.evil.example"]
)
def test_other_names_are_refused_even_with_the_token(client, host):
    assert client.get("/", host=host).status == 421
    assert client.get("/livez", host=host).status == 421


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:1", "[::1]:8090", "LOCALHOST:8090"])
def test_names_of_this_machine_are_taken(client, host):
    assert client.get("/", host=host).status == 200


def test_two_hosts_in_one_request_are_refused(client):
    assert client.get("/", extra="Host: evil.example\r\n").status == 400


def test_health_needs_no_token_and_says_nothing_else(client):
    assert client.get("/livez", token=False).body == b"ok\n"
    answer = client.get("/readyz", token=False)
    assert (answer.status, answer.body) == (503, b"not ok\n")


def test_the_page_takes_nothing_from_elsewhere(client):
    answer = client.get("/")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["referrer-policy"] == "no-referrer"
    files = [answer.body, client.get("/page.js").body, client.get("/page.css").body]
    assert not any(b"http://" in file or b"https://" in file for file in files)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.org"])
def test_an_address_for_others_needs_a_token_of_the_user(host):
    with pytest.raises(ConfigError, match="EDGEPOSE_PREVIEW_TOKEN"):
        PreviewSettings(host=host)
    assert not PreviewSettings(host=host, token=TOKEN).is_local


@pytest.mark.parametrize(
    "token", ["short", "with spaces in between", "", "with\nnewline-and-more-text"]
)
def test_a_token_that_is_easy_to_guess_is_refused(token):
    with pytest.raises(ConfigError, match="16 or more visible"):
        PreviewSettings(token=token)


def test_an_address_for_others_without_tls_warns(caplog):
    caplog.set_level(logging.WARNING)
    with Preview(PreviewSettings(host="0.0.0.0", port=0, token=TOKEN)) as preview:
        assert TOKEN not in preview.url
    assert "without TLS" in caplog.text
    assert TOKEN not in caplog.text + repr(PreviewSettings(token=TOKEN))


def test_names_by_which_others_reach_the_preview():
    settings = PreviewSettings(host="0.0.0.0", token=TOKEN, allowed_hosts=("box.example",))
    access = Access(settings, 8090)

    def status(host):
        refused = access.refusal(Request("/livez", headers={"host": host}))
        return refused and refused.status

    assert status("192.168.1.5:8090") is None
    assert status("Box.example") is None
    assert status("rebound.example") == 421


def test_the_token_comes_from_the_environment_or_a_file(tmp_path):
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    assert token_from({"EDGEPOSE_PREVIEW_TOKEN": TOKEN}) == TOKEN
    assert token_from({"EDGEPOSE_PREVIEW_TOKEN_FILE": str(file)}) == TOKEN
    assert token_from({}) is None
    file.write_text("")
    with pytest.raises(ConfigError, match="is empty"):
        token_from({"EDGEPOSE_PREVIEW_TOKEN_FILE": str(file)})
    with pytest.raises(ConfigError, match="cannot be read"):
        token_from({"EDGEPOSE_PREVIEW_TOKEN_FILE": str(tmp_path / "none")})


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("", ("127.0.0.1", 8090)),
        (":9000", ("127.0.0.1", 9000)),
        ("0.0.0.0", ("0.0.0.0", 8090)),
        ("box:0", ("box", 0)),
        ("[::1]:80", ("::1", 80)),
        ("[::1]", ("::1", 8090)),
    ],
)
def test_addresses_are_read(text, parsed):
    assert parse_address(text) == parsed


@pytest.mark.parametrize("text", ["host:port", "http://host:80", "token@host:80", "host:\u0661"])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(ConfigError, match="listens at an address"):
        parse_address(text)


def test_a_port_in_use_is_a_clear_error(client):
    with pytest.raises(ConfigError, match=r"cannot listen .* Address already in use"):
        Preview(PreviewSettings(port=client.port))


@pytest.mark.parametrize(
    "wrong",
    [{"port": 70000}, {"max_fps": 0}, {"max_width": 2}, {"quality": 101}, {"tls_cert": "a"}],
)
def test_settings_that_cannot_be_used_are_refused(wrong):
    with pytest.raises(ConfigError):
        PreviewSettings(**wrong)
