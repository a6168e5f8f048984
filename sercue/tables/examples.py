"""Single examples: prompts in full, a recording to listen to, tokens changed by hand."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd
from IPython.display import HTML, Audio

from sercue.answers import plain_words
from sercue.corpora.audio import read_utterance
from sercue.corpora.corpus import Corpus, utterance_ids
from sercue.errors import InputError, unknown
from sercue.tokens.catalogue import one_of_each
from sercue.tokens.concepts import UNKNOWN
from sercue.tokens.condition import Condition
from sercue.tokens.prompts import Template, resolve_templates

if TYPE_CHECKING:
    from sercue.run import Run

WITHHELD = "other words (not shown)"
YOURS = "your tokens"
_RATE = 16_000


def prompt_examples(
    plan: pd.DataFrame, templates: Sequence[str | Mapping[str, str] | Template]
) -> HTML:
    """One worked example per condition: the first utterance's whole prompt, in the first wording.

    Of conditions about concepts the first of each kind is shown. Tokens that differ from the
    utterance's own are marked; those that a condition takes out are not there to be marked.

    Args:
        plan: as ``plan_study`` returns it
        templates: the templates of the study

    Returns:
        HTML to show in a notebook
    """
    template = resolve_templates(templates)[0]
    first = plan[
        (plan["utterance"] == plan["utterance"].iloc[0])
        & (plan["template"] == template.name)
        & (plan["label_order"] == 0)
        & (plan["replicate"] == 0)
    ]
    shown = one_of_each(list(first["condition"]))
    told = first.set_index("condition").filter(like="shown_").astype(object)
    tokens = told.rename(columns=lambda name: name.removeprefix("shown_")).T
    own = tokens["aligned"].to_dict() if "aligned" in tokens else None
    blocks = [
        _block(name, _marked(text, tokens[name].dropna().to_dict(), own, template))
        for name, text in zip(first["condition"].astype(str), first["text"], strict=True)
        if name in shown
    ]
    heading = f"<p>Utterance <code>{html.escape(str(first['utterance'].iloc[0]))}</code></p>"
    return HTML(heading + "".join(blocks))


def wording_examples(plan: pd.DataFrame) -> HTML:
    """The first utterance's prompt with aligned tokens in every template and label order."""
    first = plan[
        (plan["utterance"] == plan["utterance"].iloc[0]) & (plan["condition"] == "aligned")
    ]
    return HTML(
        "".join(
            _block(f"{row['template']}, label order {row['label_order']}", html.escape(row["text"]))
            for _, row in first.iterrows()
        )
    )


def written_answers(
    generated: pd.DataFrame, label_words: Mapping[str, str], may_share: bool, most: int = 10
) -> pd.DataFrame:
    """The commonest generated answers, as they were written.

    A model may well write down what it hears. Of a corpus that may not be passed on, only answers
    that consist of words of the labels are shown, so that no transcript of a recording gets out.

    Args:
        generated: predictions with a column ``answer``
        label_words: label to the words that prompts show
        may_share: whether recordings, and what is said in them, may be shown
        most: number of answers to show

    Returns:
        DataFrame, ``times`` by answer, the commonest first

    Examples:
        >>> generated = pd.DataFrame({"answer": ["Sad.", "Sad.", "She says: my cat has died"]})
        >>> written_answers(generated, {"sadness": "sad"}, may_share=False)["times"].to_dict()
        {'Sad.': 2, 'other words (not shown)': 1}
    """
    answers = generated["answer"].astype(str)
    if not may_share:
        allowed = {word for text in label_words.values() for word in _words(text)}
        harmless = answers.map(lambda answer: _words(answer) <= allowed)
        answers = answers.where(harmless, WITHHELD)
    return answers.value_counts().head(most).rename("times").rename_axis("answer").to_frame()


def what_if(run: Run, tokens: Mapping[str, str], utterance: str | None = None) -> pd.DataFrame:
    """What the model answers to one recording alone, with its own tokens, and with yours.

    Args:
        run: a run whose model can be asked
        tokens: concept to word; concepts that are not named keep their own word
        utterance: which one, as predictions name it; the first evaluated one by default

    Returns:
        DataFrame with the rows ``none``, ``aligned`` and ``your tokens``: the true label, the
        probability of each label (with decoding ``"score"``), the answer, the tokens shown

    Raises:
        InputError: if the utterance, a concept or a word is unknown

    Examples:
        ::

            sercue.what_if(run, {"ENERGY": "HIGH", "VOICE_QUALITY": "BREATHY"})
    """
    if not tokens:
        raise InputError("tokens: found none, valid is a word for at least one concept")
    for concept, word in tokens.items():
        if concept not in run.tokens:
            raise unknown("concept", concept, run.tokens)
        known = [*run.binning.words[str(concept)].known, UNKNOWN]
        if word not in known:
            raise unknown(f"word for {concept}", word, known)
    mine = Condition(YOURS, "tokens set by hand", lambda own, _: own.tokens.assign(**tokens))
    answers = run.ask(
        corpus=one_utterance(run, utterance),
        conditions=["none", "aligned", mine],
        templates=run.settings.templates[:1],
        orders=1,
        replicates=1,
        progress=False,
    ).set_index("condition")
    names = {f"shown_{concept}": str(concept) for concept in run.tokens}
    told = [
        ", ".join(f"{names[str(column)]}={word}" for column, word in row.dropna().items())
        for _, row in answers[list(names)].astype(object).iterrows()
    ]
    shown = {f"p_{label}": label for label in run.corpus.labels if f"p_{label}" in answers}
    table = answers[["truth", *shown, "prediction"]].rename(columns=shown).assign(tokens=told)
    return table.dropna(axis=1, how="all").rename(columns={"prediction": "answer"})


def one_utterance(run: Run, utterance: str | None = None) -> Corpus:
    """The corpus of a single evaluated utterance.

    Args:
        run: a run
        utterance: which one, as predictions name it; the first evaluated one by default

    Raises:
        InputError: if it is not evaluated
    """
    rows = run.corpus.rows(run.settings.partition)
    names = list(utterance_ids(rows.index))
    chosen = names[0] if utterance is None else utterance
    if chosen not in names:
        raise unknown("utterance", chosen, names)
    return run.corpus.with_table(rows.iloc[[names.index(chosen)]])


def listen(run: Run, utterance: str | None = None) -> HTML | Audio:
    """A player of one recording, if the corpus allows it to be passed on; else a sentence.

    Args:
        run: a run
        utterance: which one, as predictions name it; the first evaluated one by default
    """
    if not run.corpus.may_share_audio:
        return HTML("<p>Recordings of this corpus may not be passed on.</p>")
    corpus = one_utterance(run, utterance)
    signal = read_utterance(corpus, corpus.table.index[0], _RATE)
    return Audio(signal, rate=_RATE, normalize=False)


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", plain_words(text)))


def _block(title: str, text: str) -> str:
    return f'<div class="prompt"><b>{html.escape(title)}</b><br>{text}</div>'


def _marked(
    text: str, tokens: Mapping[str, str], own: Mapping[str, str] | None, template: Template
) -> str:
    """The prompt as HTML; tokens that are not the utterance's own are marked."""
    if not tokens or own is None:
        return html.escape(text)
    # The tokens stand last.
    before, _, after = text.rpartition(template.show_tokens(tokens))
    items = {
        concept: html.escape(template.show_tokens({concept: word}))
        for concept, word in tokens.items()
    }
    marked = [
        item if tokens[concept] == own.get(concept) else f"<mark>{item}</mark>"
        for concept, item in items.items()
    ]
    return html.escape(before) + html.escape(template.separator).join(marked) + html.escape(after)
