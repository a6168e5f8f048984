"""Concepts and bins: thresholds from training rows alone, checked by hand and against scipy."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sercue.corpora.corpus import example_corpus
from sercue.errors import InputError
from sercue.tokens.binning import Binning, fit_bins
from sercue.tokens.concepts import Concept, measurable
from sercue.tokens.schemes import read_scheme

F0 = "F0semitoneFrom27.5Hz_sma3nz_percentile50.0"
CONCEPTS = read_scheme("sercue").concepts
FUNCTIONALS = sorted({name for concept in CONCEPTS for name in concept.features})
ONE = [Concept("energy", {"loudness": 1})]


def corpus_with(speakers=6, utterances=30):
    corpus = example_corpus(speakers=speakers, utterances=utterances)
    half = corpus.table["speaker"].isin([f"s{i}" for i in range(speakers // 2)])
    corpus.table["partition"] = np.where(half, "train", "test")
    return corpus


def random_features(corpus, seed=0):
    values = np.random.default_rng(seed).normal(10, 3, (len(corpus.table), len(FUNCTIONALS)))
    return pd.DataFrame(values, corpus.table.index, FUNCTIONALS)


def test_scores_are_means_of_signed_robust_z_scores():
    """Against scipy's median_abs-free arithmetic: median and IQR / 1.349 of the training rows."""
    corpus = corpus_with()
    features = random_features(corpus)
    scores = fit_bins(features, corpus, concepts=CONCEPTS).scores(features)
    train = (corpus.table["partition"] == "train").to_numpy()
    for concept in CONCEPTS:
        z = [
            sign
            * (features[name] - np.median(features.loc[train, name]))
            / stats.iqr(features.loc[train, name], scale="normal")
            for name, sign in concept.features.items()
        ]
        # scipy divides by 1.34897950..., the concepts by 1.349.
        np.testing.assert_allclose(scores[concept.name], np.mean(z, axis=0), rtol=1e-4, atol=1e-4)


def test_tertiles_fill_the_training_bins_equally():
    corpus = corpus_with()
    features = random_features(corpus)
    tokens = fit_bins(features, corpus, concepts=CONCEPTS).transform(features)
    counts = tokens[corpus.table["partition"] == "train"].apply(pd.Series.value_counts)
    assert (counts == 30).all().all()


def test_thresholds_never_see_test_rows():
    """Changing every test row, however wildly, must change nothing that was fitted."""
    corpus = corpus_with()
    features = random_features(corpus)
    wild = features.copy()
    wild[corpus.table["partition"] == "test"] *= 1000
    first, second = (fit_bins(f, corpus, concepts=CONCEPTS) for f in (features, wild))
    assert first == second


@given(st.floats(0.1, 50), st.floats(-100, 100))
def test_tokens_do_not_depend_on_the_unit(scale, shift):
    corpus = corpus_with()
    features = random_features(corpus)[["loudness_sma3_amean"]]
    concept = [Concept("energy", {"loudness_sma3_amean": 1})]
    first = fit_bins(features, corpus, concepts=concept).transform(features)
    moved = features * scale + shift
    second = fit_bins(moved, corpus, concepts=concept).transform(moved)
    # Rounding may move a value across a threshold that it lies on.
    assert (first != second).to_numpy().sum() <= 2


def test_a_score_on_a_threshold_falls_into_the_upper_bin():
    """Of -1, 0, 1 the median is 0, and so is its score: one edge lies there, another far above."""
    corpus = example_corpus(speakers=2, utterances=3)
    corpus.table["partition"] = "train"
    features = pd.DataFrame({"loudness": [-1.0, 0.0, 1.0] * 2}, corpus.table.index)
    edges = {"energy": (0.0, 9.0)}
    binning = fit_bins(features, corpus, concepts=ONE, method="thresholds", thresholds=edges)
    assert binning.transform(features)["energy"].tolist() == ["low", "mid", "mid"] * 2


def test_a_negative_sign_mirrors_the_tokens():
    corpus = corpus_with()
    features = random_features(corpus).rename(columns={"loudness_sma3_amean": "loudness"})
    up = fit_bins(features, corpus, concepts=ONE).transform(features)["energy"]
    down = fit_bins(features, corpus, concepts=[Concept("energy", {"loudness": -1})])
    mirrored = down.transform(features)["energy"].map({"low": "high", "mid": "mid", "high": "low"})
    assert (up == mirrored).mean() > 0.98


def test_bins_of_equal_width_and_of_the_users_own():
    """By hand: scores of 0..100 have median 50 and IQR 50."""
    corpus = example_corpus(speakers=3, utterances=101)
    features = pd.DataFrame({"loudness": np.tile(np.arange(101.0), 3)}, corpus.table.index)
    width = fit_bins(features, corpus, bins=5, method="width", concepts=ONE)
    edges = (np.array([20.6, 40.2, 59.8, 79.4]) - 50) / (50 / 1.349)
    np.testing.assert_allclose(width.thresholds["energy"][""], edges)
    own = fit_bins(
        features, corpus, method="thresholds", thresholds={"energy": [-1, 1]}, concepts=ONE
    )
    assert own.transform(features)["energy"].iloc[[0, 50, 100]].tolist() == ["low", "mid", "high"]


def test_what_cannot_be_measured_is_unknown_and_never_low():
    """openSMILE writes zeros where no frame is voiced; they must not read as the lowest pitch."""
    corpus = corpus_with()
    features = random_features(corpus)
    features.loc[features.index[0], [c for c in FUNCTIONALS if c.startswith("F0")]] = 0.0
    features.loc[features.index[1], "equivalentSoundLevel_dBp"] = -np.inf
    tokens = fit_bins(features, corpus, concepts=CONCEPTS).transform(features)
    unknown = tokens.columns[tokens.iloc[0] == "unknown"].tolist()
    assert unknown == ["pitch", "dynamics", "brightness", "formants", "voice quality"]
    assert tokens.columns[tokens.iloc[1] == "unknown"].tolist() == ["energy"]
    assert (
        measurable(features).iloc[0]["loudness_sma3_amean"]
        == features.iloc[0].iloc[FUNCTIONALS.index("loudness_sma3_amean")]
    )


def test_centring_takes_each_speakers_median_off():
    """Speakers who differ by a constant only must get the same tokens."""
    corpus = example_corpus(speakers=3, utterances=9)
    base = np.tile(np.arange(9.0), 3)
    features = pd.DataFrame({"loudness": base + np.repeat([0, 100, -50], 9)}, corpus.table.index)
    binning = fit_bins(features, corpus, centre="speaker", concepts=ONE)
    tokens = binning.transform(features, corpus)["energy"].to_numpy().reshape(3, 9)
    assert (tokens == tokens[0]).all()
    with pytest.raises(InputError, match="corpus: needed to centre by 'speaker'"):
        binning.transform(features)
    # Of some utterances alone, the medians are still those of all.
    few = features.iloc[[0, 13, 26]]
    shown = binning.transform(few, corpus, centred_on=features)
    assert shown.equals(binning.transform(features, corpus).loc[few.index])
    assert not shown.equals(binning.transform(few, corpus))


def test_a_saved_binning_gives_the_same_tokens(tmp_path):
    corpus = corpus_with()
    features = random_features(corpus)
    binning = fit_bins(features, corpus, concepts=CONCEPTS, bins=5)
    binning.save(tmp_path / "binning.json")
    again = Binning.load(tmp_path / "binning.json")
    assert again == binning
    pd.testing.assert_frame_equal(again.transform(features), binning.transform(features))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bins": 4}, "bins: found 4, valid are 3, 5"),
        ({"method": "quantiles"}, "unknown binning method 'quantiles': did you mean 'quantile'"),
        ({"centre": "room"}, "unknown centre 'room'"),
        ({"centre": "sex"}, "does not know the sex of a speaker"),
        ({"method": "thresholds"}, "thresholds: none for concept 'energy'"),
        (
            {"method": "thresholds", "thresholds": {"energy": [1, 1]}},
            "valid are 2 ascending numbers",
        ),
        (
            {"concepts": [Concept("x", {"loudnes": 1})]},
            "no column 'loudnes', of which x is made; did you mean 'loudness'",
        ),
    ],
)
def test_a_bad_choice_is_named(options, message):
    corpus = corpus_with()
    features = random_features(corpus).rename(columns={"loudness_sma3_amean": "loudness"})
    with pytest.raises(InputError) as error:
        fit_bins(features, corpus, **({"concepts": ONE} | options))
    assert message in str(error.value)


def test_a_concept_without_variation_is_refused():
    corpus = corpus_with()
    features = pd.DataFrame({"loudness": 1.0}, corpus.table.index)
    with pytest.raises(InputError, match="concept 'energy': no training row"):
        fit_bins(features, corpus, concepts=ONE)


def test_the_concepts_are_those_of_egemaps():
    """Every functional must exist under exactly this name in opensmile's eGeMAPSv02."""
    import opensmile

    smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)
    assert len(smile.feature_names) == 88
    assert set(FUNCTIONALS) <= set(smile.feature_names)
    assert F0 in smile.feature_names
