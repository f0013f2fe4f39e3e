"""The encoder: turns texts into unit vectors by a sentence-transformers model.

Blocking. Call `encode` from one thread only; `count_tokens` may be called from any thread.
"""

import copy
import hashlib
import itertools
import json
import re
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from bot.core.errors import WeightsError
from bot.core.settings import EncoderSettings, ModelsSettings
from bot.core.text import stems
from bot.inference.memory import megabytes_of
from bot.inference.weights import Precision, Weights, choose_precision, find_weights

Vector = npt.NDArray[np.float32]
"""float32 [dimension], of unit length."""
Vectors = npt.NDArray[np.float32]
"""float32 [number of texts, dimension], rows of unit length."""

# Tokens of a forward pass, padding included. This many keep two cores busy; more are no faster and need more memory.
TOKENS_PER_BATCH = 1_000
# Texts are padded to a multiple of this many tokens, because torch compiles and keeps kernels for each shape of input. Without
# it, memory doubled within a thousand questions, and compiling took a sixth of their time.
LENGTH_STEP = 16
_CHARACTERS_PER_TOKEN = 4
# Passages whose token vectors are cached (150 kB each), because people ask about the same ones again and again.
_MOST_KNOWN = 300


def _match(question: Any, passage: Any) -> float:
    """Return the mean, over the words of a question, of the best cosine with a word of the passage; 0 without words."""
    return float((passage @ question.T).amax(0).mean()) if len(question) and len(passage) else 0.0


class Pair(NamedTuple):
    """A question and the text of a passage that may answer it."""

    question: str
    passage: str


class Encoder:
    """A loaded sentence-transformers model."""

    by_meaning = True

    def __init__(self, weights: Weights, precision: Precision, model_id: str) -> None:
        import torch
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging as transformers_logging

        transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        started = time.perf_counter()
        try:
            self._model = SentenceTransformer(
                str(weights.folder),
                device="cpu",
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs={"dtype": getattr(torch, precision.dtype)},
            )
        except Exception as error:  # the libraries raise nearly anything over a damaged or foreign folder
            raise WeightsError(f"{model_id} can't be loaded from {weights.folder}: {error}") from error
        self._model.eval()
        self._torch = torch
        # A copy, because the model changes the truncation settings of its own tokenizer while it encodes.
        self._counter = copy.deepcopy(self._model.tokenizer.backend_tokenizer)
        self._counter.no_truncation()
        self._counter.no_padding()
        # The token vectors of the passages that were compared last, by their texts, least recently used first.
        self._known_words: dict[str, Any] = {}
        # Special tokens: the beginning and the end of a text, padding.
        self._marks = torch.tensor(self._model.tokenizer.all_special_ids)
        self.dimension: int = self._model.get_embedding_dimension() or 0
        special_tokens = self._counter.num_special_tokens_to_add(False)
        self.window: int = int(self._model.max_seq_length or 512) - special_tokens
        self.identity = _identity(model_id, weights)
        self.description = {
            "model": model_id,
            "source": weights.source,
            "dtype": precision.dtype,
            "dtype_reason": precision.reason,
            "threads": torch.get_num_threads(),
            "megabytes": megabytes_of(self._model),
            "seconds": round(time.perf_counter() - started, 2),
        }

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector per text, in order. Texts longer than the window are truncated."""
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        with self._torch.inference_mode():
            for positions, output in self._run_batches(texts):
                embedding = output["sentence_embedding"].float()
                vectors[positions] = self._torch.nn.functional.normalize(embedding, dim=1).numpy()
        return vectors

    def match(self, pairs: Sequence[Pair]) -> list[float]:
        """Return how well each passage matches its question, word by word: 1 if it has all of its words, 0 for no words.

        Late interaction (Khattab and Zaharia, "ColBERT: Efficient and Effective Passage Search via Contextualized Late
        Interaction over BERT", 2020): the mean over the tokens of the question of the best cosine with a token of the passage,
        each with the meaning that it has in its text. Here with the tokens of the encoder as it is. The one vector of a passage
        mixes all that it says; here a detail counts as much as the rest.
        """
        with self._torch.inference_mode():
            questions = self._words(dict.fromkeys(pair.question for pair in pairs))
            passages = dict.fromkeys(pair.passage for pair in pairs)
            known = {text: self._known_words.pop(text) for text in passages if text in self._known_words}
            words = known | self._words(text for text in passages if text not in known)
            self._known_words = dict([*self._known_words.items(), *words.items()][-_MOST_KNOWN:])
            return [_match(questions[question].float(), words[passage].float()) for question, passage in pairs]

    def _words(self, texts: Iterable[str]) -> dict[str, Any]:
        """Return the unit vectors of the words of each text, bfloat16 [tokens, dimension], without special tokens."""
        every = list(texts)
        words: dict[str, Any] = {}
        for positions, output in self._run_batches(every):
            states = self._torch.nn.functional.normalize(output["token_embeddings"].float(), dim=2).bfloat16()
            is_word = output["attention_mask"].bool() & ~self._torch.isin(output["input_ids"], self._marks)
            words |= {every[position]: states[row, is_word[row]] for row, position in enumerate(positions)}
        return words

    def _run_batches(self, texts: Sequence[str]) -> Iterator[tuple[list[int], dict[str, Any]]]:
        """Run the model on batches of texts, and yield the positions of each batch's texts and its outputs."""
        for positions in self._batches(texts):
            features = self._model.preprocess(
                [texts[position] for position in positions],
                processing_kwargs={"text": {"pad_to_multiple_of": LENGTH_STEP}},
            )
            yield positions, self._model(features)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens in each text, without special tokens."""
        return [len(encoding) for encoding in self._counter.encode_batch_fast(list(texts), add_special_tokens=False)]

    def _batches(self, texts: Sequence[str]) -> Iterator[list[int]]:
        """Yield batches of positions of texts of similar length, which need little padding."""
        batch: list[int] = []
        for position in sorted(range(len(texts)), key=lambda position: len(texts[position])):
            if batch and (len(batch) + 1) * len(texts[position]) > TOKENS_PER_BATCH * _CHARACTERS_PER_TOKEN:
                yield batch
                batch = []
            batch.append(position)
        if batch:
            yield batch


# The value of `encoder.model` for running without a model.
NO_MODEL = "none"


class WordEncoder:
    """An encoder without a model: texts that share words get similar vectors.

    The search doesn't rank by these vectors, because BM25 does that better; they group questions and find near passages.
    """

    dimension = 512
    window = 256  # words
    identity = "none@words-1"
    description: ClassVar[Mapping[str, object]] = {"model": "none"}
    by_meaning = False

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector per text: its words, each counted once, hashed to dimensions."""
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for vector, text in zip(vectors, texts, strict=True):
            for word in stems(text):
                digest = zlib.crc32(word.encode())
                vector[digest % self.dimension] += 1 if digest & 0x8000_0000 else -1
        vectors[~vectors.any(axis=1), 0] = 1  # a text without words
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors

    def match(self, pairs: Sequence[Pair]) -> list[float]:
        """Return 0 for each pair, because the meaning of words is unknown without a model."""
        return [0.0] * len(pairs)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return the number of words and punctuation marks in each text."""
        return [len(_WORD_OR_MARK.findall(text)) for text in texts]


_WORD_OR_MARK = re.compile(r"\w+|[^\w\s]")
AnyEncoder = Encoder | WordEncoder


def load_encoder(settings: EncoderSettings, models: ModelsSettings) -> Encoder:
    """Find the weights, choose the number format and load the encoder. Takes seconds. Raises WeightsError."""
    weights = find_weights(settings.model, settings.revision, auto_download=models.auto_download)
    import torch

    if models.threads:
        torch.set_num_threads(models.threads)
    return Encoder(weights, choose_precision("auto"), settings.model)


def _identity(model_id: str, weights: Weights) -> str:
    """Return an id of the encoder that made a vector: another model or other weights have another id.

    The number format doesn't count: vectors of the same weights in other formats agree to a cosine of 0.9999.
    """
    digest = hashlib.sha256()
    for file in sorted(itertools.chain(weights.folder.glob("*.safetensors"), weights.folder.glob("*/*.safetensors"))):
        # The header lists every tensor with its place. Header and size tell weights apart without reading all of them.
        with file.open("rb") as stream:
            digest.update(json.dumps([file.name, file.stat().st_size]).encode() + stream.read(65536))
    return f"{model_id}@{digest.hexdigest()[:12]}"
