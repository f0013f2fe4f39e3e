"""The local Bot API, on which the tests of the adapter stand, as python-telegram-bot sees it."""

import asyncio
import math
import time

import aiohttp
import pytest
from aiohttp import web
from telegram import Bot, InlineKeyboardButton, InlineKeyboardMarkup, MessageEntity, ReplyParameters
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TimedOut,
)
from telegram.request import HTTPXRequest

from bot.core.tls import trusted_certificates
from tests.platforms import telegram_description
from tests.platforms.telegram_markup import Refused, formatted, piece
from tests.platforms.telegram_server import BOT, TOKEN, Limits, TelegramServer


@pytest.fixture(autouse=True)
def durations_are_timedeltas(monkeypatch):
    """The library's own switch; without it, it warns at every wait that flood control asks for."""
    monkeypatch.setenv("PTB_TIMEDELTA", "true")


@pytest.fixture
async def server():
    async with TelegramServer() as server:
        yield server
        assert server.violations == []


@pytest.fixture
async def bot(server):
    shared = {"verify": trusted_certificates()}
    requests = {
        name: HTTPXRequest(read_timeout=1.0, httpx_kwargs=shared) for name in ("request", "get_updates_request")
    }
    async with Bot(TOKEN, base_url=server.base_url, base_file_url=server.file_url, **requests) as bot:
        yield bot


@pytest.fixture
def ann(server):
    return server.person("Ann")


async def test_the_library_knows_the_bot(bot):
    """getMe, as every start asks it."""
    assert (bot.username, bot.id) == (BOT["username"], BOT["id"])


async def test_a_wrong_token_is_refused(server):
    """As after a token was revoked."""
    with pytest.raises(InvalidToken):
        async with Bot("1:wrong", base_url=server.base_url):
            pass


async def test_a_poll_waits_for_what_comes_and_confirms_by_the_offset(server, bot, ann):
    """Nothing is confirmed before the offset passes it."""
    polling = asyncio.create_task(bot.get_updates(timeout=5))
    await asyncio.sleep(0.05)
    assert not polling.done()
    server.says(server.private(ann), ann, "hello")
    [update] = await polling
    assert (update.message.text, update.effective_user.first_name) == ("hello", "Ann")
    assert len(await bot.get_updates()) == 1
    assert await bot.get_updates(offset=update.update_id + 1) == ()
    assert server.pending == []


async def test_a_poll_comes_back_empty_when_its_time_is_over(bot):
    """Long polling with nothing to tell."""
    started = time.monotonic()
    assert await bot.get_updates(timeout=1) == ()
    assert 0.9 < time.monotonic() - started < 3


async def test_a_second_poller_ends_the_first_one(bot):
    """409, as with two bots of one token."""
    first = asyncio.create_task(bot.get_updates(timeout=5))
    await asyncio.sleep(0.05)
    second = asyncio.create_task(bot.get_updates(timeout=1))
    with pytest.raises(Conflict, match="terminated by other"):
        await first
    await second


async def test_privacy_hides_what_people_say_to_each_other(server, bot, ann):
    """Commands, mentions and replies to the bot are let through."""
    group = server.group()
    server.says(group, ann, "just talking")
    server.says(group, ann, "/ask@other_bot something")
    answer = await bot.send_message(group.id, "I am here")
    server.says(group, ann, "thanks", reply_to=server.chats[group.id].messages[answer.message_id])
    server.says(group, ann, "@keeper_bot where?")
    server.says(group, ann, "/ask what?")
    assert [update.message.text for update in await bot.get_updates()] == ["thanks", "@keeper_bot where?", "/ask what?"]


@pytest.mark.parametrize(
    ("markup", "reason"),
    [
        ("<b>never closed", "Can't find end tag"),
        ("<b><i>crossed</b></i>", "Unmatched end tag"),
        ("a < b", "Unsupported start tag"),
        ("<script>x</script>", "Unsupported start tag"),
        ("</b>", "Unexpected end tag"),
    ],
)
async def test_bad_markup_is_refused(server, bot, ann, markup, reason):
    """As strictly as by the service."""
    with pytest.raises(BadRequest, match=f"(?i)can't parse entities: {reason}"):
        await bot.send_message(server.private(ann).id, markup, parse_mode="HTML")


def test_good_markup_becomes_entities():
    """With offsets in UTF-16 units."""
    result = formatted('😀 <b>bold <i>both</i></b> &amp; <a href="https://a.b">link</a>', "HTML", None)
    assert result.text == "😀 bold both & link"
    assert {(entity["type"], piece(result.text, entity)) for entity in result.entities} == {
        ("bold", "bold both"),
        ("italic", "both"),
        ("text_link", "link"),
    }


def test_an_entity_within_a_character_is_refused():
    """An emoji has two units, and no entity may begin between them."""
    with pytest.raises(Refused, match="begins in a middle"):
        formatted("😀x", None, [{"type": "bold", "offset": 1, "length": 2}])


@pytest.mark.parametrize(("text", "fits"), [("😀" * 2048, True), ("😀" * 2048 + "x", False), ("x" * 4096, True)])
async def test_the_length_is_counted_in_utf_16_units(server, bot, ann, text, fits):
    """4096 of them."""
    sending = bot.send_message(server.private(ann).id, text)
    if fits:
        assert (await sending).text == text
    else:
        with pytest.raises(BadRequest, match="Message is too long"):
            await sending


async def test_messages_are_edited_and_buttons_pressed(server, bot, ann):
    """An unchanged edit is refused, a query is answered once."""
    chat = server.private(ann)
    keyboard = InlineKeyboardMarkup([[InlineKeyboardButton("Yes", callback_data="y:1")]])
    sent = await bot.send_message(chat.id, "Well?", reply_markup=keyboard)
    entity = MessageEntity(MessageEntity.BOLD, 0, 4)
    await bot.edit_message_text("Well!", chat.id, sent.message_id, entities=[entity], reply_markup=keyboard)
    with pytest.raises(BadRequest, match=r"(?i)message is not modified"):
        await bot.edit_message_text("Well!", chat.id, sent.message_id, entities=[entity], reply_markup=keyboard)
    query = server.presses(chat, ann, chat.from_bot[0], "Yes")
    [update] = await bot.get_updates()
    assert (update.callback_query.data, update.callback_query.message.text) == ("y:1", "Well!")
    await bot.answer_callback_query(query, "Noted")
    with pytest.raises(BadRequest, match=r"(?i)query is too old"):
        await bot.answer_callback_query(query)
    with pytest.raises(BadRequest, match=r"(?i)button_data_invalid"):
        await bot.send_message(
            chat.id, "x", reply_markup=InlineKeyboardMarkup([[InlineKeyboardButton("x", callback_data="é" * 33)]])
        )


async def test_replies_topics_and_moved_groups(server, bot):
    """The errors that a bot meets in the life of a group."""
    group = server.group(kind="group")
    moved = server.becomes_supergroup(group, server.person("Bob"))
    with pytest.raises(ChatMigrated) as migrated:
        await bot.send_message(group.id, "hello")
    assert migrated.value.new_chat_id == moved.id
    with pytest.raises(BadRequest, match=r"(?i)message to be replied not found"):
        await bot.send_message(moved.id, "hello", reply_parameters=ReplyParameters(99))
    moved.closed_topics.add(7)
    with pytest.raises(BadRequest, match=r"(?i)topic_closed"):
        await bot.send_message(moved.id, "hello", message_thread_id=7)
    with pytest.raises(BadRequest, match="thread not found"):
        await bot.send_message(moved.id, "hello", message_thread_id=1)


async def test_a_blocked_bot_is_told_so(server, bot, ann):
    """Once in an update, and at every call."""
    chat = server.private(ann)
    server.blocks(ann)
    with pytest.raises(Forbidden, match="blocked by the user"):
        await bot.send_message(chat.id, "hello")
    [update] = await bot.get_updates(allowed_updates=["message", "my_chat_member"])
    assert update.my_chat_member.new_chat_member.status == "kicked"


async def test_flood_control_names_the_seconds(server, bot, ann):
    """And lets through again when they are over."""
    server.limits = Limits(per_chat=(1, 1.0))
    chat = server.private(ann)
    await bot.send_message(chat.id, "one")
    with pytest.raises(RetryAfter):
        await bot.send_message(chat.id, "two")
    await asyncio.sleep(1)
    await bot.send_message(chat.id, "three")
    assert (chat.texts, server.ignored_waits) == (["one", "three"], 0)


@pytest.mark.parametrize(
    ("kind", "error", "arrived"),
    [("502", NetworkError, 0), ("garbage", NetworkError, 0), ("reset", NetworkError, 0), ("lost", NetworkError, 1)],
)
async def test_the_service_breaks(server, bot, ann, kind, error, arrived):
    """Before or after it has done what it was asked."""
    server.break_next("sendMessage", kind)
    with pytest.raises(error):
        await bot.send_message(server.private(ann).id, "hello")
    assert len(server.private(ann).texts) == arrived


async def test_the_service_hangs(server, bot, ann):
    """Until it is repaired."""
    server.break_next("sendMessage", "hang", math.inf)
    with pytest.raises(TimedOut):
        await bot.send_message(server.private(ann).id, "hello", read_timeout=0.2)
    server.repair()
    await bot.send_message(server.private(ann).id, "hello")


async def test_inline_queries_are_answered_once(server, bot, ann):
    """As a person types `@bot question`."""
    query = server.types_inline(ann, "water")
    [update] = await bot.get_updates()
    assert update.inline_query.query == "water"
    await bot.answer_inline_query(query, [])
    with pytest.raises(BadRequest, match=r"(?i)query is too old"):
        await bot.answer_inline_query(query, [])


async def test_a_file_is_downloaded(server, bot, ann):
    """By the path that getFile names."""
    server.sends_document(server.private(ann), ann, "guide.md", b"# Guide", caption="for you")
    [update] = await bot.get_updates()
    assert (update.message.document.file_name, update.message.caption) == ("guide.md", "for you")
    file = await bot.get_file(update.message.document.file_id)
    assert bytes(await file.download_as_bytearray()) == b"# Guide"


async def test_a_webhook_gets_each_update_until_it_takes_it(server, bot, ann):
    """With its secret, with the same id each time, and nobody can poll meanwhile."""
    received: list[tuple[str, int]] = []

    async def take(request: web.Request) -> web.Response:
        update = await request.json()
        received.append((request.headers["X-Telegram-Bot-Api-Secret-Token"], update["update_id"]))
        return web.Response(status=200 if len(received) > 1 else 503)

    app = web.Application()
    app.router.add_post("/hook", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    await bot.set_webhook(f"http://127.0.0.1:{port}/hook", secret_token="s")
    server.says(server.private(ann), ann, "hello")
    with pytest.raises(Conflict, match="webhook is active"):
        await bot.get_updates()
    while server.pending:  # noqa: ASYNC110  (the server is not to know of its test)
        await asyncio.sleep(0.02)
    await bot.delete_webhook()
    await runner.cleanup()
    first, second = received
    assert first == second == ("s", 1000)


async def test_calls_are_held_against_the_published_description(server, bot):
    """A parameter that doesn't exist, one that lacks, one of a wrong type."""
    if telegram_description.description() is None:
        pytest.skip("the published description is not present beside the repository")
    async with aiohttp.ClientSession() as session:
        for body in ({"chat_id": 1, "text": "x", "colour": "red"}, {"chat_id": 1}, {"chat_id": [], "text": "x"}):
            await session.post(f"{server.base_url}{TOKEN}/sendMessage", json=body)
    assert server.violations == [
        "sendMessage has no colour",
        "sendMessage lacks text",
        "sendMessage.chat_id should be String and is []",
    ]
    server.violations.clear()
