"""How many utterances of what, and what became of the others: counted by hand."""

from dataclasses import replace
from pathlib import Path

import audformat
import pandas as pd
import pytest

from sercue.corpora.corpus import Corpus
from sercue.corpora.corpus_check import corpus_counts, denominators

EMOTIONS = ("angry", "happy", "neutral")
HOMES = {"ann": "train", "bob": "train", "eve": "test", "joe": "test"}


@pytest.fixture
def corpus():
    """24 utterances: two speakers a partition, each with two of each emotion."""
    rows = [
        (emotion, speaker, home)
        for speaker, home in HOMES.items()
        for emotion in EMOTIONS
        for _ in range(2)
    ]
    index = audformat.segmented_index([f"{number}.wav" for number in range(24)])
    table = pd.DataFrame(rows, columns=["emotion", "speaker", "partition"], index=index)
    return Corpus("counted", Path(), table, EMOTIONS, "neutral", "none")


def test_counts_are_those_of_the_table(corpus):
    facts = pd.DataFrame({"seconds": 1.0}, index=corpus.table.index)
    counts = corpus_counts(corpus, facts)
    assert counts.index.name == "partition"
    assert counts.index.tolist() == ["train", "test", "all"]
    assert counts.loc["test"].to_dict() == pytest.approx(
        {"speakers": 2, "utterances": 12, "angry": 4, "happy": 4, "neutral": 4, "minutes": 0.2}
    )
    assert counts.loc["all", "utterances"] == 24
    assert "minutes" not in corpus_counts(corpus)


def test_counts_of_a_cross_validated_corpus_are_by_fold(corpus):
    sessions = corpus.table["speaker"].map({"ann": "1", "bob": "1", "eve": "2", "joe": "10"})
    counts = corpus_counts(
        replace(corpus, table=corpus.table.assign(fold=sessions, partition="test"))
    )
    assert counts.index.name == "fold"
    assert counts["utterances"].to_dict() == {"1": 12, "2": 6, "10": 6, "all": 24}
    assert counts["speakers"].tolist() == [2, 1, 1, 4]


def test_every_utterance_is_accounted_for(corpus):
    """Left out twice over, some of them before they had a partition."""
    classes = pd.DataFrame(
        {"reason": "class not in the study", "detail": "sad"}, index=corpus.table.index[:3]
    )
    first = corpus.without(classes)
    unassigned = first.left_out.assign(partition=None)
    first = replace(first, left_out=unassigned)
    silent = pd.DataFrame({"reason": "silence", "detail": ""}, index=corpus.table.index[-2:])
    table = denominators(first.without(silent))
    assert table.T.to_dict("list") == {
        # utterances, train, test, no partition
        "listed": [24, 9, 12, 3],
        "left out: class not in the study": [3, 0, 0, 3],
        "left out: silence": [2, 0, 2, 0],
        "used": [19, 9, 10, 0],
    }
    assert (table.iloc[0] == table.iloc[1:].sum()).all()


def test_denominators_of_a_cross_validated_corpus_have_no_partitions(corpus):
    table = corpus.table.assign(fold=corpus.table["speaker"], partition="test")
    table = denominators(replace(corpus, table=table))
    assert table.columns.tolist() == ["utterances"]
    assert table["utterances"].to_dict() == {"listed": 24, "used": 24}
