"""How speakers and classes are crossed, and that nothing is told of them where too few are."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_material import confounded_corpus
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

from sercue.statistics.designs import token_information
from sercue.statistics.effects import (
    Crossing,
    emotion_effects,
    pairwise_effects,
    variance_components,
)

COUNTS = st.lists(st.tuples(*[st.integers(0, 6)] * 3).filter(any), min_size=2, max_size=9).filter(
    lambda rows: np.sum(rows) > len(rows) and np.any(rows, axis=0).sum() > 1
)


@given(COUNTS)
def test_what_speakers_determine_is_the_adjusted_r_squared_of_a_regression(rows):
    """Indicators of the classes on those of the speakers, by scikit-learn."""
    counts = np.array(rows)
    speaker, emotion = (
        codes.repeat(counts.ravel()) for codes in np.indices(counts.shape).reshape(2, -1)
    )
    crossing = Crossing.of(pd.Series(speaker), pd.Series(emotion))
    of_speaker, of_class = np.eye(len(counts))[speaker], np.eye(3)[emotion]
    fitted = LinearRegression(fit_intercept=False).fit(of_speaker, of_class).predict(of_speaker)
    r_squared = r2_score(of_class, fitted, multioutput="variance_weighted")
    n, k = len(speaker), len(counts)
    assert crossing.determined == pytest.approx(1 - (1 - r_squared) * (n - 1) / (n - k), abs=1e-9)
    assert crossing.crossed == sum(sum(map(bool, row)) > 1 for row in rows)


def test_independent_speakers_determine_nothing_on_average():
    """Of 300 corpora of 10 speakers with 4 utterances each: a plain tau would be 9 / 39."""
    rng = np.random.default_rng(5)
    speaker = pd.Series(np.repeat(np.arange(10), 4))
    found = [Crossing.of(speaker, pd.Series(rng.integers(0, 3, 40))).determined for _ in range(300)]
    assert np.mean(found) == pytest.approx(0, abs=4 * np.std(found) / np.sqrt(300))


@pytest.fixture(scope="module")
def confounded():
    """Three speakers with all classes; a score that tells the speaker, and a word of it."""
    corpus = confounded_corpus(crossed=3)
    rng = np.random.default_rng(2)
    voice = pd.factorize(corpus.table["speaker"])[0]
    score = rng.normal(0, 2, 30)[voice] + rng.normal(size=len(voice))
    return corpus, pd.DataFrame({"dynamics": score}, corpus.table.index)


@pytest.mark.parametrize("compare", [variance_components, emotion_effects, pairwise_effects])
def test_no_effect_of_emotion_rests_on_three_speakers(confounded, compare):
    corpus, values = confounded
    table = compare(values, corpus)
    told = table.drop(columns=["functional", "emotion", "reference", "speakers"], errors="ignore")
    if compare is variance_components:
        told = table
    assert told.isna().all(axis=None)
    assert "speakers" not in table or table["speakers"].between(1, 3).all()


def test_the_same_speakers_with_all_classes_are_compared():
    corpus = confounded_corpus(crossed=29)
    values = pd.DataFrame({"dynamics": np.arange(400.0)}, corpus.table.index)
    for table in (variance_components(values, corpus), emotion_effects(values, corpus)):
        assert table.iloc[0, 0] > 0
    assert pairwise_effects(values, corpus)["g"].notna().all()


def test_no_token_tells_the_emotion_where_it_may_tell_the_speaker(confounded):
    """As counted it carries more than a tenth of a bit; how much is of the voice is not known."""
    corpus, values = confounded
    tokens = (values > 0).replace({True: "high", False: "low"})
    table = token_information(tokens, corpus)
    assert table["information"].isna().all()
    assert table["information_plugin"].gt(0).all()
