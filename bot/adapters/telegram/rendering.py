"""Renders an answer as Telegram messages: its text, its sources with links, and the buttons below it."""

from collections.abc import Sequence

from telegram import (
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InlineQueryResultArticle,
    InputTextMessageContent,
    LinkPreviewOptions,
    MessageEntity,
)

from bot.adapters.layout import source_line
from bot.adapters.telegram.formatting import (
    LONGEST_MESSAGE,
    RichText,
    from_markdown,
    host_of,
    joined,
    linked,
    plain,
    split,
)
from bot.adapters.texts import LATE, button_labels
from bot.core.documents import trail
from bot.core.markup import Markup, Piece
from bot.core.messages import Answer, Citation, Outcome
from bot.core.text import safe

HELPFUL, NOT_HELPFUL, PASSAGE, MORE = "y", "n", "p", "m"
AGAIN = "(sent again: the connection broke when this was sent)"
_LONGEST_RESULT = 1500  # UTF-16 units of a passage that is put into a chat
_DESCRIPTION = 120  # characters


def parts_of(answer: Answer, *, late: bool) -> list[RichText]:
    """Render an answer as messages. A long one takes milliseconds, so call this in a thread."""
    regret = plain(LATE).within(MessageEntity.ITALIC) if late else RichText()
    return split(joined((regret, *map(_shown, answer.pieces), _sources(answer.citations)), "\n\n"))


def _shown(piece: Piece) -> RichText:
    match piece.markup:
        case Markup.MARKDOWN:
            return from_markdown(piece.text)
        case Markup.CODE:
            return plain(piece.text).within(MessageEntity.PRE, "")
    return joined(_run(*run) for run in piece.runs)


def _run(text: str, bold: bool, code: bool) -> RichText:
    run = plain(text)
    run = run.within(MessageEntity.BOLD) if bold else run
    return run.within(MessageEntity.CODE) if code else run


def _sources(citations: Sequence[Citation]) -> RichText:
    return joined((joined((plain("— "), _source(citation))) for citation in citations), "\n")


def _source(citation: Citation) -> RichText:
    """Return the source as a link, with the host that it leads to."""
    host = host_of(citation.url)
    return joined((linked(plain(source_line(citation)), citation.url), plain(host)), " · ")


def marked_as_repeated(part: RichText) -> list[RichText]:
    """Add a line to a part that it may have arrived before, in two messages if both don't fit into one."""
    return split(joined((plain(AGAIN).within(MessageEntity.ITALIC), part), "\n\n"))


def passages_of(answer: Answer) -> list[RichText]:
    """Render the quotes behind an answer as messages, each below its source."""
    quotes = (
        joined((_source(citation).within(MessageEntity.BOLD), _quoted(citation).within(MessageEntity.BLOCKQUOTE)), "\n")
        for citation in answer.citations
    )
    return split(joined(quotes, "\n\n"))


def more_of(answer: Answer) -> list[RichText]:
    """Render the rest of an answer's section as messages, none if there is no more. Call this in a thread."""
    return split(joined(map(_shown, answer.more_pieces), "\n\n"))


def _quoted(citation: Citation) -> RichText:
    return _shown(Piece(citation.quote, citation.markup))


def buttons(answer: Answer) -> InlineKeyboardMarkup:
    """Return the buttons below an answer or a suggestion. They work as long as it is kept."""
    labels = button_labels(suggested=answer.outcome is Outcome.SUGGESTED)

    def button(kind: str, label: str) -> InlineKeyboardButton:
        return InlineKeyboardButton(" ".join(labels[label]), callback_data=f"{kind}:{answer.reference}")

    below = [button(PASSAGE, "source"), *([button(MORE, "more")] if answer.more else [])]
    return InlineKeyboardMarkup([[button(HELPFUL, "yes"), button(NOT_HELPFUL, "no")], below])


def inline_result(number: int, citation: Citation) -> InlineQueryResultArticle:
    """Render a passage with its source as a result of an inline query."""
    quote, *_ = split(_quoted(citation), _LONGEST_RESULT)
    content = joined((quote, joined((plain("— "), _source(citation)))), "\n\n")
    content = content.part(0, len(content.text)) if content.text else plain(citation.title)
    first, *_ = split(content, LONGEST_MESSAGE)
    return InlineQueryResultArticle(
        id=str(number),
        title=safe(trail(citation.title, citation.heading))[:_DESCRIPTION],
        description=" ".join(quote.text.split())[:_DESCRIPTION],
        input_message_content=InputTextMessageContent(
            first.text, entities=first.entities, link_preview_options=LinkPreviewOptions(is_disabled=True)
        ),
    )
