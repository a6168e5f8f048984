"""Distances to raters, and use of tokens by their disagreement: against scipy and statsmodels."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy.spatial.distance import jensenshannon

from sercue.artifacts import Artifacts
from sercue.corpora.corpus import example_corpus, select_labels
from sercue.errors import InputError
from sercue.statistics.calibration import example_answers
from sercue.statistics.measures import LABELS
from sercue.statistics.raters import (
    MEAN,
    UNIFORM,
    _slopes_within,
    rater_distances,
    ratings,
    use_by_disagreement,
)
from sercue.study_corpus import pseudonymised

P = [f"p_{label}" for label in LABELS]
CONDITIONS = ["none", "aligned", "conflicting"]


@pytest.fixture(scope="module")
def answers():
    """Eight speakers of nine utterances in two wordings."""
    plain = example_answers(conditions=CONDITIONS, speakers=8, utterances=9)
    other = example_answers(conditions=CONDITIONS, speakers=8, utterances=9, seed=1)
    return pd.concat([plain, other.assign(template="question")], ignore_index=True)


@pytest.fixture(scope="module")
def rated(answers):
    """The same nine distributions for the utterances of each speaker, some unanimous."""
    index = pd.Index(answers["utterance"].unique(), name="utterance")
    votes = np.random.default_rng(0).multinomial(3, [0.5, 0.3, 0.2], 9) / 3
    return pd.DataFrame(np.tile(votes, (8, 1)), index, list(LABELS))


def by_hand(answers, rated, condition):
    """Mean over the utterances of each speaker of scipy's distance, row by row."""
    rows = answers[answers["condition"] == condition]
    distances = [
        jensenshannon(row[P].to_numpy(float), rated.loc[row["utterance"]], base=2)
        for _, row in rows.iterrows()
    ]
    return pd.Series(distances).groupby(rows["speaker"].to_numpy()).mean()


def test_distances_are_those_of_scipy_with_intervals_over_speakers(answers, rated):
    table = rater_distances(answers, rated).set_index("condition")
    for condition in CONDITIONS:
        speakers = by_hand(answers, rated, condition)
        fit = smf.ols("d ~ 1", pd.DataFrame({"d": speakers})).fit()
        row = table.loc[condition, ["distance", "low", "high"]].tolist()
        assert row == pytest.approx([speakers.mean(), *fit.conf_int().loc["Intercept"]])
    assert set(table["utterances"]) == {72}


def test_overconfidence_alone_makes_a_model_farther_than_the_mean_of_the_raters():
    """It is always right, and sure; the raters are nearly of two minds."""
    answers = example_answers(conditions=["none"], bias=(0, 0), labels=LABELS[:2])
    right = pd.get_dummies(answers["truth"], dtype=float)[list(LABELS[:2])].to_numpy()
    answers[P[:2]] = right
    shares = pd.DataFrame(0.4 + 0.2 * right, pd.Index(answers["utterance"]), list(LABELS[:2]))
    distance = rater_distances(answers, shares).set_index("condition")["distance"]
    assert distance["none"] == pytest.approx(jensenshannon([1, 0], [0.6, 0.4], base=2))
    assert distance[MEAN] == pytest.approx(jensenshannon([0.5, 0.5], [0.6, 0.4], base=2))
    assert distance["none"] > 5 * distance[MEAN]


def test_differences_are_paired(answers, rated):
    table = rater_distances(answers, rated).set_index("condition")
    apart = by_hand(answers, rated, "conflicting") - by_hand(answers, rated, "aligned")
    fit = smf.ols("d ~ 1", pd.DataFrame({"d": apart})).fit()
    names = ["minus_aligned", "minus_aligned_low", "minus_aligned_high"]
    assert table.loc["conflicting", names].tolist() == pytest.approx(
        [apart.mean(), *fit.conf_int().loc["Intercept"]]
    )
    assert table.loc["aligned", names].isna().all()


def test_references_answer_alike_whatever_is_said(answers, rated):
    table = rater_distances(answers, rated).set_index("condition")["distance"]
    even = [jensenshannon([1 / 3] * 3, row, base=2) for row in rated.to_numpy()]
    assert table[UNIFORM] == pytest.approx(np.mean(even))
    mean = [jensenshannon(rated.mean(), row, base=2) for row in rated.to_numpy()]
    assert table[MEAN] == pytest.approx(np.mean(mean))


def test_a_distance_is_0_of_the_same_and_1_of_what_has_nothing_in_common(answers):
    rows = answers[answers["condition"] == "none"].copy()
    rows[P] = [1.0, 0.0, 0.0]
    index = pd.Index(rows["utterance"].unique())
    same, other = (
        pd.DataFrame([shares] * len(index), index, list(LABELS))
        for shares in ([1, 0, 0], [0, 0, 1])
    )
    assert rater_distances(rows, same)["distance"].iloc[0] == 0
    assert rater_distances(rows, other)["distance"].iloc[0] == pytest.approx(1)


def effects(answers, rated):
    """Of each utterance disagreement and what tokens do, from the rows themselves."""
    rows = answers.set_index(["utterance", "template", "condition"])
    true = pd.Series([row[f"p_{row['truth']}"] for _, row in rows.iterrows()], rows.index).unstack()
    said = rows["prediction"].unstack()
    table = pd.DataFrame({
        "gain": (true["aligned"] - true["conflicting"]).groupby(level=0).mean(),
        "changed": (said["aligned"] != said["conflicting"]).groupby(level=0).mean(),
    })  # fmt: skip
    shares = rated.loc[table.index].to_numpy()
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    return table.assign(
        x=-(shares * logs).sum(axis=1) / np.log(3), speaker=table.index.str.split("_").str[0]
    )


@pytest.mark.parametrize(
    ("name", "effect"), [("gain", "probability"), ("changed", "changed answers")]
)
def test_slopes_are_those_within_speakers_and_clustered(name, effect, answers, rated):
    """Each speaker has the same disagreements: CR2 is then the sandwich times S / (S - 1)."""
    table = effects(answers, rated).astype({"changed": float})
    fit = smf.ols(f"{name} ~ x + C(speaker)", table).fit(
        cov_type="cluster",
        cov_kwds={"groups": pd.factorize(table["speaker"])[0], "use_correction": False},
    )
    row = use_by_disagreement(answers, rated).loc[effect]
    assert row["mean"] == pytest.approx(table[name].mean())
    assert row["slope"] == pytest.approx(fit.params["x"])
    se = fit.bse["x"] * np.sqrt(8 / 7)
    # t(.975, 7)
    assert row["high"] - row["slope"] == pytest.approx(2.364624 * se, rel=1e-5)
    assert (row["utterances"], row["speakers"]) == (72, 8)


def test_intervals_of_slopes_cover_with_uneven_speakers():
    """No slope, in values that correlate within speakers: 1000 samples of 4 to 30 utterances."""
    rng, missed = np.random.default_rng(0), 0
    speaker = np.repeat(np.arange(8), [4, 4, 6, 8, 10, 12, 20, 30])
    for _ in range(1000):
        x = rng.random(len(speaker))
        own = rng.normal(size=8)[speaker] + 0.5 * rng.normal(size=8)[speaker] * x
        values = own + rng.normal(size=len(speaker))
        low, high = _slopes_within(values[:, None], x, speaker).interval()
        missed += not low[0] <= 0 <= high[0]
    # Of 1000, 5 % are 50; the binomial 99.9 % limits are 28 and 74.
    assert 28 <= missed <= 74


def test_the_first_wrong_tokens_are_taken_and_lacking_ones_named(answers, rated):
    named = answers.replace({"condition": {"conflicting": "shuffled"}})
    assert set(use_by_disagreement(named, rated)["wrong tokens"]) == {"shuffled"}
    with pytest.raises(InputError, match="condition aligned and one of conflicting, counter_"):
        use_by_disagreement(answers[answers["condition"] == "none"], rated)


def test_unanimous_raters_tell_no_slope(answers, rated):
    alone = rated.assign(angry=1.0, neutral=0.0, sad=0.0)
    with pytest.raises(InputError, match="no two speakers among whose utterances raters disagree"):
        use_by_disagreement(answers, alone)
    with pytest.raises(InputError, match="of utterances of 1 speakers, need two"):
        rater_distances(answers, rated.iloc[:9])


def with_votes(*rows):
    """Four utterances of each of three speakers; the same votes for each speaker."""
    corpus = example_corpus(labels=3)
    names = [f"rated_{label}" for label in corpus.labels]
    corpus.table[names] = np.tile(rows, (3, 1))
    return corpus


def test_labels_that_a_study_drops_are_dropped_for_the_raters():
    corpus = with_votes([0.5, 0.3, 0.2], [1, 0, 0], [0, 0, 1], [np.nan] * 3)
    assert corpus.labels == ("angry", "neutral", "sad")
    rated = ratings(select_labels(corpus, ["angry", "neutral"], ["sad"]))
    assert rated.loc["s0_0.wav"].to_dict() == pytest.approx({"angry": 0.625, "neutral": 0.375})
    # Whom all raters called sad has no distribution over the rest, nor has who was not rated.
    assert not {"s0_2.wav", "s0_3.wav"} & set(rated.index)


def test_a_corpus_without_ratings_says_so():
    with pytest.raises(InputError, match=r"no label distributions of raters \(no rated_angry"):
        ratings(example_corpus())


def test_ratings_are_kept_with_the_corpus(tmp_path):
    """Stored for notebook 05, and under the pseudonyms of a corpus that may not be passed on."""
    corpus = with_votes([0.5, 0.3, 0.2], [1, 0, 0], [0, 0, 1], [np.nan] * 3)
    artifacts = Artifacts(tmp_path)
    digests = pd.Series("0", corpus.table.index)
    artifacts.save_corpus(corpus, digests, "settings", "content")
    stored, *_ = artifacts.load_corpus("settings")
    pd.testing.assert_frame_equal(ratings(stored), ratings(corpus))
    hidden = ratings(pseudonymised(corpus, b"key"))
    assert hidden.to_numpy().tolist() == ratings(corpus).to_numpy().tolist()
    assert not set(hidden.index) & set(ratings(corpus).index)
