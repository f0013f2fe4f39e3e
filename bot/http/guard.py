"""Access to the HTTP server.

If a token is set, clients must send it. Otherwise programs on this machine have access, but web pages in its browser don't.
People sign in to a site, and the cookie of a site opens nothing else."""

import hmac
import math
from collections.abc import Collection
from http import HTTPStatus
from urllib.parse import urlsplit

from fastapi import Request
from fastapi.security import HTTPBearer

from bot.core.rights import OPEN_ROUTES
from bot.http import limits
from bot.http.addresses import is_this_machine
from bot.http.problems import Problem
from bot.http.sites import SIGN_IN, SIGN_OUT, Sites, require_same_origin

# In the description of the API only: `Guard` looks at the header before a body is read.
BEARER = HTTPBearer(auto_error=False, description="http.token, where one is set")
# Style sheets and icons; public.
STATIC_PATH = "/static"


class Guard:
    """Admits or refuses a request by its head, before the body is read."""

    def __init__(self, token: str, webhooks: Collection[str], sites: Sites) -> None:
        """`webhooks`: paths with a secret and limits of their own, which are not checked here."""
        self._token = token.encode()
        self._webhooks = frozenset(webhooks)
        self._sites = sites

    def check(self, request: Request) -> None:
        """Raise Problem where the request is refused."""
        path = request.scope["path"]
        if path in self._webhooks:
            return
        site = self._sites.at(path)
        if not self._token and not (site and site.role is None):
            _require_this_machine(request)
        if path in OPEN_ROUTES or path.startswith(f"{STATIC_PATH}/"):
            return
        if path in (SIGN_IN, SIGN_OUT):
            require_same_origin(request)
        elif site:
            self._sites.require(request, site)
        else:
            self._require_token(request)

    def largest_body(self, request: Request) -> float:
        """Return the largest number of bytes that the body may have."""
        path = request.scope["path"]
        if path in self._webhooks:
            return math.inf
        site = self._sites.at(path)
        return max(limits.LARGEST_BODY, site.largest_body if site else 0)

    def admits(self, request: Request) -> bool:
        """Return whether the request has the token, where one is needed."""
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        known = hmac.compare_digest(given.strip().encode(), self._token)  # takes the same time however much is right
        return not self._token or (scheme.lower() == "bearer" and known)

    def _require_token(self, request: Request) -> None:
        if not self.admits(request):
            raise Problem(
                HTTPStatus.UNAUTHORIZED,
                "The bot's token is needed: Authorization: Bearer, and what the operator has set as http.token.",
                {"WWW-Authenticate": "Bearer"},
                code="invalid_api_key",
            )
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        # What a page of another site can send without being asked for permission first has other types.
        if request.method == "POST" and content_type != "application/json":
            raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The body must be JSON: Content-Type: application/json.")


def _require_this_machine(request: Request) -> None:
    """Refuse requests that a web page causes in a browser of this machine: from its origin, or by a foreign host name."""
    host = request.headers.get("host", "")
    if not _names_this_machine(host):
        raise Problem(
            HTTPStatus.MISDIRECTED_REQUEST,
            "Without a token the bot is asked as localhost or 127.0.0.1 only. To use another name, set http.token.",
        )
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != host:
        raise Problem(HTTPStatus.FORBIDDEN, "Web pages of other sites may not ask. To let them, set http.token.")


def _names_this_machine(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or is_this_machine(name)
    except ValueError:
        return False
