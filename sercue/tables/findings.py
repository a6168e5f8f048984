"""Sentences from numbers: what a study found, and no more than it found."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from sercue.corpora.audio_variants import OWN, SILENT
from sercue.corpora.corpus import Corpus
from sercue.corpora.corpus_check import home_column, homes
from sercue.features import FEW_FRAMES
from sercue.notation import bounded, percent, shortest, signed, with_interval, with_minus
from sercue.statistics.praat_agreement import MEASURES, WEAK_CORRELATION, WEAK_GROSS
from sercue.tables.limits import confounding, limits
from sercue.tables.printed import rounded
from sercue.tokens.catalogue import with_own_audio
from sercue.tokens.concepts import UNKNOWN, Category, Concept
from sercue.tokens.condition import AT

#: Of p-values corrected for the family.
LEVEL = 0.05
_SHOWN = ["w_audio", "w_audio_low", "w_audio_high", "w_cue", "w_cue_low", "w_cue_high",
          "share", "low", "high"]  # fmt: skip


def corpus_findings(
    corpus: Corpus,
    components: pd.DataFrame,
    tokens: pd.DataFrame,
    *,
    voiced_frames: pd.Series | None = None,
    effects: pd.DataFrame | None = None,
    clusters: pd.DataFrame | None = None,
    agreement: pd.DataFrame | None = None,
    concepts: Sequence[Concept | Category] = (),
    kept: pd.DataFrame | None = None,
    partners: pd.DataFrame | None = None,
    partition: str = "test",
) -> list[str]:
    """What notebook 01 found: first whether emotion can be told from speaker, last the limits.

    Args:
        corpus: the corpus
        components: ``variance_components`` of the concept scores
        tokens: the true tokens, one row per utterance
        voiced_frames: their number in each utterance, NaN where it is too short, if they were
            counted
        effects: ``emotion_effects`` of the functionals, if they were tested
        clusters: ``functional_clusters``, if there are any
        agreement: ``praat_agreement``, if Praat was asked
        concepts: those of the scheme, of which it is said which rest on weak agreement
        kept: ``kept_tokens``, if other audio is heard
        partners: ``partners``, if audio is swapped
        partition: the evaluated one, whose limits are named
    """
    confounded = confounding(corpus)
    unmeasured = int((tokens == UNKNOWN).any(axis=1).sum())
    sentences = [
        *confounded,
        _size(corpus),
        f"{unmeasured} utterance{'s have' if unmeasured != 1 else ' has'} at least one concept "
        f"that could not be measured; its token is '{UNKNOWN}'."
        if unmeasured
        else "All concepts could be measured in all utterances.",
    ]
    if voiced_frames is not None:
        few, none = int((voiced_frames < FEW_FRAMES).sum()), int((voiced_frames == 0).sum())
        sentences.append(
            f"{few} utterances have fewer than {FEW_FRAMES} voiced frames ({none} with none): what "
            "is measured on voiced frames rests on almost nothing there. They are used like all "
            "others; consider dropping them."
            if few
            else f"No utterance has fewer than {FEW_FRAMES} voiced frames."
        )
    if agreement is not None:
        sentences += _agreement_findings(agreement, concepts)
    if effects is not None:
        sentences.append(_effects_finding(effects))
    known = components.dropna(subset=["emotion", "speaker"])
    if known.empty:
        sentences.append(
            "Which part of a concept's variance is due to the emotion and which to the speaker "
            "cannot be estimated: too few speakers have utterances of several classes."
        )
    else:
        emotion, speaker = known["emotion"], known["speaker"]
        voice = str(speaker.idxmax())
        sentences += [
            f"{emotion.idxmax()} varies most with emotion ({percent(emotion.max())} of its "
            f"variance, by variance components), {emotion.idxmin()} least "
            f"({percent(emotion.min())}).",
            f"{voice} varies most with the speaker ({percent(speaker.max())} of "
            f"its variance, against {percent(emotion[voice])} with emotion).",
        ]
    if clusters is not None:
        of_cluster = clusters["cluster"].value_counts()
        sentences.append(
            f"By rank correlation the {len(clusters)} functionals form {len(of_cluster)} clusters, "
            f"the largest of {of_cluster.max()}; {(of_cluster == 1).sum()} functionals are in a "
            "cluster of their own."
        )
    if kept is not None:
        sentences.append(_kept_finding(kept))
    if partners is not None and len(partners):
        sentences.append(_partners_finding(partners["by"]))
    return sentences + limits(corpus, partition, confounded=False)


def _effects_finding(effects: pd.DataFrame) -> str:
    """How many functionals differ, or that it cannot be told, and on how many speakers it rests."""
    tested, found = int(effects["q"].notna().sum()), int((effects["q"] < LEVEL).sum())
    speakers = int(effects["speakers"].max())
    if not tested:
        return (
            "Whether functionals differ between the emotions cannot be tested: the number of "
            f"speakers with utterances of two or more classes is {speakers}."
        )
    sizes = effects["omega_squared"].dropna()
    most = f"; most of all {sizes.idxmax()} (ω² = {bounded(sizes.max(), 2)})" if len(sizes) else ""
    return (
        f"{found} of {tested} functionals differ between the emotions at a false discovery "
        f"rate of {percent(LEVEL)}, tested over {speakers} speakers{most}."
    )


def _kept_finding(kept: pd.DataFrame) -> str:
    """How far the tokens of utterances still describe what is heard in their place."""
    told = []
    for variant, rows in kept.drop(OWN, level="audio").groupby(level="audio", sort=False):
        of = rows.droplevel("audio").dropna(subset="kept").sort_values("kept", kind="stable")
        heard, unknown = of[of["unknown"] < 1], list(of.index[of["unknown"] == 1])
        shares = [
            f"{bounded(row['kept'], 2)} ({bounded(row['by_chance'], 2)}) for {concept}"
            for concept, row in heard.iterrows()
        ]
        facts = [f"from {shares[0]} to {shares[-1]}" if len(shares) > 1 else "".join(shares)]
        facts += [f"{UNKNOWN} for {', '.join(map(str, unknown))}"] * bool(unknown)
        told.append(f"{variant}: {', '.join(filter(None, facts)) or UNKNOWN}")
    return (
        "Share of utterances whose token is also that of other audio, for the concepts with the "
        f"lowest and the highest share (in brackets: by chance): {'; '.join(told)}."
    )


def _partners_finding(by: pd.Series) -> str:
    """What utterances share with those that are heard in their place."""
    counts = by.value_counts(sort=False)
    words = {
        "speaker and sentence": "the same speaker and sentence",
        "speaker": "the same speaker",
        "sex": "another speaker of the same sex",
        "any": "any speaker",
    }
    told = [f"{number} of {words[str(name)]}" for name, number in counts.items() if number]
    if len(told) == 1:
        of = told[0].partition(" ")[2]
        return f"All {len(by)} swapped utterances are {of}, and of another class."
    return f"Swapped utterances are of another class, and {', '.join(told)} ({len(by)} in all)."


def _agreement_findings(
    agreement: pd.DataFrame, concepts: Sequence[Concept | Category]
) -> list[str]:
    """How well openSMILE agrees with Praat, and which tokens rest on what agrees weakly."""
    known = agreement[agreement["rank_correlation"].notna()]
    if known.empty:
        return ["openSMILE cannot be compared with Praat: too few utterances are voiced in both."]
    told = []
    for name, row in known.iterrows():
        facts = f"{name} (ρ = {bounded(row['rank_correlation'], 2)}"
        if pd.notna(row["gross"]):
            digits = 0 if row["unit"] == "Hz" else 2
            bias, low, high = (f"{row[limit]:+.{digits}f}" for limit in ("bias", "low", "high"))
            facts += f", bias {bias} [{low}, {high}] {row['unit']}, {percent(row['gross'])} gross"
        told.append(with_minus(f"{facts})"))
    fewest, most = known["utterances"].min(), known["utterances"].max()
    weak = known[(known["rank_correlation"] < WEAK_CORRELATION) | (known["gross"] > WEAK_GROSS)]
    sentences = [
        f"Agreement of openSMILE with Praat on {most if fewest == most else f'{fewest} to {most}'} "
        "utterances (Spearman's ρ; where both measure on one scale, Bland-Altman bias with "
        f"95\u202f% limits of agreement, and share of gross errors): {'; '.join(told)}.",
        f"Agreement is weak (ρ below {shortest(WEAK_CORRELATION)}, or more than "
        f"{percent(WEAK_GROSS)} gross "
        f"errors) for {', '.join(map(str, weak.index)) or 'none of them'}.",
    ]
    for concept in concepts:
        made_of = [str(name) for name in weak.index if MEASURES[str(name)].is_in(concept.columns)]
        if made_of:
            partly = any(
                not any(MEASURES[name].is_in([column]) for name in made_of)
                for column in concept.columns
            )
            sentences.append(
                f"The tokens of {concept.name} rest {'partly ' * partly}on {', '.join(made_of)}, "
                "on which two standard programs disagree: a token that does not fit the voice may "
                "be a measurement error rather than a cue."
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
        *confounding(corpus),
        f"On the {partition} speakers the fullest bin is {fullest['concept']} = "
        f"{fullest['word']}, with {percent(fullest['share'])} of the utterances.",
        f"There, a single token carries from {with_minus(f'{told.min():.2f}')} bits "
        f"({told.idxmin()}) to {with_minus(f'{told.max():.2f}')} bits ({told.idxmax()}) about the "
        "emotion, corrected for the bias of small samples (below 0 where it tells nothing)."
        if told.notna().all()
        else "How much a token tells about the emotion is not given: most "
        f"{partition} speakers have utterances of one class only, so that a token that tells the "
        "speaker tells the class.",
    ]
    if scores.shape[1] > 1 and not scores.corr("spearman").isna().any(axis=None):
        related = scores.corr("spearman").to_numpy()
        place = np.abs(np.tril(related, -1)).argmax()
        one, other = (scores.columns[n] for n in divmod(int(place), len(related)))
        sentences.append(
            f"The scores of {other} and {one} are the most closely related (correlation "
            f"{bounded(related.flat[place], 2)}): if one token alone is replaced, "
            "the two contradict each other."
        )
    if stability is not None:
        left_out = stability[stability["left_out"] != "nobody"]
        moved = left_out.groupby("concept")["changed"].mean()
        unit = "fold" if corpus.folds else "training speaker"
        sentences.append(
            f"Leaving one {unit} out changes on average {percent(moved.max(), 1)} of the test "
            f"tokens of {moved.idxmax()}, the least stable concept."
        )
    if own is not None:
        row = own.iloc[0]
        sentences.append(
            f"On the {partition} speakers a classifier reaches UAR {bounded(row['tokens_uar'])} "
            f"from the words of the design of this study ({own.index[0]}), and "
            f"{bounded(row['functionals_uar'])} from all functionals."
        )
    if designs is not None:
        for name, row in designs[designs.index.str.contains(", without ")].iterrows():
            change, error = row["against_first"], row["against_first_se"]
            higher = "higher" if change > 0 else "lower"
            sentences.append(
                f"{'Out of fold' if corpus.folds else 'On held-out training speakers'}, the UAR "
                f"from tokens is {bounded(abs(change))} {higher} without the nominal token "
                f"{str(name).partition(', without ')[2]} (standard error {bounded(error)}"
                + ("; inconclusive)." if abs(change) < 2 * error else ").")
            )
        uar, error = (designs[name].to_dict() for name in ("tokens_uar", "tokens_se"))
        best = max(uar, key=lambda name: uar[name])
        chosen = None if own is None else own.index[0]
        where = "Out of fold" if corpus.folds else "On held-out training speakers"
        beside = f"; that of this study has {bounded(uar[chosen])}" if chosen in uar else ""
        seen = (
            " In a cross-validation every speaker is evaluated: a design chosen by these numbers "
            "has seen them."
        )
        sentences.append(
            f"{where}, of {len(designs)} designs “{best}” has the highest UAR "
            f"({bounded(uar[best])}, standard error "
            f"{bounded(error[best])}){beside if chosen != best else ''}. The best of several "
            f"designs looks better than it is.{seen if corpus.folds else ''}"
        )
    return sentences


def prompting_findings(
    sensitivity: pd.DataFrame, tried: pd.DataFrame, corpus: Corpus, partition: str
) -> list[str]:
    """What notebook 03 found.

    Args:
        sensitivity: as ``wording_sensitivity`` returns it
        tried: predictions of the same prompts by each decoding that the model can do
        corpus: the corpus
        partition: the partition on which the prompts were tried
    """
    where = f"The prompts were tried on {tried['utterance'].nunique()} utterances"
    groups = sensitivity.groupby("condition", sort=False)["uar"]
    ranges = " and ".join(
        f"from {bounded(uar.min())} to {bounded(uar.max())} under {name}" for name, uar in groups
    )
    scored, generated = (tried[tried["decoding"] == name] for name in ("score", "generate"))
    invalid = percent(1 - generated["valid"].mean(), 1)
    sentences = [
        f"{where}. In a cross-validation every speaker is evaluated, including those heard here: "
        "no wording may be chosen by these numbers."
        if corpus.folds
        else f"{where} of the {partition} partition.",
        f"Across wordings and label orders, UAR ranges {ranges} (not tested).",
        f"{invalid} of the {len(generated)} generated answers are invalid{_reasons(generated)} and "
        "count as wrong.",
    ]
    if scored.empty:
        return [*sentences, "The server of the model returns no likelihoods of labels."]
    cell = ["utterance", "condition", "replicate", "template", "label_order"]
    both = scored.merge(generated, on=cell, suffixes=("_score", "_generate"), validate="1:1")
    same = (both["prediction_score"] == both["prediction_generate"]).mean()
    mass = percent(scored["label_mass"].mean(), 1)
    return [
        *sentences,
        f"Both decodings give the same answer to {percent(same, 1)} of the prompts.",
        f"On average, {mass} of the probability of an answer is on the label words; the rest is on "
        "other words.",
    ]


def prior_findings(corrected: pd.DataFrame, calibration: pd.DataFrame) -> list[str]:
    """What a correction for the label prior changes, and what none can change.

    Args:
        corrected: as ``corrected_uar`` returns it; of several sources the last counts
        calibration: as ``calibration`` returns it

    Returns:
        at most one entry of several sentences

    Examples:
        >>> ends = {"difference": 0.03, "low": 0.01, "high": 0.05, "gain": float("nan")}
        >>> row = {"source": "dev speakers", "condition": "none", "uar": 0.25, "corrected": 0.28}
        >>> area = {"condition": "none", "auroc": 0.55, "auroc_low": 0.51, "auroc_high": 0.59}
        >>> told = prior_findings(pd.DataFrame([row | ends]), pd.DataFrame([area]))
        >>> print(told[0].partition(". Whatever")[0])  # doctest: +NORMALIZE_WHITESPACE
        Corrected for the label prior (dev speakers; not tested), UAR is .280 instead of .250
        (+.030 [+.010, +.050]) with the audio alone
    """
    words = {"none": "with the audio alone", "aligned": "with aligned tokens"}
    source = corrected["source"].iloc[-1]
    rows = corrected[corrected["source"] == source].set_index("condition")
    told = [
        f"{bounded(row['corrected'])} instead of {bounded(row['uar'])} "
        f"({signed(row['difference'], row['low'], row['high'])}) {how}"
        for name, how in words.items()
        if name in rows.index
        for row in [rows.loc[name]]
    ]
    sentences = []
    if told:
        begins = f"Corrected for the label prior ({source}; not tested), UAR is"
        sentences.append(f"{begins} {' and '.join(told)}.")
    if "aligned" in rows.index and pd.notna(rows["gain"]["aligned"]):
        gain = signed(*rows.loc["aligned", ["gain", "gain_low", "gain_high"]])
        sentences.append(f"After this correction, the gain from aligned tokens is {gain}.")
    areas = calibration.set_index("condition")
    told = [
        f"{with_interval(*areas.loc[name, ['auroc', 'auroc_low', 'auroc_high']])} {how}"
        for name, how in words.items()
        if name in areas.index
    ]
    if told:
        sentences.append(
            "Whatever the label prior, pairs of classes are told apart with an AUROC of "
            f"{' and '.join(told)} (.5 is chance)."
        )
    return [" ".join(sentences)] if sentences else []


def silence_finding(intervals: pd.DataFrame, chance: float) -> list[str]:
    """What silence gives without tokens, where it was asked; nothing where it was not.

    Args:
        intervals: UAR by ``condition`` with ``low`` and ``high``
        chance: UAR of a guess

    Examples:
        >>> row = {"condition": ["none @ silent"], "uar": 0.4, "low": 0.3, "high": 0.5}
        >>> print(silence_finding(pd.DataFrame(row), 0.25)[0])  # doctest: +NORMALIZE_WHITESPACE
        Without tokens, with silence of the same length in place of the audio, UAR is .400 [.300,
        .500]; chance is .250. The length of an utterance tells something of its class.
    """
    rows = intervals[intervals["condition"] == f"none{AT}{SILENT}"].to_dict("records")
    return [
        "Without tokens, with silence of the same length in place of the audio, UAR is "
        f"{with_interval(row['uar'], row['low'], row['high'])}; chance is {bounded(chance)}."
        + " The length of an utterance tells something of its class."
        * bool(row["low"] > chance)
        for row in rows
    ]


def reading_raters() -> list[str]:
    """How to read the tables of distances to the raters, for a study that has them."""
    return [
        "The distance is the Jensen-Shannon distance between the distribution of the raters' "
        "choices and the probabilities of the model (0: the same, 1: nothing in common). *All "
        "labels equally* and *mean of the raters* are answers that are the same for all "
        "utterances. The mean is that of the evaluated utterances themselves, which makes it a "
        "strong reference.",
        "Tokens bring the probabilities nearer to the raters where *minus none* is below zero. A "
        "condition that is no nearer than the mean of the raters is no better a guess of their "
        "distribution than this mean; overconfidence alone can cause this, also in a model that "
        "tells the classes apart. With few raters, whose choices vary by chance, not even a model "
        "that knows how people in general would choose reaches 0.",
        "*Slope* is how much the effect of aligned instead of wrong tokens changes from full "
        "agreement to labels chosen equally often, among utterances of the same speaker (t tests, "
        "corrected for the two by Holm's method). Above zero, the tokens decide more where people "
        "are unsure. Some classes are rated with less agreement than others, which the slope does "
        "not separate.",
    ]


def invalid_answers(predictions: pd.DataFrame) -> str:
    r"""How many answers are invalid, and why; empty if none is.

    Args:
        predictions: as ``run_study`` returns them

    Examples:
        >>> why = ["names no label", None, None, None]
        >>> invalid_answers(pd.DataFrame({"valid": [False, True, True, True], "why_invalid": why}))
        '1 of 4 answers (25.0\u202f%) are invalid (names no label: 1) and count as wrong.'
    """
    invalid = ~predictions["valid"]
    if not invalid.any():
        return ""
    return (
        f"{invalid.sum():,} of {len(predictions):,} answers ({percent(invalid.mean(), 1)}) are "
        f"invalid{_reasons(predictions)} and count as wrong."
    )


def _reasons(predictions: pd.DataFrame) -> str:
    counts = predictions["why_invalid"].value_counts()
    told = "; ".join(f"{why}: {count:,}" for why, count in counts.items() if count)
    return f" ({told})" if told else ""


def readable_collapse(table: pd.DataFrame) -> pd.DataFrame:
    """A table of collapse as a report prints it: one row per condition, its measures side by side.

    Args:
        table: as ``collapse_tests`` returns it

    Returns:
        DataFrame of text by ``condition``: the change of each measure with its interval, and
        ``collapse ruled out``, whether it is for all of them
    """
    parts = [
        rounded(rows.set_index("condition")[["difference", "low", "high"]]).rename(
            columns={"difference": str(name).replace("_", " ")}
        )
        for name, rows in table.groupby("measure", sort=False)
    ]
    verdict = table.groupby("condition", sort=False)[["holm_p", "no_collapse"]].first()
    return pd.concat([*parts, rounded(verdict)], axis=1)


def readable_kept(kept: pd.DataFrame) -> pd.DataFrame:
    """A table of kept tokens as a report prints it: one row per concept.

    Args:
        kept: as ``kept_tokens`` returns it

    Returns:
        DataFrame by ``concept``: ``utterances`` whose own token is known and, as text, for each
        other audio the share of tokens that are kept, in brackets the share expected by chance,
        and the share that is unknown, if any is (``unknown`` alone if all are)
    """
    shares = kept[["kept", "by_chance", "unknown"]].itertuples(index=False)
    texts = [
        UNKNOWN
        if lost == 1
        else f"{bounded(share, 2)} ({bounded(chance, 2)})"
        + (f", {bounded(lost, 2)} {UNKNOWN}" if lost > 0 else "")
        for share, chance, lost in shares
    ]
    table = pd.Series(texts, kept.index).unstack("audio", sort=False).drop(columns=OWN)
    table.insert(0, "utterances", kept["utterances"].xs(OWN).astype(int))
    return table.rename_axis(columns=None)


def same_audio(predictions: pd.DataFrame) -> str:
    """Whether the audio of an utterance was the same under all conditions with its own.

    Args:
        predictions: as ``run_study`` returns them

    Examples:
        >>> rows = {"utterance": ["a", "a"], "condition": ["none", "aligned"]}
        >>> same_audio(pd.DataFrame(rows | {"audio": ["1f", "2e"]}))
        'By hash, the audio of each utterance is NOT identical under all conditions.'
    """
    if predictions["audio"].isna().all():
        return (
            "The answers were made elsewhere, and no recording is at hand: whether the audio was "
            "the same under all conditions cannot be checked."
        )
    own = with_own_audio(predictions)
    same = own.groupby("utterance", observed=True)["audio"].nunique().eq(1).all()
    found = "identical" if same else "NOT identical"
    where = " with its own audio" if len(own) < len(predictions) else ""
    return f"By hash, the audio of each utterance is {found} under all conditions{where}."


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
    """Where a share is not identified, and why; an empty text if all are identified."""
    rows = table[(table["reason"] != "") & (table["response"] == "probability")]
    return "".join(f" {row['group']}: {row['reason']}." for row in rows.to_dict("records"))


def reliance_finding(table: pd.DataFrame, confidence: float) -> str:
    """The reliance on the tokens, in a sentence that claims no more than the interval allows."""
    row = table[(table["by"] == "all") & (table["response"] == "probability")].iloc[0]
    if row["reason"]:
        return f"What the model relies on cannot be told: {row['reason']}."
    share = with_interval(row["share"], row["low"], row["high"])
    return (
        f"Over all main conditions with tokens ({row['rows']:,} answers to {row['utterances']} "
        f"utterances), the share of the tokens in the weights is {share} ({percent(confidence)} "
        "interval; 0 is the audio alone, 1 the tokens alone; only its rank among models that were "
        "asked the same prompts can be interpreted)."
    )
