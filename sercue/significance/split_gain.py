"""What aligned tokens gain over shuffled ones: from the label, or from the utterance?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from sercue.significance.cluster_variance import Clustered
from sercue.significance.resampling import check_confidence
from sercue.significance.speaker_counts import speaker_counts


def split_gain(
    predictions: pd.DataFrame,
    labels: Sequence[str],
    *,
    aligned: str = "aligned",
    within_class: str = "shuffled_within_class",
    shuffled: str = "shuffled",
    confidence: float = 0.95,
) -> pd.DataFrame:
    r"""Split the gain of aligned over shuffled tokens into two parts that add up to it.

    .. math:: \underbrace{A - S}_\text{whole} =
        \underbrace{A - W}_\text{utterance} + \underbrace{W - S}_\text{label}

    with the UAR under aligned tokens (A), under those of another utterance of the same class (W)
    and of any other utterance (S). W keeps what tokens tell of the class and breaks the link to
    the utterance. The intervals of all three come from the same speakers' terms. W is shown
    tokens by the true class: the label part says what the tokens tell of the class *on average*,
    not that the model could have used it without being handed the class.

    The share of each part in the whole has Fieller's interval. It is NaN where the whole cannot be
    told from zero at this confidence: then there is nothing to share out.

    Args:
        predictions: predictions as ``run_study`` returns them
        labels: the classes
        aligned: name of the condition with the utterance's own tokens
        within_class: name of the condition shuffled within the true class
        shuffled: name of the condition shuffled over all
        confidence: coverage that the intervals aim at, between 0 and 1

    Returns:
        DataFrame with the rows whole, utterance, label: ``part``, ``condition``, ``reference``,
        ``difference``, ``low``, ``high``, ``se``, ``df``, ``p``, ``share``, ``share_low``,
        ``share_high``

    Raises:
        InputError: if a condition is missing, or as ``compare`` raises it

    References:
        Fieller, J. R. Statist. Soc. B 16 (1954)

    Examples:
        >>> from sercue.measures import LABELS, example_predictions
        >>> accuracy = {"aligned": 0.9, "shuffled_within_class": 0.6, "shuffled": 0.5}
        >>> rows = example_predictions(accuracy, speakers=20, utterances=30)
        >>> split_gain(rows, LABELS)[["part", "difference", "share"]].round(2)
                part  difference  share
        0      whole        0.37   1.00
        1  utterance        0.30   0.81
        2      label        0.07   0.19
    """
    check_confidence(confidence)
    counted = speaker_counts(predictions, labels)
    pairs = [(aligned, shuffled), (aligned, within_class), (within_class, shuffled)]
    found = counted.uar.combine(counted.contrast_weights(pairs))
    low, high = found.interval(confidence)
    table = pd.DataFrame(pairs, columns=["condition", "reference"])
    table.insert(0, "part", ["whole", "utterance", "label"])
    table["difference"] = found.estimate
    table["low"], table["high"] = np.maximum(low, -1), np.minimum(high, 1)
    table["se"], table["df"], table["p"] = found.se, found.df, found.p_value()
    shares = [shares_of_first(found, part, confidence) for part in range(3)]
    table[["share", "share_low", "share_high"]] = shares
    return table


def shares_of_first(
    found: Clustered, part: int, confidence: float = 0.95
) -> tuple[float, float, float]:
    """The ratio of an estimate to the first one, with Fieller's interval.

    Args:
        found: estimates with their errors over speakers
        part: which one
        confidence: coverage that the interval aims at, between 0 and 1

    Returns:
        ratio, low, high; all NaN where the first estimate cannot be told from zero
    """
    whole, one = found.estimate[[0, part]]
    df = found.df[[0, part]].min()
    t = stats.t.ppf((1 + confidence) / 2, df) if df > 0 else np.inf
    covariance = found.influence[[0, part]] @ found.influence[[0, part]].T
    if not whole**2 > t**2 * covariance[0, 0]:
        return np.nan, np.nan, np.nan
    square = whole**2 - t**2 * covariance[0, 0]
    middle = whole * one - t**2 * covariance[0, 1]
    rest = one**2 - t**2 * covariance[1, 1]
    reach = np.sqrt(max(middle**2 - square * rest, 0.0))
    return one / whole, (middle - reach) / square, (middle + reach) / square
