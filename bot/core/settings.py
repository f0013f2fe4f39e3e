"""The settings, with unit, default and help, read from `bot.toml` and the environment.

The environment wins over the file: `BOT_ANSWER__THRESHOLD=0.6` is `threshold` in the section `[answer]`. All problems are
reported at once. Relative paths count from the folder of the settings file, or from the working folder without one.
"""

import difflib
import os
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import pydantic_settings
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from bot.core.errors import SettingsError
from bot.core.messages import Policy
from bot.core.process import erase_variable

DEFAULT_FILE = "bot.toml"
ENVIRONMENT_PREFIX = "BOT_"
CONFIG_VARIABLE = "BOT_CONFIG"
# Common names of some settings; the name with our own prefix wins over them.
PLAIN_VARIABLES = {
    "DISCORD_TOKEN": ("discord", "token"),
    "TELEGRAM_TOKEN": ("telegram", "token"),
    "OPENAI_API_KEY": ("generator", "api_key"),
}
_DELIMITER = "__"
_SOURCES = "sources"  # the section that may stand there any number of times


def _at_home(folder: Path) -> Path:
    try:
        return folder.expanduser()
    except RuntimeError as error:
        raise ValueError(f"nobody's home folder is called {folder.parts[0]}") from error


def _stripped(secret: SecretStr) -> SecretStr:
    return SecretStr(secret.get_secret_value().strip())  # a copied token often has a line break at its end


_WEB_ADDRESS = r"^(https?://\S+)?$"
# As browsers send it: no path, no slash at the end.
Origin = Annotated[str, Field(pattern=r"^https?://[^\s/*]+$")]
_SHORTEST_TOKEN = 16  # characters
_SOURCE_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
Seconds = Annotated[float, Field(gt=0)]
Secret = Annotated[SecretStr, AfterValidator(_stripped)]
Folder = Annotated[Path, AfterValidator(_at_home)]
OptionalFile = Annotated[Folder | None, BeforeValidator(lambda value: None if value == "" else value)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KnowledgeSettings(Section):
    folder: Folder = Field(
        Path("knowledge"), description="The folder of documents to answer from. Change it where they lie elsewhere."
    )
    base_url: str = Field(
        "",
        pattern=_WEB_ADDRESS,
        description="Where the folder is published; a document's path is put behind it to link to the document. Empty: "
        "only documents with a `url` of their own are linked. Set it where people can open the documents on "
        "the web.",
    )
    passage_tokens: int = Field(
        200,
        ge=32,
        le=2048,
        description="How long a passage gets at most, in tokens of the encoder, whose own window is the upper limit. Raise "
        "it for an encoder with a longer window.",
    )
    watch: bool = Field(
        True,
        description="Whether a running bot notices changes in the folder by itself. Turn it off where changes are to wait "
        "for a reload or the next start.",
    )
    rescan_seconds: Seconds = Field(
        60,
        description="Seconds between two looks at the whole folder, for file systems that don't tell of changes. Lower it "
        "where changes on a network drive are to be seen sooner.",
    )
    largest_megabytes: int = Field(
        100,
        ge=1,
        description="Megabytes that a file may have; larger ones are not read. Raise it where a larger document is worth "
        "the time.",
    )
    convert_seconds: Seconds = Field(
        60,
        description="Seconds that reading one file may take. Raise it where a long document is reported to take longer.",
    )
    convert_megabytes: int = Field(
        1024,
        ge=256,
        description="Megabytes of memory that reading one file may take. Raise it where a long document is reported to "
        "need more.",
    )
    golden_losses: int = Field(
        0,
        ge=0,
        description="How many golden questions a new index may answer worse before the previous one is kept. Raise it "
        "where some of them may get lost while the documents change much.",
    )


class SourceSettings(Section):
    """One block `[[sources]]`: a website or a git repository, whose documents are fetched."""

    name: str = Field(
        "",
        description="The name of the source, of small letters, digits and hyphens; the paths of its documents begin with it.",
    )
    kind: Literal["website", "git"] = Field(
        "website", description="What the source is: website, read page by page, or git, a repository."
    )
    url: str = Field(
        "",
        description="The address of the start page or of the sitemap; for git, that of the repository, as for `git clone`.",
    )
    interval_seconds: float = Field(
        86_400,
        ge=1,
        description="Seconds between two looks at the source. Lower it where changes are to be answered from sooner.",
    )
    megabytes: int = Field(
        500, ge=1, description="Megabytes that the source may take on the disk. Raise it for a larger source."
    )
    private: bool = Field(
        False,
        description="Whether addresses of this machine and of private networks may be asked, and whether a git repository may "
        "lie in a folder. Turn it on for a source within your own network.",
    )
    hosts: tuple[str, ...] = Field(
        (),
        description="The hosts that a website's pages may be on, such as docs.example.org. Empty: that of `url` alone. Nothing "
        "else is ever asked for.",
    )
    paths: tuple[str, ...] = Field(
        (),
        description="What the paths of a website's pages begin with, such as /docs/. Empty: the folder of the start page, or "
        "all that a sitemap lists.",
    )
    depth: int = Field(
        10, ge=0, description="How many links may be followed from the start page to a page. 0: the start page alone."
    )
    pages: int = Field(
        2000, ge=1, description="How many pages of a website are read at most. Raise it for a larger website."
    )
    requests_per_second: float = Field(
        2, gt=0, le=1000, description="How many requests a second a website gets. Raise it for a server of your own."
    )
    branch: str = Field("", description="The branch or tag of a git repository. Empty: its main branch.")
    folder: str = Field(
        "", description="The folder of a git repository whose files are read, such as docs. Empty: all of them."
    )
    link: str = Field(
        "",
        description="The address of a file of a git repository on the web, with {path}, {first} and {last} for its path and "
        "lines. Empty: as GitHub, GitLab, Gitea and Forgejo have it, where `url` leads to one of them.",
    )

    @model_validator(mode="after")
    def _can_be_fetched(self) -> Self:
        if not _SOURCE_NAME.fullmatch(self.name):
            raise ValueError(
                f"{self.name!r} is no name of a source; give it one of small letters, digits and hyphens: name"
            )
        if self.kind == "website" and not re.match(r"https?://[^\s/]+", self.url):
            raise ValueError(f"the source {self.name} needs the address of a website, with http:// or https://: url")
        if self.kind == "git":
            self._require_repository()
        return self

    def _require_repository(self) -> None:
        if not self.url or self.url.startswith("-") or "::" in self.url:
            raise ValueError(f"the source {self.name} needs the address of a git repository, as for `git clone`: url")
        remote = re.match(r"(?:https?|ssh|git)://|[\w.-]+@[\w.-]+:", self.url)
        if not remote and not self.private:
            raise ValueError(
                f"the repository of the source {self.name} lies on this machine; allow that by private = true, or give its "
                "address with https:// or ssh://"
            )
        if self.branch.startswith("-") or ".." in self.folder.split("/"):
            raise ValueError(f"the source {self.name} has a branch or a folder that can't be one: branch, folder")

    @property
    def shown_url(self) -> str:
        """The address without a password or token that it may hold."""
        return re.sub(r"(?<=://)[^/@\s]*@", "", self.url)


class StorageSettings(Section):
    folder: Folder = Field(
        Path("data"), description="Where the index and the journal are kept. Change it to keep them on another disk."
    )
    answer_days: float = Field(
        30,
        ge=0,
        description="Days for which a delivered answer is kept with its question, so that its buttons work and an edited "
        "question is answered again. 0: erased once it is delivered. Lower it where less of what people ask "
        "may be kept.",
    )


class ModelsSettings(Section):
    auto_download: bool = Field(
        False,
        description="Whether a model that is not on this machine may be fetched from the Hugging Face hub. Turn it on "
        "where you name other models and the machine may go online.",
    )
    threads: int = Field(
        0,
        ge=0,
        description="Processor cores that models may use. 0: all of them. Set it where other programs need some of them.",
    )
    stuck_seconds: Seconds = Field(
        120,
        description="Seconds after which a model call that doesn't return is given up, and another thread takes over. "
        "Raise it on a machine so slow that a single call takes minutes.",
    )


class EncoderSettings(Section):
    model: str = Field(
        "sentence-transformers/all-MiniLM-L6-v2",
        min_length=1,
        description="The sentence-transformers model that turns text into vectors: an id, or a folder. "
        "none: no encoder; passages are found by their words alone.",
    )
    revision: str = Field("", description="A commit or tag of the model's repository. Empty: whichever is there.")
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="Number format of the weights. auto: bfloat16 where this processor is faster with it."
    )
    languages: list[str] = Field(
        ["en"],
        description="Codes of the languages that the model serves; documents in others are remarked on. Empty: all.",
    )


class ReaderSettings(Section):
    model: str = Field(
        "",
        description="An extractive question answering model of the Hugging Face kind: an id, or a folder. "
        "Empty: the one that ships with the bot.",
    )
    revision: str = Field("", description="A commit or tag of the model's repository. Empty: whichever is there.")
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="Number format of the weights. auto: bfloat16 where this processor is faster with it."
    )


class RetrievalSettings(Section):
    passages: int = Field(
        20,
        ge=1,
        le=100,
        description="How many passages are found for a question. Raise it with `answer.read_passages`, which is the number "
        "of those that are read.",
    )
    dense_weight: float = Field(
        0.8,
        ge=0,
        le=1,
        description="Share of meaning (vectors) against shared words (BM25) in the ranking. Lower it where people ask by "
        "names and numbers that stand in the documents word for word.",
    )


class AnswerSettings(Section):
    threshold: float = Field(
        0.4,
        ge=0,
        le=1,
        description="Confidence from which on an answer is given as sure; below it, it is only suggested. Raise it where a "
        "wrong answer does harm.",
    )
    suggest_threshold: float = Field(
        0.18,
        ge=0,
        le=1,
        description="Confidence from which on a section is suggested, marked as unsure; below it the bot declines. The same as "
        "`threshold`: no suggestions.",
    )
    read_passages: int = Field(
        12,
        ge=1,
        le=50,
        description="How many of the passages found, best first, are read for the answer. Fewer answer sooner on a "
        "slow machine.",
    )
    calibration: OptionalFile = Field(
        None,
        description="A file made by `evaluate --calibrate`, which turns scores into confidence. "
        "Empty: the one that ships with the bot and fits its models.",
    )


class GeneratorSettings(Section):
    provider: Literal["none", "local", "openai"] = Field(
        "none",
        description="Who phrases answers. none: nobody, the documents are quoted. local: a language model on this machine. "
        "openai: one behind an OpenAI-compatible address.",
    )
    model: str = Field(
        "microsoft/DialoGPT-medium",
        min_length=1,
        description="The language model: an id or a folder; for openai the name that the server knows it by.",
    )
    revision: str = Field("", description="A commit or tag of the model's repository. Empty: whichever is there.")
    adapter: OptionalFile = Field(
        None, description="The folder of a LoRA adapter, made by peft, that is put onto the model. Empty: none."
    )
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="Number format of the weights. auto: bfloat16 where this processor is faster with it."
    )
    quantization: Literal["none", "int8"] = Field(
        "none", description="Whether a local model's weights are kept in 8 bits, which takes less memory."
    )
    style: Literal["auto", "chat", "dialogue", "completion", "question", "summary"] = Field(
        "auto",
        description="How the model is prompted: chat (by its template), dialogue (turns, as for DialoGPT), completion (with "
        "examples, as for gpt2), question (T5 kinds) or summary (BART kinds). auto: as fits the model.",
    )
    prompts: OptionalFile = Field(
        None,
        description="A file that changes the wording of prompts and their examples. Empty: the wording that ships. Set it "
        "where a model heeds other instructions better; `knowledge-bot models prompts` prints a file to begin with.",
    )
    persona: str = Field(
        "You answer questions about the documents of this place. You are friendly and brief.",
        description="Who the bot is, told to models that take instructions (chat, completion).",
    )
    language: str = Field(
        "", description="The language to answer in, by its English name. Empty: that of the question."
    )
    passages: int = Field(
        1,
        ge=1,
        le=20,
        description="How many of the passages that were found go into the prompt, best first; at least those that are quoted. "
        "With 2 or more the model is also asked where the bot is unsure, and may say that the passages don't answer. Raise it, "
        "to 6 for example, for models of 3 billion parameters or more; small ones mix up what several passages say.",
    )
    prompt_tokens: int = Field(
        1500, ge=64, description="How long a prompt gets at most, in tokens; the model's own window limits it too."
    )
    max_new_tokens: int = Field(160, ge=1, le=4096, description="How many tokens the model may write for one answer.")
    do_sample: bool = Field(
        False, description="Whether words are chosen by chance, by their probability, instead of always the likeliest."
    )
    temperature: float = Field(
        0.7, gt=0, le=2, description="How adventurous the choice of words is, where words are chosen by chance."
    )
    top_p: float = Field(
        0.9, gt=0, le=1, description="The share of the probability that words are chosen from, where by chance."
    )
    repetition_penalty: float = Field(
        1.1, gt=0, le=2, description="How much less likely a word gets that stands there already. 1: not at all."
    )
    stop: tuple[str, ...] = Field((), description="Texts at which the model stops writing; they are left out.")
    seed: int = Field(
        0, ge=0, description="What chance starts from: the same number gives the same text. 0: another text each time."
    )
    parallel: int = Field(
        4, ge=1, le=32, description="How many answers are written at once; further ones wait for their turn."
    )
    deadline_seconds: Seconds = Field(
        30, description="Seconds that phrasing an answer may take; after them the documents are quoted."
    )
    stall_seconds: Seconds = Field(
        10, description="Seconds that may pass between two words; after them the documents are quoted."
    )
    base_url: str = Field(
        "https://api.openai.com/v1", pattern=_WEB_ADDRESS, description="The address of the OpenAI-compatible server."
    )
    api_key: Secret = Field(
        SecretStr(""), description="The key for the OpenAI-compatible server; also taken from OPENAI_API_KEY."
    )
    retries: int = Field(
        2, ge=0, le=10, description="How often a request to the server is repeated when it is busy or fails."
    )
    tokens_per_day: int = Field(
        0,
        ge=0,
        description="How many tokens the server may charge a day (UTC); after them the documents are quoted. 0: any number.",
    )


class GroundingSettings(Section):
    unsupported: Literal["trim", "replace"] = Field(
        "trim",
        description="What becomes of a generated answer with sentences that the passages don't support. trim: those "
        "sentences are left out. replace: the quote is given instead. Choose replace where half an answer "
        "could mislead.",
    )
    threshold: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Probability of being supported by the passages that a generated sentence must have. Raise it where "
        "answers say what the documents don't, lower it where right sentences are left out.",
    )


class TasksSettings(Section):
    allowed: bool = Field(
        False,
        description="Whether people may have messages and documents summarised, translated and the like in chats for which "
        "nothing else was set. Turn it on where they may in all chats.",
    )
    deadline_seconds: Seconds = Field(
        60, description="Seconds that one task may take. Raise it where a model is slow and people are patient."
    )
    summarise_model: str = Field(
        "",
        description="The model that words summaries: BART and T5 kinds, or one for chats, as an id or a folder. Empty: the "
        "sentences that say most are quoted.",
    )
    translate_model: str = Field(
        "", description="The model that translates: Marian and T5 kinds, or one for chats, as an id or a folder."
    )
    language: str = Field(
        "",
        description="The language to translate into, by its English name. Models that were made for one pair of languages "
        "need none.",
    )
    sentiment_model: str = Field(
        "", description="The model for text classification whose classes are moods, as an id or a folder."
    )
    classify_model: str = Field(
        "", description="The model for text classification whose classes are anything else, as an id or a folder."
    )
    entities_model: str = Field(
        "", description="The model for token classification that finds names, as an id or a folder."
    )


class FinetuningSettings(Section):
    chat_messages: bool = Field(
        False,
        description="Whether `finetune prepare` may take questions from chats, with the answers that people found helpful. "
        "Turn it on to tune a model by real questions, once you have asked those people.",
    )


class ConversationSettings(Section):
    expire_seconds: Seconds = Field(
        1800,
        description="Seconds after which an earlier question is no longer followed up. Lower it where questions are taken "
        "for follow-ups of old ones.",
    )
    turns: int = Field(
        6,
        ge=0,
        le=50,
        description="How many earlier questions a follow-up may refer to. 0: none. Set 0 where every question is to stand "
        "for itself.",
    )


class QueueSettings(Section):
    capacity: int = Field(
        256,
        ge=1,
        description="How many questions may wait at once; further ones are refused politely. Lower it where a refusal at "
        "once is better than a long wait.",
    )
    parallel: int = Field(
        16,
        ge=1,
        description="How many conversations are answered side by side. Raise it where a server that takes many requests at "
        "once phrases the answers.",
    )
    deadline_seconds: Seconds = Field(
        60,
        description="Seconds after which the bot gives up on a question, the time in which it waited counted in. Raise it "
        "where a language model is slow and people are patient.",
    )
    expire_seconds: Seconds = Field(
        86_400,
        description="Seconds after which a question that the bot finds unanswered after a restart is not answered any "
        "more; whoever asked is told to ask again. Lower it where an answer on the next day would be odd.",
    )


class LimitsSettings(Section):
    author_questions: int = Field(
        10,
        ge=0,
        description="How many questions one person may ask within a minute. 0: any number. Lower it where single people "
        "ask too much.",
    )
    chat_questions: int = Field(
        120,
        ge=0,
        description="How many questions one chat may ask within a minute. 0: any number. Raise it for very large groups.",
    )


class AdministrationSettings(Section):
    document_bytes: int = Field(
        10_000_000,
        ge=1,
        description="How large a document may be that is added from a chat, in bytes. Raise it where operators send larger "
        "ones.",
    )


class DiscordSettings(Section):
    token: Secret = Field(
        SecretStr(""),
        description="The token of the Discord bot; also taken from DISCORD_TOKEN. Set it to answer on Discord. Empty: no "
        "Discord.",
    )
    message_content: bool = Field(
        True,
        description="Whether to ask for the Message Content intent. Without it the bot sees only what is addressed to it. "
        "Turn it off where Discord doesn't grant that.",
    )
    policy: Policy = Field(
        Policy.MENTION,
        description="When the bot answers in channels that have no policy of their own: mention, always, forum or off. "
        "Change it where the bot is to answer without being asked to by name.",
    )
    private: bool = Field(
        False,
        description="Whether answers to /ask are for the asker only, unless the asker says otherwise. Turn it on where "
        "questions and answers are not to fill the channels.",
    )
    threads: bool = Field(
        False,
        description="Whether a question in a channel gets a thread of its own for its answer. Turn it on where many ask in "
        "the same channel.",
    )
    operators: tuple[int, ...] = Field(
        (),
        description="Ids of the users who may administer the bot. Empty: the owner of the application and its team. Set it "
        "where others run the bot.",
    )
    proxies: tuple[int, ...] = Field(
        (),
        description="Ids of applications that repeat what people write under another name, such as 466378653216014359 for "
        "PluralKit. Their messages are answered as those of people. Set it where such a bot is on the server.",
    )
    catch_up_seconds: float = Field(
        3600,
        ge=0,
        description="Seconds of absence up to which questions that came meanwhile are answered. 0: never. Raise it where "
        "the bot is away for longer and late answers are welcome.",
    )
    sharded: bool = Field(
        False, description="Whether to connect in several shards, as bots on over 2,500 servers must."
    )


class TelegramSettings(Section):
    token: Secret = Field(
        SecretStr(""),
        description="The token of the Telegram bot; also taken from TELEGRAM_TOKEN. Set it to answer on Telegram. Empty: "
        "no Telegram.",
    )
    operators: tuple[int, ...] = Field(
        (),
        description="Ids of the users who may administer the bot, in their private chat with it. Empty: nobody. Set it to "
        "look after the bot from Telegram.",
    )
    policy: Policy = Field(
        Policy.MENTION,
        description="When the bot answers in groups that have no policy of their own: mention, always, forum or off. "
        "Change it where the bot is to answer without being asked to by name.",
    )
    shared_conversations: bool = Field(
        False,
        description="Whether a follow-up in a group may refer to what somebody else has asked there. Turn it on for groups "
        "that work on one thing together.",
    )
    inline: bool = Field(
        True,
        description="Whether passages are found for inline queries, by anybody on Telegram. Turn it off where not "
        "everybody may read the documents.",
    )
    stale_questions: Literal["answer", "close"] = Field(
        "answer",
        description="What becomes of late questions. answer: they are answered, with a word of regret. close: whoever "
        "asked is told to ask again. Choose close where answers to old questions would confuse.",
    )
    webhook_url: str = Field(
        "",
        pattern=_WEB_ADDRESS,
        description="The public https address that Telegram is to send messages to, which must lead to the path of the "
        "same name at http.port. Empty: the bot polls. Set it where long connections to Telegram break and "
        "this machine has a public address.",
    )
    api_url: str = Field(
        "https://api.telegram.org",
        pattern=_WEB_ADDRESS,
        description="The address of the Bot API. Change it if you run a server of your own.",
    )


class HttpSettings(Section):
    enabled: bool = Field(
        True,
        description="Whether the running bot can be asked by HTTP, and tells how it is: the API, health and metrics. Turn "
        "it off where nobody asks by HTTP or watches the bot.",
    )
    host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="The address that the HTTP server listens on. Change it where other machines are to ask; then a token "
        "is needed.",
    )
    port: int = Field(
        8080,
        ge=0,
        le=65535,
        description="The port that the HTTP server listens on. 0: any that is free. Change it where another program has "
        "that port.",
    )
    token: Secret = Field(
        SecretStr(""),
        description="What callers have to send as their bearer token, 16 characters or more. Empty: whoever is on this "
        "machine may ask. Set it where others use this machine or may ask from elsewhere.",
    )
    operator_token: Secret = Field(
        SecretStr(""),
        description="What operators sign in to the console with, in a browser at /console, 16 characters or more. Empty: there "
        "is no console. Set it to see what is asked, and to look after the documents, in a browser.",
    )
    widget_origins: tuple[Origin, ...] = Field(
        (),
        description="The sites whose pages may show the chat with the bot, such as https://www.example.org. Their visitors ask "
        "without a token, limited by their address. Empty: none. Set it to put the bot on a website.",
    )
    timeout_seconds: Seconds = Field(
        300,
        description="Seconds after which a request that has no answer yet is given up, with its question. Raise it with "
        "`queue.deadline_seconds`, lower it where a proxy in front gives up sooner.",
    )

    @property
    def local(self) -> bool:
        """Whether only this machine reaches the server."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @model_validator(mode="after")
    def _has_a_token_where_others_can_ask(self) -> Self:
        token = self.token.get_secret_value()
        if self.enabled and not self.local and not token:
            raise ValueError(
                f"whoever reaches {self.host} could ask; set http.token (openssl rand -hex 32 makes one), or listen on "
                "127.0.0.1 only: http.host"
            )
        operator_token = self.operator_token.get_secret_value()
        for name, value in (("token", token), ("operator_token", operator_token)):
            if value and len(value) < _SHORTEST_TOKEN:
                raise ValueError(f"http.{name} is too easy to guess; {_SHORTEST_TOKEN} characters or more are needed")
        if token and token == operator_token:
            raise ValueError(
                "http.operator_token is the same as http.token: whoever may ask could administer; choose another"
            )
        return self


class ShutdownSettings(Section):
    grace_seconds: Seconds = Field(
        10,
        description="Seconds for running answers to finish when the bot is stopped. Raise it where answers take longer.",
    )


class LogSettings(Section):
    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least severe lines logged. Choose debug to look for a fault."
    )
    format: Literal["auto", "console", "json"] = Field(
        "auto",
        description="Form of the log lines. auto: for people on a terminal, JSON elsewhere. Choose json where a program "
        "reads them from a terminal.",
    )


class Settings(BaseSettings):
    """The whole configuration. Immutable; made by `load_settings`."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        env_prefix=ENVIRONMENT_PREFIX,
        env_nested_delimiter=_DELIMITER,
        env_ignore_empty=True,
    )

    knowledge: KnowledgeSettings = KnowledgeSettings()
    storage: StorageSettings = StorageSettings()
    models: ModelsSettings = ModelsSettings()
    encoder: EncoderSettings = EncoderSettings()
    reader: ReaderSettings = ReaderSettings()
    retrieval: RetrievalSettings = RetrievalSettings()
    answer: AnswerSettings = AnswerSettings()
    generator: GeneratorSettings = GeneratorSettings()
    grounding: GroundingSettings = GroundingSettings()
    tasks: TasksSettings = TasksSettings()
    finetuning: FinetuningSettings = FinetuningSettings()
    conversation: ConversationSettings = ConversationSettings()
    queue: QueueSettings = QueueSettings()
    limits: LimitsSettings = LimitsSettings()
    administration: AdministrationSettings = AdministrationSettings()
    discord: DiscordSettings = DiscordSettings()
    telegram: TelegramSettings = TelegramSettings()
    http: HttpSettings = HttpSettings()
    shutdown: ShutdownSettings = ShutdownSettings()
    log: LogSettings = LogSettings()
    sources: tuple[SourceSettings, ...] = ()

    @field_validator("sources")
    @classmethod
    def _named_once(cls, sources: tuple[SourceSettings, ...]) -> tuple[SourceSettings, ...]:
        names = Counter(source.name for source in sources)
        for name in (name for name, count in names.items() if count > 1):
            raise ValueError(f"two sources are called {name}; give each a name of its own")
        return sources

    @property
    def platforms(self) -> list[str]:
        """The platforms whose token is set."""
        tokens = {"discord": self.discord.token, "telegram": self.telegram.token}
        return [name for name, token in tokens.items() if token.get_secret_value()]

    @property
    def secrets(self) -> list[str]:
        """The values of all secret settings that are set."""
        values = [getattr(getattr(self, section), key) for section, key, _, _ in all_settings()]
        in_addresses = [re.search(r"://(?:[^/@:\s]*:)?([^/@\s]+)@", source.url) for source in self.sources]
        return [
            *(value.get_secret_value() for value in values if isinstance(value, SecretStr) and value),
            *(found[1] for found in in_addresses if found),
        ]

    @classmethod
    def secret_variables(cls) -> set[str]:
        """The names of the environment variables that secret settings are read from, in upper case."""
        variables = {place: name for name, place in PLAIN_VARIABLES.items()}
        secret = [
            (section, key)
            for section, field in cls.model_fields.items()
            for key, value in field.default
            if isinstance(value, SecretStr)
        ]
        return {_variable(place) for place in secret} | {variables[place] for place in secret if place in variables}

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put the environment before the arguments, which are the content of the file."""
        return env_settings, InitSettingsSource(settings_cls, _plain_variables()), init_settings


def load_settings(file: Path | None = None) -> Settings:
    """Load the settings from `file` (default: `bot.toml` in the working folder, if there is one) and the environment.

    Raises SettingsError with every problem: its place, its cause and its fix.
    """
    if file is not None and not file.is_file():
        raise SettingsError([f"{file}: there is no such settings file; check the path, or leave it out"])
    file = file or Path(DEFAULT_FILE)
    source = _Source(file)
    problems = list(_unknown_variables())
    try:
        settings = Settings(**source.data)
    except ValidationError as error:
        problems += [source.describe(detail["loc"], detail["type"], detail["msg"]) for detail in error.errors()]
    except pydantic_settings.SettingsError:  # a variable that is named like a section, which is among the problems
        if not problems:
            raise
    if problems:
        raise SettingsError(problems)
    return _with_absolute_paths(settings, file.absolute().parent)


# The names of the variables that had a value before it was erased.
_erased: set[str] = set()


def erase_secret_variables() -> None:
    """Take the secrets out of the environment, once they have been read, so that no child and no other program finds them."""
    secret = Settings.secret_variables()
    for name in [name for name in os.environ if name.upper() in secret]:
        if os.environ[name]:
            _erased.add(name.upper())
        erase_variable(name)


def variables_set() -> set[str]:
    """Return the names of the environment variables that have a value, or had one that was erased, in upper case."""
    return {name.upper() for name, value in os.environ.items() if value} | _erased


def all_settings() -> Iterator[tuple[str, str, Any, str]]:
    """Yield (section, key, default, help) of every setting, in the order of the example file, but for those of sources."""
    for section, field in Settings.model_fields.items():
        if isinstance(field.default, Section):
            yield from _settings_of(section, type(field.default))


def source_settings() -> Iterator[tuple[str, str, Any, str]]:
    """Yield ("sources", key, default, help) of every setting that a source has."""
    return _settings_of(_SOURCES, SourceSettings)


def _settings_of(name: str, section: type[Section]) -> Iterator[tuple[str, str, Any, str]]:
    for key, setting in section.model_fields.items():
        yield name, key, setting.default, setting.description or ""


def origins(file: Path | None = None) -> dict[tuple[str, str], str]:
    """Where each setting that isn't left at its default comes from, for people: an environment variable, or a line of the file.

    `file` as for `load_settings`, which has read it. Raises SettingsError.
    """
    source = _Source(file or Path(DEFAULT_FILE))
    variables = variables_set()
    plain = {path: name for name, path in PLAIN_VARIABLES.items() if name in variables}
    found = {}
    for section, key, _, _ in all_settings():
        path = (section, key)
        if (variable := _variable(path)) in variables:
            found[path] = f"environment variable {variable}"
        elif path in plain:
            found[path] = f"environment variable {plain[path]}"
        elif key in source.data.get(section, ()):
            found[path] = source.place(path)
    return found


def _with_absolute_paths(settings: Settings, base: Path) -> Settings:
    def anchored(section: Section, folder: Path) -> Section:
        return section.model_copy(update={"folder": base / folder})

    answer = settings.answer
    if answer.calibration is not None:
        answer = answer.model_copy(update={"calibration": base / answer.calibration})
    generator = settings.generator
    if generator.adapter is not None:
        generator = generator.model_copy(update={"adapter": base / generator.adapter})
    return settings.model_copy(
        update={
            "knowledge": anchored(settings.knowledge, settings.knowledge.folder),
            "storage": anchored(settings.storage, settings.storage.folder),
            "answer": answer,
            "generator": generator,
        }
    )


# Replacements for messages of pydantic that only programmers understand, by kind of error.
_MESSAGES = {
    "model_type": "this is a section, which begins with its name in brackets on a line of its own",
    "path_type": "input should be a path, in quotes",
    "string_pattern_mismatch": "input should begin with http:// or https:// and have no spaces",
}


class _Source:
    """The settings file, with descriptions of problems in it or in the environment."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lines: list[str] = []
        self.data: dict[str, Any] = {}
        if not file.is_file():
            return
        try:
            text = file.read_text(encoding="utf-8-sig")  # some editors put a mark at the beginning
            self.data = tomllib.loads(text)
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError([f"{file}: can't be read: {error}"]) from error
        except tomllib.TOMLDecodeError as error:
            raise SettingsError([f"{file}: not valid TOML: {error}; text values stand in quotes"]) from error
        self._lines = text.split("\n")

    def describe(self, location: tuple[int | str, ...], kind: str, message: str) -> str:
        path = tuple(str(part) for part in location)
        variable = _variable(path)
        in_environment = any(value and name.upper() == variable for name, value in os.environ.items())
        place = f"environment variable {variable}" if in_environment else f"{self.place(path)}: {'.'.join(path)}"
        if kind == "extra_forbidden":
            return f"{place}: there is no such setting{_suggestion(path, in_environment)}"
        if path == (_SOURCES,) and kind == "tuple_type":
            return f"{place}: each source begins with [[{_SOURCES}]] on a line of its own"
        message = _MESSAGES.get(kind, message.removeprefix("Value error, "))
        return f"{place}: {message[:1].lower()}{message[1:]}"

    def place(self, path: tuple[str, ...]) -> str:
        """Return `bot.toml line 7`, or the file alone if the line can't be found."""
        section: tuple[str, ...] = ()
        blocks: Counter[str] = Counter()
        for number, line in enumerate(self._lines, start=1):
            if header := re.match(r"\s*\[(\[?)\s*([^\]]+?)\s*\]", line):
                repeated, name = header.groups()
                section = (name, str(blocks[name])) if repeated else (name,)
                blocks[name] += 1
                if path == section:
                    return f"{self._file} line {number}"
            elif section == path[:-1] and re.match(rf"\s*[\"']?{re.escape(path[-1])}[\"']?\s*=", line):
                return f"{self._file} line {number}"
        return str(self._file)


def _plain_variables() -> dict[str, Any]:
    return {
        section: {key: os.environ[name]} for name, (section, key) in PLAIN_VARIABLES.items() if os.environ.get(name)
    }


def _unknown_variables() -> Iterator[str]:
    """Yield problems with variables that have our prefix and name no setting; validation finds wrong keys in sections."""
    for name in os.environ:
        if name.upper().startswith(ENVIRONMENT_PREFIX) and name != CONFIG_VARIABLE:
            path = tuple(name[len(ENVIRONMENT_PREFIX) :].lower().split(_DELIMITER))
            if path[0] not in Settings.model_fields or path[0] == _SOURCES or len(path) != 2:
                yield f"environment variable {name}: there is no such setting{_suggestion(path, in_environment=True)}"


def _variable(path: tuple[str, ...]) -> str:
    return ENVIRONMENT_PREFIX + _DELIMITER.join(path).upper()


# Settings of earlier versions. One with a similar name is not meant by them.
_FORMER = frozenset(
    {
        "discord.messages",
        "http.body_bytes",
        "http.connections",
        "limits.window_seconds",
        "queue.late_seconds",
        "telegram.poll_seconds",
        "telegram.stale_seconds",
        "telegram.webhook_secret",
    }
)


def _suggestion(path: tuple[str, ...], in_environment: bool) -> str:
    """Suggest a similar name: a key of the same section, or else any setting or section."""
    if ".".join(path) in _FORMER:
        return " any more; remove it (bot.example.toml lists all settings)"
    known: dict[str, tuple[str, ...]] = {f"{section}.{key}": (section, key) for section, key, _, _ in all_settings()}
    if not in_environment:
        known |= {section: (section,) for section in Settings.model_fields}
    name = ".".join(path)
    if path[0] == _SOURCES and len(path) == 3:
        known = {key: (key,) for _, key, _, _ in source_settings()}
        name = path[2]
    elif path[0] in Settings.model_fields and len(path) == 2:
        known = {key: (path[0], key) for section, key, _, _ in all_settings() if section == path[0]}
        name = path[1]
    for close in difflib.get_close_matches(name, known, n=1, cutoff=0.6):
        return f"; did you mean {_variable(known[close]) if in_environment else '.'.join(known[close])}?"
    return "; remove it (bot.example.toml lists all settings)"
