"""A model behind an endpoint with OpenAI's chat completions, such as vLLM or transformers serve."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from sercue.errors import InputError, ServerError
from sercue.models.asked import NoAnswer, check_labels, check_prompts, usable_samples
from sercue.models.cards import ENDPOINT_PREFIX, public_name
from sercue.models.endpoint_chat import (
    NO_PENALTY,
    greedy_request,
    scoring_request,
    wav_base64,
)
from sercue.models.endpoint_options import count, resolve_url, seconds, text, variable
from sercue.models.endpoint_scoring import LabelTokens, no_scores
from sercue.models.endpoint_server import RefusedRequest, Server

# Statuses that servers give to a field of the request that they do not know.
_UNKNOWN_FIELD = (400, 422)


class EndpointModel:
    """An audio language model that a server runs.

    The chat is one user turn with the audio first and the text second, one request a prompt, and
    the server's own chat template around it. ``generate`` needs a server that takes
    ``input_audio``. ``score`` also needs the log-probabilities of a prompt, an extension that vLLM
    has; other servers are refused, never approximated. Neither torch nor transformers is needed.

    ``identity`` holds the name, ``revision`` and the sampling rate, and not the URL, since a server
    may move. It asks nothing of the server, so that finished predictions can be read when that is
    gone. So only ``revision`` tells two versions under one name apart: state there whatever the
    server was started with, the weights' commit and their precision above all. Settings that a
    repository ships for penalties are turned off where the server allows it.

    Args:
        served: the model's name on the server
        base_url: where the server is, up to and with ``/v1``; by default the environment's
            ``OPENAI_BASE_URL``
        batch_size: utterances whose recordings are held for requests at once
        concurrency: requests that are under way at once
        timeout: longest wait for a reply, in seconds
        retries: how often a request is sent again; six wait about 20 s, each further one 8 s more
        key_variable: environment variable that holds the key; servers that ask for none need none
        sampling_rate: of the recordings that are sent, in Hz; the server resamples to its model's
        max_seconds: longest recording that the model takes whole, in seconds
        revision: version of what is served, in your words

    Raises:
        InputError: if an option is not valid

    Examples:
        >>> model = EndpointModel("qwen2-audio", base_url="http://127.0.0.1:8000/v1", revision="1a")
        >>> model.identity
        'endpoint:qwen2-audio@1a/16000 Hz'
    """

    def __init__(
        self,
        served: str,
        *,
        base_url: str | None = None,
        batch_size: int = 8,
        concurrency: int = 8,
        timeout: float = 120.0,
        retries: int = 6,
        key_variable: str = "OPENAI_API_KEY",
        sampling_rate: int = 16000,
        max_seconds: float = 30.0,
        revision: str | None = None,
    ) -> None:
        self.served = text("served", served)
        self.name = public_name(ENDPOINT_PREFIX + self.served)
        self.batch_size = count("batch_size", batch_size, 1)
        self.sampling_rate = count("sampling_rate", sampling_rate, 1)
        self.max_seconds = seconds("max_seconds", max_seconds)
        self.revision = None if revision is None else text("revision", revision)
        self.device, self.dtype = "server", "as served"
        self._server = Server(
            self.name,
            resolve_url(base_url),
            variable("key_variable", key_variable),
            concurrency=count("concurrency", concurrency, 1),
            timeout=seconds("timeout", timeout),
            retries=count("retries", retries, 0),
        )
        self._labels = LabelTokens()
        self._takes_no_penalty = True

    def __repr__(self) -> str:
        return f"EndpointModel({self.served!r}, base_url={self._server.url!r})"

    @property
    def identity(self) -> str:
        """Name, stated revision and sampling rate: what is known to decide the answers."""
        return f"{self.name}@{self.revision or 'unversioned'}/{self.sampling_rate} Hz"

    def check(self) -> None:
        """Ask about a second of silence, as the study will about its recordings.

        Raises:
            InputError: if the server cannot be reached, does not serve the model, takes no audio,
                or replies with something else than a chat completion
        """
        silence = np.zeros(math.ceil(self.sampling_rate * min(1.0, self.max_seconds)))
        wave = wav_base64(silence, self.sampling_rate)
        try:
            self._server.ask([greedy_request(self.served, wave, "?", 1)], retries=1)
        except RefusedRequest as error:
            listed = [str(card.get("id")) for card in self._server.cards()]
            serves = f"; it lists {', '.join(listed)}" if listed else ""
            raise InputError(f"{error}{serves}") from None
        except ServerError as error:
            raise InputError(str(error)) from None

    @property
    def context(self) -> int | None:
        """Most tokens of a prompt and its answer together; ``None`` if the server does not say."""
        limit = self._card().get("max_model_len")
        return limit if isinstance(limit, int) else None

    def prompt_tokens(self, audio: np.ndarray, prompts: Sequence[str]) -> list[int]:
        """How many tokens each prompt about a recording has, as the server counts them.

        Args:
            audio: recording, float array (samples,) at ``sampling_rate``, in [-1, 1]
            prompts: the texts of the user turn

        Returns:
            one number a prompt; none at all if the server does not tell them

        Raises:
            InputError: if the server refuses a prompt, such as one that is too long for it
            ServerError: if it does not answer
        """
        wave = wav_base64(audio, self.sampling_rate)
        asked = [greedy_request(self.served, wave, prompt, 1) for prompt in prompts]
        usages = [getattr(reply, "usage", None) for reply in self._server.ask(asked)]
        counts = [getattr(usage, "prompt_tokens", None) for usage in usages]
        return [count for count in counts if count] if all(counts) else []

    def _card(self) -> dict[str, Any]:
        """What the server lists of the model, if it lists it."""
        cards = (card for card in self._server.cards() if card.get("id") == self.served)
        return next(cards, {})

    def facts(self) -> dict[str, str]:
        """What a report says of the model; of the server only what it tells when it is there."""
        card = self._card()
        told = {key: card.get(key) for key in ("root", "max_model_len")}
        told["system_fingerprint"] = ", ".join(self._server.fingerprints)
        return {
            "name": self.name,
            "identity": self.identity,
            "revision": self.revision or "not stated, so that versions cannot be told apart",
            "device": self.device,
            "precision": self.dtype,
            "sampling rate": f"{self.sampling_rate} Hz",
            "longest recording": f"{self.max_seconds:g} s",
            **{f"server's {key}": str(value) for key, value in told.items() if value},
        }

    def score(
        self,
        audios: Sequence[np.ndarray],
        prompts: Sequence[Sequence[str]],
        labels: Sequence[str],
    ) -> list[np.ndarray]:
        """Log-likelihood of each label's words as the whole beginning of the answer.

        One request a prompt and label, and for each label one more in the model's life.

        Args:
            audios: of each utterance a float array (samples,) at ``sampling_rate``, in [-1, 1]
            prompts: of each utterance the texts of the user turn
            labels: the words of each label, of any number of tokens

        Returns:
            of each utterance an array (prompts, labels): natural logarithms, summed over the
            tokens of the words

        Raises:
            InputError: if there is no prompt or no label, or if the audio cannot be used
            DecodingError: if the server does not tell log-probabilities of a prompt
            ServerError: if the server stops answering
        """
        check_labels(labels)
        scores = []
        for waves, texts in self._batches(audios, prompts):
            self._learn(waves[0], texts[0][0], labels)
            replies = iter(
                self._scored(
                    scoring_request(self.served, wave, prompt, label)
                    for wave, own in zip(waves, texts, strict=True)
                    for prompt in own
                    for label in labels
                )
            )
            for own in texts:
                rows = [{label: next(replies) for label in labels} for _ in own]
                scores.append(np.array([self._labels.log_likelihoods(row) for row in rows]))
        return scores

    def generate(
        self,
        audios: Sequence[np.ndarray],
        prompts: Sequence[Sequence[str]],
        max_new_tokens: int = 8,
    ) -> list[list[str | NoAnswer]]:
        """What the model answers when the likeliest token is taken each time.

        Args:
            audios: of each utterance a float array (samples,) at ``sampling_rate``, in [-1, 1]
            prompts: of each utterance the texts of the user turn
            max_new_tokens: most tokens of an answer

        Returns:
            of each utterance one answer a prompt

        Raises:
            InputError: if there is no prompt, if the audio cannot be used, or if the server
                refuses a request
            ServerError: if the server stops answering
        """
        count("max_new_tokens", max_new_tokens, 1)
        answers = []
        for waves, texts in self._batches(audios, prompts):
            requests = [
                greedy_request(self.served, wave, prompt, max_new_tokens)
                for wave, own in zip(waves, texts, strict=True)
                for prompt in own
            ]
            replies = iter(self._greedy(requests))
            answers += [
                [next(replies).choices[0].message.content or "" for _ in own] for own in texts
            ]
        return answers

    def _greedy(self, requests: list[dict[str, Any]]) -> list[Any]:
        if self._takes_no_penalty:
            try:
                return self._server.ask([r | {"extra_body": NO_PENALTY} for r in requests])
            except RefusedRequest as error:
                if error.status not in _UNKNOWN_FIELD:
                    raise
        replies = self._server.ask(requests)
        self._takes_no_penalty = False
        return replies

    def _learn(self, wave: str, prompt: str, labels: Sequence[str]) -> None:
        new = self._labels.unknown(labels)
        if not new:
            return
        requests = [scoring_request(self.served, wave, prompt, label) for label in (None, *new)]
        context, *wholes = self._scored(requests)
        for label, whole in zip(new, wholes, strict=True):
            self._labels.learn(label, context, whole)

    def _scored(self, requests: Any) -> list[Any]:
        try:
            return self._server.ask(requests)
        except RefusedRequest as error:
            if error.status not in _UNKNOWN_FIELD:
                raise
            raise no_scores(f"status {error.status}: {error.reason}") from None

    def _batches(
        self, audios: Sequence[np.ndarray], prompts: Sequence[Sequence[str]]
    ) -> Iterator[tuple[list[str], Sequence[Sequence[str]]]]:
        """The recordings as requests carry them, encoded once each, and their prompts."""
        check_prompts(audios, prompts)
        rate, longest = self.sampling_rate, self.max_seconds
        samples = [usable_samples(audio, rate, longest, self.name) for audio in audios]
        for first in range(0, len(samples), self.batch_size):
            batch = slice(first, first + self.batch_size)
            yield [wav_base64(s, rate) for s in samples[batch]], prompts[batch]
