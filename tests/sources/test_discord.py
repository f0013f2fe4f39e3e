"""Channels of Discord as a source: what the staff has marked, in the state of now, and nobody is named."""

import json
from datetime import UTC, datetime

import discord
import pytest

from bot.core.errors import SourceError
from bot.core.messages import Address, Outcome, Question
from bot.core.scopes import Scopes
from bot.core.settings import Settings
from bot.runtime.application import open_application
from bot.sources.fetching import Fetcher, describe_status, seconds_until_due
from tests.platforms.discord_server import TOKEN, DiscordServer

SOLVED = "✅"


@pytest.fixture
async def server(monkeypatch):
    async with DiscordServer.running() as server:
        monkeypatch.setattr(discord.http.Route, "BASE", server.api)
        yield server
        assert server.violations == []


class Help:
    """A server with a forum, its staff, and people who ask."""

    def __init__(self, server: DiscordServer) -> None:
        self.server = server
        self.guild = server.guild()
        self.forum = server.channel(self.guild, "help", 15)
        self.staff_role = server.role(self.guild, "Staff")
        self.max = server.member(self.guild, "Max", self.staff_role)
        self.anna = server.member(self.guild, "Anna")

    async def ask(self, title: str, text: str, answer: str, *, mark: bool = True, forum: str = "", tags=()) -> list:
        """A question of Anna with an answer of Max, marked by himself: both messages."""
        asked = await self.server.post(forum or self.forum, title, text, self.anna, tags=tags)
        answered = await self.server.say(asked["channel_id"], answer, self.max)
        if mark:
            self.server.react(answered, SOLVED, self.max)
        return [asked, answered]


@pytest.fixture
def place(server):
    return Help(server)


@pytest.fixture
def fetcher(place, tmp_path):
    """Makes a fetcher of the forum: `fetcher(accepted="")`."""

    def make(token: str = TOKEN, **settings) -> Fetcher:
        source = {"name": "wiki", "kind": "discord", "server": int(place.guild["id"]), "channels": [int(place.forum)]}
        source |= {"staff": ["Staff"], "accepted": SOLVED, "requests_per_second": 1000} | settings
        storage, platform = {"folder": tmp_path / "data"}, {"token": token}
        chosen = Settings(storage=storage, discord=platform, sources=[source])
        return Fetcher(chosen.sources[0], chosen)

    return make


@pytest.fixture
def pairs(texts):
    """The question and the answer of each file."""

    def read() -> dict[str, tuple[str, str]]:
        found = {path: json.loads(text) for path, text in texts().items()}
        return {path: (pair["question"], pair["answer"]) for path, pair in found.items()}

    return read


async def test_answers_that_the_staff_has_marked_are_read_and_nobody_is_named(server, place, fetcher, pairs, texts):
    """Whoever wrote them. Marks of others, and messages of bots, count for nothing."""
    max_, anna = place.max, place.anna
    asked = await server.post(
        place.forum, "How do I reset the pump?", "It hums. <@1> said: mail a@b.example.org or +49 30 1234567!", anna
    )
    thread = asked["channel_id"]
    await server.say(thread, "Hit it with a hammer!", server.member(place.guild, "Eve"))
    other = await server.say(thread, "I am a bot.", server.user("helper", bot=True))
    first = await server.say(thread, f"<@{anna['id']}>, hold the **red** button, see <#{place.forum}>.", max_)
    second = await server.say(thread, f"Then <@&{place.staff_role}> comes <t:0:R> <:wave:5>.", anna)
    wrong = await server.say(thread, "Buy a new one.", anna)
    for message, person in ((other, max_), (first, max_), (second, anna), (second, max_), (wrong, anna)):
        server.react(message, SOLVED, person)
    await place.ask("Unsolved", "What is it?", "No idea.", mark=False)
    await place.ask("Hello", "Hi!", "Hi!")
    fetched = await fetcher().fetch()
    question = "How do I reset the pump?\nIt hums. said: mail or !"
    answer = "hold the **red** button, see #help.\n\nThen @Staff comes 1970-01-01 00:00 UTC :wave:."
    assert pairs() == {"help/How do I reset the pump.jsonl": (question, answer)}
    manifest = json.loads((fetcher()._store.folder / ".manifest.json").read_text())
    address = f"https://discord.com/channels/{place.guild['id']}/{thread}"
    assert manifest["addresses"] == {"help/How do I reset the pump.jsonl": address}
    for name in ("Anna", "Max", anna["id"], max_["id"]):
        assert name not in "".join(texts().values())
    few, unmarked = fetched.notes
    assert unmarked.startswith("1 post left out (no answer that the staff has marked): https://discord.com/")
    assert "fewer than three words" in few


async def test_addresses_are_left_out_of_questions_and_versions_and_codes_are_not(place, fetcher, pairs):
    kept = "react@18.2.0 actions/checkout@v4.1.1 next@15.x.beta 00000000-0000-0000-0000-000000000046 0012345678 C++"
    kept += " 00123456-0000-1000-8000-00805f9b34fb 10.0.0.1 0010 20 30, 2024-01-02"
    left_out = "a@b.example.org x.y+z@163.com; +49 30 1234567, +493012345678 +49 (0) 30/12-34-56"
    left_out += " 0049 30 1234567 00 44 20 7946 0958"
    await place.ask("How do I pin versions?", f"{kept} {left_out}", "In the list.")
    await fetcher().fetch()
    [(question, _)] = pairs().values()
    assert question == f"How do I pin versions?\n{kept} ; ,"


async def test_a_tag_that_moderators_set_marks_posts_in_which_the_staff_answers(server, place, fetcher, pairs):
    """In a post of the staff, its title is the question. A tag that everybody can set is none without a reaction."""
    tag = server.tag(place.forum, "Solved")
    open_tag = server.tag(place.forum, "Done", moderated=False)
    await place.ask("How is it cleaned?", "The pump.", "With water.", mark=False, tags=(tag,))
    await place.ask("How is it oiled?", "The pump.", "With oil.", tags=(open_tag,))
    await server.post(place.forum, "Can the pump run dry?", "For one minute.", place.max, tags=(tag,))
    fetched = await fetcher(accepted="", tags=["solved"]).fetch()
    assert list(pairs().values()) == [
        ("Can the pump run dry?", "For one minute."),
        ("How is it cleaned?\nThe pump.", "With water."),
    ]
    assert "1 post left out (no tag of solved posts)" in fetched.notes[0]
    with pytest.raises(
        SourceError, match="everybody can set its tag Done: let only moderators set it, or set accepted"
    ):
        await fetcher(accepted="", tags=["Done"]).fetch()
    await fetcher(tags=["Done"]).fetch()
    assert list(pairs().values()) == [("How is it oiled?\nThe pump.", "With oil.")]


async def test_edits_deletions_and_lost_marks_are_taken_in(server, place, fetcher, pairs, tmp_path):
    """What stays the same is the same file, also where another post with its title was there before it."""
    posts = [await place.ask(f"How is part {n} kept?", "Please.", f"Answer {n}.") for n in (1, 2, 3, 4)]
    twin, _ = await place.ask("How is part 4 kept?", "Really.", "Answer 5.")
    await fetcher().fetch()
    kept = (tmp_path / "data/sources/wiki/help/How is part 1 kept.jsonl").stat()
    assert pairs()["help/How is part 4 kept (2).jsonl"] == ("How is part 4 kept?\nReally.", "Answer 5.")
    await server.edit(posts[1][1], "Another answer.")
    server.unreact(posts[2][1], SOLVED)
    await server.delete(posts[3][1])
    await server.remove_channel(twin["channel_id"])
    changes = (await fetcher().fetch()).changes
    assert (len(changes.changed), len(changes.removed)) == (1, 3)
    assert [answer for _, answer in pairs().values()] == ["Answer 1.", "Another answer."]
    assert (tmp_path / "data/sources/wiki/help/How is part 1 kept.jsonl").stat().st_ino == kept.st_ino
    for asked, _ in posts:
        await server.remove_channel(asked["channel_id"])
    await fetcher().fetch()
    assert pairs() == {}


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        ({"status": 403, "code": 50001}, "give it View Channel and Read Message History there"),
        ({"status": 503}, "HTTP 503"),
        ({"status": 429, "retry_after": 100.0}, "Discord wants the bot to wait for 100 seconds"),
    ],
)
async def test_a_channel_that_fails_keeps_what_it_had_and_the_others_are_renewed(
    server, place, fetcher, pairs, fault, problem
):
    """Also where it fails in the middle. When every channel fails, it is tried again soon."""
    faq = server.channel(place.guild, "faq", 15)
    for forum in (place.forum, faq):
        for title in ("How is it cleaned?", "How is it oiled?"):
            await place.ask(title, "Please.", "Old.", forum=forum)
    made = fetcher(channels=[int(place.forum), int(faq)])
    await made.fetch()
    for posts in list(server.messages.values()):
        await server.edit(posts[1], "New.")
    middle = next(thread for thread, data in server.channels.items() if data["parent_id"] == faq)
    server.fail("GET", f"/channels/{middle}/messages", **fault)
    fetched = await made.fetch()
    assert {path.split("/")[0]: answer for path, (_, answer) in pairs().items()} == {"help": "New.", "faq": "Old."}
    assert len(pairs()) == 4
    assert problem in fetched.problem and fetched.problem.startswith("#faq can't be read")
    status = await made.status()
    assert describe_status(status, status.tried).endswith(f"{problem}. 4 documents, fetched 0 seconds ago")
    assert seconds_until_due(made.source, status, status.tried) > 80_000
    for channel in (place.forum, faq):
        server.fail("GET", f"/channels/{channel}/threads/archived/public", **fault)
    with pytest.raises(SourceError, match="#help can't be read"):
        await made.fetch()
    assert len(pairs()) == 4
    status = await made.status()
    assert "What was fetched before is kept: 4 documents" in describe_status(status, status.tried)
    assert seconds_until_due(made.source, status, status.tried) == 900
    assert not (await made.fetch()).problem


@pytest.mark.parametrize("denied", [1 << 10, 1 << 16])
async def test_channels_that_not_everybody_sees_are_read_only_where_that_is_allowed(
    server, place, fetcher, pairs, denied
):
    """One that becomes so, or is deleted, takes its answers along. Without the history nobody sees an answer."""
    faq = server.channel(place.guild, "faq", 15)
    await place.ask("Where is the spare key?", "Please.", "Below the stone.")
    await place.ask("How is it oiled?", "Please.", "With oil.", forum=faq)
    channels = [int(place.forum), int(faq)]
    await fetcher(channels=channels).fetch()
    server.deny(place.forum, denied)
    fetched = await fetcher(channels=channels).fetch()
    assert [answer for _, answer in pairs().values()] == ["With oil."]
    assert fetched.problem == (
        "#help is not read, because not everybody on the server sees it and its history; private = true allows it"
    )
    await fetcher(channels=channels, private=True).fetch()
    assert len(pairs()) == 2
    await server.remove_channel(faq)
    fetched = await fetcher(channels=channels, private=True).fetch()
    assert [answer for _, answer in pairs().values()] == ["Below the stone."]
    assert fetched.problem == f"there is no channel or thread {faq} (any more); check the setting channels"


async def test_a_thread_whose_channel_becomes_private_goes_although_the_bot_is_refused(server, place, fetcher, pairs):
    """As long as its channel is seen by all, a refusal keeps what there was."""
    asked, _ = await place.ask("Where is the spare key?", "Please.", "Below the stone.")
    thread = asked["channel_id"]
    made = fetcher(channels=[int(thread)])
    await made.fetch()
    server.forbidden.add(thread)
    with pytest.raises(SourceError, match=f"the channel {thread} can't be read: the bot may not"):
        await made.fetch()
    assert len(pairs()) == 1
    server.deny(place.forum, 1 << 10)
    fetched = await made.fetch()
    assert pairs() == {}
    assert fetched.problem.startswith("#help is not read, because not everybody on the server sees it")


async def test_a_thread_whose_channel_is_gone_goes_although_the_bot_is_refused(server, place, fetcher, pairs):
    asked, _ = await place.ask("Where is the spare key?", "Please.", "Below the stone.")
    thread = asked["channel_id"]
    made = fetcher(channels=[int(thread)])
    await made.fetch()
    server.fail("GET", f"/channels/{thread}", status=403)
    await server.remove_channel(place.forum)
    fetched = await made.fetch()
    assert pairs() == {}
    assert fetched.problem.startswith(f"there is no channel or thread {thread} (any more)")


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"server": 1}, "the bot is on no server 1; check its setting server, or invite it"),
        ({"kind": "website", "url": "http://127.0.0.1:9/"}, "in a private network"),
    ],
)
async def test_what_is_of_another_server_goes_also_when_the_fetch_fails(place, fetcher, pairs, settings, problem):
    """Because what a server says stays there, and the files are called by the name of the source alone."""
    await place.ask("Where is the spare key?", "Please.", "Below the stone.")
    await fetcher().fetch()
    with pytest.raises(SourceError, match=problem):
        await fetcher(**settings).fetch()
    assert pairs() == {}
    status = await fetcher().status()
    assert describe_status(status, status.tried).startswith("never fetched: ")
    await fetcher().fetch()
    assert len(pairs()) == 1


async def test_threads_are_read_wherever_they_are_and_private_ones_never(server, place, fetcher, pairs, monkeypatch):
    """Archived ones page by page, those of a text channel, one by itself. The newest ones go first."""
    monkeypatch.setattr("bot.sources.discord_api._PAGE", 2)
    for number in range(5):
        asked, _ = await place.ask(f"How is part {number} kept?", "Please.", f"Answer {number}.")
        await server.archive(asked["channel_id"])
    text = server.channel(place.guild, "general")
    opened = await server.say(text, "It leaks.", place.anna)
    for kind, thread_id in ((11, opened["id"]), (12, server._id())):
        thread = await server._open_thread(text, thread_id, f"Who mends pump {kind}?", place.anna["id"], kind=kind)
        await server.say(thread["id"], "", place.anna, type=21, referenced_message=opened)
        answered = await server.say(thread["id"], "Max in Bremen.", place.max)
        for _ in range(3):
            server.react(answered, SOLVED, server.member(place.guild, "Eve"))
        server.react(answered, SOLVED, place.max)
    await fetcher(channels=[int(place.forum), int(text)]).fetch()
    found = pairs()
    assert found.pop("general/Who mends pump 11.jsonl") == ("Who mends pump 11?\nIt leaks.", "Max in Bremen.")
    assert sorted(answer for _, answer in found.values()) == [f"Answer {number}." for number in range(5)]
    fetched = await fetcher(pages=2).fetch()
    assert sorted(answer for _, answer in pairs().values()) == ["Answer 3.", "Answer 4."]
    assert "3 posts not read, because 2 are read at most" in fetched.notes[0]
    await fetcher(channels=[int(text), int(place.forum)], pages=2).fetch()
    assert len(pairs()) == 2
    await fetcher(channels=[int(opened["id"])]).fetch()
    assert list(pairs()) == ["general/Who mends pump 11.jsonl"]
    with pytest.raises(SourceError, match="there is no channel or thread"):
        await fetcher(channels=[int(thread["id"])], name="other").fetch()


async def test_a_thread_that_is_named_beside_its_channel_is_read_once(server, place, fetcher, pairs):
    """Also when the channel is read again, or the thread is, after the other one can't be."""
    asked, _ = await place.ask("How is it oiled?", "Please.", "With oil.")
    forum, thread = int(place.forum), int(asked["channel_id"])
    await fetcher(channels=[forum]).fetch()
    for channels in ([forum, thread], [thread, forum]):
        await fetcher(channels=channels).fetch()
        assert list(pairs()) == ["help/How is it oiled.jsonl"]
    server.fail("GET", f"/channels/{thread}", status=403)
    await fetcher(channels=[thread, forum]).fetch()
    assert list(pairs()) == ["help/How is it oiled.jsonl"]


async def test_what_is_wrong_as_a_whole_is_told_and_costs_nothing(server, place, fetcher, pairs):
    await place.ask("How is it oiled?", "Please.", "With oil.")
    await fetcher().fetch()
    server.role(place.guild, "Helper")
    server.role(place.guild, "Helper")
    for made, problem in (
        (fetcher(token=""), "discord.token is empty; set the token"),
        (fetcher(token="wrong"), "Discord refuses the token; check discord.token"),
        (fetcher(staff=["Crew"]), "Crew is no role of the staff; .* The server has: bot, Staff, Helper"),
        (fetcher(staff=["@everyone"]), "@everyone is no role of the staff"),
        (fetcher(staff=["Helper"]), r"several roles are called Helper; name one by its id: \d+, \d+"),
        (fetcher(tags=["Solved"]), "#help can't be read: it has no tag Solved; check the setting tags"),
    ):
        with pytest.raises(SourceError, match=problem):
            await made.fetch()
        assert len(pairs()) == 1
    server.content_allowed = False
    with pytest.raises(SourceError, match="no content of messages; turn the Message Content intent on"):
        await fetcher().fetch()
    assert len(pairs()) == 1
    server.content_allowed = True
    await fetcher(staff=[place.staff_role]).fetch()


async def test_a_message_without_content_stops_nothing(server, place, fetcher, pairs):
    """Without the intent none has content but those that mention the bot: then nothing is taken for deleted."""
    asked, _ = await place.ask("How is it oiled?", f"<@{server.me['id']}>?", "With oil.")
    asked["mentions"] = [server.me]
    await server.say(asked["channel_id"], "", place.anna, sticker_items=[{"id": "1", "name": "x", "format_type": 1}])
    empty = await server.say(asked["channel_id"], "x", place.anna)
    await server.edit(empty, "")
    await fetcher().fetch()
    assert [answer for _, answer in pairs().values()] == ["With oil."]
    server.content_allowed = False
    with pytest.raises(SourceError, match="turn the Message Content intent on"):
        await fetcher().fetch()
    assert len(pairs()) == 1


async def test_nothing_is_found_where_nothing_is_marked(place, fetcher):
    await place.ask("How is it oiled?", "Please.", "With oil.", mark=False)
    with pytest.raises(SourceError, match="no post has an answer that the staff has marked; 1 post left out"):
        await fetcher().fetch()


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({}, "needs the ids of a Discord server and of channels on it .*: server, channels"),
        ({"server": 1, "channels": [2]}, "needs the roles of those whose marks and replies count: staff"),
        ({"server": 1, "channels": [2], "staff": ["x"]}, "or the tags of solved posts: accepted, tags"),
    ],
)
def test_settings_that_are_missing_are_told(settings, problem):
    with pytest.raises(ValueError, match=problem):
        Settings(sources=[{"name": "wiki", "kind": "discord"} | settings])


async def test_what_a_server_says_is_answered_with_its_address_and_stays_there(
    server, place, settings, models, folder_of
):
    """Without a scope; with one, where that says."""
    folder_of({"guide.md": "# Guide\n\n## Kettles\n\nKettles are descaled every week with vinegar.\n"})
    asked, _ = await place.ask(
        "Where is the spare key of the boathouse?", "I can't find it.", "The spare key lies below the blue stone."
    )
    number = int(place.guild["id"])
    source = {"name": "help", "kind": "discord", "server": number, "channels": [int(place.forum)], "staff": ["Staff"]}
    source |= {"accepted": SOLVED, "requests_per_second": 1000}
    chosen = Settings(discord={"token": TOKEN}, sources=[source])
    settings = settings.model_copy(update={"discord": chosen.discord, "sources": chosen.sources})
    await Fetcher(settings.sources[0], settings).fetch()
    async with open_application(settings, models) as application:
        await application.indexer.index_folder(settings.knowledge.folder)

        async def answer(address: Address):
            text = "Where is the spare key of the boathouse?"
            question = Question(text, str(address), "a", address, datetime.now(UTC))
            return await application.answering.engine.answer(question)

        there = await answer(Address("discord", "5", "1", {"server": number}))
        assert there.outcome is Outcome.ANSWERED
        assert "below the blue stone" in there.text
        address = f"https://discord.com/channels/{number}/{asked['channel_id']}"
        assert (there.citations[0].document, there.citations[0].url) == (
            "help:help/Where is the spare key of the boathouse.jsonl",
            address,
        )
        for elsewhere in (Address("discord", "5", "1", {"server": 1}), Address("http", "5", "1")):
            assert "stone" not in json.dumps((await answer(elsewhere)).to_json())
    opened = Settings(sources=[source | {"scope": ["http"]}]).sources
    assert "help" not in Scopes(opened).hidden_from(Address("http", "x", ""))
