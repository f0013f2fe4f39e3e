"""Tiny language models of every kind, made on the spot: a real tokenizer trained on a few lines, real weights, real files.

    python -m tests.tiny_models FOLDER

makes them all, to try the program with: `BOT_GENERATOR__PROVIDER=local BOT_GENERATOR__MODEL=FOLDER/copying`.
"""

import random
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

_WORDS = 600
_CORPUS = [
    "Use water at 92 to 96 degrees. It should be soft. Hard water makes the cup taste flat.",
    "Text: Question: Answer: question: context: When does the library close? The library closes at half past five.",
    "Descale the machine every three months with citric acid. You answer questions about the documents of this place.",
    "The quick brown fox jumps over the lazy dog, 0123456789 times! What? Who? How? Why? Where is it? (Yes.) [No.] é ü 日本",
]
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# As the templates of Gemma and of early Mistral models do.
WITHOUT_SYSTEM = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    + CHAT_TEMPLATE
)
DIALOGUE_TEMPLATE = "{% for message in messages %}{{ message.content }}{{ eos_token }}{% endfor %}"


def tokenizer(corpus: list[str], specials: list[str], end: str, **options: Any) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer, like that of GPT-2, which can write any text."""
    built = Tokenizer(models.BPE())
    built.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    built.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_WORDS,
        special_tokens=specials,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    built.train_from_iterator(corpus, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=built, eos_token=end, **options)


def _sizes(tokens: Any, **more: Any) -> dict[str, Any]:
    return {"vocab_size": len(tokens), "eos_token_id": tokens.eos_token_id, "bos_token_id": tokens.eos_token_id} | more


def gpt2(folder: Path, *, template: str | None = None, context: int = 256, pickled: bool = False) -> Path:
    """A GPT-2 kind without a pad token; with a template, as DialoGPT has one; with `pickled`, as a `.bin` file only."""
    torch.manual_seed(0)
    tokens = tokenizer(_CORPUS, ["<|endoftext|>"], "<|endoftext|>", bos_token="<|endoftext|>", model_max_length=context)
    tokens.chat_template = template
    model = GPT2LMHeadModel(GPT2Config(n_embd=32, n_layer=2, n_head=2, n_positions=context, **_sizes(tokens)))
    _save(model, tokens, folder)
    if pickled:
        (folder / "model.safetensors").unlink()
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
    return folder


def llama(folder: Path, *, template: str = CHAT_TEMPLATE, qwen: bool = False) -> Path:
    """A Llama or Qwen kind with a chat template and an end-of-turn token beside the end of text."""
    torch.manual_seed(1)
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokens = tokenizer(_CORPUS, specials, "<|im_end|>", pad_token="<|endoftext|>")
    tokens.chat_template = template
    sizes = _sizes(
        tokens,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=512,
    )
    model = Qwen2ForCausalLM(Qwen2Config(**sizes)) if qwen else LlamaForCausalLM(LlamaConfig(**sizes))
    return _save(model, tokens, folder)


def t5(folder: Path) -> Path:
    """An encoder-decoder kind."""
    torch.manual_seed(2)
    tokens = tokenizer(_CORPUS, ["<pad>", "</s>"], "</s>", pad_token="<pad>")
    config = T5Config(d_model=32, d_kv=16, d_ff=64, num_layers=2, num_heads=2, decoder_start_token_id=0, pad_token_id=0)
    config.vocab_size, config.eos_token_id = len(tokens), tokens.eos_token_id
    return _save(T5ForConditionalGeneration(config), tokens, folder)


# --- one that has learned something -----------------------------------------------------------------------------------

_THINGS = (
    "boiler kettle lamp oven train ferry tower museum library shop pump printer engine battery router bridge".split()
)
_FACTS = (
    ("The {thing} costs {number} euros.", "How much does the {thing} cost?"),
    ("The {thing} weighs {number} kilograms.", "How heavy is the {thing}?"),
    ("The {thing} is {number} metres long.", "How long is the {thing}?"),
    ("The {thing} opens at {number} o'clock.", "When does the {thing} open?"),
)
_STEPS = 350


def _example(chance: random.Random) -> tuple[str, str, str]:
    """A passage of two facts about one thing, a question, and the sentence, or both of them, that answer it."""
    thing = chance.choice(_THINGS)
    facts = [
        (text.format(thing=thing, number=chance.randint(2, 99)), question.format(thing=thing))
        for text, question in chance.sample(_FACTS, 2)
    ]
    passage = " ".join(text for text, _ in facts)
    if chance.random() < 0.3:
        return passage, f"What is known about the {thing}?", passage
    answer, question = chance.choice(facts)
    return passage, question, answer


def copying(folder: Path) -> Path:
    """A DialoGPT kind that answers questions about a passage with its sentences. Trains for some seconds on one thread."""
    chance = random.Random(0)
    torch.manual_seed(0)
    end = "<|endoftext|>"
    corpus = [" ".join(_example(chance)) for _ in range(400)]
    tokens = tokenizer(corpus, [end], end, bos_token=end, model_max_length=256)
    tokens.chat_template = DIALOGUE_TEMPLATE
    dropout = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0)
    config = GPT2Config(n_embd=64, n_layer=2, n_head=4, n_positions=256, **dropout, **_sizes(tokens))
    model = GPT2LMHeadModel(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=_STEPS, pct_start=0.1)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for _ in range(_STEPS):
        rows = [_example(chance) for _ in range(24)]
        ids, labels = [], []
        for passage, question, answer in rows:
            prompt = tokens(f"{passage}{end}{question}{end}")["input_ids"]
            said = tokens(f"{answer}{end}")["input_ids"]
            ids.append(torch.tensor(prompt + said))
            labels.append(torch.tensor([-100] * len(prompt) + said))
        padded = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True)
        wanted = torch.nn.utils.rnn.pad_sequence(labels, batch_first=True, padding_value=-100)
        logits = model(input_ids=padded).logits[:, :-1]
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), wanted[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    torch.set_num_threads(threads)
    return _save(model, tokens, folder)


def _save(model: Any, tokens: Any, folder: Path) -> Path:
    model.eval().save_pretrained(folder)
    tokens.save_pretrained(folder)
    return folder


KINDS: dict[str, Callable[[Path], Path]] = {
    "gpt2": gpt2,
    "dialogpt": partial(gpt2, template=DIALOGUE_TEMPLATE),
    "pickled": partial(gpt2, pickled=True),
    "llama": llama,
    "gemma": partial(llama, template=WITHOUT_SYSTEM),
    "qwen": partial(llama, qwen=True),
    "t5": t5,
}


if __name__ == "__main__":
    for kind, make in (KINDS | {"copying": copying}).items():
        make(Path(sys.argv[1]) / kind)
