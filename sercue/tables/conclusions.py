"""The closing sentences of notebooks 02 and 05: what a study shows, what it leaves open, no more.

"No evidence of a difference" is not "evidence of no difference": what is not significant is called
inconclusive, unless a test of equivalence has shown it to be small. Every claim is one after the
correction that ``contrasts.corrected_p`` makes: none rests on an uncorrected interval.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from sercue.corpora.audio_variants import SILENT
from sercue.errors import or_none
from sercue.notation import bounded, p_value, percent, shortest, signed, with_interval
from sercue.statistics.contrasts import BLOCK, EMPTY, is_primary
from sercue.statistics.controls import THIS_MODEL
from sercue.statistics.designs import token_balance, token_information
from sercue.statistics.equivalence import judged, verdicts
from sercue.statistics.raters import MEAN, UNIFORM
from sercue.tables.answer import answer_sentences, use_of_tokens
from sercue.tables.findings import LEVEL, binning_findings
from sercue.tables.limits import limits, other_voices

if TYPE_CHECKING:
    from sercue.run import Run


def conclusions(run: Run) -> list[str]:
    """What the tests of a study show, and what remains inconclusive.

    What the study has no conditions for is left out: the sections of notebook 05 say why.

    Args:
        run: a finished run
    """
    parts: list[Callable[[], list[str]]] = [
        lambda: use_of_tokens(judged(run.tests, run.equivalence), BLOCK),
        lambda: family_sentences(run.tests, run.equivalence),
        lambda: detectable_sentence(run.detectable),
        lambda: collapse_sentence(run.collapse),
        lambda: dose_sentences(run.dose_trend),
        lambda: within_class_sentence(run.within_class, run.evidence),
        lambda: neutral_sentence(run.neutral_shift),
        lambda: wording_sentences(run.wordings, or_none(lambda: run.gain_by_template)),
        lambda: control_sentence(run.control_reliance, THIS_MODEL),
        lambda: audio_sentences(run.audio_effects),
        lambda: pull_sentence(run.follow, or_none(lambda: run.control_follow)),
        lambda: form_sentence(run.format_controls),
        lambda: concepts_sentence(run.concept_effects),
        lambda: shapley_sentence(run.shapley),
        lambda: rater_sentences(run.raters, or_none(lambda: run.disagreement)),
        lambda: other_voices(run.partners),
        lambda: limits(run.corpus, run.settings.partition, confounded=False),
    ]
    return [
        *answer_sentences(run.answer),
        *(line for part in parts for line in or_none(part) or []),
    ]


def binning_conclusions(run: Run) -> list[str]:
    """What notebook 02 found, of what the corpus allows.

    Args:
        run: a run with its tokens
    """
    return binning_findings(
        token_balance(run.tokens, run.corpus, run.scheme.words),
        token_information(run.tokens, run.corpus),
        or_none(lambda: run.stability),
        or_none(lambda: run.designs),
        or_none(lambda: run.own_design),
        run.scores,
        run.corpus,
        run.settings.partition,
    )


def family_sentences(tests: pd.DataFrame, equivalence: pd.DataFrame) -> list[str]:
    """How many planned contrasts differ from zero, and which are shown to be equal.

    Those that are not decided are named by ``answer.undecided``.

    Args:
        tests: as ``compare`` returns them
        equivalence: as ``equivalence_tests`` returns it, of the same contrasts

    Examples:
        >>> pair = {"condition": ["shuffled"], "reference": ["none"], "step": "family"}
        >>> tests = pd.DataFrame(pair | {"difference": [0.01], "se": 0.02, "holm_p": [0.4]})
        >>> equal = pd.DataFrame(pair | {"margin": [0.05], "equivalent": [False]})
        >>> family_sentences(tests, equal)
        ["Of 1 planned contrasts, 0 differ from zero (Holm's correction)."]
    """
    primary, family = tests["step"] == "primary", tests["step"] == "family"
    verdict = verdicts(tests, equivalence)
    found = verdict.str.startswith("different")
    margin = shortest(equivalence["margin"].iloc[0]) if len(equivalence) else ""
    sentences = []
    if family.any():
        after = " after the primary one" * bool(primary.any())
        sentences.append(
            f"Of {family.sum()} planned contrasts{after}, {(found & family).sum()} differ from "
            f"zero (Holm's correction)."
        )
    told = {
        "unchanged": "UAR is exactly the same for every speaker",
        "equivalent": f"Equivalent to within ±{margin} of UAR (TOST, corrected by the same rule)",
        "different (small)": f"Different, and yet shown to differ by less than {margin}",
    }
    return sentences + [
        f"{words}: {_names(tests[verdict == name])}."
        for name, words in told.items()
        if (verdict == name).any()
    ]


def detectable_sentence(detectable: pd.DataFrame) -> list[str]:
    """The smallest differences that the study could be expected to find, tested as it tests them.

    Args:
        detectable: as ``detectable_differences`` returns it
    """
    # Without an error, where no speaker changes, there is nothing to be detected.
    tested = detectable[detectable["detectable_holm"] > 0]
    known = tested[tested["detectable_holm"] <= 1]
    if tested.empty:
        return []
    if known.empty:
        return ["A t test of these speakers would detect no difference in UAR, however large."]
    primary = is_primary(zip(known["condition"], known["reference"], strict=True))
    others = "the other" if primary.any() else "the"
    parts = [
        f"{bounded(rows.min())}{f' to {bounded(rows.max())}' * (len(rows) > 1)} for {words}"
        for rows, words in (
            (known.loc[primary, "detectable_holm"], "the primary contrast"),
            (
                known.loc[~primary, "detectable_holm"],
                f"{others} planned contrasts (strictest step of Holm's correction)",
            ),
        )
        if len(rows)
    ]
    return [
        f"The minimum detectable effect ({percent(0.8)} power, t test) is {' and '.join(parts)}; "
        "smaller differences in UAR may exist and remain unseen."
    ]


def collapse_sentence(collapse: pd.DataFrame) -> list[str]:
    """Whether answers are shown not to gather in one class.

    Args:
        collapse: as ``collapse_tests`` returns it
    """
    if collapse.empty:
        return []
    both = collapse.groupby("condition", sort=False)["no_collapse"].all()
    margin, reference = collapse["margin"].iloc[0], collapse["reference"].iloc[0]
    names = ", ".join(map(str, both.index[both]))
    return [
        f"Collapse relative to {reference} (entropy lower, or share of the most frequent answer "
        f"higher, by {shortest(margin)} or more) is ruled out, after Holm's correction, for "
        f"{both.sum()} of {len(both)} conditions{f': {names}' if names else ''}."
    ]


def dose_sentences(trends: pd.DataFrame) -> list[str]:
    """The trend of UAR with the dose, and whether each step goes down.

    Args:
        trends: as ``dose_trends`` returns them
    """
    told = []
    for row in trends.to_dict("records"):
        ends = sorted(row[name] * (-1 if row["slope"] < 0 else 1) for name in ("low", "high"))
        told.append(
            f"A straight line fitted to UAR {'falls' if row['slope'] < 0 else 'rises'} by "
            f"{with_interval(abs(row['slope']), *ends)} from dose 0 to dose 1 of {row['family']}, "
            + ("and UAR falls" if row["falls_throughout"] else "but UAR does not fall")
            + " at every step."
        )
    return told


def within_class_sentence(contrasts: pd.DataFrame, evidence: pd.DataFrame) -> list[str]:
    """What tokens of another utterance of the same class do, and what that cannot tell.

    Args:
        contrasts: as ``Run.within_class`` gives them
        evidence: as ``Run.evidence`` gives it, with the verdict on the difference from own tokens
    """
    of_own, of_any = (row for _, row in contrasts.iterrows())
    own = signed(of_own["difference"], of_own["low"], of_own["high"])
    drawn = abs(of_any["difference"])
    pair = (of_own["reference"], of_own["condition"])
    verdict = evidence.set_index(["condition", "reference"])["verdict"][pair]
    told = {
        "inconclusive": "is inconclusive",
        "equivalent": "is shown to be within the margin of equivalence",
        "unchanged": "is zero for every speaker",
    }.get(verdict, "is significant")
    return [
        "Tokens of another utterance of the same class are chosen by the true class. Their UAR is "
        f"{bounded(drawn)} {'higher' if of_any['difference'] > 0 else 'lower'} than that of any "
        "other utterance's tokens (not tested); the difference of own tokens from them (aligned − "
        f"shuffled_within_class), {own}, {told}. Neither difference is a part of the gain from own "
        "tokens."
    ]


def neutral_sentence(shifts: pd.DataFrame) -> list[str]:
    """Whether perturbed tokens shift answers to neutral, and a block without information does, too.

    Args:
        shifts: as ``neutral_shifts`` returns them
    """
    tested = shifts.dropna(subset="holm_p")
    shifted = (tested["holm_p"] < LEVEL) & (tested["difference"] > 0)
    same = tested["condition"].isin(BLOCK)
    perturbed = ~same & ~tested["condition"].isin(["none", "aligned"])
    counts = [
        f"{shifted[own].sum()} of {own.sum()} perturbed conditions relative to {reference}"
        f"{_listed(tested[own & shifted])}"
        for reference in tested["reference"].unique()
        if (own := perturbed & (tested["reference"] == reference)).any()
    ]
    if not counts:
        return []
    sentence = (
        "More utterances of other classes are answered neutral, after Holm's correction for these "
        f"{len(tested)} contrasts, under {'; under '.join(counts)}."
    )
    if (same & shifted).any():
        sentence += (
            " So they are with tokens that are the same for every utterance"
            f"{_listed(tested[same & shifted])}."
        )
    beside_empty = tested["reference"] == EMPTY
    if beside_empty.any():
        verb = "is" if (perturbed & shifted & beside_empty).any() else "would be"
        sentence += (
            f" Relative to {EMPTY}, a block without information, a shift {verb} an effect of what "
            "the tokens say, and not of the presence of a block."
        )
    elif (shifted & (same | perturbed)).any():
        sentence += (
            f" Without a block that has no information ({EMPTY}), an effect of wrong cues cannot "
            "be told from one of the presence of a block."
        )
    return [sentence]


def control_sentence(reliance: pd.DataFrame, this_model: str) -> list[str]:
    """The shares of the model under study and of the controls, on the same prompts.

    Where that places the model is said by ``answer.place_among_controls``.

    Args:
        reliance: as ``control_reliance`` returns it
        this_model: its name there
    """
    whole = reliance[reliance["by"] == "all"].set_index("model")
    rows = {str(name): row for name, row in whole.iterrows()}
    told = {
        name: "not identified" if row["reason"] else with_interval(*row[["share", "low", "high"]])
        for name, row in rows.items()
    }
    scale = ", ".join(f"{name} {share}" for name, share in told.items() if name != this_model)
    own = rows[this_model]
    asked = reliance[(reliance["model"] == this_model) & (reliance["by"] == "condition")]
    return [
        "On the prompts that the controls also answered (first wording, label order and "
        f"replicate; {own['rows']:,.0f} answers under {', '.join(asked['group'])}), the tokens' "
        f"share is {told[this_model]}, and of the controls: {scale}. These shares rest on fewer "
        "prompts than the share over all answers and are compared only with each other."
    ]


def audio_sentences(effects: pd.DataFrame) -> list[str]:
    """What the audio and the tokens add without each other, and what remains without words.

    Told of silence, or of the first other audio where silence was not asked.

    Args:
        effects: as ``audio_effects`` returns them
    """
    variants = list(effects["heard"])
    heard = SILENT if SILENT in variants else variants[0]
    rows = effects.to_dict("records")
    told = {row["effect"]: _tested(row) for row in rows if row["heard"] == heard}
    excluding = (effects["low"] > 0) | (effects["high"] < 0)
    narrow = (excluding & (effects["holm_p"] >= LEVEL)).any()
    sentences = [
        f"{heard.capitalize()} audio in place of the own, in UAR: loss without tokens "
        f"{told['loss without tokens']}; loss with tokens {told['loss with tokens']}; gain from "
        f"aligned tokens in place of none {told['tokens']}; interaction, which is that gain with "
        f"the own audio less this one, {told['interaction']} (Holm's correction over all "
        f"{len(effects)} effects"
        + "; intervals are not corrected and can exclude 0 where p does not reject" * bool(narrow)
        + ")."
    ]
    if voices := [f"{row['heard']} {_tested(row)}" for row in rows if row["effect"] == "voice"]:
        sentences.append(
            "Without tokens, audio that keeps much of the voice and hardly any words changes UAR, "
            f"compared with silence (voice): {', '.join(voices)}. Because such audio is unusual, "
            "this may underestimate what the model takes from the voice."
        )
    return sentences


def pull_sentence(follow: pd.DataFrame, of_first: pd.DataFrame | None) -> list[str]:
    """How much audio and tokens of different classes change the share of answers of their class.

    Args:
        follow: as ``crossing.follow`` returns it
        of_first: as ``control_follow`` returns it, of the first wording and label order, if there
            are controls
    """
    rows = follow.to_dict("index")
    audio, tokens = (
        f"{signed(row['value'], row['low'], row['high'])} ({p_value(row['p'])})"
        for row in (rows["pull of audio"], rows["pull of tokens"])
    )
    sentences = [
        "Audio of another class than the tokens changes the share of answers of its class by "
        f"{audio} (pull of audio). Tokens of another class than the audio change the share of "
        f"answers of their class by {tokens} (pull of tokens). Both are compared with audio and "
        "tokens of one class (t tests, not corrected)."
    ]
    if of_first is None:
        return sentences
    first = of_first.to_dict("index")[THIS_MODEL]
    ratios = [
        with_interval(row[name], row["low"], row["high"])
        for row, name in ((first, "follow_ratio"), (rows["follow ratio"], "value"))
    ]
    if ratios[0] != ratios[1]:
        sentences.append(
            f"The follow ratio is {ratios[0]} in the first wording and label order, which the "
            f"controls answered, too, and {ratios[1]} over all."
        )
    return sentences


def form_sentence(table: pd.DataFrame) -> list[str]:
    """In how many other forms aligned tokens do less or more than in their own, and than none.

    Args:
        table: as ``Run.format_controls`` has it

    Examples:
        >>> rows = {"condition": "prose", "reference": ["aligned", "constant"], "holm_p": [1, 0.01]}
        >>> form_sentence(pd.DataFrame(rows | {"difference": [0.0, 0.2]}))[0].split(", and ")[1]
        'from constant under 1: prose − constant (+.200).'
    """
    parts = []
    for reference, rows in table.groupby("reference", sort=False):
        found = rows[rows["holm_p"] < LEVEL]
        parts.append(f"from {reference} under {len(found)}{_listed(found)}")
    forms = table["condition"].nunique()
    told = ", and ".join([", ".join(parts[:-1]), parts[-1]] if parts[1:] else parts)
    return [f"Of aligned tokens in {forms} other forms, UAR differs (Holm) {told}."]


def concepts_sentence(effects: pd.DataFrame) -> list[str]:
    """How many conditions on single concepts change UAR, and which.

    Args:
        effects: as ``concept_effects`` returns them

    Examples:
        >>> row = {"condition": ["flip(pitch)"], "reference": "aligned", "effect": -0.1}
        >>> print(concepts_sentence(pd.DataFrame(row | {"holm_p": 0.01}))[0].partition(", ")[2])
        1 of 1: flip(pitch) − aligned (−.100).
    """
    found = effects[effects["holm_p"] < LEVEL].rename(columns={"effect": "difference"})
    return [
        f"Effects of single concepts that differ from zero (Holm), {len(found)} of {len(effects)}"
        f"{_listed(found)}."
    ]


def shapley_sentence(table: pd.DataFrame) -> list[str]:
    """Which concept has the largest part in the content of the tokens, and how many have one.

    Args:
        table: as ``shapley`` returns it
    """
    rows = table.to_dict("records")
    most = max(rows, key=lambda row: float(row["shapley"]))
    named = {
        row["concept"]: f"{row['concept']} ({signed(row['shapley'], row['low'], row['high'])}"
        for row in rows
    }
    above, below = (
        [row["concept"] for row in rows if row["holm_p"] < LEVEL and sign * row["shapley"] > 0]
        for sign in (1, -1)
    )
    largest = (
        f" The largest value, of {named[most['concept']]}; {p_value(most['holm_p'])}), is "
        "inconclusive."
    )
    where = ", in the first wording and label order" * (rows[0]["prompts"] == 1)
    content = signed(table["shapley"].sum())
    return [
        f"Shapley values of the concepts in the content of the tokens (aligned − masked(1){where}: "
        f"{content} of UAR), after Holm's correction: above zero for {len(above)} of {len(rows)} "
        f"concepts{': ' * bool(above)}{', '.join(f'{named[concept]})' for concept in above)}"
        + (f"; below zero for {len(below)} ({', '.join(below)})." if below else ".")
        + largest * (not most["holm_p"] < LEVEL)
    ]


def rater_sentences(distances: pd.DataFrame, use: pd.DataFrame | None) -> list[str]:
    """How near the model is to the raters, and whether it uses tokens more where they disagree.

    Args:
        distances: as ``rater_distances`` returns them
        use: as ``use_by_disagreement`` returns it, if wrong tokens were asked

    Examples:
        >>> row = {"distance": 0.3, "low": 0.2, "high": 0.4, "utterances": 90}
        >>> names = ["aligned", "all labels equally", "mean of the raters"]
        >>> print(rater_sentences(pd.DataFrame([row | {"condition": n} for n in names]), None)[0])
        ... # doctest: +NORMALIZE_WHITESPACE
        The mean Jensen-Shannon distance of the probabilities to the raters' distributions (90
        utterances; 0 is the same) is .300 [.200, .400] with aligned tokens; it is .300 for all
        labels equally and .300 for the mean of the raters.
    """
    table = distances.set_index("condition")
    told = [
        f"{with_interval(*table.loc[name, ['distance', 'low', 'high']])} {words}"
        for name, words in (("none", "with the audio alone"), ("aligned", "with aligned tokens"))
        if name in table.index
    ]
    same = [f"{bounded(table['distance'][name])} for {'the ' * (name == MEAN)}{name}"
            for name in (UNIFORM, MEAN)]  # fmt: skip
    sentences = []
    if told:
        sentences.append(
            "The mean Jensen-Shannon distance of the probabilities to the raters' distributions "
            f"({table['utterances'].max()} utterances; 0 is the same) is {' and '.join(told)}; it "
            f"is {' and '.join(same)}."
        )
    if use is not None:
        row = use.to_dict("index")["probability"]
        more = "more" if row["slope"] > 0 else "less"
        found = row["holm_p"] < LEVEL
        claim = f"Tokens are used {more} where raters disagree" if found else "Inconclusive"
        sentences.append(
            f"{claim}. From full agreement of the raters to labels chosen equally often, the "
            f"effect of aligned instead of {row['wrong tokens']} tokens on the probability of "
            f"the true class changes by {signed(row['slope'], row['low'], row['high'])} within "
            f"speakers (Holm-corrected {p_value(row['holm_p'])}, t test)."
        )
    return sentences


def wording_sentences(wordings: pd.DataFrame, gains: pd.DataFrame | None) -> list[str]:
    """Which condition depends most on the wording of the prompt, and what becomes of the gain.

    Args:
        wordings: as ``uar_intervals_by`` returns it of the templates
        gains: as ``gain_by`` returns it, if there is a gain
    """
    uar = wordings.groupby("condition", sort=False)["uar"]
    widest = (uar.max() - uar.min()).idxmax()
    rows = wordings[wordings["condition"] == widest].sort_values("uar").to_dict("records")
    least, most = (f"{bounded(row['uar'])} ({row['template']})" for row in (rows[0], rows[-1]))
    sentences = [
        f"Of {len(uar)} conditions, UAR differs most between wordings under {widest}: from {least} "
        f"to {most} (not tested)."
    ]
    if gains is not None:
        rows = gains.sort_values("difference").to_dict("records")
        least, most = (
            f"{signed(row['difference'])} ({row['template']})" for row in (rows[0], rows[-1])
        )
        sentences.append(
            f"By wording, the gain from aligned tokens ranges from {least} to {most} (not tested)."
        )
    return sentences


def _tested(row: Mapping[Hashable, Any]) -> str:
    difference = signed(row["difference"], row["low"], row["high"])
    return f"{difference} ({p_value(row['holm_p'])})"


def _listed(rows: pd.DataFrame) -> str:
    return f": {_names(rows, sizes=True)}" if len(rows) else ""


def _names(rows: pd.DataFrame, *, sizes: bool = False) -> str:
    return ", ".join(
        f"{row['condition']} − {row['reference']}"
        + (f" ({signed(row['difference'])})" if sizes else "")
        for row in rows.to_dict("records")
    )
