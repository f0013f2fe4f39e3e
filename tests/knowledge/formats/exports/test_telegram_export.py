"""Exports of Telegram chats: what the staff has answered, and nobody is named."""

import json

import pytest

from bot.core.errors import SourceError
from tests.knowledge.formats.exports.export_writers import message, telegram, zipped
from tests.knowledge.formats.exports.exporting import STAFF

CHAT = [
    message(1, "user1", "") | {"type": "service", "actor": "Anna", "action": "create_group", "title": "Pump Support"},
    message(5, STAFF, "") | {"type": "service", "actor": "Max", "action": "topic_created", "title": "Billing"},
    message(10, "user1", "How do I reset the pump?"),
    message(11, "user2", "Hit it with a hammer!", reply_to_message_id=10),
    message(
        12,
        STAFF,
        [
            {"type": "mention_name", "text": "Anna Miller", "user_id": 1},
            ", hold the ",
            {"type": "bold", "text": "red"},
            " button. See ",
            {"type": "text_link", "text": "the manual", "href": "https://example.org/m"},
            " or ask ",
            {"type": "mention", "text": "@pump_bot"},
            ".",
        ],
        reply_to_message_id=10,
        reactions=[{"type": "emoji", "count": 1, "emoji": "✅", "recent": [{"from": "Max", "from_id": STAFF}]}],
    ),
    message(13, "user1", "And on Sundays?", reply_to_message_id=12),
    message(14, STAFF, "No.", reply_to_message_id=13),
    message(15, "user1", "Thanks!"),
    message(16, STAFF, "You're welcome.", reply_to_message_id=15),
    message(
        20,
        "user3",
        ["Who sends the bill for ", {"type": "phone", "text": "+49 30 123456"}, " please?"],
        reply_to_message_id=5,
    ),
    message(21, STAFF, "The office in Bremen does.", reply_to_message_id=20),
    message(30, "user4", "Can the pump run dry?"),
    message(
        31,
        "user2",
        "It can for one minute.",
        reply_to_message_id=30,
        reactions=[
            {"type": "emoji", "count": 2, "emoji": "✅", "recent": [{"from": "Max", "from_id": STAFF}]},
            {"type": "emoji", "count": 1, "emoji": "👍", "recent": [{"from": "Eve", "from_id": "user9"}]},
        ],
    ),
    message(
        32,
        "user9",
        "Of course, always.",
        reply_to_message_id=30,
        reactions=[{"type": "emoji", "count": 1, "emoji": "✅", "recent": [{"from": "Eve", "from_id": "user9"}]}],
    ),
]


def pairs(texts) -> dict[str, list[tuple[str, str]]]:
    return {
        path: [(pair["question"], pair["answer"]) for pair in map(json.loads, text.splitlines())]
        for path, text in texts().items()
    }


async def test_replies_of_the_staff_answer_questions_and_nobody_is_named(fetcher, texts):
    """By topic. Follow-ups and thanks are left out, and told."""
    fetched = await fetcher("telegram", {"result.json": telegram(CHAT)}, staff=[STAFF]).fetch()
    assert pairs(texts) == {
        "Pump Support.jsonl": [
            (
                "How do I reset the pump?",
                "hold the red button. See the manual (https://example.org/m) or ask @pump_bot.",
            )
        ],
        "Pump Support/Billing.jsonl": [("Who sends the bill for please?", "The office in Bremen does.")],
    }
    everything = "".join(texts().values())
    for name in ("Anna", "Max", "user1", "hammer", "123456"):
        assert name not in everything
    notes = " ".join(fetched.notes)
    assert "1 file not read (an answer to a reply): Pump Support, message 14" in notes
    assert "an answer to fewer than three words" in notes


async def test_with_a_reaction_only_what_the_staff_has_marked_is_read(fetcher, texts):
    """Whoever has written it. The mark of anybody else counts for nothing."""
    await fetcher("telegram", zipped({"ChatExport/result.json": telegram(CHAT)}), staff=[STAFF], accepted="✅").fetch()
    [found] = pairs(texts).values()
    assert [answer for _, answer in found] == [
        "hold the red button. See the manual (https://example.org/m) or ask @pump_bot.",
        "It can for one minute.",
    ]


async def test_private_chats_of_a_whole_export_are_never_read(fetcher, texts):
    """And a control character as Telegram Desktop writes it does no harm."""
    asked = [
        message(1, "user1", "Where is the spare key?"),
        message(2, STAFF, "Below the stone.", reply_to_message_id=1),
    ]
    public = json.loads(telegram(CHAT[:5]))
    private = json.loads(telegram(asked, type="personal_chat", name="Anna"))
    everything = json.dumps({"about": "x", "chats": {"about": "y", "list": [private, public]}})
    everything = everything.replace("hold the ", r"hold\x1B the \\x1B ")
    fetched = await fetcher("telegram", zipped({"result.json": everything}), staff=[STAFF]).fetch()
    assert "stone" not in "".join(texts().values())
    assert list(texts()) == ["Pump Support.jsonl"]
    assert r"the \\x1B" in texts()["Pump Support.jsonl"]
    assert "(a private chat): one of them" in " ".join(fetched.notes)
    alone = fetcher("telegram", zipped({"result.json": telegram(asked, type="personal_chat")}), staff=[STAFF])
    with pytest.raises(SourceError, match="check the settings staff and accepted"):
        await alone.fetch()
