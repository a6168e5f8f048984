"""Log-likelihood of a label's words, from the log-probabilities that a server returns for prompts.

A label is put into the assistant's turn, which the chat template leaves open. The prompt then ends
with the label's tokens, and the sum of their log-probabilities is the label's log-likelihood. This
is vLLM's extension of the chat completions: ``prompt_logprobs`` with ``continue_final_message``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from sercue.errors import DecodingError, InputError, shortened

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


class LabelTokens:
    """Which tokens each label has in this chat, and their log-likelihood in a reply.

    Where the label begins is measured, not assumed: once per label, by comparing the prompt that
    ends with it and the prompt without an answer.
    """

    def __init__(self) -> None:
        self._ids: dict[str, list[str]] = {}

    def unknown(self, labels: Sequence[str]) -> list[str]:
        """The labels whose tokens are not known yet."""
        return [label for label in labels if label not in self._ids]

    def learn(self, label: str, context: Any, whole: Any) -> None:
        """Take note of a label's tokens.

        Args:
            label: the words
            context: reply to the prompt without an answer
            whole: reply to the same prompt with the label as its answer

        Raises:
            DecodingError: if a reply has no log-probabilities, or the label's tokens do not follow
                the prompt's as they are
        """
        before, after = prompt_tokens(context), prompt_tokens(whole)
        added = after[len(before) :]
        follows = _ids(after[: len(before)]) == _ids(before)
        if not follows or not added or _spelling(added) not in (None, _letters(label)):
            raise DecodingError(
                f"decoding: found score, but the server's chat template does not put the answer "
                f"{label!r} alone and right behind the prompt; {_WAY_OUT}"
            )
        self._ids[label] = _ids(added)

    def log_likelihoods(
        self, prompts: Sequence[str], replies: Sequence[Mapping[str, Any]]
    ) -> np.ndarray:
        """The log-likelihood of each label behind each prompt about one recording, in nats.

        Args:
            prompts: what was asked
            replies: of each prompt, label to the reply to it with that label as its answer

        Returns:
            array (prompts, labels); a row of NaN where one of its log-probabilities is not finite

        Raises:
            DecodingError: if the replies are not about one prompt followed by each label's tokens
            InputError: if different prompts have the same tokens
        """
        rows = [self._of_prompt(own) for own in replies]
        if len({tuple(context) for _, context in rows}) < len(set(prompts)):
            raise InputError(
                "prompts: different ones about a recording reach the server's model as the same "
                "tokens; see to the chat template that the server uses, and whether it cuts prompts"
            )
        values = np.array([own for own, _ in rows])
        values[~np.isfinite(values).all(axis=1)] = math.nan
        return values

    def _of_prompt(self, replies: Mapping[str, Any]) -> tuple[list[float], list[str]]:
        """The log-likelihood of each label behind one prompt, and the tokens of the prompt."""
        values, contexts = [], []
        for label, reply in replies.items():
            tokens = prompt_tokens(reply)
            begins = len(tokens) - len(self._ids[label])
            contexts.append(_ids(tokens[:begins]))
            if _ids(tokens[begins:]) != self._ids[label] or contexts[0] != contexts[-1]:
                raise DecodingError(
                    f"decoding: found score, but the server's tokens of the answer {label!r} "
                    f"differ from prompt to prompt; {_WAY_OUT}"
                )
            values.append(math.fsum(token.logprob for token in tokens[begins:]))
        return values, contexts[0]


def prompt_tokens(reply: Mapping[str, Any]) -> list[PromptToken]:
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
