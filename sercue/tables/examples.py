"""Single examples: prompts in full, a recording to listen to, tokens changed by hand."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd
from IPython.display import HTML, Audio

from sercue.answers import plain_words
from sercue.corpora import CORPORA
from sercue.corpora.audio import read_utterance
from sercue.corpora.audio_variants import AUDIO_VARIANTS, OWN, SWAPPED, variant_digest, varied
from sercue.corpora.corpus import Corpus, utterance_ids
from sercue.errors import InputError, unknown
from sercue.notation import MISSING, percent
from sercue.tokens.catalogue import one_of_each
from sercue.tokens.concepts import UNKNOWN
from sercue.tokens.condition import Condition, Material
from sercue.tokens.prompts import FORMS, Template, resolve_templates

if TYPE_CHECKING:
    from sercue.run import Run

WITHHELD = "other words (not shown)"
YOURS = "your tokens"
_RATE = 16_000
_OPPOSED = ("none", "aligned", "conflicting")
_TRIED = 10


def prompt_examples(
    plan: pd.DataFrame,
    templates: Sequence[str | Mapping[str, str] | Template],
    answers: pd.DataFrame | None = None,
) -> HTML:
    """One worked example per condition: the first utterance's whole prompt, in the first wording.

    Of conditions about concepts the first of each kind is shown. Tokens that differ from the
    utterance's own are marked; those that a condition takes out are not there to be marked.

    Args:
        plan: as ``plan_study`` returns it
        templates: the templates of the study
        answers: to these prompts, as ``example_answers`` returns them, to be shown beneath

    Returns:
        HTML to show in a notebook
    """
    template = resolve_templates(templates)[0]
    first = _first_prompts(plan, template.name)
    shown = one_of_each(list(first["condition"]))
    tokens = _shown_words(first)
    blocks = []
    rows = first[["condition", "text", "prompt"]].astype(str).itertuples(index=False)
    for name, text, prompt in rows:
        if name in shown:
            own = None if name in FORMS else tokens.get("aligned")
            marked = _marked(text, tokens[name], own, template)
            blocks.append(_block(name, marked, _answer(answers, prompt)))
    utterance, truth = (html.escape(str(first[name].iloc[0])) for name in ("utterance", "truth"))
    heading = f"<p>Utterance <code>{utterance}</code>, true class {truth}</p>"
    return HTML(heading + "".join(blocks))


def wording_examples(plan: pd.DataFrame, answers: pd.DataFrame | None = None) -> HTML:
    """The first utterance's prompt with aligned tokens in every template and label order.

    Args:
        plan: as ``plan_study`` returns it
        answers: to these prompts, as ``example_answers`` returns them, to be shown beneath
    """
    of_first = plan["utterance"] == plan["utterance"].iloc[0]
    blocks = [
        _block(
            f"{row['template']}, label order {row['label_order']}",
            html.escape(row["text"]),
            _answer(answers, row["prompt"]),
        )
        for _, row in plan[of_first & (plan["condition"] == "aligned")].iterrows()
    ]
    return HTML("".join(blocks))


def example_answers(run: Run, plan: pd.DataFrame) -> pd.DataFrame:
    """What the model answers to the prompts that are shown as examples, and to them alone.

    They are looked up where the study is stored, and else asked.

    Args:
        run: a run whose model can be asked
        plan: its plan, whose first utterance is the example

    Returns:
        predictions of this utterance: each condition in the first wording and label order, and
        ``aligned`` in all of them
    """
    first = _first_prompts(plan, resolve_templates(run.settings.templates)[0].name)
    first = first[first["condition"].isin(one_of_each(list(first["condition"])))]
    # As they are shown: tokens of other utterances are drawn in the whole corpus.
    conditions = [_given(name, tokens) for name, tokens in _shown_words(first).items()]
    corpus = one_utterance(run, str(plan["utterance"].iloc[0]))
    tables = [_ask_once(run, corpus, conditions)]
    if "aligned" in run.settings.conditions:
        tables.append(run.ask(corpus=corpus, conditions=["aligned"], progress=False))
    return pd.concat(tables, ignore_index=True)


def _first_prompts(plan: pd.DataFrame, template: str) -> pd.DataFrame:
    """The first utterance's prompts in one wording, its first label order and replicate.

    With its own audio: other audio changes no prompt.
    """
    return plan[
        (plan["utterance"] == plan["utterance"].iloc[0])
        & (plan["template"] == template)
        & (plan["label_order"] == 0)
        & (plan["replicate"] == 0)
        & (plan["heard"] == OWN)
    ]


def _shown_words(prompts: pd.DataFrame) -> dict[str, dict[str, str]]:
    """Condition to the word shown for each concept; to nothing where no tokens are shown."""
    names = [name for name in map(str, prompts) if name.startswith("shown_")]
    words = prompts[names].astype(object).to_numpy()
    return {
        str(condition): {
            name.removeprefix("shown_"): str(word)
            for name, word in zip(names, row, strict=True)
            if pd.notna(word)
        }
        for condition, row in zip(prompts["condition"], words, strict=True)
    }


def _given(name: str, tokens: Mapping[str, str]) -> Condition:
    """A condition that shows these very tokens, or no block if there are none."""

    def change(own: Material, _: object) -> pd.DataFrame | None:
        return own.tokens[list(tokens)].assign(**tokens) if tokens else None

    return Condition(name, "tokens as they are given", change, form=name if name in FORMS else "")


def _answer(answers: pd.DataFrame | None, prompt: str) -> str:
    """A line with the answer to a prompt and the probability of each class, if it was asked."""
    known = None if answers is None else answers[answers["prompt"] == prompt]
    if known is None or known.empty:
        return ""
    row = known.iloc[0]
    given = row["prediction"] if row["valid"] else f"invalid ({row['why_invalid']})"
    shares = known.filter(regex="^p_").iloc[0].astype(float).dropna()
    told = [f"{str(name).removeprefix('p_')} {percent(share)}" for name, share in shares.items()]
    detail = f" ({', '.join(told)})" if told else ""
    return f"<br>Answer: <b>{html.escape(str(given))}</b>{html.escape(detail)}"


def written_answers(
    generated: pd.DataFrame, label_words: Mapping[str, str], may_share: bool, most: int = 10
) -> pd.DataFrame:
    """The commonest generated answers, as they were written; a dash is an answer without text.

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
    # What the model or its server did not write is missing.
    answers = generated["answer"].astype(object).fillna("").astype(str).str.strip()
    answers = answers.replace("", MISSING)
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
        utterance: which one, as predictions name it; by default ``telling_utterance``

    Returns:
        DataFrame with the rows ``none``, ``aligned``, ``conflicting`` and ``your tokens``: the true
        label, the probability of each label (with decoding ``"score"``), the answer, the tokens
        shown; ``answer_bars`` draws it

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
    corpus = one_utterance(run, utterance or telling_utterance(run))
    answers = _ask_once(run, corpus, [*_OPPOSED, mine]).set_index("condition")
    names = {f"shown_{concept}": str(concept) for concept in run.tokens}
    told = [
        ", ".join(f"{names[str(column)]}={word}" for column, word in row.dropna().items())
        for _, row in answers[list(names)].astype(object).iterrows()
    ]
    shown = {f"p_{label}": label for label in run.corpus.labels if f"p_{label}" in answers}
    answer = answers["prediction"].astype(object).where(answers["valid"], "invalid")
    table = answers[["truth", *shown]].rename(columns=shown).assign(answer=answer, tokens=told)
    return table.dropna(axis=1, how="all")


def telling_utterance(run: Run) -> str:
    """The first of some utterances whose answer depends on the tokens, to try others on.

    Asked are ten evaluated utterances, evenly spread, without tokens, with aligned and with
    conflicting ones, as far as the study has not stored their answers.

    Args:
        run: a run whose model can be asked

    Returns:
        the name of the first whose three answers differ, or else of the first
    """
    rows = run.heard.rows(run.settings.partition)
    some = rows.iloc[:: max(1, len(rows) // _TRIED)][:_TRIED]
    answers = _ask_once(run, run.heard.with_table(some), _OPPOSED)
    given = answers.assign(prediction=answers["prediction"].astype(object).fillna("invalid"))
    different = given.groupby("utterance", sort=False, observed=True)["prediction"].nunique()
    return str(different.gt(1).idxmax())


def _ask_once(run: Run, corpus: Corpus, conditions: Sequence[str | Condition]) -> pd.DataFrame:
    """Answers in the first wording and label order."""
    return run.ask(
        corpus=corpus,
        conditions=conditions,
        templates=run.settings.templates[:1],
        orders=1,
        replicates=1,
        progress=False,
    )


def answer_bars(answers: pd.DataFrame) -> HTML:
    """Probabilities of the classes as bars, one block per row, with the tokens that were changed.

    Args:
        answers: as ``what_if`` returns it

    Returns:
        HTML to show in a notebook; without bars where the model writes its answers

    Examples:
        >>> table = {"truth": "sad", "sad": [0.25], "answer": ["angry"], "tokens": ["ENERGY=LOW"]}
        >>> bars = answer_bars(pd.DataFrame(table, index=["aligned"])).data
        >>> "25 %" in bars, "<mark>" in bars
        (True, False)
    """
    own = set(str(answers["tokens"].get("aligned", "")).split(", "))
    names = [name for name in map(str, answers) if name not in ("truth", "answer", "tokens")]
    labels = {name: html.escape(name) for name in names}
    blocks = []
    for condition, values in answers.iterrows():
        row = values.to_dict()
        tokens = [item for item in str(row["tokens"]).split(", ") if item]
        shown = [
            html.escape(item) if item in own else f"<mark>{html.escape(item)}</mark>"
            for item in tokens
        ]
        bars = [
            f'<tr><th scope="row">{label}</th>'
            f'<td><meter max="1" value="{row[name]:.3f}" aria-label="{label}"></meter></td>'
            f"<td>{percent(float(row[name]))}</td></tr>"
            for name, label in labels.items()
            if pd.notna(row[name])
        ]
        answer = html.escape(str(row["answer"]))
        told = f"{', '.join(shown) or 'no tokens'}<br>Answer: <b>{answer}</b>"
        blocks.append(
            _block(str(condition), told, f"<table>{''.join(bars)}</table>" if bars else "")
        )
    truth = html.escape(str(answers["truth"].iloc[0]))
    heading = f"<p>True class: {truth}. Marked tokens are not those of the utterance.</p>"
    return HTML(heading + "".join(blocks))


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
    return run.heard.with_table(rows.iloc[[names.index(chosen)]])


def listen(
    run: Run, utterances: str | Iterable[str] | None = None, *, variants: bool = False
) -> HTML:
    """Players of recordings, if the corpus allows them to be passed on; else a sentence.

    Args:
        run: a run
        utterances: one or several, as predictions name them; the first evaluated one by default
        variants: whether beside each also what the study lets be heard in its place; without such
            other audio there is nothing to show

    Raises:
        InputError: if one is not evaluated

    Examples:
        ::

            sercue.listen(run, run.changed("aligned", "conflicting").index[:3])
    """
    if variants and not run.other_audio:
        return HTML("")
    if not run.corpus.may_share_audio:
        told = "Recordings of this corpus may not be passed on, and a report would hold them."
        if "may_share_audio" in CORPORA[run.settings.corpus].options.model_fields:
            told += " If you may, set corpus_options: {may_share_audio: true}."
        else:
            told = f"{told} {run.corpus.licence}".strip()
        return HTML(f"<p>{html.escape(told)}</p>")
    named = [utterances] if utterances is None or isinstance(utterances, str) else utterances
    players = []
    for chosen in named:
        row = one_utterance(run, chosen).table.index[0]
        players += [_player(run, row, name) for name in [OWN, *run.other_audio * variants]]
    return HTML("".join(players))


def _player(run: Run, row: tuple[str, pd.Timedelta, pd.Timedelta], variant: str) -> str:
    """What is heard of an utterance, with its name; of other audio what it is."""
    source = run.partners["partner"][row] if variant == SWAPPED else row
    digest = variant_digest(run.digests[source], variant, run.settings.seed)
    signal = varied(read_utterance(run.heard, source, _RATE), _RATE, variant, digest)
    (name,) = utterance_ids(run.heard.table.loc[[source]].index)
    label = f"<code>{html.escape(name)}</code>"
    if variant != OWN:
        told = html.escape(f"{variant}: {AUDIO_VARIANTS[variant].description}")
        label = f"{told} ({label})" if variant == SWAPPED else told
    return f"<p>{label}</p>{Audio(signal, rate=_RATE, normalize=False)._repr_html_()}"


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", plain_words(text)))


def _block(title: str, text: str, answer: str) -> str:
    return f'<div class="prompt"><b>{html.escape(title)}</b><br>{text}{answer}</div>'


def _marked(
    text: str, tokens: Mapping[str, str], own: Mapping[str, str] | None, template: Template
) -> str:
    """The prompt as HTML; tokens that are not the utterance's own, if given, are marked."""
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
