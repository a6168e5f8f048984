"""What a study says of reliance and of single concepts, and why where it says nothing."""

from dataclasses import replace

import pandas as pd
import pytest

from sercue.corpora.corpus import example_corpus
from sercue.errors import InputError
from sercue.run import Run
from sercue.settings import Settings
from sercue.statistics.attribution import subset_conditions
from sercue.statistics.measures import LABELS, example_predictions, uar_by
from sercue.statistics.reliance import RESPONSES, example_evidence, reliance, why_no_reliance
from sercue.tables.findings import readable_reliance, reliance_finding, why_not_identified


@pytest.fixture(scope="module")
def table():
    """A model of known weights, explained by both responses."""
    evidence = example_evidence(w_audio=1.0, w_cue=0.5)
    tables = [
        reliance(evidence, LABELS, response=response).assign(response=response)
        for response in RESPONSES
    ]
    return pd.concat(tables)


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"decoding": "generate"}, "tell no probabilities"),
        ({"conditions": ["aligned", "shuffled"]}, "'none' is needed"),
        ({"conditions": ["none"]}, "beside 'none'"),
    ],
)
def test_a_study_that_cannot_tell_says_why(keys, reason):
    assert reason in why_no_reliance(Settings(**keys))


def test_shares_are_printed_with_their_intervals(table):
    """One line per group, the shares of both responses side by side."""
    shown = readable_reliance(table)
    for response in RESPONSES:
        row = table[(table["response"] == response) & (table["by"] == "all")].iloc[0]
        printed = f"{row['share']:.2f} [{row['low']:.2f}, {row['high']:.2f}]".replace("0.", ".")
        assert shown.loc["all answers", f"share ({response})"] == printed
    assert len(shown) == len(table) / 2
    assert why_not_identified(table) == ""


def test_the_reason_is_told_where_there_is_no_share(table):
    nothing = float("nan")
    lost = table.assign(low=nothing, high=nothing, share=nothing, reason="no variation")
    assert set(readable_reliance(lost)["share (probability)"]) == {"–"}
    assert "aligned: no variation. shuffled: no variation." in why_not_identified(lost)


def test_the_sentence_says_the_interval_and_no_more(table):
    """Weights 1 and 0.5: a third of the answer's weight is the tokens'."""
    sentence = reliance_finding(table, 0.95)
    share = float(sentence.split(" is ")[1].split(" ")[0])
    assert share == pytest.approx(1 / 3, abs=0.03)
    assert "95\u202f% interval" in sentence
    lost = table.assign(reason="separation")
    assert reliance_finding(lost, 0.95) == "What the model relies on cannot be told: separation."


def test_shapley_values_of_all_subsets_add_up_to_the_content(tmp_path):
    names = subset_conditions()
    rows = example_predictions(dict.fromkeys(names, 0.5) | {"aligned": 0.9})
    run = Run(Settings(conditions=names, out=str(tmp_path)))
    run.__dict__.update(predictions=rows, corpus=replace(example_corpus(), labels=tuple(LABELS)))
    assert run.concept_effects["kind"].tolist() == ["only"] * 6
    uar = uar_by(rows, LABELS, ["condition"]).set_index("condition")["uar"]
    assert run.shapley["shapley"].sum() == pytest.approx(uar["aligned"] - uar["masked(1)"])


@pytest.mark.parametrize(
    ("conditions", "lacking"),
    [
        (["none", "aligned", "only(any)"], r"masked\(1\)"),
        (
            ["none", "aligned", "only(each)", "masked(0.5)"],
            r"masked\(1\), only\(ENERGY \+ PITCH\), ",
        ),
        (["none", "masked(1)", "aligned"], r"only\(any\)"),
    ],
)
def test_what_shapley_values_lack_is_named(conditions, lacking, tmp_path):
    with pytest.raises(InputError, match=f"every subset of the concepts; add {lacking}"):
        _ = Run(Settings(conditions=conditions, out=str(tmp_path))).shapley


def test_words_for_many_conditions_are_written_out():
    written = Settings(conditions=["masked(1)", "only(any)", "aligned"]).conditions
    assert sorted(written) == sorted(subset_conditions())
