"""Figures of notebooks 01 and 02: what is drawn is what the table says."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

mpl.use("Agg")

import matplotlib.pyplot as plt

import sercue
from sercue.errors import InputError
from sercue.statistics.effects import functional_clusters, redundancy
from sercue.statistics.praat_agreement import praat_agreement

EMOTIONS = ("angry", "sad")


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@pytest.fixture
def components():
    """Shares of three concepts that sum to one."""
    shares = np.random.default_rng(0).dirichlet([2, 2, 1, 1], size=3)
    columns = ["emotion", "speaker", "interaction", "residual"]
    return pd.DataFrame(shares, ["energy", "pitch", "dynamics"], columns)


@pytest.fixture
def pairwise():
    rows = [
        (name, emotion, "neutral", g, g - 0.5, g + 0.5, q)
        for name, g, q in (("energy", 1.5, 0.01), ("pitch", -0.2, 0.6))
        for emotion in EMOTIONS
    ]
    return pd.DataFrame(
        rows, columns=["functional", "emotion", "reference", "g", "low", "high", "q"]
    )


def test_variance_bars_are_the_shares(components):
    """Side by side in one order, the first concept on top."""
    bars = sercue.plot_variance(components, components).axes[0]
    for container, name in zip(bars.containers, components, strict=True):
        np.testing.assert_allclose([bar.get_width() for bar in container], components[name])
    assert bars.get_ylim()[0] > bars.get_ylim()[1]


def test_variance_points(components):
    """Speaker across, emotion up: swapped axes would reverse the finding."""
    functionals = components.iloc[::-1] * 0.5
    axes = sercue.plot_variance(components, functionals).axes[1]
    cloud, labelled = axes.collections[:2]
    np.testing.assert_allclose(cloud.get_offsets(), functionals[["speaker", "emotion"]])
    np.testing.assert_allclose(labelled.get_offsets(), components[["speaker", "emotion"]])
    named = {text.get_text(): text.xy for text in axes.texts}
    assert named["pitch"] == tuple(components.loc["pitch", ["speaker", "emotion"]])


def test_what_could_not_be_estimated_has_no_figure(components, pairwise):
    """A notebook says so instead; one concept that could is enough for a figure."""
    nothing = components * np.nan
    effects = pd.DataFrame({"omega_squared": [np.nan, np.nan]}, index=["energy", "pitch"])
    information = pd.DataFrame({"concept": ["pitch"], "partition": "test", "information": np.nan})
    for draw in (
        lambda: sercue.plot_variance(nothing, nothing),
        lambda: sercue.plot_effects(pairwise.assign(g=np.nan)),
        lambda: sercue.plot_functional_effects(pairwise, effects),
        lambda: sercue.plot_information(information),
    ):
        with pytest.raises(InputError, match="most speakers have one class only"):
            draw()
    nothing.loc["pitch"] = components.loc["pitch"]
    assert [text.get_text() for text in sercue.plot_variance(nothing, nothing).axes[1].texts] == [
        "pitch"
    ]


def test_effects_are_at_their_g_and_filled_by_q(pairwise):
    """Points and interval ends of the table; an effect that may be chance is hollow."""
    axes = sercue.plot_effects(pairwise).axes[0]
    lines, filled, hollow = axes.collections[:3]
    ends = [segment[:, 0].tolist() for segment in lines.get_segments()]
    assert ends == [[1.0, 2.0], [-0.7, 0.3]]
    assert filled.get_offsets()[:, 0].tolist() == [1.5]
    assert hollow.get_offsets()[:, 0].tolist() == [-0.2]


def test_functional_effects_are_ordered_by_omega(pairwise):
    """The largest on top, at most so many as asked for, cells in the order of the emotions."""
    effects = pd.DataFrame({"omega_squared": [0.1, 0.4]}, index=["energy", "pitch"])
    axes = sercue.plot_functional_effects(pairwise, effects).axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["pitch (.40)", "energy (.10)"]
    assert [text.get_text() for text in axes.texts] == ["−0.2", "−0.2", "1.5•", "1.5•"]
    one = sercue.plot_functional_effects(pairwise, effects, most=1).axes[0]
    assert len(one.texts) == 2


def test_clusters_are_framed_in_the_order_of_the_dendrogram():
    """Squares around two or more; the leaves of the tree are level with the rows."""
    rng = np.random.default_rng(1)
    source = rng.normal(size=50)
    values = pd.DataFrame(
        {"a": source, "b": rng.normal(size=50), "c": -source, "d": source + 0.01 * source**2}
    )
    correlation = redundancy(values)
    clusters = functional_clusters(correlation)
    tree, axes, *_ = sercue.plot_clusters(correlation, clusters).axes
    first = list(clusters["cluster"]).index(clusters.loc["a", "cluster"])
    named = clusters.index[clusters["representative"] & (clusters.index != "b")]
    assert [text.get_text() for text in axes.get_yticklabels()] == [f"{named[0]} (3)"]
    assert axes.get_yticks().tolist() == [first + 1.5]
    (square,) = axes.patches
    assert square.get_width() == 3
    assert square.get_xy() == (first, first)
    cells = np.asarray(axes.collections[0].get_array()).reshape(4, 4)
    order = list(clusters.index)
    np.testing.assert_allclose(cells, correlation.loc[order, order].abs())
    # scipy puts leaf n at 10 n + 5: the tree must run downwards, as the heatmap does.
    assert tree.get_ylim()[0] > tree.get_ylim()[1]


def test_bland_altman_lines_are_the_table():
    """Differences against means; bias and limits as lines; gross errors apart; HNR as it is."""
    smile, praat = np.array([10.0, 20, 45, 28]), np.array([9.0, 21, 30, np.nan])
    tables = [
        pd.DataFrame({"opensmile": smile, "praat": praat, "measure": name, "utterance": range(4)})
        for name in ("F0", "HNR")
    ]
    pairs = pd.concat(tables, ignore_index=True)
    first, last = sercue.plot_praat_agreement(pairs).axes
    row = praat_agreement(pairs).loc["F0"]
    fine, gross = first.collections
    np.testing.assert_allclose(fine.get_offsets(), [[9.5, 1], [20.5, -1]])
    np.testing.assert_allclose(gross.get_offsets(), [[37.5, 15]])
    levels = {line.get_ydata()[0] for line in first.lines}
    assert {row["bias"], row["low"], row["high"], 0} == levels
    np.testing.assert_allclose(last.collections[0].get_offsets(), np.c_[praat, smile][:3])
    labels = first.get_xlabel(), first.get_ylabel(), last.get_xlabel(), last.get_ylabel()
    assert labels == (
        "Mean of both (semitones)",
        "openSMILE − Praat (semitones)",
        "Praat (dB)",
        "openSMILE (dB)",
    )


def test_designs_stand_on_one_line_each():
    """Every panel shows its column in the order of the table; the study's own line is shaded."""
    rng = np.random.default_rng(2)
    names = ["tokens_uar", "joint_information", "entropy", "agreement", "redundancy"]
    table = pd.DataFrame(rng.random((3, 5)), ["3 quantile", "3 width", "5 width"], names)
    table = table.assign(centre=["none", "speaker", "sex"], tokens_se=0.1, functionals_uar=0.9)
    figure = sercue.plot_binnings(table, "3 width")
    for axes, name in zip(figure.axes, names, strict=True):
        np.testing.assert_allclose(axes.collections[0].get_offsets(), np.c_[table[name], range(3)])
        (band,) = axes.patches
        assert (band.get_y(), band.get_height()) == (0.5, 1)
    bars = figure.axes[0].collections[1].get_segments()
    np.testing.assert_allclose([bar[1, 0] - bar[0, 0] for bar in bars], 0.2)
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert labels == list(table.index)
