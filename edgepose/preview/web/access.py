"""Who may see the preview: the token, and the names by which a browser may call this machine."""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import socket
from urllib.parse import quote

from edgepose.preview.settings import LOOPBACK, PreviewSettings
from edgepose.preview.web.requests import Request, Response

#: Paths for supervisors, which say nothing but yes or no.
HEALTH_PATHS = ("/livez", "/readyz")
_WEEK_S = 7 * 24 * 3600


class Access:
    """Checks requests.

    A page of somebody else's cannot reach the preview through the user's browser: its name for
    this machine is refused (DNS rebinding), and the cookie is not sent with its requests
    (``SameSite=Strict``).

    Args:
        settings: of the preview.
        port: at which it listens.
    """

    def __init__(self, settings: PreviewSettings, port: int) -> None:
        self._settings = settings
        self._token = settings.token or secrets.token_urlsafe(24)
        # Cookies do not tell ports apart: two previews on one machine need two names.
        self._cookie = f"edgepose_preview_{port}"
        names = () if settings.is_local else (settings.host, *_names_of_this_machine())
        self._hosts = {name.lower() for name in (*LOOPBACK, *names, *settings.allowed_hosts)}
        self._port = port

    @property
    def url(self) -> str:
        """The address to open, with the token if that is a random one."""
        scheme = "https" if self._settings.tls_cert else "http"
        host = self._settings.host
        base = f"{scheme}://{f'[{host}]' if ':' in host else host}:{self._port}/"
        return base if self._settings.token else f"{base}?token={quote(self._token)}"

    def refusal(self, request: Request) -> Response | None:
        """Return the answer to a request that is refused, ``None`` for one that is not."""
        if not self._is_own_name(request.headers.get("host", "")):
            return Response.text(
                421, "This name is not one of this preview's; add it to allowed_hosts."
            )
        if request.path in HEALTH_PATHS or self._has_token(request):
            return None
        return Response.text(401, "Open the address with the token: /?token=TOKEN.")

    def redirect(self, request: Request) -> Response | None:
        """Return the answer that puts an address's token into a cookie, for the page only.

        The token so leaves the address bar, the history and screenshots.
        """
        if request.path != "/" or "token" not in request.query:
            return None
        secure = "; Secure" if self._settings.tls_cert else ""
        cookie = (
            f"{self._cookie}={quote(self._token)}; Path=/; Max-Age={_WEEK_S}; HttpOnly; "
            f"SameSite=Strict{secure}"
        )
        return Response(303, b"", headers={"Location": "./", "Set-Cookie": cookie})

    def _has_token(self, request: Request) -> bool:
        kind, _, bearer = request.headers.get("authorization", "").partition(" ")
        given = (
            request.query.get("token"),
            request.cookies.get(self._cookie),
            bearer.strip() if kind.lower() == "bearer" else None,
        )
        # Every one is compared: how long it takes says nothing about the token.
        same = [hmac.compare_digest((one or "").encode(), self._token.encode()) for one in given]
        return any(same)

    def _is_own_name(self, host: str) -> bool:
        name = _without_port(host).lower()
        if name in self._hosts:
            return True
        # Rebinding needs a name: an address of this machine cannot be made to mean another one.
        return not self._settings.is_local and _is_address(name)


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _names_of_this_machine() -> tuple[str, ...]:
    name = socket.gethostname()
    return (name, f"{name}.local")
