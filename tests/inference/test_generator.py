"""Local language models of every kind, made on the spot, through the real loading and generating code."""

import asyncio
import os
import shutil
import sys
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import peft
import pytest
import torch

from bot.core.errors import EngineBusy, GenerationFailed, WeightsError
from bot.core.messages import Turn
from bot.core.settings import GeneratorSettings, ModelsSettings
from bot.inference.generator import GeneratedText, GenerationWorker, Generator, LocalModel, load_model, load_parts
from bot.inference.prompt_cache import PromptCache
from bot.inference.prompter import Encoded
from bot.inference.prompts import Excerpt, Instruction, PromptContent, Style

CONTENT = PromptContent(
    "how hot should the water be?",
    (Excerpt("Guide › Water", "Use water at 92 to 96 degrees. It should be soft."),),
    persona="You are kind.",
)


def load(model: str, **settings) -> LocalModel:
    defaults = {"provider": "local", "model": model, "dtype": "float32", "max_new_tokens": 12}
    return load_model(GeneratorSettings(**defaults | settings), ModelsSettings())


@pytest.fixture
async def worker_of():
    workers = []

    def make(model: LocalModel, **options) -> GenerationWorker:
        workers.append(GenerationWorker("test", lambda: model, **{"side_by_side": 4, "capacity": 8} | options))
        return workers[-1]

    yield make
    for worker in workers:
        await worker.close()


@pytest.mark.parametrize(
    ("kind", "prompt"),
    [
        ("qwen", "<|im_start|>user\nSummarise it.\n\nUse soft water.<|im_end|>\n<|im_start|>assistant\n"),
        ("gpt2", "Use soft water.\n\nSummary:"),
        ("dialogpt", "Use soft water.<|endoftext|>"),
        ("t5", "summarize: Use soft water."),
        ("bart", "Use soft water."),
    ],
)
def test_every_kind_of_model_is_told_what_to_do_in_its_own_form(tiny, kind, prompt):
    """And a text that is too long loses its end, not what is to be done with it."""
    model = load(tiny(kind))
    instruction = Instruction("Use soft water.", "Summarise it.", "summarize: ", "Summary")
    assert model.prompter.text(model.encode(instruction).tokens) == prompt
    budget, _ = model.prompter.token_limits
    long = model.encode(replace(instruction, text="Use soft water. " * budget)).tokens
    assert len(long) <= budget
    beginning, _, end = prompt.partition("Use soft water.")
    shown = model.prompter.text(long)
    assert shown.startswith(beginning + "Use soft water. Use")
    assert shown.endswith(end)


async def written(generator: Generator, prompt: PromptContent | str) -> str:
    return "".join([piece async for piece in generator.stream(prompt)])


def threads() -> list[threading.Thread]:
    """The threads of the workers that a test has started, also those that were given up."""
    return [thread for thread in threading.enumerate() if thread.name == "worker-test"]


def alone(folder: str, prompt: str) -> str:
    """What plain `generate` writes, token by token the likeliest."""
    network, tokenizer = load_parts(Path(folder), torch.float32)
    ids = tokenizer(prompt, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        out = network.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, do_sample=False, pad_token_id=0
        )
    return tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True)


def computed_by(model: LocalModel) -> list[int]:
    """How many tokens each step of the model computes, from now on."""
    computed: list[int] = []
    model.network.register_forward_pre_hook(
        lambda _, __, given: computed.append(given["input_ids"].shape[1]), with_kwargs=True
    )
    return computed


# --- kinds of models --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "style", "part"),
    [
        ("gpt2", Style.COMPLETION, "Question: how hot should the water be?\nAnswer:"),
        ("pickled", Style.COMPLETION, "Answer:"),
        ("neo", Style.COMPLETION, "Answer:"),
        ("mistral", Style.COMPLETION, "Answer:"),
        ("dialogpt", Style.DIALOGUE, "It should be soft.<|endoftext|>how hot should the water be?<|endoftext|>"),
        ("llama", Style.CHAT, "<|im_start|>system\nYou are kind."),
        ("llama3", Style.CHAT, "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nYou are kind."),
        ("qwen", Style.CHAT, "<|im_start|>assistant\n"),
        ("qwen3", Style.CHAT, "<|im_start|>assistant\n<think>\n\n</think>\n\n"),
        ("gemma", Style.CHAT, "<bos><start_of_turn>user\nYou are kind."),
        ("deepseek", Style.CHAT, "Question: how hot should the water be?<｜Assistant｜>"),
        ("deepseek-r1", Style.CHAT, "<｜Assistant｜><think>\n\n</think>\n\n"),
        ("t5", Style.QUESTION, "question: how hot should the water be? context: Use water"),
        ("bart", Style.SUMMARY, "Use water at 92 to 96 degrees. It should be soft."),
    ],
)
async def test_every_kind_of_model_is_prompted_in_its_own_form_and_writes(tiny, worker_of, kind, style, part):
    """Causal and encoder-decoder, with and without a template, a system role, a pad token, safetensors; the token that begins
    a text stands once, and a thought that the template opens is closed."""
    model = load(tiny(kind))
    assert model.style is style
    prompt = model.prompter.text(model.encode(CONTENT).tokens)
    assert part in prompt
    assert prompt.count("<bos>") <= 1
    assert prompt.count("<think>") == prompt.count("</think>")
    assert isinstance(await written(worker_of(model), CONTENT), str)


@pytest.mark.parametrize(
    ("kind", "ends"),
    [
        ("gpt2", {"<|endoftext|>"}),
        ("neo", {"<|endoftext|>"}),
        ("dialogpt", {"<|endoftext|>"}),
        ("llama", {"<|im_end|>"}),
        ("llama3", {"<|eot_id|>", "<|end_of_text|>"}),
        ("qwen", {"<|im_end|>", "<|endoftext|>"}),
        ("gemma", {"<eos>", "<end_of_turn>"}),
        ("deepseek", {"<｜end▁of▁sentence｜>"}),
        ("t5", {"</s>"}),
        ("bart", {"</s>"}),
    ],
)
async def test_every_kind_of_model_stops_at_its_own_tokens(tiny, kind, ends):
    """Those of its tokenizer, and those that its generation config names beside: the end of a turn and of a text."""
    model = load(tiny(kind))
    assert set(map(model.tokenizer.decode, model.prompter.ends)) == ends
    for end in model.prompter.ends:
        pieces: list[str] = []
        text = GeneratedText(Encoded(model.tokenizer("Use soft water.")["input_ids"], 99), pieces.append)
        text.begin(model.tokenizer, model.prompter.ends)
        assert [text.take(token) for token in (*model.tokenizer("Yes.", add_special_tokens=False)["input_ids"], end)][
            -1
        ]
        assert "".join(pieces) == "Yes."


def test_a_model_that_searches_by_itself_writes_as_the_settings_say(tiny):
    """Its own configuration asks for beams, a least and a greatest length, as that of bart-large-cnn does."""
    model = load(tiny("bart"), repetition_penalty=1.0)
    own, _ = load_parts(Path(tiny("bart")), torch.float32)
    assert (own.generation_config.num_beams, own.generation_config.min_length) == (4, 56)
    text = GeneratedText(model.encode(CONTENT), lambda _: None)
    model.write([text])
    assert len(text.tokens) <= 12
    ids = torch.tensor([text.encoded.tokens])
    likeliest = {"num_beams": 1, "min_length": 0, "length_penalty": 1.0, "no_repeat_ngram_size": 0}
    own.generation_config.update(max_length=None, early_stopping=False, **likeliest)
    with torch.inference_mode():
        [[_, *expected]] = own.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=12).tolist()
    assert text.tokens == [token for token in expected if token not in model.prompter.ends]


def test_dialogpt_is_known_by_its_name_and_an_operator_may_decide_otherwise(tiny, tmp_path):
    """Old copies of it come without a template."""
    plain = tmp_path / "DialoGPT-tiny"
    plain.symlink_to(tiny("gpt2"))
    assert load(str(plain)).style is Style.DIALOGUE
    assert load(tiny("llama"), style="completion").style is Style.COMPLETION


async def test_texts_written_side_by_side_are_those_written_alone(tiny, worker_of):
    """Whatever the length of the prompts; so are those of plain `generate`."""
    model = load(tiny("llama"), repetition_penalty=1.0)
    prompts = ["The quick brown", "Hi", "Use water at 92 to 96 degrees. It should be soft. Hard water"]
    together = await asyncio.gather(*(written(worker_of(model), prompt) for prompt in prompts))
    assert together == [alone(tiny("llama"), prompt) for prompt in prompts]


async def test_a_text_that_copies_takes_fewer_steps_and_stays_the_same(copying, worker_of):
    """Words are taken from the prompt where the model would have written them; each token is passed on by itself."""
    model = load(copying, repetition_penalty=1.0)
    passage = "The boiler weighs 62 kilograms. The boiler costs 42 euros."
    prompt = f"{passage}<|endoftext|>What is known about the boiler?<|endoftext|>"
    steps = computed_by(model)
    pauses: list[object] = []
    pieces = [piece async for piece in worker_of(model, pause=lambda: pauses.append(None)).stream(prompt)]
    assert len(steps) < len(pauses) == 12
    assert "".join(pieces) == alone(copying, prompt)


ASKED = [
    replace(CONTENT, question=question, excerpts=(Excerpt("Guide", text),))
    for question, text in (
        ("how hot should the water be?", "Use water at 92 to 96 degrees. It should be soft."),
        ("when does the library close?", "The library opens at nine and closes at five. On Sundays it is closed."),
        ("when does it open?", "The library opens at nine and closes at five. On Sundays it is closed."),
        ("when does it open?", "The library opens at nine and closes at five. On Sundays it is closed."),
        ("why?", "Yes."),
    )
]


@pytest.mark.parametrize("kind", ["gpt2", "neo", "dialogpt", "llama", "llama3", "qwen", "qwen3", "deepseek"])
def test_the_beginning_of_the_last_prompt_is_not_computed_again(tiny, kind):
    """The texts are those of a model that has nothing kept. A longer prompt, a shorter one and the same one follow; and texts
    side by side between them."""

    def writer() -> Callable[..., list[tuple[list[int], int]]]:
        """A loaded model, which returns the tokens of each text, and how many the first step has computed."""
        model = load(tiny(kind))
        computed = computed_by(model)

        def write(*contents: PromptContent) -> list[tuple[list[int], int]]:
            before = len(computed)
            texts = [GeneratedText(model.encode(content), lambda _: None) for content in contents]
            model.write(texts)
            return [(text.tokens, computed[before]) for text in texts]

        return write

    write = writer()
    first, *others = kept = [write(content)[0] for content in ASKED]
    beside = write(*ASKED[:2])
    again = write(ASKED[-1])[0]
    fresh = [writer()(content)[0] for content in ASKED]
    assert [tokens for tokens, _ in kept] == [tokens for tokens, _ in fresh]
    assert [tokens for tokens, _ in beside] == [tokens for tokens, _ in fresh[:2]]
    assert again[0] == fresh[-1][0]
    assert first[1] == fresh[0][1]
    # The turns of a dialogue differ from their first token on.
    shorter = [reused < whole for (_, reused), (_, whole) in zip(others, fresh[1:], strict=True)]
    assert shorter == ([False, True, True, False] if kind == "dialogpt" else [True] * 4)


@pytest.mark.parametrize("kind", ["gpt2", "neo"])
def test_nothing_beyond_the_window_is_tried(tiny, kind):
    """Where prompt and answer fill the window, words of the prompt that are tried behind the answer would stand outside."""
    model = load(tiny(kind), max_new_tokens=12)
    for end in ("says", "Sentence number", "Sentence number 3 says", "nothing. Sentence"):
        text = GeneratedText(model.encode("Sentence number 3 says nothing. " * 40 + end), lambda _: None)
        assert len(text.encoded.tokens) + text.encoded.new == model.prompter.context
        model.write([text])


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_no_more_than_one_prompt_is_kept(tiny, kind):
    """Without the answer behind it."""
    network, tokenizer = load_parts(Path(tiny(kind)), torch.float32)
    cache = PromptCache(network)
    for prompt in ("The quick brown fox", "Use water at 92 to 96 degrees. It should be soft.", "Use water"):
        tokens = tokenizer(prompt)["input_ids"]
        given = cache.cache_for(tokens)
        network.generate(torch.tensor([tokens]), past_key_values=given, max_new_tokens=5, pad_token_id=0)
        assert given.get_seq_length() > len(tokens)
        cache.keep(tokens, given)
    # The last token of a prompt is computed in any case.
    assert cache.cache_for([*tokens, *tokens]).get_seq_length() == len(tokens)


def test_nothing_is_kept_of_a_text_that_failed(tiny):
    """Its state may be half written."""
    model = load(tiny("llama"))
    encoded, computed = model.encode(ASKED[0]), computed_by(model)

    def fail() -> None:
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError):
        model.write([GeneratedText(encoded, lambda _: None)], pause=fail)
    first_steps = []
    for _ in range(2):
        computed.clear()
        model.write([GeneratedText(encoded, lambda _: None)])
        first_steps.append(computed[0])
    assert first_steps[0] >= len(encoded.tokens) > first_steps[1]  # more, because words of the prompt are tried with it


@pytest.mark.parametrize("kind", ["gemma", "mistral", "t5", "bart"])
def test_a_model_that_cannot_go_back_keeps_no_prompt(tiny, kind):
    """Its layers forget what lies before a window, or it reads the prompt with an encoder."""
    network, _ = load_parts(Path(tiny(kind)), torch.float32)
    assert not PromptCache(network).possible
    model = load(tiny(kind))
    one, same = [GeneratedText(model.encode(ASKED[0]), lambda _: None) for _ in range(2)]
    model.write([one])
    model.write([same])
    assert one.tokens == same.tokens


async def test_text_comes_while_it_is_written(tiny, worker_of):
    """Token by token, in pieces that make up the whole."""
    pieces = [piece async for piece in worker_of(load(tiny("llama"))).stream("The quick brown fox")]
    assert len(pieces) > 5
    assert "".join(pieces) == await written(worker_of(load(tiny("llama"))), "The quick brown fox")


@pytest.mark.skipif(sys.platform != "linux", reason="niceness of one thread")
async def test_reading_goes_before_writing(tiny, worker_of):
    """Where both want a core; the rest of the process is as nice as it was."""
    seen: list[int] = []
    before = os.getpriority(os.PRIO_PROCESS, 0)
    worker = worker_of(load(tiny("gpt2")), pause=lambda: seen.append(os.getpriority(os.PRIO_PROCESS, 0)))
    await written(worker, CONTENT)
    assert min(seen) > before == os.getpriority(os.PRIO_PROCESS, 0)


async def test_sampling_repeats_with_a_seed_and_differs_without(tiny, worker_of):
    """Chance can be repeated."""
    sampled = {"do_sample": True, "temperature": 1.5, "top_p": 1.0}
    one, two = [await written(worker_of(load(tiny("llama"), seed=7, **sampled)), "The") for _ in range(2)]
    assert one == two
    worker = worker_of(load(tiny("llama"), **sampled))
    assert len({await written(worker, "The") for _ in range(4)}) > 1


async def test_writing_ends_at_a_stop(tiny, worker_of):
    """Which is left out, also where it comes in two tokens."""
    whole = await written(worker_of(load(tiny("llama"))), "The quick")
    stop = whole[4:7]
    cut = await written(worker_of(load(tiny("llama"), stop=(stop,))), "The quick")
    assert cut == whole[: whole.index(stop)]


@pytest.mark.parametrize(
    ("kind", "text"), [("llama", "Soft water.\n\nQuestion: And how much?"), ("gpt2", "Soft water.\n\nText: More.")]
)
def test_an_answer_ends_where_the_model_goes_on_with_the_prompt(tiny, kind, text):
    """With another question or document of its own."""
    model = load(tiny(kind))
    said: list[str] = []
    row = GeneratedText(replace(model.encode(CONTENT), new=99), said.append)
    row.begin(model.tokenizer, model.prompter.ends)
    assert any(row.take(token) for token in model.tokenizer(text, add_special_tokens=False)["input_ids"])
    assert "".join(said).strip() == "Soft water."


def test_a_thought_is_not_said_aloud(tiny):
    """Models that think first write it down in a tag of their own."""
    tokenizer = load(tiny("llama")).tokenizer
    told: list[str] = []
    row = GeneratedText(Encoded([1], 99), told.append)
    row.begin(tokenizer, frozenset())
    for token in tokenizer("<think>\nHm, 92?\n</think>\n\nUse water.")["input_ids"]:
        row.take(token)
    row.finish()
    assert "".join(told) == "Use water."


async def test_what_was_said_before_goes_to_the_model(tiny):
    """Oldest first, as messages of their own."""
    content = replace(CONTENT, turns=(Turn("Who are you?", "A bot."),))
    model = load(tiny("llama"))
    prompt = model.prompter.text(model.encode(content).tokens)
    assert "user\nWho are you?<|im_end|>\n<|im_start|>assistant\nA bot.<|im_end|>" in prompt


@pytest.mark.parametrize("kind", ["gpt2", "dialogpt", "llama", "t5"])
def test_a_prompt_fits_the_window_with_room_for_the_answer(tiny, kind):
    """However long passages, turns and question are."""
    model = load(tiny(kind), prompt_tokens=400, max_new_tokens=100)
    long = " ".join(f"Sentence number {n} says nothing." for n in range(300))
    content = PromptContent(
        "why? " * 400, (Excerpt("a", long), Excerpt("b", long)), tuple(Turn(long, long) for _ in range(3)), "Kind."
    )
    encoded = model.encode(content)
    assert 0 < len(encoded.tokens) <= min(400, (model.prompter.context or 400) - (0 if kind == "t5" else encoded.new))


# --- weights ----------------------------------------------------------------------------------------------------------


def test_weights_in_8_bits_take_less_memory_and_write_alike(tiny):
    """Also those that GPT-2 kinds keep in Conv1D, which quantisers for linear layers pass over."""
    whole, small = load(tiny("gpt2"), dtype="bfloat16"), load(tiny("gpt2"), quantization="int8")

    def size(model: LocalModel) -> int:
        layers = model.network.transformer.h
        return sum(t.nbytes for t in (*layers.parameters(), *layers.buffers()))

    assert size(small) < 0.62 * size(whole)
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.inference_mode():
        logits = [model.network(input_ids=ids).logits[0, -1].float() for model in (whole, small)]
        longer = [model.network(input_ids=ids.repeat(1, 9)).logits[0, -1].float() for model in (whole, small)]
    assert torch.cosine_similarity(*logits, dim=0) > 0.99
    assert torch.cosine_similarity(*longer, dim=0) > 0.99


@pytest.fixture
def adapter(tiny, tmp_path) -> Path:
    """A LoRA folder of peft that changes a lot."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its old names
        adapted = peft.get_peft_model(
            load(tiny("llama")).network, peft.LoraConfig(r=4, target_modules=["q_proj"], task_type="CAUSAL_LM")
        )
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.constant_(parameter, 3.0)
    adapted.save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter"


async def test_an_adapter_changes_what_the_model_writes(tiny, tmp_path, adapter, worker_of):
    """A LoRA folder of peft; one that is none is refused with its name."""
    base, changed = load(tiny("llama")), load(tiny("llama"), adapter=adapter)
    assert await written(worker_of(changed), "The quick") != await written(worker_of(base), "The quick")
    with pytest.raises(WeightsError, match=r"adapter_config\.json"):
        load(tiny("llama"), adapter=tmp_path)


def test_an_incomplete_or_foreign_folder_is_named(tiny, tmp_path):
    """With what it lacks."""
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(WeightsError, match=r"lacks model\.safetensors"):
        load(str(tmp_path))
    (tmp_path / "model.safetensors").write_bytes(b"nonsense")
    with pytest.raises(WeightsError, match="can't be loaded"):
        load(str(tmp_path))


def test_a_pickle_that_runs_code_is_not_run(tiny, tmp_path):
    """Old checkpoints are pickles, of which only numbers are read."""
    folder = tmp_path / "evil"
    shutil.copytree(tiny("pickled"), folder)
    mark = tmp_path / "ran"

    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(mark),)

    torch.save({"transformer.wte.weight": Evil()}, folder / "pytorch_model.bin")
    with pytest.raises(WeightsError):
        load(str(folder))
    assert not mark.exists()


# --- control ----------------------------------------------------------------------------------------------------------


async def test_a_stream_that_is_closed_stops_the_model(tiny, worker_of):
    """Between two tokens, so that the next text can begin: to its end it would take a minute."""
    model = load(tiny("llama"), max_new_tokens=4000)
    worker = worker_of(model, pause=lambda: time.sleep(0.25))
    async with asyncio.timeout(5):
        for _ in range(2):
            async with aclosing(worker.stream("The")) as pieces:
                await anext(pieces)


async def test_a_model_that_raises_fails_its_own_text_only(tiny, worker_of):
    """The next one is written."""
    model = load(tiny("llama"))
    worker = worker_of(model)
    generate = model.network.generate

    def fail(**_):
        raise RuntimeError("out of memory")

    model.network.generate = fail
    with pytest.raises(GenerationFailed, match="RuntimeError"):
        await written(worker, "The")
    model.network.generate = generate
    assert await written(worker, "The")


async def test_a_model_that_hangs_hurts_no_later_question(tiny, worker_of, monkeypatch):
    """Who waits can give up, and another thread writes the next text. When the first one comes back, it ends."""
    monkeypatch.setattr("bot.inference.generator._STOPS_WITHIN", 0.05)
    hang, hanging = threading.Event(), iter([True])
    worker = worker_of(load(tiny("llama")), pause=lambda: next(hanging, False) and bool(hang.wait(20)))
    [stuck] = threads()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await written(worker, "The")
    await asyncio.sleep(0.1)
    async with asyncio.timeout(5):
        assert await written(worker, "The")
        hang.set()
        await asyncio.to_thread(stuck.join)
        assert await written(worker, "The")


async def test_a_model_that_always_hangs_is_given_up(tiny, worker_of, monkeypatch):
    """No more than a few threads are spent on it; others are told at once. Afterwards it works again."""
    monkeypatch.setattr("bot.inference.generator._STOPS_WITHIN", 0.05)
    hang = threading.Event()
    worker = worker_of(load(tiny("llama")), pause=lambda: bool(hang.wait(20)))
    for _ in range(4):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await written(worker, "The")
        await asyncio.sleep(0.1)
    with pytest.raises(GenerationFailed, match="hangs"):
        await written(worker, "The")
    hang.set()
    async with asyncio.timeout(5):
        while len(threads()) > 1:  # noqa: ASYNC110 - they tell nobody
            await asyncio.sleep(0.01)
        assert await written(worker, "The")


async def test_too_many_texts_are_refused(tiny, worker_of):
    """At once, so that the documents can be quoted."""
    hold = threading.Event()
    worker = worker_of(load(tiny("llama")), capacity=2, side_by_side=1, pause=lambda: bool(hold.wait(20)))
    waiting = [asyncio.create_task(written(worker, "The")) for _ in range(2)]
    await asyncio.sleep(0.1)
    with pytest.raises(EngineBusy):
        await written(worker, "The")
    hold.set()
    assert all(await asyncio.gather(*waiting))


async def test_closing_tells_who_waits_and_does_not_wait_for_a_model_that_hangs(tiny):
    """A stop of the bot takes no longer for it."""
    hold, model = threading.Event(), load(tiny("llama"))
    worker = GenerationWorker("test", lambda: model, side_by_side=1, capacity=4, pause=lambda: bool(hold.wait(20)))
    waiting = [asyncio.create_task(written(worker, "The")) for _ in range(2)]
    await asyncio.sleep(0.1)
    await worker.close(wait_seconds=0.2)
    assert threads(), "it hangs all the same"
    for result in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(result, GenerationFailed)
    with pytest.raises(GenerationFailed):
        await written(worker, "The")
    hold.set()
