"""Scopes of sources: from outside of its scope, nothing of a source can be reached, by whatever way."""

import itertools
import json
from datetime import UTC, datetime

import pytest

from bot.commands.common import best_passages
from bot.core.errors import DocumentError
from bot.core.messages import Address, Outcome, Question
from bot.core.scopes import Scopes
from bot.core.settings import Settings
from bot.questions.administration import Administration
from bot.runtime.application import administration_of, open_application
from bot.sources.fetching import Fetcher
from tests.knowledge.formats.exports.export_writers import zipped

HERE = Address("discord", "55", "1", {"server": 7})
ELSEWHERE = [
    Address("discord", "66", "1", {"server": 8}),
    Address("discord", "7", "1", {"server": 8}),  # a channel with the number of the server
    Address("discord", "99", "1", {"server": None}),  # a direct message
    Address("telegram", "7", "1"),
    Address("http", "7", "1"),
    Address("somewhere-new", "7", "1"),
]
HANDBOOK = (
    "# Vault\n\nThe vault code is kept by Magdalena Quist in the boathouse.\n\n"
    "## More\n\nThe spare key is in the boathouse too.\n"
)
_NUMBERS = itertools.count()


@pytest.fixture
async def application(settings, models, folder_of, tmp_path):
    """With a handbook of one server, and a document for all."""
    folder_of({"guide.md": "# Guide\n\n## Kettles\n\nKettles are descaled every week with vinegar.\n"})
    (tmp_path / "handbook.zip").write_bytes(zipped({"Vault " + "a" * 32 + ".md": HANDBOOK}))
    source = {
        "name": "handbook",
        "kind": "notion",
        "file": str(tmp_path / "handbook.zip"),
        "scope": ["discord:7", "telegram:-100"],
    }
    settings = settings.model_copy(update={"sources": Settings(sources=[source]).sources})
    await Fetcher(settings.sources[0], settings).fetch()
    async with open_application(settings, models) as application:
        await application.indexer.index_folder(settings.knowledge.folder)
        yield application


@pytest.fixture
def administration(application) -> Administration:
    return administration_of(application)


def question(text: str, address: Address, conversation: str = "", replied_to: str | None = None) -> Question:
    number = next(_NUMBERS)
    conversation = conversation or f"conversation {number}"
    return Question(text, conversation, "a", address, datetime.now(UTC), replied_to=replied_to)


VAULT = "Who keeps the vault code in the boathouse?"


def told(answer) -> str:
    """Everything that an answer can show, with its buttons for more and for its sources."""
    return json.dumps(answer.to_json()).lower()


async def test_a_question_from_the_place_is_answered(application):
    engine = application.answering.engine
    answer = await engine.answer(question(VAULT, HERE))
    assert answer.outcome is Outcome.ANSWERED
    assert "Magdalena Quist" in answer.text
    assert answer.citations[0].document == "handbook:Vault.md"
    for address in (
        Address("telegram", "-100", "1"),
        Address("terminal", "terminal", "1"),
        Address("command", "x", "1"),
    ):
        assert "Magdalena Quist" in (await engine.answer(question(VAULT, address))).text


@pytest.mark.parametrize("address", ELSEWHERE, ids=str)
async def test_nothing_of_it_is_told_elsewhere(application, address):
    """Neither in an answer, a suggestion, a hint, the documents that were found, nor in the list of titles."""
    engine = application.answering.engine
    for text in (VAULT, "Magdalena Quist?", "the spare key", "How are kettles descaled, and who keeps the vault code?"):
        answer = told(await engine.answer(question(text, address)))
        for secret in ("quist", "vault.md", "boathouse too", "handbook"):
            assert secret not in answer
        considered = await engine.consider(question(text, address), forced=True)
        assert considered.forced is None or "quist" not in told(considered.forced)
        assert all("handbook" not in one.hit.found.document for one in considered.candidates)
    for text in ("What can I ask you?", "What documents do you have?"):
        listed = told(await engine.answer(question(text, address)))
        assert "guide" in listed
        assert "vault" not in listed
    assert "vinegar" in (await engine.answer(question("With what are kettles descaled?", address))).text


async def test_follow_ups_do_not_carry_it_elsewhere(application):
    """Neither a turn that was answered in the place, nor a message from there that is replied to."""
    engine = application.answering.engine
    assert "Quist" in (await engine.answer(question(VAULT, HERE, "shared"))).text
    follow_up = await engine.answer(question("And where is the spare key?", ELSEWHERE[0], "shared"))
    assert "boathouse too" not in told(follow_up)
    replied = await engine.answer(question("And where is the spare key?", ELSEWHERE[0], replied_to=VAULT))
    assert "boathouse too" not in told(replied)


async def test_titles_are_listed_in_the_place_only(application):
    engine = application.answering.engine
    assert "Vault" in (await engine.answer(question("What can I ask you?", HERE))).text


async def test_explanations_are_those_of_the_place(administration):
    """So an operator sees what people get there; at this machine, everything is explained."""
    for address in ELSEWHERE:
        lines = "\n".join((await administration.explain(VAULT, address)).lines()).lower()
        assert "quist" not in lines
        assert "vault.md" not in lines
    assert "Vault.md" in "\n".join((await administration.explain(VAULT, HERE)).lines())
    assert "Vault.md" in "\n".join((await administration.explain(VAULT)).lines())


async def test_tasks_read_it_in_the_place_only(application):
    """Elsewhere, its path is that of no document."""
    assert "Quist" in (await application.tasks.document("handbook:Vault.md", "", HERE)).text
    for address in ELSEWHERE:
        with pytest.raises(DocumentError) as refused:
            await application.tasks.document("handbook:Vault.md", "", address)
        with pytest.raises(DocumentError) as missing:
            await application.tasks.document("handbook:None.md", "", address)
        assert str(refused.value) == str(missing.value).replace("None", "Vault")


@pytest.mark.parametrize("after", [{"name": "vaults"}, None])
async def test_a_source_that_was_renamed_or_removed_is_hidden_before_the_next_indexing(application, models, after):
    """The index still has it by its old name, of which the settings know no scope."""
    kept = application.settings.sources[0]
    sources = [kept.model_copy(update=after)] if after else []
    settings = application.settings.model_copy(update={"sources": tuple(sources)})
    async with open_application(settings, models) as changed:
        for address in (HERE, *ELSEWHERE):
            for text in (VAULT, "What can I ask you?"):
                answer = told(await changed.answering.engine.answer(question(text, address)))
                assert "quist" not in answer
                assert "vault.md" not in answer
        assert "guide" in told(await changed.answering.engine.answer(question("What can I ask you?", HERE)))


async def test_a_file_whose_name_looks_like_that_of_a_source_is_read_as_one_of_the_folder(application, folder_of):
    """Everywhere, also where a source has the name that it begins with."""
    folder_of({"handbook: bells.md": "# Bells\n\nThe bell of the tower weighs two tons.\n"})
    await application.indexer.index_folder(application.settings.knowledge.folder)
    for address in (HERE, *ELSEWHERE):
        answer = await application.answering.engine.answer(question("How much does the bell weigh?", address))
        assert answer.citations[0].document == "./handbook: bells.md"


async def test_a_search_by_words_and_by_meaning_finds_as_many_others(application):
    """Hidden passages take no place among the best, and a search without them is as one over an index without them."""
    hidden = Scopes(application.settings.sources).hidden_from(ELSEWHERE[0])
    assert "handbook" in hidden
    assert "" not in hidden
    everything = [hit.found.document for hit, _ in await best_passages(application, VAULT, 5)]
    assert everything[0] == "handbook:Vault.md"
    [(only, _)] = await best_passages(application, VAULT, 1, hidden=hidden)
    assert only.found.document == "guide.md"
    store, encoder = application.stores.knowledge, application.inference.encoder.identity
    assert "Vault" in await store.titles()
    await store.change(encoder, [], ["guide.md"], [])
    assert await best_passages(application, VAULT, 5, hidden=hidden) == []


def test_a_scope_is_a_platform_a_server_or_a_chat():
    """Anything else is told, so that no mistake opens a source, or hides it from where it should answer."""
    source = {"name": "a", "url": "https://example.org/"}
    scopes = Scopes(Settings(sources=[source | {"scope": ["http", "telegram"]}]).sources)
    assert "a" not in scopes.hidden_from(Address("http", "x", ""))
    assert "a" not in scopes.hidden_from(Address("telegram", "5", ""))
    assert "a" in scopes.hidden_from(Address("discord", "5", ""))
    for wrong in ("slack", "discord:general", "discord:", "telegram:@name", "", "Discord", "http:key"):
        with pytest.raises(ValueError, match="scope"):
            Settings(sources=[source | {"scope": [wrong]}])
