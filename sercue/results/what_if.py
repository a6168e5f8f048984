"""Change a token by hand and see the model's answer move."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd
from IPython.display import HTML, Audio

from sercue.corpora.corpus import Corpus, utterance_ids
from sercue.errors import InputError, unknown
from sercue.tables.exhibits import TableExhibit
from sercue.tokens.condition import Condition, Material

if TYPE_CHECKING:
    from sercue.run import Run

YOURS = "your tokens"
_RATE = 16_000


def what_if(run: Run, tokens: Mapping[str, str], utterance: str | None = None) -> TableExhibit:
    """What the model answers to one recording alone, with its own tokens, and with yours.

    Args:
        run: a run whose model can be asked
        tokens: concept to word; concepts that are not named keep their own word
        utterance: which one, as predictions name it; the first evaluated one by default

    Returns:
        table with one line each for ``none``, ``aligned`` and ``your tokens``: the probability of
        each label (with decoding ``"score"``), the answer, the tokens shown

    Raises:
        InputError: if the utterance, a concept or a word is unknown

    Examples:
        ::

            sercue.what_if(run, {"energy": "high", "voice quality": "low"})
    """
    _check(run, tokens)
    corpus = one_utterance(run, utterance)
    mine = Condition(YOURS, "tokens set by hand", lambda material, _: _changed(material, tokens))
    answers = run.ask(
        corpus=corpus,
        conditions=["none", "aligned", mine],
        templates=run.settings.templates[:1],
        orders=1,
        replicates=1,
        progress=False,
    ).set_index("condition")
    shown = {f"p_{label}": label for label in run.corpus.labels if f"p_{label}" in answers}
    words = answers[[f"shown_{concept}" for concept in run.tokens]].set_axis(
        run.tokens.columns, axis=1
    )
    told = [
        ", ".join(f"{concept}={word}" for concept, word in row.dropna().items())
        for _, row in words.astype(object).iterrows()
    ]
    table = answers[["truth", *shown, "prediction"]].rename(columns=shown).assign(tokens=told)
    known = table.dropna(axis=1, how="all").rename(columns={"prediction": "answer"})
    caption = f"What the model answers to {utterance_ids(corpus.table.index)[0]}."
    return run.table("what_if", known, caption)


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


def listen(run: Run, utterance: str | None = None) -> Any:
    """A player of one recording, if the corpus allows it to be passed on; else a sentence.

    Args:
        run: a run
        utterance: which one, as predictions name it; the first evaluated one by default
    """
    from sercue.corpora.audio import read_utterance

    if not run.corpus.may_share_audio:
        return HTML("<p>Recordings of this corpus may not be passed on.</p>")
    corpus = one_utterance(run, utterance)
    signal = read_utterance(corpus, corpus.table.index[0], _RATE)
    return Audio(signal, rate=_RATE, normalize=False)


def _changed(material: Material, tokens: Mapping[str, str]) -> pd.DataFrame:
    return material.tokens.assign(**tokens)


def _check(run: Run, tokens: Mapping[str, str]) -> None:
    concepts, words = [str(name) for name in run.tokens], [*run.binning.words, "unknown"]
    if not tokens:
        raise InputError("tokens: found none, valid is a word for at least one concept")
    for concept, word in tokens.items():
        if concept not in concepts:
            raise unknown("concept", concept, concepts)
        if word not in words:
            raise unknown(f"word for {concept}", word, words)
