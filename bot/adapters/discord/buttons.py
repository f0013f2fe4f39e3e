"""The buttons below answers. The id of a button names its action and its answer, so that it works after a restart."""

import re
from typing import Any, cast

import discord

from bot.adapters.discord import rendering
from bot.adapters.discord.actions import Actions, Interaction
from bot.adapters.discord.addressing import PLATFORM
from bot.adapters.discord.connection import Client
from bot.adapters.discord.responses import handling, respond, respond_in_parts
from bot.adapters.discord.sending import NOBODY
from bot.adapters.texts import NOT_KEPT, button_labels
from bot.core.messages import Address, Answer, Outcome
from bot.core.rights import Role

_LONGEST_REASON = 500  # characters
_REASON = re.compile(r"kb:why:(\w+)")

Button = discord.ui.Button[discord.ui.View]


def answer_buttons(answer: Answer, *, shareable: bool) -> discord.ui.View:
    """Return the buttons below an answer or a suggestion.

    They are Helpful, Not helpful, Show the passage, More if its section goes on, and Share if it is `shareable`.
    """
    view = discord.ui.View(timeout=None)
    suggested = answer.outcome is Outcome.SUGGESTED
    for action in ("yes", "no", "source", *(("more",) if answer.more else ()), *(("share",) if shareable else ())):
        view.add_item(AnswerButton(action, answer.reference, suggested=suggested))
    return view


def stop_button(address: Address, author: str) -> discord.ui.View:
    """Return the button below an unfinished answer. Its `author` and people who may manage messages can press it."""
    view = discord.ui.View(timeout=None)
    view.add_item(StopButton(address.chat, address.message, author))
    return view


class AnswerButton(
    discord.ui.DynamicItem[Button], template=r"kb:(?P<action>yes|no|source|more|share):(?P<reference>\w+)"
):
    """A button below an answer; its id is `kb:ACTION:REFERENCE`."""

    def __init__(self, action: str, reference: str, *, suggested: bool = False) -> None:
        """`suggested`: whether the button stands below a suggestion, where those for rating have other labels."""
        emoji, label = button_labels(suggested=suggested)[action]
        super().__init__(discord.ui.Button(custom_id=f"kb:{action}:{reference}", emoji=emoji, label=label))
        self._action = action
        self._reference = reference

    @classmethod
    async def from_custom_id(cls, _interaction: Interaction, _item: Any, match: re.Match[str]) -> "AnswerButton":
        return cls(match["action"], match["reference"])

    async def callback(self, interaction: Interaction) -> None:
        async with handling(interaction):
            await getattr(self, f"_{self._action}")(interaction)

    async def _yes(self, interaction: Interaction) -> None:
        await interaction.response.defer(ephemeral=True, thinking=True)
        kept = await _actions(interaction).rate(interaction, self._reference, helpful=True)
        await _say(interaction, _thanks(kept))

    async def _no(self, interaction: Interaction) -> None:
        """Rate the answer at once, and ask for a reason, which most people don't give."""
        await interaction.response.send_modal(_ReasonModal(self._reference))
        await _actions(interaction).rate(interaction, self._reference, helpful=False)

    async def _source(self, interaction: Interaction) -> None:
        await interaction.response.defer(ephemeral=True, thinking=True)
        stored = await _actions(interaction).stored(interaction, "source", self._reference)
        await respond(interaction, rendering.passages_of(stored.answer) if stored else NOT_KEPT)

    async def _more(self, interaction: Interaction) -> None:
        await interaction.response.defer(ephemeral=True, thinking=True)
        actions = _actions(interaction)
        stored = await actions.stored(interaction, "more", self._reference)
        if stored is None or not stored.answer.more:
            await _say(interaction, NOT_KEPT)
        else:
            await respond_in_parts(interaction, rendering.more_of(stored.answer))

    async def _share(self, interaction: Interaction) -> None:
        """Share the answer, and take the button away first, so that nothing is shared twice."""
        stored = await _actions(interaction).stored(interaction, "share", self._reference)
        if stored is None:
            await interaction.response.send_message(NOT_KEPT, ephemeral=True)
            return
        await interaction.response.edit_message(view=answer_buttons(stored.answer, shareable=False))
        await _actions(interaction).share(interaction, self._reference)


class StopButton(discord.ui.DynamicItem[Button], template=r"kb:stop:(?P<chat>\d+):(?P<message>\d+):(?P<author>\d+)"):
    """The button that stops the work on a question; its id holds the question's address and author."""

    def __init__(self, chat: str, message: str, author: str) -> None:
        super().__init__(discord.ui.Button(custom_id=f"kb:stop:{chat}:{message}:{author}", emoji="⏹️", label="Stop"))
        self._address = Address(PLATFORM, chat, message)
        self._author = author

    @classmethod
    async def from_custom_id(cls, _interaction: Interaction, _item: Any, match: re.Match[str]) -> "StopButton":
        return cls(match["chat"], match["message"], match["author"])

    async def callback(self, interaction: Interaction) -> None:
        async with handling(interaction):
            said = await self._stop(interaction)  # before the response, during which the question may be edited
            await interaction.response.defer(ephemeral=True, thinking=True)
            await _say(interaction, said)

    async def _stop(self, interaction: Interaction) -> str:
        """Stop the work if the user may, and return the text that says so."""
        roles = [Role.ASKER] if self._author == str(interaction.user.id) else []
        roles += [Role.MODERATOR] if interaction.permissions.manage_messages else []
        if not _actions(interaction).may("stop", interaction, *roles):
            return "Only who has asked can stop this."
        stopped = await _actions(interaction).backend.admission.stop(self._address)
        return "Stopped." if stopped else "There is nothing to stop any more."


class _ReasonModal(discord.ui.Modal, title="What was wrong with the answer?"):
    """The form for a reason. `take_reason` handles its submission, also of a form that was opened before a restart."""

    reason: discord.ui.TextInput[discord.ui.View] = discord.ui.TextInput(
        label="What should be better? (optional)",
        custom_id="reason",
        style=discord.TextStyle.paragraph,
        required=False,
        max_length=_LONGEST_REASON,
    )

    def __init__(self, reference: str) -> None:
        super().__init__(custom_id=f"kb:why:{reference}", timeout=900)


async def take_reason(actions: Actions, interaction: Interaction) -> None:
    """Keep the reason for a bad rating, if the interaction submits the form for it; ignore other interactions."""
    data: Any = interaction.data or {}
    match = _REASON.fullmatch(data.get("custom_id", ""))
    if interaction.type is not discord.InteractionType.modal_submit or match is None:
        return
    async with handling(interaction):
        await interaction.response.defer(ephemeral=True, thinking=True)
        reason = " ".join(_values(data.get("components", ())))[:_LONGEST_REASON].strip()
        kept = await actions.rate(interaction, match[1], helpful=False, reason=reason)
        await _say(interaction, _thanks(kept))


def _values(components: Any) -> list[str]:
    """Return the values of the fields of a form, which may be nested."""
    found = []
    for component in components:
        if isinstance(component.get("value"), str):
            found.append(component["value"])
        inner = component.get("components", ()) or ([component["component"]] if "component" in component else ())
        found += _values(inner)
    return found


def _actions(interaction: Interaction) -> Actions:
    return cast(Client, interaction.client).actions


def _thanks(kept: bool) -> str:
    return "Thank you, that is noted." if kept else NOT_KEPT


async def _say(interaction: Interaction, text: str) -> None:
    await interaction.edit_original_response(content=text, allowed_mentions=NOBODY)
