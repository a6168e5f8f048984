"""Asking a loaded model: which implementation, how many recordings at once, and a check of both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size
from transformers import PreTrainedModel

from sercue.errors import InputError
from sercue.models import packed, probe, suffixes
from sercue.models.chat_inputs import ChatInputs
from sercue.models.checkpoint import end_tokens
from sercue.models.prefix import Batch, attention_of, run_prefix
from sercue.models.tree import Ids

TREE, SUFFIXES = "token tree", "batched suffixes"
# What a tree wastes is attention between its branches: it grows with the tree, the rest of the
# arithmetic with the width of the network, and at these sizes it stays a small part.
_LEAST_TREE, _LARGEST_TREE = 256, 4096
_LEAST_TREE_IN_NEED = 64


class Scoring:
    """Answers of a model to many prompts of many recordings, each recording run once.

    The token tree is used where the model's attention takes its mask and where scores of a probe
    equal those of separate passes; otherwise batched suffixes are. Recordings run together unless
    the model's own arithmetic lets one depend on another.

    Args:
        model: with its weights, on its device
        inputs: what makes its inputs
        name: how errors call the model
        batch_size: recordings that run at once; halved whenever the device runs out of memory
        tree_tokens: most tokens of a tree behind a prefix; by default what suits the network

    Attributes:
        method: ``"token tree"`` or ``"batched suffixes"``
        together: whether several recordings may run at once
        batch_size: what is left of it
        tree_tokens: what is left of it
        difference: largest difference of the probe's scores from separate passes, nats

    Raises:
        InputError: if layers of the model keep a state that prompts cannot share, or if the scores
            of the probe differ from separate passes
    """

    def __init__(
        self,
        model: PreTrainedModel,
        inputs: ChatInputs,
        *,
        name: str,
        batch_size: int,
        tree_tokens: int | None = None,
    ) -> None:
        probe.check_layers(model.config, name)
        width = model.config.get_text_config().hidden_size
        self.batch_size = batch_size
        self.tree_tokens = tree_tokens or min(max(width, _LEAST_TREE), _LARGEST_TREE)
        self._model, self._inputs, self._name = model, inputs, name
        self._choose()

    def score(
        self, audios: Sequence[np.ndarray], prompts: Sequence[Sequence[str]], labels: Sequence[str]
    ) -> list[np.ndarray]:
        """Log-likelihood of each label's words; see ``AudioChatModel.score``.

        Not finite is only what is not finite where it is asked alone.
        """
        answers = [[self._inputs.answer_tokens(asked[0], w) for w in labels] for asked in prompts]

        def run(batch: Batch, chunk: Sequence[int]) -> list[np.ndarray]:
            return self._score(batch, [answers[i] for i in chunk])

        scores = self._in_batches(run, audios, prompts)
        for audio, asked, given, own in zip(audios, prompts, answers, scores, strict=True):
            if not np.isfinite(own).all() and self._can_be_finite(audio, asked):
                for prompt, label in np.argwhere(~np.isfinite(own)):
                    alone = self._encode([audio], [[asked[prompt]]], [0])
                    own[prompt, label] = self._score(alone, [[given[label]]])[0].item()
        return scores

    def _score(self, batch: Batch, answers: Sequence[Sequence[Ids]]) -> list[np.ndarray]:
        if self.method == TREE:
            return packed.score_answers(self._model, batch, answers, self.tree_tokens)
        return suffixes.score_answers(self._model, batch, answers, self._rows(batch))

    def generate(
        self, audios: Sequence[np.ndarray], prompts: Sequence[Sequence[str]], max_new_tokens: int
    ) -> list[list[list[int] | None]]:
        """Token ids of the greedy answers; see ``AudioChatModel.generate``.

        ``None`` where logits are not finite although the prompt is asked alone.
        """

        def run(batch: Batch, _: Sequence[int]) -> list[list[list[int] | None]]:
            return self._generate(batch, max_new_tokens)

        answers = self._in_batches(run, audios, prompts)
        for audio, asked, own in zip(audios, prompts, answers, strict=True):
            if None in own and self._can_be_finite(audio, asked):
                for prompt in [place for place, answer in enumerate(own) if answer is None]:
                    alone = self._encode([audio], [[asked[prompt]]], [0])
                    own[prompt] = self._generate(alone, max_new_tokens)[0][0]
        return answers

    def _generate(self, batch: Batch, most: int) -> list[list[list[int] | None]]:
        model, ends = self._model, self._end_tokens
        if self.method == TREE:
            return packed.greedy_answers(model, batch, ends, most, self.tree_tokens)
        return suffixes.greedy_answers(model, batch, ends, most, self._rows(batch))

    @torch.inference_mode()
    def _can_be_finite(self, audio: np.ndarray, prompts: Sequence[str]) -> bool:
        """Whether what all prompts of a recording share is finite where it runs alone.

        In a batch, a token whose state is not finite reaches all that are masked from it: attention
        gives it the weight zero, and zero times NaN is NaN. So whatever is not finite is asked
        again alone, unless the fault lies in what the prompts share: then each has it.
        """
        prefix = run_prefix(self._model, self._encode([audio], [list(prompts)], [0]))
        return all(part.isfinite().all() for layer in prefix.layers for part in layer)

    def _in_batches(
        self,
        run: Callable[[Batch, Sequence[int]], list[Any]],
        audios: Sequence[np.ndarray],
        prompts: Sequence[Sequence[str]],
    ) -> list[Any]:
        """Run recordings a few at a time, fewer once the device is out of memory."""
        answers: list[Any] = [None] * len(audios)
        # Recordings of similar length pad each other least. The longest come first, so that what
        # runs out of memory does so at once.
        left = sorted(range(len(audios)), key=lambda i: -len(audios[i]))
        with _Ahead(lambda chunk: self._encode(audios, prompts, chunk), self._waits) as ahead:
            while left:
                chunk, rest = left[: self.at_once], left[self.at_once :]
                batch = ahead.take(chunk, rest[: self.at_once])
                done = self._unless_out_of_memory(run, batch, chunk)
                if done is None:
                    self._shrink()
                    continue
                for number, answer in zip(chunk, done, strict=True):
                    answers[number] = answer
                left = rest
        return answers

    def _encode(
        self, audios: Sequence[np.ndarray], prompts: Sequence[Sequence[str]], chunk: Sequence[int]
    ) -> Batch:
        encoded = self._inputs.encode([audios[i] for i in chunk], [prompts[i] for i in chunk])
        inputs = {name: self._placed(value) for name, value in encoded.inputs.items()}
        return Batch(inputs, encoded.per_token, encoded.ids)

    def _placed(self, value: torch.Tensor) -> torch.Tensor:
        dtype = self._model.dtype if value.is_floating_point() else None
        return value.to(self._device, dtype)

    @staticmethod
    def _unless_out_of_memory(
        run: Callable[[Batch, Sequence[int]], list[Any]], batch: Batch, chunk: Sequence[int]
    ) -> list[Any] | None:
        try:
            return run(batch, chunk)
        except (RuntimeError, MemoryError) as error:
            if not (isinstance(error, MemoryError) or should_reduce_batch_size(error)):
                raise
        # Outside of the handler, so that the error no longer holds what filled the memory.
        clear_device_cache(garbage_collection=True)
        return None

    def _shrink(self) -> None:
        if self.batch_size > 1:
            self.batch_size //= 2
        elif self.tree_tokens > _LEAST_TREE_IN_NEED:
            self.tree_tokens = max(self.tree_tokens // 2, _LEAST_TREE_IN_NEED)
        else:
            raise InputError(
                f"model {self._name!r}: {self._device} ran out of memory with one recording and "
                f"{self.tree_tokens} tokens of its prompts at once; set dtype to bfloat16, "
                "device_map to auto in model_options, or take a smaller model"
            )

    @property
    def at_once(self) -> int:
        """Recordings that run at once."""
        return self.batch_size if self.together else 1

    @property
    def _device(self) -> torch.device:
        return self._model.get_input_embeddings().weight.device

    @property
    def _waits(self) -> bool:
        """Whether the cores wait while the model runs, so that they can prepare what is next."""
        return self._device.type != "cpu"

    @property
    def _end_tokens(self) -> list[int]:
        return end_tokens(self._model.generation_config, self._inputs.tokenizer, self._name)

    def _rows(self, batch: Batch) -> int:
        """Rows of suffixes that hold as many tokens as a tree may."""
        longest = max(len(prompt) for prompts in batch.ids for prompt in prompts)
        return max(1, self.tree_tokens // longest)

    def _choose(self) -> None:
        """Take the first way whose scores of the probe equal those of separate passes."""
        takes_tree = attention_of(self._model) in packed.IMPLEMENTATIONS
        audios = probe.recordings(self._inputs.sampling_rate)
        asked = [probe.PROMPTS] * len(audios)
        expected = probe.separate_scores(
            self._model,
            lambda audio, prompt: self._encode([audio], [[prompt]], [0]),
            self._inputs.answer_tokens,
            audios,
        )
        probe.check_finite(expected, self._model.dtype, self._name)
        found = {}
        for self.method in (TREE, SUFFIXES) if takes_tree else (SUFFIXES,):
            for self.together in (True, False):
                scores = np.array(self.score(audios, asked, probe.LABELS))
                self.difference = float(np.abs(scores - expected).max())
                if probe.is_exact(self.difference, self._model.dtype):
                    return
            found[self.method] = self.difference
        told = ", ".join(f"{method} {value:.2g}" for method, value in found.items())
        raise InputError(
            f"model {self._name!r}: behind a shared prefix its scores differ from those of "
            f"separate passes by so many nats: {told}; its {type(self._model).__name__} cannot be "
            "asked exactly"
        )


class _Ahead:
    """Prepares the next batch while the model is busy with one.

    Args:
        prepare: makes the batch of some recordings
        ahead: whether to do so; on a CPU both would compete for the cores
    """

    def __init__(self, prepare: Callable[[Sequence[int]], Batch], ahead: bool) -> None:
        self._prepare = prepare
        self._pool = ThreadPoolExecutor(1) if ahead else None
        self._next: tuple[list[int], Future[Batch]] | None = None

    def __enter__(self) -> _Ahead:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def take(self, chunk: list[int], following: list[int]) -> Batch:
        """The batch of ``chunk``; that of ``following`` is begun."""
        held = self._next
        batch = held[1].result() if held and held[0] == chunk else self._prepare(chunk)
        if self._pool and following:
            self._next = (following, self._pool.submit(self._prepare, following))
        return batch
