"""What a check says of a study is what the study then does."""

import pandas as pd
import pytest

from sercue.check.rehearsal import Rehearsal
from sercue.check.study import check_study, written_to_run
from sercue.corpora.inspection import inspect_audio
from sercue.features import extract_descriptors, extract_features
from sercue.run import Run
from sercue.study_corpus import listed_corpus


@pytest.fixture
def settings(study, tmp_path):
    """Sixteen wordings and conditions, of which some come out equal."""
    return study(
        long=None,
        conditions=["none", "aligned", "shuffled", "corrupted(0.5)", "masked(1)"],
        templates=["plain", "question"],
        labels={"angry": "angry", "neutral": "calm"},
        controls=False,
        out=str(tmp_path / "run"),
    )


def test_prompts_and_bytes_are_those_of_the_study(settings, tmp_path):
    """The count after merging is that of the different prompts about one recording; what is
    written is measured on a sample, and may be off by a half."""
    told = dict(check_study(settings, measure=True).rows)["prompts"]
    study = Run(settings)
    answers = study.predictions
    different = len(answers[["audio", "prompt"]].drop_duplicates())
    assert different < len(answers)
    assert told.endswith(f"= {len(answers)} prompts, {different} after merging equal ones")
    _ = study.prompting
    stored = [file.stat().st_size for file in (tmp_path / "run").rglob("part-*.parquet")]
    assert len(stored) == 3
    corpus = listed_corpus(settings)
    rehearsal = Rehearsal(
        settings, corpus, corpus, inspect_audio(corpus), tmp_path / "else", measured=False
    )
    assert sum(stored) / 1.5 < written_to_run(rehearsal)["answers"] < sum(stored) * 1.5


def test_features_of_a_rehearsal_are_made_up_until_they_are_extracted(
    settings, tmp_path, monkeypatch
):
    monkeypatch.setenv("SERCUE_CACHE", str(tmp_path / "cache"))
    corpus = listed_corpus(settings)
    rehearsal = Rehearsal(
        settings, corpus, corpus, inspect_audio(corpus), tmp_path / "else", measured=False
    )
    made = rehearsal._features(corpus)
    assert list(made) == settings.tokens.columns
    assert made.index.equals(corpus.table.index)
    rehearsal.extract(corpus.table)
    real = extract_features(corpus, progress=False)
    real = real.join(extract_descriptors(corpus, progress=False))
    pd.testing.assert_frame_equal(rehearsal._features(corpus), real)


def test_of_an_anonymised_study_the_same_is_counted(settings):
    """Who is exchanged with whom hangs on the names that the study knows, pseudonyms here."""
    hidden = settings.model_copy(update={"anonymise": True})
    told = dict(check_study(hidden, measure=True).rows)["prompts"]
    different = len(Run(hidden).predictions[["audio", "prompt"]].drop_duplicates())
    assert f" {different} after merging" in told


def test_errors_of_an_anonymised_study_name_the_owner_s_files(study):
    """Nobody finds a recording to mend by its pseudonym."""
    hidden = study(long=None, anonymise=True)
    assert "about 6.wav" in dict(check_study(hidden).rows)["context"]
