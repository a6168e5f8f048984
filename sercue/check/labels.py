"""Whether a model can answer each label, and that label alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import permutations

from sercue.errors import InputError


def check_answers(
    decoding: str,
    words: Mapping[str, str],
    tokens: Mapping[str, Sequence[int]],
    max_new_tokens: int,
) -> None:
    """Refuse words that this model's tokenizer cannot write, or cannot tell apart.

    The score of a label is the likelihood that an answer begins with its words. If the words of
    one label begin with those of another, it can never be the likelier one.

    Args:
        decoding: how answers are taken
        words: label to the words that prompts show for it
        tokens: label to the ids of its words behind a prompt
        max_new_tokens: most tokens of a generated answer

    Raises:
        InputError: naming the labels, their words and what to do
    """
    for label, ids in tokens.items():
        if not len(ids):
            raise InputError(
                f"labels: {label!r} is shown as {words[label]!r}, of which the model's tokenizer "
                "makes no token; choose other words"
            )
        if decoding == "generate" and len(ids) > max_new_tokens:
            raise InputError(
                f"max_new_tokens: found {max_new_tokens}, but {words[label]!r} (label {label!r}) "
                f"has {len(ids)} tokens, so that no answer can name it; valid is {len(ids)} or more"
            )
    if decoding == "score":
        _check_beginnings(words, tokens)


def _check_beginnings(words: Mapping[str, str], tokens: Mapping[str, Sequence[int]]) -> None:
    for short, long in permutations(tokens, 2):
        if list(tokens[long][: len(tokens[short])]) == list(tokens[short]):
            raise InputError(
                f"labels: for the model's tokenizer {words[long]!r} (label {long!r}) begins with "
                f"{words[short]!r} (label {short!r}), so that by decoding: score it could never "
                "be the answer; choose other words, or decoding: generate"
            )
