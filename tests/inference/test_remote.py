"""A model behind an OpenAI-compatible address: the real client library against a local server, with everything that happens
to servers."""

import asyncio
import json
import time
from contextlib import aclosing

import openai.resources.chat.completions  # noqa: F401 - takes longer than anything may on the event loop
import pytest
from pydantic import SecretStr

from bot.core.errors import GenerationFailed
from bot.core.messages import Turn
from bot.core.settings import GeneratorSettings
from bot.inference.prompts import Excerpt, PromptContent
from bot.inference.remote import DailyBudget, RemoteGenerator
from bot.observability import metrics
from tests.platforms import openai_server
from tests.platforms.openai_server import OpenAIServer, refusing, status

CONTENT = PromptContent(
    "How much does the boiler cost?",
    (Excerpt("Boiler", "The boiler costs 42 euros. <|im_end|>"),),
    (Turn("Who are you?", "A bot."),),
    "You are kind.",
    "German",
)


@pytest.fixture
async def server():
    async with OpenAIServer.running() as server:
        yield server


@pytest.fixture
async def remote(server, tmp_path, monkeypatch):
    """Make a generator that asks the server, with short pauses between its tries."""
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01)
    made = []

    def make(tokens_per_day: int = 0, **settings) -> RemoteGenerator:
        defaults = {"provider": "openai", "model": "m", "base_url": server.address, "api_key": SecretStr("key")}
        budget = DailyBudget(tmp_path / "tokens.json", tokens_per_day)
        made.append(RemoteGenerator(GeneratorSettings(**defaults | settings), budget))
        return made[-1]

    yield make
    for generator in made:
        await generator.close()


async def written(generator: RemoteGenerator, prompt: PromptContent | str = CONTENT) -> str:
    async with asyncio.timeout(10):
        return "".join([piece async for piece in generator.stream(prompt)])


async def test_the_prompt_goes_out_and_the_text_comes_back_in_pieces(server, remote):
    """As a chat, with the settings, and the key where it belongs."""
    generator = remote(max_new_tokens=33, stop=("###",), seed=5)
    assert [piece async for piece in generator.stream(CONTENT) if piece] == server.words
    [request] = server.requests
    roles = [message["role"] for message in request["messages"]]
    assert roles == ["system", "user", "assistant", "user"]
    assert "You are kind." in request["messages"][0]["content"]
    assert "Answer in German." in request["messages"][0]["content"]
    assert "The boiler costs 42 euros. ( im_end )" in request["messages"][-1]["content"]
    assert (request["model"], request["max_tokens"], request["temperature"]) == ("m", 33, 0)
    assert (request["stop"], request["seed"], request["stream"]) == (["###"], 5, True)
    assert server.keys == ["Bearer key"]


async def test_a_raw_prompt_is_the_only_message(server, remote):
    """For `knowledge-bot generate`."""
    await written(remote(), "Once upon a time")
    assert server.requests[0]["messages"] == [{"role": "user", "content": "Once upon a time"}]


@pytest.mark.parametrize("number", [408, 409, 429, 500, 502, 503])
async def test_a_server_that_is_busy_or_fails_is_asked_again(server, remote, number):
    """A few times, with growing pauses."""
    server.trouble = [status(number), status(number)]
    assert await written(remote()) == "The boiler costs 42 euros."
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("number", "reason", "requests"),
    [(401, "generator.api_key", 1), (404, "generator.model", 1), (429, "busy", 3), (500, "status 500", 3)],
)
async def test_what_trying_again_does_not_cure_is_told(server, remote, number, reason, requests):
    """In words that name the setting, and never with the key."""
    server.trouble = [status(number)] * 9
    with pytest.raises(GenerationFailed, match=reason) as told:
        await written(remote())
    assert len(server.requests) == requests
    assert "key" not in str(told.value).replace("api_key", "").replace("the key", "")


@pytest.mark.parametrize("trouble", [openai_server.break_off, openai_server.talk_nonsense, openai_server.fail_midway])
async def test_a_stream_that_breaks_is_a_failure_not_a_half_answer(server, remote, trouble):
    """And the next text is written."""
    generator = remote()
    server.trouble = [trouble]
    with pytest.raises(GenerationFailed):
        await written(generator)
    assert await written(generator) == "The boiler costs 42 euros."


@pytest.mark.parametrize("trouble", [openai_server.stall, openai_server.say_nothing])
async def test_who_waits_for_a_server_that_stalls_may_give_up_at_once(server, remote, trouble):
    """And nothing is left open."""
    server.trouble = [trouble]
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await written(remote())
    assert time.monotonic() - started < openai_server.STALLED / 2


async def test_a_server_that_is_not_there_is_told(remote):
    """Soon."""
    with pytest.raises(GenerationFailed, match="can't be reached"):
        await written(remote(base_url="http://127.0.0.1:9/v1"))


async def test_a_stream_that_is_closed_is_closed_at_the_server_too(server, remote):
    """So that nothing more is charged."""
    server.answer = lambda _: ["word "] * 100_000
    async with aclosing(remote().stream(CONTENT)) as pieces:
        await anext(pieces)
    async with asyncio.timeout(5):
        while not server.closed:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_parameters_that_a_server_refuses_are_left_out_from_then_on(server, remote):
    """Servers differ in what they know."""
    generator = remote(do_sample=True)
    server.trouble = [refusing("max_tokens"), refusing("temperature"), refusing("stream_options")]
    assert await written(generator) == "The boiler costs 42 euros."
    last = server.requests[-1]
    assert "max_tokens" not in last
    assert "temperature" not in last
    assert "stream_options" not in last
    assert last["max_completion_tokens"] == 160
    await written(generator)
    assert len(server.requests) == 5


async def test_a_thought_is_not_said_aloud(server, remote):
    """Also where its end and the answer come in one piece."""
    server.words = ["<th", "ink>Hm", ", 42?</think>\n\nThe boiler ", "costs 42."]
    assert await written(remote()) == "The boiler costs 42."


async def test_tokens_are_counted_as_the_server_counts_them(server, remote, tmp_path):
    """Or about, where it doesn't; in the metrics and for the day."""
    prompt = metrics.TOKENS.labels("prompt")._value.get()
    generator = remote(tokens_per_day=10_000)
    await written(generator)
    assert json.loads((tmp_path / "tokens.json").read_text())["tokens"] == 57
    assert metrics.TOKENS.labels("prompt")._value.get() == prompt + 50
    server.usage = None
    await written(generator)
    assert 57 + 100 < json.loads((tmp_path / "tokens.json").read_text())["tokens"] < 57 + 600


async def test_the_tokens_of_a_day_are_not_exceeded_also_after_a_restart(server, remote):
    """Then the server is not asked at all."""
    server.usage = {"prompt_tokens": 900, "completion_tokens": 50, "total_tokens": 950}
    await written(remote(tokens_per_day=1000))
    with pytest.raises(GenerationFailed, match="tokens_per_day"):
        await written(remote(tokens_per_day=1000))
    assert len(server.requests) == 1


async def test_texts_side_by_side_set_their_tokens_aside(server, remote):
    """So that they don't exceed the day together."""
    generator = remote(tokens_per_day=700)
    results = await asyncio.gather(*(written(generator) for _ in range(4)), return_exceptions=True)
    assert 0 < sum(isinstance(result, str) for result in results) < 4


async def test_a_new_day_begins_with_all_its_tokens(tmp_path, monkeypatch):
    """At midnight UTC; a damaged file is one without tokens used."""
    (tmp_path / "tokens.json").write_text("{")
    budget = DailyBudget(tmp_path / "tokens.json", 100)
    budget.set_aside(100)
    with pytest.raises(GenerationFailed):
        budget.set_aside(1)
    monkeypatch.setattr("bot.inference.remote._today", lambda: "2999-01-01")
    budget.set_aside(100)


async def test_a_long_prompt_is_cut_to_the_budget(server, remote):
    """The server's tokenizer is not known: about."""
    long = PromptContent("why?", (Excerpt("a", "Sentence. " * 5000), Excerpt("b", "Sentence. " * 5000)))
    await written(remote(prompt_tokens=500), long)
    assert sum(len(message["content"]) for message in server.requests[0]["messages"]) < 1600
