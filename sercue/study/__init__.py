"""The study: every condition of every utterance, answered once, stored as the answers come."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd
import scipy

from sercue.corpora.audio import audio_digests, read_utterance
from sercue.corpora.audio_variants import variant_digest, varied
from sercue.corpora.corpus import Corpus
from sercue.errors import InputError, ServerError, refuse_unknown
from sercue.models import AudioLanguageModel, NoAnswer
from sercue.running import progress_bar, small_model_jobs
from sercue.storage.tables import categorical
from sercue.study.plan import plan_study
from sercue.study.store import KEY, NO_ANSWER, ROW, KnownAnswers, PredictionStore
from sercue.tokens.concepts import WORDS, Words
from sercue.tokens.condition import Condition
from sercue.tokens.prompts import DEFAULT_TEMPLATES, Template

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["DECODINGS", "KEY", "ROW", "plan_study", "run_study"]

DECODINGS = ("score", "generate")
# What is asked together, with the model that is asked.
_Batches: TypeAlias = Iterator[tuple[AudioLanguageModel, pd.DataFrame]]

# The model sorts what it gets by length, so it gets more than it runs at once. While a GPU works,
# the CPU prepares the next recordings of the same call.
_BATCHES_AT_ONCE, _BATCHES_FOR_A_GPU = 2, 8

_NOT_FINITE = "its scores are not finite"
_OVERFLOW = (
    "scores are not finite where float16 overflows (set dtype to bfloat16 or float32) or weights "
    "are damaged"
)
# Prompts from which on it pays to start processes that ask a small model side by side.
_WORTH_PROCESSES = 10_000
# A study in which more of the answers than that cannot be had says little of the model.
_MOST_LOST, _FEW_LOST = 0.2, 10


def run_study(
    corpus: Corpus,
    tokens: pd.DataFrame,
    model: AudioLanguageModel | Mapping[str, AudioLanguageModel],
    *,
    conditions: Sequence[str | Condition] = ("none", "aligned", "shuffled", "conflicting"),
    templates: Sequence[str | Mapping[str, str] | Template] = DEFAULT_TEMPLATES,
    label_words: Mapping[str, str] | None = None,
    orders: int = 1,
    decoding: str = "score",
    replicates: int = 1,
    seed: int = 0,
    partition: str = "test",
    words: Mapping[str, Words] | Sequence[str] = WORDS[3],
    scores: pd.DataFrame | None = None,
    store: Path | None = None,
    also: Sequence[Path] = (),
    digests: pd.Series | None = None,
    max_new_tokens: int = 8,
    client: Client | None = None,
    progress: bool = True,
    concept_wordings: str = "first",
) -> pd.DataFrame:
    """Ask the model about every utterance under every condition.

    Only the tokens differ between the conditions of an utterance: the audio is the same samples
    and the rest of the prompt the same text. Prompts that come out equal are asked once. With a
    ``store``, answers are stored every few utterances, and a second call finds them: the model is
    asked again only if the audio, the prompt, the model or the decoding changed. Several runs may
    share a store, and each uses the answers of the others (of small models, which several
    processes ask, those that are there when it begins).

    Args:
        corpus: the corpus; its ``partition`` is evaluated
        tokens: true tokens, one row per utterance of the corpus, one column per concept
        model: as ``load_model`` returns it; its weights load only if an answer is missing. For a
            cross-validated corpus it may be a mapping from fold to the model that is asked there.
        conditions: names as study files write them, or conditions of your own
        templates: names of shipped templates, or wordings of your own
        label_words: label to the words that prompts show; the labels themselves by default
        orders: number of counterbalanced label orders
        decoding: ``"score"`` (likelihood of each label's words) or ``"generate"`` (greedy, parsed)
        replicates: repetitions of each random condition
        seed: seed of all random conditions
        partition: which partition is evaluated
        words: concept to its words, as ``Binning.words``; a sequence, from low to high, is that of
            every concept
        scores: scores of the ordinal concepts, as ``Binning.scores`` gives them, which the
            condition ``numbers`` needs
        store: folder of Parquet parts
        also: further such folders, in which answers are looked up; nothing is written there
        digests: content identity of each utterance's audio; computed from the files by default
        max_new_tokens: largest number of tokens of a generated answer
        client: of a ``dask.distributed`` scheduler, whose workers ask the model instead, each
            its own; they read model and recordings at the same paths, and ``digests`` must be
            those of ``audio_digests``. ``connect`` makes one.
        progress: whether to show a progress bar
        concept_wordings: in which wordings and label orders conditions about single concepts are
            asked: ``"first"``, one prompt each, or ``"all"``

    Returns:
        the predictions: one row per (utterance, condition, replicate, template, label_order,
        decoding) with ``speaker``, ``truth``, ``prediction`` (null if invalid), ``valid``,
        ``why_invalid``, ``answer`` and ``p_<label>``; with ``family``, ``dose`` and ``concepts``
        of the condition, ``heard``, its audio variant, ``heard_class``, the class of what is heard
        (null in silence), ``tokens_class``, that of the utterance whose tokens are shown (null
        where they are not those of one utterance), and ``shown_<concept>``, the word shown for a
        concept (null where none is). Texts are categorical, so that each different one is held
        once.

    Raises:
        InputError: if a condition, template, decoding or partition is not valid, or if more than
            one answer in five cannot be obtained, for instance because scores are not finite
        ServerError: if the scheduler or all its workers are gone, or the server of the model; or if
            a part of the study was never asked
    """
    refuse_unknown("decoding", [decoding], DECODINGS)
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
        scores=scores,
        concept_wordings=concept_wordings,
    )
    digests = audio_digests(corpus) if digests is None else digests.loc[corpus.table.index]
    answering = _answering(corpus, model)
    asked = (words_of, decoding, max_new_tokens)
    plan = _with_keys(plan, digests, seed, answering, asked)
    answers, kept = KnownAnswers(plan, words_of, decoding), PredictionStore(store, also)
    kept.read_new(answers)
    batches = _unanswered(plan, answering, answers, kept)
    missing = plan["row"].to_numpy()[~answers.known]
    left = len(pd.unique(missing))
    with (
        kept.keeping(answers) as keep,
        progress_bar(total=left, unit="utt", desc="study", disable=not (progress and left)) as bar,
    ):
        number, lost = 0, pd.Series(dtype=float)
        # As many as there are cores, of models that use one core each.
        small = all(getattr(one, "one_thread", False) for one in answering)
        jobs = small_model_jobs() if small and len(missing) >= _WORTH_PROCESSES else 1
        for batch, answer in _answered(corpus, batches, asked, client, jobs):
            answers.add(answer)
            keep(batch.index.to_numpy())
            bar.update(batch["row"].nunique())
            number += len(answer)
            lost = lost.add(answer[NO_ANSWER].value_counts(), fill_value=0)
            _check_lost(lost, number, answering[batch["row"].iloc[0]])
    if lacking := int((~answers.known).sum()):
        raise ServerError(
            f"{lacking} of {len(plan)} rows of the study have no answer, and nothing has said why; "
            "what was answered is kept: run the study again"
        )
    predictions = answers.predictions()
    del answers, batches
    kept.settle(predictions)
    return predictions


def _check_lost(lost: pd.Series, number: int, model: AudioLanguageModel) -> None:
    """Stop a study in which many answers cannot be had; ``lost`` has their number by reason."""
    if lost.sum() > max(_FEW_LOST, _MOST_LOST * number):
        told = ", ".join(f"{why} ({count:.0f})" for why, count in lost.items())
        raise InputError(
            f"model {model.name!r} (dtype {model.dtype}): {lost.sum():.0f} of {number} answers "
            f"cannot be had: {told}; what was answered is kept"
            + ("; " + _OVERFLOW)
            * (_NOT_FINITE in lost)
        )


def _with_keys(
    plan: pd.DataFrame, digests: pd.Series, seed: int, answering: pd.Series, asked: tuple[Any, ...]
) -> pd.DataFrame:
    """The plan with what the answer to each row depends on, and the recording it is made of."""
    kinds, own = list(plan["heard"].cat.categories), digests.to_numpy(object)
    different = [variant_digest(digest, kind, seed) for kind in kinds for digest in own]
    source = plan["source"].to_numpy()
    place = plan["heard"].cat.codes.to_numpy(np.int64) * len(own) + source
    rows, first = plan["row"].to_numpy(), np.zeros(len(plan), np.int8)
    label_words, decoding, max_new_tokens = asked
    # Which words are scored for which label, or how many tokens follow.
    options = f"{max_new_tokens} tokens"
    if decoding == "score":
        options = json.dumps(label_words, ensure_ascii=False)
    return plan.assign(
        audio=categorical(different, place),
        recording=categorical(own, source),
        model=categorical([model.identity for model in answering], rows),
        decoding=categorical([decoding], first),
        options=categorical([options], first),
    )


def _ask(
    corpus: Corpus,
    model: AudioLanguageModel,
    rows: pd.DataFrame,
    label_words: Mapping[str, str],
    decoding: str,
    max_new_tokens: int,
) -> pd.DataFrame:
    """Answers to all prompts of some utterances, each different prompt of an utterance once."""
    # Each sound once, with all that is asked of it behind it.
    asked = rows.drop_duplicates(["audio", "prompt"])
    asked = asked.iloc[np.lexsort((asked["heard"].cat.codes, asked["row"]))]
    sound = asked["audio"].cat.codes.to_numpy()
    first = np.flatnonzero(np.r_[True, sound[1:] != sound[:-1]])
    audios = [
        varied(
            read_utterance(corpus, corpus.table.index[row], model.sampling_rate),
            model.sampling_rate,
            heard,
            digest,
        )
        for row, heard, digest in asked.iloc[first][["source", "heard", "audio"]].to_numpy()
    ]
    texts = [own.tolist() for own in np.split(asked["text"].to_numpy(object), first[1:])]
    answer = asked[KEY]
    if decoding == "score":
        likelihood = np.concatenate(model.score(audios, texts, list(label_words.values())))
        finite = np.isfinite(likelihood).all(axis=1)
        likelihood[~finite] = np.nan
        names = [f"p_{label}" for label in label_words]
        shares = dict(zip(names, scipy.special.softmax(likelihood, axis=1).T, strict=True))
        mass = np.exp(scipy.special.logsumexp(likelihood, axis=1))
        why = pd.Series(_NOT_FINITE, answer.index).mask(finite)
        return answer.assign(**shares, label_mass=mass, **{NO_ANSWER: why})
    told = [text for own in model.generate(audios, texts, max_new_tokens) for text in own]
    given = [None if isinstance(text, NoAnswer) else text for text in told]
    reasons = [text.reason if isinstance(text, NoAnswer) else None for text in told]
    columns = {"answer": given, NO_ANSWER: reasons}
    return answer.join(pd.DataFrame(columns, answer.index, dtype=object))


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


def _unanswered(
    plan: pd.DataFrame, answering: pd.Series, answers: KnownAnswers, kept: PredictionStore
) -> _Batches:
    """The rows still to ask, a few utterances at a time, with the model to ask, model by model.

    What another run has answered by then is not asked. Which utterances are asked together depends
    on the plan alone, and not on what is answered already: a model's sums depend in their last
    digits on what runs beside them, and a run that was interrupted is to end with the very same
    numbers.
    """
    rows = plan["row"].to_numpy()
    first = np.flatnonzero(np.r_[True, rows[1:] != rows[:-1]])
    last = np.r_[first[1:], len(rows)]
    models = plan["model"].cat.codes.to_numpy()[first]
    for code in pd.unique(models):
        own = np.flatnonzero(models == code)
        model = answering[rows[first[own[0]]]]
        on_gpu = str(getattr(model, "device", "cpu")).startswith(("cuda", "mps"))
        size = (_BATCHES_FOR_A_GPU if on_gpu else _BATCHES_AT_ONCE) * model.batch_size
        for start in range(0, len(own), size):
            utterances = own[start : start + size]
            batch = np.concatenate([np.arange(first[i], last[i]) for i in utterances])
            kept.read_new(answers)
            missing = batch[~answers.known[batch]]
            if len(missing):
                yield model, plan.iloc[missing]


def _answered(
    corpus: Corpus,
    batches: _Batches,
    asked: tuple[Any, ...],
    client: Client | None,
    jobs: int,
) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """The batches, each with what ``_ask`` gives: one after the other, or as workers are done."""
    if client is not None:
        from sercue.distributed.study import answered

        yield from answered(client, _ask, corpus, batches, asked)
        return
    if jobs > 1:
        from sercue.distributed.study import answered_here

        yield from answered_here(_ask, corpus, _without_repeats(batches), asked, jobs)
        return
    for model, batch in batches:
        yield batch, _ask(corpus, model, batch, *asked)


def _without_repeats(batches: _Batches) -> _Batches:
    """The batches without what an earlier one asks: swapped audio is that of another utterance.

    Where one batch is asked after the other, it is answered by then.
    """
    asked: set[int] = set()
    for model, batch in batches:
        keys = pd.util.hash_pandas_object(batch[KEY], index=False)
        new = ~keys.isin(asked) & ~keys.duplicated()
        asked |= set(keys)
        if new.any():
            yield model, batch[new.to_numpy()]
