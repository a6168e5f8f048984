"""What identifies the corpus of a study, and the pseudonyms that hide what it names.

A column more is another corpus, and none is the one that it was. Nothing that is written names a
recording or a speaker, and the owner finds both.
"""

import hashlib
import hmac

import pandas as pd
import pytest

from sercue.corpora.corpus import example_corpus, utterance_ids
from sercue.errors import InputError
from sercue.study_corpus import listing_digest, machine_key, pseudonymised, write_pseudonyms


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


@pytest.fixture
def corpus(tmp_path):
    corpus = example_corpus()
    gone = {"reason": "silence", "detail": "all zero"}
    return corpus.without(pd.DataFrame(gone, index=corpus.table.index[:1]))


def test_names_come_from_a_keyed_hash(corpus):
    """Against the standard library's HMAC; without the key nobody can compute them."""
    hidden = pseudonymised(corpus, b"key")
    digest = hmac.new(b"key", b"file s0_1.wav", hashlib.sha256).hexdigest()
    assert hidden.table.index[0][0] == f"u{digest[:12]}"
    digest = hmac.new(b"key", b"speaker s0", hashlib.sha256).hexdigest()
    assert hidden.table["speaker"].iloc[0] == f"s{digest[:6]}"
    other = pseudonymised(corpus, b"another key").table
    assert not set(other.index).intersection(hidden.table.index)


def test_no_name_is_left_and_every_path_is_known(corpus):
    hidden = pseudonymised(corpus, b"key")
    for own, new in ((corpus.table, hidden.table), (corpus.left_out, hidden.left_out)):
        text = new.reset_index().to_csv()
        assert not any(name in text for name in utterance_ids(own.index))
        assert not any(f",{speaker}," in text for speaker in set(own["speaker"]))
        for before, after in zip(own.index, new.index, strict=True):
            assert hidden.path(after[0]) == corpus.path(before[0])
    assert hidden.table["speaker"].nunique() == corpus.table["speaker"].nunique()
    same = ["emotion", "partition"]
    assert hidden.table[same].to_numpy().tolist() == corpus.table[same].to_numpy().tolist()


def test_a_part_of_the_corpus_has_the_same_pseudonyms(corpus):
    """A limit, or a notebook that runs alone, must not rename an utterance."""
    part = corpus.with_table(corpus.table.iloc[3:5])
    assert pseudonymised(part, b"key").table.equals(pseudonymised(corpus, b"key").table.iloc[3:5])


def test_segments_keep_their_times(corpus):
    index = corpus.table.index
    cut = index.set_levels(pd.to_timedelta(["1.5s"]), level="start", verify_integrity=False)
    hidden = pseudonymised(corpus.with_table(corpus.table.set_axis(cut)), b"key")
    assert (hidden.table.index.get_level_values("start") == pd.Timedelta("1.5s")).all()


def test_the_key_is_made_once_and_is_the_owners(tmp_path, monkeypatch):
    monkeypatch.setenv("SERCUE_CACHE", str(tmp_path))
    key = machine_key()
    assert len(key) == 32
    assert machine_key() == key
    assert (tmp_path / "pseudonyms.key").stat().st_mode & 0o077 == 0
    monkeypatch.setenv("SERCUE_CACHE", str(tmp_path / "other"))
    assert machine_key() != key


def test_a_key_cut_short_is_no_key(tmp_path, monkeypatch):
    monkeypatch.setenv("SERCUE_CACHE", str(tmp_path))
    (tmp_path / "pseudonyms.key").write_bytes(b"short")
    with pytest.raises(InputError, match=r"pseudonyms\.key: found 5 bytes, valid are 32"):
        machine_key()


def test_the_owner_can_look_a_pseudonym_up(corpus, tmp_path):
    hidden = pseudonymised(corpus, b"key")
    write_pseudonyms(hidden, corpus, tmp_path / "names" / "study.csv")
    table = pd.read_csv(tmp_path / "names" / "study.csv").set_index("pseudonym")
    for before, after in zip(corpus.table.index, hidden.table.index, strict=True):
        assert table.loc[after[0], "file"] == before[0]
    speakers = dict(zip(table["speaker_pseudonym"], table["speaker"], strict=True))
    assert sorted(speakers.values()) == sorted(corpus.table["speaker"].unique())
