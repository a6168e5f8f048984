"""The shift towards neutral: how much more often other emotions are answered neutral."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from sercue.errors import InputError, unknown
from sercue.statistics.contrasts import EMPTY, flips_decide, holm
from sercue.statistics.measures import ratio
from sercue.statistics.resampling import check_resampling, sign_flip_p
from sercue.statistics.speakers import recall_estimates, speaker_counts
from sercue.tokens.catalogue import is_main

_TESTED = ["difference", "low", "high", "se", "df", "speakers", "p", "permutation_p", "decided_by",
           "holm_p"]  # fmt: skip


def neutral_shifts(
    predictions: pd.DataFrame,
    labels: Sequence[str],
    neutral: str,
    *,
    references: Sequence[str] = ("aligned", "none", EMPTY),
    resamples: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    r"""Changes in how often other emotions are answered neutral, with intervals and tests.

    .. math:: P(\text{answer} = \text{neutral} \mid
        \text{truth} \ne \text{neutral}, \text{answer valid})

    under a condition, less the same under a reference. Invalid answers are in neither numerator
    nor denominator: counted in the latter, they would pass for a shift away from neutral.

    Interval and ``p`` are made as those of ``compare``. ``permutation_p`` flips the signs of the
    speakers' terms; with :math:`a` of :math:`v` valid answers of a speaker neutral, totals
    :math:`V`, and the share :math:`\pi` of both conditions together, a term is

    .. math:: \frac{a_1 - \pi v_1}{V_1} - \frac{a_2 - \pi v_2}{V_2}

    The terms add up to the difference. They are the effective scores of a logistic regression on
    the condition, whose signs may be flipped (Hemerik et al.). Without invalid answers this is the
    exchange of the two conditions for whole speakers, and the test is exact. With them it is
    approximate: it rejects too often where a single speaker has half of the data.

    Args:
        predictions: predictions as ``run_study`` returns them; conditions about single concepts
            are left out
        labels: the classes
        neutral: the neutral class
        references: conditions that every other one is compared with, as far as they are there; a
            pair is compared once. Relative to ``masked(1)``, a block without information, a shift
            is one of what the tokens say.
        resamples: patterns of signs drawn with more than 14 speakers
        confidence: coverage that the intervals aim at, between 0 and 1; it is not corrected for the
            number of rows
        seed: of these draws

    Returns:
        DataFrame, one row per condition and reference: ``condition``, ``reference``, ``share`` and
        ``share_reference`` (0 to 1), ``difference``, ``low``, ``high`` (-1 to 1), ``se``, ``df``,
        ``speakers`` (with a valid answer under either), ``p``, ``permutation_p``, ``decided_by``
        (``"flips"`` where so many speakers can pass the strictest step of Holm's correction, else
        ``"t"``) and ``holm_p``, the deciding p-value corrected over all rows. NaN where a
        condition has no valid answer to other emotions.

    Raises:
        InputError: if ``neutral`` is no label, if there is nothing to compare, or as ``compare``
            raises it

    References:
        Hemerik, Goeman and Finos, J. R. Statist. Soc. B 82 (2020)

    Examples:
        >>> from sercue.statistics.measures import LABELS, example_predictions
        >>> rows = example_predictions({"none": 0.5, "aligned": 0.9, "constant": 0.4}, speakers=9)
        >>> table = neutral_shifts(rows, LABELS, "neutral")
        >>> table[["condition", "reference", "difference", "low", "high", "holm_p"]].round(2)
          condition reference  difference   low  high  holm_p
        0      none   aligned        0.19 -0.04  0.43    0.47
        1  constant   aligned        0.14 -0.10  0.38    0.62
        2  constant      none       -0.06 -0.24  0.13    0.75
    """
    check_resampling(resamples, confidence)
    if neutral not in labels:
        raise unknown("neutral label", neutral, labels)
    counted = speaker_counts(predictions, labels)
    names = [name for name in counted.conditions if is_main(name)]
    pairs = [
        (name, reference)
        for number, reference in enumerate(references)
        for name in names
        if reference in names and name not in references[: number + 1]
    ]
    if not pairs:
        raise InputError(
            f"neutral shift: found the conditions {', '.join(names)}; valid are "
            f"{' or '.join(references)} and a condition to compare with it"
        )
    weights = counted.contrast_weights(pairs)
    place = list(labels).index(neutral)
    answers = np.delete(counted.counts, place, axis=2)[..., :-1].sum(axis=2)
    said, valid = answers[..., place], answers.sum(axis=2)
    all_said, all_valid = said.sum(axis=1), valid.sum(axis=1)
    share = ratio(all_said, all_valid, np.nan)
    first, second = weights.argmax(axis=1), weights.argmin(axis=1)
    table = pd.DataFrame(pairs, columns=["condition", "reference"])
    table = table.assign(share=share[first], share_reference=share[second])
    answered = all_valid > 0
    known = answered[first] & answered[second]
    if not known.any():
        return table.assign(**dict.fromkeys(_TESTED, np.nan))
    one, other = first[known], second[known]
    found = recall_estimates(said[answered, :, None], valid[answered, :, None])
    rows = found.combine(weights[known][:, answered]).rows(confidence)
    together = ratio(all_said[one] + all_said[other], all_valid[one] + all_valid[other])[:, None]
    terms = (said[one] - together * valid[one]) / all_valid[one, None]
    terms -= (said[other] - together * valid[other]) / all_valid[other, None]
    rows["speakers"] = (valid[one] + valid[other] > 0).sum(axis=1)
    rows["permutation_p"] = sign_flip_p(terms.T, resamples=resamples, seed=seed)
    flips = flips_decide(len(rows), int(rows["speakers"].min()), resamples)
    rows["decided_by"] = "flips" if flips else "t"
    rows["holm_p"] = holm(rows["permutation_p" if flips else "p"])
    return table.join(rows.set_axis(table.index[known])[_TESTED])
