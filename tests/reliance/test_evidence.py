"""What audio and tokens say of a label: read from real plans, checked against scikit-learn."""

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from sercue.corpora.corpus import example_corpus, utterance_ids
from sercue.errors import InputError
from sercue.statistics.baselines import fit_token_classifier
from sercue.statistics.reliance import fit_evidence, label_evidence, reliance, shown_tokens
from sercue.study.plan import plan_study
from sercue.tokens.condition import Condition
from sercue.tokens.prompts import TEMPLATES, Template

CONCEPTS = ["ENERGY", "PITCH", "DYNAMICS", "BRIGHTNESS", "FORMANTS", "VOICE_QUALITY"]
AWKWARD = (
    Template("spaces", "{labels}", "{tokens}", "", item="{concept} is {word}", separator=" "),
    Template("twice", "{labels}", "{tokens}", "", item="{concept}: {word} {concept}.",
             separator=" and "),
    Template("signs", "{labels}", "{tokens}", "", item="[{word}*{concept}]", separator="+"),
)  # fmt: skip
ALL = (*TEMPLATES.values(), *AWKWARD)


@pytest.fixture(scope="module")
def corpus():
    return example_corpus(speakers=6, utterances=30, labels=3)


@pytest.fixture(scope="module")
def tokens(corpus):
    """Words of three concepts that tell something of the emotion."""
    rng = np.random.default_rng(0)
    code = corpus.table["emotion"].map(list(corpus.labels).index).to_numpy()[:, None]
    drawn = rng.integers(0, 3, (len(code), 3))
    level = np.where(rng.random(drawn.shape) < 0.5, code, drawn)
    words = np.array(["low", "mid", "high"], dtype=object)[level]
    return pd.DataFrame(words, corpus.table.index, CONCEPTS[:3])


def answers(corpus, tokens, conditions=("none", "aligned", "shuffled"), **options):
    """The plan of a study with random probabilities in place of a model's answers."""
    plan = plan_study(corpus, tokens, conditions=conditions, **options)
    probability = np.random.default_rng(1).dirichlet(np.ones(3), len(plan))
    columns = {f"p_{label}": p for label, p in zip(corpus.labels, probability.T, strict=True)}
    labels = np.array(corpus.labels, dtype=object)
    predicted = labels[probability.argmax(axis=1)]
    return plan.assign(**columns, prediction=predicted, decoding="score")


def of(table, source, labels):
    return table[[f"{source}_{label}" for label in labels]].to_numpy()


def test_words_shown_are_those_of_the_condition_whatever_the_wording(corpus, tokens):
    """Of a word that no bin has, too; a concept that is left out is unknown."""

    def change(material, generator):
        return material.tokens[["PITCH", "ENERGY"]].assign(ENERGY="loud as can be, PITCH=low")

    conditions = ["none", "aligned", Condition("mine", "two concepts", change)]
    table = answers(corpus, tokens, conditions, templates=ALL)
    found = shown_tokens(table, CONCEPTS[:3]).set_index(table["condition"].astype(str))
    assert (found.loc["none"] == "unknown").all(axis=None)
    own = tokens.loc[corpus.rows("test").index]
    assert (
        found.loc["aligned"].to_numpy().tolist()
        == own.loc[own.index.repeat(len(ALL))].values.tolist()
    )
    mine = own.loc[own.index.repeat(len(ALL))].assign(
        ENERGY="loud as can be, PITCH=low", DYNAMICS="unknown"
    )
    assert found.loc["mine"].to_numpy().tolist() == mine.to_numpy().tolist()
    with pytest.raises(InputError, match="no column shown_BRIGHTNESS"):
        shown_tokens(table, ["PITCH", "BRIGHTNESS"])


def test_evidence_of_audio_is_the_answer_of_the_same_prompt(corpus, tokens):
    """Same utterance, template and label order under none, looked up one by one."""
    table = answers(corpus, tokens, templates=["plain", "question"], orders=2, replicates=2)
    found = label_evidence(table, corpus, tokens).table
    assert set(found["condition"]) == {"aligned", "shuffled"}
    assert len(found) == (table["condition"] != "none").sum()
    none = table[table["condition"] == "none"]
    keys = ["utterance", "template", "label_order"]
    for _, row in found.sample(30, random_state=0).iterrows():
        same = none[(none[keys] == row[keys]).all(axis=1)]
        assert len(same) == 1
        expected = np.log(of(same, "p", corpus.labels)[0])
        np.testing.assert_allclose([row[f"audio_{label}"] for label in corpus.labels], expected)


def test_evidence_of_tokens_is_that_of_the_classifier(corpus, tokens):
    """Under aligned the tokens shown are the utterance's own: ask the classifier about those."""
    table = answers(corpus, tokens, templates=["annotator"])
    found = label_evidence(table, corpus, tokens).table
    own = found[found["condition"] == "aligned"]
    classifier = fit_token_classifier(tokens, corpus)
    expected = classifier.predict_log_proba(tokens.loc[corpus.rows("test").index])
    assert list(classifier.classes_) == sorted(corpus.labels)
    np.testing.assert_allclose(of(own, "tokens", sorted(corpus.labels)), expected)


def test_hidden_concepts_are_left_out_of_the_classifier(corpus, tokens):
    """Shown one concept, masked or left out the rest: a classifier of that one concept decides."""

    def hide_two(material, generator):
        return material.tokens.assign(ENERGY="unknown", DYNAMICS="unknown")

    hidden = Condition("hidden", "all but PITCH masked", hide_two)
    conditions = ["none", "only(PITCH)", hidden, "masked(1)"]
    table = answers(corpus, tokens, conditions, templates=["plain"])
    found = label_evidence(table, corpus, tokens).table.set_index("condition")
    one = tokens[["PITCH"]]
    chosen = fit_token_classifier(tokens, corpus)[-1].C
    expected = fit_token_classifier(one, corpus, complexities=[chosen]).predict_log_proba(
        one.loc[corpus.rows("test").index]
    )
    for name in ("only(PITCH)", "hidden"):
        said = of(found.loc[name], "tokens", sorted(corpus.labels))
        np.testing.assert_allclose(said, expected)
    np.testing.assert_allclose(of(found.loc["masked(1)"], "tokens", corpus.labels), np.log(1 / 3))


@pytest.fixture(scope="module")
def folded(corpus):
    """Every utterance tested once, three folds of two speakers."""
    fold = corpus.table["speaker"].str[1].astype(int) // 2
    return replace(corpus, table=corpus.table.assign(partition="test", fold=fold.astype(str)))


def test_no_fold_is_judged_by_its_own_labels(folded, tokens):
    """Other labels in fold 0 change what tokens say in folds 1 and 2, and nothing in fold 0."""
    table = answers(folded, tokens, templates=["plain"])
    before = label_evidence(table, folded, tokens).table
    other = folded.table.copy()
    own = other["fold"] == "0"
    other.loc[own, "emotion"] = np.roll(other.loc[own, "emotion"], 1)
    after = label_evidence(table, replace(folded, table=other), tokens).table
    tested = before["utterance"].isin(utterance_ids(folded.table.index[own])).to_numpy()
    same = np.isclose(of(before, "tokens", folded.labels), of(after, "tokens", folded.labels))
    assert same[tested].all()
    assert not same[~tested].all(axis=1).any()


def test_each_fold_has_its_own_thresholds(folded, tokens):
    """With tokens a fold, the classifier of a fold learns from the words of its own thresholds."""
    table = answers(folded, tokens, templates=["plain"])
    views = {fold: tokens.sample(frac=1, random_state=int(fold)) for fold in folded.folds}
    views = {fold: view.set_axis(tokens.index) for fold, view in views.items()}
    found = label_evidence(table, folded, views).table
    rows = folded.in_fold("1").rows("test").index
    expected = fit_token_classifier(views["1"], folded.in_fold("1")).predict_log_proba(
        tokens.loc[rows]
    )
    own = found[found["utterance"].isin(utterance_ids(rows)) & (found["condition"] == "aligned")]
    np.testing.assert_allclose(of(own, "tokens", sorted(folded.labels)), expected)
    with pytest.raises(InputError, match="unknown fold of tokens '2'"):
        label_evidence(table, folded, {fold: views[fold] for fold in ("0", "1")})


def test_a_product_of_both_sources_has_weights_one_and_one(corpus, tokens):
    """A model that multiplies what it hears with what the tokens say, as Bayes has it."""
    table = answers(corpus, tokens, templates=["plain"], orders=2)
    evidence = label_evidence(table, corpus, tokens).table
    both = of(evidence, "audio", corpus.labels) + of(evidence, "tokens", corpus.labels)
    product = np.exp(both) / np.exp(both).sum(axis=1, keepdims=True)
    columns = [f"p_{label}" for label in corpus.labels]
    table.loc[table["condition"] != "none", columns] = product
    again = label_evidence(table, corpus, tokens)
    found = reliance(again, corpus.labels, response="probability").iloc[0]
    assert found[["w_audio", "w_cue", "share"]].tolist() == pytest.approx([1, 1, 0.5])


def test_what_reliance_needs_is_named(corpus, tokens):
    """Generated answers, no audio-only answers, nothing but these, a label never trained on."""
    table = answers(corpus, tokens, templates=["plain", "question"])
    columns = [f"p_{label}" for label in corpus.labels]
    generated = table.assign(decoding="generate", **dict.fromkeys(columns, np.nan))
    with pytest.raises(InputError, match=r"decoding: found generate, .* needs decoding 'score'"):
        label_evidence(generated, corpus, tokens)
    with pytest.raises(InputError, match="reliance needs decoding 'score'"):
        label_evidence(generated.drop(columns=columns), corpus, tokens)
    with pytest.raises(InputError, match="found 'none' alone"):
        label_evidence(table[table["condition"] == "none"], corpus, tokens)
    half = table[(table["condition"] != "none") | (table["template"] == "plain")]
    with pytest.raises(InputError, match="60 of 120 answers have none of the same utterance"):
        label_evidence(half, corpus, tokens)
    silent = (corpus.table["partition"] == "train") & (corpus.table["emotion"] == "sad")
    poor = replace(corpus, table=corpus.table[~silent])
    with pytest.raises(InputError, match="no training utterance of sad"):
        label_evidence(table, poor, tokens)


def mixing(corpus, tokens, w_cue=0.8, **options):
    """Answers of a model that weighs the classifier's evidence, from audio that it half knows."""
    table = answers(corpus, tokens, templates=["plain"], **options)
    evidence = label_evidence(table, corpus, tokens).table
    columns = [f"p_{label}" for label in corpus.labels]
    said = of(evidence, "audio", corpus.labels) + w_cue * of(evidence, "tokens", corpus.labels)
    table.loc[table["condition"] != "none", columns] = softmax(said, axis=1)
    return table


@pytest.fixture(scope="module")
def speakers():
    """Three in four of 16 speakers to train, and words that tell something."""
    corpus = example_corpus(speakers=16, utterances=30, labels=3)
    place = corpus.table["speaker"].str[1:].astype(int)
    partition = np.where(place < 12, "train", "test")
    corpus = replace(corpus, table=corpus.table.assign(partition=partition))
    rng = np.random.default_rng(2)
    code = corpus.table["emotion"].map(list(corpus.labels).index).to_numpy()[:, None]
    drawn = rng.integers(0, 3, (len(code), 3))
    level = np.where(rng.random(drawn.shape) < 0.4, code, drawn)
    words = np.array(["low", "mid", "high"], dtype=object)[level]
    return corpus, pd.DataFrame(words, corpus.table.index, CONCEPTS[:3])


def test_the_share_does_not_follow_the_penalty_of_the_classifier(speakers, monkeypatch):
    """The same answers at C from 100 to .01: it moved from .22 to .77 without a temperature."""
    corpus, tokens = speakers
    table, shares = mixing(corpus, tokens), []
    for c in (100.0, 1.0, 0.01):
        monkeypatch.setitem(fit_token_classifier.__kwdefaults__, "complexities", (c,))
        evidence = label_evidence(table, corpus, tokens)
        shares.append(reliance(evidence, corpus.labels, response="probability")["share"].iloc[0])
    assert np.ptp(shares) < 0.02
    assert shares == pytest.approx([0.8 / 1.8] * 3, abs=0.02)


def test_a_tighter_classifier_gives_the_same_share(speakers, monkeypatch):
    """Ten thousand times the precision moves no share by a millionth."""
    corpus, tokens = speakers
    table = mixing(corpus, tokens)
    found = reliance(label_evidence(table, corpus, tokens), corpus.labels)["share"]
    tight = partial(LogisticRegression, class_weight="balanced", tol=1e-12, max_iter=100_000)
    monkeypatch.setattr("sercue.statistics.baselines._logistic", lambda c: tight(C=c))
    again = reliance(label_evidence(table, corpus, tokens), corpus.labels)["share"]
    np.testing.assert_allclose(found, again, atol=1e-6)


def test_influence_of_training_speakers_is_that_of_refits_without_them(speakers):
    """The jackknife's standard error by whole fits of what the other classifiers say."""
    corpus, tokens = speakers
    evidence = label_evidence(mixing(corpus, tokens), corpus, tokens)
    fit = fit_evidence(evidence, corpus.labels, response="probability")
    assert len(fit.influence) == 4 + 12
    assert sorted(evidence.groups) == sorted(corpus.rows("train")["speaker"].unique())
    columns = [f"tokens_{label}" for label in corpus.labels]
    for said, influence in zip(evidence.left_out, fit.influence[4:], strict=True):
        told = evidence.table.assign(**dict(zip(columns, said[evidence.shown].T, strict=True)))
        other = fit_evidence(told, corpus.labels, response="probability").weights
        np.testing.assert_allclose(influence, np.sqrt(11 / 12) * (fit.weights - other), atol=1e-3)


def test_speakers_in_both_roles_have_one_influence(folded, tokens):
    """Of answers and of training, summed before they are squared: six speakers, six terms."""
    evidence = label_evidence(mixing(folded, tokens), folded, tokens)
    fit = fit_evidence(evidence, folded.labels, response="probability")
    apart = fit_evidence(replace(evidence, groups={}), folded.labels, response="probability")
    order = [evidence.groups[name] for name in sorted(evidence.groups)]
    own, trained = apart.influence[:6], apart.influence[6:]
    np.testing.assert_allclose(fit.influence[order], own + trained[order])
    assert (fit.df <= 5).all()


def test_one_training_speaker_leaves_the_error_of_the_classifier_open(speakers):
    """Weights, and no interval that claims to hold it."""
    corpus, tokens = speakers
    kept = corpus.table.query("partition == 'test' or speaker == 's0'")
    alone = replace(corpus, table=kept)
    evidence = label_evidence(answers(alone, tokens.loc[kept.index]), alone, tokens)
    found = reliance(evidence, corpus.labels).iloc[0]
    assert found[["w_audio", "w_cue"]].notna().all()
    assert np.isnan(found["low"])
    assert found["reason"].startswith("too few training speakers")
