"""What limits the inference of a study, by name: its classes, its speakers, or their number."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd
import scipy

from sercue.corpora.corpus import Corpus
from sercue.notation import bounded, percent
from sercue.statistics.effects import ENOUGH_CROSSED, Crossing
from sercue.statistics.speakers import degrees_of_freedom

#: Below so many speakers intervals are so wide that a reader should be told why.
FEW_SPEAKERS = 20
#: Below so many speakers 2 / 2^speakers, the smallest p-value of sign flips, is above 0.002.
COARSE = 10
# Of a class: fewer utterances or speakers are named.
_FEW_UTTERANCES, _FEW_OF_CLASS = 10, 4
# Below this part of speakers - 1, degrees of freedom are named.
_UNEQUAL = 0.75
# What rests on the partitions that are not evaluated.
_USES = {
    "train": "training partition, on which thresholds and classifiers are fitted",
    "dev": "dev partition, on which prompts are tried out",
}


def confounding(corpus: Corpus) -> list[str]:
    """That emotion cannot be told from speaker, where most speakers have one class only.

    Args:
        corpus: of the study

    Returns:
        one sentence or none

    Examples:
        >>> from sercue.corpora.corpus import example_corpus
        >>> corpus = example_corpus(speakers=4)
        >>> confounding(corpus)
        []
        >>> corpus.table["emotion"] = corpus.table["speaker"].map(
        ...     {"s0": "angry", "s1": "angry", "s2": "neutral", "s3": "neutral"}
        ... )
        >>> print(confounding(corpus)[0].partition(",")[0])
        Emotion and speaker are confounded: 4 of 4 speakers have utterances of one class only
    """
    crossing = Crossing.of(corpus.table["speaker"], corpus.table["emotion"])
    if not crossing.confounded:
        return []
    speakers, crossed = _with_several(crossing, corpus.table["speaker"].nunique()), crossing.crossed
    who = (
        f"{crossing.several - crossed} of {speakers} have utterances of one class only, and"
        if crossing.mostly_single
        else f"although {crossed} of {speakers} have utterances of two or more classes,"
    )
    withheld = (
        f" Variance shares and effects of emotion are not given: they need {ENOUGH_CROSSED} "
        f"speakers with two or more classes, and there {'is' if crossed == 1 else 'are'} {crossed}."
    )
    return [
        f"Emotion and speaker are confounded: {who} speakers account for "
        f"{percent(crossing.determined)} of the variance of class membership (0\u202f%: "
        "independent; 100\u202f%: the speaker determines the class). Differences between classes, "
        "in features, tokens or recalls, can therefore be differences between speakers."
        + withheld
        * crossing.too_few
    ]


def _with_several(crossing: Crossing, speakers: int, of: str = "") -> str:
    """How many speakers have two or more utterances, in words."""
    more = " with two or more utterances" if crossing.several < speakers else ""
    return f"{crossing.several} {of}speakers{more}"


def limits(corpus: Corpus, partition: str = "test", *, confounded: bool = True) -> list[str]:
    """Why intervals are wide or cannot be given, and which class or speaker it is.

    Named are, first, speakers who have one class only (``confounding``); classes that nobody or
    one speaker has, and classes with fewer than 10 utterances or with fewer than 4 of the speakers,
    in the evaluated partition and in the training partition (in the dev partition, with fewer than
    2); speakers with more than a third of all utterances or of those of a class (of very few
    speakers, with more than 1.5 times an equal part). What they do to intervals is told by
    ``degrees_of_freedom``. The number of speakers is named where it is below 20, and below 10 the
    smallest p-value that flipping the signs of speakers can give, too. Folds are suggested where
    they would help.

    Args:
        corpus: of the study, with pseudonyms where the study asks for them
        partition: the evaluated one
        confounded: whether ``confounding`` is told, first

    Returns:
        sentences; none where nothing is to be named

    Examples:
        >>> from sercue.corpora.corpus import example_corpus, select_fold
        >>> corpus = select_fold(example_corpus(speakers=6, utterances=10), "all")
        >>> print(limits(corpus)[-1].partition(";")[0])
        With 6 speakers a sign-flip test cannot give a p-value below 2/2^6 = .031
    """
    counts = _counts(corpus, partition)
    if counts.empty:
        return []
    one_class, fitted = _one_class_each(counts, partition), _fitted_on(corpus, partition)
    sentences = (confounding(corpus) if confounded else []) + one_class
    totals, having = counts.sum(), (counts > 0).sum()
    few = _few(counts) & (having > 1)
    if absent := list(counts.columns[having == 0]):
        sentences.append(
            f"The {partition} speakers have no utterance of {_classes(absent)}: no recall can be "
            "measured there."
        )
    if alone := [
        f"class {label!r} has {partition} utterances from one speaker only "
        f"({counts[label].idxmax()}: {totals[label]} in all)"
        for label in counts.columns[having == 1]
    ]:
        sentences.append(
            f"No interval over speakers and no t test is possible, since {'; '.join(alone)}. "
            "Sign-flip tests are possible."
        )
    if few.any():
        present = int((having > 0).sum())
        rare = [
            f"{told} (one utterance changes UAR by {bounded(1 / number / present)})"
            for told, number in _rare(counts.loc[:, few])
        ]
        sentences.append(
            f"UAR weights all classes equally, but there are only {'; '.join(rare)}. The width of "
            "its intervals depends on this little material."
        )
    present_counts = counts.loc[:, having > 0]
    large = _large(counts.sum(axis=1), f"the {partition} utterances")
    for label in counts.columns[(having > 1) & ~few]:
        of_class = _large(counts[label], f"the {partition} utterances of class {label!r}")
        large |= {name: told for name, told in of_class.items() if name not in large}
    if large:
        sentences.append(f"{'; '.join(large.values())}.")
    df = degrees_of_freedom(present_counts.to_numpy())
    most = len(counts) - 1
    reach, usual = (round(scipy.stats.t.ppf(0.975, one), 1) for one in (max(df, 0.1), most))
    if 0 < df < _UNEQUAL * most and reach > usual:
        sentences.append(
            f"The intervals have {df:.1f} degrees of freedom, where {most + 1} speakers with "
            f"equally many utterances of each class would give {most}: a 95\u202f% interval "
            f"reaches {reach} standard errors to either side, instead of {usual}."
        )
    more = _of_all(corpus, counts.loc[:, _few(counts)])
    helped = bool(more or one_class or fitted)
    return sentences + fitted + _few_speakers(len(counts), corpus, more, helped=helped)


def other_voices(partners: pd.DataFrame) -> list[str]:
    """For how many utterances swapped audio is that of another speaker, if for any.

    Args:
        partners: as ``audio_variants.partners`` returns them

    Examples:
        >>> told = other_voices(pd.DataFrame({"by": ["speaker", "sex"]}))
        >>> print(told[0].partition(";")[0])
        For 1 of 2 utterances, swapped audio is that of another speaker
    """
    others = 0 if partners.empty else int(partners["by"].isin(["sex", "any"]).sum())
    return [
        f"For {others} of {len(partners)} utterances, swapped audio is that of another speaker; "
        "their own has no utterance of another class. These answers can also follow the voice."
    ] * bool(others)


def other_folds(partners: pd.DataFrame, corpus: Corpus) -> list[str]:
    """For how many utterances swapped audio is that of another fold, if for any.

    Args:
        partners: as ``audio_variants.partners`` returns them
        corpus: of the study
    """
    if partners.empty or not corpus.folds:
        return []
    fold = corpus.table["fold"]
    heard = fold.loc[pd.Index(partners["partner"])].to_numpy()
    others = int((heard != fold.loc[partners.index].to_numpy()).sum())
    return [
        f"For {others} of {len(partners)} utterances, swapped audio is that of another fold: "
        "models that are trained here by fold may have heard it in training."
    ] * bool(others)


def _counts(corpus: Corpus, partition: str) -> pd.DataFrame:
    """Utterances of each speaker of a partition and each class, classes that nobody has too."""
    rows = corpus.rows(partition)
    counts = pd.crosstab(rows["speaker"], rows["emotion"])
    return counts.reindex(columns=list(corpus.labels), fill_value=0)


def _few(counts: pd.DataFrame, least: int = _FEW_OF_CLASS) -> pd.Series:
    """Which classes rest on few utterances, or on fewer than ``least`` of the speakers."""
    least = min(least, len(counts))
    return (counts.sum() < _FEW_UTTERANCES) | ((counts > 0).sum() < least)


def _rare(counts: pd.DataFrame) -> list[tuple[str, int]]:
    """Classes with as many utterances of as many speakers, and that number of utterances."""
    sizes = pd.DataFrame({"utterances": counts.sum(), "speakers": (counts > 0).sum()})
    told = []
    for _, alike in sizes.groupby(["utterances", "speakers"], sort=False):
        number, speakers = (int(size) for size in alike.iloc[0])
        sources = f"{_number(number, 'utterance')} from {_number(speakers, 'speaker')}"
        told.append((f"{sources} for {_classes(alike.index)}", number))
    return told


def _number(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _one_class_each(counts: pd.DataFrame, partition: str) -> list[str]:
    """On how many speakers each recall rests, where most speakers have one class only."""
    crossing = Crossing.of_counts(counts.to_numpy())
    if not crossing.mostly_single:
        return []
    having = (counts > 0).sum()
    each = ", ".join(f"{label} {number}" for label, number in having[having > 0].items())
    return [
        f"Of {_with_several(crossing, len(counts), f'{partition} ')}, "
        f"{crossing.several - crossing.crossed} have utterances of one class only: recalls of "
        f"different classes come from different speakers (by class: {each}), and UAR rests on "
        "these few."
    ]


def _fitted_on(corpus: Corpus, partition: str) -> list[str]:
    """Which classes are rare or absent where thresholds are fitted and prompts are tried out."""
    sentences = []
    for name in _USES if not corpus.folds else ():
        counts = _counts(corpus, name)
        if name == partition or counts.empty:
            continue
        present = counts.sum() > 0
        few = _few(counts, _FEW_OF_CLASS if name == "train" else _FEW_OF_CLASS // 2)
        told = [rare for rare, _ in _rare(counts.loc[:, few & present])]
        told[:1] = [f"only {first}" for first in told[:1]]
        if not present.all():
            told.append(f"none for {_classes(counts.columns[~present])}")
        if told:
            sentences.append(f"The {_USES[name]}, has {'; '.join(told)}.")
    return sentences


def _of_all(corpus: Corpus, rare: pd.DataFrame) -> list[str]:
    """What folds would give of classes that are rare: those with more speakers in the corpus."""
    rows = corpus.table[corpus.table["emotion"].isin(list(rare))]
    everywhere = pd.crosstab(rows["speaker"], rows["emotion"])
    everywhere = everywhere.reindex(columns=rare.columns, fill_value=0)
    more = [name for name in rare if (everywhere[name] > 0).sum() > (rare[name] > 0).sum()]
    return [told for told, _ in _rare(everywhere[more])] if more else []


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


def _few_speakers(speakers: int, corpus: Corpus, more: list[str], *, helped: bool) -> list[str]:
    """What few speakers do to tests, and what folds give: ``more`` of rare classes, if any."""
    sentences = []
    if speakers < FEW_SPEAKERS:
        sentences.append(
            f"Comparisons of conditions rest on {speakers} speakers: what is neither significant "
            "nor shown to be equivalent is inconclusive."
        )
    everybody = corpus.table["speaker"].nunique()
    told = f" ({'; '.join(more)})" if more else ""
    folds = (
        f"With `fold: all`, all {everybody} speakers of the corpus are evaluated{told}, with "
        "thresholds, classifiers and trained models fitted on the others."
    )
    if speakers < COARSE:
        way_out = (
            "All speakers of the corpus are evaluated; only more of them could lower it."
            if everybody == speakers
            else folds
        )
        sentences.append(
            f"With {speakers} speakers a sign-flip test cannot give a p-value below "
            f"2/2^{speakers} = {bounded(2 / 2**speakers)}; where that is too large for a "
            f"correction, t tests decide. {way_out}"
        )
    elif helped and everybody > speakers:
        sentences.append(folds)
    return sentences
