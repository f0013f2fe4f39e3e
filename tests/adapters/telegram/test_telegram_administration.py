"""Operators in their private chat with the bot in Telegram, with real documents and the real encoder."""

import pytest
from telegram_application import TelegramApplication

from bot.core.messages import Policy
from bot.runtime.application import administration_of, open_application

pytestmark = pytest.mark.usefixtures("quick_chats")


GUIDE = "# Guide\n\n## Water\n\nUse soft water.\n"


@pytest.fixture
async def application(server, tmp_path, models, ann):
    """An application whose operator is Ann, with one document."""
    application = TelegramApplication(server, tmp_path, operators=[ann["id"]])
    application.settings.knowledge.folder.mkdir()
    (application.settings.knowledge.folder / "guide.md").write_text(GUIDE)
    async with open_application(application.settings, models) as parts:
        application.administration = administration_of(parts)
        async with application:
            await application.start()
            yield application


async def said(application, chat, person, text):
    """The bot's reply to a command."""
    before = len(chat.texts)
    application.server.says(chat, person, text)
    return (await application.answered(chat, before + 1, seconds=20))[before]


async def test_an_administrator_runs_the_bot_from_a_private_chat(server, application, ann):
    """Status, documents, reload with its report, removal."""
    chat = server.private(ann)
    assert "operator" in await said(application, chat, ann, "/help")
    assert "1 document" not in await said(application, chat, ann, "/status")
    assert (await said(application, chat, ann, "/reload")).startswith("1 passage of 1 file")
    (application.settings.knowledge.folder / "broken.json").write_text("{")
    reloaded = await said(application, chat, ann, "/reload")
    assert "broken.json: " in reloaded
    assert "guide.md: 1 passage" in await said(application, chat, ann, "/documents")
    status = await said(application, chat, ann, "/status")
    assert "1 document, 1 passage" in status
    assert "polling: last poll" in status
    assert await said(application, chat, ann, "/remove nowhere.md") == "nowhere.md: there is no such document"
    assert "is removed" in await said(application, chat, ann, "/remove guide.md")
    assert not (application.settings.knowledge.folder / "guide.md").exists()
    assert "Give the path" in await said(application, chat, ann, "/remove")


FORWARDED = {"forward_origin": {"type": "hidden_user", "sender_user_name": "Mallory", "date": 1_700_000_000}}


async def test_a_forwarded_message_never_acts_with_the_rights_of_who_forwards_it(server, application, ann):
    """Neither a command of operators, nor one for everybody, nor a file."""
    chat = server.private(ann)
    guide = application.settings.knowledge.folder / "guide.md"
    command = {"entities": [{"type": "bot_command", "offset": 0, "length": 7}]}
    server.says(chat, ann, "/remove guide.md", **FORWARDED, **command)
    server.says(chat, ann, "/forget me", **FORWARDED, **command)
    server.sends_document(chat, ann, "guide.md", b"# Evil\n\nUse acid.\n", **FORWARDED)
    replies = await application.answered(chat, 3, seconds=20)
    assert all("forwarded" in reply for reply in replies)
    assert guide.read_text() == GUIDE


async def test_an_operator_sees_what_the_documents_lack_and_why(server, application, ann):
    """The declined questions, and the reasons for an answer."""
    chat = server.private(ann)
    await said(application, chat, ann, "/reload")
    assert await said(application, chat, ann, "/gaps") == "Nothing was declined."
    await said(application, chat, ann, "unknown")
    await application.dispatcher.queue.idle()
    assert await said(application, chat, ann, "/gaps") == "unknown (asked once)"
    explained = await said(application, chat, ann, "/explain which water should I use?")
    assert "answer.threshold" in explained
    assert "guide.md" in explained
    assert "Give the question" in await said(application, chat, ann, "/explain")


async def test_a_document_is_added_by_sending_the_file(server, application, ann):
    """Under its own name, or under the path in the caption; what can't be added is refused with the reason, and not fetched."""
    chat = server.private(ann)
    folder = application.settings.knowledge.folder
    server.sends_document(chat, ann, "more.md", b"# More\n\nMore words.")
    assert await application.answered(chat, 1, 20) == ["more.md: 1 passage"]
    server.sends_document(chat, ann, "x.md", b"# X\n\nText.", caption="guides/x.md")
    await application.answered(chat, 2, 20)
    assert (folder / "more.md").read_bytes() == b"# More\n\nMore words."
    assert (folder / "guides" / "x.md").is_file()
    server.sends_document(chat, ann, "virus.exe", b"MZ")
    assert "this format can't be read" in (await application.answered(chat, 3, 20))[2]
    server.sends_document(chat, ann, "x.md", b"x", caption="../../escape.md")
    assert "escape.md" in (await application.answered(chat, 4, 20))[3]
    assert not (folder.parent / "escape.md").exists()
    server.sends_document(chat, ann, "huge.md", b"x" * (application.settings.administration.document_bytes + 1))
    assert "larger than" in (await application.answered(chat, 5, 20))[4]
    assert [call["file_id"] for call in server.called("getFile")] == ["file-0", "file-1"]
    assert application.engine.asked == []


async def test_policies_are_set_from_the_private_chat_and_from_the_group(server, application, ann):
    """They can be removed again."""
    chat, group = server.private(ann), server.group()
    assert "No chat has a policy" in await said(application, chat, ann, "/policies")
    assert str(group.id) in await said(application, chat, ann, f"/policy {group.id} off")
    assert await said(application, chat, ann, "/policies") == f"{group.id}: off"
    assert await application.journal.platforms.policies("telegram") == {str(group.id): Policy.OFF}
    await said(application, group, ann, "/policy@keeper_bot always")
    assert await application.journal.platforms.policies("telegram") == {str(group.id): Policy.ALWAYS}
    await said(application, chat, ann, f"/policy {group.id} forum")
    assert await application.journal.platforms.policies("telegram") == {str(group.id): Policy.FORUM}
    await said(application, chat, ann, f"/policy {group.id} default")
    assert await application.journal.platforms.policies("telegram") == {}
    assert "/policy -1001234 always" in await said(application, chat, ann, "/policy nonsense")


async def test_nobody_else_can(server, application, ann, bob):
    """Not in private, not in a group, not anonymously, and not by sending a file."""
    chat, group = server.private(bob), server.group()
    for command in ("status", "documents", "reload", "remove guide.md", "policies", "policy -1 off"):
        assert "There is no command" in await said(application, chat, bob, f"/{command}")
        server.says(group, bob, f"/{command}")
        server.says(group, ann, f"/{command.replace('policy', 'policies')}")
    server.sends_document(chat, bob, "more.md", b"# More", caption="guide.md")
    await application.quiet()
    assert group.texts == []
    assert sorted(path.name for path in application.settings.knowledge.folder.iterdir()) == ["guide.md"]
    assert [question.text for question in application.engine.asked] == ["guide.md"]


async def test_forgetting_erases_what_somebody_has_asked(server, application, ann, bob):
    """Other people's questions and answers stay."""
    for person in (ann, bob):
        server.says(server.private(person), person, "how hot?")
        await application.answered(server.private(person))
    await application.quiet()
    references = [
        application.server.private(p).from_bot[0]["reply_markup"]["inline_keyboard"][0][0] for p in (ann, bob)
    ]
    assert "Erased: 1 question with its answer, 0 conversation turns, 0 pieces of feedback." in await said(
        application, server.private(ann), ann, "/forget me"
    )
    kept = [await application.journal.answers.stored("telegram", button["callback_data"][2:]) for button in references]
    assert [stored is not None for stored in kept] == [False, True]
