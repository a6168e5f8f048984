"""The study: every condition of every utterance, answered once, stored as the answers come."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.special import logsumexp, softmax

from sercue.audio import audio_digests, read_utterance
from sercue.concepts import WORDS
from sercue.corpora.corpus import Corpus, utterance_ids
from sercue.errors import InputError, unknown
from sercue.interventions import Condition, Material, parse_conditions
from sercue.models import AudioLanguageModel
from sercue.parts import append_part, part_files, read_parts
from sercue.progress import progress_bar
from sercue.prompts import TEMPLATES, Template, label_orders, parse_answer, resolve_templates

if TYPE_CHECKING:
    from distributed import Client

DECODINGS = ("score", "generate")
#: What makes two answers the same answer: the audio's content, the text, the model, the decoding.
KEY = ["audio", "prompt", "model", "decoding"]
#: What names a row of the predictions.
ROW = ["utterance", "condition", "replicate", "template", "label_order", "decoding"]

# The model sorts what it gets by length, so it gets more than it runs at once.
_BATCHES_A_PART = 2
_FIRST = [
    "utterance", "speaker", "truth", "condition", "replicate", "template", "label_order",
    "decoding", "prediction", "valid", "answer",
]  # fmt: skip


def run_study(
    corpus: Corpus,
    tokens: pd.DataFrame,
    model: AudioLanguageModel | Mapping[str, AudioLanguageModel],
    *,
    conditions: Sequence[str | Condition] = ("none", "aligned", "shuffled", "conflicting"),
    templates: Sequence[str | Mapping[str, str] | Template] = tuple(TEMPLATES),
    label_words: Mapping[str, str] | None = None,
    orders: int = 1,
    decoding: str = "score",
    replicates: int = 1,
    seed: int = 0,
    partition: str = "test",
    words: Sequence[str] = WORDS[3],
    store: Path | None = None,
    digests: pd.Series | None = None,
    max_new_tokens: int = 8,
    client: Client | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Ask the model about every utterance under every condition.

    Only the tokens differ between the conditions of an utterance: the audio is the same samples
    and the rest of the prompt the same text. Prompts that come out equal are asked once. With a
    ``store``, answers are kept every few utterances, and a second call finds them: an answer is
    asked again only if its audio, its prompt, the model or the decoding changed.

    Args:
        corpus: the corpus; its ``partition`` is evaluated
        tokens: true tokens, one row an utterance of the corpus, one column a concept
        model: as ``load_model`` returns it; its weights load only if an answer is missing. Of a
            cross-validated corpus it may be a mapping from fold to the model that answers it.
        conditions: names as study files write them, or conditions of your own
        templates: names of ours, or wordings of your own
        label_words: label to the words that prompts show; the labels themselves by default
        orders: number of counterbalanced label orders
        decoding: ``"score"`` (likelihood of each label's words) or ``"generate"`` (greedy, parsed)
        replicates: repetitions of each random condition
        seed: seed of all random conditions
        partition: which partition is evaluated
        words: the words of the bins, from low to high
        store: folder of Parquet parts
        digests: content identity of each utterance's audio; computed from the files by default
        max_new_tokens: most tokens of a generated answer
        client: of a ``dask.distributed`` scheduler, whose workers ask the model instead, each
            its own; they read model and recordings at the same paths, and ``digests`` must be
            those of ``audio_digests``. ``connect`` makes one.
        progress: whether to show a progress bar

    Returns:
        the predictions: one row an (utterance, condition, replicate, template, label_order,
        decoding) with ``speaker``, ``truth``, ``prediction`` (null if invalid), ``valid``,
        ``answer``, ``p_<label>`` and the ``tokens`` shown

    Raises:
        InputError: if a condition, template, decoding or partition is not valid
        ServerError: if the scheduler or all its workers are gone, or the server of the model
    """
    if decoding not in DECODINGS:
        raise unknown("decoding", decoding, DECODINGS)
    words_of = dict(label_words or {label: label for label in corpus.labels})
    plan = plan_study(
        corpus,
        tokens,
        conditions=conditions,
        templates=templates,
        label_words=words_of,
        orders=orders,
        replicates=replicates,
        seed=seed,
        partition=partition,
        words=words,
    )
    digests = audio_digests(corpus) if digests is None else digests.loc[corpus.table.index]
    plan["audio"] = digests.to_numpy()[plan["row"]]
    answering = _answering(corpus, model)
    plan["model"] = answering.map(lambda one: one.identity).to_numpy()[plan["row"]]
    plan["decoding"] = decoding
    answers = [_stored_answers(store, words_of, decoding)]
    missing = _without_answer(plan, answers[0])
    number = missing["row"].nunique()
    shown = progress and number
    asked = (words_of, decoding, max_new_tokens)
    with progress_bar(total=number, unit="utt", desc="study", disable=not shown) as bar:
        for batch, answer in _answered(corpus, _batches(missing, answering), asked, client):
            answers.append(answer)
            if store is not None:
                append_part(store, _predictions(batch, answer, words_of, decoding))
            bar.update(batch["row"].nunique())
    predictions = _predictions(plan, pd.concat(answers), words_of, decoding)
    if store is not None:
        _settle(store, predictions)
    return predictions


def plan_study(
    corpus: Corpus,
    tokens: pd.DataFrame,
    *,
    conditions: Sequence[str | Condition],
    templates: Sequence[str | Mapping[str, str] | Template] = tuple(TEMPLATES),
    label_words: Mapping[str, str] | None = None,
    orders: int = 1,
    replicates: int = 1,
    seed: int = 0,
    partition: str = "test",
    words: Sequence[str] = WORDS[3],
) -> pd.DataFrame:
    """Every prompt of a study, before any model is asked. See ``run_study`` for the arguments.

    Returns:
        one row a planned prediction, with the whole prompt in ``text``, its hash in ``prompt``,
        and in ``row`` the utterance's place in ``corpus.table``

    Examples:
        >>> from sercue.corpora.corpus import example_corpus
        >>> corpus = example_corpus(speakers=2, utterances=2)
        >>> tokens = pd.DataFrame({"energy": ["low", "high"] * 2}, index=corpus.table.index)
        >>> plan = plan_study(corpus, tokens, conditions=["aligned"], templates=["plain"])
        >>> plan[["utterance", "tokens"]].values.tolist()
        [['s1_0.wav', 'energy=low'], ['s1_1.wav', 'energy=high']]
    """
    rows = np.flatnonzero(corpus.table["partition"] == partition)
    if not len(rows):
        found = ", ".join(corpus.table["partition"].unique())
        raise InputError(f"partition: no utterance in {partition!r}; found {found}")
    options = list((label_words or {label: label for label in corpus.labels}).values())
    listed = [[options[i] for i in order] for order in label_orders(len(options), orders)]
    material = Material.of_corpus(corpus, tokens, words, partition=partition)
    who = _who(corpus, rows)
    wordings = list(product(resolve_templates(templates), enumerate(listed)))
    blocks = []
    for condition in parse_conditions(conditions, list(map(str, tokens))):
        for replicate in condition.replicates(replicates):
            changed = condition.show(material, seed=seed, replicate=replicate)
            shown = _rows_of(changed, len(rows))
            for template, (number, labels) in wordings:
                block = who.assign(
                    condition=condition.name,
                    replicate=replicate,
                    template=template.name,
                    label_order=number,
                )
                blocks.append(block.assign(**_written(template, labels, shown)))
    return pd.concat(blocks).sort_values("row", kind="stable", ignore_index=True)


def _who(corpus: Corpus, rows: np.ndarray) -> pd.DataFrame:
    table = corpus.table.iloc[rows]
    return pd.DataFrame(
        {
            "utterance": utterance_ids(table.index),
            "speaker": table["speaker"].to_numpy(),
            "truth": table["emotion"].to_numpy(),
            "row": rows,
        }
    )


def _rows_of(tokens: pd.DataFrame | None, number: int) -> list[dict[str, str] | None]:
    if tokens is None:
        return [None] * number
    return [dict(zip(tokens.columns, row, strict=True)) for row in tokens.to_numpy()]


def _written(
    template: Template, labels: Sequence[str], shown: Sequence[dict[str, str] | None]
) -> dict[str, list[str]]:
    texts = [template.render(labels, tokens) for tokens in shown]
    return {
        "tokens": [template.show_tokens(tokens) if tokens else "" for tokens in shown],
        "text": texts,
        "prompt": [hashlib.blake2b(text.encode(), digest_size=16).hexdigest() for text in texts],
    }


def _ask(
    corpus: Corpus,
    model: AudioLanguageModel,
    rows: pd.DataFrame,
    label_words: Mapping[str, str],
    decoding: str,
    max_new_tokens: int,
) -> pd.DataFrame:
    """Answers to all prompts of some utterances, each different prompt of an utterance once."""
    asked = rows.drop_duplicates(["row", "prompt"])
    utterances = [utterance for _, utterance in asked.groupby("row", sort=False)]
    index = corpus.table.index
    audios = [
        read_utterance(corpus, index[u["row"].iloc[0]], model.sampling_rate) for u in utterances
    ]
    texts = [utterance["text"].tolist() for utterance in utterances]
    answer = pd.concat(utterances)[KEY]
    if decoding == "score":
        scores = model.score(audios, texts, list(label_words.values()))
        likelihood = np.concatenate(scores)
        answer[_columns(label_words)] = softmax(likelihood, axis=1)
        answer["label_mass"] = np.exp(logsumexp(likelihood, axis=1))
    else:
        answers = model.generate(audios, texts, max_new_tokens)
        answer["answer"] = [text for given in answers for text in given]
    return answer


def _columns(label_words: Mapping[str, str]) -> list[str]:
    return [f"p_{label}" for label in label_words]


def _stored_answers(
    store: Path | None, label_words: Mapping[str, str], decoding: str
) -> pd.DataFrame:
    """Answers of earlier runs, those of another setting of the same study among them."""
    columns = [*_columns(label_words), "label_mass", "answer"]
    parts = [read_parts(folder) for folder in _folders(store)]
    stored = pd.concat([pd.DataFrame(columns=[*KEY, *columns], dtype=object), *parts])
    told = _columns(label_words) if decoding == "score" else ["answer"]
    return stored[[*KEY, *columns]].dropna(subset=told).drop_duplicates(KEY)


def _folders(store: Path | None) -> list[Path]:
    return [] if store is None else [store, store.with_name("superseded")]


def _without_answer(plan: pd.DataFrame, answers: pd.DataFrame) -> pd.DataFrame:
    known = pd.MultiIndex.from_frame(answers[KEY])
    return plan[~pd.MultiIndex.from_frame(plan[KEY]).isin(known)]


def _answering(
    corpus: Corpus, model: AudioLanguageModel | Mapping[str, AudioLanguageModel]
) -> pd.Series:
    """The model that answers each utterance of the corpus."""
    if not isinstance(model, Mapping):
        return pd.Series([model] * len(corpus.table), dtype=object)
    lacking = [fold for fold in corpus.folds if fold not in model]
    if lacking or not corpus.folds:
        raise InputError(
            f"model: found one each for {', '.join(model) or 'no fold'}; "
            f"corpus {corpus.name!r} has the folds {', '.join(corpus.folds) or '(none)'}"
        )
    return corpus.table["fold"].map(dict(model)).reset_index(drop=True)


def _answered(
    corpus: Corpus,
    batches: Iterator[tuple[AudioLanguageModel, pd.DataFrame]],
    asked: tuple[Any, ...],
    client: Client | None,
) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """The batches, each with what ``_ask`` gives: one after the other, or as workers are done."""
    if client is not None:
        from sercue.distributed.study import answered

        yield from answered(client, _ask, corpus, batches, asked)
        return
    for model, batch in batches:
        yield batch, _ask(corpus, model, batch, *asked)


def _batches(
    missing: pd.DataFrame, answering: pd.Series
) -> Iterator[tuple[AudioLanguageModel, pd.DataFrame]]:
    """The rows to ask, a few utterances at a time, with the model to ask, one after the other."""
    for _, rows in missing.groupby("model", sort=False):
        utterances = rows["row"].unique()
        model = answering[utterances[0]]
        size = _BATCHES_A_PART * model.batch_size
        for first in range(0, len(utterances), size):
            yield model, rows[rows["row"].isin(utterances[first : first + size])]


def _predictions(
    plan: pd.DataFrame, answers: pd.DataFrame, label_words: Mapping[str, str], decoding: str
) -> pd.DataFrame:
    """The planned rows with their answers and what these amount to."""
    columns = _columns(label_words)
    wanted = [*KEY, *columns, "label_mass", "answer"]
    answers = answers.reindex(columns=wanted).drop_duplicates(KEY)
    table = plan.drop(columns=["row", "text"]).merge(answers, on=KEY, how="left", validate="m:1")
    table[[*columns, "label_mass"]] = table[[*columns, "label_mass"]].astype(float)
    if decoding == "score":
        labels = np.array(list(label_words), dtype=object)
        predicted = list(labels[table[columns].to_numpy().argmax(axis=1)])
    else:
        predicted = [parse_answer(text, label_words) for text in table["answer"]]
    table["prediction"] = pd.Series(predicted, index=table.index, dtype=object)
    # One way to say "none", whether an answer is fresh or read back.
    table["answer"] = table["answer"].astype(object).where(table["answer"].notna(), None)
    table["valid"] = table["prediction"].notna()
    return table[[*_FIRST, *columns, "label_mass", "tokens", "audio", "prompt", "model"]]


def _settle(store: Path, predictions: pd.DataFrame) -> None:
    """Leave exactly this study's rows in the store; rows of other settings move beside it."""
    files, stored = part_files(store), read_parts(store)
    columns = list(dict.fromkeys([*ROW, *KEY]))
    held, current = (pd.MultiIndex.from_frame(t[columns]) for t in (stored, predictions))
    if len(held) == len(current) and held.isin(current).all():
        return
    stale = stored[~held.isin(current)]
    if len(stale):
        append_part(store.with_name("superseded"), stale)
    append_part(store, predictions)
    for file in files:
        file.unlink()
