"""The shared prefix: the beginning of all prompts of a recording, audio included, run once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from transformers import DynamicCache, PreTrainedModel

Ids = Sequence[int]
Layers = list[tuple[torch.Tensor, torch.Tensor]]
#: Greedy answers, the ids of each; ``None`` where logits on the way were not finite.
Said = list[list[int] | None]


@dataclass(frozen=True)
class Batch:
    """What is asked of a few recordings, ready for the model.

    Attributes:
        inputs: what the processor made of the audios, all recordings together; one may fill
            several rows
        per_token: further inputs with one value per token, such as ``token_type_ids``:
            ``[recording][token]``, of the first prompt of each. A text behind the audio has zeros.
        ids: token ids of every whole prompt, audio places included: ``[recording][prompt][token]``
    """

    inputs: Mapping[str, torch.Tensor]
    per_token: Mapping[str, Sequence[Sequence[int]]]
    ids: Sequence[Sequence[Ids]]

    def suffixes(self, lengths: Sequence[int]) -> list[list[Ids]]:
        """The part of each prompt behind the prefix of its recording."""
        pairs = zip(self.ids, lengths, strict=True)
        return [[prompt[length:] for prompt in prompts] for prompts, length in pairs]


@dataclass(frozen=True)
class Prefix:
    """Prefixes that have run through the model, one a recording.

    Attributes:
        layers: keys and values of each layer, (recordings, heads, places, size), padded on the
            right
        lengths: tokens of each prefix
    """

    layers: Layers
    lengths: list[int]

    @property
    def places(self) -> int:
        """Places of the cache: the length of the longest prefix."""
        return max(self.lengths)

    @property
    def device(self) -> torch.device:
        """Where ids and masks go."""
        return self.layers[0][0].device

    def held(self) -> torch.Tensor:
        """Bool array (recordings, places): whether a place holds a token of the prefix."""
        lengths = torch.tensor(self.lengths, device=self.device)
        return torch.arange(self.places, device=self.device) < lengths[:, None]

    def cache(self) -> DynamicCache:
        """A cache that a model may write on; the prefix stays as it is."""
        cache = DynamicCache()
        for number, (keys, values) in enumerate(self.layers):
            cache.update(keys, values, number)
        return cache

    def repeated(self, recording: int, rows: int) -> DynamicCache:
        """A cache with one recording's prefix in several rows, without padding."""
        cache = DynamicCache()
        length = self.lengths[recording]
        for number, (keys, values) in enumerate(self.layers):
            own = [part[recording, :, :length].expand(rows, -1, -1, -1) for part in (keys, values)]
            cache.update(*own, number)
        return cache


def common_prefix(texts: Sequence[Ids]) -> int:
    """Number of leading tokens that all texts share, leaving each at least one of its own.

    Examples:
        >>> common_prefix([[5, 6, 7, 8], [5, 6, 9]])
        2
        >>> common_prefix([[5, 6, 7]])
        2
    """
    rows = [list(text) for text in texts]
    # What the first and the last in order share, all between them share.
    shared = shared_length(min(rows), max(rows))
    return min(shared, min(map(len, rows)) - 1)


def shared_length(one: Ids, other: Ids) -> int:
    """Number of leading tokens that two texts share."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


def run_prefix(model: PreTrainedModel, batch: Batch) -> Prefix:
    """Run what all prompts of each recording share, audio encoder included."""
    lengths = [common_prefix(prompts) for prompts in batch.ids]
    device = model.get_input_embeddings().weight.device
    starts = [prompts[0][:length] for prompts, length in zip(batch.ids, lengths, strict=True)]
    extra = {
        name: padded([row[:length] for row, length in zip(rows, lengths, strict=True)], device)
        for name, rows in batch.per_token.items()
    }
    # Of a prefix only keys and values are wanted; one place is the least that every model takes.
    one = torch.zeros(1, dtype=torch.long, device=device)
    with only_at(model, one, one):
        output = model(
            **batch.inputs,
            **extra,
            input_ids=padded(starts, device),
            attention_mask=padded([[1] * length for length in lengths], device),
            past_key_values=DynamicCache(),
            use_cache=True,
        )
    return Prefix(cache_layers(output.past_key_values), lengths)


def cache_layers(cache: DynamicCache) -> Layers:
    """Keys and values of each layer."""
    return [(layer.keys, layer.values) for layer in cache.layers]


def padded(rows: Sequence[Ids], device: torch.device | str) -> torch.Tensor:
    """Rows of numbers as one array, zeros on the right.

    Examples:
        >>> padded([[5, 6], [7]], "cpu").tolist()
        [[5, 6], [7, 0]]
    """
    width = max(map(len, rows))
    filled = [[*row, *[0] * (width - len(row))] for row in rows]
    return torch.tensor(filled, dtype=torch.long, device=device)


def positions(model: PreTrainedModel, places: torch.Tensor) -> torch.Tensor:
    """Position ids as the model expects them: (rows, tokens), or (3, rows, tokens).

    Models with multimodal rotary positions number time, height and width apart; in text behind
    audio the three are equal.

    Args:
        model: its configuration tells which kind it is
        places: (rows, tokens), the place of each token among its row's tokens
    """
    text = model.config.get_text_config()
    multimodal = "mrope_section" in (getattr(text, "rope_parameters", None) or {})
    return places[None].expand(3, -1, -1) if multimodal else places


def attention_of(model: PreTrainedModel) -> str:
    """The implementation of attention in the language model."""
    return str(model.config.get_text_config()._attn_implementation)


def sliding_window(config: Any) -> int | None:
    """The shortest window of the language model's attention, in tokens, if it has one."""
    text = config.get_text_config()
    sliding = "sliding_attention" in (getattr(text, "layer_types", None) or [])
    return getattr(text, "sliding_window", None) if sliding else None


@contextmanager
def only_at(model: PreTrainedModel, rows: torch.Tensor, places: torch.Tensor) -> Iterator[None]:
    """Compute no more than the given places need: logits come as (places, vocabulary).

    With a vocabulary of 150 thousand words, logits at every place would cost more memory than
    the rest of a small batch. Not every architecture has ``logits_to_keep``, and none keeps
    different places in different rows. Nothing attends to what the last layer makes of a token,
    so its feed-forward block, some six in seven of its operations, runs at these places alone too.
    """

    def pick(module: torch.nn.Module, given: tuple[Any, ...]) -> tuple[torch.Tensor]:
        return (given[0][rows.to(given[0].device), places.to(given[0].device)],)

    handles = [model.get_output_embeddings().register_forward_pre_hook(pick)]
    layers = getattr(model.get_decoder(), "layers", None)
    block = getattr(layers[-1], "mlp", None) if layers is not None else None
    if block is not None:
        narrowed = _Narrowed(rows, places)
        handles.append(block.register_forward_pre_hook(narrowed.pick))
        handles.append(block.register_forward_hook(narrowed.put_back))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class _Narrowed:
    """Lets a block that treats each token apart see some tokens only; the others become zero."""

    def __init__(self, rows: torch.Tensor, places: torch.Tensor) -> None:
        self._rows, self._places = rows, places
        self._all: torch.Tensor | None = None

    def pick(
        self, module: torch.nn.Module, given: tuple[Any, ...]
    ) -> tuple[torch.Tensor, ...] | None:
        if not given or given[0].ndim != 3:
            return None
        self._all = given[0]
        at = self._rows.to(given[0].device), self._places.to(given[0].device)
        return (given[0][at][None], *given[1:])

    def put_back(self, module: torch.nn.Module, given: tuple[Any, ...], made: Any) -> Any:
        if self._all is None:
            return made
        some = made[0] if isinstance(made, tuple) else made
        every = some.new_zeros(self._all.shape)
        every[self._rows.to(some.device), self._places.to(some.device)] = some[0]
        self._all = None
        return (every, *made[1:]) if isinstance(made, tuple) else every


_State = TypeVar("_State")


def greedy_tokens(
    state: _State,
    likeliest: Callable[[_State], list[int | None]],
    extend: Callable[[_State, list[int], list[int]], _State],
    end_tokens: Sequence[int],
    max_new_tokens: int,
) -> Said:
    """The likeliest token of each text, one after another, until it ends.

    Args:
        state: the texts as they have run, one a row
        likeliest: the likeliest next token of each row; ``None`` where no token is, since its
            logits are not finite
        extend: runs one more token behind each of the given rows, which alone stay
        end_tokens: ids that end a text; they are not part of what is returned
        max_new_tokens: most tokens of a text

    Returns:
        ids added to each row; ``None`` for a row that came to have no likeliest token

    Examples:
        >>> def extend(state, rows, tokens):
        ...     return [number - 1 for number in tokens]
        >>> greedy_tokens([2, 5], list, extend, end_tokens=[0], max_new_tokens=3)
        [[2, 1], [5, 4, 3]]
    """
    said = likeliest(state)
    added: Said = [[] for _ in said]
    growing = list(range(len(said)))
    for step in range(max_new_tokens):
        next_tokens: dict[int, int] = {}
        for row, token in enumerate(said):
            answer = added[growing[row]]
            if token is None or answer is None:
                added[growing[row]] = None
            elif token not in end_tokens:
                answer.append(token)
                next_tokens[row] = token
        if not next_tokens or step == max_new_tokens - 1:
            break
        growing = [growing[row] for row in next_tokens]
        state = extend(state, list(next_tokens), list(next_tokens.values()))
        said = likeliest(state)
    return added


def likeliest_tokens(logits: torch.Tensor) -> list[int | None]:
    """The likeliest token by each row of logits, (rows, vocabulary), or of log-probabilities.

    A single NaN makes ``argmax`` return its place, which would be read as an answer. A token that
    the model rules out (minus infinity) does no harm to the others.

    Examples:
        >>> likeliest_tokens(torch.tensor([[0.0, 2.0], [float("nan"), 1.0], [float("-inf"), 0.0]]))
        [1, None, 1]
    """
    best = logits.max(-1)
    pairs = zip(best.indices.tolist(), best.values.isfinite().tolist(), strict=True)
    return [token if finite else None for token, finite in pairs]
