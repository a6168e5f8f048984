"""Baselines against scikit-learn called directly, against theory, and for leaks."""

import audformat
import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from sercue.corpora.corpus import Corpus
from sercue.errors import InputError
from sercue.statistics.baselines import (
    COMPLEXITIES,
    MAJORITY,
    SVM,
    TOKENS_ONLY,
    baselines,
    chance,
    fit_svm,
    fit_token_classifier,
    left_out_classifiers,
)
from sercue.statistics.measures import measures
from sercue.statistics.resampling import bootstrap_uar

LABELS = ("angry", "neutral", "sad")


def simulated(speakers=6, utterances=30, seed=0):
    """Functionals that depend on emotion and speaker, and tokens that are noisy bins of one."""
    rng = np.random.default_rng(seed)
    count = speakers * utterances
    speaker = np.repeat(np.arange(speakers), utterances)
    emotion = rng.choice(3, size=count, p=[0.2, 0.5, 0.3])
    index = audformat.segmented_index([f"s{s}_{u}.wav" for u, s in enumerate(speaker)])
    partition = np.where(speaker < speakers - 2, "train", "test")
    partition[speaker == speakers - 2] = "dev"
    table = pd.DataFrame(
        {
            "emotion": np.array(LABELS)[emotion],
            "speaker": [f"s{s}" for s in speaker],
            "partition": partition,
        },
        index=index,
    )
    corpus = Corpus("simulated", ".", table, LABELS, "neutral", "none")
    values = rng.normal(size=(count, 8)) + 2 * np.eye(3, 8)[emotion]
    values += rng.normal(size=(speakers, 8))[speaker]
    features = pd.DataFrame(values, index=index, columns=[f"f{n}" for n in range(8)])
    words = np.array(["low", "mid", "high"])
    shown = np.where(rng.random((count, 2)) < 0.7, emotion[:, None], rng.integers(0, 3, (count, 2)))
    tokens = pd.DataFrame(words[shown], index=index, columns=["energy", "pitch"])
    return features, tokens, corpus


@pytest.fixture(scope="module")
def data():
    return simulated()


@pytest.fixture(scope="module")
def table(data):
    return baselines(*data)


def test_shape_is_that_of_predictions(table, data):
    """Measures and bootstrap must take baselines as they take a model's predictions."""
    test = data[2].rows("test")
    assert table["condition"].unique().tolist() == [MAJORITY, TOKENS_ONLY, SVM]
    assert len(table) == 3 * len(test)
    scored = measures(table, LABELS).set_index("condition")
    assert scored.loc[MAJORITY, "uar"] == pytest.approx(chance(LABELS))
    assert scored.loc[MAJORITY, "entropy"] == 0
    with pytest.raises(InputError, match="speakers: found 1"):
        bootstrap_uar(table, LABELS)


def test_majority_is_the_commonest_training_class(table, data):
    """Counted by pandas on training rows; the test rows may have another one."""
    commonest = data[2].rows("train")["emotion"].value_counts().index[0]
    assert set(table.loc[table["condition"] == MAJORITY, "prediction"]) == {commonest}


def test_informative_data_beat_chance(table):
    """Simulated tokens and functionals carry the emotion, so both classifiers must find it."""
    scored = measures(table, LABELS).set_index("condition")["uar"]
    assert scored[TOKENS_ONLY] > 0.6
    assert scored[SVM] > 0.6


def test_random_tokens_and_functionals_stay_at_chance():
    """A leak of test labels into a fit would show here: labels are unrelated to all else."""
    features, tokens, corpus = simulated(speakers=10, utterances=120)
    rng = np.random.default_rng(1)
    table = corpus.table.assign(emotion=rng.choice(LABELS, len(corpus.table)))
    blind = Corpus("blind", ".", table, LABELS, "neutral", "none")
    scored = measures(baselines(features, tokens, blind), LABELS).set_index("condition")["uar"]
    # 120 test utterances: standard error of UAR about .043, so three of them
    assert abs(scored[TOKENS_ONLY] - 1 / 3) < 0.13
    assert abs(scored[SVM] - 1 / 3) < 0.13


def test_test_rows_do_not_touch_the_fit(data, table):
    """Ruining test labels and the functionals of other rows leaves every answer as it was."""
    features, tokens, corpus = data
    ruined = corpus.table.copy()
    ruined.loc[ruined["partition"] == "test", "emotion"] = "sad"
    changed = features.copy()
    changed.loc[corpus.rows("dev").index] = 1e6
    other = baselines(changed, tokens, Corpus("x", ".", ruined, LABELS, "neutral", "none"))
    assert other["prediction"].tolist() == table["prediction"].tolist()


def test_token_probabilities_equal_weighted_maximum_likelihood():
    """One token only, hardly regularised: P(label | token) is the class-weighted share.

    Of 'high': 6 angry and 2 sad; of 'low': 2 angry and 2 sad. Angry (8) and sad (4) count alike,
    so a sad row weighs twice an angry one: P(angry | high) = 6 / (6 + 4), P(angry | low) = 2 / 6.
    The default penalty pulls towards 1/2, so the fit is checked against scikit-learn's own too.
    """
    words = ["high"] * 8 + ["low"] * 4
    emotion = ["angry"] * 6 + ["sad"] * 2 + ["angry"] * 2 + ["sad"] * 2
    index = audformat.segmented_index([f"{n}.wav" for n in range(1200)])
    table = pd.DataFrame(
        {"emotion": emotion * 100, "speaker": "s", "partition": "train"}, index=index
    )
    corpus = Corpus("x", ".", table, ("angry", "sad"), None, "none")
    tokens = pd.DataFrame({"energy": words * 100}, index=index)
    classifier = fit_token_classifier(tokens, corpus)
    shown = pd.DataFrame({"energy": ["high", "low", "unheard of"]})
    angry = np.exp(classifier.predict_log_proba(shown))[:, list(classifier.classes_).index("angry")]
    np.testing.assert_allclose(angry[:2], [0.6, 1 / 3], atol=0.01)
    indicators = np.array([[word == "high", word == "low"] for word in words * 100], dtype=float)
    direct = LogisticRegression(class_weight="balanced", tol=1e-12, max_iter=1000)
    direct.fit(indicators, emotion * 100)
    expected = direct.predict_proba([[1, 0], [0, 1], [0, 0]])[:, 0]
    np.testing.assert_allclose(angry, expected, atol=1e-5)


def test_how_sharp_token_probabilities_are_does_not_follow_the_penalty():
    """C from 100 to .01 changes the log-odds tenfold and more; the temperature takes it out."""
    _, tokens, corpus = simulated(speakers=10, utterances=60)
    shown = tokens.drop_duplicates()
    spread = {}
    for c in (100.0, 0.01):
        said = fit_token_classifier(tokens, corpus, complexities=[c]).predict_log_proba(shown)
        plain = LogisticRegression(C=c, class_weight="balanced", tol=1e-8, max_iter=1000)
        training = corpus.rows("train")
        columns = pd.get_dummies(tokens)
        plain.fit(columns.loc[training.index], training["emotion"])
        odds = plain.predict_log_proba(columns.loc[shown.index])
        spread[c] = said.std(), odds.std()
    assert spread[100.0][1] > 2.5 * spread[0.01][1]
    assert spread[100.0][0] == pytest.approx(spread[0.01][0], rel=0.15)


def test_the_temperature_has_the_least_log_loss_of_all(data):
    """Scipy and scikit-learn, by hand: held-out log-odds times beta, classes weighted alike."""
    _, tokens, corpus = data
    training = corpus.rows("train")
    columns, emotion = pd.get_dummies(tokens.loc[training.index]), training["emotion"]
    weight = 1 / emotion.map(emotion.value_counts()).to_numpy()
    model = LogisticRegression(C=0.1, class_weight="balanced", tol=1e-10, max_iter=1000)
    folds = GroupKFold(4).split(columns, groups=training["speaker"])
    odds = np.empty((len(emotion), 3))
    for fit, held_out in folds:
        part = clone(model).set_params(C=0.1 * len(emotion) / len(fit))
        part.fit(columns.iloc[fit], emotion.iloc[fit])
        odds[held_out] = part.predict_log_proba(columns.iloc[held_out])
    true = np.eye(3)[np.searchsorted(LABELS, emotion)]
    target = (true * len(true) + 1) / (len(true) + 3)

    def loss(beta):
        return -(weight[:, None] * target * log_softmax(beta * odds, axis=1)).sum()

    beta = minimize_scalar(loss, bounds=(0.01, 10), method="bounded", options={"xatol": 1e-9}).x
    assert beta != pytest.approx(1, abs=0.05)
    found = fit_token_classifier(tokens, corpus, complexities=[0.1])
    plain = model.fit(columns, emotion)
    expected = softmax(beta * plain.decision_function(columns), axis=1)
    np.testing.assert_allclose(found.predict_proba(tokens.loc[training.index]), expected, atol=1e-5)


def test_words_that_tell_nothing_leave_all_labels_equally_probable():
    """Labels drawn without a look at the words, which held-out speakers refute."""
    _, tokens, corpus = simulated(speakers=10, utterances=60, seed=3)
    said = []
    for seed in range(6):
        drawn = np.random.default_rng(seed).choice(LABELS, len(corpus.table))
        blind = Corpus("x", ".", corpus.table.assign(emotion=drawn), LABELS, None, "none")
        said.append(fit_token_classifier(tokens, blind).predict_proba(tokens))
    assert max(np.abs(p - 1 / 3).max() for p in said) < 0.15
    assert min(np.abs(p - 1 / 3).max() for p in said) == 0


def test_classifiers_without_speakers_are_refits_without_them(data):
    """Against the weights of scikit-learn on the other speakers' rows, up to their temperature."""
    _, tokens, corpus = data
    whole = fit_token_classifier(tokens, corpus)
    (found,) = left_out_classifiers(whole, tokens, corpus, [["s1", "s3"]])
    training = corpus.rows("train").query("speaker in ['s0', 's2']")
    indicators = whole[0].transform(tokens.loc[training.index])
    complexity = whole[-1].C * len(corpus.rows("train")) / len(training)
    direct = LogisticRegression(C=complexity, class_weight="balanced", tol=1e-10, max_iter=1000)
    expected = direct.fit(indicators, training["emotion"]).coef_
    ratio = found.coef_ / expected
    np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-4)
    missing = left_out_classifiers(whole, tokens, corpus, [["s0", "s1", "s2", "s3"], ["s5"]])
    assert list(missing) == [None, whole[-1]]


def test_missing_functionals_are_imputed(data):
    """Digital silence gives -inf dB and unvoiced speech gives NaN; neither may stop the SVM."""
    features, tokens, corpus = data
    holes = features.mask(np.random.default_rng(0).random(features.shape) < 0.1)
    holes.iloc[-1, 0] = -np.inf
    holes["never measured"] = np.nan
    answers = baselines(holes, tokens, corpus)
    assert answers["prediction"].notna().all()


def test_complexity_is_chosen_from_the_grid_by_speakers(data):
    """The folds of the search never split a speaker, and C comes from the grid."""
    features, _, corpus = data
    search = fit_svm(features, corpus)
    assert search.best_params_["linearsvc__C"] in COMPLEXITIES
    speakers = corpus.rows("train")["speaker"].to_numpy()
    rows = np.zeros((len(speakers), 1))
    for fitted, held_out in search.cv.split(rows, groups=speakers):
        assert not set(speakers[fitted]) & set(speakers[held_out])


def test_one_training_speaker_suffices(data):
    """With nobody to hold out there is no search, but still an SVM."""
    features, tokens, corpus = data
    table = corpus.table[corpus.table["speaker"].isin(["s0", "s5"])]
    alone = Corpus("x", ".", table, LABELS, "neutral", "none")
    answers = baselines(features.loc[table.index], tokens.loc[table.index], alone)
    assert len(answers) == 3 * 30


def test_bad_input_is_named(data):
    """An empty partition and a training partition of one class."""
    features, tokens, corpus = data
    with pytest.raises(InputError, match="unknown partition 'tset': did you mean 'test'"):
        baselines(features, tokens, corpus, partition="tset")
    one = corpus.with_table(corpus.table.query("partition == 'test' or emotion == 'sad'"))
    with pytest.raises(InputError, match="found sad in the training partition"):
        baselines(features, tokens, one)
