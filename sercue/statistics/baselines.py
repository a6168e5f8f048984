"""Floors and ceilings that stand beside every table: chance, majority, tokens only, an SVM.

They say what a UAR is worth: how far the words alone go without any audio, and how far the 88
functionals go when a classifier may fit them. All are fitted on training rows only. A study may
name contrastive models besides, which are not fitted at all.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import scipy

from sercue.corpora.corpus import Corpus, utterance_ids
from sercue.errors import InputError, unknown
from sercue.tokens.concepts import measurable

if TYPE_CHECKING:
    from sklearn.base import ClassifierMixin
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline

MAJORITY = "majority class"
TOKENS_ONLY = "tokens only (logistic regression)"
SVM = "eGeMAPS + linear SVM"
COMPLEXITIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
#: Among these the token-only classifier's C is chosen; ``FIXED`` is it where nothing can choose.
TOKEN_COMPLEXITIES = (1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)
FIXED = 1.0
# Groups of training speakers that are held out in turn.
_GROUPS = 5
#: The sentence of a label for contrastive models. Source: Elizalde et al., CLAP, arXiv 2206.04769,
#: section 3.3 ("this person is feeling [class label]", of emotions); with the full stop as ParaCLAP
#: (Jing et al., arXiv 2406.07203) has it in its published code.
SENTENCE = "this person is feeling {label}."


def chance(labels: Sequence[str]) -> float:
    """The UAR of guessing, whatever the classes' shares: one over their number.

    Examples:
        >>> chance(["angry", "happy", "neutral", "sad"])
        0.25
    """
    return 1 / len(labels)


def baselines(
    features: pd.DataFrame,
    tokens: pd.DataFrame,
    corpus: Corpus,
    *,
    partition: str = "test",
    seed: int = 0,
) -> pd.DataFrame:
    """Predictions of the reference classifiers.

    - ``"majority class"``: the commonest class of the training rows
    - ``"tokens only (logistic regression)"``: a classifier of the words, without any audio
    - ``"eGeMAPS + linear SVM"``: a classifier of the 88 functionals

    Args:
        features: functionals, indexed as ``corpus.table``
        tokens: tokens, with the same index
        corpus: names the truth, the speakers and the partitions
        partition: the rows to predict
        seed: of the classifiers

    Returns:
        DataFrame shaped as predictions, one row per utterance and baseline (``condition``), so
        that ``measures`` and ``bootstrap_uar`` take it

    Raises:
        InputError: if the partition or the training partition has no row, or if the training
            partition has only one class

    Examples:
        >>> from sercue.corpora.corpus import example_corpus
        >>> corpus = example_corpus(speakers=3, utterances=4)
        >>> loud = (corpus.table[["emotion"]] == "angry").rename(columns={"emotion": "energy"})
        >>> tokens = loud.replace({True: "high", False: "low"})
        >>> table = baselines(loud.astype(float), tokens, corpus)
        >>> (table["prediction"] == table["truth"]).groupby(table["condition"], sort=False).mean()
        condition
        majority class                       0.5
        tokens only (logistic regression)    1.0
        eGeMAPS + linear SVM                 1.0
        dtype: float64
    """
    from sklearn.dummy import DummyClassifier

    rows = corpus.rows(partition)
    if rows.empty:
        raise unknown("partition", partition, sorted(set(corpus.table["partition"])))
    measured = measurable(features)
    training = _training_rows(corpus)
    majority = DummyClassifier(strategy="most_frequent").fit(training, training["emotion"])
    fitted = {
        MAJORITY: majority.predict(rows),
        TOKENS_ONLY: fit_token_classifier(tokens, corpus).predict(tokens.loc[rows.index]),
        SVM: fit_svm(features, corpus, seed=seed).predict(measured.loc[rows.index]),
    }
    parts = [_as_predictions(rows, name, answers) for name, answers in fitted.items()]
    return pd.concat(parts, ignore_index=True)


def fit_token_classifier(
    tokens: pd.DataFrame,
    corpus: Corpus,
    *,
    complexities: Sequence[float] = TOKEN_COMPLEXITIES,
    calibrated: bool = True,
) -> Pipeline:
    r"""Logistic regression from the words alone to the emotion, its probabilities calibrated.

    Each word of each concept is an indicator; a word unseen in training is no indicator at all.
    Classes are weighted to count alike, so its probabilities are those under equal priors.

    The ridge penalty (scikit-learn's C) is the one of ``complexities`` with the least log loss on
    training speakers held out, up to five groups of them in turn. How sharp the probabilities are
    would still follow the penalty; a temperature takes this out. With :math:`q` the probabilities
    of held-out speakers, :math:`p_k \propto q_k^\beta`, and :math:`\beta \ge 0` has the least log
    loss on them (classes weighted alike, one answer more of each label, so that no label is
    impossible). Words that tell nothing of held-out speakers have :math:`\beta = 0`: all labels are
    equally probable. With one training speaker, or where without one of the groups a class has no
    utterance, C is 1 and :math:`\beta` is 1.

    Args:
        tokens: tokens, indexed as ``corpus.table``
        corpus: names the training rows and their speakers
        complexities: values of C
        calibrated: whether C and the temperature are estimated; else both are 1

    Returns:
        the fitted pipeline: ``predict`` and ``predict_log_proba`` take tokens; ``classes_`` names
        the columns of the latter

    References:
        Guo et al., "On calibration of modern neural networks" (ICML 2017), on the temperature;
        Platt, "Probabilistic outputs for support vector machines" (1999), on the added answers

    Examples:
        >>> from sercue.corpora.corpus import example_corpus
        >>> corpus = example_corpus(speakers=3, utterances=4)
        >>> tokens = pd.DataFrame({"energy": ["high", "low"] * 6}, index=corpus.table.index)
        >>> classifier = fit_token_classifier(tokens, corpus)
        >>> classifier.predict(pd.DataFrame({"energy": ["low", "high"]})).tolist()
        ['neutral', 'angry']
    """
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder
    from sklearn.utils.class_weight import compute_sample_weight

    training = _training_rows(corpus)
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    words, emotion = encoder.fit_transform(tokens.loc[training.index]), training["emotion"]
    splits = _held_out_speakers(training) if calibrated else []
    if not splits:
        return make_pipeline(encoder, _logistic(FIXED).fit(words, emotion))
    said = {c: _said_of_held_out(words, emotion, splits, c) for c in complexities}
    weight = compute_sample_weight("balanced", emotion)
    own = np.arange(len(words)), np.unique(emotion, return_inverse=True)[1]
    best = max(said, key=lambda c: float(weight @ said[c][own]))
    fitted = _logistic(best).fit(words, emotion)
    return make_pipeline(encoder, _sharpened(fitted, said[best], emotion))


def left_out_classifiers(
    classifier: Pipeline, tokens: pd.DataFrame, corpus: Corpus, groups: Sequence[Collection[str]]
) -> Iterator[LogisticRegression | None]:
    """A token classifier as it had been without some training speakers.

    Its C stays, weights and temperature are estimated again. The fits that tell of held-out
    speakers move as that of all does, to first order, as far as they have seen who is left out.

    Args:
        classifier: as ``fit_token_classifier`` returns it for these tokens and this corpus
        tokens: tokens, indexed as ``corpus.table``
        corpus: names the training rows and their speakers
        groups: the speakers to leave out, one collection after the other

    Yields:
        of each group what the last step of ``classifier`` would be, ``None`` where a class has no
        other utterance
    """
    training = _training_rows(corpus)
    encoder, whole = classifier[0], classifier[-1]
    words, emotion = encoder.transform(tokens.loc[training.index]), training["emotion"]
    splits = _held_out_speakers(training)
    said = _said_of_held_out(words, emotion, splits, whole.C) if splits else None
    plain = _logistic(whole.C).fit(words, emotion).predict_log_proba(words)
    for members in groups:
        kept = ~training["speaker"].astype(str).isin(members).to_numpy()
        if emotion[kept].nunique() < emotion.nunique():
            yield None
        elif kept.all():
            yield whole
        else:
            fitted = _logistic(whole.C / kept.mean()).fit(words[kept], emotion[kept])
            if said is not None:
                moved = fitted.predict_log_proba(words) - plain
                seen = np.zeros((len(words), 1))
                for fit, held_out in splits:
                    seen[held_out] = (~kept[fit]).mean() / (~kept).mean()
                fitted = _sharpened(fitted, (said + seen * moved)[kept], emotion[kept])
            yield fitted


def _logistic(complexity: float) -> LogisticRegression:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(
        C=complexity, class_weight="balanced", solver="newton-cholesky", tol=1e-8, max_iter=1000
    )


def _held_out_speakers(training: pd.DataFrame) -> list[tuple[np.ndarray, np.ndarray]]:
    """(rows to fit, rows held out) by groups of speakers; none if a fit would lack a class."""
    from sklearn.model_selection import GroupKFold

    emotion, speaker = training["emotion"], training["speaker"]
    if speaker.nunique() < 2:
        return []
    folds = GroupKFold(min(_GROUPS, speaker.nunique()))
    splits = list(folds.split(training, groups=speaker))
    lacking = any(emotion.iloc[fit].nunique() < emotion.nunique() for fit, _ in splits)
    return [] if lacking else splits


def _said_of_held_out(
    words: np.ndarray,
    emotion: pd.Series,
    splits: Sequence[tuple[np.ndarray, np.ndarray]],
    complexity: float,
) -> np.ndarray:
    """Log-probability of each class by fits that have not seen the row's speaker."""
    said = np.empty((len(words), emotion.nunique()))
    for fit, held_out in splits:
        # C multiplies a sum over rows; the penalty of a row is to be that of the whole fit.
        part = _logistic(complexity * len(words) / len(fit))
        fitted = part.fit(words[fit], emotion.iloc[fit])
        said[held_out] = fitted.predict_log_proba(words[held_out])
    return said


def _sharpened(
    fitted: LogisticRegression, said: np.ndarray, emotion: pd.Series
) -> LogisticRegression:
    """The same classifier at the temperature of least log loss on what was said of held-out rows.

    The derivative of the log-likelihood by beta falls, so that its zero is the only one.
    """
    from sklearn.utils.class_weight import compute_sample_weight

    rows, classes = said.shape
    weight = compute_sample_weight("balanced", emotion)
    true = np.eye(classes)[np.unique(emotion, return_inverse=True)[1]]
    target = (rows * true + 1) / (rows + classes)

    def rises(beta: float) -> float:
        return float(
            weight @ ((target - scipy.special.softmax(beta * said, axis=1)) * said).sum(axis=1)
        )

    most = 1.0
    while rises(most) > 0:
        most *= 2
    beta = scipy.optimize.brentq(rises, 0, most, xtol=1e-12) if rises(0) > 0 else 0.0
    fitted.coef_, fitted.intercept_ = beta * fitted.coef_, beta * fitted.intercept_
    return fitted


def fit_svm(features: pd.DataFrame, corpus: Corpus, *, seed: int = 0) -> ClassifierMixin:
    """Linear SVM on the functionals, its C chosen across training speakers.

    Median imputation, standardisation, ``LinearSVC`` with balanced classes. C is that of
    ``COMPLEXITIES`` with the best balanced accuracy on training speakers held out (up to five
    groups of speakers); with a single training speaker there is none to hold out and C is .01.

    Args:
        features: functionals, indexed as ``corpus.table``
        corpus: names the training rows and their speakers
        seed: of the solver

    Returns:
        the fitted classifier, whose ``predict`` takes functionals
    """
    from sklearn.impute import SimpleImputer
    from sklearn.model_selection import GridSearchCV, GroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    training = _training_rows(corpus)
    values, emotion = measurable(features).loc[training.index], training["emotion"]
    classifier = make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True),
        StandardScaler(),
        LinearSVC(C=0.01, class_weight="balanced", max_iter=20_000, random_state=seed),
    )
    speakers = training["speaker"].nunique()
    if speakers < 2:
        return classifier.fit(values, emotion)
    folds, options = GroupKFold(min(_GROUPS, speakers)), {"linearsvc__C": list(COMPLEXITIES)}
    search = GridSearchCV(classifier, options, scoring="balanced_accuracy", cv=folds)
    with warnings.catch_warnings():
        # Held-out speakers may lack a class, which is then no part of the balanced accuracy.
        warnings.filterwarnings("ignore", "y_pred contains classes not in y_true")
        return search.fit(values, emotion, groups=training["speaker"])


def label_sentences(label_words: Mapping[str, str]) -> dict[str, str]:
    """The sentence of each label that a contrastive model compares with a recording.

    Args:
        label_words: label to the words that prompts show for it

    Examples:
        >>> label_sentences({"A": "angry"})
        {'A': 'this person is feeling angry.'}
    """
    return {label: SENTENCE.format(label=words) for label, words in label_words.items()}


def zero_shot(
    similarities: pd.DataFrame, corpus: Corpus, name: str, *, partition: str = "test"
) -> pd.DataFrame:
    """Predictions of a contrastive model: the label whose sentence is most similar.

    Nothing is fitted. Of labels that are equally similar, the first is taken.

    Args:
        similarities: finite logits, indexed as the rows of the partition, one column per label
        corpus: names the truth and the speakers
        name: how tables call the model, their ``condition``
        partition: the rows to predict

    Returns:
        DataFrame shaped as that of ``baselines``, with ``p_<label>``: the softmax of the logits

    Examples:
        >>> from sercue.corpora.corpus import example_corpus
        >>> corpus = example_corpus(speakers=3, utterances=4)
        >>> rows = corpus.rows("test")
        >>> logits = pd.DataFrame(0.0, rows.index, corpus.labels).assign(angry=1.0)
        >>> table = zero_shot(logits, corpus, "CLAP (zero-shot)")
        >>> table["prediction"].unique().tolist(), table["p_angry"].round(2).unique().tolist()
        (['angry'], [0.73])
    """
    rows = corpus.rows(partition)
    logits = similarities.loc[rows.index, list(corpus.labels)]
    shares = zip(corpus.labels, scipy.special.softmax(logits.to_numpy(), axis=1).T, strict=True)
    table = _as_predictions(rows, name, logits.idxmax(axis=1).to_numpy())
    return table.assign(**{f"p_{label}": share for label, share in shares})


def _training_rows(corpus: Corpus) -> pd.DataFrame:
    rows = corpus.rows("train")
    found = sorted(set(rows["emotion"]))
    if len(found) < 2:
        raise InputError(
            f"corpus {corpus.name!r}: found {', '.join(found) or 'no class'} in the training "
            "partition; a classifier needs at least two classes"
        )
    return rows


def _as_predictions(rows: pd.DataFrame, condition: str, answers: np.ndarray) -> pd.DataFrame:
    columns = {
        "utterance": utterance_ids(rows.index),
        "speaker": rows["speaker"].astype(str).to_numpy(),
        "truth": rows["emotion"].astype(str).to_numpy(),
    }
    table = pd.DataFrame(columns)
    table = table.assign(condition=condition, replicate=0, template="", label_order=0)
    return table.assign(prediction=pd.Series(answers, dtype="str"), valid=True)
