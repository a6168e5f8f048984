"""Figures: what is drawn is what the table says, in fixed colours, with nothing cut off.

Expected positions come from the tables (pandas), never from the drawing functions.
"""

from functools import partial

import audformat
import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

import sercue
from sercue.corpora.corpus import Corpus, select_fold
from sercue.errors import InputError
from sercue.plots.style import (
    PARTITION_COLOURS,
    condition_palette,
    label_palette,
    small_multiples,
)
from sercue.statistics.attribution import concept_effects, shapley, subset_conditions
from sercue.statistics.calibration import example_answers, reliability
from sercue.statistics.contrasts import compare, uar_intervals_by
from sercue.statistics.designs import (
    compare_binnings,
    threshold_stability,
    token_balance,
    token_information,
)
from sercue.statistics.effects import (
    emotion_effects,
    functional_clusters,
    pairwise_effects,
    redundancy,
    variance_components,
)
from sercue.statistics.equivalence import neutral_shifts, predicted_classes
from sercue.statistics.explored import wording_sensitivity
from sercue.statistics.measures import LABELS as MEASURED
from sercue.statistics.measures import confusion_matrices, example_predictions, uar_by
from sercue.statistics.reliance import example_evidence, reliance
from sercue.statistics.resampling import bootstrap_uar
from sercue.statistics.speakers import speaker_points
from sercue.tables.exhibits import describe
from sercue.tokens.binning import fit_bins
from sercue.tokens.concepts import Concept
from sercue.tokens.schemes import Scheme

LABELS = ("angry", "happy", "neutral", "sad")
NAMES = ("energy", "pitch", "dynamics", "brightness", "formants", "voice quality")
ACCURACY = {
    "none": 0.5,
    "aligned": 0.75,
    "shuffled_within_class": 0.6,
    "conflicting": 0.3,
    "corrupted(0.25)": 0.65,
    "corrupted(1)": 0.4,
}


@pytest.fixture(autouse=True)
def closed_figures():
    """Figures are kept by pyplot until closed."""
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def corpus():
    rng = np.random.default_rng(0)
    speaker = np.repeat(np.arange(6), 20)
    index = audformat.segmented_index([f"{n}.wav" for n in range(120)])
    table = pd.DataFrame(
        {
            "emotion": rng.choice(LABELS, 120),
            "speaker": [f"s{s}" for s in speaker],
            "partition": np.repeat(["train", "train", "train", "dev", "test", "test"], 20),
        },
        index=index,
    )
    return Corpus("simulated", ".", table, LABELS, "neutral", "none")


@pytest.fixture(scope="module")
def features(corpus):
    rng = np.random.default_rng(1)
    emotion = corpus.table["emotion"].map({label: n for n, label in enumerate(LABELS)}).to_numpy()
    values = rng.normal(size=(120, 6)) + emotion[:, None] * np.linspace(0, 1, 6)
    return pd.DataFrame(values, index=corpus.table.index, columns=[f"f{n}" for n in range(6)])


@pytest.fixture(scope="module")
def concepts():
    return [Concept(name, {f"f{n}": 1}) for n, name in enumerate(NAMES)]


@pytest.fixture(scope="module")
def binning(features, corpus, concepts):
    return fit_bins(features, corpus, concepts=concepts)


@pytest.fixture(scope="module")
def tokens(binning, features):
    words = binning.transform(features)
    words.iloc[::11, 1] = "unknown"
    return words


@pytest.fixture(scope="module")
def predictions():
    cells = [
        example_predictions(ACCURACY, speakers=6, utterances=20, labels=LABELS, seed=n).assign(
            template=template, label_order=order
        )
        for n, (template, order) in enumerate(
            [("plain", 0), ("plain", 1), ("long", 0), ("long", 1)]
        )
    ]
    table = pd.concat(cells, ignore_index=True)
    table.loc[::25, "prediction"] = None
    return table


@pytest.fixture(scope="module")
def intervals(predictions):
    return bootstrap_uar(predictions, LABELS, resamples=300)


@pytest.fixture(scope="module")
def contrasts(predictions):
    return compare(predictions, LABELS, resamples=300)


@pytest.fixture(scope="module")
def shifts(predictions):
    same = predictions[predictions["condition"] == "conflicting"].assign(condition="constant")
    rows = pd.concat([same, predictions], ignore_index=True)
    return neutral_shifts(rows, LABELS, "neutral")


@pytest.fixture(scope="module")
def every_figure(
    corpus, features, concepts, binning, tokens, predictions, intervals, contrasts, shifts
):
    """One function that draws each figure, by name."""
    scores = binning.scores(features)
    counts = confusion_matrices(predictions, LABELS, normalize=False)
    variance = variance_components(scores, corpus)
    pairwise = pairwise_effects(scores, corpus)
    effects = emotion_effects(scores, corpus, resamples=99)
    correlation = redundancy(features)
    clusters = functional_clusters(correlation)
    designs = compare_binnings(features, corpus, scheme=Scheme("made", tuple(concepts)), bins=[3])
    stability = threshold_stability(features, corpus, concepts=concepts)
    by = uar_by(predictions, LABELS, ["condition", "template", "label_order"])
    rested = reliance(example_evidence(1.0, 0.5), ["angry", "neutral", "sad"])
    asked = example_predictions(dict.fromkeys([*subset_conditions(), "flip(pitch)"], 0.5))
    parts = shapley(asked, MEASURED)
    single = concept_effects(asked, MEASURED)
    return {
        "plot_corpus": partial(sercue.plot_corpus, corpus),
        "plot_concepts": partial(sercue.plot_concepts, scores, corpus),
        "plot_variance": partial(
            sercue.plot_variance, variance, variance_components(features, corpus)
        ),
        "plot_effects": partial(sercue.plot_effects, pairwise),
        "plot_functional_effects": partial(sercue.plot_functional_effects, pairwise, effects),
        "plot_clusters": partial(sercue.plot_clusters, correlation, clusters),
        "plot_praat_agreement": partial(sercue.plot_praat_agreement, praat_pairs_made()),
        "plot_binnings": partial(sercue.plot_binnings, designs, "3 width"),
        "plot_redundancy": partial(sercue.plot_redundancy, redundancy(scores)),
        "plot_thresholds": partial(sercue.plot_thresholds, scores, binning, corpus),
        "plot_balance": partial(sercue.plot_balance, token_balance(tokens, corpus)),
        "plot_tokens_by_emotion": partial(
            sercue.plot_tokens_by_emotion, tokens, corpus, binning.words
        ),
        "plot_information": partial(sercue.plot_information, token_information(tokens, corpus)),
        "plot_stability": partial(sercue.plot_stability, stability),
        "plot_reliance": partial(
            sercue.plot_reliance, {"control": rested, "model": rested}, "model"
        ),
        "plot_reliance_by": partial(sercue.plot_reliance_by, rested),
        "plot_shapley": partial(sercue.plot_shapley, parts),
        "plot_concept_effects": partial(sercue.plot_concept_effects, single),
        "plot_uar": partial(sercue.plot_uar, intervals, {"chance": 0.25, "a long name" * 3: 0.5}),
        "plot_comparison": partial(sercue.plot_comparison, compared_studies(intervals)),
        "plot_contrasts": partial(sercue.plot_contrasts, contrasts),
        "plot_factorial": partial(sercue.plot_factorial, crossed_made(), 0.25),
        "plot_followed": partial(sercue.plot_followed, followed_made(), 0.25),
        "plot_audio_effects": partial(sercue.plot_audio_effects, effects_made()),
        "plot_dose_response": partial(sercue.plot_dose_response, intervals),
        "plot_neutral_shift": partial(sercue.plot_neutral_shift, shifts),
        "plot_prompt_sensitivity": partial(sercue.plot_prompt_sensitivity, by),
        "plot_calibration": partial(
            sercue.plot_calibration, reliability(example_answers(), MEASURED)
        ),
        "plot_confusions": partial(sercue.plot_confusions, counts),
        "plot_predicted_classes": partial(
            sercue.plot_predicted_classes, predicted_classes(predictions, LABELS)
        ),
        "plot_speakers": partial(
            sercue.plot_speakers, speaker_points(predictions, LABELS), contrasts
        ),
        "plot_wordings": partial(sercue.plot_wordings, uar_intervals_by(predictions, LABELS)),
    }


def crossed_made():
    """Three audio variants and three kinds of tokens, one pair of which was not asked."""
    heard, tokens = ["own", "silent", "reversed"], ["none", "aligned", "conflicting"]
    pairs = [(a, t) for a in heard for t in tokens][:-1]
    table = pd.DataFrame(pairs, columns=["heard", "tokens"])
    uar = np.linspace(0.2, 0.8, len(table))
    return table.assign(uar=uar, low=uar - 0.1, high=uar + 0.05)


def followed_made():
    """Two conditions in which audio and tokens are of different classes."""
    rows = [("shuffled", 0.5, 0.3, 0.2), ("aligned @ swapped", 0.25, 0.7, 0.05)]
    table = pd.DataFrame(rows, columns=["condition", "audio", "tokens", "neither"])
    table = table.melt("condition", var_name="follows", value_name="share")
    return table.assign(low=table["share"] - 0.05, high=table["share"] + 0.1)


def effects_made():
    """Two effects of two variants, and one that only one of them has."""
    loss = "loss without tokens"
    names = [("silent", loss), ("silent", "tokens"), ("reversed", loss), ("reversed", "tokens"),
             ("reversed", "voice")]  # fmt: skip
    table = pd.DataFrame(names, columns=["heard", "effect"])
    values = np.linspace(-0.1, 0.3, 5)
    table = table.assign(difference=values, low=values - 0.1, high=values + 0.2)
    return table.assign(holm_p=[0.01, 0.05, 0.2, 0.04, 1.0])


def praat_pairs_made():
    """Every measure, twenty utterances, with a gross error and one that Praat finds unvoiced."""
    rng = np.random.default_rng(3)
    tables = []
    for measure, level in (("F0", 30), ("F1", 500), ("F2", 1500), ("F3", 2500), ("HNR", 8)):
        praat = level * (1 + 0.1 * rng.random(20))
        smile = praat * (1 + 0.02 * rng.normal(size=20))
        smile[0] *= 1.5
        praat[1] = np.nan
        columns = {"opensmile": smile, "praat": praat, "measure": measure}
        tables.append(pd.DataFrame(columns).assign(utterance=range(20), speaker="s"))
    return pd.concat(tables, ignore_index=True)


def compared_studies(intervals):
    """A long name, a fixture of fewer conditions, and a published value."""
    keys = {"corpus": "corpus", "source": "this run", "fixture": False, "classes": 4}
    keys["partition"] = "test"
    first = intervals.assign(model="a long name of a model " * 3, study="first", **keys)
    second = intervals.iloc[1:].assign(model="m", study="second", **keys | {"fixture": True})
    third = intervals.assign(model="m", study="third", **keys)
    theirs = {"condition": ["aligned"], "uar": [0.776], "study": "published", "model": "m"}
    published = pd.DataFrame(theirs | keys | {"source": "published"})
    # Of other classes, and of another partition: these are drawn nowhere.
    others = [published.assign(classes=2), published.assign(partition="dev")]
    return pd.concat([first, second, third, published, *others], ignore_index=True)


def drawn_intervals(axes):
    """Point, ends and colours of every horizontal error bar, in drawing order."""
    found = []
    for point, _, (bar,) in (container.lines for container in axes.containers):
        ((low, y), (high, _)) = bar.get_segments()[0]
        colours = to_hex(point.get_color()), to_hex(point.get_markerfacecolor())
        found.append((y, point.get_xdata()[0], low, high, *colours))
    return pd.DataFrame(found, columns=["y", "value", "low", "high", "colour", "face"])


def tick_texts(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def test_no_figure_is_forgotten(every_figure):
    """Each public plotting function takes part in the tests that run over all of them."""
    assert set(every_figure) == {name for name in sercue.__all__ if name.startswith("plot_")}


@pytest.mark.filterwarnings("error::UserWarning")
@pytest.mark.parametrize("name", [name for name in sercue.__all__ if name.startswith("plot_")])
def test_a_plot_on_one_of_several_axes_stays_in_its_place(name, every_figure):
    """A plot in a composed figure leaves what stands beside it as it was, and uncovered."""
    whole, (left, right) = plt.subplots(1, 2, figsize=(13, 5), layout="constrained")
    right.plot([0, 1], [0, 1], label="$x^2$")
    right.set_title("mine")
    plain = right_half(whole, right)
    assert every_figure[name](ax=left) is whole
    assert right_half(whole, right) == plain
    assert len(whole.axes) > 1
    assert not [*whole.legends, *whole.texts], "drawn on the whole figure"
    others = [axes for axes in whole.axes if axes is not right]
    edge = right.get_tightbbox().x0
    for artist in [*others, *(legend for part in whole.subfigs for legend in part.legends)]:
        assert artist.get_tightbbox().x1 <= edge + 1, artist


def test_panels_need_a_place_to_stand_in(corpus):
    """Axes placed by hand have no grid to divide, and those that were replaced no figure."""
    figure = Figure()
    with pytest.raises(InputError, match="placed by hand"):
        sercue.plot_corpus(corpus, ax=figure.add_axes((0, 0, 1, 1)))
    axes = figure.subplots()
    sercue.plot_corpus(corpus, ax=axes)
    with pytest.raises(InputError, match="belong to no figure"):
        sercue.plot_corpus(corpus, ax=axes)


def test_a_composed_figure_is_described_with_the_labels_its_panels_share(every_figure):
    """They belong to a part of the figure, and its alternative text must not lose them."""
    axes = plt.figure().subplots(1, 2)
    figure = every_figure["plot_prompt_sensitivity"](ax=axes[0])
    assert describe(figure).endswith("Across: UAR. Legend: 0, 1.")


def right_half(figure, axes):
    """What stands on ``axes``: its texts, lines and ticks with their sizes, and its visibility."""
    figure.draw_without_rendering()
    written = [(text.get_text(), text.get_fontsize()) for text in axes.findobj(mpl.text.Text)]
    return written, len(axes.findobj(mpl.lines.Line2D)), axes.get_visible(), axes.axison


def test_settings_stay_as_they_were_and_no_text_is_cut_off(every_figure):
    """All visible text lies within the figure, and all figures fit a report's column.

    A notebook's own style must survive a call, and ours must not depend on it.
    """
    before = dict(mpl.rcParams)
    for name, draw in every_figure.items():
        figure = draw()
        assert dict(mpl.rcParams) == before, name
        figure.draw_without_rendering()
        renderer = figure.canvas.get_renderer()
        page = figure.bbox
        assert figure.get_figwidth() <= 8, name
        texts = set(figure.findobj(mpl.text.Text)) - set(undrawn_labels(figure))
        for text in texts:
            if not (text.get_visible() and text.get_text()):
                continue
            box = text.get_window_extent(renderer)
            inside = box.x0 >= page.x0 - 2 and box.x1 <= page.x1 + 2
            inside &= box.y0 >= page.y0 - 2 and box.y1 <= page.y1 + 2
            assert inside, f"{name}: {text.get_text()!r} at {box.extents} of {page.extents}"


def undrawn_labels(figure):
    """Tick labels beyond the limits of their axis exist but are not drawn."""
    for axes in figure.axes:
        for axis, limits in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            for tick in axis.get_major_ticks():
                if not min(limits) <= tick.get_loc() <= max(limits):
                    yield from (tick.label1, tick.label2)


def test_colours_are_fixed_and_distinct():
    """A condition keeps its colour whatever stands beside it; those of one study all differ."""
    names = ["none", "aligned", "shuffled", "shuffled_within_class", "shuffled_within_speaker"]
    names += ["conflicting", "counter_emotion", "constant"]
    names += [f"corrupted({p})" for p in (0.25, 0.5, 0.75, 1)] + [f"masked({p})" for p in (0.5, 1)]
    names += [f"{family}({name})" for family in ("only", "without", "flip") for name in NAMES]
    palette = condition_palette(names)
    assert len(set(palette.values())) == len(names)
    for name in names:
        assert condition_palette([name, "something else"])[name] == palette[name]


def test_uar_draws_the_table(intervals):
    """Points, interval ends, order, colours, marks and reference lines of the main figure."""
    axes = sercue.plot_uar(intervals, {"chance": 0.25, "SVM": 0.8}).axes[0]
    drawn = drawn_intervals(axes)
    assert drawn["y"].tolist() == list(range(len(intervals)))
    for column, expected in (("value", "uar"), ("low", "low"), ("high", "high")):
        np.testing.assert_allclose(drawn[column], intervals[expected])
    palette = condition_palette(intervals["condition"])
    assert drawn["colour"].tolist() == [palette[name] for name in intervals["condition"]]
    assert tick_texts(axes.yaxis) == [
        "none (UAR−)",
        "aligned (UAR+)",
        "shuffled_within_class",
        "conflicting",
        "corrupted(0.25)",
        "corrupted(1)",
    ]
    # first row on top
    assert axes.get_ylim()[0] > axes.get_ylim()[1]
    lines = {line.get_label(): line.get_xdata()[0] for line in axes.lines}
    assert lines["chance .250"] == 0.25
    assert lines["SVM .800"] == 0.8
    first = intervals.iloc[0]
    numbers = [f"{first[name]:.3f}".lstrip("0") for name in ("uar", "low", "high")]
    assert axes.texts[0].get_text() == "{} [{}, {}]".format(*numbers)


def test_the_factorial_draws_each_pair_in_the_place_of_its_audio():
    """Heights are UAR, colours those of the tokens, and points of one audio stand together."""
    table = crossed_made()
    axes = sercue.plot_factorial(table, 0.25).axes[0]
    assert tick_texts(axes.xaxis) == ["own", "silent", "reversed"]
    for name, colour in condition_palette(["none", "aligned", "conflicting"]).items():
        rows = table[table["tokens"] == name]
        (bars,) = [b for b in axes.containers if b.get_label() == name]
        x, y = (np.asarray(values, float) for values in bars.lines[0].get_data())
        np.testing.assert_allclose(y, rows["uar"])
        expected = rows["heard"].map({"own": 0, "silent": 1, "reversed": 2})
        np.testing.assert_array_equal(np.round(x), expected)
        assert to_hex(bars.lines[0].get_color()) == colour
        ends = [segment[:, 1] for segment in bars.lines[2][0].get_segments()]
        np.testing.assert_allclose(ends, rows[["low", "high"]])
    assert "chance .250" in [line.get_label() for line in axes.lines]


def test_what_answers_follow_is_drawn_by_shape():
    """Filled black the audio, hollow the tokens, grey neither; the first condition on top."""
    table = followed_made()
    axes = sercue.plot_followed(table, 0.25).axes[0]
    assert tick_texts(axes.yaxis) == ["shuffled", "aligned @ swapped"]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]
    for name, marker in (("audio", "o"), ("tokens", "s"), ("neither", "D")):
        rows = table[table["follows"] == name]
        (bars,) = [b for b in axes.containers if b.get_label() == name]
        x, y = (np.asarray(values, float) for values in bars.lines[0].get_data())
        np.testing.assert_allclose(x, rows["share"])
        np.testing.assert_array_equal(np.round(y), [0, 1])
        assert bars.lines[0].get_marker() == marker


def test_a_guess_among_four_classes_is_neither_of_two_in_half_of_the_cases():
    axes = sercue.plot_followed(followed_made(), 0.25).axes[0]
    lines = {line.get_label(): line.get_xdata()[0] for line in axes.lines}
    assert lines["chance of a class .250"] == 0.25
    assert lines["chance of neither .500"] == 0.5


def test_effects_of_audio_stand_by_effect_and_are_filled_when_significant():
    table = effects_made()
    axes = sercue.plot_audio_effects(table).axes[0]
    assert tick_texts(axes.yaxis) == [
        "loss without tokens: silent", "loss without tokens: reversed", "tokens: silent",
        "tokens: reversed", "voice: reversed",
    ]  # fmt: skip
    drawn = drawn_intervals(axes)
    np.testing.assert_allclose(drawn["value"], table["difference"].iloc[[0, 2, 1, 3, 4]])
    faces = [to_hex(b.lines[0].get_markerfacecolor()) != "#ffffff" for b in axes.containers]
    assert faces == [True, False, False, True, False]


def test_a_panel_a_study_draws_its_rows(intervals):
    """Rows of one study at heights that all share; theirs is hollow, on its own pair only."""
    table = compared_studies(intervals)
    panels = sercue.plot_comparison(table).axes
    assert [axes.get_title().splitlines()[0] for axes in panels] == [
        "first", "second (fixture)", "third",
    ]  # fmt: skip
    conditions = intervals["condition"].tolist()
    for axes, rows in zip(panels, [intervals, intervals.iloc[1:], intervals], strict=True):
        drawn = drawn_intervals(axes)
        assert drawn["y"].tolist() == [conditions.index(name) for name in rows["condition"]]
        for column, expected in (("value", "uar"), ("low", "low"), ("high", "high")):
            np.testing.assert_allclose(drawn[column], rows[expected])
    hollow = [
        [tuple(np.ravel(line.get_data())) for line in axes.lines if line.get_marker() == "D"]
        for axes in panels
    ]
    assert hollow == [[], [(0.776, 1)], [(0.776, 1)]]


def test_contrasts_draw_the_table(contrasts):
    """Differences with their intervals; filled where Holm's p-value is below the level."""
    contrasts = contrasts.assign(holm_p=[0.2, *contrasts["holm_p"].iloc[1:]])
    axes = sercue.plot_contrasts(contrasts).axes[0]
    drawn = drawn_intervals(axes)
    for column, expected in (("value", "difference"), ("low", "low"), ("high", "high")):
        np.testing.assert_allclose(drawn[column], contrasts[expected], atol=1e-12)
    significant = (contrasts["holm_p"] < 0.05).tolist()
    assert 0 < sum(significant) < len(significant)
    assert (drawn["face"] == drawn["colour"]).tolist() == significant
    assert tick_texts(axes.yaxis)[:2] == ["aligned − none", "shuffled_within_class − aligned"]


def test_dose_response_starts_at_aligned(intervals):
    """Aligned is p = 0; the other points stand at the p of their names, with their intervals."""
    axes = sercue.plot_dose_response(intervals).axes[0]
    table = intervals.set_index("condition")
    line = next(line for line in axes.lines if line.get_label() == "corrupted")
    names = ["aligned", "corrupted(0.25)", "corrupted(1)"]
    np.testing.assert_allclose(line.get_xdata(), [0, 0.25, 1])
    np.testing.assert_allclose(line.get_ydata(), table.loc[names, "uar"])
    for name, container in zip(names, axes.containers, strict=True):
        ((_, low), (_, high)) = container.lines[2][0].get_segments()[0]
        assert (low, high) == pytest.approx(tuple(table.loc[name, ["low", "high"]]))
    with pytest.raises(InputError, match="none with a dose"):
        sercue.plot_dose_response(intervals.head(2))


def test_neutral_shift_draws_percentage_points(shifts):
    """Intervals as the table has them, a colour per reference, filled where Holm's p is small."""
    one = shifts["condition"] == "conflicting"
    shifts = shifts.assign(holm_p=np.where(one, 0.01, 0.5))
    axes = sercue.plot_neutral_shift(shifts).axes[0]
    lines, drawn = tick_texts(axes.yaxis), drawn_intervals(axes)
    assert lines == ["none", "shuffled_within_class", "conflicting", "corrupted(0.25)",
                     "corrupted(1)", "constant"]  # fmt: skip
    colours = {"aligned": "#0173b2", "none": "#6b6b6b"}
    assert len(drawn) == len(shifts)
    for row, found in zip(shifts.to_dict("records"), drawn.to_dict("records"), strict=True):
        ends = found["value"], found["low"], found["high"]
        assert ends == pytest.approx(tuple(100 * row[x] for x in ("difference", "low", "high")))
        assert lines[round(found["y"])] == row["condition"]
        assert found["colour"] == colours[row["reference"]]
        filled = colours[row["reference"]] if row["condition"] == "conflicting" else "#ffffff"
        assert found["face"] == filled


def test_neutral_shift_marks_tokens_that_are_the_same_for_all(shifts):
    """On grey and last, and the legend says so; without such a condition there is nothing grey."""
    figure = sercue.plot_neutral_shift(shifts)
    (grey,) = figure.axes[0].patches
    assert (grey.get_y(), grey.get_height()) == (4.5, 1)
    told = [text.get_text() for text in figure.legends[0].get_texts()]
    assert told == ["relative to aligned", "relative to none", "the same tokens for all",
                    "corrected p < .05", "corrected p ≥ .05"]  # fmt: skip
    others = sercue.plot_neutral_shift(shifts[shifts["condition"] != "constant"])
    assert not others.axes[0].patches


def test_a_shift_that_is_not_known_is_not_drawn(shifts):
    """A condition without valid answers keeps its line, empty."""
    lost = shifts["condition"] == "constant"
    unknown = shifts.assign(**{x: shifts[x].mask(lost) for x in ("difference", "low", "high", "p")})
    axes = sercue.plot_neutral_shift(unknown).axes[0]
    assert len(axes.containers) == (~lost).sum()
    assert tick_texts(axes.yaxis)[-1] == "constant"


def test_prompt_sensitivity_draws_each_cell(predictions):
    """One point per template and label order, at its UAR, on the line of its template."""
    table = uar_by(predictions, LABELS, ["condition", "template", "label_order"])
    figure = sercue.plot_prompt_sensitivity(table)
    assert [axes.get_title() for axes in figure.axes][:2] == ["none", "aligned"]
    second = figure.axes[1]
    for order, line in enumerate(second.lines):
        chosen = (table["condition"] == "aligned") & (table["label_order"] == order)
        part = table[chosen]
        np.testing.assert_allclose(line.get_xdata(), part["uar"])
        np.testing.assert_array_equal(np.round(line.get_ydata()), [0, 1])
    assert tick_texts(figure.axes[0].yaxis) == ["plain", "long"]


def test_prompt_sensitivity_draws_the_intervals_that_there_are(predictions):
    table = wording_sensitivity(predictions, LABELS)
    axes = sercue.plot_prompt_sensitivity(table).axes[1]
    part = table[(table["condition"] == "aligned") & (table["label_order"] == 0)]
    drawn = [segment[:, 0] for segment in axes.collections[0].get_segments()]
    np.testing.assert_allclose(drawn, part[["low", "high"]])


def test_confusions_show_per_cent_of_the_true_class(predictions):
    """Cells are pandas' row-normalised crosstab, from counts as from shares."""
    rows = predictions[predictions["condition"] == "aligned"].fillna({"prediction": "invalid"})
    share = pd.crosstab(rows["truth"], rows["prediction"], normalize="index")
    expected = share.loc[list(LABELS), [*LABELS, "invalid"]].to_numpy()
    for normalize in (True, False):
        confusions = confusion_matrices(predictions, LABELS, normalize=normalize)
        axes = sercue.plot_confusions(confusions, ["aligned"]).axes[0]
        cells = axes.collections[0].get_array().reshape(expected.shape)
        np.testing.assert_allclose(np.asarray(cells), expected)
        written = [text.get_text() for text in axes.texts]
        assert written == [f"{100 * value:.0f}" for value in expected.ravel()]
    with pytest.raises(InputError, match="did you mean 'aligned'"):
        sercue.plot_confusions(confusions, ["alinged"])


def test_confusions_hide_an_empty_invalid_column():
    """Under scoring no answer is invalid, and an empty column would only take room."""
    confusions = confusion_matrices(example_predictions(labels=LABELS), LABELS)
    axes = sercue.plot_confusions(confusions).axes[0]
    assert axes.collections[0].get_array().size == 16


def test_predicted_classes_stand_beside_the_truth(predictions):
    """Points are pandas' shares of the valid answers, the dashed line that of the utterances."""
    figure = sercue.plot_predicted_classes(predicted_classes(predictions, LABELS), "neutral")
    valid = predictions.dropna(subset="prediction")
    expected = pd.crosstab(valid["condition"], valid["prediction"], normalize="index")
    truth = predictions["truth"].value_counts(normalize=True)
    assert [axes.get_title() for axes in figure.axes] == list(LABELS)
    for label, axes in zip(LABELS, figure.axes, strict=True):
        points, dashed = axes.lines
        shares = np.asarray(points.get_xdata(), float)
        np.testing.assert_allclose(shares, expected.loc[list(ACCURACY), label])
        assert dashed.get_xdata()[0] == pytest.approx(truth[label])
    assert tick_texts(figure.axes[0].yaxis)[:2] == ["none", "aligned"]


def test_an_estimation_plot_draws_speakers_and_what_was_tested(predictions, contrasts):
    """A line per speaker, equally large ones at their own UAR; the differences of ``compare``."""
    points = speaker_points(predictions, LABELS)
    left, right = sercue.plot_speakers(points, contrasts).axes
    shown = ["none", "aligned", "conflicting"]
    assert tick_texts(left.xaxis) == shown
    lines = [line for line in left.lines if len(line.get_xdata()) == 3]
    assert len(lines) == 6
    right_answers = predictions["prediction"] == predictions["truth"]
    recalls = right_answers.groupby([predictions[x] for x in ("speaker", "condition", "truth")])
    own = recalls.mean().groupby(["speaker", "condition"]).mean().unstack()
    np.testing.assert_allclose([line.get_ydata() for line in lines], own[shown])
    drawn = [bars.lines[0].get_ydata()[0] for bars in right.containers]
    among = contrasts["condition"].isin(shown) & contrasts["reference"].isin(shown)
    np.testing.assert_allclose(drawn, contrasts.loc[among, "difference"])
    with pytest.raises(InputError, match="found no contrast of none, conflicting"):
        sercue.plot_speakers(points, contrasts[:1], ["none", "conflicting"])
    with pytest.raises(InputError, match="did you mean 'aligned'"):
        sercue.plot_speakers(points, contrasts, ["none", "alinged"])


def test_wordings_stand_on_the_line_of_their_condition(predictions):
    """Points are the UAR of one condition with one wording, the first wording above."""
    table = uar_intervals_by(predictions, LABELS)
    axes = sercue.plot_wordings(table).axes[0]
    names = tick_texts(axes.yaxis)
    drawn = {(names[round(y)], round(x, 6)) for x, y in points_of(axes)}
    expected = uar_by(predictions, LABELS, ["condition", "template"])
    assert drawn == {(r["condition"], round(r["uar"], 6)) for r in expected.to_dict("records")}
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["plain", "long"]


def points_of(axes):
    return [
        (bars.lines[0].get_xdata()[0], bars.lines[0].get_ydata()[0]) for bars in axes.containers
    ]


def test_ticks_of_what_cannot_exceed_one_have_no_zero(intervals):
    axes = sercue.plot_uar(intervals).axes[0]
    ticks = tick_texts(axes.xaxis)
    assert ticks
    assert all(text.startswith((".", "1.")) for text in ticks)


def test_partitions_emotions_and_conditions_share_no_colour():
    """One colour, one meaning."""
    names = ["none", "aligned", "shuffled", "shuffled_within_class", "conflicting", "constant"]
    conditions = set(condition_palette(names).values())
    emotions = set(label_palette(list("abcdefg"), None).values())
    partitions = set(PARTITION_COLOURS.values())
    assert not conditions & emotions
    assert not partitions & (conditions | emotions)


@pytest.mark.parametrize(("number", "columns"), [(3, 3), (4, 2), (6, 3), (7, 4), (8, 4), (10, 4)])
def test_panels_leave_no_single_one_in_the_last_row(number, columns):
    _, panels = small_multiples(number, None)
    places = [axes.get_subplotspec().colspan.start for axes in panels]
    assert max(places) + 1 == columns
    assert places[-1] > 0


def test_corpus_counts(corpus):
    """The numbers in the cells are pandas' counts of that partition."""
    axes = sercue.plot_corpus(corpus).axes[2]
    rows = corpus.rows("test")
    expected = pd.crosstab(rows["emotion"], rows["speaker"]).loc[list(LABELS)]
    assert [text.get_text() for text in axes.texts] == expected.to_numpy().ravel().astype(
        str
    ).tolist()
    assert axes.get_title() == "test: 40 utterances"


def test_corpus_of_many_speakers_has_a_colour_bar_and_totals(corpus):
    """Fifty speakers leave no room for a number in each cell; the totals are pandas'."""
    speakers = [f"s{n % 50}" for n in range(120)]
    many = corpus.with_table(corpus.table.assign(speaker=speakers))
    *panels, bar = sercue.plot_corpus(many).axes
    assert not any(axes.texts for axes in panels)
    assert bar.get_ylabel() == "Utterances"
    for axes, partition in zip(panels, ("train", "dev", "test"), strict=True):
        totals = many.rows(partition)["emotion"].value_counts()
        written = [text.get_text().split()[-1] for text in axes.get_yticklabels()]
        assert written == [str(totals[label]) for label in LABELS]
        assert axes.get_xlabel() == f"{many.rows(partition)['speaker'].nunique()} speakers"
    assert panels[0].get_yticklabels()[0].get_text().startswith(f"{LABELS[0]}: ")


def test_speakers_who_are_folds_share_a_panel(corpus):
    """Thirty panels of one speaker each would show nothing."""
    (axes,) = sercue.plot_corpus(select_fold(corpus, "all")).axes
    assert axes.get_title() == "each speaker a fold: 120 utterances"


def test_scores_beyond_the_axis_are_counted(binning, features, corpus):
    """The outer half per cent to either side of 120 scores: one low and one high."""
    scores = binning.scores(features)
    quantiles = scores["energy"].quantile([0.005, 0.995])
    axes = sercue.plot_thresholds(scores, binning, corpus).axes[0]
    low, high = axes.get_xlim()
    beyond = (~scores["energy"].between(low, high)).sum()
    assert beyond == 2
    assert low == pytest.approx(quantiles.iloc[0])
    assert axes.get_xlabel() == "2 of 120 scores lie beyond"


def test_concept_boxes_are_quartiles(binning, features, corpus):
    """The median drawn for the first emotion of each partition is pandas'."""
    scores = binning.scores(features)
    axes = sercue.plot_concepts(scores, corpus).axes[1]
    assert axes.get_title() == "pitch"
    rows = scores["pitch"].to_frame().join(corpus.table)
    expected = [
        rows.query("partition == @partition and emotion == @label")["pitch"].median()
        for partition in ("train", "test")
        for label in LABELS
    ]
    flat = [line.get_ydata() for line in axes.lines if len(line.get_ydata()) == 2]
    level = {round(float(y[0]), 9) for y in flat if y[0] == y[1]}
    assert {round(value, 9) for value in expected} <= level


def test_redundancy_shows_each_pair_once(binning, features):
    """Fifteen pairs of six concepts, none twice, none with itself."""
    correlation = redundancy(binning.scores(features))
    axes = sercue.plot_redundancy(correlation).axes[0]
    lower = correlation.to_numpy()[np.tril_indices(6, -1)]
    assert [float(text.get_text().replace("−", "-")) for text in axes.texts] == pytest.approx(
        lower, abs=0.0051
    )


def test_thresholds_stand_at_the_edges(binning, features, corpus):
    """Vertical lines are the binning's edges, in the panel of their concept."""
    figure = sercue.plot_thresholds(binning.scores(features), binning, corpus)
    for axes, (concept, edges) in zip(figure.axes, binning.thresholds.items(), strict=True):
        assert axes.get_title() == concept
        assert [line.get_xdata()[0] for line in axes.lines] == list(edges[""])


def test_balance_bars_are_shares(tokens, corpus):
    """Bar lengths are the table's, stacked to 1."""
    balance = token_balance(tokens, corpus)
    axes = sercue.plot_balance(balance).axes[0]
    train = balance[balance["partition"] == "train"]
    for place, concept in enumerate(NAMES):
        bars = [bar for bar in axes.patches if round(bar.get_y() + bar.get_height() / 2) == place]
        expected = train.loc[train["concept"] == concept, "share"]
        np.testing.assert_allclose([bar.get_width() for bar in bars], expected)
        assert bars[-1].get_x() + bars[-1].get_width() == pytest.approx(1)


def test_emotion_profile_is_high_minus_low(tokens, corpus, binning):
    """With three words a cell is P(high) - P(low) among the known tokens of that emotion."""
    axes = sercue.plot_tokens_by_emotion(tokens, corpus, binning.words, "train").axes[0]
    cells = np.asarray(axes.collections[0].get_array()).reshape(6, 4)
    rows = tokens.loc[corpus.rows("train").index]
    emotion = corpus.rows("train")["emotion"]
    for line, concept in enumerate(NAMES):
        for column, label in enumerate(LABELS):
            shown = rows.loc[emotion == label, concept]
            shown = shown[shown != "unknown"]
            expected = (shown == "high").mean() - (shown == "low").mean()
            assert cells[line, column] == pytest.approx(expected)


def test_information_bars(tokens, corpus):
    """One bar per concept in each partition's colour, its length the corrected information."""
    information = token_information(tokens, corpus)
    axes = sercue.plot_information(information).axes[0]
    for bars in axes.containers:
        part = information[information["partition"] == bars.get_label()].set_index("concept")
        expected = part.loc[list(NAMES), "information"]
        np.testing.assert_allclose([bar.get_width() for bar in bars], expected)
    assert tick_texts(axes.yaxis) == list(NAMES)


def test_stability_points(features, corpus, concepts):
    """Dots are the refits, each on the line of its concept; changes are in per cent."""
    table = threshold_stability(features, corpus, concepts=concepts)
    left, right = sercue.plot_stability(table).axes
    refits = table[table["left_out"] != "nobody"]
    np.testing.assert_allclose(left.collections[0].get_offsets()[:, 0], refits["threshold_1"])
    dots = right.collections[0].get_offsets()
    np.testing.assert_allclose(dots[:, 0], 100 * refits["changed"])
    lines = refits["concept"].map(NAMES.index)
    np.testing.assert_array_equal(np.round(dots[:, 1]), lines)


@pytest.mark.filterwarnings("error")
def test_any_number_of_figures_can_be_drawn_and_each_can_still_be_restyled(tmp_path):
    """pyplot keeps what is open, warns from the 21st on, and shows it a second time."""
    rows = [("none", 0.5, 0.4, 0.6), ("aligned", 0.7, 0.65, 0.75)]
    intervals = pd.DataFrame(rows, columns=["condition", "uar", "low", "high"])
    figures = [sercue.plot_uar(intervals) for _ in range(25)]
    assert plt.get_fignums() == []
    figures[0].axes[0].set_title("mine")
    figures[0].savefig(tmp_path / "a.svg")
    assert (tmp_path / "a.svg").stat().st_size > 1000
