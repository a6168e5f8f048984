"""A model behind an endpoint with OpenAI's chat completions, such as vLLM or transformers serve."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlsplit

import numpy as np
from pydantic import Field

from sercue.corpora.audio import wav_base64
from sercue.errors import DecodingError, InputError, shortened
from sercue.models.cards import (
    ENDPOINT_PREFIX,
    Answers,
    Audios,
    NoAnswer,
    Prompts,
    check_labels,
    check_prompts,
    usable_samples,
)
from sercue.models.endpoint_server import RefusedRequest, Server, shown
from sercue.models.windows import LongAudioOptions
from sercue.privacy import public_name

URL_VARIABLE = "OPENAI_BASE_URL"
_NO_PORT = re.compile(r":(?!//)(?!\d*(/|$))")


def resolve_url(base_url: str | None) -> str:
    """The URL that is given, or the environment's ``OPENAI_BASE_URL``, without a slash at its end.

    Raises:
        InputError: if there is none, or it is not plain http or https with a host; one with a
            user, a password or a query is refused and not repeated

    Examples:
        >>> resolve_url("http://127.0.0.1:8000/v1/")
        'http://127.0.0.1:8000/v1'
    """
    valid = "valid is http://HOST:PORT/v1, or https"
    url = os.environ.get(URL_VARIABLE, "") if base_url is None else base_url
    if not isinstance(url, str) or not url.strip():
        unset = f", and {URL_VARIABLE} is not set in the environment" if base_url is None else ""
        raise InputError(f"base_url: found {base_url!r}{unset}; {valid}")
    url = url.strip().rstrip("/")
    if any(mark in url for mark in "@?#"):
        raise InputError(
            "base_url: found a user, a password or a query in it, which reports would show; a key "
            f"belongs in an environment variable, and {valid}"
        )
    if not _has_host(url):
        # Behind a colon that no port follows, a password may stand.
        shown = "another URL" if _NO_PORT.search(url) else shortened(url)
        raise InputError(f"base_url: found {shown}, {valid}")
    return url


def _has_host(url: str) -> bool:
    if not url.isascii() or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        named = bool(re.fullmatch(r"[\w.-]+|[0-9a-f:.]+", parts.hostname or ""))
        return parts.scheme in ("http", "https") and named and parts.port != 0
    except ValueError:
        return False


def variable(value: Any) -> str:
    """The name of the environment variable with the key.

    Raises:
        InputError: if it cannot be one; it is not repeated, since it may be the key itself
    """
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        raise InputError(
            "key_variable: found what names no environment variable (not shown here, as it may be "
            "a key); valid is a name such as OPENAI_API_KEY"
        )
    return value


#: The likeliest token each time. The penalties are sent since servers otherwise apply those that
#: a repository ships: transformers derives its one from ``frequency_penalty``.
GREEDY = {"temperature": 0, "top_p": 1, "seed": 0, "frequency_penalty": 0, "presence_penalty": 0}
#: The same for servers that have a name of its own for it, vLLM and SGLang among them.
NO_PENALTY = {"repetition_penalty": 1.0}
#: Log-probabilities of the prompt's own tokens, and of no others at their places.
PROMPT_LOGPROBS = {"prompt_logprobs": 0}
#: The chat ends within the assistant's turn, so that its words are the last ones of the prompt.
OPEN_ANSWER = {"add_generation_prompt": False, "continue_final_message": True}

#: Texts to try a server with, the second of them far longer.
PROBES = (
    "?",
    "Which emotion? Anger, fear, joy, sadness, surprise, disgust, boredom or none of them?",
)


def greedy_request(served: str, wave: str, prompt: str, max_tokens: int) -> dict[str, Any]:
    """The request for the greedy answer to one prompt about one recording.

    Args:
        served: the model's name on the server
        wave: the recording, as ``wav_base64`` writes it
        prompt: text of the user turn, behind the audio
        max_tokens: most tokens of the answer
    """
    audio = {"type": "input_audio", "input_audio": {"data": wave, "format": "wav"}}
    turn = {"role": "user", "content": [audio, {"type": "text", "text": prompt}]}
    return {"model": served, "messages": [turn], "max_tokens": max_tokens, **GREEDY}


def scoring_request(
    served: str, wave: str, prompt: str, answer: str | None = None
) -> dict[str, Any]:
    """The request for the log-probabilities of a prompt, with an answer given or none yet."""
    request = greedy_request(served, wave, prompt, 1) | {"extra_body": dict(PROMPT_LOGPROBS)}
    if answer is not None:
        request["messages"].append({"role": "assistant", "content": answer})
        request["extra_body"] |= OPEN_ANSWER
    return request


# How servers name the end of a whole answer; some say nothing.
_WHOLE = (None, "", "stop", "eos", "eos_token", "stop_sequence", "end_turn")
# Statuses that servers give to a field of the request that they do not know.
_UNKNOWN_FIELD = (400, 422)


class EndpointOptions(LongAudioOptions):
    """Where a server is, and how it is asked.

    Attributes:
        base_url: up to and with ``/v1``; by default the environment's ``OPENAI_BASE_URL``
        concurrency: requests that are under way at once
        timeout: longest time from sending a request to the end of its reply, in seconds
        retries: how often a request is sent again; six wait about 20 s, each further one 8 s more
        key_variable: environment variable that holds the key; servers that ask for none need none
        sampling_rate: of the recordings that are sent, in Hz; the server resamples to its model's
        max_seconds: longest recording that the model takes whole, in seconds
        replies_as: the model's name in replies, if that is another than ``served``
    """

    base_url: str | None = Field(None, repr=False)
    concurrency: int = Field(8, ge=1)
    timeout: float = Field(120.0, gt=0)
    retries: int = Field(6, ge=0)
    key_variable: str = Field("OPENAI_API_KEY", repr=False)
    sampling_rate: int = Field(16000, ge=1)
    max_seconds: float = Field(30.0, gt=0)
    replies_as: Annotated[str, Field(pattern=r"\S")] | None = None


class EndpointModel:
    """An audio language model that a server runs.

    The chat is one user turn with the audio first and the text second, one request a prompt, and
    the server's own chat template around it. ``generate`` needs a server that takes
    ``input_audio``. ``score`` also needs the log-probabilities of a prompt, an extension that vLLM
    has; other servers are refused, never approximated. Neither torch nor transformers is needed.

    ``identity`` holds the name, ``replies_as``, ``revision`` and the sampling rate, and not the
    URL, since a server may move. It asks nothing of the server, so that finished predictions can be
    read when that is gone. So only ``revision`` tells two versions under one name apart: state
    there whatever the server was started with, the weights' commit and their precision above all.
    Settings that a repository ships for penalties are turned off where the server allows it.

    Replies must name the model that was asked for. A server may add its version behind an ``@``,
    which then stays the same. Where it resolves the name to another one, such as an alias to a
    dated version, ask for the other one, or state it as ``replies_as`` if the server does not take
    it. A reply that names no model is accepted. A change of ``system_fingerprint`` is logged and
    shown among the ``facts``, since it does not say whether the weights changed.

    Args:
        served: the model's name on the server
        options: where the server is, and how it is asked
        batch_size: utterances whose recordings are held for requests at once
        revision: version of what is served, in your words

    Raises:
        InputError: if there is no URL, or an argument is not valid

    Examples:
        >>> options = EndpointOptions(base_url="http://127.0.0.1:8000/v1")
        >>> EndpointModel("qwen2-audio", options, revision="1a").identity
        'endpoint:qwen2-audio@1a/16000 Hz'
    """

    def __init__(
        self,
        served: str,
        options: EndpointOptions,
        *,
        batch_size: int = 8,
        revision: str | None = None,
    ) -> None:
        if batch_size < 1:
            raise InputError(f"batch_size: found {batch_size}, valid is 1 or more")
        if revision is not None and not revision.strip():
            raise InputError(f"revision: found {revision!r}, valid is a text that is not empty")
        self.served, self.batch_size, self.revision = served, batch_size, revision
        self.name = public_name(ENDPOINT_PREFIX + served)
        self.sampling_rate, self.max_seconds = options.sampling_rate, options.max_seconds
        self.replies_as = options.replies_as
        self.device, self.dtype = "server", "as served"
        self._server = Server(
            self.name,
            resolve_url(options.base_url),
            variable(options.key_variable),
            concurrency=options.concurrency,
            timeout=options.timeout,
            retries=options.retries,
            replies_as=self.replies_as or self.served,
        )
        self._label_tokens: dict[str, list[str]] = {}
        self._takes_no_penalty = True

    def __repr__(self) -> str:
        return f"EndpointModel({self.served!r}, base_url={self._server.url!r})"

    @property
    def identity(self) -> str:
        """Names, stated revision and sampling rate: what is known to decide the answers."""
        name = f"{self.name}={self.replies_as}" if self.replies_as else self.name
        return f"{name}@{self.revision or 'unversioned'}/{self.sampling_rate} Hz"

    def check(self) -> None:
        """Ask about a second of silence, as the study will about its recordings.

        A server that counts tokens must count more in a longer prompt: a chat template that drops
        the text beside audio would make all conditions of a study one prompt.

        Raises:
            InputError: if the server does not serve the model, takes no audio, or does not let the
                text of a prompt reach the model
            ServerError: if it cannot be reached, or replies with something else than a chat
                completion of this model
        """
        silence = np.zeros(math.ceil(self.sampling_rate * min(1.0, self.max_seconds)))
        wave = wav_base64(silence, self.sampling_rate)
        asked = [greedy_request(self.served, wave, prompt, 1) for prompt in PROBES]
        try:
            replies = self._server.ask(asked, retries=1)
        except RefusedRequest as error:
            listed = [str(card.get("id")) for card in self._server.cards()]
            serves = f"; it lists {shown(', '.join(listed))}" if listed else ""
            raise InputError(f"{error}{serves}") from None
        lengths = [_prompt_length(reply) for reply in replies]
        if all(lengths) and len(set(lengths)) == 1:
            raise InputError(
                f"model {self.name!r}: its server counts {lengths[0]} tokens in a prompt of "
                f"{len(PROBES[0])} letter and in one of {len(PROBES[1])}, so the text beside the "
                "audio does not reach the model; see to the chat template that the server uses"
            )

    @property
    def context(self) -> int | None:
        """Most tokens of a prompt and its answer together; ``None`` if the server does not say."""
        limit = self._card().get("max_model_len")
        return limit if isinstance(limit, int) and limit > 1 else None

    def prompt_tokens(self, audio: np.ndarray, prompts: Sequence[str]) -> list[int]:
        """How many tokens each prompt about a recording has, as the server counts them.

        Args:
            audio: recording, float array (samples,) at ``sampling_rate``, in [-1, 1]
            prompts: the texts of the user turn

        Returns:
            one number per prompt; none at all if the server does not tell them

        Raises:
            InputError: if the server refuses a prompt, such as one that is too long for it
            ServerError: if it does not answer
        """
        wave = wav_base64(audio, self.sampling_rate)
        asked = [greedy_request(self.served, wave, prompt, 1) for prompt in prompts]
        lengths = [_prompt_length(reply) for reply in self._server.ask(asked)]
        return lengths if all(lengths) else []

    def _card(self) -> dict[str, Any]:
        """What the server lists of the model, if it lists it."""
        cards = (card for card in self._server.cards() if card.get("id") == self.served)
        return next(cards, {})

    def facts(self) -> dict[str, str]:
        """What a report says of the model; of the server only what it tells when it is there."""
        card = self._card()
        told = {key: shown(card.get(key)) for key in ("root", "max_model_len")}
        told["system_fingerprint"] = self._server.versions
        return {
            "name": self.name,
            "identity": self.identity,
            "revision": self.revision or "not stated, so that versions cannot be told apart",
            "device": self.device,
            "precision": self.dtype,
            "sampling rate": f"{self.sampling_rate} Hz",
            "longest recording": f"{self.max_seconds:g} s",
            **{f"server's {key}": value for key, value in told.items() if value},
        }

    def score(self, audios: Audios, prompts: Prompts, labels: Sequence[str]) -> list[np.ndarray]:
        """Log-likelihood of each label's words as the whole beginning of the answer.

        One request per prompt and label, and for each label one more in the model's life.

        Args:
            audios: of each utterance a float array (samples,) at ``sampling_rate``, in [-1, 1]
            prompts: of each utterance the texts of the user turn
            labels: the words of each label, of any number of tokens

        Returns:
            of each utterance an array (prompts, labels): natural logarithms, summed over the
            tokens of the words; a row of NaN where the server gives no finite one

        Raises:
            InputError: if there is no prompt or no label, if the audio cannot be used, or if two
                prompts reach the model as one
            DecodingError: if the server does not tell log-probabilities of a prompt
            ServerError: if the server stops answering
        """
        check_labels(labels)
        scores = []
        for waves, texts in self._batches(audios, prompts):
            new = [label for label in labels if label not in self._label_tokens]
            if new:
                asked = (self.served, waves[0], texts[0][0])
                context, *wholes = self._scored(
                    [scoring_request(*asked, label) for label in (None, *new)]
                )
                for label, whole in zip(new, wholes, strict=True):
                    self._label_tokens[label] = label_tokens(label, context, whole)
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
                scores.append(log_likelihoods(self._label_tokens, own, rows))
        return scores

    def generate(self, audios: Audios, prompts: Prompts, max_new_tokens: int = 8) -> Answers:
        """What the model answers when the likeliest token is taken each time.

        Args:
            audios: of each utterance a float array (samples,) at ``sampling_rate``, in [-1, 1]
            prompts: of each utterance the texts of the user turn
            max_new_tokens: most tokens of an answer

        Returns:
            of each utterance one answer per prompt: a text, which may be empty where the model
            ends its turn at once, or why there is none, as the reply's ``finish_reason`` tells it

        Raises:
            InputError: if there is no prompt, if the audio cannot be used, or if the server
                refuses a request
            ServerError: if the server stops answering
        """
        if max_new_tokens < 1:
            raise InputError(f"max_new_tokens: found {max_new_tokens}, valid is 1 or more")
        answers = []
        for waves, texts in self._batches(audios, prompts):
            requests = [
                greedy_request(self.served, wave, prompt, max_new_tokens)
                for wave, own in zip(waves, texts, strict=True)
                for prompt in own
            ]
            replies = iter(self._greedy(requests))
            answers += [[_answer(next(replies)) for _ in own] for own in texts]
        return answers

    def _greedy(self, requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if self._takes_no_penalty:
            try:
                return self._server.ask([r | {"extra_body": NO_PENALTY} for r in requests])
            except RefusedRequest as error:
                if error.status not in _UNKNOWN_FIELD:
                    raise
        replies = self._server.ask(requests)
        self._takes_no_penalty = False
        return replies

    def _scored(self, requests: Any) -> list[Any]:
        try:
            return self._server.ask(requests)
        except RefusedRequest as error:
            if error.status not in _UNKNOWN_FIELD:
                raise
            raise no_scores(f"status {error.status}: {error.reason}") from None

    def _batches(self, audios: Audios, prompts: Prompts) -> Iterator[tuple[list[str], Prompts]]:
        """The recordings as requests carry them, encoded once each, and their prompts."""
        check_prompts(audios, prompts)
        rate, longest = self.sampling_rate, self.max_seconds
        samples = [usable_samples(audio, rate, longest, self.name) for audio in audios]
        for first in range(0, len(samples), self.batch_size):
            batch = slice(first, first + self.batch_size)
            yield [wav_base64(s, rate) for s in samples[batch]], prompts[batch]


def _answer(reply: Mapping[str, Any]) -> str | NoAnswer:
    """The text of a reply, or why it is none: what was cut off by a fault is no model's answer."""
    choice = reply["choices"][0]
    message, ended = choice["message"], choice.get("finish_reason")
    content = message.get("content") or ""
    if message.get("refusal") and not content:
        return NoAnswer("the server tells a refusal in place of an answer")
    if ended in _WHOLE or (ended == "length" and content):
        return str(content)
    return NoAnswer(f"the server ended it with finish_reason {shortened(ended)}")


def _prompt_length(reply: Mapping[str, Any]) -> int:
    """The tokens of the prompt that a reply counts; 0 if it does not tell them."""
    usage = reply.get("usage")
    told = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    return told if isinstance(told, int) and told > 1 else 0


# The words of a label are scored in the assistant's turn, which the chat template leaves open: the
# prompt then ends with the label's tokens, and the sum of their log-probabilities is the label's
# log-likelihood. This is vLLM's extension of the chat completions: ``prompt_logprobs`` with
# ``continue_final_message``.
_WAY_OUT = (
    "valid are decoding: generate, which needs no log-probabilities, or a server that gives those "
    "of a prompt, such as vLLM"
)

_ROUNDING = 1e-4
# What vLLM writes for -Infinity, which JSON does not know; no token of a prompt is as unlikely.
_NOT_FINITE = -9999.0


class PromptToken(NamedTuple):
    """A token of a prompt as a server returns it.

    Attributes:
        id: its number in the vocabulary; empty for the first token, which servers leave out
        text: what it spells, if the server says so
        logprob: natural logarithm of its probability behind the tokens before it; NaN if the
            server's is not finite
    """

    id: str
    text: str | None
    logprob: float


def label_tokens(label: str, context: Any, whole: Any) -> list[str]:
    """Which tokens a label has in this chat.

    Where the label begins is measured, not assumed: by comparing the prompt that ends with it and
    the prompt without an answer.

    Args:
        label: the words
        context: reply to the prompt without an answer
        whole: reply to the same prompt with the label as its answer

    Raises:
        DecodingError: if a reply has no log-probabilities, or the label's tokens do not follow
            the prompt's as they are
    """
    before, after = scored_tokens(context), scored_tokens(whole)
    added = after[len(before) :]
    follows = _ids(after[: len(before)]) == _ids(before)
    if not follows or not added or _spelling(added) not in (None, _letters(label)):
        raise DecodingError(
            f"decoding: found score, but the server's chat template does not put the answer "
            f"{label!r} alone and right behind the prompt; {_WAY_OUT}"
        )
    return _ids(added)


def log_likelihoods(
    tokens: Mapping[str, list[str]], prompts: Sequence[str], replies: Sequence[Mapping[str, Any]]
) -> np.ndarray:
    """The log-likelihood of each label behind each prompt about one recording, in nats.

    Args:
        tokens: those of each label, as ``label_tokens`` finds them
        prompts: what was asked
        replies: of each prompt, label to the reply to it with that label as its answer

    Returns:
        array (prompts, labels); a row of NaN where one of its log-probabilities is not finite

    Raises:
        DecodingError: if the replies are not about one prompt followed by each label's tokens
        InputError: if different prompts have the same tokens
    """
    rows = [_of_prompt(tokens, own) for own in replies]
    if len({tuple(context) for _, context in rows}) < len(set(prompts)):
        raise InputError(
            "prompts: different ones about a recording reach the server's model as the same "
            "tokens; see to the chat template that the server uses, and whether it cuts prompts"
        )
    values = np.array([own for own, _ in rows])
    values[~np.isfinite(values).all(axis=1)] = math.nan
    return values


def _of_prompt(
    tokens: Mapping[str, list[str]], replies: Mapping[str, Any]
) -> tuple[list[float], list[str]]:
    """The log-likelihood of each label behind one prompt, and the tokens of the prompt."""
    values, contexts = [], []
    for label, reply in replies.items():
        given = scored_tokens(reply)
        begins = len(given) - len(tokens[label])
        contexts.append(_ids(given[:begins]))
        if _ids(given[begins:]) != tokens[label] or contexts[0] != contexts[-1]:
            raise DecodingError(
                f"decoding: found score, but the server's tokens of the answer {label!r} "
                f"differ from prompt to prompt; {_WAY_OUT}"
            )
        values.append(math.fsum(token.logprob for token in given[begins:]))
    return values, contexts[0]


def scored_tokens(reply: Mapping[str, Any]) -> list[PromptToken]:
    """The prompt's tokens with their log-probabilities, as vLLM returns them.

    Raises:
        DecodingError: if the reply has none, or they are not one token per place with a logarithm
            of a probability
    """
    places = reply.get("prompt_logprobs")
    if not isinstance(places, list) or not places:
        raise no_scores("its reply has no prompt_logprobs")
    return [PromptToken("", None, 0.0), *(_token(place) for place in places[1:])]


def no_scores(reason: str) -> DecodingError:
    """The error for a server that cannot score, to be raised by the caller."""
    return DecodingError(
        f"decoding: found score, but the server gives no log-probabilities of a prompt "
        f"({reason}); {_WAY_OUT}"
    )


def _token(place: Any) -> PromptToken:
    if not isinstance(place, dict) or len(place) != 1:
        raise no_scores("its prompt_logprobs do not have one token per place")
    (number, told), *_ = place.items()
    value = told.get("logprob") if isinstance(told, dict) else None
    # A server may be set to tell logits instead. Rounding may lift the logarithm of 1 above 0.
    if isinstance(value, bool) or not isinstance(value, int | float) or value > _ROUNDING:
        found = shortened(value)
        raise no_scores(f"its prompt_logprobs hold {found} for the logarithm of a probability")
    text = told.get("decoded_token")
    logprob = float(value) if value > _NOT_FINITE else math.nan
    return PromptToken(str(number), text if isinstance(text, str) else None, logprob)


def _ids(tokens: Sequence[PromptToken]) -> list[str]:
    return [token.id for token in tokens]


def _spelling(tokens: Sequence[PromptToken]) -> str | None:
    """The letters of the tokens; none if the server does not tell, or a token is part of one."""
    texts = [token.text for token in tokens]
    if any(text is None or "\N{REPLACEMENT CHARACTER}" in text for text in texts):
        return None
    return _letters("".join(text for text in texts if text is not None))


def _letters(text: str) -> str:
    # Tokens that are decoded one by one lose the spaces between words.
    return "".join(text.split())
