"""What the audio and what the tokens say of each label, for every answer under changed tokens.

The audio's word is the model's own answer without tokens; that of the tokens comes from a
classifier that has seen nothing but tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from sercue.baselines import fit_token_classifier
from sercue.concepts import UNKNOWN
from sercue.corpora.corpus import Corpus, utterance_ids
from sercue.errors import InputError, unknown
from sercue.measures import check_predictions

BASELINE = "none"
#: What names the audio-only answer that an answer is read against.
CELL = ["utterance", "template", "label_order", "decoding"]
# A probability that came out as 0 still has a logarithm.
_LEAST = 1e-12


def label_evidence(
    predictions: pd.DataFrame,
    corpus: Corpus,
    tokens: pd.DataFrame | Mapping[str, pd.DataFrame],
    *,
    seed: int = 0,
) -> pd.DataFrame:
    r"""Log-probability of each label by the audio alone and by the tokens shown alone.

    - ``audio_<label>``: :math:`\log p(\text{label} \mid \text{audio})`, the model's own answer to
      the same utterance, template and label order under ``none``
    - ``tokens_<label>``: :math:`\log p(\text{label} \mid \text{tokens shown})` of
      ``fit_token_classifier``, fitted on the true tokens of training utterances. Where only some
      concepts are shown it is fitted on these alone; ``unknown`` counts as not shown. Where none
      is left, all labels are equally probable.

    Of a cross-validated corpus, the classifier of an utterance is fitted on all other folds.
    Probabilities below 1e-12 are taken as 1e-12.

    Args:
        predictions: as ``run_study`` returns them, decoding ``"score"``, ``none`` among the
            conditions
        corpus: names the training rows
        tokens: true tokens, indexed as ``corpus.table``; of a cross-validated corpus it may be a
            mapping from fold to the tokens by the thresholds that have not seen that fold
        seed: of the classifier

    Returns:
        the rows of ``predictions`` under all other conditions, with these columns added

    Raises:
        InputError: if there are no probabilities of labels, no ``none`` or nothing else, an answer
            without its audio-only counterpart

    Examples:
        >>> from sercue.corpora.corpus import example_corpus
        >>> corpus = example_corpus(speakers=3, utterances=4)
        >>> tokens = pd.DataFrame({"energy": ["high", "low"] * 6}, index=corpus.table.index)
        >>> answers = {"p_angry": [0.6, 0.9], "p_neutral": [0.4, 0.1], "prediction": "angry"}
        >>> rows = pd.DataFrame({"condition": ["none", "aligned"], **answers}).assign(
        ...     utterance="s2_0.wav", speaker="s2", truth="angry", template="plain",
        ...     label_order=0, decoding="score", shown_energy=[None, "high"])
        >>> label_evidence(rows, corpus, tokens).iloc[:, -4:].round(2)
           audio_angry  audio_neutral  tokens_angry  tokens_neutral
        1        -0.51          -0.92         -0.41           -1.09
    """
    scored = _scored(predictions, corpus.labels)
    changed = scored[scored["condition"] != BASELINE]
    if changed.empty:
        raise InputError(f"conditions: found {BASELINE!r} alone; reliance needs changed tokens")
    audio = _audio_evidence(scored, changed, corpus.labels)
    shown = shown_tokens(changed, _concepts(tokens))
    said = _token_evidence(shown, changed["utterance"], corpus, tokens, seed)
    return changed.assign(
        **{f"audio_{label}": audio[:, k] for k, label in enumerate(corpus.labels)},
        **{f"tokens_{label}": said[:, k] for k, label in enumerate(corpus.labels)},
    )


def shown_tokens(predictions: pd.DataFrame, concepts: Sequence[str]) -> pd.DataFrame:
    """The tokens that prompts showed.

    Args:
        predictions: with a column ``shown_<concept>`` for each concept
        concepts: names of the concepts

    Returns:
        DataFrame of words, indexed as ``predictions``, one column per concept; a concept that was
        not shown is ``unknown``

    Raises:
        InputError: naming the columns that are missing

    Examples:
        >>> rows = pd.DataFrame({"shown_energy": ["low", None], "shown_pitch": ["mid", "high"]})
        >>> shown_tokens(rows, ["energy", "pitch"]).values.tolist()
        [['low', 'mid'], ['unknown', 'high']]
    """
    columns = {f"shown_{concept}": concept for concept in concepts}
    missing = [column for column in columns if column not in predictions]
    if missing:
        raise InputError(f"predictions: no column {', '.join(missing)}")
    words = predictions[list(columns)].astype(object)
    return words.where(words.notna(), UNKNOWN).rename(columns=columns)


def _scored(predictions: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
    """The rows with a probability of each label."""
    check_predictions(predictions)
    columns = [f"p_{label}" for label in labels]
    missing = [column for column in CELL if column not in predictions]
    if missing:
        raise InputError(f"predictions: no column {', '.join(missing)}")
    there = [column for column in columns if column in predictions]
    known = predictions[there].notna().all(axis=1)
    if len(there) < len(columns) or not known.any():
        found = ", ".join(map(str, predictions["decoding"].unique()))
        raise InputError(
            f"decoding: found {found}, whose answers have no probability of each label; "
            "reliance needs decoding 'score'"
        )
    return predictions[known]


def _audio_evidence(
    scored: pd.DataFrame, changed: pd.DataFrame, labels: Sequence[str]
) -> np.ndarray:
    columns = [f"p_{label}" for label in labels]
    alone = scored[scored["condition"] == BASELINE].drop_duplicates(CELL).set_index(CELL)
    place = alone.index.get_indexer(pd.MultiIndex.from_frame(changed[CELL]))
    if (place < 0).any():
        raise InputError(
            f"predictions: {(place < 0).sum()} of {len(place)} answers have none of the same "
            f"utterance, template, label order and decoding under condition {BASELINE!r}"
        )
    return _log(alone[columns].to_numpy(dtype=float)[place])


def _token_evidence(
    shown: pd.DataFrame,
    utterance: pd.Series,
    corpus: Corpus,
    tokens: pd.DataFrame | Mapping[str, pd.DataFrame],
    seed: int,
) -> np.ndarray:
    said = np.full((len(shown), len(corpus.labels)), -np.log(len(corpus.labels)))
    if not corpus.folds:
        _say(said, np.arange(len(shown)), shown, _of_fold(tokens, ""), corpus, seed)
        return said
    fold = pd.Series(corpus.table["fold"].to_numpy(), utterance_ids(corpus.table.index))
    own = utterance.map(fold).to_numpy()
    for name in corpus.folds:
        rows = np.flatnonzero(own == name)
        _say(said, rows, shown, _of_fold(tokens, name), corpus.in_fold(name), seed)
    return said


def _say(
    said: np.ndarray,
    rows: np.ndarray,
    shown: pd.DataFrame,
    tokens: pd.DataFrame,
    corpus: Corpus,
    seed: int,
) -> None:
    """Write into ``said`` what a classifier says of the words shown in some rows."""
    words = shown.iloc[rows].reset_index(drop=True)
    visible = words != UNKNOWN
    for pattern, places in visible.groupby(list(visible)).indices.items():
        flags = pattern if isinstance(pattern, tuple) else (pattern,)
        concepts = [c for c, seen in zip(words, flags, strict=True) if seen]
        if concepts:
            part = words.loc[places, concepts]
            said[rows[places]] = _classified(part, tokens[concepts], corpus, seed)


def _classified(words: pd.DataFrame, tokens: pd.DataFrame, corpus: Corpus, seed: int) -> np.ndarray:
    different = words.drop_duplicates().reset_index(drop=True)
    classifier = fit_token_classifier(tokens, corpus, seed=seed)
    lacking = sorted(set(corpus.labels) - set(classifier.classes_))
    if lacking:
        raise InputError(
            f"corpus {corpus.name!r}: no training utterance of {', '.join(lacking)}; what tokens "
            "say of a label is learnt from such"
        )
    order = [list(classifier.classes_).index(label) for label in corpus.labels]
    known = _log(classifier.predict_proba(different)[:, order])
    place = pd.MultiIndex.from_frame(different).get_indexer(pd.MultiIndex.from_frame(words))
    return known[place]


def _of_fold(tokens: pd.DataFrame | Mapping[str, pd.DataFrame], fold: str) -> pd.DataFrame:
    if isinstance(tokens, pd.DataFrame):
        return tokens
    if fold not in tokens:
        raise unknown("fold of tokens", fold, tokens)
    return tokens[fold]


def _concepts(tokens: pd.DataFrame | Mapping[str, pd.DataFrame]) -> list[str]:
    table = tokens if isinstance(tokens, pd.DataFrame) else next(iter(tokens.values()))
    return [str(concept) for concept in table.columns]


def _log(probability: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(probability, _LEAST))
