"""Prompts, model and conditions of a study, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from sercue.corpora.corpus import Corpus
from sercue.evaluated import EvaluatedRun, public_value
from sercue.interventions import about_concepts, describe_conditions
from sercue.interventions.condition import parts_of
from sercue.languages import READ
from sercue.methods.markdown import block, code, plain
from sercue.methods.material import own_tokens
from sercue.methods.references import listed
from sercue.models.cards import CARDS
from sercue.prompts import Template, label_orders, resolve_templates


def prompt_text(run: EvaluatedRun, corpus: Corpus) -> str:
    """How the prompts are made, and each of them in full.

    Args:
        run: a finished run
        corpus: as its artifacts have it
    """
    shown, words = run.parameters, label_words(run, corpus)
    templates = resolve_templates(shown["templates"])
    orders = label_orders(len(words), shown["label_orders"])
    options = "; ".join(", ".join(plain(words[n]) for n in order) for order in orders)
    first = {str(name): str(word) for name, word in own_tokens(run, corpus).iloc[0].items()}
    one_order, one_wording = len(orders) == 1, len(templates) == 1
    sentences = [
        "A prompt is the audio followed by a text: instruction, label options, tokens, answer cue. "
        f"There {'is one wording' if one_wording else f'are {len(templates)} wordings'} and "
        f"{'one order' if one_order else f'{len(orders)} orders'} of the label options"
        f"{'' if one_order else ', counterbalanced [Williams, 1949]'}: {options}."
        f"{_renamed(words, corpus)}",
        f"{'It reads' if one_wording else 'They read'}, in full, with the first order and, as an "
        "example, the tokens of the first evaluated utterance:",
    ]
    quoted = [_quoted(template, [words[n] for n in orders[0]], first) for template in templates]
    return "\n\n".join([" ".join(sentences), *quoted])


def model_text(run: EvaluatedRun) -> str:
    """The model with the version of its weights, and how it answers.

    Args:
        run: a finished run
    """
    known, shown = run.provenance["model"], run.parameters
    card = next((card for card in CARDS if card.name == shown["model"]), None)
    about = f" ({card.description}{_from(card.repository)})" if card else ""
    sentences = [
        f"The model is {plain(known['name'])}{about}, with the identity {code(known['identity'])}, "
        f"in {known['dtype']} on {plain(known['device'])}."
    ]
    options = public_value(shown["model_options"])
    if options != "{}":
        sentences.append(f"Options of the model: {code(options)}.")
    return " ".join([*sentences, _decoding(shown)])


def condition_text(run: EvaluatedRun) -> str:
    """What each condition shows, and what is random in it.

    Args:
        run: a finished run
    """
    shown = run.parameters
    table = describe_conditions(shown["conditions"])
    names = [str(name) for name in table.index]
    single = [name for name in names if about_concepts(name)]
    main = table.drop(index=single)
    lines = [f"- `{name}`: {text}" for name, text in main["what is shown"].items()]
    lines += [f"- {text}" for text in _families(single, table)]
    replicates, asked = shown["replicates"], run.provenance["predictions"]["rows"]
    head = (
        "Each utterance was asked under these conditions; its audio was the same under all, and "
        "only the tokens in the text differed:"
    )
    random = dict.fromkeys(_kind(str(name)) for name, drawn in table["random"].items() if drawn)
    drawn = (
        f"What is random ({listed(f'`{name}`' for name in random)}) was drawn {replicates} "
        f"{'time' if replicates == 1 else 'times'}. "
        if random
        else ""
    )
    seed = f"All that is random in the study has the seed {shown['seed']}."
    asking = f"In all, {asked} answers were evaluated. "
    return f"{head}\n\n" + "\n".join(lines) + f"\n\n{drawn}{asking}{seed}"


def label_words(run: EvaluatedRun, corpus: Corpus) -> list[str]:
    """What prompts show for each label, in the order of the labels."""
    given = run.parameters["labels"]
    words: Mapping[str, Any] = given if isinstance(given, dict) else {}
    return [str(words.get(label, label)) for label in corpus.labels]


def _quoted(template: Template, labels: list[str], tokens: dict[str, str]) -> str:
    cues = template.cues.replace("{tokens}", "…")
    return (
        f"*{plain(template.name)}*; without tokens, the part “{plain(cues)}” is left out:\n\n"
        f"{block(template.render(labels, tokens))}"
    )


def _renamed(words: list[str], corpus: Corpus) -> str:
    pairs = [(w, n) for w, n in zip(words, corpus.labels, strict=True) if w != n]
    return (
        f" There, {listed(f'{plain(w)} stands for {plain(n)}' for w, n in pairs)}." if pairs else ""
    )


def _from(repository: str) -> str:
    return f", {repository}" if repository else ""


def _decoding(shown: dict[str, Any]) -> str:
    if shown["decoding"] == "score":
        return (
            "Its answer is the label whose words are likeliest as a continuation of the prompt: "
            "the log-likelihoods of their tokens were summed."
        )
    return (
        f"Its answer was decoded greedily, with at most {shown['max_new_tokens']} new tokens. The "
        "words of the labels were searched in it, whole and without regard to case; reasoning in "
        "tags such as `<think>` is not part of it. An answer that names no label, or more than "
        "one, or has a negation, is invalid and counts as wrong. Negations are known of "
        f"{listed(READ)}; an answer in another language, or one that names a label of a single "
        "character, is valid only if it is the label and nothing else."
    )


def _kind(name: str) -> str:
    return f"{parts_of(name)[0]}(...)" if about_concepts(name) else name


def _families(names: list[str], table: pd.DataFrame) -> list[str]:
    """Conditions about concepts by kind, since there may be many of a kind."""
    kinds: dict[str, list[str]] = {}
    for name in names:
        kinds.setdefault(_kind(name), []).append(name)
    shown = table["what is shown"].astype(str).to_dict()
    return [
        f"`{kind}`: {len(members)} of them; `{members[0]}`, for instance: {shown[members[0]]}"
        if len(members) > 1
        else f"`{members[0]}`: {shown[members[0]]}"
        for kind, members in kinds.items()
    ]
