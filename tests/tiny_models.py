"""Tiny language models of every kind, made on the spot: a real tokenizer trained on a few lines, real weights, real files.

    python -m tests.tiny_models FOLDER

makes them all, to try the program with: `BOT_GENERATOR__PROVIDER=local BOT_GENERATOR__MODEL=FOLDER/copying`.
"""

import json
import random
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    AutoModelForCausalLM,
    BartConfig,
    BartForConditionalGeneration,
    BertConfig,
    BertForSequenceClassification,
    BertForTokenClassification,
    DeepseekV3Config,
    Gemma3TextConfig,
    GenerationConfig,
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoConfig,
    LlamaConfig,
    MarianConfig,
    MarianMTModel,
    MarianTokenizer,
    MistralConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen3Config,
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
DIALOGUE_TEMPLATE = "{% for message in messages %}{{ message.content }}{{ eos_token }}{% endfor %}"
# In the tokens of the originals: they name roles in other words, write their own beginning, or open a thought.
GEMMA_TEMPLATE = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for message in messages %}<start_of_turn>{{ 'model' if message['role'] == 'assistant' else message['role'] }}\n"
    "{{ message['content'] }}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
LLAMA_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<|start_header_id|>{{ message['role'] }}<|end_header_id|>\n\n"
    "{{ message['content'] }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
DEEPSEEK_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ message['content'] }}"
    "{% elif message['role'] == 'user' %}<｜User｜>{{ message['content'] }}"
    "{% else %}<｜Assistant｜>{{ message['content'] }}<｜end▁of▁sentence｜>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<｜Assistant｜>{% endif %}"
)
THINKING_TEMPLATE = DEEPSEEK_TEMPLATE.replace("<｜Assistant｜>{% endif %}", "<｜Assistant｜><think>\n{% endif %}")
SWITCHED_TEMPLATE = CHAT_TEMPLATE.replace(
    "assistant\n{% endif %}",
    "assistant\n{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}{% endif %}",
)


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


def neo(folder: Path) -> Path:
    """A GPT-Neo kind, in which every second layer sees the nearest tokens only."""
    torch.manual_seed(3)
    tokens = tokenizer(_CORPUS, ["<|endoftext|>"], "<|endoftext|>", bos_token="<|endoftext|>", model_max_length=2048)
    attention = [[["global", "local"], 1]]
    sizes = {"hidden_size": 32, "num_layers": 2, "num_heads": 2, "attention_types": attention, "window_size": 32}
    return _causal(GPTNeoConfig(max_position_embeddings=256, **_sizes(tokens, **sizes)), tokens, folder)


_CHATML = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_DEPTH = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
_MIXED = {"n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "n_group": 1, "topk_group": 1}
_LATENT = {"q_lora_rank": 16, "kv_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 16}


def chat(
    folder: Path,
    *,
    config: type[Any] = LlamaConfig,
    template: str | None = CHAT_TEMPLATE,
    specials: tuple[str, ...] = _CHATML,
    end: str = "<|im_end|>",
    begin: str | None = None,
    also_ends: tuple[str, ...] = (),
    **sizes: Any,
) -> Path:
    """A kind with a chat template. `also_ends`: tokens that end a text too, as its generation config says."""
    torch.manual_seed(1)
    tokens = tokenizer(_CORPUS, list(specials), end, pad_token=specials[0], bos_token=begin)
    tokens.chat_template = template
    depth = _DEPTH | {"num_key_value_heads": 1, "max_position_embeddings": 512} | sizes
    _causal(config(**_sizes(tokens, pad_token_id=tokens.pad_token_id, **depth)), tokens, folder)
    if also_ends:
        ends = tokens.convert_tokens_to_ids([end, *also_ends])
        GenerationConfig(eos_token_id=ends, pad_token_id=tokens.pad_token_id).save_pretrained(folder)
    return folder


def bart(folder: Path) -> Path:
    """A summarising kind, whose configuration asks for beams and a least length, as that of bart-large-cnn does."""
    torch.manual_seed(4)
    tokens = tokenizer(
        _CORPUS, ["<s>", "<pad>", "</s>"], "</s>", pad_token="<pad>", bos_token="<s>", model_max_length=128
    )
    ends = {
        "bos_token_id": 0,
        "pad_token_id": 1,
        "eos_token_id": 2,
        "decoder_start_token_id": 2,
        "forced_eos_token_id": 2,
    }
    layers = {f"{part}_{name}": size for part in ("encoder", "decoder") for name, size in _PARTS.items()}
    config = BartConfig(vocab_size=len(tokens), d_model=32, max_position_embeddings=128, **layers, **ends)
    _save(BartForConditionalGeneration(config), tokens, folder)
    searching = {"num_beams": 4, "min_length": 56, "max_length": 142, "length_penalty": 2.0, "no_repeat_ngram_size": 3}
    GenerationConfig(early_stopping=True, **searching, **ends).save_pretrained(folder)
    return folder


_PARTS = {"layers": 2, "attention_heads": 2, "ffn_dim": 64}


def t5(folder: Path) -> Path:
    """An encoder-decoder kind."""
    torch.manual_seed(2)
    tokens = tokenizer(_CORPUS, ["<pad>", "</s>"], "</s>", pad_token="<pad>")
    config = T5Config(d_model=32, d_kv=16, d_ff=64, num_layers=2, num_heads=2, decoder_start_token_id=0, pad_token_id=0)
    config.vocab_size, config.eos_token_id = len(tokens), tokens.eos_token_id
    return _save(T5ForConditionalGeneration(config), tokens, folder)


_BERT = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
_NAMES = {0: "O", 1: "B-PER", 2: "I-PER", 3: "B-LOC", 4: "I-LOC"}


def _bert(folder: Path, kind: type[Any], labels: dict[int, str]) -> tuple[Any, Any]:
    """A BERT kind with a head for labels, and its tokenizer, of single words."""
    torch.manual_seed(5)
    vocabulary = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3}
    for word in "good great bad awful ann paul berlin paris is the was in and . , lives it a day".split():
        vocabulary[word] = len(vocabulary)
    built = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    built.normalizer = normalizers.Lowercase()
    built.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    built.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    specials = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    tokens = PreTrainedTokenizerFast(tokenizer_object=built, model_max_length=32, **specials)
    dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    config = BertConfig(vocab_size=len(vocabulary), max_position_embeddings=32, id2label=labels, **_BERT, **dropout)
    config.label2id = {name: number for number, name in labels.items()}
    return kind(config), tokens


def moods(folder: Path) -> Path:
    """A text classifier that has learned which words are glad and which annoyed."""
    model, tokens = _bert(folder, BertForSequenceClassification, {0: "NEGATIVE", 1: "POSITIVE"})
    glad, annoyed = "good great", "bad awful"
    texts = [
        f"{start} {word} {end}"
        for start in ("it is", "the day was")
        for word in (glad + " " + annoyed).split()
        for end in ("", ".", "and a day")
    ]
    wanted = torch.tensor([int(any(word in text for word in glad.split())) for text in texts])
    _learn(model, tokens(texts, padding=True, return_tensors="pt"), wanted)
    return _save(model, tokens, folder)


def names(folder: Path) -> Path:
    """A token classifier that has learned two people and two places."""
    model, tokens = _bert(folder, BertForTokenClassification, _NAMES)
    texts = [
        f"{person} lives in {place} and it is good ." for person in ("ann", "paul") for place in ("berlin", "paris")
    ]
    given = tokens(texts, padding=True, return_tensors="pt")
    known = {
        tokens.convert_tokens_to_ids(word): label
        for word, label in (("ann", 1), ("paul", 1), ("berlin", 3), ("paris", 3))
    }
    wanted = given["input_ids"].apply_(lambda token: known.get(token, 0))
    given = tokens(texts, padding=True, return_tensors="pt")
    _learn(model, given, wanted)
    return _save(model, tokens, folder)


def _learn(model: Any, given: Any, wanted: Any) -> None:
    """Teach a classifier its few examples by heart."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(60):
        logits = model(**given).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, -2), wanted.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def marian(folder: Path) -> Path:
    """A translating kind for one pair of languages, with tokenizers of the library sentencepiece."""
    import sentencepiece

    torch.manual_seed(6)
    folder.mkdir(parents=True)
    for side in ("source", "target"):
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(_CORPUS * 4),
            model_prefix=str(folder / side),
            vocab_size=120,
            minloglevel=2,
            hard_vocab_limit=False,
        )
        (folder / f"{side}.vocab").unlink()
        (folder / f"{side}.model").rename(folder / f"{side}.spm")
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "source.spm"))
    words = ["</s>", "<unk>", *(pieces.id_to_piece(number) for number in range(3, pieces.get_piece_size())), "<pad>"]
    (folder / "vocab.json").write_text(
        json.dumps({word: number for number, word in enumerate(words)}), encoding="utf-8"
    )
    pad = len(words) - 1
    tokens = MarianTokenizer(
        str(folder / "source.spm"), str(folder / "target.spm"), str(folder / "vocab.json"), model_max_length=64
    )
    layers = {f"{part}_{name}": size for part in ("encoder", "decoder") for name, size in _PARTS.items()}
    ends = {"pad_token_id": pad, "eos_token_id": 0, "decoder_start_token_id": pad, "forced_eos_token_id": 0}
    config = MarianConfig(vocab_size=len(words), d_model=32, max_position_embeddings=64, **layers, **ends)
    return _save(MarianMTModel(config), tokens, folder)


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


def _causal(config: Any, tokens: Any, folder: Path) -> Path:
    return _save(AutoModelForCausalLM.from_config(config), tokens, folder)


def _save(model: Any, tokens: Any, folder: Path) -> Path:
    model.eval().save_pretrained(folder)
    tokens.save_pretrained(folder)
    return folder


_DEEPSEEK = {
    "specials": ("<｜▁pad▁｜>", "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>"),
    "begin": "<｜begin▁of▁sentence｜>",
    "end": "<｜end▁of▁sentence｜>",
}
KINDS: dict[str, Callable[[Path], Path]] = {
    "gpt2": gpt2,
    "dialogpt": partial(gpt2, template=DIALOGUE_TEMPLATE),
    "pickled": partial(gpt2, pickled=True),
    "neo": neo,
    "mistral": partial(chat, config=MistralConfig, template=None, sliding_window=64),
    "llama": chat,
    "llama3": partial(
        chat,
        template=LLAMA_TEMPLATE,
        specials=(
            "<|pad|>",
            "<|begin_of_text|>",
            "<|end_of_text|>",
            "<|start_header_id|>",
            "<|end_header_id|>",
            "<|eot_id|>",
        ),
        begin="<|begin_of_text|>",
        end="<|eot_id|>",
        also_ends=("<|end_of_text|>",),
    ),
    "gemma": partial(
        chat,
        config=Gemma3TextConfig,
        template=GEMMA_TEMPLATE,
        specials=("<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>"),
        begin="<bos>",
        end="<eos>",
        also_ends=("<end_of_turn>",),
        sliding_window=32,
        layer_types=["sliding_attention", "full_attention"],
    ),
    "qwen": partial(chat, config=Qwen2Config, also_ends=("<|endoftext|>",)),
    "qwen3": partial(chat, config=Qwen3Config, template=SWITCHED_TEMPLATE),
    "deepseek": partial(
        chat,
        config=DeepseekV3Config,
        template=DEEPSEEK_TEMPLATE,
        num_key_value_heads=2,
        head_dim=8,
        first_k_dense_replace=1,
        **_DEEPSEEK,
        **_MIXED,
        **_LATENT,
    ),
    "deepseek-r1": partial(chat, config=Qwen2Config, template=THINKING_TEMPLATE, **_DEEPSEEK),
    "t5": t5,
    "bart": bart,
    "moods": moods,
    "names": names,
    "marian": marian,
}


if __name__ == "__main__":
    for kind, make in (KINDS | {"copying": copying}).items():
        make(Path(sys.argv[1]) / kind)
