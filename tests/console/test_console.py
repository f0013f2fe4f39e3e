"""The operators' pages: what they show, and that each change does what it says or leaves everything as it was."""

import asyncio
import json
import re
import threading
from datetime import datetime

from adapters.http.http_application import until

from bot.core.messages import Citation, Outcome, Policy
from bot.observability import metrics
from bot.questions.entries import ENTRIES_FILE

PAGES = "questions gaps entries documents threshold quality health settings explain?text=".split()


async def test_every_page_shows_where_nothing_was_asked(console):
    for page in PAGES:
        text = await console.get(f"/{page}")
        assert "<h1>" in text
        assert text.count('aria-current="page"') == (0 if page.startswith("explain") else 1)
    assert "No question is kept yet" in await console.get("/questions")


async def test_a_question_is_found_and_shown_whole(console):
    citation = Citation("guide.md", "Guide", ("Kettle",), (1, 3), None, None, "holds seven litres", None)
    entry = await console.ask("How much does the kettle hold?", "Seven litres.", confidence=0.83, citations=(citation,))
    await console.ask("Unrelated?", outcome=Outcome.DECLINED)
    listed = await console.get("/questions", text="KETTLE", platform="discord", outcome="answered")
    assert "How much does the kettle hold?" in listed
    assert "Unrelated?" not in listed
    assert "guide.md" in listed
    shown = await console.get(f"/questions/{entry}")
    for part in ("Seven litres.", "holds seven litres", "0.83", "Kettle", "lines 1–3", f"ref-{entry}", "chat-7"):
        assert part in shown
    assert "author-5" not in listed + shown  # who asked is not the operator's business
    assert "No question is like that" in await console.get("/questions", text="nothing has this")
    response = await console.client.get("/console/questions/999")
    assert response.status_code == 404
    assert "not kept any more" in response.text


async def test_answers_are_shown_as_their_markdown_means(console):
    """Whole on the page of the question, and without markup in the list; what looks like HTML is text, and nothing invisible
    changes the order in which a question is read."""
    entry = await console.ask(
        "How do I \u202e**brew**?", "**Water**\n\n1. Boil `water <1>`.\n2. See [the guide](https://a.example/g)."
    )
    shown = await console.get(f"/questions/{entry}")
    assert "<p><strong>Water</strong></p><ol><li>Boil <code>water &lt;1&gt;</code>.</li>" in shown
    assert '<li>See <a href="https://a.example/g" rel="noopener noreferrer">the guide</a>.</li>' in shown
    listed = await console.get("/questions")
    assert '<p class="snippet">Water Boil water &lt;1&gt;. See the guide.</p>' in listed
    for page in (shown, listed):
        assert "How do I **brew**?" in page  # what a user writes stays as it was written
        assert "\u202e" not in page


async def test_older_questions_stand_on_the_next_page(console):
    for number in range(60):
        await console.ask(f"Question number {number}?")
    first = await console.get("/questions", text="number")
    assert "number 59?" in first
    assert "number 9?" not in first
    [link] = [line for line in first.splitlines() if 'rel="next"' in line]
    second = await console.get(link.split('href="/console')[1].split('"')[0].replace("&amp;", "&"))
    assert "number 9?" in second
    assert "number 59?" not in second
    assert ">Older<" not in second


async def test_what_cannot_be_looked_for_is_said(console):
    for query in "since=never outcome=wrong rating=5 after=x since=0001-01-01 after=1".split():
        response = await console.client.get(f"/console/questions?{query}")
        assert response.status_code in (200, 422), query
        assert "went wrong on our side" not in response.text
    assert "be looked for" in (await console.client.get("/console/questions?outcome=wrong")).text


async def test_explain_says_why(console):
    text = await console.get("/explain", text="How much does the kettle hold?")
    assert "answer.threshold" in text
    assert "seven litres" in text


async def test_a_wrong_answer_becomes_an_entry_that_is_answered_from(console):
    """From the question to the right answer, as an operator does it."""
    entry = await console.ask("What does the lid weigh?", outcome=Outcome.DECLINED, confidence=0.1)
    page = f"/questions/{entry}"
    response = await console.send(page, f"{page}/entry", question="", answer="Ninety grams.")
    assert response.status_code == 409
    assert "Ninety grams." in response.text  # what was written isn't lost
    response = await console.send(page, f"{page}/entry", question="What does the lid weigh?", answer="Ninety grams.")
    assert "published" in response.text
    assert "1 wrong" in await console.get("/questions", rating="wrong")
    [waiting] = await console.journal.entries.all()
    fields = {"question": "What does the lid weigh?", "answer": "The lid weighs ninety-one grams."}
    response = await console.send("/entries", f"/entries/{waiting.id}", **fields, then="keep")
    assert (await console.journal.entries.one(waiting.id)).answer == fields["answer"]
    response = await console.send("/entries", f"/entries/{waiting.id}", **fields, then="publish")
    assert "Published" in response.text
    assert await console.journal.entries.all() == []
    assert "ninety-one grams" in await console.get("/explain", text="What does the lid weigh?")
    file = console.application.settings.knowledge.folder / ENTRIES_FILE
    assert json.loads(file.read_text()) == fields


async def test_an_entry_that_cannot_be_published_stays(console):
    """As where golden questions would be answered worse, or the document of entries can't be written."""
    await console.send("/entries", "/entries", question="q?", answer="a")
    [waiting] = await console.journal.entries.all()
    (console.application.settings.knowledge.folder / ENTRIES_FILE).mkdir()
    response = await console.send("/entries", f"/entries/{waiting.id}", question="q?", answer="other", then="publish")
    assert response.status_code == 409
    assert "other" in response.text
    assert len(await console.journal.entries.all()) == 1
    await console.send("/entries", f"/entries/{waiting.id}/discard")
    assert await console.journal.entries.all() == []


async def test_a_published_entry_may_not_make_golden_questions_worse(console):
    folder = console.application.settings.knowledge.folder
    golden = {"question": "How much does the kettle hold?", "doc_id": "guide.md"}
    (folder / "golden.jsonl").write_text(json.dumps(golden) + "\n")
    await console.application.indexer.index_folder(folder)
    await console.send("/entries", "/entries", question=golden["question"], answer="Nobody knows how much it holds.")
    [waiting] = await console.journal.entries.all()
    fields = {"question": waiting.question, "answer": waiting.answer}
    response = await console.send("/entries", f"/entries/{waiting.id}", **fields, then="publish")
    assert "golden questions get worse" in response.text
    assert not (folder / ENTRIES_FILE).exists()
    assert len(await console.journal.entries.all()) == 1


async def test_a_wrong_answer_becomes_a_golden_question(console):
    entry = await console.ask("How hot?", "Cold.")
    page = f"/questions/{entry}"
    response = await console.send(page, f"{page}/golden", question="How hot?")
    assert response.status_code == 409
    assert "Say what is right" in response.text
    asked = "How much does the kettle hold?"
    response = await console.send(page, f"{page}/golden", question=asked, document="guide.md", phrase="seven litres")
    assert "golden.jsonl" in response.text
    await console.send(page, f"{page}/golden", question="Nothing?", unanswerable="true")
    file = console.application.settings.knowledge.folder / "golden.jsonl"
    assert [json.loads(line) for line in file.read_text().splitlines()] == [
        {"question": asked, "doc_id": "guide.md", "answers": ["seven litres"]},
        {"question": "Nothing?", "answers": []},
    ]
    await console.application.indexer.index_folder(file.parent)
    assert "2 of 2" in await console.get("/quality")
    file.write_text("no json\n")
    response = await console.send(page, f"{page}/golden", question="Third?", unanswerable="true")
    assert response.status_code == 409
    assert file.read_text() == "no json\n"


async def test_gaps_are_apart_from_what_was_found_but_unsure(console):
    await console.ask("How do I paint the kettle?", outcome=Outcome.DECLINED, retrieved=("guide.md",))
    await console.ask("How can I paint the kettle?", outcome=Outcome.DECLINED)
    await console.ask("Is tap water good?", outcome=Outcome.SUGGESTED, confidence=0.3)
    text = await console.until_gone("are being grouped", "/gaps")
    gaps, unsure = text.split("Found, but unsure")
    assert "asked 2 times" in gaps
    assert "Is tap water good?" in unsure
    assert "Is tap water good?" not in gaps
    response = await console.send("/gaps", "/gaps", question="How do I paint it?", answer="With a brush.")
    assert "With a brush." in response.text


async def test_documents_are_added_indexed_and_removed(console):
    content = "# Lid\n\nThe lid weighs ninety grams.\n"
    response = await console.send("/documents", "/documents", files={"file": ("lid.md", content)}, path="parts/lid.md")
    assert "parts/lid.md: 1 passage" in response.text
    folder = console.application.settings.knowledge.folder
    (folder / "new.md").write_text("# New\n\nSomething new.\n")
    (folder / "broken.pdf").write_bytes(b"nothing")
    await console.send("/documents", "/documents/index")
    text = await console.until_gone("is being indexed", "/documents")
    assert "new.md" in text
    assert text.index("broken.pdf") < text.index("<h2>Files")  # what to mend first
    response = await console.send("/documents", "/documents/remove", path="parts/lid.md")
    assert "removed" in response.text
    assert not (folder / "parts/lid.md").exists()
    for path in ("../guide.md", "/etc/passwd.md", "nothing.md", ""):
        response = await console.send("/documents", "/documents/remove", path=path)
        assert response.status_code == 409
    response = await console.send("/documents", "/documents", files={"file": ("../../x.md", content)}, path="")
    assert not (folder.parent / "x.md").exists()
    large = {"file": ("large.md", b"x" * 10_000_001)}
    response = await console.send("/documents", "/documents", files=large)
    assert "administration.document_bytes" in response.text


async def test_documents_show_how_often_they_were_cited(console):
    citation = Citation("guide.md", "Guide", ("Kettle",), (1, 3), None, None, "holds seven litres", None)
    assert ">never<" in await console.get("/documents")
    await console.ask("How much?", citations=(citation, citation))
    await console.ask("How much does it hold?", citations=(citation,))
    text = await console.get("/documents")
    assert ">2 times<" in text
    assert f">{datetime.now().astimezone():%Y-%m-%d}<" in text


async def test_moving_the_bound_shows_which_questions_change(console):
    await console.ask("Sure?", confidence=0.9)
    await console.ask("Nearly?", outcome=Outcome.SUGGESTED, confidence=0.35)
    await console.ask("Another number?", outcome=Outcome.SUGGESTED, confidence=0.8)  # which no bound makes sure
    await console.ask("Never?", outcome=Outcome.DECLINED, confidence=0.05)
    assert "Nothing." in (await console.get("/threshold")).split("What changes")[1].split("All of them")[0]
    changes = (await console.get("/threshold", threshold="0.3")).split("What changes")[1].split("All of them")[0]
    assert "Nearly?" in changes
    assert not {"Sure?", "Never?", "Another number?"} & set(changes.split())
    assert (await console.client.get("/console/threshold?threshold=7")).status_code == 422


async def test_quality_shows_days_ratings_and_latency(console):
    for number in range(20):
        entry = await console.ask(f"q{number}", confidence=number / 20)
        await console.journal.answers.add_feedback("discord", f"ref-{entry}", "a", helpful=number > 9, reason="")
    text = await console.get("/quality")
    assert "20 ratings" in text
    assert text.count("<circle") == 5
    assert "20 answered</title>" in text
    metrics.STAGES.labels("search").observe(0.2)
    assert re.search(r"<title>search: half up to \d+ ms, 19 of 20 up to \d+ ms</title>", await console.get("/quality"))


async def test_settings_hide_secrets_and_say_where_they_come_from(console, monkeypatch):
    monkeypatch.setenv("BOT_ANSWER__THRESHOLD", "0.4")
    await console.application.stores.journal.platforms.set_policy("discord", "99", Policy.OFF)
    text = await console.get("/settings")
    assert "fedcba9876543210" not in text
    assert "environment variable BOT_ANSWER__THRESHOLD" in text
    assert "99" in text.split("Rules of single chats")[1]


async def test_health_shows_components_queue_and_threads(console):
    console.application.health.component("discord").failed("the token is wrong <b>")
    text = await console.get("/health")
    assert "the token is wrong &lt;b&gt;" in text
    assert "sqlite-journal" in text
    assert "not ready" in text


async def test_no_page_waits_for_the_threads_of_others(console):
    """Those that parse documents and check sentences. (*Health* reads the generator's file in one of them.)"""
    over = threading.Event()
    others = [asyncio.create_task(asyncio.to_thread(over.wait)) for _ in range(40)]  # more than there are threads
    await asyncio.sleep(0)
    try:
        async with asyncio.timeout(20):
            for page in PAGES:
                if page != "health":
                    await console.get(f"/{page}")
    finally:
        over.set()
        await asyncio.gather(*others)


async def test_the_thread_of_the_pages_ends_with_the_server(console):
    """Also that of a run of the server which has failed."""
    await console.get("/questions")
    [before] = _threads_of_pages()
    console.server._server.should_exit = True
    await until(lambda: not console.server.listening.is_set())
    again = asyncio.create_task(console.server.run())
    await console.server.listening.wait()
    await asyncio.to_thread(before.join, 20)
    assert not before.is_alive()
    again.cancel()
    await asyncio.gather(again, return_exceptions=True)
    await console.server.close()
    await until(lambda: not _threads_of_pages())


def _threads_of_pages() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("console")]
