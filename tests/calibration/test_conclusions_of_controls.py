"""What the closing sentences of a study say of models of which it is known what they do."""

from pathlib import Path

import audformat
import numpy as np
import pandas as pd
import pytest
from checks_controls import SHOWN
from checks_family import PLANNED
from scipy.special import softmax
from simulate_controls import CONTENT_BLIND, GROUNDED, REDUNDANT, control_studies
from sklearn.metrics import balanced_accuracy_score

from sercue.corpora.corpus import Corpus, utterance_ids
from sercue.run import Run
from sercue.settings import Settings
from sercue.statistics.controls import control_follow
from sercue.study.plan import plan_study
from sercue.tables.conclusions import conclusions

SUBSETS = tuple(dict.fromkeys([*PLANNED, *SHOWN]))
SWAP = "aligned @ swapped"
# Said of a model only if it uses what the tokens say: the words that the grounded model gets.
USED = "the model uses what the tokens say"
ADDED = "the content of the tokens raises uar"
PRESENT = "the presence of a block raises uar"
# Balanced classes and strong evidence, and of the audio alone a strong lean: what is there is found
# with 24 speakers.
CLEAR = {"shares": (0.25,) * 4, "strength": 3.0, "noise": 3.0, "ability_condition": 0.2}


def control_run(design, folder, conditions=PLANNED):
    """A real run, all tables its own, of which only corpus, tokens and answers are simulated."""
    study = next(control_studies(design.with_(**CLEAR, conditions=conditions), 1))
    settings = Settings(
        study="control", out=str(folder), conditions=list(conditions), replicates=1,
        label_orders=1, templates=["plain"], controls=False, resamples=2000,
    )  # fmt: skip
    run = Run(settings)
    corpus = _corpus(study)
    tokens = _tokens(corpus, run.scheme.words)
    plan = plan_study(
        corpus, tokens, conditions=conditions, templates=["plain"], words=run.scheme.words
    )
    shown = plan.loc[:, plan.columns.str.startswith("shown_")].astype(object)
    answers = study.predictions(conditions)
    answers[[f"p_{label}" for label in corpus.labels]] = softmax(
        study.utility.reshape(len(answers), -1), axis=1
    )
    answers = answers.merge(
        shown.assign(utterance=plan["utterance"], condition=plan["condition"]).astype(object),
        on=["utterance", "condition"], validate="1:1",
    )  # fmt: skip
    # A study needs some baseline: the largest class, as ``baselines`` has it.
    floor = answers[answers["condition"] == "none"].assign(condition="majority", prediction="sad")
    run.__dict__.update(
        corpus=corpus, tokens=tokens, predictions=answers, baselines=floor, content="simulated"
    )
    return run


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """The closing sentences of each model, and its run."""
    blind = CONTENT_BLIND.with_(lean=(0.0, 0.0, 8.0, 0.0))
    models = {
        "content-blind": (blind, SUBSETS),
        "content-blind, nothing sampled": (blind.with_(sampled=False), PLANNED),
        "redundant": (REDUNDANT, PLANNED),
        "grounded": (GROUNDED, SUBSETS),
    }
    runs = {
        name: control_run(design, tmp_path_factory.mktemp("run"), conditions)
        for name, (design, conditions) in models.items()
    }
    return {name: (" ".join(conclusions(run)).lower(), run) for name, run in runs.items()}


def between_blocks(table):
    return table[(table["condition"] != "none") & (table["reference"] != "none")]


@pytest.mark.parametrize("model", ["content-blind", "content-blind, nothing sampled"])
def test_a_content_blind_model_is_said_to_react_to_a_block_and_to_nothing_in_it(told, model):
    text, run = told[model]
    assert PRESENT in text
    assert "aligned tokens raise uar" in text
    assert USED not in text
    assert ADDED not in text
    assert "makes use of" not in text
    assert (between_blocks(run.tests)["holm_p"] >= 0.05).all()
    assert (between_blocks(run.neutral_shift)["holm_p"] >= 0.05).all()


def test_no_concept_is_found_in_a_content_blind_model(told):
    text, run = told["content-blind"]
    assert "0 of 6 concepts" in text
    assert (run.concept_effects["holm_p"] >= 0.05).all()
    assert len(run.concept_effects) == 6


def test_a_content_blind_model_has_no_reliance_on_tokens(told):
    """Nothing sampled: with answers that vary by chance, ``none`` is a noisy measure of audio."""
    _, run = told["content-blind, nothing sampled"]
    row = run.reliance.query("by == 'all' and response == 'probability'").iloc[0]
    assert abs(row["share"]) < 0.01
    assert max(abs(row["low"]), abs(row["high"])) < 0.02


def test_the_answers_of_a_content_blind_model_follow_the_words_of_neither(told):
    """With the sound of a partner it answers as to the partner itself, and any block is the same.

    Its UAR rises with a block, so that its answers do depend on one; none of that is a pull of the
    tokens. Its answers are of the tokens' class as often as it confuses the sound with that class.
    """
    _, run = told["content-blind"]
    answers = _heard_from_partners(run)
    crossed = Run(run.settings)
    crossed.__dict__["predictions"] = answers
    pulls, shares = crossed.follow, crossed.followed.set_index("follows")["share"]
    assert pulls.loc["pull of audio", "low"] > 0
    for measure in ("pull of tokens", "follow ratio"):
        assert pulls.loc[measure, ["value", "low", "high"]].tolist() == [0, 0, 0]
    assert pulls.loc["pull of tokens", "p"] == 1
    assert np.isnan(pulls.loc["follow ratio", "p"]), "it has no test of its own"
    row = control_follow(answers.assign(model="content-blind")).loc["content-blind"]
    assert row[["follow_ratio", "low", "high"]].tolist() == [0, 0, 0]
    own, swapped = (answers[answers["condition"] == name] for name in ("aligned", SWAP))
    confusion = pd.crosstab(own["truth"], own["prediction"], normalize="index")
    pairs = swapped[["heard_class", "tokens_class"]].astype("str").value_counts(normalize=True)
    expected = {
        "audio": sum(share * confusion.loc[heard, heard] for (heard, _), share in pairs.items()),
        "tokens": sum(share * confusion.loc[heard, read] for (heard, read), share in pairs.items()),
    }
    for name, share in expected.items():
        error = np.sqrt(share * (1 - share) / len(swapped))
        assert shares[name] == row[name] == pytest.approx(share, abs=3 * error)
    assert balanced_accuracy_score(*_classes(answers, "none")) < 0.9 * balanced_accuracy_score(
        *_classes(answers, "aligned")
    )


def test_redundant_tokens_are_not_said_to_add_anything(told):
    """They count, since wrong ones harm; those of another utterance of the class help most."""
    text, run = told["redundant"]
    assert ADDED not in text
    assert PRESENT not in text
    assert USED in text
    for words in ("label information", "say about its class", "what they tell of the class"):
        assert words not in text
    drawn = run.tests.query("condition == 'shuffled_within_class' and reference == 'aligned'")
    assert (drawn["difference"] > 0).all()
    assert (drawn["holm_p"] < 0.05).all()


def test_a_grounded_model_is_said_to_use_its_tokens(told):
    """The positive control: the words that the other models must not get are there to be got."""
    text, run = told["grounded"]
    assert USED in text
    assert ADDED in text
    assert PRESENT not in text
    assert "0 of 6 concepts" not in text
    assert (run.shapley["holm_p"] < 0.05).any()


def _corpus(study):
    """The speakers of the study test; as many utterances of eight others train."""
    labels, number = study.design.labels, len(study.truth)
    trained = [f"t{place % 8}" for place in range(number)]
    truth = np.array(labels, dtype=object)[study.truth]
    table = pd.DataFrame(
        {
            "emotion": np.tile(truth, 2),
            "speaker": [*(f"s{who:02d}" for who in study.speaker), *trained],
            "partition": np.repeat(["test", "train"], number),
        },
        audformat.segmented_index([f"{part}{n}" for part in "ut" for n in range(number)]),
    )  # fmt: skip
    return Corpus("simulated", Path(), table, labels, "neutral", "none", True, True)


def _classes(answers, condition):
    rows = answers[answers["condition"] == condition].astype("str")
    return rows["truth"], rows["prediction"]


def _heard_from_partners(run):
    """Answers to swapped audio, too: those to the partner itself, with or without a block."""
    plan = plan_study(
        run.corpus, run.tokens, conditions=["none", "aligned", SWAP], templates=["plain"],
        words=run.scheme.words,
    )  # fmt: skip
    heard = utterance_ids(run.corpus.table.index)[plan["source"]]
    shown = ["none" if name == "none" else "aligned" for name in plan["condition"]]
    given = run.predictions.set_index(["utterance", "condition"])["prediction"]
    prediction = given.loc[list(zip(heard, shown, strict=True))].to_numpy()
    return plan.assign(prediction=prediction, audio=plan["source"].astype("str"), valid=True)


def _tokens(corpus, words):
    """Words that depend on the class: half of them are those of the class, the others random."""
    generator, number = np.random.default_rng(1), len(corpus.table)
    code = corpus.table["emotion"].map(list(corpus.labels).index).to_numpy()
    columns = {}
    for place, (concept, known) in enumerate(words.items()):
        choice = known.each
        typical, other = (code + place) % len(choice), generator.integers(len(choice), size=number)
        which = np.where(generator.random(number) < 0.5, typical, other)
        columns[concept] = np.array(choice, dtype=object)[which]
    return pd.DataFrame(columns, corpus.table.index)
