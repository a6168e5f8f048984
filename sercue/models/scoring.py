"""Asking a loaded model: which implementation, how many recordings at once, and a check of both.

No list of architectures can say whether the shared prefix is exact for a given model, which may be
newer than this code. So two recordings of noise and two prompts are first scored by separate passes
as well, and a method is used only if its scores equal those.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size
from transformers import PreTrainedModel

from sercue.errors import InputError
from sercue.models import packed, suffixes
from sercue.models.cards import Audios, Prompts
from sercue.models.chat_inputs import ChatInputs
from sercue.models.checkpoint import end_tokens
from sercue.models.prefix import Batch, Ids, Said, attention_of, run_prefix

TREE, SUFFIXES = "token tree", "batched suffixes"
# A tree wastes attention between its branches. That cost grows with the tree, the rest of the
# arithmetic with the width of the network; at these sizes it stays a small part.
_LEAST_TREE, _LARGEST_TREE = 256, 4096
_LEAST_TREE_IN_NEED = 64
# The probe: two prompts and three labels about two recordings of noise of different lengths.
_PROMPTS = ("Options: angry, neutral. Cues: energy=low, pitch=high. Answer:", "Answer:")
_LABELS = ("angry", "neutral", "surprised")
_SECONDS = (1.0, 0.6)
# Largest difference from separate passes, in nats, that rounding explains.
_TOLERANCE, _TOLERANCE_16_BIT = 1e-3, 0.5


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
        batch_size: the present one
        tree_tokens: the present number
        difference: largest difference of the probe's scores from separate passes, nats

    Raises:
        InputError: if the scores of the probe are not finite or differ from separate passes
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
        width = model.config.get_text_config().hidden_size
        self.batch_size = batch_size
        self.tree_tokens = tree_tokens or min(max(width, _LEAST_TREE), _LARGEST_TREE)
        self._model, self._inputs, self._name = model, inputs, name
        self._choose()

    def score(self, audios: Audios, prompts: Prompts, labels: Sequence[str]) -> list[np.ndarray]:
        """Log-likelihood of each label's words; see ``AudioChatModel.score``.

        A score is not finite only if it is not finite when its prompt is asked alone.
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

    def generate(self, audios: Audios, prompts: Prompts, max_new_tokens: int) -> list[Said]:
        """Token ids of the greedy answers; see ``AudioChatModel.generate``.

        ``None`` where logits are not finite even when the prompt is asked alone.
        """

        def run(batch: Batch, _: Sequence[int]) -> list[Said]:
            return self._generate(batch, max_new_tokens)

        answers = self._in_batches(run, audios, prompts)
        for audio, asked, own in zip(audios, prompts, answers, strict=True):
            if None in own and self._can_be_finite(audio, asked):
                for prompt in [place for place, answer in enumerate(own) if answer is None]:
                    alone = self._encode([audio], [[asked[prompt]]], [0])
                    own[prompt] = self._generate(alone, max_new_tokens)[0][0]
        return answers

    def _generate(self, batch: Batch, most: int) -> list[Said]:
        model = self._model
        ends = end_tokens(model.generation_config, self._inputs.tokenizer, self._name)
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
        self, run: Callable[[Batch, Sequence[int]], list[Any]], audios: Audios, prompts: Prompts
    ) -> list[Any]:
        """Run recordings a few at a time, fewer once the device is out of memory."""
        answers: list[Any] = [None] * len(audios)
        # Recordings of similar length with about as many prompts pad each other least. The largest
        # come first, so that what runs out of memory does so at once.
        left = sorted(
            range(len(audios)), key=lambda i: (-len(prompts[i]).bit_length(), -len(audios[i]))
        )
        begun: tuple[list[int], Future[Batch]] | None = None
        pool = ThreadPoolExecutor(1)
        try:
            while left:
                chunk, rest = left[: self.at_once], left[self.at_once :]
                if begun and begun[0] == chunk:
                    batch = begun[1].result()
                else:
                    batch = self._encode(audios, prompts, chunk)
                following = rest[: self.at_once]
                if following and self._waits:
                    begun = following, pool.submit(self._encode, audios, prompts, following)
                try:
                    done = run(batch, chunk)
                except (RuntimeError, MemoryError) as error:
                    if not (isinstance(error, MemoryError) or should_reduce_batch_size(error)):
                        raise
                    done = None
                if done is None:
                    # Outside of the handler, so that no error holds what filled the memory.
                    clear_device_cache(garbage_collection=True)
                    self._shrink()
                    continue
                for number, answer in zip(chunk, done, strict=True):
                    answers[number] = answer
                left = rest
        finally:
            # Whoever stops a study does not wait for recordings that nobody will ask about.
            pool.shutdown(wait=False, cancel_futures=True)
        return answers

    def _encode(self, audios: Audios, prompts: Prompts, chunk: Sequence[int]) -> Batch:
        batch = self._inputs.encode([audios[i] for i in chunk], [prompts[i] for i in chunk])
        dtype = self._model.dtype
        inputs = {
            name: value.to(self._device, dtype if value.is_floating_point() else None)
            for name, value in batch.inputs.items()
        }
        return replace(batch, inputs=inputs)

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
        """Whether the CPU is idle while the model runs, so that it can prepare the next batch."""
        return self._device.type != "cpu"

    def _rows(self, batch: Batch) -> int:
        """Rows of suffixes that hold as many tokens as a tree may."""
        longest = max(len(prompt) for prompts in batch.ids for prompt in prompts)
        return max(1, self.tree_tokens // longest)

    def _choose(self) -> None:
        """Take the first method whose scores of the probe equal those of separate passes."""
        generator, rate = np.random.default_rng(0), self._inputs.sampling_rate
        lengths = [int(seconds * rate) for seconds in _SECONDS]
        audios = [generator.normal(0, 0.05, length).astype(np.float32) for length in lengths]
        expected = np.array([[self._separate(a, prompt) for prompt in _PROMPTS] for a in audios])
        dtype = self._model.dtype
        if wrong := int((~np.isfinite(expected)).sum()):
            cause = (
                "numbers beyond 65504 overflow in float16: set dtype to bfloat16 or float32"
                if dtype == torch.float16
                else "its weights or its config.json are damaged: download or copy them again"
            )
            raise InputError(
                f"model {self._name!r}: in {str(dtype).removeprefix('torch.')}, {wrong} of "
                f"{expected.size} scores of a trial on noise are not finite; {cause}"
            )
        tolerance = _TOLERANCE if dtype == torch.float32 else _TOLERANCE_16_BIT
        takes_tree = attention_of(self._model) in packed.IMPLEMENTATIONS
        found = {}
        for self.method in (TREE, SUFFIXES) if takes_tree else (SUFFIXES,):
            for self.together in (True, False):
                scores = np.array(self.score(audios, [_PROMPTS] * len(audios), _LABELS))
                self.difference = float(np.abs(scores - expected).max())
                if self.difference <= tolerance:
                    return
            found[self.method] = self.difference
        told = ", ".join(f"{method} {value:.2g}" for method, value in found.items())
        raise InputError(
            f"model {self._name!r}: behind a shared prefix its scores differ from those of "
            f"separate passes by so many nats: {told}; its {type(self._model).__name__} cannot be "
            "asked exactly"
        )

    @torch.inference_mode()
    def _separate(self, audio: np.ndarray, prompt: str) -> list[float]:
        """Log-likelihood of each label of the probe, in a pass of its own without a cache."""
        batch, scores = self._encode([audio], [[prompt]], [0]), []
        asked = list(batch.ids[0][0])
        for answer in [self._inputs.answer_tokens(prompt, label) for label in _LABELS]:
            ids = torch.tensor([[*asked, *answer]], device=self._device)
            more = {
                name: torch.tensor([[*rows[0], *[0] * len(answer)]], device=self._device)
                for name, rows in batch.per_token.items()
            }
            mask = torch.ones_like(ids)
            output = self._model(**batch.inputs, **more, input_ids=ids, attention_mask=mask)
            log_probs = output.logits[0, len(asked) - 1 : -1].float().log_softmax(-1)
            places = torch.arange(len(answer), device=log_probs.device)
            chosen = log_probs[places, torch.tensor(answer, device=log_probs.device)]
            scores.append(float(chosen.cpu().double().sum()))
        return scores
