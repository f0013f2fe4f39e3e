"""The real OpenAI client, over a real socket."""

import asyncio
from collections.abc import AsyncIterator

import openai
import pytest
from http_application import HttpApplication, until

from bot.core.errors import IndexUnavailable
from bot.core.messages import Turn

ANSWER = "re: how hot?\nsecond line\n\n— Guide › Water (guide.md, lines 3-4) https://example.org/guide.md"


@pytest.fixture(autouse=True)
def loop_is_never_blocked() -> None:
    """Not looked at here: the client shares the loop, and computes for as long as it likes."""


@pytest.fixture
async def client(application: HttpApplication) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{application.address}/v1", api_key="none", max_retries=0) as client:
        yield client


async def test_the_models_are_listed(client):
    """There is one: the bot."""
    [model] = (await client.models.list()).data
    assert (model.id, model.object) == ("knowledge-bot", "model")
    assert (await client.models.retrieve("knowledge-bot")).id == model.id
    with pytest.raises(openai.NotFoundError):
        await client.models.retrieve("gpt-4o")


async def test_a_completion_is_the_answer_with_its_source(client):
    """And with the whole answer for those who want more than text."""
    completion = await client.chat.completions.create(
        model="knowledge-bot", messages=[{"role": "user", "content": "how hot?"}], temperature=0.3, max_tokens=5
    )
    [choice] = completion.choices
    assert (choice.message.role, choice.message.content, choice.finish_reason) == ("assistant", ANSWER, "stop")
    usage = completion.usage
    assert (usage.prompt_tokens, usage.completion_tokens) == (2, len(ANSWER.split()))
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert completion.model_extra["knowledge_bot"]["citations"][0]["document"] == "guide.md"


async def test_a_suggestion_is_shown_with_its_source(client):
    """As an answer is; a program sees by the outcome that it is none."""
    completion = await client.chat.completions.create(
        model="knowledge-bot", messages=[{"role": "user", "content": "unsure"}]
    )
    [choice] = completion.choices
    assert choice.message.content == f"I'm not sure this is it:\n\n{ANSWER.replace('how hot?', 'unsure')}"
    assert completion.model_extra["knowledge_bot"]["outcome"] == "suggested"
    assert completion.model_extra["knowledge_bot"]["more"] == "third line"


async def test_a_stream_brings_the_same_text_in_pieces(client):
    """With the usage at its end where that is asked for."""
    stream = await client.chat.completions.create(
        model="knowledge-bot",
        messages=[{"role": "user", "content": [{"type": "text", "text": "how hot?"}]}],
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == ANSWER
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].usage.completion_tokens == len(ANSWER.split())
    assert len({chunk.id for chunk in chunks}) == 1


async def test_the_streaming_helper_of_the_client_understands_it(client):
    """It checks the order of what comes."""
    async with client.chat.completions.stream(
        model="knowledge-bot", messages=[{"role": "user", "content": "how hot?"}]
    ) as stream:
        completion = await stream.get_final_completion()
    assert completion.choices[0].message.content == ANSWER


async def test_earlier_messages_are_the_conversation(application, client):
    """The user's messages with their answers, without those of the system; nothing is remembered."""
    await client.chat.completions.create(
        model="knowledge-bot",
        messages=[
            {"role": "system", "content": "You are a pirate."},
            {"role": "user", "content": "how hot is the water?"},
            {"role": "assistant", "content": "92 degrees."},
            {"role": "user", "content": "and how soft?"},
        ],
        user="ann",
    )
    [question] = application.engine.asked
    assert question.text == "and how soft?"
    assert question.earlier == (Turn("how hot is the water?", "92 degrees."),)
    assert question.author == "ann"


async def test_a_key_of_the_client_is_honoured(application, client):
    """Sent again, it asks nothing."""
    for _ in range(2):
        await client.chat.completions.create(
            model="knowledge-bot",
            messages=[{"role": "user", "content": "once"}],
            extra_headers={"Idempotency-Key": "k1"},
        )
    assert len(application.engine.asked) == 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"messages": [{"role": "assistant", "content": "hello"}]}, "role user"),
        ({"messages": [{"role": "user", "content": ""}]}, "role user"),
        ({"messages": []}, "messages"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
            "role user",
        ),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "text", "text": "q"}, {"type": "image_url", "image_url": {"url": "x"}}],
                    }
                ]
            },
            "Only text",
        ),
        ({"n": 2}, "n must be 1"),
        ({"tool_choice": "required"}, "calls no tools"),
        ({"response_format": {"type": "json_object"}}, "/v1/answers"),
    ],
)
async def test_what_the_bot_cannot_do_is_said_in_the_form_of_the_client(client, change, told):
    """As the client's own kind of error."""
    request = {"model": "knowledge-bot", "messages": [{"role": "user", "content": "q"}]} | change
    with pytest.raises(openai.APIStatusError, match=told) as error:
        await client.chat.completions.create(**request)
    assert error.value.status_code in (400, 422)
    assert error.value.type == "invalid_request_error"


async def test_another_model_is_not_found(client):
    """The one that there is, is named."""
    with pytest.raises(openai.NotFoundError, match="ask the model knowledge-bot") as error:
        await client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "q"}])
    assert error.value.code == "model_not_found"


async def test_a_failure_is_an_error_in_both_forms(application, client):
    """Also where the stream has begun."""
    application.engine.errors["q"] = IndexUnavailable("There is no index yet.")
    request = {"model": "knowledge-bot", "messages": [{"role": "user", "content": "q"}]}
    with pytest.raises(openai.InternalServerError, match="no index yet"):
        await client.chat.completions.create(**request)
    stream = await client.chat.completions.create(**request, stream=True)
    with pytest.raises(openai.APIError, match="no index yet"):
        [chunk async for chunk in stream]


async def test_a_stream_that_is_closed_stops_its_question(application, client):
    """As a person does who presses stop."""
    application.engine.may_answer.clear()
    stream = await client.chat.completions.create(
        model="knowledge-bot", messages=[{"role": "user", "content": "never mind"}], stream=True
    )
    await until(lambda: application.engine.asked)
    await stream.close()
    await until(lambda: application.engine.cancelled == ["never mind"])


async def test_many_clients_at_once_get_each_their_own_answer(application, client):
    """None is mixed up."""

    async def ask(number: int) -> str:
        completion = await client.chat.completions.create(
            model="knowledge-bot", messages=[{"role": "user", "content": f"question {number}"}]
        )
        return completion.choices[0].message.content

    answers = await asyncio.gather(*map(ask, range(50)))
    assert [answer.split("\n")[0] for answer in answers] == [f"re: question {number}" for number in range(50)]
