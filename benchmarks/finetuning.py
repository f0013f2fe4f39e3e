"""Fine-tuning from end to end, with tiny models that are made and pre-trained on the spot, on the shipped handbook.

    python benchmarks/finetuning.py [--seconds 330] [--keep FOLDER]

Two kinds, GPT-2 (dialogue) and Llama (chat template), learn to copy: first any words that are said twice, then a passage of
sentences, a question that shares words with one of them, and that sentence as the answer. Their words come from the documents
that are learnt from, never from those held out. Each is tuned by LoRA on the handbook, and compared with its base through the
whole engine. Then: a model that was tuned on wrong answers is refused, and a training that is killed (SIGKILL) goes on and ends
as one that was left alone. Everything is done by the commands that an operator uses. About a quarter of an hour on two cores.
"""

import argparse
import json
import math
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from bot.core.settings import GeneratorSettings
from bot.core.text import sentences
from bot.inference import prompts
from bot.inference.prompter import Prompter
from bot.inference.prompts import Excerpt, PromptContent
from bot.inference.templates import shipped_templates
from bot.training import pairs

ROOT = Path(__file__).parents[1]
HANDBOOK = ROOT / "knowledge"
END, TURN = "<|endoftext|>", "<|im_end|>"
DIALOGUE = "{% for message in messages %}{{ message.content }}{{ eos_token }}{% endfor %}"
CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# One passage, in prompts that such models can see at once.
SETTINGS = {"passages": 1, "prompt_tokens": 560, "max_new_tokens": 160}
_WINDOW = 768
_WORDS = 2000
_WIDTH, _LAYERS, _HEADS = 128, 2, 4
_RATE = 2e-3
_BATCH = 24
_EPOCHS = 6
_TWICE = 0.3  # the share of the time in which words are only said twice

# --- the base models --------------------------------------------------------------------------------------------------


def tokenizer(kind: str, texts: Sequence[str]) -> PreTrainedTokenizerFast:
    """Byte-level BPE over the texts. A line break is a space, as for most models of sentences."""
    built = Tokenizer(models.BPE())
    built.normalizer = normalizers.Replace("\n", " ")
    built.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    built.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_WORDS,
        special_tokens=[END, "<|im_start|>", TURN],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    built.train_from_iterator(texts, trainer)
    end = END if kind == "gpt2" else TURN
    tokens = PreTrainedTokenizerFast(tokenizer_object=built, eos_token=end, pad_token=END, model_max_length=_WINDOW)
    tokens.chat_template = DIALOGUE if kind == "gpt2" else CHAT
    return tokens


def untrained(kind: str, tokens: PreTrainedTokenizerFast) -> Any:
    torch.manual_seed(0)
    ends = {"vocab_size": len(tokens), "eos_token_id": tokens.eos_token_id, "bos_token_id": tokens.eos_token_id}
    if kind == "llama":
        return LlamaForCausalLM(
            LlamaConfig(
                hidden_size=_WIDTH,
                intermediate_size=3 * _WIDTH,
                num_hidden_layers=_LAYERS,
                num_attention_heads=_HEADS,
                num_key_value_heads=_HEADS,
                max_position_embeddings=_WINDOW,
                tie_word_embeddings=True,
                **ends,
            )
        )
    dropout = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0)
    model = GPT2LMHeadModel(
        GPT2Config(n_embd=_WIDTH, n_layer=_LAYERS, n_head=_HEADS, n_positions=_WINDOW, **dropout, **ends)
    )
    _begin_to_copy(model.transformer)
    return model


def _begin_to_copy(model: Any) -> None:
    """Let some heads begin as those that copying is made of: one looks one back, and two go on where the same word stood before
    (Olsson et al., "In-context Learning and Induction Heads", 2022). A model that learns its places finds these by itself only
    after far more than some minutes; one whose places are turned (Llama) finds them soon.

    Of the width, one part tells the place, one the word before, and two the word.
    """
    part = _WIDTH // _HEADS
    place, before, word, rest = (slice(first, first + part) for first in range(0, _WIDTH, part))
    speeds = torch.exp(-torch.arange(0, part, 2) / part * math.log(40))
    turned = torch.arange(_WINDOW)[:, None] * speeds
    model.wte.weight.data[:, : 2 * part] = 0
    model.wpe.weight.data.zero_()
    model.ln_f.weight.data *= 6  # else what is copied would hardly be likelier than anything else
    model.wpe.weight.data[:, 0:part:2], model.wpe.weight.data[:, 1:part:2] = 0.03 * turned.sin(), 0.03 * turned.cos()
    one_back = torch.block_diag(
        *(torch.tensor([[c, s], [-s, c]]) for s, c in zip(speeds.sin(), speeds.cos(), strict=True))
    )
    same = torch.eye(part)
    _set_head(model.h[0].attn, 0, (place, 4 * one_back), (place, 4 * same), (word, same), before)
    _set_head(model.h[1].attn, 0, (word, 2 * same), (before, 2 * same), (word, same), word)
    _set_head(model.h[1].attn, 1, (word, 2 * same), (before, 2 * same), (rest, same), rest)


def _set_head(attention: Any, head: int, query: Any, key: Any, value: Any, to: slice) -> None:
    """Make a head that looks for one part of the stream by another, and adds a third to the part `to`."""
    part = _WIDTH // _HEADS
    for number, (source, weights) in enumerate((query, key, value)):
        into = slice(number * _WIDTH + head * part, number * _WIDTH + (head + 1) * part)
        attention.c_attn.weight.data[:, into] = 0
        attention.c_attn.weight.data[source, into] = weights
    attention.c_proj.weight.data[head * part : (head + 1) * part] = 0
    attention.c_proj.weight.data[head * part : (head + 1) * part, to] = 0.02 * torch.eye(part)


class Copying:
    """Endless examples of copying: real sentences, and words in no order, which nobody can know by heart."""

    def __init__(self, texts: Sequence[str], seed: int = 0) -> None:
        self._chance = random.Random(seed)  # noqa: S311 - to be repeated
        paragraphs = [paragraph for text in texts for paragraph in re.split(r"\n\s*\n", text)]
        running = [paragraph for paragraph in paragraphs if not paragraph.startswith(("#", "|", "`"))]
        found = [" ".join(text[slice(*span)].split()) for text in running for span in sentences(text)]
        self._sentences = [sentence for sentence in found if 4 <= len(sentence.split()) <= 30]
        self._words = sorted({word for sentence in self._sentences for word in sentence.split()})

    def one(self, most: int) -> tuple[str, str, str]:
        """A passage of up to `most` sentences, a question with words of one of them, and that one; sometimes with the next."""
        chance = self._chance
        said = [self._sentence() for _ in range(chance.randint(2, most))]
        place = chance.randrange(len(said))
        words = said[place].rstrip(".").split()
        asked = chance.sample(words, max(2, int(len(words) * chance.uniform(0.3, 0.8))))
        count = chance.choices((1, 2, 3), (6, 2, 2))[0]
        return " ".join(said), " ".join(asked).lower() + "?", " ".join(said[place : place + count])

    def _sentence(self) -> str:
        if self._chance.random() < 0.4:
            return self._chance.choice(self._sentences)
        return " ".join(self._chance.choices(self._words, k=self._chance.randint(4, 14))).capitalize() + "."


def pretrained(kind: str, folder: Path, texts: Sequence[str], seconds: float, settings: GeneratorSettings) -> str:
    """Make a model that copies, in so many seconds of one core; how well it copies at the end."""
    torch.set_num_threads(1)
    tokens = tokenizer(kind, texts)
    model = untrained(kind, tokens)
    prompter = Prompter(tokens, model.config, model.generation_config, settings)
    copying = Copying(texts)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.01, betas=(0.9, 0.98))
    chance = random.Random(1)  # noqa: S311 - to be repeated
    started = time.monotonic()
    step, hits = 0, 0.0
    while (share := (time.monotonic() - started) / seconds) < 1:
        for group in optimizer.param_groups:
            group["lr"] = _RATE * min(1, (step + 1) / 50, (1 - share) / 0.3 + 0.02)
        if share < _TWICE:
            rows = said_twice(len(tokens), chance)
        else:
            asked = [copying.one(3 if share < 0.5 else 6 if share < 0.7 else 12) for _ in range(_BATCH)]
            contents = [
                (PromptContent(said, (Excerpt("", there),), persona=settings.persona), back)
                for there, said, back in asked
            ]
            rows = [(prompt(kind, tokens, content), prompter.answer(back)) for content, back in contents]
        loss, hits = learn(model, rows, chance.randrange(200) if kind == "gpt2" else 0)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step += 1
    model.eval().save_pretrained(folder)
    tokens.save_pretrained(folder)
    return f"{step} steps, {hits:.0%} of the tokens of an answer right"


def said_twice(vocabulary: int, chance: random.Random) -> list[tuple[list[int], list[int]]]:
    """Any words, to be said once more. Nobody can guess these, so nothing is learnt but to look where they stood before: in
    real sentences a model first learns which words are frequent, and stays with that."""
    length = chance.randint(8, 32)
    said = [chance.choices(range(vocabulary), k=length) for _ in range(2000 // length)]
    return [(words, words) for words in said]


def prompt(kind: str, tokens: PreTrainedTokenizerFast, content: PromptContent) -> list[int]:
    """What `Prompter.encode` gives, without its looking whether it fits, which would take as long as the learning."""
    if kind == "gpt2":
        text = prompts.dialogue(content, END, shipped_templates())
    else:
        said = [
            {"role": message.role, "content": message.content} for message in prompts.chat(content, shipped_templates())
        ]
        text = tokens.apply_chat_template(said, tokenize=False, add_generation_prompt=True)
    return list(tokens(text, add_special_tokens=False)["input_ids"])


def learn(model: Any, rows: Sequence[tuple[list[int], list[int]]], shift: int) -> tuple[torch.Tensor, float]:
    """The loss of the answers, and the share of their tokens that are the likeliest. `shift` moves the places, so that the
    model learns those that it seldom sees."""
    fill = torch.nn.utils.rnn.pad_sequence
    ids = fill([torch.tensor([*prompt, *answer]) for prompt, answer in rows], batch_first=True)
    labels = fill(
        [torch.tensor([*[-100] * len(prompt), *answer]) for prompt, answer in rows],
        batch_first=True,
        padding_value=-100,
    )[:, 1:]
    places = torch.arange(ids.shape[1])[None] + min(shift, _WINDOW - ids.shape[1])
    hidden = model.base_model(input_ids=ids, position_ids=places).last_hidden_state[:, :-1]
    wanted = labels != -100
    logits = model.get_output_embeddings()(hidden[wanted])
    right = (logits.argmax(-1) == labels[wanted]).float().mean().item()
    return torch.nn.functional.cross_entropy(logits, labels[wanted]), right


# --- the commands -----------------------------------------------------------------------------------------------------


class Operator:
    """Somebody at the command line, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "BOT_KNOWLEDGE__FOLDER": str(HANDBOOK),
            **{f"BOT_GENERATOR__{name.upper()}": str(value) for name, value in SETTINGS.items()},
        }

    def started(self, *arguments: object) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "bot", "finetune", *map(str, arguments)],
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def does(self, *arguments: object, fails: bool = False) -> str:
        """What a command says."""
        process = self.started(*arguments)
        said, complained = process.communicate()
        if bool(process.returncode) is not fails:
            raise SystemExit(f"finetune {' '.join(map(str, arguments))}:\n{said}{complained}")
        return complained if fails else said

    def training(self, output: str) -> Any:
        return json.loads((self.folder / output / "training.json").read_text(encoding="utf-8"))

    def killed(self, *arguments: object, output: str) -> int:
        """Start a training, kill it some time after its second checkpoint, and say at which step that was."""
        process = self.started(*arguments)
        place = self.folder / output
        while len(list(place.glob("checkpoint-*/complete.json"))) < 2 and process.poll() is None:
            time.sleep(0.02)
        time.sleep(0.3)
        if process.poll() is not None:
            raise SystemExit(f"the training ended before it could be killed: {process.communicate()}")
        process.send_signal(signal.SIGKILL)
        process.communicate()
        return max(int(folder.parent.name.rpartition("-")[2]) for folder in place.glob("checkpoint-*/complete.json"))


def shuffled(data: Path, to: Path) -> None:
    """The data with every answer behind another question: what is learnt from it does harm."""
    shutil.copytree(data, to)
    for split in (pairs.TRAIN, pairs.VALIDATION):
        rows = [json.loads(line) for line in (to / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()]
        answers = [row["answer"] for row in rows]
        random.Random(3).shuffle(answers)  # noqa: S311 - to be repeated
        lines = (json.dumps(row | {"answer": answer}) for row, answer in zip(rows, answers, strict=True))
        (to / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--seconds", type=float, default=330, help="How long the base models are pre-trained, side by side."
    )
    parser.add_argument("--keep", type=Path, help="Work in this folder, and keep it; models that are there are used.")
    parser.add_argument("--kinds", nargs="+", default=["gpt2", "llama"], help="gpt2, llama.")
    options = parser.parse_args()
    folder = options.keep or Path(mkdtemp(prefix="finetuning-"))
    folder.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    try:
        measure(folder, options.kinds, options.seconds)
        Console().print(f"{(time.monotonic() - begun) / 60:.1f} minutes in all")
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)


def measure(folder: Path, kinds: Sequence[str], seconds: float) -> None:
    console = Console(highlight=False)
    operator = Operator(folder)
    data = folder / "finetuning-data"
    if not data.exists():
        console.print(operator.does("prepare"))
    learnt_from = {example.document for example in pairs.load(data, pairs.TRAIN)}
    texts = [(HANDBOOK / name).read_text(encoding="utf-8") for name in sorted(learnt_from)]
    settings = GeneratorSettings(**SETTINGS)
    missing = [kind for kind in kinds if not (folder / kind).exists()]
    with ProcessPoolExecutor(max_workers=2, mp_context=get_context("spawn")) as pool:
        making = [pool.submit(pretrained, kind, folder / kind, texts, seconds, settings) for kind in missing]
        for kind, made in zip(missing, making, strict=True):
            console.print(f"{kind}: pre-trained, {made.result()}")
    for kind in kinds:
        tuned = f"{kind}-tuned"
        if not (folder / tuned / "training.json").exists():
            console.print(operator.does("run", "--base", kind, "--output", tuned, "--epochs", _EPOCHS))
        console.print(f"{kind}: tuned in {operator.training(tuned)['seconds']:.0f} s")
        console.print(operator.does("compare", "--tuned", tuned, "--report", f"{kind}-report"))
    harmful(operator, console, kinds[0])
    interrupted(operator, console, kinds[0])


def harmful(operator: Operator, console: Console, kind: str) -> None:
    """A model that has learnt wrong answers does not go live."""
    operator.folder.joinpath("wrong-data").exists() or shuffled(
        operator.folder / "finetuning-data", operator.folder / "wrong-data"
    )
    operator.does("run", "--base", kind, "--output", "wrong", "--data", "wrong-data", "--epochs", _EPOCHS)
    console.print(operator.does("compare", "--tuned", "wrong"))
    console.print(f"activate: {operator.does('activate', 'wrong', fails=True)}")


def interrupted(operator: Operator, console: Console, kind: str) -> None:
    """A training that was killed ends as one that was not."""
    table = Table(
        "", "steps", "loss on validation", title=f"{kind}: kill -9 in mid-training, and the same command again"
    )
    arguments = ("run", "--base", kind, "--epochs", _EPOCHS, "--output")
    step = operator.killed(*arguments, "interrupted", output="interrupted")
    said = operator.does(*arguments, "interrupted")
    assert f"Going on from step {step}" in said, said
    other = operator.does(*arguments, "other-seed", "--seed", 21)
    assert other
    for name, output in (
        ("left alone", f"{kind}-tuned"),
        (f"killed after step {step}", "interrupted"),
        ("left alone, another seed", "other-seed"),
    ):
        told = operator.training(output)
        table.add_row(name, str(told["steps"]), f"{told['validation_loss']:.4f}")
    console.print(table)


if __name__ == "__main__":
    main()
