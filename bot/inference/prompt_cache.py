"""The keys and values of the last prompt, so that the next one is computed only from where it differs.

Prompts of one model begin alike, with the instructions and examples, and those of a conversation with its turns too. The memory
is that of one prompt and its answer. Only for models all of whose layers keep a state for each token; layers with a window or a
recurrent state can't go back to an earlier token.
"""

from collections.abc import Sequence
from functools import wraps
from typing import Any


class PromptCache:
    """Keeps the state of one prompt. Belongs to the model's thread; a second thread finds nothing kept."""

    def __init__(self, model: Any) -> None:
        """Change the first step of a language model so that it leaves out the tokens that a cache holds already."""
        self._config = model.config
        self.possible = _goes_back(model.config)
        self._kept: tuple[list[int], Any] | None = None
        if self.possible:
            model.prepare_inputs_for_generation = _only_the_rest(model.prepare_inputs_for_generation)

    def cache_for(self, tokens: Sequence[int]) -> Any:
        """Return a cache that holds a beginning of a prompt, maybe empty, for `generate`. It is no longer kept here."""
        kept, self._kept = self._kept, None
        if kept is None:
            return _new_cache(self._config)
        known, cache = kept
        # The last token is computed in any case: its output is the first new token.
        shared = _shared_beginning(known, tokens[:-1])
        cache.crop(shared - len(known))
        return cache

    def keep(self, tokens: Sequence[int], cache: Any) -> None:
        """Keep the cache that `generate` has filled with a prompt and its answer."""
        beyond = cache.get_seq_length() - len(tokens)
        if beyond >= 0:
            cache.crop(-beyond)
            self._kept = [*tokens], cache


def _new_cache(config: Any) -> Any:
    from transformers.cache_utils import DynamicCache

    return DynamicCache(config=config)


def _goes_back(config: Any) -> bool:
    """Return whether all layers of a model keep a state for each token, so that the last ones can be taken away."""
    from transformers.cache_utils import DynamicLayer

    if config.is_encoder_decoder:
        return False
    layers = _new_cache(config).layers
    return bool(layers) and all(type(layer) is DynamicLayer for layer in layers)


def _shared_beginning(one: Sequence[int], other: Sequence[int]) -> int:
    """Return the number of tokens that two prompts begin with alike."""
    differ = (position for position, (first, second) in enumerate(zip(one, other, strict=False)) if first != second)
    return next(differ, min(len(one), len(other)))


def _only_the_rest(prepare: Any) -> Any:
    """Return a model's `prepare_inputs_for_generation` that leaves out the tokens in the cache at the first step, too.

    With `prompt_lookup_num_tokens` transformers passes the whole prompt there.
    """

    @wraps(prepare)
    def prepared(
        input_ids: Any,
        next_sequence_length: int | None = None,
        past_key_values: Any = None,
        is_first_iteration: bool | None = False,
        **kwargs: Any,
    ) -> Any:
        if is_first_iteration and next_sequence_length is None and past_key_values is not None:
            next_sequence_length = input_ids.shape[1] - past_key_values.get_seq_length()
        return prepare(
            input_ids,
            next_sequence_length=next_sequence_length,
            past_key_values=past_key_values,
            is_first_iteration=is_first_iteration,
            **kwargs,
        )

    return prepared
