"""The settings of the models: those that find and read passages, write answers, and do tasks."""

from typing import Literal

from pydantic import Field, SecretStr

from bot.core.settings.values import WEB_ADDRESS, OptionalFile, Seconds, Secret, Section


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
    languages: tuple[str, ...] = Field(
        ("en",),
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
        "https://api.openai.com/v1", pattern=WEB_ADDRESS, description="The address of the OpenAI-compatible server."
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
