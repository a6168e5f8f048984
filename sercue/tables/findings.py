"""Sentences from numbers: what a study found, and no more than it found."""

from __future__ import annotations

import pandas as pd

from sercue.corpora.corpus import Corpus
from sercue.corpora.corpus_check import home_column, homes
from sercue.tables.printed import rounded, with_interval

#: Below so many speakers intervals are so wide that a reader should be told why.
FEW_SPEAKERS = 20
#: Of p-values corrected for the family.
LEVEL = 0.05
_SHOWN = ["w_audio", "w_audio_low", "w_audio_high", "w_cue", "w_cue_low", "w_cue_high",
          "share", "low", "high"]  # fmt: skip
_VERDICTS = {
    1: "the model makes use of the cues in the prompt",
    -1: "the cues in the prompt harm the model",
    0: "the interval holds zero, so this is no evidence of a difference, nor evidence that there "
    "is none",
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
        scores: concept scores, one row an utterance
        effects: ``emotion_effects`` of the functionals, if they were tested
        clusters: ``functional_clusters``, if there are any
        agreement: ``praat_agreement``, if Praat was asked
    """
    unmeasured = int(scores.isna().any(axis=1).sum())
    return [
        _size(corpus),
        f"{unmeasured} utterances have at least one concept that could not be measured; its "
        "token is 'unknown'.",
        *([] if agreement is None else _praat(agreement)),
        *([] if effects is None else [_differ(effects)]),
        *_shares(components),
        *([] if clusters is None else [_clustered(clusters)]),
    ]


def _shares(components: pd.DataFrame) -> list[str]:
    known = components.dropna(subset=["emotion", "speaker"])
    if known.empty:
        return ["In no concept can the emotion and the speaker be told apart."]
    by_emotion, by_speaker = known["emotion"], known["speaker"]
    most, least = str(by_emotion.idxmax()), str(by_emotion.idxmin())
    speaker = str(by_speaker.idxmax())
    return [
        f"Of the six concepts, {most} is most the emotion ({by_emotion[most]:.0%} of its "
        f"variance) and {least} least ({by_emotion[least]:.0%}).",
        f"The speaker is most of {speaker} ({by_speaker[speaker]:.0%}, against "
        f"{by_emotion[speaker]:.0%} for the emotion).",
    ]


def _differ(effects: pd.DataFrame) -> str:
    tested, found = int(effects["q"].notna().sum()), int((effects["q"] < 0.05).sum())
    sentence = (
        f"{found} of {tested} functionals differ between the emotions with a share of false "
        f"discoveries below 5%, tested over {int(effects['speakers'].max())} speakers"
    )
    sizes = effects["omega_squared"].dropna()
    if sizes.empty:
        return f"{sentence}."
    return f"{sentence}; most of all {sizes.idxmax()} (ω² = {sizes.max():.2f})."


def _praat(agreement: pd.DataFrame) -> list[str]:
    """F0 and HNR, one by its scale and one by its ranks, of what could be compared."""
    sentences = []
    measured = agreement[agreement["utterances"] > 2].to_dict("index")
    if "F0" in measured:
        row = measured["F0"]
        sentences.append(
            f"Against Praat, openSMILE's median F0 is {_signed(row['bias'])} semitones off on "
            f"average, 95% of the differences lie about from {_signed(row['low'])} to "
            f"{_signed(row['high'])}, and {row['gross']:.0%} of {int(row['utterances'])} "
            "utterances differ by more than half an octave."
        )
    if "HNR" in measured:
        rank = measured["HNR"]["rank_correlation"]
        sentences.append(f"HNR is on another scale there; its rank correlation is {rank:.2f}.")
    return sentences


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def _clustered(clusters: pd.DataFrame) -> str:
    sizes = clusters["cluster"].value_counts()
    return (
        f"By rank correlation the {len(clusters)} functionals form {len(sizes)} clusters, the "
        f"largest of {sizes.max()}; in {(sizes == 1).sum()} a functional stands alone."
    )


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
        corpus: the corpus
        partition: the evaluated partition
    """
    shares = balance[balance["partition"] == partition]
    fullest = shares.sort_values("share").iloc[-1]
    told = information[information["partition"] == partition].set_index("concept")["information"]
    return [
        f"On the {partition} speakers the fullest bin is {fullest['concept']} = "
        f"{fullest['word']}, with {fullest['share']:.0%} of the utterances.",
        f"One token tells at most {told.max():.2f} bits about the emotion ({told.idxmax()}), and "
        f"at least {told.min():.2f} ({told.idxmin()}), after correction for the bias of counts.",
        *([] if stability is None else [_stable(stability, corpus)]),
        *([] if own is None else [_own_design(own, partition)]),
        *([] if designs is None else [_best_design(designs, own, corpus)]),
    ]


def _stable(stability: pd.DataFrame, corpus: Corpus) -> str:
    left_out = stability[stability["left_out"] != "nobody"]
    moved = left_out.groupby("concept")["changed"].mean()
    unit = "fold" if corpus.folds else "training speaker"
    return (
        f"Leaving one {unit} out changes {moved.max():.1%} of the test tokens of "
        f"{moved.idxmax()} on average, and no more of any other concept."
    )


def _own_design(own: pd.DataFrame, partition: str) -> str:
    row = own.iloc[0]
    return (
        f"On the {partition} speakers a classifier reaches UAR {row['tokens_uar']:.3f} from the "
        f"six words of the design of this study ({own.index[0]}), and "
        f"{row['functionals_uar']:.3f} from all functionals."
    )


def _best_design(designs: pd.DataFrame, measured: pd.DataFrame | None, corpus: Corpus) -> str:
    """The best design beside that of the study, and what this may be used for."""
    own = "" if measured is None else str(measured.index[0])
    uar, error = (designs[name].to_dict() for name in ("tokens_uar", "tokens_se"))
    best = max(uar, key=lambda name: uar[name])
    where = "Out of fold" if corpus.folds else "On held-out training speakers"
    sentence = (
        f"{where}, of {len(designs)} designs {best} has the highest UAR ({uar[best]:.3f}, "
        f"standard error {error[best]:.3f})"
    )
    if own in uar and own != best:
        sentence += f"; that of this study has {uar[own]:.3f}"
    sentence += ". The best of many is flattered by the choice."
    if corpus.folds:
        sentence += (
            " Every speaker is evaluated in a cross-validation: a design chosen by these numbers "
            "has seen them."
        )
    return sentence


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
    groups = sensitivity.groupby("condition")["uar"]
    lowest, highest = groups.min(), groups.max()
    wide = str((highest - lowest).idxmax())
    scored, generated = (tried[tried["decoding"] == name] for name in ("score", "generate"))
    sentences = [
        _tried_on(tried["utterance"].nunique(), corpus, partition),
        f"Between wordings and label orders, UAR goes from {lowest[wide]:.3f} to "
        f"{highest[wide]:.3f} under {wide}, where it varies most.",
        f"{1 - generated['valid'].mean():.1%} of the {len(generated)} generated answers are "
        f"invalid{_reasons(generated)}. They count as wrong.",
    ]
    if scored.empty:
        return [*sentences, "The model's server tells no likelihoods of labels."]
    return [
        *sentences,
        f"Greedy decoding and label likelihood agree in {_agreement(scored, generated):.1%} of the "
        "same prompts.",
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


def _tried_on(utterances: int, corpus: Corpus, partition: str) -> str:
    if corpus.folds:
        return (
            f"The prompts were tried out on {utterances} utterances. In a cross-validation every "
            "speaker is evaluated, those heard here among them: choose no wording by these numbers."
        )
    return f"The prompts were tried out on {utterances} utterances of the {partition} partition."


def _agreement(scored: pd.DataFrame, generated: pd.DataFrame) -> float:
    """Share of the prompts with the same prediction by both decodings."""
    cell = ["utterance", "condition", "replicate", "template", "label_order"]
    both = scored.merge(generated, on=cell, suffixes=("_score", "_generate"), validate="1:1")
    return float((both["prediction_score"] == both["prediction_generate"]).mean())


def study_findings(measures: pd.DataFrame, tests: pd.DataFrame, labels: int) -> list[str]:
    """The headline of a study in plain English, each number with its interval.

    Args:
        measures: as ``Run.measures`` gives them, with ``uar_low`` and ``uar_high``
        tests: as ``compare`` returns them
        labels: number of classes, for the chance level

    Returns:
        sentences: the gain from aligned tokens, what perturbed tokens do, whether the answers
        gather in one class
    """
    table = measures.set_index("condition")
    sentences = [_levels(table, labels)]
    gain = _contrast(tests, "aligned", "none")
    if gain is not None:
        sentences[0] += " " + _gain(gain, len(tests))
    sentences += _losses(tests)
    sentences += _collapse(table) + _invalid(table)
    return sentences + few_speakers(tests)


def _invalid(table: pd.DataFrame) -> list[str]:
    rates = table["invalid_rate"]
    if not rates.max() > 0:
        return []
    where = f"from {rates.min():.1%} to {rates.max():.1%} ({rates.idxmax()}), by condition"
    return [f"Answers that are invalid, and count as wrong: {where}."]


def few_speakers(tests: pd.DataFrame) -> list[str]:
    """A reminder of how many speakers the intervals rest on, where they are few.

    Args:
        tests: as ``compare`` returns them
    """
    speakers = int(tests["speakers"].min()) if len(tests) else 0
    if not 0 < speakers < FEW_SPEAKERS:
        return []
    return [
        f"The intervals rest on {speakers} speakers, so that they are wide: "
        "what they leave open is open."
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


def _levels(table: pd.DataFrame, labels: int) -> str:
    shown = [
        f"{_uar(row)} with {words}"
        for name, words in (("none", "the audio alone"), ("aligned", "aligned tokens"))
        for _, row in table[table.index == name].iterrows()
    ]
    return f"UAR is {' and '.join(shown)} (chance {1 / labels:.3f})."


def _uar(row: pd.Series) -> str:
    return with_interval(row["uar"], row["uar_low"], row["uar_high"])


def _contrast(tests: pd.DataFrame, condition: str, reference: str) -> pd.Series | None:
    rows = tests[(tests["condition"] == condition) & (tests["reference"] == reference)]
    return rows.iloc[0] if len(rows) else None


def _difference(row: pd.Series) -> str:
    text = f"{row['difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"
    return text.replace("-", "−")


def _gain(row: pd.Series, family: int) -> str:
    if without_width(row["low"], row["high"]):
        return f"The difference is {_difference(row)}.{_not_counted('Its interval')}"
    side = direction(row["low"], row["high"])
    if side and row["holm_p"] >= LEVEL:
        return (
            f"The difference is {_difference(row)}: the interval excludes zero, but corrected for "
            f"the family of {family} contrasts this is no evidence (Holm p "
            f"{row['holm_p']:.3f})."
        )
    return f"The difference is {_difference(row)}: {_VERDICTS[side]}."


def _losses(tests: pd.DataFrame) -> list[str]:
    """What each perturbation does against aligned tokens and against no tokens."""
    sentences = []
    for reference, words in (("aligned", "aligned tokens"), ("none", "the audio alone")):
        rows = tests[(tests["reference"] == reference) & (tests["condition"] != "aligned")]
        if rows.empty:
            continue
        listed = "; ".join(f"{row['condition']} {_difference(row)}" for _, row in rows.iterrows())
        lower = [direction(row["low"], row["high"]) < 0 for _, row in rows.iterrows()]
        flat = [without_width(row["low"], row["high"]) for _, row in rows.iterrows()]
        named = " and ".join(rows.loc[flat, "condition"])
        sentences.append(
            f"Against {words}, the interval lies below zero for {sum(lower)} of {len(rows)} "
            f"perturbed conditions: {listed}.{_not_counted(f'That of {named}') if named else ''}"
        )
    return sentences


def _not_counted(interval: str) -> str:
    return f" {interval} has no width, since the few speakers agree by chance, and does not count."


def _collapse(table: pd.DataFrame) -> list[str]:
    answered = table[table["entropy"].notna() & ~table.get("baseline", False)]
    if answered.empty:
        return []
    name = str(answered["commonest_share"].idxmax())
    row = answered.loc[name]
    return [
        f"The answers are most gathered under {name}, where {row['commonest']} is "
        f"{row['commonest_share']:.0%} of them (normalised entropy {row['entropy']:.2f}; "
        "1 is an even spread, 0 a single class)."
    ]


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
    words = {"all": "all answers", "condition": "under {}", "truth": "of true {}"}
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
        f"({confidence:.0%} interval over speakers; 0 is the audio alone, 1 the tokens alone)."
    )
