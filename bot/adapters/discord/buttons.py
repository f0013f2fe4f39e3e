"""The buttons below answers. What a button is for stands in its id, so that it works after a restart as before."""

import re
from typing import TYPE_CHECKING, Any, cast

import discord

from bot.adapters.discord import rendering
from bot.adapters.discord.incoming import PLATFORM
from bot.adapters.discord.outgoing import NOBODY
from bot.core.messages import Address

if TYPE_CHECKING:
    from bot.adapters.discord.adapter import DiscordAdapter

_LONGEST_REASON = 500  # characters
_REASON = re.compile(r"kb:why:(\w+)")
_GONE = "This answer is not kept any more."

Interaction = discord.Interaction[discord.Client]
Button = discord.ui.Button[discord.ui.View]


def desk_of(interaction: Interaction) -> "DiscordAdapter":
    """The adapter whose client got the interaction."""
    desk: DiscordAdapter = cast(Any, interaction.client).desk
    return desk


def answer_buttons(reference: str, *, shareable: bool) -> discord.ui.View:
    """What people may do with an answer; `shareable`: it is private, and may be shown to all."""
    view = discord.ui.View(timeout=None)
    for action in ("yes", "no", "source", *(("share",) if shareable else ())):
        view.add_item(AnswerButton(action, reference))
    return view


def stop_button(address: Address, author: str) -> discord.ui.View:
    view = discord.ui.View(timeout=None)
    view.add_item(StopButton(address.chat, address.message, author))
    return view


_LOOKS = {
    "yes": ("👍", "Helpful"),
    "no": ("👎", "Not helpful"),
    "source": ("📄", "Show the passage"),
    "share": ("📣", "Share"),
}


class AnswerButton(discord.ui.DynamicItem[Button], template=r"kb:(?P<action>yes|no|source|share):(?P<reference>\w+)"):
    def __init__(self, action: str, reference: str) -> None:
        emoji, label = _LOOKS[action]
        super().__init__(discord.ui.Button(custom_id=f"kb:{action}:{reference}", emoji=emoji, label=label))
        self._action = action
        self._reference = reference

    @classmethod
    async def from_custom_id(cls, _interaction: Interaction, _item: Any, match: re.Match[str]) -> "AnswerButton":
        return cls(match["action"], match["reference"])

    async def callback(self, interaction: Interaction) -> None:
        async with desk_of(interaction).visible_failures(interaction):
            await getattr(self, f"_{self._action}")(interaction)

    async def _yes(self, interaction: Interaction) -> None:
        await interaction.response.defer(ephemeral=True, thinking=True)
        await _say(interaction, await thanks(desk_of(interaction), interaction, self._reference, helpful=True))

    async def _no(self, interaction: Interaction) -> None:
        """Noted at once, for the reason may never come."""
        await interaction.response.send_modal(_ReasonModal(self._reference))
        await thanks(desk_of(interaction), interaction, self._reference, helpful=False)

    async def _source(self, interaction: Interaction) -> None:
        await interaction.response.defer(ephemeral=True, thinking=True)
        stored = await desk_of(interaction).dispatcher.stored(PLATFORM, self._reference)
        await desk_of(interaction).reply(interaction, rendering.passages(stored.answer.citations) if stored else _GONE)

    async def _share(self, interaction: Interaction) -> None:
        """The button goes with the first press, so that nothing is shared twice."""
        await interaction.response.edit_message(view=answer_buttons(self._reference, shareable=False))
        await desk_of(interaction).share(interaction, self._reference)


class StopButton(discord.ui.DynamicItem[Button], template=r"kb:stop:(?P<chat>\d+):(?P<message>\d+):(?P<author>\d+)"):
    def __init__(self, chat: str, message: str, author: str) -> None:
        super().__init__(discord.ui.Button(custom_id=f"kb:stop:{chat}:{message}:{author}", emoji="⏹️", label="Stop"))
        self._address = Address(PLATFORM, chat, message)
        self._author = author

    @classmethod
    async def from_custom_id(cls, _interaction: Interaction, _item: Any, match: re.Match[str]) -> "StopButton":
        return cls(match["chat"], match["message"], match["author"])

    async def callback(self, interaction: Interaction) -> None:
        async with desk_of(interaction).visible_failures(interaction):
            await interaction.response.defer(ephemeral=True, thinking=True)
            if self._author != str(interaction.user.id) and not interaction.permissions.manage_messages:
                await _say(interaction, "Only who has asked can stop this.")
            elif await desk_of(interaction).dispatcher.stop(self._address):
                await _say(interaction, "Stopped.")
            else:
                await _say(interaction, "There is nothing to stop any more.")


class _ReasonModal(discord.ui.Modal, title="What was wrong with the answer?"):
    """Its answer is taken by `reason_given`, which knows it after a restart too."""

    reason: discord.ui.TextInput[discord.ui.View] = discord.ui.TextInput(
        label="What should be better? (optional)",
        custom_id="reason",
        style=discord.TextStyle.paragraph,
        required=False,
        max_length=_LONGEST_REASON,
    )

    def __init__(self, reference: str) -> None:
        super().__init__(custom_id=f"kb:why:{reference}", timeout=900)


async def reason_given(desk: "DiscordAdapter", interaction: Interaction) -> None:
    """Take what somebody has written about an unhelpful answer, if the interaction is that."""
    data: Any = interaction.data or {}
    match = _REASON.fullmatch(data.get("custom_id", ""))
    if interaction.type is not discord.InteractionType.modal_submit or match is None:
        return
    async with desk.visible_failures(interaction):
        await interaction.response.defer(ephemeral=True, thinking=True)
        reason = " ".join(_values(data.get("components", ())))[:_LONGEST_REASON].strip()
        await _say(interaction, await thanks(desk, interaction, match[1], helpful=False, reason=reason))


def _values(components: Any) -> list[str]:
    """What was written into the fields, however they are nested."""
    found = []
    for component in components:
        if isinstance(component.get("value"), str):
            found.append(component["value"])
        inner = component.get("components", ()) or ([component["component"]] if "component" in component else ())
        found += _values(inner)
    return found


async def thanks(
    desk: "DiscordAdapter", interaction: Interaction, reference: str, *, helpful: bool, reason: str = ""
) -> str:
    """Note what somebody thinks of an answer, and the line that says so."""
    author = str(interaction.user.id)
    kept = await desk.dispatcher.feedback(PLATFORM, reference, author, helpful=helpful, reason=reason)
    return "Thank you, that is noted." if kept else _GONE


async def _say(interaction: Interaction, text: str) -> None:
    await interaction.edit_original_response(content=text, allowed_mentions=NOBODY)
