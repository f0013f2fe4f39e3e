"""The settings of the platforms: Discord, Telegram and HTTP, and the administration from a chat."""

from ipaddress import ip_address
from typing import Self

from pydantic import Field, SecretStr, model_validator

from bot.core.messages import Policy
from bot.core.settings.values import WEB_ADDRESS, Origin, Secret, SettingsSection

_SHORTEST_TOKEN = 16  # characters


class AdministrationSettings(SettingsSection):
    """The administration from a chat."""

    document_bytes: int = Field(
        10_000_000,
        ge=1,
        description="How large a document may be that is added from a chat, in bytes. Raise it where operators send larger "
        "ones.",
    )


class DiscordSettings(SettingsSection):
    """The bot on Discord."""

    token: Secret = Field(
        SecretStr(""),
        description="The token of the Discord bot; also taken from DISCORD_TOKEN. Set it to answer on Discord. Empty: no "
        "Discord.",
    )
    message_content: bool = Field(
        True,
        description="Whether to ask for the Message Content intent. Without it the bot sees only what is addressed to it. "
        "Turn it off where Discord doesn't grant that.",
    )
    policy: Policy = Field(
        Policy.MENTION,
        description="When the bot answers in channels that have no policy of their own: mention, always, forum or off. "
        "Change it where the bot is to answer without being asked to by name.",
    )
    private: bool = Field(
        False,
        description="Whether answers to /ask are for the asker only, unless the asker says otherwise. Turn it on where "
        "questions and answers are not to fill the channels.",
    )
    threads: bool = Field(
        False,
        description="Whether a question in a channel gets a thread of its own for its answer. Turn it on where many ask in "
        "the same channel.",
    )
    operators: tuple[int, ...] = Field(
        (),
        description="Ids of the users who may administer the bot. Empty: the owner of the application and its team. Set it "
        "where others run the bot.",
    )
    proxies: tuple[int, ...] = Field(
        (),
        description="Ids of applications that repeat what people write under another name, such as 466378653216014359 for "
        "PluralKit. Their messages are answered as those of people. Set it where such a bot is on the server.",
    )
    catch_up_seconds: float = Field(
        3600,
        ge=0,
        description="Seconds of absence up to which questions that came meanwhile are answered. 0: never. Raise it where "
        "the bot is away for longer and late answers are welcome.",
    )
    sharded: bool = Field(
        False,
        description="Whether to connect in several shards. Turn it on before the bot is on 2,500 servers, where Discord "
        "demands it.",
    )


class TelegramSettings(SettingsSection):
    """The bot on Telegram."""

    token: Secret = Field(
        SecretStr(""),
        description="The token of the Telegram bot; also taken from TELEGRAM_TOKEN. Set it to answer on Telegram. Empty: "
        "no Telegram.",
    )
    operators: tuple[int, ...] = Field(
        (),
        description="Ids of the users who may administer the bot, in their private chat with it. Empty: nobody. Set it to "
        "look after the bot from Telegram.",
    )
    policy: Policy = Field(
        Policy.MENTION,
        description="When the bot answers in groups that have no policy of their own: mention, always, forum or off. "
        "Change it where the bot is to answer without being asked to by name.",
    )
    shared_conversations: bool = Field(
        False,
        description="Whether a follow-up in a group may refer to what somebody else has asked there. Turn it on for groups "
        "that work on one thing together.",
    )
    inline: bool = Field(
        True,
        description="Whether passages are found for inline queries, by anybody on Telegram. Turn it off where not "
        "everybody may read the documents.",
    )
    webhook_url: str = Field(
        "",
        pattern=WEB_ADDRESS,
        description="The public https address that Telegram is to send messages to, which must lead to the path of the "
        "same name at http.port. Empty: the bot polls. Set it where long connections to Telegram break and "
        "this machine has a public address.",
    )
    api_url: str = Field(
        "https://api.telegram.org",
        pattern=WEB_ADDRESS,
        description="The address of the Bot API. Change it if you run a server of your own.",
    )


class HttpSettings(SettingsSection):
    """The HTTP server."""

    enabled: bool = Field(
        True,
        description="Whether the running bot can be asked by HTTP, and tells how it is: the API, health and metrics. Turn "
        "it off where nobody asks by HTTP or watches the bot.",
    )
    host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="The address that the HTTP server listens on. Change it where other machines are to ask; then a token "
        "is needed.",
    )
    port: int = Field(
        8080,
        ge=0,
        le=65535,
        description="The port that the HTTP server listens on. 0: any that is free. Change it where another program has "
        "that port.",
    )
    token: Secret = Field(
        SecretStr(""),
        description="What callers have to send as their bearer token, 16 characters or more. Empty: whoever is on this "
        "machine may ask. Set it where others use this machine or may ask from elsewhere.",
    )
    operator_token: Secret = Field(
        SecretStr(""),
        description="What operators sign in to the console with, in a browser at /console, 16 characters or more. Empty: there "
        "is no console. Set it to see what is asked, and to look after the documents, in a browser.",
    )
    widget_origins: tuple[Origin, ...] = Field(
        (),
        description="The sites whose pages may show the chat with the bot, such as https://www.example.org. Their visitors ask "
        "without a token, limited by their address. Empty: none. Set it to put the bot on a website.",
    )

    @property
    def local(self) -> bool:
        """Whether only this machine reaches the server."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @model_validator(mode="after")
    def _has_a_token_where_others_can_ask(self) -> Self:
        token = self.token.get_secret_value()
        if self.enabled and not self.local and not token:
            raise ValueError(
                f"whoever reaches {self.host} could ask; set http.token (openssl rand -hex 32 makes one), or listen on "
                "127.0.0.1 only: http.host"
            )
        operator_token = self.operator_token.get_secret_value()
        for name, value in (("token", token), ("operator_token", operator_token)):
            if value and len(value) < _SHORTEST_TOKEN:
                raise ValueError(f"http.{name} is too easy to guess; {_SHORTEST_TOKEN} characters or more are needed")
        if token and token == operator_token:
            raise ValueError(
                "http.operator_token is the same as http.token: whoever may ask could administer; choose another"
            )
        return self
