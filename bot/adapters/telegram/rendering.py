"""An answer as Telegram messages: its text, its sources with links, and the buttons below it."""

from collections.abc import Sequence

from telegram import (
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InlineQueryResultArticle,
    InputTextMessageContent,
    LinkPreviewOptions,
    MessageEntity,
)

from bot.adapters.layout import LATE, safe, source_line
from bot.adapters.telegram.formatting import LONGEST_MESSAGE, RichText, from_markdown, joined, linked, plain, split
from bot.core.messages import Answer, Citation, Outcome

HELPFUL, NOT_HELPFUL, PASSAGE = "y", "n", "p"
AGAIN = "(sent again: the connection broke when this was sent)"
_LONGEST_RESULT = 1500  # UTF-16 units of a passage that is put into a chat
_DESCRIPTION = 120  # characters


def parts_of(answer: Answer, *, late: bool) -> list[RichText]:
    """The messages of an answer. Takes milliseconds for long ones: not for the event loop."""
    # What we say ourselves names documents as they are called, which is no Markdown.
    is_markdown = answer.outcome in (Outcome.ANSWERED, Outcome.SMALL_TALK)
    body = from_markdown(answer.text) if is_markdown else plain(answer.text)
    whole = joined(
        (plain(LATE).within(MessageEntity.ITALIC) if late else RichText(), body, _sources(answer.citations)), "\n\n"
    )
    return split(whole)


def _sources(citations: Sequence[Citation]) -> RichText:
    return joined((joined((plain("— "), _source(citation))) for citation in citations), "\n")


def _source(citation: Citation) -> RichText:
    return linked(plain(source_line(citation)), citation.url)


def marked_as_repeated(part: RichText) -> list[RichText]:
    """A part that may have arrived before, with a line that says so; by itself where both don't fit into one message."""
    return split(joined((plain(AGAIN).within(MessageEntity.ITALIC), part), "\n\n"))


def passages_of(answer: Answer) -> list[RichText]:
    """The exact words behind an answer."""
    quotes = (
        joined((_source(citation).within(MessageEntity.BOLD), _quoted(citation.quote)), "\n")
        for citation in answer.citations
    )
    return split(joined(quotes, "\n\n"))


def _quoted(text: str) -> RichText:
    """The words as they stand in the document, markup and all."""
    return RichText(safe(text)).within(MessageEntity.BLOCKQUOTE)


def buttons(reference: str) -> InlineKeyboardMarkup:
    """The buttons below an answer; what they carry is valid as long as the answer is kept."""
    return InlineKeyboardMarkup(
        (
            (
                InlineKeyboardButton("👍 Helpful", callback_data=f"{HELPFUL}:{reference}"),
                InlineKeyboardButton("👎 Not helpful", callback_data=f"{NOT_HELPFUL}:{reference}"),
            ),
            (InlineKeyboardButton("📄 Show the passage", callback_data=f"{PASSAGE}:{reference}"),),
        )
    )


def inline_result(number: int, citation: Citation) -> InlineQueryResultArticle:
    """One passage found, to be put into a chat with its source."""
    quote, *_ = split(from_markdown(citation.quote), _LONGEST_RESULT)
    content = joined((quote, joined((plain("— "), _source(citation)))), "\n\n")
    content = content.part(0, len(content.text)) if content.text else plain(citation.title)
    first, *_ = split(content, LONGEST_MESSAGE)
    return InlineQueryResultArticle(
        id=str(number),
        title=safe(" › ".join((citation.title, *citation.heading)))[:_DESCRIPTION],
        description=" ".join(quote.text.split())[:_DESCRIPTION],
        input_message_content=InputTextMessageContent(
            first.text, entities=first.entities, link_preview_options=LinkPreviewOptions(is_disabled=True)
        ),
    )
