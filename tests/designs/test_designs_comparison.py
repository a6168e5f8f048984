"""Binning designs: each number of the table from the parts it is made of, or known beforehand."""

import audformat
import numpy as np
import pandas as pd
import pytest
from scipy.stats import entropy, spearmanr
from sklearn.metrics import balanced_accuracy_score

from sercue.corpora.corpus import Corpus
from sercue.statistics.baselines import fit_token_classifier
from sercue.statistics.designs import (
    compare_binnings,
    measure_binning,
    readable_designs,
    token_information,
)
from sercue.tokens.binning import fit_bins
from sercue.tokens.concepts import Concept
from sercue.tokens.schemes import Scheme, read_scheme

LABELS = ("angry", "neutral", "sad")
TWO = [Concept("energy", {"loud": 1}), Concept("pitch", {"high": 1})]
BOTH, PITCH = Scheme("two", tuple(TWO)), Scheme("pitch", tuple(TWO[1:]))
SOME = {"bins": [3], "methods": ["quantile"]}


@pytest.fixture(scope="module")
def corpus():
    speakers = np.repeat([f"s{s}" for s in range(9)], 18)
    index = audformat.segmented_index([f"{n}.wav" for n in range(len(speakers))])
    columns = {
        "emotion": np.tile(np.repeat(LABELS, 6), 9),
        "speaker": speakers,
        "sex": np.where(np.arange(len(speakers)) // 18 % 2, "female", "male"),
        "partition": np.repeat(["train"] * 6 + ["test"] * 3, 18),
    }
    return Corpus("simulated", ".", pd.DataFrame(columns, index), LABELS, "neutral", "none")


@pytest.fixture(scope="module")
def features(corpus):
    """Loudness tells the emotion; pitch tells it too, below a speaker's offset."""
    rng = np.random.default_rng(0)
    emotion = corpus.table["emotion"].map({"angry": 2.0, "neutral": 0.0, "sad": -2.0}).to_numpy()
    offset = rng.normal(0, 6, 9)[corpus.table["speaker"].str[1:].astype(int)]
    noise = rng.normal(size=(3, len(emotion)))
    columns = {"loud": emotion + noise[0], "high": emotion + offset + noise[1], "x": noise[2]}
    return pd.DataFrame(columns, corpus.table.index)


@pytest.fixture(scope="module")
def designs(features, corpus):
    return compare_binnings(features, corpus, scheme=BOTH)


def test_every_combination_has_one_row(designs, corpus, features):
    """Two numbers of bins, two methods, three centrings; without sexes, two."""
    assert len(designs) == designs.index.nunique() == 12
    assert set(designs["centre"]) == {"none", "speaker", "sex"}
    assert designs["speakers"].eq(6).all()
    assert designs["utterances"].eq(108).all()
    without = corpus.with_table(corpus.table.drop(columns="sex"))
    few = compare_binnings(features, without, scheme=BOTH, bins=[3], methods=["width"])
    assert few.index.tolist() == ["3 width", "3 width, centred by speaker"]


def test_given_thresholds_are_a_design_too(features, corpus):
    """The user's own edges beside the fitted ones, four edges for five bins."""
    edges = {"energy": [-2, -1, 1, 2], "pitch": [-2, -1, 1, 2]}
    table = compare_binnings(
        features, corpus, scheme=BOTH, thresholds=edges, centres=[None], methods=["quantile"]
    )
    assert table.index.tolist() == ["3 quantile", "5 quantile", "5 thresholds"]


def test_labels_of_test_speakers_change_nothing(features, corpus, designs):
    """What is chosen by this table has not seen an evaluated label."""
    other = corpus.table.copy()
    tested = other["partition"] == "test"
    other.loc[tested, "emotion"] = np.random.default_rng(1).permutation(
        other["emotion"][tested].tolist()
    )
    again = compare_binnings(features, corpus.with_table(other), scheme=BOTH, **SOME)
    pd.testing.assert_frame_equal(again, designs.loc[again.index])
    assert len(again) == 3


def test_recordings_of_test_speakers_change_only_the_test_columns(features, corpus, designs):
    """Not by way of a median or a scale either."""
    louder = features.copy()
    louder[(corpus.table["partition"] == "test").to_numpy()] += 3
    again = compare_binnings(louder, corpus, scheme=BOTH, **SOME)
    before = designs.loc[again.index]
    test = [name for name in designs if name.startswith("test_")]
    pd.testing.assert_frame_equal(again.drop(columns=test), before.drop(columns=test))
    assert not np.allclose(again["test_entropy"], before["test_entropy"])


def test_the_row_of_a_partition_is_made_of_known_parts(features, corpus):
    """Each number from fit_bins, scikit-learn and scipy, for the evaluated partition."""
    found = compare_binnings(
        features, corpus, scheme=BOTH, partition="test", bins=[3], methods=["quantile"]
    ).loc["3 quantile"]
    tokens = fit_bins(features, corpus, concepts=TWO).transform(features)
    test = corpus.rows("test")
    shown = tokens.loc[test.index]
    shares = shown.apply(lambda words: words.value_counts(normalize=True)).fillna(0)
    assert found["entropy"] == pytest.approx(entropy(shares, base=3).mean())
    assert found["largest_share"] == pytest.approx(shares.max().max())
    predicted = fit_token_classifier(tokens, corpus, calibrated=False).predict(shown)
    uar = balanced_accuracy_score(test["emotion"], predicted)
    assert found["tokens_uar"] == pytest.approx(uar)
    bits = token_information(shown, corpus)["information"]
    assert found["information"] == pytest.approx(bits.mean())
    levels = shown.replace({"low": 0, "mid": 1, "high": 2}).astype(float)
    assert found["redundancy"] == pytest.approx(abs(spearmanr(levels).statistic))
    assert found["speakers"] == 3


def test_centring_helps_where_speakers_differ(features, corpus):
    """Pitch is made of a large offset of each speaker: taking it off must show in every measure."""
    options = {"bins": [3], "methods": ["quantile"], "centres": [None, "speaker"]}
    table = compare_binnings(features[["high"]], corpus, scheme=PITCH, **options)
    plain, centred = table.loc["3 quantile"], table.loc["3 quantile, centred by speaker"]
    assert centred["tokens_uar"] > plain["tokens_uar"] + 0.1
    assert centred["information"] > plain["information"] + 0.2
    assert centred["joint_information"] > plain["joint_information"] + 0.2
    assert centred["agreement"] > plain["agreement"]
    assert centred["functionals_uar"] > plain["functionals_uar"]
    gain = centred["tokens_uar"] - plain["tokens_uar"]
    assert centred["against_first"] == pytest.approx(gain)


def test_random_words_tell_nothing(corpus):
    """Noise: UAR near 1/3, corrected information near 0, the joint bound not above 0."""
    noise = np.random.default_rng(5).normal(size=(len(corpus.table), 2))
    features = pd.DataFrame(noise, corpus.table.index, ["loud", "high"])
    table = compare_binnings(features, corpus, scheme=BOTH, **SOME)
    # 108 utterances, 36 a class: four standard errors of a UAR at chance are .18.
    assert (table["tokens_uar"] - 1 / 3).abs().max() < 0.18
    assert table["information"].abs().max() < 0.05
    assert table["joint_information"].max() < 0.05


def test_cross_validated_corpora_are_measured_out_of_fold(features, corpus):
    """The tokens are those of FoldBinning; the UAR that of one classifier a fold."""
    fold = corpus.table["speaker"].str[1].astype(int) % 3
    folded = corpus.with_table(corpus.table.assign(partition="test", fold=fold.astype(str)))
    options = {"scheme": BOTH, "bins": [3], "methods": ["quantile"], "centres": [None]}
    found = compare_binnings(features, folded, **options).loc["3 quantile"]
    binning = fit_bins(features, folded, concepts=TWO)
    shares = binning.transform(features, folded).apply(lambda w: w.value_counts(normalize=True))
    assert found["entropy"] == pytest.approx(entropy(shares, base=3).mean())
    answers = []
    for name, part in binning.of_fold.items():
        view = folded.in_fold(name)
        tokens = part.transform(features, view)
        rows = view.rows("test")
        classifier = fit_token_classifier(tokens, view, calibrated=False)
        predicted = classifier.predict(tokens.loc[rows.index])
        answers.append(pd.DataFrame({"truth": rows["emotion"], "prediction": predicted}))
    both = pd.concat(answers)
    expected = balanced_accuracy_score(both["truth"], both["prediction"])
    assert found["tokens_uar"] == pytest.approx(expected)
    assert found["utterances"] == len(features)
    assert "test_entropy" not in found
    same = compare_binnings(features, folded, partition="test", **options).loc["3 quantile"]
    pd.testing.assert_series_equal(found, same)


def test_identical_fits_agree_fully(features, corpus):
    """Given thresholds on a functional whose scale is the same everywhere: nothing can move."""
    same = pd.DataFrame({"loud": np.tile(np.arange(18.0), 9)}, corpus.table.index)
    loud = Scheme("loud", (Concept("energy", {"loud": 1}),))
    table = compare_binnings(same, corpus, scheme=loud, centres=[None], bins=[3])
    assert table["agreement"].eq(1).all()
    assert table["redundancy"].isna().all()


def test_what_is_not_measured_is_unknown_and_counted(features, corpus):
    """A tenth of one of two concepts is missing: a twentieth of the words is unknown."""
    gaps = features.copy()
    rows = corpus.rows("train").index
    gaps.loc[rows[::9], "loud"] = np.nan
    found = compare_binnings(gaps, corpus, scheme=BOTH, centres=[None], bins=[3])
    assert found["unknown_share"].to_numpy() == pytest.approx(np.full(2, 12 / 216))
    assert found["largest_share"].max() < 1


def test_the_study_options_name_one_design(corpus):
    """Options as a study has them, thresholds that are not used included."""
    rng = np.random.default_rng(3)
    scheme = read_scheme("sercue", bins=5)
    values = rng.normal(size=(162, len(scheme.columns)))
    features = pd.DataFrame(values, corpus.table.index, scheme.columns)
    own = measure_binning(features, corpus, "test", scheme, method="width", centre="sex")
    assert own.index.tolist() == ["5 width, centred by sex"]
    three = read_scheme("sercue")
    options = {"method": "thresholds", "thresholds": {name: [-1.0, 1.0] for name in three.names}}
    given = measure_binning(features, corpus, "test", three, **options)
    assert given.index.tolist() == ["3 thresholds"]


def test_the_report_shows_the_numbers_of_the_table(designs):
    """Two digits, the test balance in brackets where there is one."""
    shown = readable_designs(designs)
    row = designs.iloc[3]
    expected = f"{row['entropy']:.2f} ({row['test_entropy']:.2f})".replace("0.", ".")
    assert shown["balance"].iloc[3] == expected
    assert shown.index[4] == "3 quantile, centred by speaker"
    without = readable_designs(designs.drop(columns=["test_entropy", "test_largest_share"]))
    assert without["balance"].iloc[3] == f"{row['entropy']:.2f}".replace("0.", ".")
