"""Tiny encoders and readers, made on the spot: a tokenizer of a few words, real weights, real files."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import BertConfig, BertForQuestionAnswering, BertModel, PreTrainedTokenizerFast

_SPECIALS = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}


def encoder(folder: Path, words: str) -> Path:
    """A BERT of two layers whose tokens are these words and marks; any other word is unknown to it."""
    torch.manual_seed(0)
    vocabulary = _tokenizer(words).get_vocab()
    BertModel(_shape(len(vocabulary))).save_pretrained(folder)
    _tokenizer(words).save_pretrained(folder)
    return folder


def checkpoint(folder: Path, words: str) -> Path:
    """An extractive model as others publish them: all weights, and a tokenizer of its own."""
    torch.manual_seed(0)
    tokenizer = _tokenizer(words)
    BertForQuestionAnswering(_shape(len(tokenizer))).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def reader(folder: Path, base: Path, *, relevance: tuple[float, float] | None = None) -> Path:
    """A reader as the bot writes them, over an encoder of `encoder`, whose word embeddings it leaves out.

    `relevance`: (weight, bias) of a head for it, where it has one: the logit is the weight times the sum of the hidden state of
    [CLS], plus the bias.
    """
    torch.manual_seed(1)
    config = BertConfig.from_pretrained(base)
    model = BertForQuestionAnswering(config)
    weights = {name: weight for name, weight in model.state_dict().items() if "word_embeddings" not in name}
    data: dict[str, Any] = config.to_dict() | {"word_embeddings_of": str(base)}
    if relevance is not None:
        weights["relevance.weight"] = torch.full((1, config.hidden_size), relevance[0])
        weights["relevance.bias"] = torch.tensor([relevance[1]])
        data["relevance"] = True
    folder.mkdir(parents=True)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(data), encoding="utf-8")
    return folder


def _shape(words: int) -> BertConfig:
    return BertConfig(
        vocab_size=words, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32
    )


def _tokenizer(words: str) -> PreTrainedTokenizerFast:
    pieces = dict.fromkeys([*_SPECIALS.values(), *(piece for piece, _ in Whitespace().pre_tokenize_str(words.lower()))])
    tokenizer = Tokenizer(WordLevel({piece: n for n, piece in enumerate(pieces)}, unk_token=_SPECIALS["unk_token"]))
    tokenizer.normalizer = Lowercase()
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **_SPECIALS)
