"""Asks a running bot on this machine how it is, by its HTTP server. Imports little, for it is done every few seconds."""

import http.client
import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from bot.core.errors import BotError
from bot.core.settings import HttpSettings

_SECONDS = 5.0
# To listen everywhere is to listen on this machine too.
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


class NotLive(BotError):
    """No bot answers."""


@dataclass(frozen=True, slots=True)
class ReadyResponse:
    """The response of `/health/ready`."""

    ready: bool
    body: dict[str, Any]

    def lines(self) -> list[str]:
        """Return the lines for people: the status, and one a component."""
        return [
            f"{self.body['status']}",
            *(
                f"{component['name']}: {component['state']} since {component['since']}"
                + (f": {component['detail']}" if component["detail"] else "")
                for component in self.body.get("components", ())
            ),
        ]


def local_host(settings: HttpSettings) -> str:
    """Return the name under which this machine reaches the server."""
    return _EVERYWHERE.get(settings.host, settings.host)


def ask_ready(settings: HttpSettings) -> ReadyResponse:
    """Ask the running bot of these settings for its readiness. Raises NotLive."""
    host = local_host(settings)
    connection = http.client.HTTPConnection(host, settings.port, timeout=_SECONDS)
    token = settings.token.get_secret_value()
    try:
        connection.request("GET", "/health/ready", headers={"Authorization": f"Bearer {token}"} if token else {})
        response = connection.getresponse()
        body = json.loads(response.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NotLive(
            f"No bot answers at {host}:{settings.port} ({error}). Start one with knowledge-bot run, and see to it that "
            "http.enabled, http.host and http.port are the same here as there."
        ) from error
    finally:
        connection.close()
    is_ours = isinstance(body, dict) and "status" in body
    if response.status not in (HTTPStatus.OK, HTTPStatus.SERVICE_UNAVAILABLE) or not is_ours:
        raise NotLive(f"What answers at {host}:{settings.port} is no knowledge-bot. Set http.port to another port.")
    return ReadyResponse(response.status == HTTPStatus.OK, body)
