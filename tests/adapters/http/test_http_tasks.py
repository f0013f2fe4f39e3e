"""Tasks by HTTP: a text or a document in, the object of `task --json` out."""

import asyncio

import httpx
import pytest
from http_application import TLS, HttpApplication, until

from bot.core.settings import Settings
from bot.storage.sqlite.knowledge import SqliteKnowledge
from bot.tasks.runner import open_tasks


@pytest.fixture
async def application(async_encoder, tmp_path):
    knowledge = await SqliteKnowledge.open(tmp_path)
    async with open_tasks(Settings(), async_encoder, knowledge, lambda: None) as tasks:
        application = HttpApplication(tmp_path, limits={"author_questions": 2})
        application.tasks = tasks
        async with application:
            yield application
    await knowledge.close()


async def test_a_text_is_summarised(application):
    """In the documented form."""
    response = await application.client.post("/v1/tasks/summarise", json={"text": "The pump is loud."})
    assert response.status_code == 200
    assert response.json() == {
        "task": "summarise",
        "model": "",
        "text": "• The pump is loud.",
        "details": {"sentences": [{"text": "The pump is loud.", "place": "", "quoted": True}], "dropped": 0},
    }
    described = (await application.client.get("/openapi.json")).json()["paths"]["/v1/tasks/{name}"]["post"]
    assert described["responses"]["200"]["content"]["application/json"]["example"].keys() == response.json().keys()


@pytest.mark.parametrize(
    ("name", "body", "status", "told"),
    [
        ("sing", {"text": "x"}, 404, "there are summarise"),
        ("summarise", {}, 422, "either a text or the path"),
        ("summarise", {"document": "other.md"}, 404, "no such document"),
        ("translate", {"text": "x"}, 503, "models download"),
        ("summarise", {"text": "x" * 200_001}, 503, "too long"),
    ],
)
async def test_what_is_wrong_is_said(application, name, body, status, told):
    response = await application.client.post(f"/v1/tasks/{name}", json=body)
    assert (response.status_code, told in response.json()["detail"]) == (status, True)


async def test_one_person_may_do_as_many_as_they_may_ask(application):
    """As for questions."""
    for status in (200, 200, 429):
        response = await application.client.post(
            "/v1/tasks/summarise", json={"text": "The pump is loud.", "user": "ann"}
        )
        assert response.status_code == status


async def test_a_client_that_leaves_ends_its_task(application):
    """So that the next one has its turn."""
    async with application.tasks._one_at_a_time:
        client = httpx.AsyncClient(base_url=application.address, verify=TLS)
        asking = asyncio.create_task(client.post("/v1/tasks/summarise", json={"text": "The pump is loud."}))
        await until(lambda: application.tasks._running)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await client.aclose()
        await until(lambda: not application.tasks._running)
