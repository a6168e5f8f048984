"""What identifies a corpus: a column more is another corpus, and none is the one that it was."""

import pandas as pd

from sercue.corpora.corpus import example_corpus
from sercue.study_corpus import listing_digest


def test_a_corpus_without_sentences_has_the_digest_that_it_always_had():
    """What earlier versions stored of it is still of the same corpus."""
    assert listing_digest(example_corpus()) == "399115531af58ac0"


def test_sentences_belong_to_what_a_corpus_says():
    """Which utterance is heard in place of another depends on them."""
    corpus = example_corpus()
    said = pd.Series(["1", "2"] * 6, corpus.table.index)
    first, second = (
        listing_digest(corpus.with_table(corpus.table.assign(sentence=sentences)))
        for sentences in (said, said[::-1].to_numpy())
    )
    assert len({first, second, listing_digest(corpus)}) == 3
