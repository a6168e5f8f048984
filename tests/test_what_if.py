"""One recording, tokens changed by hand: the same prompts and answers as those of the study."""

import base64
import io
import re

import audiofile
import numpy as np
import pytest

from sercue.errors import InputError
from sercue.notation import percent
from sercue.run import open_run
from sercue.tables.examples import (
    YOURS,
    answer_bars,
    example_answers,
    listen,
    one_utterance,
    prompt_examples,
    telling_utterance,
    what_if,
    wording_examples,
)


@pytest.fixture(scope="module")
def run(small_study, tmp_path_factory):
    return open_run(small_study.settings | {"out": str(tmp_path_factory.mktemp("what_if"))})


def test_the_answers_without_and_with_own_tokens_are_those_of_the_study(run):
    rows = run.predictions
    name = rows["utterance"].iloc[-1]
    cell = rows[(rows["utterance"] == name) & (rows["template"] == "plain")]
    study = cell[cell["label_order"] == 0].drop_duplicates("condition").set_index("condition")
    table = what_if(run, {"ENERGY": "LOW"}, name)
    for condition in ("none", "aligned"):
        assert table.loc[condition, "answer"] == study.loc[condition, "prediction"]
        own = study.loc[condition, [f"p_{label}" for label in run.corpus.labels]].astype(float)
        found = table.loc[condition, list(run.corpus.labels)].astype(float)
        np.testing.assert_allclose(found, own, atol=1e-5)


def test_only_the_tokens_named_are_changed(run):
    table = what_if(run, {"ENERGY": "LOW", "VOICE_QUALITY": "unknown"})
    own, mine = (
        dict(item.split("=") for item in table.loc[name, "tokens"].split(", "))
        for name in ("aligned", YOURS)
    )
    assert mine == own | {"ENERGY": "LOW", "VOICE_QUALITY": "unknown"}
    assert table.loc["none", "tokens"] == ""


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ({}, "tokens: found none"),
        ({"loudness": "low"}, "unknown concept 'loudness'"),
        ({"ENERGY": "low"}, "unknown word for ENERGY 'low': did you mean 'LOW'"),
    ],
)
def test_what_is_not_known_is_named(run, tokens, message):
    with pytest.raises(InputError, match=message):
        what_if(run, tokens)


def test_an_utterance_that_is_not_evaluated_is_named(run):
    with pytest.raises(InputError, match=r"unknown utterance 'nobody\.wav'"):
        one_utterance(run, "nobody.wav")


def test_the_player_has_the_recording(run):
    """The samples that the model hears, to 16 bits."""
    html = listen(run).data
    data = base64.b64decode(re.search(r"base64,([^\"]+)", html)[1])
    heard, rate = audiofile.read(io.BytesIO(data))
    corpus = one_utterance(run)
    stored, stored_rate = audiofile.read(str(corpus.path(corpus.table.index[0][0])))
    assert rate == stored_rate == 16_000
    np.testing.assert_allclose(heard, stored, atol=2 / 2**15)


def test_several_recordings_are_played_by_name(run):
    names = run.plan()["utterance"].unique()[:3]
    html = listen(run, names).data
    assert html.count("<audio") == 3
    assert [html.index(f"<code>{name}</code>") for name in names] == sorted(
        html.index(f"<code>{name}</code>") for name in names
    )


@pytest.mark.parametrize(
    ("corpus", "said"),
    [("folders", "corpus_options: {may_share_audio: true}"), ("iemocap", "for research only")],
)
def test_a_recording_that_may_not_be_passed_on_is_not(corpus, said, run, monkeypatch):
    """Whoever may do so reads what to set; of a corpus whose licence forbids it, the licence."""
    monkeypatch.setitem(run.corpus.__dict__, "may_share_audio", False)
    monkeypatch.setitem(run.corpus.__dict__, "licence", "for research only")
    monkeypatch.setitem(run.settings.__dict__, "corpus", corpus)
    html = listen(run).data
    assert "<audio" not in html
    assert said in html


def test_a_finished_study_can_be_heard_and_asked(small_study):
    """Its stored corpus has no audio; the recordings are where the settings say."""
    finished = open_run(small_study.settings | {"out": str(small_study.folder)}, reuse=True)
    assert "<audio" in listen(finished).data
    assert len(what_if(finished, {"ENERGY": "LOW"})) == 4


def test_the_answers_beneath_the_prompts_are_those_of_the_study(run):
    plan, rows = run.plan(), run.predictions
    answers = example_answers(run, plan)
    study = rows[rows["prompt"].isin(answers["prompt"])].drop_duplicates("prompt")
    assert set(answers["utterance"]) == {plan["utterance"].iloc[0]}
    assert set(answers["condition"].astype(str)) == set(run.settings.conditions)
    both = answers.merge(study[study["utterance"] == plan["utterance"].iloc[0]], on="prompt")
    assert (both["prediction_x"] == both["prediction_y"]).all()
    html = prompt_examples(plan, run.settings.templates, answers).data
    assert html.count("Answer: <b>") == len(run.settings.conditions)
    share = answers.iloc[0]["p_angry"]
    assert f"angry {percent(share)}" in html
    wordings = wording_examples(plan, answers).data
    assert wordings.count("Answer: <b>") == wordings.count('class="prompt"') == 4


def test_without_a_name_an_utterance_is_taken_whose_answer_changes(run):
    rows = run.predictions
    first = rows[(rows["template"] == "plain") & (rows["label_order"] == 0)]
    opposed = first[first["condition"].isin(["none", "aligned", "conflicting"])]
    different = opposed.groupby("utterance", observed=True)["prediction"].nunique() > 1
    name = telling_utterance(run)
    assert different[name] or not different.any()


def test_bars_show_each_probability_and_mark_what_was_changed(run):
    table = what_if(run, {"ENERGY": "unknown"}, run.plan()["utterance"].iloc[0])
    blocks = answer_bars(table).data.split('<div class="prompt">')[1:]
    assert [block.count("<meter") for block in blocks] == [4, 4, 4, 4]
    assert "<mark>ENERGY=unknown</mark>" in blocks[-1]
    assert blocks[-1].count("<mark>") == 1
    assert "<mark>" not in blocks[0] + blocks[1]
