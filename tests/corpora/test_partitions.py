"""Speaker partitions and samples: invariants, by property."""

from itertools import permutations

import audformat
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_material import confounded_corpus
from scipy import stats

from sercue.corpora.corpus import PARTITIONS
from sercue.corpora.rows import divided, speaker_counts, speaker_partition, stratified_sample
from sercue.errors import InputError

SPEAKERS = st.lists(st.text("abcdef", min_size=1, max_size=3), min_size=2, max_size=60).filter(
    lambda names: len(set(names)) >= 2
)


@given(SPEAKERS, st.integers(0, 2**32), st.randoms())
def test_partition_does_not_depend_on_the_order_of_the_utterances(names, seed, random):
    # Reading files in another order, or all of them twice, must not move a speaker.
    speakers = pd.Series(names)
    partition = speaker_partition(speakers, seed=seed)
    home = dict(zip(names, partition, strict=True))
    shuffled = names * 2
    random.shuffle(shuffled)
    again = speaker_partition(pd.Series(shuffled), seed=seed)
    assert again.tolist() == [home[name] for name in shuffled]


@given(SPEAKERS, st.integers(0, 100))
def test_every_speaker_has_one_partition_and_every_partition_a_speaker(names, seed):
    speakers = pd.Series(names)
    partition = speaker_partition(speakers, seed=seed)
    assert (partition.groupby(speakers).nunique() == 1).all()
    expected = {"train", "dev", "test"} if len(set(names)) >= 3 else {"train", "test"}
    assert set(partition) == expected


@given(st.integers(2, 500))
def test_counts_add_up_and_keep_to_the_shares(speakers):
    counts = speaker_counts(speakers)
    assert sum(counts.values()) == speakers
    for part, share in {"train": 0.5, "dev": 0.15, "test": 0.35}.items():
        # Within one speaker of the quota, or two where the minimum of one takes from another.
        assert abs(counts[part] - share * speakers) <= (1 if speakers >= 7 else 2)


@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 1000))
def test_sexes_are_balanced_in_every_partition(women, men, seed):
    names = [f"f{i}" for i in range(women)] + [f"m{i}" for i in range(men)]
    sex = pd.Series([name[0] for name in names])
    partition = speaker_partition(pd.Series(names), sex=sex, seed=seed)
    for part in partition.unique():
        inside = sex[partition == part]
        expected = len(inside) * women / (women + men)
        # A stretch of an evenly spread order holds each kind to within one of its share.
        assert abs((inside == "f").sum() - expected) <= 1.5


UTTERANCES = st.tuples(*[st.integers(0, 9)] * 3).filter(any)


@given(st.lists(UTTERANCES, min_size=7, max_size=7), st.integers(0, 100))
def test_no_partition_of_all_that_there_are_is_better_balanced(numbers, seed):
    """Seven speakers can be parted in 7! / (4! 1! 2!) = 105 ways: each is tried."""
    counts = np.array(numbers)[:, np.any(numbers, axis=0)]
    speaker, emotion = (
        pd.Series(n.repeat(counts.ravel())) for n in np.indices(counts.shape).reshape(2, -1)
    )
    drawn = speaker_partition(speaker, emotion, seed=seed).groupby(speaker).first()
    both = np.hstack([counts, counts > 0])
    every = np.array(sorted(set(permutations(["train"] * 4 + ["dev"] + ["test"] * 2))))
    found = np.stack([(every == part) @ both for part in PARTITIONS], axis=1)
    needed = np.array([[1], [1], [2]])
    lacking = np.maximum(needed - found[:, :, counts.shape[1] :], 0).sum(axis=(1, 2))
    expected = np.broadcast_to(both.sum(axis=0) * np.array([[4], [1], [2]]) / 7, found.shape)
    chi_squared = stats.chisquare(found, expected, axis=1).statistic
    distance = (chi_squared / both.sum(axis=0)).sum(axis=1).round(6)
    (chosen,) = np.flatnonzero((every == drawn.to_numpy()).all(axis=1))
    best = distance[lacking == lacking.min()].min()
    assert (lacking[chosen], distance[chosen]) == (lacking.min(), best)


@pytest.mark.parametrize("seed", range(3))
def test_uneven_speakers_of_mostly_one_class_are_balanced(seed):
    """Drawn once, some class often lacks speakers to test, or has few utterances to train."""
    table = confounded_corpus(seed=seed).table
    speakers = table.groupby(["partition", "emotion"])["speaker"].nunique().unstack()
    assert speakers.notna().all(axis=None)
    assert speakers.loc["test"].min() >= 2
    shares = pd.crosstab(table["partition"], table["emotion"]) / 100
    assert shares.loc["train"].between(0.35, 0.65).all()
    assert shares.loc["test"].between(0.2, 0.5).all()


def test_where_speakers_are_alike_the_first_partition_is_kept():
    """Corpora that record all speakers alike, such as RAVDESS, keep the partition they had."""
    alone = pd.Series([f"{n:02}" for n in range(1, 25)])
    rows = pd.DataFrame([(name, label) for name in alone for label in "abcd"])
    once = speaker_partition(alone, seed=3).set_axis(alone)
    assert speaker_partition(rows[0], rows[1], seed=3).tolist() == rows[0].map(once).tolist()


def test_sexes_give_way_only_to_a_class_that_would_be_lacking():
    """Ten speakers leave one to dev, in turns of sex a woman; the class that she must have, one
    man alone could bring."""
    names = [f"f{n}" for n in range(5)] + [f"m{n}" for n in range(5)]
    rows = [(name, "a") for name in names] + [(name, "b") for name in names if name[0] == "m"]
    table = pd.DataFrame(rows, columns=["speaker", "emotion"])
    sex = table["speaker"].str[0]
    partition = speaker_partition(table["speaker"], table["emotion"], sex)
    assert sorted(set(table["emotion"][partition == "dev"])) == ["a", "b"]
    alike = speaker_partition(table["speaker"], sex=sex)
    women = alike[sex == "f"].groupby(table["speaker"]).first().value_counts()
    assert women["train"] in (2, 3)


def test_seed_matters():
    speakers = pd.Series([f"s{i}" for i in range(12)])
    assert len({tuple(speaker_partition(speakers, seed=seed)) for seed in range(20)}) > 15


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"speakers": ["a", "a"]}, r"found \['a'\], valid are at least two"),
        ({"speakers": ["a", "a", "b"], "sex": ["f", "m", "f"]}, "speaker 'a' has more than one"),
    ],
)
def test_invalid_arguments_are_named(arguments, message):
    series = {name: pd.Series(value) for name, value in arguments.items()}
    with pytest.raises(InputError, match=message):
        speaker_partition(**series)


ROWS = st.lists(st.tuples(st.sampled_from("xyz"), st.sampled_from("abcd")), min_size=1, max_size=80)


def labelled(rows):
    index = audformat.segmented_index([f"{i}.wav" for i in range(len(rows))])
    return pd.DataFrame(rows, columns=["emotion", "speaker"], index=index)


@given(ROWS, st.integers(1, 90), st.integers(0, 100))
def test_sample_has_the_size_and_keeps_emotions_in_proportion(rows, limit, seed):
    table = labelled(rows)
    sample = stratified_sample(table, limit, seed)
    assert len(sample) == min(limit, len(table))
    assert sample.index.is_unique
    assert sample.index.isin(table.index).all()
    shares = table["emotion"].value_counts(normalize=True)
    got = sample["emotion"].value_counts().reindex(shares.index, fill_value=0)
    # Taking from whoever is furthest behind never lets a class fall behind by more than one.
    assert (got - shares * len(sample)).abs().max() <= 1 + 1e-9


@given(ROWS, st.integers(1, 20), st.integers(0, 100))
def test_sample_does_not_depend_on_the_order_of_the_table(rows, limit, seed):
    table = labelled(rows)
    one = stratified_sample(table, limit, seed)
    other = stratified_sample(table.iloc[::-1], limit, seed)
    assert set(one.index) == set(other.index)


def test_sample_covers_all_speakers_when_it_can():
    table = labelled([(e, s) for e in "xyz" for s in "abcdef" for _ in range(5)])
    sample = stratified_sample(table, 6)
    assert sample["speaker"].value_counts().to_dict() == dict.fromkeys("abcdef", 1)
    assert sample["emotion"].value_counts().to_dict() == dict.fromkeys("xyz", 2)


def test_a_sample_of_a_crossed_corpus_is_crossed():
    """As many speakers as emotions: taken in turn, each speaker would lack one emotion."""
    table = labelled([(e, s) for e in "wxyz" for s in "abcd" for _ in range(8)])
    sample = stratified_sample(table, 100)
    counts = pd.crosstab(sample["emotion"], sample["speaker"]).to_numpy()
    assert set(counts.ravel()) == {6, 7}
    assert set(counts.sum(axis=0)) == set(counts.sum(axis=1)) == {25}


@pytest.mark.parametrize("speakers", [2, 3, 4, 5, 9])
def test_of_two_to_nine_speakers_each_is_a_fold(speakers):
    """Drawn, three at most would test: no p-value of three sign flips is below 2 / 2^3."""
    names = ["b", "a", "d", "c", *"efghi"][:speakers]
    rows = divided(pd.DataFrame({"speaker": names * 3}))
    assert set(rows["partition"]) == {"test"}
    folds = dict(zip(rows["speaker"], rows["fold"], strict=True))
    assert folds == {name: f"speaker {n}" for n, name in enumerate(sorted(names), 1)}


@pytest.mark.parametrize("speakers", range(10, 18))
def test_of_ten_speakers_or_more_four_train_and_four_test(speakers):
    rows = divided(pd.DataFrame({"speaker": [f"s{n}" for n in range(speakers)]}))
    assert "fold" not in rows
    assert {"train", "test"} <= set(rows["partition"])
    assert rows["partition"].value_counts()[["train", "test"]].min() >= 4


def test_few_speakers_keep_folds_of_their_own():
    rows = divided(pd.DataFrame({"speaker": list("abcd"), "fold": ["x", "x", "y", "y"]}))
    assert rows["fold"].tolist() == ["x", "x", "y", "y"]
