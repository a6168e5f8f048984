"""What limits the inference of a study, by name: its classes, its speakers, or their number."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd
from scipy import stats

from sercue.corpora.corpus import Corpus
from sercue.statistics.speakers import degrees_of_freedom
from sercue.tables.printed import bounded, percent

#: Below so many speakers intervals are so wide that a reader should be told why.
FEW_SPEAKERS = 20
#: Below so many speakers 2 / 2^speakers, the smallest p-value of sign flips, is above 0.002.
COARSE = 10
# Of a class: fewer utterances or speakers are named.
_FEW_UTTERANCES, _FEW_OF_CLASS = 10, 4
# Below this part of speakers - 1, degrees of freedom are named.
_UNEQUAL = 0.75


def limits(corpus: Corpus, partition: str = "test") -> list[str]:
    """Why intervals are wide or cannot be given, and which class or speaker it is.

    Named are classes that one speaker has, classes with fewer than 10 utterances or with fewer
    than 4 of the speakers, and speakers with more than a third of all utterances or of those of a
    class; of very few speakers, those with more than 1.5 times an equal part. What they do to
    intervals is told by ``degrees_of_freedom``. The number of speakers is named where it is below
    20, and below 10 the smallest p-value that flipping the signs of speakers can give, too.

    Args:
        corpus: of the study, with pseudonyms where the study asks for them
        partition: the evaluated one

    Returns:
        sentences; none where nothing is to be named

    Examples:
        >>> from sercue.corpora.corpus import example_corpus, select_fold
        >>> corpus = select_fold(example_corpus(speakers=6, utterances=10), "all")
        >>> print(limits(corpus)[-1].partition(";")[0])
        With 6 speakers a sign-flip test cannot give a p-value below 2/2^6 = .031
    """
    rows = corpus.rows(partition)
    if rows.empty:
        return []
    counts = pd.crosstab(rows["speaker"], rows["emotion"])
    counts = counts[[label for label in corpus.labels if label in counts]]
    totals, having = counts.sum(), (counts > 0).sum()
    few = (having > 1) & ((totals < _FEW_UTTERANCES) | (having < min(_FEW_OF_CLASS, len(counts))))
    sentences = []
    if alone := [
        f"class {label!r} has {partition} utterances from one speaker only "
        f"({counts[label].idxmax()}: {totals[label]} in all)"
        for label in counts.columns[having == 1]
    ]:
        sentences.append(
            f"No interval over speakers and no t test is possible, since {'; '.join(alone)}. "
            "Sign-flip tests are possible."
        )
    if rare := [
        f"{number} utterances from {speakers} speakers for {_classes(alike.index)} (one utterance "
        f"changes UAR by {bounded(1 / alike.iloc[0] / len(totals))})"
        for (number, speakers), alike in totals[few].groupby([totals, having], sort=False)
    ]:
        sentences.append(
            f"UAR weights all classes equally, but there are only {'; '.join(rare)}. The width of "
            "its intervals depends on this little material."
        )
    large = _large(counts.sum(axis=1), f"the {partition} utterances")
    for label in counts.columns[(having > 1) & ~few]:
        of_class = _large(counts[label], f"the {partition} utterances of class {label!r}")
        large |= {name: told for name, told in of_class.items() if name not in large}
    if large:
        sentences.append(f"{'; '.join(large.values())}.")
    df = degrees_of_freedom(counts.to_numpy())
    most = len(counts) - 1
    reach, usual = (round(stats.t.ppf(0.975, one), 1) for one in (max(df, 0.1), most))
    if 0 < df < _UNEQUAL * most and reach > usual:
        sentences.append(
            f"The intervals have {df:.1f} degrees of freedom, where {most + 1} speakers with "
            f"equally many utterances of each class would give {most}: a 95\u202f% interval "
            f"reaches {reach} standard errors to either side, instead of {usual}."
        )
    return sentences + _few_speakers(len(counts), corpus)


def _classes(labels: Iterable[object]) -> str:
    names = [repr(label) for label in labels]
    return f"each of the classes {', '.join(names)}" if len(names) > 1 else f"class {names[0]}"


def _large(counts: pd.Series, of: str) -> dict[str, str]:
    """The speakers who have a large part of some utterances, each with what is said of it."""
    counts = counts[counts > 0]
    part = counts / counts.sum()
    return {
        str(name): f"Speaker {name} has {percent(part[name])} of {of} "
        f"({counts[name]} of {counts.sum()})"
        for name in counts.index[part > max(1 / 3, 1.5 / len(counts))]
    }


def _few_speakers(speakers: int, corpus: Corpus) -> list[str]:
    sentences = []
    if speakers < FEW_SPEAKERS:
        sentences.append(
            f"All tests rest on {speakers} speakers: what is not significant is inconclusive."
        )
    if speakers < COARSE:
        everybody = corpus.table["speaker"].nunique()
        way_out = (
            "All speakers of the corpus are evaluated; only more of them could lower it."
            if everybody == speakers
            else f"With `fold: all`, all {everybody} speakers of the corpus are evaluated, with "
            "thresholds, classifiers and trained models fitted on the others."
        )
        sentences.append(
            f"With {speakers} speakers a sign-flip test cannot give a p-value below "
            f"2/2^{speakers} = {bounded(2 / 2**speakers)}; where that is too large for a "
            f"correction, t tests decide. {way_out}"
        )
    return sentences
