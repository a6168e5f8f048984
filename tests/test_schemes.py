"""Schemes of tokens: the paper's as it is described, files of one's own, edges of each sex."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from sercue.corpora.corpus import example_corpus
from sercue.errors import InputError
from sercue.features import feature_columns, functionals
from sercue.settings import Settings, settings_from
from sercue.statistics.designs import compare_binnings
from sercue.tokens.binning import Binning, fit_bins
from sercue.tokens.concepts import Category, Concept
from sercue.tokens.schemes import Scheme, read_scheme, shipped_schemes

FIVE = ["VERY_LOW", "LOW", "MID", "HIGH", "VERY_HIGH"]
BRIGHT = ["VERY_DARK", "DARK", "MID", "BRIGHT", "VERY_BRIGHT"]
# Typed from the description of arXiv 2606.07309: concepts in the order of its prompts, the
# descriptors of each with their signs, the words, and whether IEMOCAP has edges of each sex.
PAPER = {
    "ENERGY": ({"Loudness": 1}, FIVE, False),
    "PITCH": ({"F0semitoneFrom27.5Hz": 1}, FIVE, True),
    "BRIGHTNESS": (
        {"alphaRatio": 1, "hammarbergIndex": -1, "slope0-500": 1, "slope500-1500": 1},
        BRIGHT,
        False,
    ),
    "DYNAMICS": ({"spectralFlux": 1}, FIVE, False),
    "FORMANTS": ({"F1frequency": 1, "F2frequency": 1, "F3frequency": 1}, FIVE, True),
}
OPPOSITE = {
    "VERY_LOW": "VERY_HIGH", "LOW": "HIGH", "MID": "MID", "HIGH": "LOW", "VERY_HIGH": "VERY_LOW",
    "VERY_DARK": "VERY_BRIGHT", "DARK": "BRIGHT", "BRIGHT": "DARK", "VERY_BRIGHT": "VERY_DARK",
    "MODAL": "ROUGH", "ROUGH": "MODAL", "BREATHY": "PRESSED", "PRESSED": "BREATHY",
    "CREAKY": "MODAL",
}  # fmt: skip


def test_the_scheme_of_the_paper_is_as_it_is_described():
    scheme = read_scheme("paper")
    assert scheme.names == (*PAPER, "VOICE_QUALITY")
    assert scheme.standardise == "robust"
    for concept, (name, (descriptors, words, by_sex)) in zip(
        scheme.concepts, PAPER.items(), strict=False
    ):
        made_of = {c.split("(")[1].split("_sma3")[0]: sign for c, sign in concept.features.items()}
        assert made_of == descriptors, name
        assert list(concept.words.each) == words
        assert concept.by_sex is by_sex
        assert concept.words.ordered


def test_voice_quality_of_the_paper_is_nominal():
    quality = read_scheme("paper").concepts[-1]
    assert isinstance(quality, Category)
    assert quality.words.each == ("MODAL", "BREATHY", "PRESSED", "ROUGH", "CREAKY")
    assert quality.words.undrawn == ("UNVOICED",)
    assert not quality.words.ordered


def test_the_opposites_of_the_paper():
    found = {
        word: other
        for words in read_scheme("paper").words.values()
        for word, others in words.opposites.items()
        for other in others
    }
    assert found == OPPOSITE


def test_means_of_voiced_descriptors_run_over_voiced_frames():
    """openSMILE's names say which descriptors are 0 in unvoiced frames: those of "nz"."""
    columns = read_scheme("paper").columns
    means = [name for name in columns if "mean(" in name]
    assert all(name.startswith("voiced_") for name in means if "nz" in name)
    assert [n for n in means if n.startswith("mean(")] == [
        "mean(Loudness_sma3)",
        "mean(spectralFlux_sma3)",
    ]


@pytest.mark.parametrize("name", sorted(shipped_schemes()))
def test_the_functionals_of_a_scheme_are_those_of_egemaps(name):
    """Under exactly these names in opensmile's eGeMAPSv02."""
    used = {c for c in read_scheme(name).columns if not c.startswith(("mean(", "voiced_"))}
    assert used <= set(functionals().feature_names)


def voices(**z):
    """Measures of some voices, on the scale on which rules see them, all frames voiced."""
    rows = pd.DataFrame({"f0": 0.0, "jitter": 0.0, "shimmer": 0.0, "hnr": 0.0, "h1h2": 0.0} | z)
    raw = pd.DataFrame({"voiced_share": 0.6, "voiced_frames": 120.0}, rows.index)
    return rows, raw


@pytest.mark.parametrize(
    ("measures", "word"),
    [
        ({}, "MODAL"),
        ({"f0": -1, "jitter": 0.2, "h1h2": -0.2}, "CREAKY"),
        ({"f0": -1, "jitter": -0.1, "shimmer": -0.1, "h1h2": -0.2}, "MODAL"),
        ({"f0": -1, "jitter": 2, "shimmer": 2, "h1h2": -1}, "CREAKY"),
        ({"jitter": 1, "shimmer": 0.6}, "ROUGH"),
        ({"jitter": 1, "shimmer": 0.4}, "MODAL"),
        ({"h1h2": 0.8}, "BREATHY"),
        ({"hnr": -0.8}, "BREATHY"),
        ({"hnr": -0.8, "jitter": 0.2}, "MODAL"),
        ({"h1h2": -0.8}, "PRESSED"),
        ({"h1h2": -0.8, "hnr": -0.8, "jitter": 0.2}, "MODAL"),
    ],
)
def test_rules_of_voice_quality_worked_by_hand(measures, word):
    z, raw = voices(**{name: [float(value)] for name, value in measures.items()} or {"f0": [0.0]})
    assert read_scheme("paper").concepts[-1].tokens(z, raw).tolist() == [word]


def test_a_voice_that_is_hardly_voiced_is_unvoiced_and_a_missing_measure_unknown():
    z, raw = voices(jitter=[np.nan, np.nan, 0.0])
    raw["voiced_share"] = [0.05, 0.5, 0.5]
    raw["voiced_frames"] = [100.0, 100.0, 4.0]
    words = read_scheme("paper").concepts[-1].tokens(z, raw)
    assert words.tolist() == ["UNVOICED", "unknown", "UNVOICED"]


@pytest.fixture
def corpus():
    """Two women and two men to train, one of each to test; women's pitch is 12 semitones higher."""
    corpus = example_corpus(speakers=6, utterances=30)
    number = corpus.table["speaker"].str[1:].astype(int)
    corpus.table["sex"] = np.where(number % 2, "male", "female")
    corpus.table["partition"] = np.where(number < 4, "train", "test")
    return corpus


@pytest.fixture
def features(corpus):
    pitch = np.tile(np.arange(30.0), 6) + np.where(corpus.table["sex"] == "female", 120, 0)
    return pd.DataFrame({"f0": pitch, "jitter": 1.0 + pitch}, corpus.table.index)


def test_edges_of_each_sex_are_those_of_a_fit_to_that_sex(corpus, features):
    """By hand: terciles of 0 to 29 in each sex, so each sex fills its bins equally."""
    pitch = Concept("PITCH", {"f0": 1}, by_sex=True)
    binning = fit_bins(features, corpus, concepts=[pitch])
    tokens = binning.transform(features, corpus)["PITCH"]
    for _, words in tokens.groupby(corpus.table["sex"].to_numpy()):
        assert words.value_counts().to_dict() == {"low": 30, "mid": 30, "high": 30}
    pooled = fit_bins(features, corpus, concepts=[Concept("PITCH", {"f0": 1})])
    both = pooled.transform(features)["PITCH"].groupby(corpus.table["sex"].to_numpy())
    assert both.agg(lambda words: (words == "high").mean()).to_dict() == pytest.approx(
        {"female": 2 / 3, "male": 0}
    )


def test_where_the_sex_is_not_known_edges_are_pooled(corpus, features):
    pitch = [Concept("PITCH", {"f0": 1}, by_sex=True)]
    pooled = fit_bins(features, corpus, concepts=[Concept("PITCH", {"f0": 1})])
    expected = pooled.transform(features)
    without = corpus.with_table(corpus.table.drop(columns="sex"))
    found = fit_bins(features, without, concepts=pitch).transform(features, without)
    pd.testing.assert_frame_equal(found, expected)
    some = corpus.with_table(corpus.table.assign(sex=corpus.table["sex"].where(
        corpus.table["speaker"] != "s4"
    )))  # fmt: skip
    binning = fit_bins(features, some, concepts=pitch)
    rows = some.table["speaker"] == "s4"
    found = binning.transform(features, some)[rows.to_numpy()]
    pd.testing.assert_frame_equal(found, expected[rows.to_numpy()])
    with pytest.raises(InputError, match="corpus: needed for edges of each sex"):
        binning.transform(features)


def test_a_sex_with_few_training_utterances_has_the_edges_of_all(corpus, features):
    """19 women in training: quantiles of so few are rough."""
    women = (corpus.table["sex"] == "female") & (corpus.table["partition"] == "train")
    few = corpus.with_table(corpus.table.drop(index=corpus.table.index[women][19:]))
    pitch = Concept("PITCH", {"f0": 1}, by_sex=True)
    binning = fit_bins(features.loc[few.table.index], few, concepts=[pitch])
    assert list(binning.thresholds["PITCH"]) == ["", "male"]


def test_a_category_by_sex_is_relative_to_that_sex(corpus, features):
    """A woman of median pitch for a woman is neither low nor high."""
    height = Category(
        "HEIGHT", {"f0": "f0"}, {"DEEP": "f0 < -0.5", "HIGH": "f0 > 0.5"}, "MEDIUM", by_sex=True
    )
    binning = fit_bins(features, corpus, concepts=[height])
    words = binning.transform(features, corpus)["HEIGHT"].to_numpy().reshape(6, 30)
    assert (words == words[0]).all()
    assert set(words[0]) == {"DEEP", "MEDIUM", "HIGH"}
    assert words[0][15] == "MEDIUM"


def test_logarithms_of_measures_are_taken_before_standardising(corpus, features):
    """By hand: the z-score of log(1 + x)."""
    low = Category("J", {"j": "log(jitter)"}, {"BELOW": "j < -1"}, "ELSE")
    binning = fit_bins(features, corpus, concepts=[low])
    train = (corpus.table["partition"] == "train").to_numpy()
    logs = np.log(features["jitter"])
    iqr = np.subtract(*np.quantile(logs[train], [0.75, 0.25])) / 1.349
    expected = np.where((logs - logs[train].median()) / iqr < -1, "BELOW", "ELSE")
    assert binning.transform(features)["J"].tolist() == expected.tolist()
    assert 0 < (expected == "BELOW").sum() < len(expected)


def test_mean_and_standard_deviation_on_request(corpus, features):
    binning = fit_bins(features, corpus, concepts=[Concept("P", {"f0": 1})], standardise="mean")
    training = features.loc[corpus.rows("train").index, "f0"]
    expected = (features["f0"] - training.mean()) / training.std()
    np.testing.assert_allclose(binning.scores(features)["P"], expected)


def test_a_binning_with_sexes_and_categories_is_read_as_it_was_written(corpus, tmp_path):
    scheme = read_scheme("paper")
    random = np.random.default_rng(0).normal(5, 1, (180, len(scheme.columns)))
    features = pd.DataFrame(random, corpus.table.index, scheme.columns)
    binning = fit_bins(features, corpus, concepts=scheme.concepts)
    binning.save(tmp_path / "binning.json")
    again = Binning.load(tmp_path / "binning.json")
    assert again == binning
    assert list(again.thresholds["PITCH"]) == ["", "female", "male"]
    pd.testing.assert_frame_equal(
        again.transform(features, corpus), binning.transform(features, corpus)
    )


def test_the_number_of_bins_can_be_set():
    three = read_scheme("paper", bins=3)
    assert three.words["BRIGHTNESS"].each == ("DARK", "MID", "BRIGHT")
    assert three.words["VOICE_QUALITY"] == read_scheme("paper").words["VOICE_QUALITY"]
    assert three.digest != read_scheme("paper").digest


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("bins: 5", "bins: 4", "bins: 5", "bins: found 4; Input should be 3 or 5"),
        ("Loudness_sma3): 1", "Loudness_sma3): 2", "Loudness_sma3", "found 2; Input should be 1 o"),
        ("standardise: robust", "standardize: robust", "standardise: r", "did you mean 'standard"),
        ("otherwise: MODAL", "otherwise: MODEL", "VOICE_QUALITY:", "unknown word of VOICE_QUALITY"),
        ("f0 < -0.75 and", "f0 < -0.75; and", "VOICE_QUALITY:", "rule of CREAKY: found"),
        ("[VERY_LOW, LOW,", "[LOW, LOW,", "ENERGY:", "valid are 5 different ones"),
        ("    otherwise: MODAL\n", "", "VOICE_QUALITY:", "valid are either features, or measures"),
    ],
)
def test_a_file_of_ones_own_is_checked_and_the_line_named(tmp_path, old, new, line, message):
    text = read_scheme("paper").text
    (number,) = [n for n, row in enumerate(text.splitlines(), 1) if row.strip().startswith(line)
                 or (line == "Loudness_sma3" and line in row)]  # fmt: skip
    file = tmp_path / "mine.yaml"
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InputError) as error:
        read_scheme(file)
    assert f"mine.yaml, line {number}: " in str(error.value)
    assert message in str(error.value)


def test_a_file_of_ones_own_is_a_scheme(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(
        "words: {3: [quiet, normal, loud]}\nconcepts: {volume: {features: {x: 1}}}\n",
        encoding="utf-8",
    )
    scheme = read_scheme(file)
    assert scheme.name == "mine"
    assert scheme.words["volume"].each == ("quiet", "normal", "loud")
    with pytest.raises(InputError, match="bins: found 5, valid are 3"):
        read_scheme(file, bins=5)


@pytest.mark.parametrize(
    ("old", "new", "concept", "near"),
    [
        ("mean(Loudness_sma3)", "mean(Loudnes_sma3)", "ENERGY", "'mean(Loudness_sma3)'"),
        ("hnr: HNRdBACF_sma3nz_amean", "hnr: HNRdBACF_sma3nz_mean", "VOICE_QUALITY",
         "'HNRdBACF_sma3nz_amean'"),
        ("log(jitterLocal_sma3nz_amean)", "log(jitterlocal_sma3nz_amean)", "VOICE_QUALITY",
         "'jitterLocal_sma3nz_amean'"),
        ("voiced_frames < 5", "voiced_frame < 5", "VOICE_QUALITY", "'voiced_frames'"),
        ("BREATHY: h1h2 > 0.75", "BREATHY: h1_h2 > 0.75", "VOICE_QUALITY", "'h1h2'"),
    ],
    ids=["descriptor", "functional", "log", "rule", "measure"],
)  # fmt: skip
def test_a_feature_that_there_is_not_is_refused_before_anything_is_extracted(
    tmp_path, old, new, concept, near
):
    """Opening a run, and a check, begin with the settings: they know openSMILE's names."""
    text = read_scheme("paper").text
    file = tmp_path / "mine.yaml"
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    (number,) = [n for n, row in enumerate(text.splitlines(), 1) if row.strip() == f"{concept}:"]
    with pytest.raises(InputError) as error:
        settings_from({"scheme": str(file)})
    said = str(error.value)
    assert f"mine.yaml, line {number}: concepts.{concept}: found feature '" in said
    assert f"did you mean {near}" in said
    assert "valid are functionals of eGeMAPSv02" in said


@pytest.mark.parametrize("name", sorted(shipped_schemes()))
def test_the_shipped_schemes_name_features_that_there_are(name):
    assert set(read_scheme(name, columns=feature_columns()).columns) <= set(feature_columns())


def test_a_relative_path_is_looked_for_as_that_of_a_corpus(tmp_path, monkeypatch):
    """In the current folder, then in that of the project; the error names both."""
    here, project = tmp_path / "here", tmp_path / "project"
    here.mkdir()
    (project / "schemes").mkdir(parents=True)
    file = project / "schemes" / "mine.yaml"
    file.write_text("words: {3: [a, b, c]}\nconcepts: {volume: {features: {x: 1}}}\n")
    monkeypatch.chdir(here)
    monkeypatch.setattr("sercue.storage.files.project_folder", lambda: project)
    assert read_scheme("schemes/mine.yaml").names == ("volume",)
    with pytest.raises(InputError) as error:
        read_scheme("mine.yaml")
    assert str(error.value) == (
        "scheme: nothing found at 'mine.yaml' "
        f"(looked at {here / 'mine.yaml'} and {project / 'mine.yaml'})"
    )


def test_quantile_edges_ascend(corpus):
    scheme = read_scheme("paper")
    random = np.random.default_rng(1).normal(5, 1, (180, len(scheme.columns)))
    binning = fit_bins(pd.DataFrame(random, corpus.table.index, scheme.columns), corpus)
    for groups in binning.thresholds.values():
        for edges in groups.values():
            assert len(edges) == 4
            assert all(a < b for a, b in pairwise(edges))


@pytest.mark.parametrize(
    "rule", ["(x > 1", "x = 1", "x.real > 0", "x ** 2 > 1", "x >", "x + 1 > 'a'"]
)
def test_a_rule_that_is_none_is_refused_as_the_scheme_is_read(rule):
    with pytest.raises(InputError, match="rule of HIGH"):
        Category("HEIGHT", {"x": "f0"}, {"HIGH": rule}, "ELSE")


def test_a_few_measured_women_have_no_scale_of_their_own(corpus, features):
    """Forty rows of women, two of them measured: the scale of all is used, and none is unknown."""
    women = (corpus.table["sex"] == "female") & (corpus.table["partition"] == "train")
    features.loc[features.index[women][2:], "f0"] = np.nan
    height = Category("HEIGHT", {"f0": "f0"}, {"HIGH": "f0 > 0.5"}, "ELSE", by_sex=True)
    assert list(fit_bins(features, corpus, concepts=[height]).locations) == ["", "male"]


def test_a_scheme_that_is_edited_is_another_and_what_was_read_stays(tmp_path):
    """A study that is running bears the scheme that it began with."""
    file = tmp_path / "mine.yaml"
    file.write_text("words: {3: [a, b, c]}\nconcepts: {volume: {features: {voiced_share: 1}}}\n")
    before = Settings(scheme=str(file), conditions=["none", "aligned"])
    first = before.fingerprint()
    file.write_text(file.read_text().replace("share: 1", "share: -1"))
    assert before.fingerprint() == first
    assert Settings(scheme=str(file), conditions=["none", "aligned"]).fingerprint() != first


def test_a_scheme_has_an_ordinal_concept(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(
        "words: {3: [a, b, c]}\n"
        "concepts: {v: {measures: {x: f0}, rules: {HIGH: x > 1}, otherwise: ELSE}}\n"
    )
    with pytest.raises(InputError, match="valid is at least one ordinal concept"):
        read_scheme(file)


def test_words_for_three_bins_alone_are_compared_with_three(corpus, features):
    mine = Scheme("mine", (Concept("PITCH", {"f0": 1}, scales={3: ("a", "b", "c")}),))
    table = compare_binnings(features, corpus, scheme=mine, centres=[None], methods=["quantile"])
    assert table.index.tolist() == ["3 quantile"]
