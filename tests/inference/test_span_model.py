"""The span model: windows, characters, checkpoints of other make, and folders that are none."""

import itertools
import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import BertConfig, BertForQuestionAnswering, PreTrainedTokenizerFast

from bot.core.errors import WeightsError
from bot.core.settings import ModelsSettings, ReaderSettings
from bot.core.text import sentences
from bot.inference.encoder import LENGTH_STEP
from bot.inference.span_model import (
    RELEVANCE_HEAD,
    SHIPPED,
    ScoredSpan,
    SpanModel,
    SpanQuery,
    _with_whole_names,
    load_span_model,
)
from bot.inference.weights import Precision, Weights

FILLER = "The market is held on Saturdays and has forty stalls. "
FACT = "The mayor is called Rosalind Berg. "


def spans_of(models, task: SpanQuery) -> tuple[ScoredSpan, ...]:
    [judged] = models.reader.read([task])
    return judged.spans


def load(folder) -> SpanModel:
    return load_span_model(ReaderSettings(model=str(folder)), ModelsSettings())


def test_the_answer_is_found_wherever_it_stands_in_a_long_context(models):
    """Longer than a window: the characters are those of the whole context."""
    for place in (0, 20, 60):
        context = FILLER * place + FACT + FILLER * (60 - place)
        [judged] = models.reader.read([SpanQuery("What is the mayor's name?", context)])
        best = judged.spans[0]
        assert context[slice(*best.span)] == "Rosalind Berg"
        assert best.span[0] == len(FILLER) * place + FACT.index("Rosalind")


def test_a_batch_gives_what_each_task_gives_alone(models):
    """Padding changes nothing but the last digits."""
    tasks = [
        SpanQuery("who is the mayor", FACT),
        SpanQuery("when is the market held?", FILLER * 5),
        SpanQuery("who is the mayor", FILLER * 30 + FACT),
    ]
    together = models.reader.read(tasks, best=1)
    alone = [models.reader.read([task], best=1)[0] for task in tasks]
    assert [one.spans[0].span for one in together] == [one.spans[0].span for one in alone]
    assert [one.spans[0].score for one in together] == pytest.approx([one.spans[0].score for one in alone], abs=0.5)
    assert [one.relevance for one in together] == pytest.approx([one.relevance for one in alone], abs=0.5)


def test_the_best_spans_do_not_overlap_and_come_in_order(models):
    """Five different answers at most, best first."""
    spans = spans_of(models, SpanQuery("who is the mayor", FILLER + FACT + FILLER))
    assert 1 < len(spans) <= 5
    assert [span.score for span in spans] == sorted((span.score for span in spans), reverse=True)
    ordered = sorted(span.span for span in spans)
    assert all(one[1] <= two[0] for one, two in itertools.pairwise(ordered))


@pytest.mark.parametrize(
    ("question", "context", "name"),
    [
        (
            "Which part of the Rhine has the most factories?",
            "Most factories along the Rhine stand at the Lower Rhine, between Bonn and Duisburg.",
            "Lower Rhine",
        ),
        (
            "Which church is organised into conferences?",
            "In this town the United Methodist Church is organised into conferences and districts.",
            "United Methodist Church",
        ),
        (
            "Who spoke at the opening?",
            "At the opening, Secretary General Ban Ki-moon spoke for ten minutes.",
            "Secretary General Ban Ki-moon",
        ),
        ("WHO WROTE THE REPORT", "THE REPORT ON THE HARBOUR WAS WRITTEN BY ANNA BELL IN MAY.", "ANNA BELL"),
    ],
)
def test_a_name_is_not_cut_in_two(models, question, context, name):
    spans = spans_of(models, SpanQuery(question, context))
    assert context[slice(*spans[0].span)] == name
    assert not any(context[slice(*span.span)] in name for span in spans[1:])


def test_the_first_word_of_a_sentence_belongs_to_no_name(models):
    context = "Anna Bell runs the office. Tell Maria Keller about the leave."
    spans = spans_of(models, SpanQuery("Who must be told about the leave?", context))
    assert context[slice(*spans[0].span)] == "Maria Keller"


@pytest.mark.parametrize("before", ["", "Help\n", "Help\nHow do I keep the form?\n- ", "Help\n1. "])
def test_nor_does_the_first_word_of_a_line_or_an_item(before):
    context = f"{before}Click Save Form to keep the form."
    start = context.index("Save")
    assert context[slice(*_with_whole_names(context, sentences(context), (start, start + 4)))] == "Save Form"


def test_an_answer_does_not_run_into_the_next_sentence(models):
    context = "He turned around to look after his cart. His pears had all disappeared. Nobody was to be seen."
    spans = spans_of(models, SpanQuery("What happened when he left?", context))
    assert spans
    assert not any("." in context[slice(*span.span)].rstrip(".") for span in spans)


def test_answers_are_looked_for_behind_the_beginning_only(models):
    """What stands before it is read, but never the answer."""
    context = FACT + "Her deputy is called Olaf Stein."
    spans = spans_of(models, SpanQuery("who is the mayor", context, begin=len(FACT)))
    assert all(span.span[0] >= len(FACT) for span in spans)


@pytest.mark.parametrize(
    "task",
    [
        SpanQuery("", ""),
        SpanQuery("who", ""),
        SpanQuery("", FACT),
        SpanQuery("who " * 5000, FACT),
        SpanQuery("who is it", "\x00\x1b" * 50),
        SpanQuery("who is it", "a" * 20_000),
        SpanQuery("🦓 \ud83e"[:2], "🦓" * 100),
    ],
)
def test_hostile_texts_are_read_like_any_other(models, task):
    """No error, and no span outside of the context."""
    spans = spans_of(models, task)
    assert all(0 <= span.span[0] < span.span[1] <= len(task.context) for span in spans)


def test_no_tasks_give_no_spans(models):
    """An empty batch is no error."""
    assert models.reader.read([]) == []


@pytest.fixture
def checkpoint(tmp_path):
    """A tiny extractive model as others publish them: all weights, and a tokenizer of its own."""
    texts = "who is the mayor called anna berg market held on".split()
    vocabulary = {word: number for number, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *texts])}
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token=special["unk_token"]))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    folder = tmp_path / "checkpoint"
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)
    torch.manual_seed(0)
    shape = BertConfig(
        vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32
    )
    BertForQuestionAnswering(shape).save_pretrained(folder)
    return folder


def test_any_extractive_checkpoint_can_take_its_place(checkpoint):
    """`reader.model` names a folder; the spans are characters of the context whatever the tokenizer."""
    model = load(checkpoint)
    context = "the mayor is called anna berg"
    [judged] = model.read([SpanQuery("who is the mayor", context)])
    assert judged.spans
    assert all(context[slice(*one.span)].strip() == context[slice(*one.span)] for one in judged.spans)
    assert judged.relevance == judged.spans[0].score, "there is no head for it"


def with_head(folder, **head):
    """A copy of the shipped model with these weights in its head for the relevance."""
    shutil.copytree(SHIPPED, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {RELEVANCE_HEAD: True}))
    weights = load_file(folder / "model.safetensors")
    own = {name: weight for name, weight in weights.items() if not name.startswith(RELEVANCE_HEAD)}
    save_file(own | {f"{RELEVANCE_HEAD}.{name}": weight for name, weight in head.items()}, folder / "model.safetensors")
    return folder


def test_a_head_says_how_relevant_a_context_is(tmp_path):
    """One of weight 0 says its bias of everything; the spans share that probability, however well each of them fits."""
    model = load(with_head(tmp_path / "reader", weight=torch.zeros(1, 384), bias=torch.tensor([1.5])))
    [fact, filler, empty] = model.read([SpanQuery("What is the mayor's name?", text) for text in (FACT, FILLER, "")])
    assert (fact.relevance, filler.relevance) == (1.5, 1.5)
    assert FACT[slice(*fact.spans[0].span)] == "Rosalind Berg"
    assert all(span.score < 1.5 for span in (*fact.spans, *filler.spans))
    assert empty.spans == ()


def test_a_long_context_is_as_relevant_as_its_best_window(models):
    """Whichever it is: one sentence that answers is enough."""
    ferries = "The ferry to the island leaves at nine from the second pier. "
    question = "What is the mayor's name?"
    contexts = [before * FILLER + FACT + after * ferries for before, after in ((0, 60), (30, 30), (60, 0))]
    answering = models.reader.read([SpanQuery(question, context) for context in contexts])
    [without] = models.reader.read([SpanQuery(question, 60 * FILLER + 60 * ferries)])
    assert without.relevance < 0 < min(one.relevance for one in answering)


def test_a_head_without_weights_is_named(tmp_path):
    with pytest.raises(WeightsError, match="can't be loaded"):
        load(with_head(tmp_path / "reader", bias=torch.zeros(1)))


def test_a_folder_that_is_no_model_is_named(tmp_path):
    """With what is wrong, and no traceback."""
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(WeightsError, match=str(tmp_path)):
        load(tmp_path)


def test_a_truncated_file_is_named(tmp_path):
    """A copy that broke off."""
    folder = shutil.copytree(SHIPPED, tmp_path / "reader")
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(WeightsError, match="can't be loaded"):
        load(folder)


def test_a_missing_tensor_is_named(tmp_path):
    """Never random numbers in the place of weights."""
    folder = shutil.copytree(SHIPPED, tmp_path / "reader")
    weights = load_file(folder / "model.safetensors")
    del weights["qa_outputs.bias"]
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(WeightsError, match="qa_outputs"):
        load(folder)


def test_the_shipped_model_is_small_and_names_what_it_borrows():
    """It lives in the repository: 24 MB at most. The word embeddings are the encoder's."""
    assert (SHIPPED / "model.safetensors").stat().st_size <= 24_000_000
    assert json.loads((SHIPPED / "config.json").read_text())["word_embeddings_of"].endswith("all-MiniLM-L6-v2")


def test_both_number_formats_find_the_same_words(models):
    """What differs are digits."""
    task = SpanQuery("What is the mayor's name?", FILLER * 3 + FACT + FILLER * 3)
    for dtype in ("float32", "bfloat16"):
        model = SpanModel(Weights(SHIPPED, "test"), Precision(dtype, "test"), "test")
        assert task.context[slice(*model.read([task])[0].spans[0].span)] == "Rosalind Berg"


def test_few_shapes_reach_the_models_whatever_the_lengths(models):
    """Torch keeps the kernels that it compiles for each."""
    shapes = set()

    def look(_module, inputs):
        shapes.update(
            tuple(tensor.shape) for tensor in inputs if isinstance(tensor, torch.Tensor) and tensor.dim() == 2
        )

    hook = torch.nn.modules.module.register_module_forward_pre_hook(look)
    try:
        for words in range(1, 60, 4):
            models.encoder.encode(["word " * words])
            models.reader.read([SpanQuery("Which word?", "word " * words)])
    finally:
        hook.remove()
    assert shapes
    assert all(length % LENGTH_STEP == 0 for _, length in shapes)
