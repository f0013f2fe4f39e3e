"""Interactions of a local Discord: commands, buttons and forms that reach the bot, and its responses to them."""

import time
from dataclasses import dataclass, field

from tests.platforms.discord_chats import Json, now
from tests.platforms.discord_messages import Messages, Refused, Request

_EPHEMERAL = 64
_TO_RESPOND = 3.0  # seconds


@dataclass
class Interaction:
    """A command, a press of a button or a form of a user, with the responses of the bot."""

    id: str
    token: str
    kind: int
    channel: str
    user: Json
    created: float
    responded: float | None = None  # seconds after it was created
    response: Json | None = None  # the callback
    message: Json | None = None  # @original
    pressed: Json | None = None  # the message whose button this is
    followups: list[Json] = field(default_factory=list)
    expired: bool = False
    deleted: bool = False  # @original

    @property
    def ephemeral(self) -> bool:
        data = (self.response or {}).get("data") or {}
        return bool(data.get("flags", 0) & _EPHEMERAL)

    @property
    def waiting(self) -> bool:
        """The user still reads that the bot is thinking."""
        return self.response is not None and self.response["type"] == 5 and self.message is None and not self.deleted


class Interactions(Messages):
    """Sends interactions to the bot and carries out the calls that respond to them. They raise `Refused`."""

    def __init__(self) -> None:
        super().__init__()
        self.interactions: dict[str, Interaction] = {}  # by token

    async def _interact(
        self, channel: str, user: Json, kind: int, data: Json, *, message: Json | None = None, twice: bool = False
    ) -> Interaction:
        interaction = Interaction(self._id(), f"token-{self._id()}", kind, channel, user, time.monotonic())
        interaction.pressed = message
        self.interactions[interaction.token] = interaction
        where = self.channels[channel]
        event: Json = {"id": interaction.id, "application_id": self.application, "type": kind, "version": 1}
        event |= {"token": interaction.token, "data": data, "channel_id": channel, "channel": where, "locale": "en-US"}
        event |= {"attachment_size_limit": 10_000_000, "app_permissions": "0", "entitlements": []}
        event["authorizing_integration_owners"] = {}
        if message is not None:
            event["message"] = message
        if guild := where.get("guild_id"):
            event |= {"guild_id": guild, "guild_locale": "en-US"}
            permissions = str(2**40 - 1) if user["id"] == self.owner["id"] else str(1 << 11)
            permissions = user.get("permissions", permissions)
            event["member"] = {"user": user, "roles": [], "permissions": permissions, "joined_at": now(), "flags": 0}
        else:
            event["user"] = user
        for _ in range(1 + twice):
            await self.dispatch("INTERACTION_CREATE", event)
        return interaction

    async def _respond(self, interaction_id: str, token: str, call: Request) -> Json:
        interaction = self.interactions.get(token)
        if interaction is None or interaction.id != interaction_id or interaction.expired:
            raise Refused(404, 10062)
        if interaction.response is not None:
            raise Refused(400, 40060)
        took = time.monotonic() - interaction.created
        if took > _TO_RESPOND:
            raise Refused(404, 10062)
        interaction.response, interaction.responded = call.body, took
        kind, data = call.body["type"], call.body.get("data") or {}
        resource: Json = {"type": kind}
        if kind == 4:
            interaction.message = resource["message"] = self._response_message(interaction, data, call)
        elif kind == 7 and interaction.pressed is not None:
            self._fill(interaction.pressed, data, call)
            interaction.message = resource["message"] = interaction.pressed
        result = {"id": interaction.id, "type": interaction.kind, "response_message_loading": kind == 5}
        return {"interaction": result, "resource": resource}

    def _responded(self, token: str) -> Interaction:
        interaction = self.interactions.get(token)
        if interaction is None or interaction.response is None:
            raise Refused(404, 10015)
        if interaction.expired:
            raise Refused(401, 50027)
        return interaction

    def _response_message(self, interaction: Interaction, data: Json, call: Request) -> Json:
        message = self._message(interaction.channel, self.me, data.get("content") or "")
        self._fill(message, data, call)
        if interaction.ephemeral:
            message["flags"] |= _EPHEMERAL
        else:
            self._keep(interaction.channel, message)
        return message

    async def _edit_response(self, interaction: Interaction, message_id: str, call: Request) -> Json:
        if message_id == "@original":
            if interaction.deleted:
                raise Refused(404, 10008)
            if interaction.message is None:
                interaction.message = self._response_message(interaction, {}, call)
            message = interaction.message
        else:
            known = [message for message in (interaction.message, *interaction.followups) if message]
            [message] = [other for other in known if other["id"] == message_id] or [None]
            if message is None:
                raise Refused(404, 10008)
        self._fill(message, call.body, call)
        return message

    async def _delete_response(self, interaction: Interaction, message_id: str) -> None:
        message = interaction.message
        if message_id == "@original" or (message is not None and message["id"] == message_id):
            interaction.message, interaction.deleted = None, True
            if message is not None and not interaction.ephemeral:
                await self.delete(message)

    async def _follow_up(self, interaction: Interaction, call: Request) -> Json:
        message = self._message(interaction.channel, self.me, "")
        self._fill(message, call.body, call)
        interaction.followups.append(message)
        if not message["flags"] & _EPHEMERAL:
            self._keep(interaction.channel, message)
        return message
