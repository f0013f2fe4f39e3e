"""Sessions of people who sign in by a token of the settings with their browser: cookies, forms, and tries to guess a token.

A session is a signed cookie: nothing is kept here but the sessions that were ended early. The key is made at the start, so a
restart ends all sessions, and so does a change of a token, which needs one. Times are seconds of the monotonic clock, so that
setting the clock back makes no session last longer.
"""

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from http import HTTPStatus

from fastapi import Request, Response

from bot.core.settings import HttpSettings
from bot.core.text import counted
from bot.http.problems import Problem

_COOKIE = "knowledge_bot_session"
_SECONDS = 12 * 3600.0  # a working day
# Wrong tokens from one address within a quarter of an hour, after which no token of that address is looked at.
_MOST_WRONG = 10
_WINDOW = 900.0
_MOST_ADDRESSES = 10_000


class SessionRole(IntEnum):
    """The rights of a session. A higher role has all rights of a lower one."""

    ASKER = 1  # to ask, by `http.token`
    OPERATOR = 2  # to look after the bot, by `http.operator_token`


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in browser. `ends` is a time of the monotonic clock, in seconds."""

    id: str
    role: SessionRole
    ends: float


class Sessions:
    """Signs people in and out, and recognises their requests and their forms."""

    def __init__(self, settings: HttpSettings, now: Callable[[], float] = time.monotonic) -> None:
        tokens = {SessionRole.ASKER: settings.token, SessionRole.OPERATOR: settings.operator_token}
        self._tokens = {role: token.get_secret_value() for role, token in tokens.items()}
        self._key = secrets.token_bytes(32)
        self._now = now
        self._ended: dict[str, float] = {}  # until when a session that was ended early would have been valid
        self._wrong = WrongTries(now)

    def exist_for(self, role: SessionRole) -> bool:
        """Return whether the settings have a token for this role."""
        return bool(self._tokens[role])

    def sign_in(self, network: str, token: str) -> Session:
        """Return a new session of the highest role that the token gives. Raises Problem for a wrong token, and where too many
        have come from the address."""
        self._wrong.require_few(network)
        # Every token is compared, each in a time that doesn't depend on how much of it is right.
        right = [role for role, known in self._tokens.items() if _same(token.strip(), known) and known]
        if not right:
            self._wrong.count(network)
            raise Problem(HTTPStatus.FORBIDDEN, "This is not a token of this bot. Its operator has set them in [http].")
        return Session(secrets.token_urlsafe(16), max(right), self._now() + _SECONDS)

    def end(self, session: Session) -> None:
        """Make the session invalid before its time."""
        now = self._now()
        self._ended = {one: ends for one, ends in self._ended.items() if ends > now} | {session.id: session.ends}

    def of(self, request: Request) -> Session | None:
        """Return the valid session of a request, None if it has none."""
        value, _, signature = request.cookies.get(_COOKIE, "").rpartition(".")
        if not _same(signature, self._signature("session", value)):
            return None
        name, role, ends = value.split(".")  # which were signed here
        session = Session(name, SessionRole(int(role)), float(int(ends)))
        return None if session.id in self._ended or session.ends <= self._now() else session

    def remember(self, session: Session, request: Request, response: Response) -> None:
        """Give the browser the session's cookie."""
        value = f"{session.id}.{session.role:d}.{session.ends:.0f}"
        response.set_cookie(
            _COOKIE,
            f"{value}.{self._signature('session', value)}",
            max_age=int(session.ends - self._now()),
            httponly=True,
            samesite="strict",
            secure=_over_tls(request),
        )

    def forget(self, request: Request, response: Response) -> None:
        """Take the cookie away from the browser."""
        response.delete_cookie(_COOKIE, httponly=True, samesite="strict", secure=_over_tls(request))

    def form_token(self, session: Session, action: str) -> str:
        """Return the hidden field of a form of this session that is sent to the path `action`."""
        return self._signature("form", session.id, action)

    def require_form_token(self, session: Session, action: str, given: str) -> None:
        """Raise Problem where a form doesn't carry its token."""
        if not _same(given, self.form_token(session, action)):
            raise Problem(
                HTTPStatus.FORBIDDEN,
                "This form belongs to another session. Go back, copy what you have written, reload the page and send it again.",
            )

    def _signature(self, *of: str) -> str:
        return hmac.new(self._key, "\0".join(of).encode(), hashlib.sha256).hexdigest()


class WrongTries:
    """The wrong tokens from each network (`addresses.network_of`), so that nobody tries many."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._at: dict[str, list[float]] = {}  # in the order of the latest try

    def require_few(self, network: str) -> None:
        """Raise Problem where too many came from the address."""
        recent = self._recent(network)
        if len(recent) >= _MOST_WRONG:
            seconds = max(1, round(recent[-_MOST_WRONG] + _WINDOW - self._now()))
            detail = f"There were too many wrong tokens from your address. Try again in {counted(seconds, 'second')}."
            raise Problem(HTTPStatus.TOO_MANY_REQUESTS, detail, {"Retry-After": str(seconds)})

    def count(self, network: str) -> None:
        """Note a wrong token."""
        recent = self._recent(network)
        self._at.pop(network, None)
        self._at[network] = [*recent, self._now()]
        if len(self._at) > _MOST_ADDRESSES:
            del self._at[next(iter(self._at))]

    def _recent(self, network: str) -> list[float]:
        since = self._now() - _WINDOW
        return [at for at in self._at.get(network, ()) if at > since]


def _same(given: str, known: str) -> bool:
    """Compare in a time that doesn't depend on how much of it is right."""
    return hmac.compare_digest(given.encode(errors="replace"), known.encode())


def _over_tls(request: Request) -> bool:
    """Return whether the browser speaks TLS, to this server or to a proxy before it. A forged header harms only its sender."""
    return "https" in (request.scope["scheme"], request.headers.get("x-forwarded-proto", "").lower())
