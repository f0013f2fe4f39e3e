"""The chat for browsers: the page's and the widget's routes, over real sockets; who may use them, and what they show."""

import json

import httpx
import pytest
from http_application import CITATION, TOKEN, HttpApplication

from bot.adapters.http.quoting import Quoted, in_place
from bot.core.documents import Block, Form, Passage
from bot.core.settings import HttpSettings

ANN, BEN, TALK = "a" * 32, "b" * 32, "c" * 32
ELSEWHERE = "https://www.example.org"


async def post(application: HttpApplication, path: str, origin: str = "", **body: object) -> httpx.Response:
    headers = {"Origin": origin or application.address}
    return await application.client.post(path, json={"visitor": ANN} | body, headers=headers)


async def ask(application: HttpApplication, question: str, site: str = "/ask", **more: str) -> dict[str, object]:
    """The answer, behind at least one sign of progress."""
    told = await post(application, f"{site}/questions", question=question, conversation=TALK, **more)
    assert told.headers["content-type"].startswith("text/event-stream"), told.text
    events = [dict(line.split(": ", 1) for line in event.splitlines()) for event in told.text.split("\n\n") if event]
    assert events[0]["event"] == "progress"
    assert json.loads(events[0]["data"])["text"].endswith("…")
    return json.loads(events[-1]["data"])


# --- the page ---------------------------------------------------------------------------------------------------------


async def test_the_start_leads_to_the_page_which_loads_nothing_from_elsewhere(application):
    response = await application.client.get("/", follow_redirects=True)
    assert (response.status_code, response.url.path) == (200, "/ask/")
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert "://" not in response.text
    for file in ("chat.js", "page.js", "chat.css"):
        response = await application.client.get(f"/ask/{file}")
        assert (response.status_code, "innerHTML" in response.text) == (200, False)
    for outside in ("ask.html", "..%2fchat.py", "%2e%2e/chat.py", "no.js"):
        assert (await application.client.get(f"/ask/{outside}")).status_code == 404


async def test_a_question_goes_the_normal_way(application):
    """With the author and the conversation that the browser has named, through the journal."""
    answer = await ask(application, "how hot?")
    assert (answer["outcome"], answer["nodes"]) == (
        "answered",
        [{"tag": "p", "children": ["re: how hot?", " ", "second line"]}],
    )
    assert answer["more"] == [{"tag": "p", "children": ["third line"]}]
    assert answer["sources"] == [{"text": "Guide › Water (guide.md, lines 3-4)", "url": "https://example.org/guide.md"}]
    await ask(application, "unsure")
    first, second = application.engine.asked
    assert (first.author, first.conversation) == (f"page:{ANN}", second.conversation)
    assert (await ask(application, "unknown"))["sources"] == []
    other = await post(application, "/ask/questions", question="q", conversation="d" * 32)
    assert other.status_code == 200
    assert application.engine.asked[-1].conversation != first.conversation


async def test_a_rating_is_kept_like_those_of_the_platforms(application):
    answer = await ask(application, "unsure")
    for helpful in (True, False):
        response = await post(application, "/ask/ratings", reference=answer["reference"], helpful=helpful)
        assert response.status_code == 204
    [kept] = await application.journal.answers.feedback(9)
    assert (kept.platform, kept.author, kept.helpful) == ("http", f"page:{ANN}", False)
    assert [one.question.text for one in await application.journal.answers.declined(9)] == ["unsure"]


async def test_only_who_got_an_answer_rates_it_and_sees_its_passages(application):
    """A reference is short enough to be guessed."""
    answer = await ask(application, "how hot?")
    for path, more in (("ratings", {"helpful": True}), ("passages", {})):
        for wrong in ({"visitor": BEN}, {"reference": "00000000"}):
            body = {"reference": answer["reference"]} | more | wrong
            assert (await post(application, f"/ask/{path}", **body)).status_code == 404
    assert await application.journal.answers.feedback(9) == []


async def test_a_source_unfolds_to_the_quote_in_its_section(application):
    """In the one that the citation names, though the same words stand in another one before."""
    answer = await ask(application, "how hot?")
    response = await post(application, "/ask/passages", reference=answer["reference"])
    assert response.json() == [
        {"before": "Fill the kettle.\n\n", "quote": "Use soft water.", "after": " <b>Not</b> hot."}
    ]


async def test_wrong_bodies_and_other_sites_are_refused(application):
    asked = {"question": "q", "conversation": TALK}
    for wrong in ({"question": " "}, {"conversation": "../x"}, {"visitor": "me"}, {"more": 1}):
        assert (await post(application, "/ask/questions", **asked | wrong)).status_code == 422
    assert (await post(application, "/ask/questions", ELSEWHERE, **asked)).status_code == 403
    bare = await application.client.post("/ask/questions", json=asked | {"visitor": ANN})
    assert (bare.status_code, application.engine.asked) == (403, [])


async def test_with_a_token_the_page_is_for_who_has_signed_in(tmp_path):
    async with HttpApplication(tmp_path, http={"port": 0, "token": TOKEN}) as application:
        response = await application.client.get("/ask/")
        assert (response.status_code, response.headers["location"]) == (303, "/sign-in?next=/ask/")
        assert (await post(application, "/ask/questions", question="q", conversation=TALK)).status_code == 401
        form = {"token": TOKEN, "next": "/ask/"}
        response = await application.client.post("/sign-in", data=form, headers={"Origin": application.address})
        assert response.headers["location"] == "/ask/"
        assert (await ask(application, "q"))["outcome"] == "answered"
        response = await application.client.post("/v1/answers", json={"question": "q"})
        assert response.status_code == 401  # the cookie opens nothing else


# --- the widget -------------------------------------------------------------------------------------------------------


@pytest.fixture
async def embedded(tmp_path):
    """A bot with a token and a widget for one site."""
    http = {"port": 0, "token": TOKEN, "widget_origins": [ELSEWHERE]}
    async with HttpApplication(tmp_path, http=http, limits={"author_questions": 2}) as application:
        yield application


async def test_the_widget_answers_pages_of_the_named_sites_only(embedded):
    allowed = {"Origin": ELSEWHERE}
    script = await embedded.client.get("/widget/widget.js", headers=allowed)
    assert (script.status_code, script.headers["access-control-allow-origin"]) == (200, ELSEWHERE)
    asking = allowed | {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    preflight = await embedded.client.options("/widget/questions", headers=asking)
    assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (200, ELSEWHERE)
    body = {"question": "q", "conversation": TALK}
    answered = await post(embedded, "/widget/questions", ELSEWHERE, **body)
    assert (answered.status_code, answered.headers["access-control-allow-origin"]) == (200, ELSEWHERE)
    for origin in ("https://evil.example", f"{ELSEWHERE}.evil.example", "null", embedded.address):
        refused = await post(embedded, "/widget/questions", origin, **body)
        assert (refused.status_code, "access-control-allow-origin" in refused.headers) == (403, False)
    assert len(embedded.engine.asked) == 1
    for closed in ("/v1/answers", "/ask/questions", "/metrics"):  # it opens nothing else
        assert (await post(embedded, closed, ELSEWHERE, **body)).status_code in (401, 403)


async def test_the_widget_is_limited_by_address(embedded):
    """Whatever the browser calls itself; a proxy on this machine says which address that is."""

    async def status(forwarded: str = "") -> int:
        headers = {"Origin": ELSEWHERE} | ({"X-Forwarded-For": forwarded} if forwarded else {})
        body = {"question": "q", "conversation": TALK, "visitor": format(len(embedded.engine.asked), "032x")}
        return (await embedded.client.post("/widget/questions", json=body, headers=headers)).status_code

    assert [await status() for _ in range(3)] == [200, 200, 429]
    assert [await status("6.6.6.6, 198.51.100.7") for _ in range(3)] == [200, 200, 429]
    assert await status("7.7.7.7, 198.51.100.7") == 429  # only the proxy's own entry counts
    assert all("198.51" not in question.author for question in embedded.engine.asked)


async def test_without_origins_there_is_no_widget(application):
    assert (await application.client.get("/widget/widget.js")).status_code == 404
    assert (await post(application, "/widget/questions", ELSEWHERE, question="q", conversation=TALK)).status_code == 403


def test_an_origin_is_what_browsers_send():
    for wrong in ("www.example.org", "https://www.example.org/", "https://*.example.org", "*"):
        with pytest.raises(ValueError, match="widget_origins"):
            HttpSettings(widget_origins=[wrong])


# --- what is shown ----------------------------------------------------------------------------------------------------


def test_around_a_quote_stands_its_section_as_far_as_it_is_read():
    blocks = [Block(Form.PARAGRAPH, f"{number} {'x' * 600}", ("Water",)) for number in range(9)]
    blocks.append(Block(Form.PARAGRAPH, "Use soft water.", ("Water",)))
    passages = [Passage((block,), block.heading, "") for block in [*blocks, Block(Form.PARAGRAPH, "other", ("Beans",))]]
    found = in_place(CITATION, passages)
    assert (found.before[0], found.quote, found.after) == ("6", "Use soft water.", "")
    assert in_place(CITATION, []) == Quoted("", "Use soft water.", "")
