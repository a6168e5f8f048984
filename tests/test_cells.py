"""What the notebooks show: all that a study has conditions for, and else why not."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from cells import execute

from sercue.corpora.corpus import example_corpus
from sercue.errors import InputError, ServerError, StorageError, or_none
from sercue.run import Run
from sercue.settings import Settings
from sercue.statistics.calibration import example_answers
from sercue.statistics.measures import LABELS, example_predictions
from sercue.tables.conclusions import conclusions
from sercue.tables.exhibits import if_possible
from sercue.tokens.schemes import read_scheme

RATED_LABELS = [f"rated_{label}" for label in LABELS]
NOT = "Not available in this study: "
ALL = {
    "none": 0.5, "aligned": 0.75, "shuffled": 0.5, "shuffled_within_class": 0.6,
    "masked(1)": 0.55, "corrupted(0.25)": 0.7, "corrupted(0.5)": 0.6, "corrupted(1)": 0.45,
}  # fmt: skip
TESTED = {"contrasts", "speakers", "mcnemar", "collapse", "dose_trend", "spearman", "within_class",
          "shift", "neutral_shift", "wordings", "components", "gain_by_template",
          "presence"}  # fmt: skip

# The study that has all exhibits is the one whose files are looked for.
unsaved = pytest.mark.usefixtures("figures_unsaved")


def answered(accuracy, folder, **keys):
    """A run whose answers are simulated, without probabilities; all that follows is computed."""
    predictions = example_predictions(accuracy, speakers=10, utterances=12)
    if "aligned" in accuracy:
        # The same answers in another wording: its variance is nothing.
        second = predictions.assign(template="question")
        predictions = pd.concat([predictions, second], ignore_index=True)
    settings = Settings(
        conditions=list(accuracy), resamples=200, out=str(folder), decoding="generate", **keys
    )
    run = Run(settings)
    corpus = replace(example_corpus(), labels=tuple(LABELS))
    floors = {"baselines": predictions[predictions["condition"] == "none"]}
    run.__dict__.update(predictions=predictions, corpus=corpus, content="made", **floors)
    return run


def featured(folder, *, speakers, utterances, training):
    """A run on random functionals, with so many of the speakers to train."""
    corpus = example_corpus(speakers, utterances)
    numbers = corpus.table["speaker"].str[1:].astype(int)
    corpus.table["partition"] = np.where(numbers < training, "train", "test")
    # Of one utterance per speaker, all speakers together have each class.
    corpus.table["emotion"] = np.resize(["angry", "neutral"], len(corpus.table))
    names = list(dict.fromkeys([*read_scheme().columns, *read_scheme("sercue").columns]))
    random = np.random.default_rng(0).normal(size=(len(corpus.table), len(names)))
    features = pd.DataFrame(random, corpus.table.index, names)
    run = Run(Settings(out=str(folder)))
    run.__dict__.update(corpus=corpus, measured=features, content="made")
    return run


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    run = answered(ALL, tmp_path_factory.mktemp("full"))
    return run, execute("05", run)


def test_a_full_study_gets_every_table(full):
    """All but what needs probabilities of labels, controls and conditions on concepts."""
    _, shown = full
    assert set(shown.tables) == TESTED
    assert all(len(table.data) for table in shown.tables.values())
    assert len(shown.missing) == 9
    assert f"{NOT}corpus 'example' has no label distributions of raters (no " in "".join(
        shown.missing
    )
    assert shown.missing[0] == (
        f"{NOT}Generated answers tell no probabilities of labels, which reliance needs."
    )


@unsaved
def test_controls_of_form_are_compared_with_aligned_and_uninformative_tokens(tmp_path):
    """Each form against each; no contrast of them is in the planned family."""
    names = {"none": 0.5, "aligned": 0.75, "masked(1)": 0.5, "constant": 0.5, "prose": 0.75,
             "framed": 0.6}  # fmt: skip
    run = answered(names, tmp_path)
    table = execute("05", run).tables["format_controls"].data.reset_index()
    pairs = table[["condition", "reference"]].to_numpy().tolist()
    references = ["aligned", "masked(1)", "constant"]
    assert pairs == [[form, other] for form in ("prose", "framed") for other in references]
    uar = run.intervals.set_index("condition")["uar"]
    assert table["difference"].tolist() == pytest.approx(
        [uar[form] - uar[other] for form, other in pairs]
    )
    assert not set(map(tuple, pairs)) & set(run.contrasts)


def test_each_exhibit_is_saved_for_a_paper(full):
    run, shown = full
    for name, table in shown.tables.items():
        csv = pd.read_csv(run.folder / "tables" / f"{name}.csv")
        assert len(csv) == len(table.data)
        assert (run.folder / "tables" / f"{name}.tex").is_file()
    for name in shown.figures:
        assert (run.folder / "figures" / f"{name}.svg").is_file()
        assert (run.folder / "figures" / f"{name}.pdf").is_file()


def test_a_table_is_printed_with_intervals_and_words(full):
    _, shown = full
    contrasts, first = shown.tables["contrasts"].shown, full[0].tests.iloc[0]
    assert contrasts.columns.tolist() == [
        "difference", "p (corrected)", "test", "p (TOST, corrected)", "MDE", "verdict",
    ]  # fmt: skip
    assert contrasts.index[0] == "aligned − none"
    ends = "{difference:+.3f} [{low:+.3f}, {high:+.3f}]".format(**first)
    assert contrasts["difference"].iloc[0] == ends.replace("-", "−").replace("0.", ".")
    assert set(contrasts["test"]) <= {"sign flips", "t test"}
    assert "collapse ruled out" in shown.tables["collapse"].shown


def test_both_tests_stand_side_by_side(full):
    """Over speakers and over independent utterances, each corrected."""
    shown = full[1].tables["mcnemar"].shown
    assert {"p (McNemar)", "p (independent)", "p (independent, Holm)", "p (corrected)"} < {*shown}
    assert len(shown) == len(full[0].tests)


def test_one_table_holds_all_that_is_known_of_a_contrast(full):
    """Each column is that of the table it comes from, and the file has all of them."""
    run, shown = full
    table = shown.tables["contrasts"].data.reset_index()
    assert set(run.tests.columns) < set(table)
    assert table["detectable_holm"].tolist() == run.detectable["detectable_holm"].tolist()
    assert table["equivalence_holm_p"].tolist() == run.equivalence["holm_p"].tolist()
    different = table["verdict"].str.startswith("different")
    assert different.tolist() == (run.tests["holm_p"] < 0.05).tolist()


def test_points_of_speakers_have_the_means_that_are_tested(full):
    run, shown = full
    table = shown.tables["speakers"].data
    assert len(table) == 10
    uar = run.measures.set_index("condition")["uar"]
    for name, points in table.items():
        assert points.mean() == pytest.approx(uar[name])


def test_tables_that_repeat_a_figure_are_folded(full):
    tables = full[1].tables
    folded = {"speakers", "wordings", "neutral_shift", "components", "gain_by_template"}
    assert all(tables[name].folded for name in folded)
    assert not tables["contrasts"].folded


def test_tokens_within_the_class_stand_between_own_ones_and_any(full):
    """The two differences bridge the way from shuffled to aligned, which is a planned contrast."""
    run, shown = full
    own, drawn = shown.tables["within_class"].data["difference"]
    tests = run.tests.set_index(["condition", "reference"])["difference"]
    assert own + drawn == pytest.approx(-tests["shuffled", "aligned"])


def test_presence_and_content_are_the_gain(full):
    run, shown = full
    table = shown.tables["presence"].data["difference"].groupby("part").first()
    gain = run.tests.query("condition == 'aligned' and reference == 'none'")["difference"].item()
    assert table["presence"] + table["content"] == pytest.approx(gain)


def test_deviations_by_factor_are_those_of_their_variances(full):
    run, shown = full
    table = shown.tables["components"]
    assert table.shown.columns.tolist() == ["template", "speaker", "interactions"]
    sd = run.components.set_index(["condition", "component"])["sd"]
    assert float(table.shown.loc["none", "speaker"]) == pytest.approx(
        sd["none", "speaker"], abs=0.0006
    )


@unsaved
def test_a_study_that_lacks_conditions_says_which(tmp_path):
    few = answered({"none": 0.5, "shuffled": 0.4}, tmp_path)
    shown = execute("05", few)
    assert set(shown.tables) == {"contrasts", "speakers", "mcnemar", "shift", "neutral_shift"}
    told = "\n".join(shown.missing)
    for words in ("needs the conditions aligned, and this study has no aligned",
                  "dose trend: found no two doses", "no aligned, shuffled_within_class",
                  "it needs two wordings, and this study has plain",
                  "need two of template, label_order", "needs the conditions none, aligned",
                  "no condition is about single concepts", "need every subset",
                  "no other audio under which none and aligned were both asked",
                  "this study has no aligned, no aligned @ swapped, no column audio",
                  "need the contrast masked(1) against none"):  # fmt: skip
        assert words in told


@unsaved
def test_a_study_without_doses_or_neutral_says_so(tmp_path):
    run = answered({"none": 0.5, "aligned": 0.7}, tmp_path, controls=False)
    answers = run.predictions.assign(audio="same", heard="own")
    run.__dict__.update(predictions=answers, corpus=replace(run.corpus, neutral_label=None))
    shown = execute("04", run)
    doses, crossed, followed, neutral, prior, calibration, changed, controls = shown.missing
    assert doses.startswith(f"{NOT}intervals: none with a dose")
    assert crossed.startswith(f"{NOT}this study has no other audio")
    assert followed.startswith(f"{NOT}no heard_class")
    assert "conflicting" in changed
    assert neutral == (
        f"{NOT}corpus 'example' names no neutral class among its labels angry, neutral, sad, and "
        "a shift towards neutral needs one."
    )
    generated = f"{NOT}Generated answers tell no probabilities of labels, which"
    assert prior == f"{generated} a label prior needs."
    assert calibration == f"{generated} calibration needs."
    assert controls == f"{NOT}This study asks for no control models (controls: false)."
    assert {"uar", "recall", "answers"} <= set(shown.tables)


def crossed(folder):
    """A run with silent and swapped audio, whose answers follow the tokens in two of three."""
    heard = {"own": (0.6, 0.8), "silent": (1 / 3, 0.6), "swapped": (0.2, 0.5)}
    names = {
        f"{tokens}{'' if audio == 'own' else f' @ {audio}'}": right
        for audio, both in heard.items()
        for tokens, right in zip(("none", "aligned"), both, strict=True)
    }
    run = answered(names | {"conflicting": 0.3}, folder, controls=False)
    rows = run.predictions
    other = dict(zip(LABELS, [*LABELS[1:], LABELS[0]], strict=True))
    swapped, silent = (
        rows["condition"].str.endswith(f"@ {name}") for name in ("swapped", "silent")
    )
    sound = rows["truth"].where(~swapped, rows["truth"].map(other)).mask(silent)
    read = rows["truth"].where(rows["condition"].str.startswith("aligned"))
    tokens = read.notna() | (rows["condition"] == "conflicting")
    # The next utterance of a speaker is of the next class, and heard in the place of the last.
    order = dict(
        zip(rows["utterance"].unique(), np.roll(rows["utterance"].unique(), -1), strict=True)
    )
    audio = rows["utterance"].where(~swapped, rows["utterance"].map(order)).mask(silent, "silence")
    rows = rows.assign(heard_class=sound, tokens_class=read, audio=audio, heard="own")
    rows["heard"] = rows["condition"].str.partition(" @ ")[2].replace("", "own")
    run.__dict__["predictions"] = rows.assign(shown_ENERGY=rows["truth"].where(tokens))
    return run


def test_a_study_with_raters_says_how_to_read_the_distance_to_them(tmp_path):
    """Another one has a sentence that says why it has no such table."""
    answers = example_answers(conditions=("none", "aligned", "conflicting"), speakers=6)
    run = Run(Settings(conditions=["none", "aligned", "conflicting"], out=str(tmp_path)))
    corpus = example_corpus(6, answers["utterance"].nunique() // 6)
    table = corpus.table.assign(partition="test", **dict.fromkeys(RATED_LABELS, 1 / len(LABELS)))
    run.__dict__.update(
        predictions=answers, corpus=replace(corpus, table=table, labels=tuple(LABELS)),
        content="made", baselines=answers.head(0),
    )  # fmt: skip
    shown = execute("05", run)
    assert "raters" in shown.tables
    told = "".join(str(getattr(result, "data", "")) for result in shown.results)
    assert "no better a guess of their distribution" in told


@unsaved
def test_a_study_with_other_audio_gets_its_factorial(tmp_path):
    """UAR without the swapped audio, what answers follow, and which of them change."""
    run = crossed(tmp_path)
    fourth, fifth = execute("04", run), execute("05", run)
    assert {"factorial", "followed"} <= set(fourth.figures)
    table = fourth.tables["factorial"].data
    uar = run.measures.set_index("condition")["uar"]
    assert table.loc[("silent", "aligned"), "uar"] == uar["aligned @ silent"]
    assert set(table.index.get_level_values("heard")) == {"own", "silent"}
    followed = fourth.tables["followed"].data.loc["aligned @ swapped", "share"]
    rows = run.predictions.query("condition == 'aligned @ swapped'")
    assert followed["tokens"] == pytest.approx((rows["prediction"] == rows["truth"]).mean())
    assert {"transitions", "changes_by_token"} <= set(fourth.tables)
    effects = fifth.tables["audio_effects"].data["difference"]
    expected = uar["none"] - uar["none @ silent"]
    assert effects["silent", "loss without tokens"] == pytest.approx(expected)
    assert {"follow", "reliances"} <= set(fifth.tables)
    assert fifth.tables["reliances"].data.index.tolist() == ["follow ratio"]
    # The summary tells them, too.
    said = "\n".join(conclusions(run))
    assert "**Conflict of audio and tokens.** " in said
    assert "Where audio and tokens are of different classes (aligned @ swapped), " in said
    assert "Silent audio in place of the own, in UAR: loss without tokens " in said


@pytest.mark.parametrize(("margin", "expected"), [(0.99, True), (0.001, False)])
def test_equivalence_is_decided_by_the_margin_of_the_study(margin, expected, tmp_path):
    """Within ±0.99 nearly everything is equal; within ±0.001 nothing is."""
    run = answered(ALL, tmp_path, margin=margin)
    assert (run.equivalence["equivalent"] == expected).all()


def test_a_difference_that_cannot_be_is_a_dash(tmp_path):
    """No two UAR are further apart than 1; the file keeps what was computed."""
    run = answered({"none": 0.5, "aligned": 0.9, "shuffled": 0.3}, tmp_path)
    run.__dict__["tests"] = run.tests.assign(se=0.6)
    table = execute("05", run).tables["contrasts"]
    assert (table.data["detectable_holm"] > 1).all()
    assert "MDE" not in table.shown or set(table.shown["MDE"]) == {"–"}


@unsaved
def test_conditions_about_concepts_are_no_part_of_the_family(tmp_path):
    """They are in their own tables, with their own correction."""
    run = answered(ALL | {"only(PITCH)": 0.6, "flip(PITCH)": 0.3}, tmp_path)
    pairs = len(run.equivalence)
    assert pairs == len(run.tests) == 1 + 2 * (len(ALL) - 2)
    assert set(run.concept_effects["condition"]) == {"only(PITCH)", "flip(PITCH)"}
    assert "only(PITCH)" not in run.collapse["condition"].tolist()


@unsaved
def test_with_one_utterance_per_speaker_all_else_is_shown(tmp_path):
    """Centred by speaker, each functional is its own median: nothing is left of it."""
    run = featured(tmp_path, speakers=24, utterances=1, training=12)
    shown = execute("02", run)
    assert shown.missing == []
    assert {"stability", "designs"} <= set(shown.figures)
    assert {"stability", "designs", "own_design"} <= set(shown.tables)
    assert run.designs["centre"].tolist() == ["none"] * 6
    assert list(run.designs.attrs["left_out"]) == [
        f"{bins} {method}, centred by speaker"
        for bins in (5, 3)
        for method in ("quantile", "width")
    ]
    caption = shown.tables["designs"].caption
    assert "Left out: 5 quantile, centred by speaker, " in caption
    assert caption.count("its features do not vary there") == 1


@unsaved
def test_of_a_single_training_speaker_nobody_can_be_left_out(tmp_path):
    run = featured(tmp_path, speakers=4, utterances=12, training=1)
    shown = execute("02", run)
    said = f"{NOT}corpus 'example': found 1 training speakers, need 2."
    assert shown.missing == [said] * 2
    own = shown.tables["own_design"]
    assert np.isnan(own.data["agreement"].item())
    assert own.data["tokens_uar"].notna().all()


@unsaved
def test_training_speakers_of_one_class_are_no_end(tmp_path):
    """With either of two held out, scikit-learn has one class to learn from."""
    run = featured(tmp_path, speakers=4, utterances=12, training=2)
    run.corpus.table["emotion"] = np.where(run.corpus.table["speaker"] == "s0", "angry", "neutral")
    shown = execute("02", run)
    assert "designs" not in shown.tables
    assert any(text.startswith(NOT) for text in shown.missing)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (InputError("found 1 speaker, need 2"), "found 1 speaker, need 2"),
        (KeyError("x"), "KeyError: 'x'"),
        (ZeroDivisionError("by zero"), "ZeroDivisionError: by zero"),
    ],
)
def test_whatever_is_raised_beside_the_main_line_becomes_a_sentence(error, said, capsys):
    def fail():
        raise error

    with if_possible():
        fail()
    assert capsys.readouterr().out.strip() == f"{NOT}{said}."
    assert or_none(fail) is None


@pytest.mark.parametrize("error", [StorageError("full"), ServerError("gone"), MemoryError()])
def test_a_disk_or_server_that_fails_still_ends_the_notebook(error):
    def fail():
        raise error

    with pytest.raises(type(error)), if_possible():
        fail()
    with pytest.raises(type(error)):
        or_none(fail)
