"""A Hugging Face Space of the bot: a chat by Gradio in front of the bot's own HTTP API, which only this machine reaches."""

import atexit
import os
import subprocess
import sys
import threading
import time
from typing import Any

import gradio as gr
import httpx

from bot.adapters.layout import source_line
from bot.core.messages import Answer, Citation

_PORT = "8081"
_STARTING_SECONDS = 300  # in which the bot begins to listen, at the latest
_ANSWER_SECONDS = 310  # more than a request to the bot waits
_client = httpx.Client(base_url=f"http://127.0.0.1:{_PORT}", timeout=_ANSWER_SECONDS)


def start_bot() -> None:
    """Run the bot beside this program. They end together, so that the Space starts both again."""
    environment = os.environ | {"BOT_HTTP__PORT": _PORT, "BOT_HTTP__HOST": "127.0.0.1"}
    bot = subprocess.Popen([sys.executable, "-m", "bot", "run"], env=environment, stdin=subprocess.DEVNULL)
    atexit.register(bot.terminate)

    def watch() -> None:
        os._exit(bot.wait() or 1)

    threading.Thread(target=watch, name="bot", daemon=True).start()


def answer(question: str, history: list[dict[str, Any]], request: gr.Request) -> list[gr.ChatMessage]:
    """Ask the bot, with what was said before; the sources follow as messages that fold out."""
    said = [(one["role"], _text(one["content"])) for one in history if not (one.get("metadata") or {}).get("title")]
    messages = [{"role": role, "content": text} for role, text in [*said, ("user", question)]]
    asked = {"model": "knowledge-bot", "messages": messages, "user": f"space:{request.session_hash}"}
    response = _post(asked)
    if response.is_error:
        return [gr.ChatMessage(response.json()["detail"])]
    found = Answer.from_json(response.json()["knowledge_bot"])
    text = "\n\n".join(piece.as_markdown() for piece in found.pieces)
    return [gr.ChatMessage(text), *map(_source, found.citations)]


def _post(asked: dict[str, Any]) -> httpx.Response:
    """Ask as soon as the bot listens."""
    until = time.monotonic() + _STARTING_SECONDS
    while True:
        try:
            return _client.post("/v1/chat/completions", json=asked)
        except httpx.ConnectError:
            if time.monotonic() > until:
                raise
            time.sleep(1)


def _source(citation: Citation) -> gr.ChatMessage:
    fence = "`" * max(3, citation.quote.count("`") + 1)
    link = f"\n\n{citation.url}" if citation.url else ""
    content = f"{fence}text\n{citation.quote}\n{fence}{link}"
    return gr.ChatMessage(content, metadata={"title": source_line(citation), "status": "done"})


def _text(content: Any) -> str:
    """The text of a message, which Gradio gives as a text or in parts."""
    return content if isinstance(content, str) else "\n".join(part.get("text", "") for part in content)


def chat() -> gr.Blocks:
    with gr.Blocks(title="Ask the documents", analytics_enabled=False) as page:
        gr.ChatInterface(
            answer,
            title="Ask the documents",
            description="Answers are quoted from the documents, with where they stand.",
            examples=["What can you answer?"],
            cache_examples=False,
            api_visibility="private",
        )
    return page


if __name__ == "__main__":
    start_bot()
    port = int(os.environ.get("GRADIO_SERVER_PORT", "7860"))
    everywhere = "0.0.0.0"  # noqa: S104 - as a Space must
    theme = gr.themes.Base(font="sans-serif")  # the default one fetches fonts from elsewhere
    chat().queue(default_concurrency_limit=16).launch(server_name=everywhere, server_port=port, theme=theme)
