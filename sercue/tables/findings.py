"""Sentences from numbers: what a study found, and no more than it found."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from sercue.corpora.corpus import Corpus
from sercue.corpora.corpus_check import home_column, homes
from sercue.tables.printed import rounded, with_interval, with_minus

#: Below so many speakers intervals are so wide that a reader should be told why.
FEW_SPEAKERS = 20
#: Of p-values corrected for the family.
LEVEL = 0.05
_SHOWN = ["w_audio", "w_audio_low", "w_audio_high", "w_cue", "w_cue_low", "w_cue_high",
          "share", "low", "high"]  # fmt: skip
_VERDICTS = {
    1: "the model makes use of the cues in the prompt",
    -1: "the cues in the prompt harm the model",
    0: "this is inconclusive, since the interval includes zero",
}
_PRIOR_VERDICTS = _VERDICTS | {
    1: "the same tokens for every utterance help the model, whatever they say",
    -1: "this may be an effect of the block or of its words, which can suggest a class",
}


def corpus_findings(
    corpus: Corpus,
    components: pd.DataFrame,
    scores: pd.DataFrame,
    *,
    effects: pd.DataFrame | None = None,
    clusters: pd.DataFrame | None = None,
    agreement: pd.DataFrame | None = None,
) -> list[str]:
    """What notebook 01 found.

    Args:
        corpus: the corpus
        components: ``variance_components`` of the concept scores
        scores: concept scores, one row per utterance
        effects: ``emotion_effects`` of the functionals, if they were tested
        clusters: ``functional_clusters``, if there are any
        agreement: ``praat_agreement``, if Praat was asked
    """
    unmeasured = int(scores.isna().any(axis=1).sum())
    sentences = [
        _size(corpus),
        f"{unmeasured} utterances have at least one concept that could not be measured; its "
        "token is 'unknown'.",
    ]
    measured = {} if agreement is None else agreement.query("utterances > 2").to_dict("index")
    if "F0" in measured:
        row = measured["F0"]
        bias, low, high = (f"{row[x]:+.2f}".replace("-", "−") for x in ("bias", "low", "high"))
        sentences.append(
            f"openSMILE's median F0 differs from Praat's by {bias} semitones on average, with "
            f"95% limits of agreement from {low} to {high}; {row['gross']:.0%} of "
            f"{int(row['utterances'])} utterances differ by more than half an octave."
        )
    if "HNR" in measured:
        rank = measured["HNR"]["rank_correlation"]
        sentences.append(
            f"HNR is scaled differently in the two programs; the rank correlation is {rank:.2f}."
        )
    if effects is not None:
        tested, found = int(effects["q"].notna().sum()), int((effects["q"] < LEVEL).sum())
        sizes = effects["omega_squared"].dropna()
        most = f"; most of all {sizes.idxmax()} (ω² = {sizes.max():.2f})" if len(sizes) else ""
        sentences.append(
            f"{found} of {tested} functionals differ between the emotions at a false discovery "
            f"rate of 5%, tested over {int(effects['speakers'].max())} speakers{most}."
        )
    known = components.dropna(subset=["emotion", "speaker"])
    if known.empty:
        sentences.append("In no concept can the emotion and the speaker be told apart.")
    else:
        emotion, speaker = known["emotion"], known["speaker"]
        voice = str(speaker.idxmax())
        sentences += [
            f"{str(emotion.idxmax()).capitalize()} varies most with emotion ({emotion.max():.0%} "
            f"of its variance), {emotion.idxmin()} least ({emotion.min():.0%}).",
            f"{voice.capitalize()} varies most with the speaker ({speaker.max():.0%} of its "
            f"variance, against {emotion[voice]:.0%} with emotion).",
        ]
    if clusters is not None:
        of_cluster = clusters["cluster"].value_counts()
        sentences.append(
            f"By rank correlation the {len(clusters)} functionals form {len(of_cluster)} clusters, "
            f"the largest of {of_cluster.max()}; {(of_cluster == 1).sum()} functionals are in a "
            "cluster of their own."
        )
    return sentences


def _size(corpus: Corpus) -> str:
    """How many utterances and speakers there are, by partition or fold, and how many are left out.

    Examples:
        >>> from sercue.corpora.corpus import example_corpus
        >>> _size(example_corpus())  # doctest: +NORMALIZE_WHITESPACE
        '12 utterances in 2 classes: train 4 utterances of 1 speaker, dev 4 utterances of 1 speaker,
         test 4 utterances of 1 speaker. No speaker is in two partitions.'
    """
    column = home_column(corpus)
    parts = [
        f"{'fold ' if corpus.folds else ''}{name} {len(rows)} utterances of "
        f"{(number := rows['speaker'].nunique())} speaker{'s' * (number > 1)}"
        for name in homes(corpus)
        if len(rows := corpus.table[corpus.table[column] == name])
    ]
    left_out = len(corpus.left_out)
    unused = f" Not used: {left_out} further utterance{'s' * (left_out > 1)}; a table says why."
    return (
        f"{len(corpus.table)} utterances in {len(corpus.labels)} classes: {', '.join(parts)}. "
        f"No speaker is in two {column}s." + unused * bool(left_out)
    )


def binning_findings(
    balance: pd.DataFrame,
    information: pd.DataFrame,
    stability: pd.DataFrame | None,
    designs: pd.DataFrame | None,
    own: pd.DataFrame | None,
    scores: pd.DataFrame,
    corpus: Corpus,
    partition: str,
) -> list[str]:
    """What notebook 02 found.

    Args:
        balance: as ``token_balance`` returns it
        information: as ``token_information`` returns it
        stability: as ``threshold_stability`` returns it, if a speaker can be left out
        designs: as ``compare_binnings`` returns them, if any can be compared
        own: as ``measure_binning`` returns it, of the study's own design, if it can be measured
        scores: of the ordinal concepts, one column for each
        corpus: the corpus
        partition: the evaluated partition
    """
    shares = balance[balance["partition"] == partition]
    fullest = shares.sort_values("share").iloc[-1]
    told = information[information["partition"] == partition].set_index("concept")["information"]
    sentences = [
        f"On the {partition} speakers the fullest bin is {fullest['concept']} = "
        f"{fullest['word']}, with {fullest['share']:.0%} of the utterances.",
        f"A single token carries from {with_minus(f'{told.min():.2f}')} bits ({told.idxmin()}) to "
        f"{told.max():.2f} bits ({told.idxmax()}) about the emotion, corrected for the bias of "
        "small samples.",
    ]
    if scores.shape[1] > 1 and not scores.corr("spearman").isna().any(axis=None):
        related = scores.corr("spearman").to_numpy()
        place = np.abs(np.tril(related, -1)).argmax()
        one, other = (scores.columns[n] for n in divmod(int(place), len(related)))
        sentences.append(
            f"The scores of {other} and {one} are the most closely related (correlation "
            f"{with_minus(f'{related.flat[place]:.2f}')}): if one token alone is replaced, "
            "the two contradict each other."
        )
    if stability is not None:
        left_out = stability[stability["left_out"] != "nobody"]
        moved = left_out.groupby("concept")["changed"].mean()
        unit = "fold" if corpus.folds else "training speaker"
        sentences.append(
            f"Leaving one {unit} out changes on average {moved.max():.1%} of the test tokens of "
            f"{moved.idxmax()}, the least stable concept."
        )
    if own is not None:
        row = own.iloc[0]
        sentences.append(
            f"On the {partition} speakers a classifier reaches UAR {row['tokens_uar']:.3f} from "
            f"the words of the design of this study ({own.index[0]}), and "
            f"{row['functionals_uar']:.3f} from all functionals."
        )
    if designs is not None:
        for name, row in designs[designs.index.str.contains(", without ")].iterrows():
            change, error = row["against_first"], row["against_first_se"]
            higher = "higher" if change > 0 else "lower"
            sentences.append(
                f"{'Out of fold' if corpus.folds else 'On held-out training speakers'}, the UAR "
                f"from tokens is {abs(change):.3f} {higher} without the nominal token "
                f"{str(name).partition(', without ')[2]} (standard error {error:.3f})."
            )
        uar, error = (designs[name].to_dict() for name in ("tokens_uar", "tokens_se"))
        best = max(uar, key=lambda name: uar[name])
        chosen = None if own is None else own.index[0]
        where = "Out of fold" if corpus.folds else "On held-out training speakers"
        beside = f"; that of this study has {uar[chosen]:.3f}" if chosen in uar else ""
        seen = (
            " In a cross-validation every speaker is evaluated: a design chosen by these numbers "
            "has seen them."
        )
        sentences.append(
            f"{where}, of {len(designs)} designs “{best}” has the highest UAR ({uar[best]:.3f}, "
            f"standard error {error[best]:.3f}){beside if chosen != best else ''}. The best of "
            f"several designs looks better than it is.{seen if corpus.folds else ''}"
        )
    return sentences


def prompting_findings(
    sensitivity: pd.DataFrame, tried: pd.DataFrame, corpus: Corpus, partition: str
) -> list[str]:
    """What notebook 03 found.

    Args:
        sensitivity: UAR by condition, template and label order, as ``uar_by`` returns it
        tried: predictions of the same prompts by each decoding that the model can do
        corpus: the corpus
        partition: the partition on which the prompts were tried
    """
    where = f"The prompts were tried out on {tried['utterance'].nunique()} utterances"
    groups = sensitivity.groupby("condition")["uar"]
    lowest, highest = groups.min(), groups.max()
    wide = str((highest - lowest).idxmax())
    scored, generated = (tried[tried["decoding"] == name] for name in ("score", "generate"))
    sentences = [
        f"{where}. In a cross-validation every speaker is evaluated, those heard here among them: "
        "choose no wording by these numbers."
        if corpus.folds
        else f"{where} of the {partition} partition.",
        f"Between wordings and label orders, UAR ranges from {lowest[wide]:.3f} to "
        f"{highest[wide]:.3f} under {wide}, where it varies most.",
        f"{1 - generated['valid'].mean():.1%} of the {len(generated)} generated answers are "
        f"invalid{_reasons(generated)}. They count as wrong.",
    ]
    if scored.empty:
        return [*sentences, "The model's server gives no likelihoods of labels."]
    cell = ["utterance", "condition", "replicate", "template", "label_order"]
    both = scored.merge(generated, on=cell, suffixes=("_score", "_generate"), validate="1:1")
    same = (both["prediction_score"] == both["prediction_generate"]).mean()
    return [
        *sentences,
        f"Greedy decoding and label likelihood agree in {same:.1%} of the same prompts.",
        f"The label words together take {scored['label_mass'].mean():.1%} of the probability of "
        "the answer on average; the rest goes to other words.",
    ]


def invalid_answers(predictions: pd.DataFrame) -> str:
    """How many answers are invalid, and why; empty if none is.

    Args:
        predictions: as ``run_study`` returns them

    Examples:
        >>> why = ["names no label", None, None, None]
        >>> invalid_answers(pd.DataFrame({"valid": [False, True, True, True], "why_invalid": why}))
        '1 of 4 answers (25.0%) are invalid (names no label: 1) and count as wrong.'
    """
    invalid = ~predictions["valid"]
    if not invalid.any():
        return ""
    return (
        f"{invalid.sum():,} of {len(predictions):,} answers ({invalid.mean():.1%}) are invalid"
        f"{_reasons(predictions)} and count as wrong."
    )


def _reasons(predictions: pd.DataFrame) -> str:
    counts = predictions["why_invalid"].value_counts()
    told = "; ".join(f"{why}: {count:,}" for why, count in counts.items() if count)
    return f" ({told})" if told else ""


def study_findings(
    measures: pd.DataFrame, tests: pd.DataFrame, labels: int, training: str = ""
) -> list[str]:
    """The headline of a study in plain English, each number with its interval.

    Args:
        measures: as ``Run.measures`` gives them, with ``uar_low`` and ``uar_high``
        tests: as ``compare`` returns them
        labels: number of classes, for the chance level
        training: what is known of the corpus among the model's training data, a sentence

    Returns:
        sentences: the gain from aligned tokens, what perturbed tokens do, whether answers are
        concentrated in one class
    """
    table = measures.set_index("condition")
    levels = [
        f"{with_interval(row['uar'], row['uar_low'], row['uar_high'])} with {words}"
        for name, words in (("none", "the audio alone"), ("aligned", "aligned tokens"))
        for _, row in table[table.index == name].iterrows()
    ]
    first = f"UAR is {' and '.join(levels)} (chance {1 / labels:.3f})."
    gain = tests[(tests["condition"] == "aligned") & (tests["reference"] == "none")]
    gained = _gain(gain.iloc[0], len(tests)) if len(gain) else ""
    sentences = [" ".join(filter(None, (first, gained, training)))]
    for reference, words in (("aligned", "aligned tokens"), ("none", "the audio alone")):
        rows = tests[(tests["reference"] == reference) & (tests["condition"] != "aligned")]
        if rows.empty:
            continue
        told = [(str(row["condition"]), row["low"], row["high"]) for _, row in rows.iterrows()]
        lower = sum(direction(low, high) < 0 for _, low, high in told)
        flat = " and ".join(name for name, low, high in told if without_width(low, high))
        listed = "; ".join(f"{row['condition']} {_difference(row)}" for _, row in rows.iterrows())
        sentences.append(
            f"Against {words}, the uncorrected interval lies below zero for {lower} of {len(rows)} "
            f"perturbed conditions: {listed}.{_not_counted(f'That of {flat}') if flat else ''}"
        )
    answered = table[table["entropy"].notna() & ~table.get("baseline", False)]
    if len(answered):
        name = str(answered["commonest_share"].idxmax())
        row = answered.loc[name]
        sentences.append(
            f"Answers are most concentrated under {name}, where {row['commonest']} is "
            f"{row['commonest_share']:.0%} of them (normalised entropy {row['entropy']:.2f}; "
            "1 is an even spread, 0 a single class)."
        )
    rates = table["invalid_rate"]
    if rates.max() > 0:
        sentences.append(
            "Answers that are invalid, and count as wrong: "
            f"from {rates.min():.1%} to {rates.max():.1%} ({rates.idxmax()}), by condition."
        )
    return sentences + few_speakers(tests)


def format_prior_finding(table: pd.DataFrame) -> list[str]:
    """Whether a token block helps by itself: constant tokens first, then all perturbed ones.

    Args:
        table: as ``format_prior`` returns it

    Examples:
        >>> row = {"condition": "constant", "difference": 0.02, "low": 0.01, "high": 0.03}
        >>> table = pd.DataFrame([row | {"reference": "none", "holm_p": 0.001}])
        >>> print(format_prior_finding(table)[0].rpartition(": ")[2])
        the same tokens for every utterance help the model, whatever they say.
    """
    rows = [row for _, row in table.iterrows()]
    sentences = [
        "Format prior: under constant every utterance is shown the same tokens, and UAR is "
        f"compared with that of the audio alone. {_gain(row, len(rows), _PRIOR_VERDICTS)}"
        for row in rows
        if row["condition"] == "constant"
    ]
    if len(rows) == len(sentences):
        return sentences
    side = {
        str(row["condition"]): direction(row["low"], row["high"]) * (row["holm_p"] < LEVEL)
        for row in rows
    }
    above, below = ([name for name in side if side[name] == sign] for sign in (1, -1))
    told = [f"{len(names)} ({', '.join(names)})" if names else "0" for names in (above, below)]
    partly = any(name != "constant" for name in above)
    only = (
        " A gain is a format prior only where the tokens tell nothing about the utterance, not "
        "where they keep some of its own tokens or what these tell of its class."
    )
    return [
        *sentences,
        f"Of {len(rows)} conditions with perturbed tokens, UAR lies above that of the audio alone "
        f"for {told[0]} and below it for {told[1]} after Holm's correction within this family; "
        f"inconclusive: {len(rows) - len(above) - len(below)}.{only if partly else ''}",
    ]


def _gain(row: pd.Series, family: int, verdicts: Mapping[int, str] = _VERDICTS) -> str:
    difference = f"The difference is {_difference(row)}"
    if without_width(row["low"], row["high"]):
        return f"{difference}.{_not_counted('Its interval')}"
    side = direction(row["low"], row["high"])
    if side and row["holm_p"] >= LEVEL:
        return (
            f"{difference}: the uncorrected interval excludes zero, but after Holm's correction "
            f"for {family} contrasts this is inconclusive (p = {row['holm_p']:.3f})."
        )
    return f"{difference}: {verdicts[side]}."


def _difference(row: pd.Series) -> str:
    text = f"{row['difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"
    return text.replace("-", "−")


def _not_counted(interval: str) -> str:
    return f" {interval} has no width, since the few speakers agree by chance, and does not count."


def few_speakers(tests: pd.DataFrame) -> list[str]:
    """A reminder of how many speakers the intervals rest on, where they are few.

    Args:
        tests: as ``compare`` returns them
    """
    speakers = int(tests["speakers"].min()) if len(tests) else 0
    if not 0 < speakers < FEW_SPEAKERS:
        return []
    return [
        f"The intervals are wide, since they rest on {speakers} speakers: one that includes zero "
        "leaves the question open."
    ]


def direction(low: float, high: float) -> int:
    """The sign of a difference if its interval leaves no doubt about it, else 0.

    Examples:
        >>> direction(0.01, 0.2), direction(-0.1, 0.1), direction(-0.3, -0.1)
        (1, 0, -1)
        >>> direction(0.1, 0.1)
        0
    """
    return 0 if without_width(low, high) else int(low > 0) - int(high < 0)


def without_width(low: float, high: float) -> bool:
    """Whether an interval is one point off zero, which is no evidence, however narrow.

    Few speakers may differ by the same; resampled, they cannot differ by anything else.
    """
    return low == high != 0


def readable_collapse(table: pd.DataFrame) -> pd.DataFrame:
    """A table of collapse as a report prints it: one row per condition, its measures side by side.

    Args:
        table: as ``collapse_tests`` returns it

    Returns:
        DataFrame of text by ``condition``: the change of each measure with its interval, and
        ``no collapse``, whether it is shown for all of them
    """
    parts = [
        rounded(rows.set_index("condition")[["difference", "low", "high"]]).rename(
            columns={"difference": str(name).replace("_", " ")}
        )
        for name, rows in table.groupby("measure", sort=False)
    ]
    both = table.groupby("condition", sort=False)["no_collapse"].all()
    return pd.concat([*parts, rounded(both.to_frame("no collapse"))], axis=1)


def left_out_designs(designs: pd.DataFrame) -> str:
    """Which binning designs a corpus does not allow, and why; empty if it allows all.

    Args:
        designs: as ``compare_binnings`` returns them
    """
    names: dict[str, list[str]] = {}
    for name, reason in designs.attrs["left_out"].items():
        names.setdefault(reason, []).append(name)
    return " ".join(f"Left out: {', '.join(of)} ({reason})." for reason, of in names.items())


def readable_reliance(table: pd.DataFrame) -> pd.DataFrame:
    """A table of reliance as a report prints it: one row per group, the shares of both responses.

    Args:
        table: as ``study_reliance`` returns it
    """
    keys = ["by", "group"]
    by = {name: rows.set_index(keys) for name, rows in table.groupby("response", sort=False)}
    shown = by["probability"][_SHOWN].rename(columns={"share": "share (probability)"})
    chosen = by["choice"][_SHOWN[-3:]].add_prefix("choice ").loc[shown.index]
    chosen.columns = ["share (choice)", "share (choice)_low", "share (choice)_high"]
    shown = shown.rename(columns={n: f"share (probability)_{n}" for n in ("low", "high")})
    words = {"all": "all answers", "condition": "under {}", "truth": "true class {}"}
    printed = rounded(shown.join(chosen), digits=2)
    names = [words[kind].format(group) for kind, group in printed.index]
    return printed.set_axis(pd.Index(names, name="answers"))


def why_not_identified(table: pd.DataFrame) -> str:
    """Where a share is not identified, and why; an empty text if it is everywhere."""
    rows = table[(table["reason"] != "") & (table["response"] == "probability")]
    return "".join(f" {row['group']}: {row['reason']}." for row in rows.to_dict("records"))


def reliance_finding(table: pd.DataFrame, confidence: float) -> str:
    """What the answers rest on, in a sentence that says no more than the interval does."""
    row = table[(table["by"] == "all") & (table["response"] == "probability")].iloc[0]
    if row["reason"]:
        return f"What the model relies on cannot be told: {row['reason']}."
    share = with_interval(row["share"], row["low"], row["high"]).replace("-", "−")
    return (
        f"Of the weight that the answers give to audio and tokens, the tokens have {share} "
        f"({confidence:.0%} interval over speakers; 0 is the audio alone, 1 the tokens alone). "
        f"This rests on all {row['rows']} answers with tokens to {row['utterances']} utterances: "
        "every main condition, wording, label order and replicate."
    )
