"""How many utterances there are of what, and what became of those that are not used."""

from __future__ import annotations

import pandas as pd

from sercue.corpora.corpus import PARTITIONS, Corpus


def home_column(corpus: Corpus) -> str:
    """What keeps speakers apart: ``fold`` in a cross-validated corpus, else ``partition``.

    Examples:
        >>> from sercue.corpora.corpus import example_corpus
        >>> home_column(example_corpus())
        'partition'
    """
    return "fold" if corpus.folds else "partition"


def homes(corpus: Corpus) -> list[str]:
    """The folds, or the partitions that have utterances, in their order."""
    return corpus.folds or corpus.partitions


def corpus_counts(corpus: Corpus, facts: pd.DataFrame | None = None) -> pd.DataFrame:
    """Speakers and utterances by partition, or by fold of a cross-validated corpus.

    Args:
        corpus: the utterances
        facts: as ``inspect_audio`` returns them, if durations are wanted

    Returns:
        one row a partition or fold and, if there are several, one for ``all``; columns
        ``speakers``, ``utterances``, one an emotion and, with facts, ``minutes``

    Examples:
        >>> from sercue.corpora.corpus import example_corpus
        >>> corpus_counts(example_corpus(speakers=3, utterances=4)).loc["all"].to_dict()
        {'speakers': 3, 'utterances': 12, 'angry': 6, 'neutral': 6}
    """
    column, names = home_column(corpus), homes(corpus)
    groups = {name: corpus.table[corpus.table[column] == name] for name in names}
    if len(names) > 1:
        groups["all"] = corpus.table
    rows = {name: _counts(corpus, group, facts) for name, group in groups.items()}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(column)


def denominators(corpus: Corpus) -> pd.DataFrame:
    """What became of every utterance that the corpus lists: used, or left out for which reason.

    Args:
        corpus: the utterances, and those left out

    Returns:
        rows ``listed``, one a reason, ``used``: listed is the sum of all others. Column
        ``utterances`` and, unless the corpus is cross-validated, one a partition; those left out
        without a partition are in ``no partition``

    Examples:
        >>> from sercue.corpora.corpus import example_corpus
        >>> corpus = example_corpus(speakers=3, utterances=4, labels=2)
        >>> lost = corpus.table.index[:3]
        >>> denominators(corpus.without(pd.DataFrame({"reason": "silence", "detail": ""}, lost)))
                           utterances  train  dev  test
        listed                     12      4    4     4
        left out: silence           3      3    0     0
        used                        9      1    4     4
    """
    left_out = corpus.left_out
    reasons = left_out["reason"].value_counts()
    parts = {"listed": pd.concat([corpus.table[["partition"]], left_out[["partition"]]])}
    for reason in reasons.index:
        parts[f"left out: {reason}"] = left_out.loc[left_out["reason"] == reason, ["partition"]]
    parts["used"] = corpus.table[["partition"]]
    rows = {name: _by_partition(part["partition"]) for name, part in parts.items()}
    table = pd.DataFrame.from_dict(rows, orient="index")
    known = [] if corpus.folds else [name for name in PARTITIONS if table[name].any()]
    spare = ["no partition"] if known and table["no partition"].any() else []
    return table[["utterances", *known, *spare]]


def _counts(
    corpus: Corpus, group: pd.DataFrame, facts: pd.DataFrame | None
) -> dict[str, int | float]:
    emotions = group["emotion"].value_counts()
    row: dict[str, int | float] = {
        "speakers": group["speaker"].nunique(),
        "utterances": len(group),
        **{label: int(emotions.get(label, 0)) for label in corpus.labels},
    }
    if facts is not None:
        row["minutes"] = float(facts.loc[group.index, "seconds"].sum()) / 60
    return row


def _by_partition(partition: pd.Series) -> dict[str, int]:
    counts = {name: int((partition == name).sum()) for name in PARTITIONS}
    rest = len(partition) - sum(counts.values())
    return {"utterances": len(partition), **counts, "no partition": rest}
