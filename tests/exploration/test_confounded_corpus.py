"""From recordings to reports: a corpus of 29 uneven speakers who mostly have one class each."""

import audiofile
import numpy as np
import pytest
from cells import execute
from made_material import confounded_corpus
from made_studies import HashModel

from sercue.run import Run
from sercue.settings import Settings
from sercue.tables.conclusions import binning_conclusions
from sercue.tables.findings import corpus_findings

CLAIMS = ("varies most with", "functionals differ between the emotions at", "bits", "ω² =")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Read, partitioned and measured as any corpus; each voice has a pitch and loudness."""
    folder = tmp_path_factory.mktemp("confounded")
    table = confounded_corpus(crossed=3).table.reset_index()
    table = table.groupby("emotion").sample(30, random_state=1)
    rng, time = np.random.default_rng(0), np.arange(9600) / 16000
    for name, speaker in zip(table["file"], table["speaker"], strict=True):
        voice = np.random.default_rng(int(speaker[1:]))
        phase = 2 * np.pi * np.cumsum(voice.uniform(90, 250) + 20 * np.sin(9 * time)) / 16000
        vowel = sum(np.sin(k * phase) / k for k in range(1, 15))
        signal = voice.uniform(0.02, 0.2) * vowel + 0.002 * rng.normal(size=len(time))
        audiofile.write(str(folder / name), signal.astype("float32"), 16000)
    table[["file", "emotion", "speaker"]].to_csv(folder / "corpus.csv", index=False)
    keys = {"corpus": "table", "corpus_root": str(folder / "corpus.csv")}
    keys |= {"templates": ["plain"], "label_orders": 1, "replicates": 1, "resamples": 200}
    made = Run(Settings(study="confounded", out=str(folder / "out"), controls=False, **keys))
    # Its answers tell nothing: whatever is claimed of them is claimed in error.
    made.__dict__["model"] = HashModel()
    return made


@pytest.fixture(scope="module")
def shown(cache, run, figures_unsaved):
    return {number: execute(number, run) for number in ("01", "02", "04", "05")}


def test_what_the_corpus_cannot_tell_is_a_sentence_in_place_of_a_figure(shown):
    """Effects of concepts and functionals, and shares of variance; information of tokens."""
    reason = "found nothing that could be estimated"
    assert sum(reason in told for told in shown["01"].missing) == 3
    assert {"effects", "functionals", "variance"}.isdisjoint(shown["01"].figures)
    assert sum(reason in told for told in shown["02"].missing) == 1
    assert "information" not in shown["02"].figures


def test_the_summaries_begin_with_the_confounding_and_claim_nothing_of_the_emotion(shown, run):
    names = shown["01"].names
    first = corpus_findings(run.corpus, names["components"], run.tokens, **names["found"])
    second = binning_conclusions(run)
    for told in (first, second):
        assert told[0].startswith("Emotion and speaker are confounded: ")
        assert not [line for line in told for claim in CLAIMS if claim in line]
    assert any("rests on these few" in line for line in first)
    assert any("`fold: all`" in line for line in first)


def test_the_answer_begins_with_the_confounding_and_claims_no_gain_and_no_use(shown, run):
    """In 04, 05 and on the index; few degrees of freedom are no reason for it to go missing."""
    name, told = next(iter(run.answer.items()))
    assert name == "Caution"
    assert told.startswith("Emotion and speaker are confounded: ")
    text = " ".join(run.answer.values())
    assert not [claim for claim in ("raises UAR", "raise UAR", "the model uses") if claim in text]
    assert "Inconclusive contrasts" in run.answer
    for number in ("04", "05"):
        assert "<b>Caution.</b> Emotion and speaker are" in shown[number].results[0].data
