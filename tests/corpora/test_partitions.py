"""Speaker partitions and samples: invariants, by property."""

import audformat
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sercue.corpora.rows import divided, speaker_counts, speaker_partition, stratified_sample
from sercue.errors import InputError

SPEAKERS = st.lists(st.text("abcdef", min_size=1, max_size=3), min_size=2, max_size=60).filter(
    lambda names: len(set(names)) >= 2
)


@given(SPEAKERS, st.integers(0, 2**32), st.randoms())
def test_partition_is_a_function_of_seed_and_speaker_alone(names, seed, random):
    # Reading files in another order, or more of them, must not move a speaker.
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
    partition = speaker_partition(pd.Series(names), sex, seed=seed)
    for part in partition.unique():
        inside = sex[partition == part]
        expected = len(inside) * women / (women + men)
        # A stretch of an evenly spread order holds each kind to within one of its share.
        assert abs((inside == "f").sum() - expected) <= 1.5


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
