"""The tables of notebook 05: what a study has conditions for is shown, and else why not."""

from dataclasses import replace

import pandas as pd
import pytest

from sercue import results
from sercue.corpora.corpus import example_corpus
from sercue.run import Run
from sercue.settings import Settings
from sercue.statistics.measures import LABELS, example_predictions
from sercue.tables.exhibits import TableExhibit

ALL = {
    "none": 0.5, "aligned": 0.75, "shuffled": 0.5, "shuffled_within_class": 0.6,
    "corrupted(0.25)": 0.7, "corrupted(0.5)": 0.6, "corrupted(1)": 0.45,
}  # fmt: skip
TABLES = [
    "equivalence_table", "collapse_table", "detectable_table", "split_gain_table",
    "dose_trend_table", "shift_table", "sensitivity_table", "gain_by_template_table",
]  # fmt: skip


def finished(accuracy, folder, **keys):
    """A run whose answers are simulated; all that follows from them is computed."""
    predictions = example_predictions(accuracy, speakers=10, utterances=12)
    if "aligned" in accuracy:
        # The same answers in another wording: its variance is nothing.
        second = predictions.assign(template="question")
        predictions = pd.concat([predictions, second], ignore_index=True)
    settings = Settings(conditions=list(accuracy), resamples=200, out=str(folder), **keys)
    run = Run(settings)
    corpus = replace(example_corpus(), labels=tuple(LABELS))
    run.__dict__.update(predictions=predictions, corpus=corpus, content="made")
    return run


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    return finished(ALL, tmp_path_factory.mktemp("full"))


@pytest.mark.parametrize("name", TABLES)
def test_a_full_study_gets_every_table(full, name):
    table = getattr(results, name)(full)
    assert isinstance(table, TableExhibit)
    assert len(table.data)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("collapse_table", "against 'aligned'"),
        ("split_gain_table", "shuffled_within_class"),
        ("dose_trend_table", "Not to be had from this study"),
        ("sensitivity_table", "two of template, label_order"),
        ("gain_by_template_table", "none and aligned"),
    ],
)
def test_a_study_that_lacks_conditions_says_which(name, reason, tmp_path):
    few = finished({"none": 0.5, "shuffled": 0.4}, tmp_path)
    assert reason in getattr(results, name)(few)


def test_parts_of_the_gain_add_up(full):
    table = results.split_gain_table(full).data["difference"].groupby("part").first()
    assert table["utterance"] + table["label"] == pytest.approx(table["whole"])


@pytest.mark.parametrize(("margin", "expected"), [(0.99, True), (0.001, False)])
def test_equivalence_is_decided_by_the_margin_of_the_study(margin, expected, tmp_path):
    """Within ±0.99 nearly everything is equal; within ±0.001 nothing is."""
    run = finished(ALL, tmp_path, margin=margin)
    assert (results.equivalence_table(run).data["equivalent"] == expected).all()


def test_a_difference_that_cannot_be_is_a_dash(tmp_path):
    """No two UAR are further apart than 1; the file keeps what was computed."""
    run = finished({"none": 0.5, "aligned": 0.9, "shuffled": 0.3}, tmp_path)
    run.__dict__["tests"] = run.tests.assign(se=0.6)
    table = results.detectable_table(run)
    assert (table.data["detectable"] > 1).all()
    assert set(table.shown["detectable"]) == {"–"}


def test_conditions_about_concepts_are_no_part_of_the_family(tmp_path):
    """They are in their own tables, with their own correction."""
    run = finished(ALL | {"only(pitch)": 0.6, "flip(pitch)": 0.3}, tmp_path)
    pairs = len(results.equivalence_table(run).data)
    assert pairs == len(run.tests) == 1 + 2 * (len(ALL) - 2)
    assert set(run.concept_tables["effects"]["condition"]) == {"only(pitch)", "flip(pitch)"}
    assert "only(pitch)" not in run.collapse["condition"].tolist()
