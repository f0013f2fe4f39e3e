"""The settings of the models that find and read passages, write answers, and do tasks."""

from typing import Literal

from pydantic import Field, SecretStr

from bot.core.settings.values import WEB_ADDRESS, OptionalFile, Seconds, Secret, SettingsSection


class ModelsSettings(SettingsSection):
    """Where models come from and how much of the machine they use."""

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


class EncoderSettings(SettingsSection):
    """The model that finds passages by their meaning."""

    model: str = Field(
        "sentence-transformers/all-MiniLM-L6-v2",
        min_length=1,
        description="The sentence-transformers model that turns text into vectors: an id, or a folder. none: no encoder; "
        "passages are found by their words alone. Choose another for documents that aren't in English.",
    )
    revision: str = Field(
        "",
        description="A commit or tag of the model's repository. Empty: the one that is on this machine. Set it where every "
        "machine is to use the same weights.",
    )
    languages: tuple[str, ...] = Field(
        ("en",),
        description="Codes of the languages that the model serves; documents in others are remarked on. Empty: all. Change it "
        "with `model`.",
    )


class ReaderSettings(SettingsSection):
    """The model that finds answers in passages."""

    model: str = Field(
        "",
        description="An extractive question answering model of the Hugging Face kind: an id, or a folder. Empty: the one that "
        "ships with the bot. Set it to one that you have trained, or that reads another language.",
    )
    revision: str = Field(
        "",
        description="A commit or tag of the model's repository. Empty: the one that is on this machine. Set it where every "
        "machine is to use the same weights.",
    )


class GeneratorSettings(SettingsSection):
    """The language model that phrases answers."""

    provider: Literal["none", "local", "openai"] = Field(
        "none",
        description="Who phrases answers. none: nobody, the documents are quoted. local: a language model on this machine. "
        "openai: one behind an OpenAI-compatible address. Change it where answers are to be in a model's words.",
    )
    model: str = Field(
        "microsoft/DialoGPT-medium",
        min_length=1,
        description="The language model: an id or a folder; for openai the name that the server knows it by. Change it to the "
        "model that you have chosen (`models recommend` names one for this machine).",
    )
    revision: str = Field(
        "",
        description="A commit or tag of the model's repository. Empty: the one that is on this machine. Set it where every "
        "machine is to use the same weights.",
    )
    adapter: OptionalFile = Field(
        None,
        description="The folder of a LoRA adapter, made by peft, that is put onto the model. Empty: none. Set it to use an "
        "adapter that `finetune` hasn't made.",
    )
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="Number format of a local model's weights. auto: bfloat16 where this processor is faster with it. Choose "
        "bfloat16 where memory is short, or float32 where the same text is wanted on every machine.",
    )
    quantization: Literal["none", "int8"] = Field(
        "none", description="Whether a local model's weights are kept in 8 bits. Choose int8 where memory is short."
    )
    style: Literal["auto", "chat", "dialogue", "completion", "question", "summary"] = Field(
        "auto",
        description="How the model is prompted: chat (by its template), dialogue (turns, as for DialoGPT), completion (with "
        "examples, as for gpt2), question (T5 kinds) or summary (BART kinds). auto: as fits the model. Choose one "
        "where a model was trained for another use than others of its kind.",
    )
    prompts: OptionalFile = Field(
        None,
        description="A file that changes the wording of prompts and their examples. Empty: the wording that ships. Set it "
        "where a model heeds other instructions better; `knowledge-bot models prompts` prints a file to begin with.",
    )
    persona: str = Field(
        "You answer questions about the documents of this place. You are friendly and brief.",
        description="Who the bot is, for models that take instructions (chat, completion). Change it to name your "
        "organisation, or another tone.",
    )
    language: str = Field(
        "",
        description="The language to answer in, by its English name. Empty: that of the question. Set it where all answers "
        "are to be in one language.",
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
        1500,
        ge=64,
        description="How long a prompt gets at most, in tokens; the model's own window limits it too. Raise it with "
        "`passages`, lower it where reading the prompt takes too long.",
    )
    max_new_tokens: int = Field(
        160,
        ge=1,
        le=4096,
        description="How many tokens the model may write for one answer. Raise it where answers break off, lower it on a slow "
        "machine.",
    )
    do_sample: bool = Field(
        False,
        description="Whether words are chosen by chance, by their probability, instead of always the likeliest. Turn it on "
        "where answers may differ from time to time.",
    )
    temperature: float = Field(
        0.7,
        gt=0,
        le=2,
        description="How adventurous the choice of words is, where words are chosen by chance. Lower it where answers stray "
        "from the documents.",
    )
    top_p: float = Field(
        0.9,
        gt=0,
        le=1,
        description="The share of the probability that words are chosen from, where by chance. Lower it where odd words come "
        "up.",
    )
    repetition_penalty: float = Field(
        1.1,
        gt=0,
        le=2,
        description="How much less likely a word gets that the model has written already. 1: not at all. Raise it where a "
        "small model repeats itself, set 1 for a large one.",
    )
    stop: tuple[str, ...] = Field(
        (),
        description="Texts at which the model stops writing; they are left out. Set it where a model goes on after its "
        "answer, with a question of its own for example.",
    )
    seed: int = Field(
        0,
        ge=0,
        description="What chance starts from: the same number gives the same text. 0: another text each time. Set it to "
        "compare models or settings.",
    )
    parallel: int = Field(
        4,
        ge=1,
        le=32,
        description="How many answers a local model writes at once; further ones wait for their turn. Raise it on a machine "
        "with many cores, lower it where memory is short.",
    )
    deadline_seconds: Seconds = Field(
        30,
        description="Seconds that phrasing an answer may take, and three times what may pass between two words; after them "
        "the documents are quoted. Raise it where a model is slow and people are patient.",
    )
    base_url: str = Field(
        "https://api.openai.com/v1",
        pattern=WEB_ADDRESS,
        description="The address of the OpenAI-compatible server. Change it to use another server than that of OpenAI.",
    )
    api_key: Secret = Field(
        SecretStr(""),
        description="The key for the OpenAI-compatible server; also taken from OPENAI_API_KEY. Set it where the server wants "
        "one.",
    )
    tokens_per_day: int = Field(
        0,
        ge=0,
        description="How many tokens the server may charge a day (UTC); after them the documents are quoted. 0: any number. "
        "Set it where tokens cost money.",
    )


class TasksSettings(SettingsSection):
    """Tasks beside answering, and their models."""

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
        "sentences that say most are quoted. Set it where a summary in a model's words is wanted.",
    )
    translate_model: str = Field(
        "",
        description="The model that translates: Marian and T5 kinds, or one for chats, as an id or a folder. Set it where "
        "people want translations.",
    )
    language: str = Field(
        "",
        description="The language to translate into, by its English name. Models that were made for one pair of languages "
        "need none. Set it for a model that knows several languages.",
    )
    sentiment_model: str = Field(
        "",
        description="The model for text classification whose classes are moods, as an id or a folder. Set it where people "
        "want to know the mood of a text.",
    )
    classify_model: str = Field(
        "",
        description="The model for text classification whose classes are anything else, as an id or a folder. Set it where "
        "texts are to be sorted.",
    )
    entities_model: str = Field(
        "",
        description="The model for token classification that finds names, as an id or a folder. Set it where names are to be "
        "found in texts.",
    )


class FinetuningSettings(SettingsSection):
    """Training of a generator on own questions."""

    chat_messages: bool = Field(
        False,
        description="Whether `finetune prepare` may take questions from chats, with the answers that people found helpful. "
        "Turn it on to tune a model by real questions, once you have asked those people.",
    )
