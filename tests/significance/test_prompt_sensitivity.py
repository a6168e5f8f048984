"""Variance components against REML and known effects; gains against separate comparisons."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from sklearn.metrics import balanced_accuracy_score

from sercue.corpora.corpus import example_corpus
from sercue.errors import InputError
from sercue.statistics.contrasts import (
    compare,
    components_of,
    gain_by,
    uar_components,
    uar_intervals,
    uar_intervals_by,
)
from sercue.statistics.effects import variance_components
from sercue.statistics.measures import LABELS, example_predictions


def by_name(table):
    return table.set_index("component")["variance"]


def test_balanced_components_are_those_of_reml():
    """In a balanced table without negative estimates both methods agree: statsmodels' MixedLM."""
    rng = np.random.default_rng(5)
    values = 0.3 * rng.normal(size=(6, 1)) + 0.5 * rng.normal(size=8) + rng.normal(size=(6, 8)) / 5
    found = by_name(components_of(values, ["template", "speaker"]))
    long = pd.DataFrame(
        [(values[t, s], t, s) for t, s in np.ndindex(values.shape)], columns=["y", "t", "s"]
    )
    model = sm.MixedLM.from_formula(
        "y ~ 1", long, groups=np.ones(len(long)), vc_formula={"s": "0 + C(s)", "t": "0 + C(t)"}
    )
    result = model.fit(reml=True)
    expected = [*result.vcomp, result.scale]
    assert found[["speaker", "template", "residual"]].to_list() == pytest.approx(expected, rel=1e-3)


def test_a_complete_table_gives_what_projections_give():
    """One estimator, computed in closed form here and by projections for any numbers of cells."""
    values = np.random.default_rng(1).normal(size=(4, 7)) + np.arange(7)
    corpus = example_corpus(speakers=7, utterances=4, labels=4)
    column = pd.DataFrame({"x": values.T.ravel()}, corpus.table.index)
    expected = variance_components(column, corpus)
    found = components_of(values, ["emotion", "speaker"]).set_index("component")["share"]
    assert found.to_dict() == pytest.approx(expected.loc["x", found.index].to_dict())


def test_known_effects_are_found_again():
    """Many levels of three crossed factors, with one interaction, and each variance known."""
    rng = np.random.default_rng(0)
    sd = {"template": 1.0, "label_order": 0.5, "speaker": 2.0, "template:speaker": 0.8, "rest": 0.3}
    values = (
        sd["template"] * rng.normal(size=(60, 1, 1))
        + sd["label_order"] * rng.normal(size=(60, 1))
        + sd["speaker"] * rng.normal(size=60)
        + sd["template:speaker"] * rng.normal(size=(60, 1, 60))
        + sd["rest"] * rng.normal(size=(60, 60, 60))
    )
    table = components_of(values, ["template", "label_order", "speaker"]).set_index("component")
    for name in ("template", "label_order", "speaker", "template:speaker"):
        assert table.loc[name, "sd"] == pytest.approx(sd[name], rel=0.35)
    assert table.loc["residual", "sd"] == pytest.approx(0.3, rel=0.01)
    assert table.loc["template:label_order", "sd"] < 0.02
    assert table["share"].sum() == pytest.approx(1)
    assert table["df"].sum() == values.size - 1


def answers(seed, **levels):
    """Predictions of every template and order, whose accuracy differs."""
    parts = [
        example_predictions(
            {"none": p, "aligned": p + 0.2}, speakers=6, utterances=9, seed=seed + number
        ).assign(template=template, label_order=order)
        for number, (template, p) in enumerate(levels.items())
        for order in (0, 1)
    ]
    return pd.concat(parts, ignore_index=True)


def test_components_are_those_of_speakers_uar():
    """UAR of each cell by scikit-learn, in whatever order the rows come."""
    rows = answers(0, plain=0.3, long=0.7)
    cells = rows[rows["condition"] == "none"].groupby(["template", "label_order", "speaker"])
    uar = cells[["truth", "prediction"]].apply(
        lambda part: balanced_accuracy_score(part["truth"], part["prediction"])
    )
    expected = components_of(
        uar.to_numpy().reshape(2, 2, 6), ["template", "label_order", "speaker"]
    )
    found = uar_components(rows.sample(frac=1, random_state=3), LABELS)
    found = found[found["condition"] == "none"]
    pd.testing.assert_series_equal(by_name(found), by_name(expected))
    assert by_name(found).idxmax() == "template"


def test_tables_that_do_not_cross_are_refused():
    rows = answers(0, plain=0.3, long=0.7)
    with pytest.raises(InputError, match="found no answers of some speakers"):
        uar_components(rows[(rows["template"] == "long") | (rows["speaker"] != "s0")], LABELS)
    single = rows[(rows["template"] == "long") & (rows["label_order"] == 0)]
    with pytest.raises(InputError, match="found 1 factors with several levels"):
        uar_components(single, LABELS)


def test_gain_of_a_template_is_its_own_comparison():
    rows = answers(0, plain=0.3, long=0.7)
    table = gain_by(rows, LABELS).set_index("template")
    assert table.index.to_list() == ["plain", "long"]
    for template, part in rows.groupby("template"):
        expected = compare(part, LABELS, [("aligned", "none")]).loc[0]
        for column in ("difference", "low", "high", "p"):
            assert table.loc[template, column] == pytest.approx(expected[column])
    with pytest.raises(InputError, match="did you mean 'template'"):
        gain_by(rows, LABELS, by="templates")


def test_intervals_of_a_wording_are_those_of_its_own_answers():
    rows = answers(0, plain=0.3, long=0.7)
    table = uar_intervals_by(rows, LABELS)
    assert table["condition"].tolist() == sorted(
        table["condition"], key=list(rows["condition"]).index
    )
    for template, part in rows.groupby("template"):
        own = table[table["template"] == template].drop(columns="template").reset_index(drop=True)
        pd.testing.assert_frame_equal(own, uar_intervals(part, LABELS))
    with pytest.raises(InputError, match="did you mean 'template'"):
        uar_intervals_by(rows, LABELS, by="templates")
