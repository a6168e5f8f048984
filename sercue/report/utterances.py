"""The answers of a study one utterance at a time: a page that can be filtered and sorted."""

from __future__ import annotations

import base64
import io
import json
import logging
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile

from sercue.artifacts import Artifacts
from sercue.corpora.audio import SAMPLING_RATE, file_digest, read_utterance, utterance_digest
from sercue.corpora.audio_variants import SILENT, SWAPPED
from sercue.corpora.corpus import Corpus, utterance_ids
from sercue.errors import InputError
from sercue.report.templates import page_of
from sercue.settings import BINNING_KEYS, CORPUS_KEYS, STUDY_KEYS, Settings, fixture_notice
from sercue.storage.files import cache_folder, told, write_text
from sercue.storage.tables import codes_among
from sercue.study_corpus import listed_corpus, pseudonymised, write_pseudonyms
from sercue.tokens.catalogue import about_concepts
from sercue.tokens.condition import parts_heard, told_by_name
from sercue.tokens.prompts import FORMS, resolve_templates

logger = logging.getLogger(__name__)

#: The page, in the folder of a study.
UTTERANCES = "utterances.html"
#: Bytes of MP3 that the page holds at most: some 600 utterances of two seconds.
MOST_AUDIO = 10_000_000

_SHOWN = "shown_"


@dataclass(frozen=True, eq=False)
class _Stored:
    """What a run left: the evaluated part of the corpus, the answers to the first prompts."""

    corpus: Corpus
    digests: pd.Series
    answers: pd.DataFrame
    own: pd.DataFrame | None


def write_utterances(folder: Path, settings: Settings) -> Path | None:
    """Write ``utterances.html``, one page that asks for no other.

    It holds the prompt, the answer and, with decoding ``"score"``, the probability of each class
    by utterance and condition: those of the first template, label order and replicate. It has
    players of recordings that may be passed on; of others, files and speakers bear pseudonyms.
    Generated answers are shown as the class that they name, never as they were written.

    Args:
        folder: the run's folder
        settings: the study

    Returns:
        the page; ``None`` if no answers to these prompts about this corpus are stored, and then
        a page of other answers is removed

    Raises:
        StorageError: if it cannot be written
    """
    path = folder / UTTERANCES
    stored = _stored(Artifacts(folder / "artifacts"), settings)
    if stored is None:
        with told(path, "removed"):
            path.unlink(missing_ok=True)
        return None
    # With pseudonyms, unless its recordings may be passed on or it has them already.
    shown = stored.corpus
    if not (shown.may_share_audio or settings.anonymise):
        shown = pseudonymised(stored.corpus)
        place = cache_folder() / "pseudonyms" / f"{settings.study}.csv"
        write_pseudonyms(shown, stored.corpus, place)
    # In the order of the names that are shown: that of the corpus might tell the others.
    order = np.argsort(utterance_ids(shown.table.index), kind="stable")
    data = _answers(stored, order, settings) | {
        "names": utterance_ids(shown.table.index[order]).tolist(),
        **_coded("speaker", shown.table["speaker"].iloc[order]),
    }
    players, no_players = _players(stored, order, data["answers"], settings)
    text = page_of(
        "utterances.html.j2",
        study=settings.study,
        notice=fixture_notice(settings),
        about=_about(settings, len(order), len(data["conditions"])),
        hidden=shown is not stored.corpus,
        no_players=no_players,
        data=base64.b64encode(zlib.compress(json.dumps(data).encode())).decode(),
        players=players,
    )
    write_text(path, text)
    return path


def _stored(artifacts: Artifacts, settings: Settings) -> _Stored | None:
    """What is stored, if all of it is of this study, and its prompts are known."""
    if settings.made_elsewhere:
        return None
    content = artifacts.inputs()["content"]
    of_corpus = artifacts.load_corpus(settings.fingerprint(CORPUS_KEYS))
    if of_corpus is None or of_corpus[-1] != content:
        return None
    try:
        loaded = artifacts.load_predictions(settings.fingerprint(STUDY_KEYS), content)
    except InputError as error:
        # The notebooks have said so; the index that shows it is still to be written.
        logger.warning("%s; %s is not written", error, UTTERANCES)
        return None
    if loaded is None:
        return None
    answers = loaded[0]
    first = (
        (answers["template"] == resolve_templates(settings.templates)[0].name)
        & (answers["label_order"] == 0)
        & (answers["replicate"] == 0)
    )
    corpus = replace(of_corpus[0], table=of_corpus[0].rows(settings.partition))
    stamp = settings.fingerprint((*CORPUS_KEYS, *BINNING_KEYS))
    own = artifacts.load("tokens.parquet", stamp, content=content)
    return _Stored(corpus, of_corpus[1].loc[corpus.table.index], answers[first], own)


def _answers(stored: _Stored, order: np.ndarray, settings: Settings) -> dict[str, Any]:
    """Prompts, answers and probabilities by condition, the utterances of each in an order.

    Texts are numbers that count within their list, -1 for none; probabilities are per mille.
    """
    labels = list(stored.corpus.labels)
    conditions = [name for name in settings.conditions if not _in_other_form(name)]
    answers = stored.answers[stored.answers["condition"].isin(conditions)]
    asked = utterance_ids(stored.corpus.table.index[order])
    shape = len(conditions), len(asked)
    place = codes_among(answers["condition"], pd.Index(conditions)) * len(asked)
    place += codes_among(answers["utterance"], asked)
    # An answer that could not be had may have no row.
    of_place = np.full(len(conditions) * len(asked), -1)
    of_place[place] = np.arange(len(place))
    rows = answers.reset_index(drop=True).reindex(of_place)
    concepts = [str(name).removeprefix(_SHOWN) for name in rows if str(name).startswith(_SHOWN)]
    own = pd.DataFrame() if stored.own is None else stored.own
    own = own.set_index(utterance_ids(own.index)).reindex(asked) if len(own) else own
    tokens = [_tokens(rows[f"{_SHOWN}{concept}"], own.get(concept), shape) for concept in concepts]
    words, shown, true = map(list, zip(*tokens, strict=True))
    return {
        "labels": labels,
        "truth": codes_among(stored.corpus.table["emotion"].iloc[order], pd.Index(labels)).tolist(),
        "conditions": conditions,
        "single": [about_concepts(condition) for condition in conditions],
        "answers": codes_among(rows["prediction"], pd.Index(labels)).reshape(shape).tolist(),
        **_coded("reason", rows["why_invalid"].astype(object).fillna("")),
        "swapped": _swapped(rows, stored, order, conditions),
        "unheard": [parts_heard(condition)[1] == SILENT for condition in conditions],
        "probabilities": _per_mille(rows, labels, shape),
        "prompt": _prompt(settings, labels),
        "concepts": concepts,
        "words": words,
        "shown": shown,
        "own": true,
    }


def _in_other_form(condition: str) -> bool:
    """Whether the page cannot write its prompts: it has the tokens, in the template's own form."""
    return told_by_name(condition)[0] in FORMS


def _swapped(
    rows: pd.DataFrame, stored: _Stored, order: np.ndarray, conditions: Sequence[str]
) -> dict[int, Any]:
    """Of each condition with swapped audio: whose is heard, its class, and that of the tokens.

    By place of the condition, three lists over the utterances: ``partner``, the place of the one
    that is heard, ``heard`` and ``read``, numbers of labels; -1 where there is none.
    """
    labels = pd.Index(stored.corpus.labels)
    digests = stored.digests.iloc[order].astype("str")
    # The same recording may be listed twice, under two classes.
    sounds = pd.MultiIndex.from_arrays([digests, stored.corpus.table["emotion"].iloc[order]])
    places = pd.Series(range(len(sounds)), sounds).groupby(level=[0, 1]).first()
    found = {}
    for place, name in enumerate(conditions):
        if parts_heard(name)[1] != SWAPPED:
            continue
        # Answers of earlier versions do not tell the classes.
        asked = rows.reindex(columns=["audio", "heard_class", "tokens_class"]).astype(object)
        asked = asked.iloc[place * len(order) : (place + 1) * len(order)]
        whose = list(zip(asked["audio"], asked["heard_class"], strict=True))
        found[place] = {
            "partner": places.reindex(whose, fill_value=-1).tolist(),
            "heard": codes_among(asked["heard_class"], labels).tolist(),
            "read": codes_among(asked["tokens_class"], labels).tolist(),
        }
    return found


def _tokens(
    shown: pd.Series, own: pd.Series | None, shape: tuple[int, int]
) -> tuple[list[str], list[Any], list[int]]:
    """Of one concept: the words, that of each prompt, and that of each utterance itself."""
    own = pd.Series(dtype="str") if own is None else own
    words = pd.Index(sorted({*shown.dropna().unique(), *own.dropna().unique()}))
    return (
        list(words),
        codes_among(shown, words).reshape(shape).tolist(),
        codes_among(own, words).tolist(),
    )


def _per_mille(
    rows: pd.DataFrame, labels: Sequence[str], shape: tuple[int, int]
) -> list[Any] | None:
    """Probabilities by class, condition and utterance; ``None`` where answers were generated."""
    columns = [f"p_{label}" for label in labels]
    if not set(columns) <= set(rows) or rows[columns].isna().all(axis=None):
        return None
    scaled = (rows[columns] * 1000).round().astype("Int64").astype(object)
    table = scaled.where(scaled.notna(), None).to_numpy()
    return table.T.reshape(len(labels), *shape).tolist()


def _prompt(settings: Settings, labels: Sequence[str]) -> dict[str, str]:
    """The first template: what of a prompt is the same for all utterances, and the rest."""
    template = resolve_templates(settings.templates)[0]
    given = settings.labels if isinstance(settings.labels, dict) else {}
    before = template.render([given.get(label, label) for label in labels])
    return {
        "instruction": before.removesuffix(template.answer),
        "cues": template.cues,
        "item": template.item,
        "separator": template.separator,
        "answer": template.answer,
    }


def _coded(name: str, column: pd.Series) -> dict[str, Any]:
    """Texts, each once, and the place of each row's text among them."""
    codes, texts = pd.factorize(column.astype("str"), sort=True)
    return {f"{name}s": texts.tolist(), name: codes.tolist()}


def _about(settings: Settings, utterances: int, conditions: int) -> list[str]:
    """What is on the page, and what of the study is not."""
    template = resolve_templates(settings.templates)[0].name
    said = [
        f"{utterances:,} utterances of the partition {settings.partition}, {conditions} conditions."
    ]
    more = [
        f"{number} {name}"
        for number, name in (
            (len(settings.templates), "templates"),
            (settings.label_orders, "label orders"),
            (settings.replicates, "replicates of random conditions"),
        )
        if number > 1
    ]
    if more:
        said.append(
            f"Shown are prompts and answers with the template {template}, the first label order "
            f"and the first replicate; the study has {', '.join(more)}, and most of its "
            "results use all of them."
        )
    if left_out := [name for name in settings.conditions if _in_other_form(name)]:
        said.append(
            f"Not on this page, but in the reports: {', '.join(left_out)}, which show the tokens "
            "in another form than the template."
        )
    if settings.decoding == "generate":
        said.append("Answers were generated, so there are no probabilities.")
    return said


def _players(
    stored: _Stored, order: np.ndarray, answers: list[list[int]], settings: Settings
) -> tuple[dict[int, str], str]:
    """Recordings as MP3 in base64 by place in an order, and why there are no more of them.

    Those come first whose answer depends most on the condition. A recording that has changed since
    the model heard it is left out.
    """
    if not stored.corpus.may_share_audio:
        return {}, "Recordings of this corpus may not be passed on."
    try:
        listed = listed_corpus(settings)
    except InputError as error:
        logger.warning("%s has no recordings: %s", UTTERANCES, error)
        return {}, "The recordings were not available when this page was written."
    different = np.array([len(set(each)) for each in zip(*answers, strict=True)])
    players: dict[int, str] = {}
    size = missing = 0
    for place in np.argsort(-different, kind="stable"):
        row = order[place]
        encoded = _mp3(listed, stored.corpus.table.index[row], stored.digests.iloc[row])
        if encoded is None:
            missing += 1
        elif size + len(encoded) > MOST_AUDIO:
            return players, (
                f"This page has the recordings of {len(players):,} utterances, those whose answers "
                f"depend most on the condition: it holds {MOST_AUDIO // 10**6} MB at most."
            )
        else:
            size += len(encoded)
            players[int(place)] = base64.b64encode(encoded).decode()
    return players, (
        f"{missing:,} recordings were not available when this page was written." if missing else ""
    )


def _mp3(corpus: Corpus, utterance: tuple[Any, Any, Any], digest: str) -> bytes | None:
    """An utterance as the model heard it; ``None`` if its recording is not there or another."""
    file, start, end = utterance
    try:
        content = file_digest(corpus.path(file))
        if utterance_digest(content, start, end, corpus.channel) != digest:
            return None
        samples = read_utterance(corpus, utterance)
    except InputError:
        return None
    stream = io.BytesIO()
    # Every browser plays it, and the same samples give the same bytes.
    try:
        soundfile.write(stream, samples, SAMPLING_RATE, format="MP3")
    except soundfile.SoundFileError:  # a libsndfile without MP3
        return None
    return stream.getvalue()
