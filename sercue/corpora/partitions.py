"""Which speakers train, which develop, which test; and a fair sample of fewer utterances."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
import pandas as pd

from sercue.corpora.corpus import PARTITIONS
from sercue.errors import InputError, unknown

#: Of fewer, less than two speakers would train or test.
FEWEST = 5
SHARES: Mapping[str, float] = {"train": 0.5, "dev": 0.15, "test": 0.35}


def divided(rows: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Rows with a partition for each speaker; of fewer than five speakers, with folds instead.

    Intervals are taken over the evaluated speakers, so that there must be two at least, and
    thresholds are compared between training speakers. Of two to four speakers, all are evaluated:
    each is a fold, tested on with the others to train, unless the rows have folds of their own.

    Args:
        rows: ``speaker``, and where known ``sex`` and ``fold``, one row per utterance
        seed: of the random order of the speakers

    Returns:
        the rows with ``partition``, and with ``fold`` where all of them are in ``test``

    Raises:
        InputError: if there are fewer than two speakers, or if a speaker has two sexes

    Examples:
        >>> divided(pd.DataFrame({"speaker": ["OAF", "OAF", "YAF"]}))
          speaker partition       fold
        0     OAF      test  speaker 1
        1     OAF      test  speaker 1
        2     YAF      test  speaker 2
    """
    drawn = speaker_partition(rows["speaker"], rows.get("sex"), seed=seed)
    if rows["speaker"].nunique() >= FEWEST:
        return rows.assign(partition=drawn)
    # Numbers, since pseudonyms leave the names of folds as they are.
    names = {name: f"speaker {n}" for n, name in enumerate(sorted(set(rows["speaker"])), 1)}
    return rows.assign(partition="test", fold=rows.get("fold", rows["speaker"].map(names)))


def speaker_partition(
    speakers: pd.Series,
    sex: pd.Series | None = None,
    shares: Mapping[str, float] = SHARES,
    seed: int = 0,
) -> pd.Series:
    """Assign whole speakers to partitions, at random, balanced by sex where it is known.

    Shares count speakers, not utterances, because the speaker is the unit of resampling. Every
    partition with a share gets at least one speaker if there are enough; of two speakers one
    trains and one tests. The result depends on the seed and on who the speakers are, not on the
    order or number of their utterances.

    Args:
        speakers: the speaker of each utterance
        sex: the sex of the speaker of each utterance, in the same order
        shares: the share of the speakers that each partition gets; normalised to sum to one
        seed: of the random order of the speakers

    Returns:
        the partition of each utterance, indexed as ``speakers``

    Raises:
        InputError: if there are fewer than two speakers, if a speaker has two sexes, or if the
            shares are not valid

    Examples:
        >>> speaker_partition(pd.Series(["a", "a", "b", "c"]), seed=1).tolist()
        ['train', 'train', 'dev', 'test']
    """
    _check_shares(shares)
    sexes = _sex_of_each(speakers, sex)
    counts = speaker_counts(len(sexes), shares)
    words = [word for word in PARTITIONS for _ in range(counts[word])]
    order = _balanced_order(sexes, np.random.default_rng(seed))
    return speakers.map(dict(zip(order, words, strict=True))).rename("partition")


def speaker_counts(speakers: int, shares: Mapping[str, float] = SHARES) -> dict[str, int]:
    """How many speakers each partition gets: largest remainders, ties to the test partition.

    Examples:
        >>> speaker_counts(10)
        {'train': 5, 'dev': 1, 'test': 4}
        >>> speaker_counts(2)
        {'train': 1, 'dev': 0, 'test': 1}
    """
    total = sum(shares.values())
    quota = {part: speakers * shares.get(part, 0) / total for part in PARTITIONS}
    needed = ("train", "test") if speakers == 2 else PARTITIONS
    counts = {part: int(shares.get(part, 0) > 0 and part in needed) for part in PARTITIONS}
    for part in PARTITIONS:
        spare = speakers - sum(counts.values())
        counts[part] += max(0, min(int(quota[part]) - counts[part], spare))
    while sum(counts.values()) < speakers:
        behind = max(reversed(PARTITIONS), key=lambda part: quota[part] - counts[part])
        counts[behind] += 1
    return counts


def stratified_sample(table: pd.DataFrame, limit: int, seed: int = 0) -> pd.DataFrame:
    """At most ``limit`` utterances, in proportion to each emotion and to each speaker.

    Utterances are taken one by one: from the emotion that is furthest behind its share, and of
    that emotion from the speaker who is furthest behind; at random within that.

    Args:
        table: utterances with columns ``emotion`` and ``speaker``
        limit: number of utterances to keep
        seed: of the random choice

    Returns:
        the chosen rows, in their order in ``table``
    """
    if limit >= len(table):
        return table
    shuffled = _shuffled_positions(table, seed)
    stacks: dict[tuple[str, str], list[int]] = {}
    for emotion, speaker, position in shuffled[["emotion", "speaker", "position"]].to_numpy():
        stacks.setdefault((emotion, speaker), []).append(position)
    emotion_share = (table["emotion"].value_counts() / len(table)).to_dict()
    speaker_share = (table["speaker"].value_counts() / len(table)).to_dict()
    emotions: Counter[str] = Counter()
    speakers: Counter[str] = Counter()
    chosen: list[int] = []
    for step in range(1, limit + 1):
        emotion, speaker = max(
            (cell for cell, stack in stacks.items() if stack),
            key=lambda cell: (
                emotion_share[cell[0]] * step - emotions[cell[0]],
                speaker_share[cell[1]] * step - speakers[cell[1]],
            ),
        )
        chosen.append(stacks[emotion, speaker].pop())
        emotions[emotion] += 1
        speakers[speaker] += 1
    return table.iloc[sorted(chosen)]


def _shuffled_positions(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Rows in random order that does not depend on the order in which the table has them."""
    rows = table[["emotion", "speaker"]].reset_index()
    rows["position"] = np.arange(len(rows))
    rows = rows.sort_values([str(column) for column in rows if column != "position"])
    return rows.iloc[np.random.default_rng(seed).permutation(len(rows))]


def _sex_of_each(speakers: pd.Series, sex: pd.Series | None) -> pd.Series:
    pairs = pd.DataFrame({"speaker": speakers.to_numpy()})
    pairs["sex"] = "" if sex is None else sex.to_numpy()
    pairs = pairs.drop_duplicates()
    twice = pairs["speaker"][pairs["speaker"].duplicated()]
    if len(twice):
        raise InputError(f"sex: speaker {twice.iloc[0]!r} has more than one")
    if len(pairs) < 2:
        raise InputError(
            f"speakers: found {pairs['speaker'].tolist()}, "
            "valid are at least two, so that one can train and another test"
        )
    return pairs.set_index("speaker")["sex"].sort_index()


def _balanced_order(sexes: pd.Series, rng: np.random.Generator) -> list[str]:
    """A random order of the speakers in which each stretch has both sexes in proportion."""
    shuffled = sexes.iloc[rng.permutation(len(sexes))].rename("sex").reset_index()
    groups = shuffled.groupby("sex")["speaker"]
    shuffled["place"] = (groups.cumcount() + 0.5) / groups.transform("size")
    return shuffled.sort_values(["place", "sex"])["speaker"].tolist()


def _check_shares(shares: Mapping[str, float]) -> None:
    for part in shares:
        if part not in PARTITIONS:
            raise unknown("partition", part, PARTITIONS)
    if any(share < 0 for share in shares.values()) or sum(shares.values()) <= 0:
        raise InputError(f"shares: found {dict(shares)}, valid are numbers of 0 or more, not all 0")
