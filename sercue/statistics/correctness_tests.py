"""Which answers change: paired tests of correctness, and shifts between predicted classes.

They count answers and so take one per utterance and condition: see ``primary_cell``.
"""

# statsmodels is imported where it is used, as scikit-learn is in the modules beside this one: both
# take long, and a check and the command need neither.

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
import scipy

from sercue.statistics.measures import INVALID, label_codes
from sercue.statistics.resampling import drawn_p, joint_sign_flip_p, rearranged_sums, sign_flip_p
from sercue.statistics.speakers import paired_answers

# McNemar's chi-squared approximation is customarily trusted from 25 discordant pairs on.
_EXACT_BELOW = 25


def mcnemar_tests(
    predictions: pd.DataFrame,
    contrasts: Sequence[tuple[str, str]],
    *,
    resamples: int = 10_000,
    seed: int = 0,
) -> pd.DataFrame:
    r"""McNemar's test of each contrast, with speakers kept together and as it is usually done.

    Among the utterances that only one of the two conditions gets right: is it one of them more
    often? With :math:`b_s` and :math:`c_s` such utterances of speaker s, the clustered test flips
    the sign of :math:`b_s - c_s` for whole speakers (see ``sign_flip_p``). It is exact under
    exchangeable conditions; with fewer than 6 speakers it cannot go below 5 %. One answer per
    utterance is used, that of ``primary_cell``: to count all wordings and replicates would repeat
    each utterance, and a majority vote would be an answer that the model never gave.

    ``independent_p`` is McNemar's test as papers on recognition use it since Gillick and Cox (1989)
    and Dietterich (1998). It takes utterances as independent, which those of one speaker are not:
    with speaker effects it rejects a true hypothesis in 18 to 32 % of the cases at a nominal 5 %
    (``tests/calibration/RESULTS.md``). A paired t-test of right and wrong answers is nearly the
    same test. It compares accuracies, in which frequent classes weigh more than in UAR. Which test
    Tsangko et al. (2026) used is not known here.

    Args:
        predictions: predictions as ``run_study`` returns them
        contrasts: pairs (condition, reference)
        resamples: patterns of signs drawn where there are too many to enumerate
        seed: of these draws

    Returns:
        DataFrame, one row per contrast: ``condition``, ``reference``, ``discordant_better`` (b:
        utterances that only the condition gets right), ``discordant_worse`` (c: that only the
        reference gets right), ``accuracy_difference`` ((b - c) / utterances, -1 to 1),
        ``odds_ratio`` (b / c, infinite if c is 0, NaN if both are),
        ``mcnemar_p`` (two-sided, clustered), ``independent_p`` (two-sided, utterances taken as
        independent: exact below 25 discordant utterances, else chi-squared with continuity
        correction)

    Raises:
        InputError: if a condition is unknown or lacks utterances

    References:
        McNemar, Psychometrika 12 (1947); Durkalski et al., Statist. Med. 22 (2003), on pairs in
        clusters; Gillick and Cox, ICASSP (1989); Dietterich, Neural Comput. 10 (1998)

    Examples:
        >>> from sercue.statistics.measures import example_predictions
        >>> table = mcnemar_tests(example_predictions(), [("aligned", "none")])
        >>> table[["odds_ratio", "mcnemar_p", "independent_p"]].round(3)
           odds_ratio  mcnemar_p  independent_p
        0         2.4      0.125          0.143
    """
    from statsmodels.stats import contingency_tables

    rows = []
    for condition, reference in contrasts:
        pair = paired_answers(predictions, (condition, reference))
        first, second = pair.right.T
        better, worse = int((first & ~second).sum()), int((second & ~first).sum())
        net = pair.by_speaker(first.astype(float) - second)
        clustered = sign_flip_p(net, resamples=resamples, seed=seed)[0]
        test = contingency_tables.mcnemar(
            [[0, better], [worse, 0]], exact=better + worse < _EXACT_BELOW
        )
        ratio = better / worse if worse else (np.inf if better else np.nan)
        counted = (condition, reference, better, worse, (better - worse) / len(first), ratio)
        rows.append((*counted, float(clustered), float(test.pvalue)))
    columns = ["condition", "reference", "discordant_better", "discordant_worse"]
    effect = ["accuracy_difference", "odds_ratio"]
    return pd.DataFrame(rows, columns=[*columns, *effect, "mcnemar_p", "independent_p"])


def cochran_test(predictions: pd.DataFrame, *, resamples: int = 10_000, seed: int = 0) -> pd.Series:
    """Cochran's Q: are answers right equally often under all conditions?

    The clustered p-value comes from rearranging the conditions within whole speakers; the
    denominator of Q stays the same, so that Q itself is the statistic.

    Args:
        predictions: predictions as ``run_study`` returns them, under at least two conditions
        resamples: number of rearrangements
        seed: of the draws

    Returns:
        ``q``, ``df`` (conditions - 1), ``cochran_p`` (clustered), ``independent_p`` (chi-squared,
        utterances taken as independent), ``conditions``, ``utterances``, ``speakers``

    Raises:
        InputError: if a condition lacks utterances

    References:
        Cochran, Biometrika 37 (1950)

    Examples:
        >>> from sercue.statistics.measures import example_predictions
        >>> accuracy = {"none": 0.5, "aligned": 0.7, "shuffled": 0.4}
        >>> found = cochran_test(example_predictions(accuracy, speakers=10))
        >>> found[["q", "df"]].round(2).to_dict(), bool(found["cochran_p"] < 0.05)
        ({'q': 6.62, 'df': 2.0}, False)
    """
    from statsmodels.stats.contingency_tables import cochrans_q

    names = list(predictions["condition"].unique())
    pair = paired_answers(predictions, names)
    right = pair.right.astype(np.int8)
    # All answers alike: nothing differs, and Q is 0 / 0.
    constant = np.ptp(right, axis=1).max(initial=0) == 0
    found = None if constant else cochrans_q(right)
    q, p = (found.statistic, found.pvalue) if found else (0.0, 1.0)
    sums = pair.by_speaker(right)
    drawn = rearranged_sums(sums, resamples=resamples, seed=seed).var(axis=1)
    clustered = drawn_p(float(sums.sum(axis=0).var()), drawn)
    return pd.Series(
        {
            "q": float(q), "df": len(names) - 1, "cochran_p": clustered, "independent_p": float(p),
            "conditions": len(names), "utterances": len(right), "speakers": pair.speakers,
        }
    )  # fmt: skip


def gee_tests(
    predictions: pd.DataFrame, contrasts: Sequence[tuple[str, str]], *, confidence: float = 0.95
) -> pd.DataFrame:
    """Logistic regression of right answers on the condition, by generalised estimating equations.

    One model a contrast, ``right ~ condition``, with an exchangeable working correlation of all
    answers to one speaker. Standard errors are those of Mancl and DeRouen (``bias_reduced``), with
    quantiles of Student's t on speakers - 1: the usual sandwich with normal quantiles rejects a
    true hypothesis too often with few speakers, in 14 to 20 % of the cases with 8
    (``tests/calibration/RESULTS.md``). With 8 speakers of very unequal size these err a little too
    often as well, in 7 %, and the fit does not settle in 1 % of the cases.

    Memory grows with the square of a speaker's answers: 10,000 utterances of one speaker need
    some gigabytes.

    Args:
        predictions: predictions as ``run_study`` returns them
        contrasts: pairs (condition, reference)
        confidence: coverage that the interval aims at, between 0 and 1

    Returns:
        DataFrame, one row per contrast: ``condition``, ``reference``, ``gee_odds_ratio`` (odds of a
        right answer against the reference, over all speakers), ``gee_low``, ``gee_high``,
        ``gee_p``. NaN where a condition is always or never right, so that no odds exist, or where
        the fit does not settle.

    Raises:
        InputError: if a condition is unknown or lacks utterances

    References:
        Liang and Zeger, Biometrika 73 (1986); Mancl and DeRouen, Biometrics 57 (2001)

    Examples:
        >>> from sercue.statistics.measures import example_predictions
        >>> table = gee_tests(example_predictions(speakers=12), [("aligned", "none")])
        >>> table.round(2).iloc[0, 2:].to_dict()
        {'gee_odds_ratio': 2.82, 'gee_low': 1.25, 'gee_high': 6.36, 'gee_p': 0.02}
    """
    from statsmodels.genmod.cov_struct import Exchangeable
    from statsmodels.genmod.families import Binomial
    from statsmodels.genmod.generalized_estimating_equations import GEE

    rows = []
    for contrast in contrasts:
        # As long as nothing is estimated.
        rows.append([*contrast, np.nan, np.nan, np.nan, np.nan])
        pair = paired_answers(predictions, contrast)
        right, df = pair.right, pair.speakers - 1
        if right.all(axis=0).any() or not right.any(axis=0).all():
            continue
        condition = np.repeat([1.0, 0.0], len(right))
        model = GEE(
            right.T.ravel().astype(float), np.column_stack([np.ones_like(condition), condition]),
            groups=np.tile(pair.speaker, 2), family=Binomial(), cov_struct=Exchangeable(),
        )  # fmt: skip
        with warnings.catch_warnings():
            # Whether it converged is asked below.
            warnings.simplefilter("ignore")
            result = model.fit(cov_type="bias_reduced")
        if not result.converged:
            continue
        effect, se = float(result.params[1]), float(result.bse[1])
        half = scipy.stats.t.ppf((1 + confidence) / 2, df) * se
        p = 2 * scipy.stats.t.sf(abs(effect) / se, df) if se > 0 else np.nan
        rows[-1][2:] = [*np.exp([effect, effect - half, effect + half]), float(p)]
    columns = ["condition", "reference", "gee_odds_ratio", "gee_low", "gee_high", "gee_p"]
    return pd.DataFrame(rows, columns=columns)


def shift_tests(
    predictions: pd.DataFrame,
    labels: Sequence[str],
    contrasts: Sequence[tuple[str, str]],
    *,
    resamples: int = 10_000,
    seed: int = 0,
) -> pd.DataFrame:
    r"""Tests of a shift in the predicted classes between two conditions.

    The hypothesis is marginal homogeneity: each class, and an invalid answer, is given equally
    often under both. The tests of Stuart and Maxwell and of Bhapkar take utterances as independent;
    with speaker effects they reject a true hypothesis in 15 to 32 % of the cases at a nominal 5 %
    (``tests/calibration/RESULTS.md``). The clustered test flips the sign of :math:`d_s`, the
    change of a speaker's counts of answers, for whole speakers. It is exact under exchangeable
    conditions and, other than Hotelling's T² over speakers, needs no more speakers than classes.

    One answer per utterance is used, that of ``primary_cell``.

    Args:
        predictions: predictions as ``run_study`` returns them
        labels: the classes
        contrasts: pairs (condition, reference)
        resamples: patterns of signs drawn where there are too many to enumerate
        seed: of these draws

    Returns:
        DataFrame, one row per contrast: ``condition``, ``reference``, ``moved`` (half the sum of
        the absolute changes of the classes' shares, 0 to 1), ``most_gained`` and ``most_lost`` (the
        classes whose share grew and shrank most), ``gain`` and ``loss`` (by how much, -1 to 1),
        ``shift_p`` (clustered), ``stuart_maxwell_p``, ``bhapkar_p`` (utterances taken as
        independent; NaN where their covariance cannot be inverted)

    Raises:
        InputError: if a condition is unknown or lacks utterances

    References:
        Stuart, Biometrika 42 (1955); Maxwell, Br. J. Psychiatry 116 (1970); Bhapkar, J. Am.
        Statist. Assoc. 61 (1966)

    Examples:
        >>> from sercue.statistics.measures import LABELS, example_predictions
        >>> table = shift_tests(example_predictions(speakers=10), LABELS, [("aligned", "none")])
        >>> table[["moved", "most_gained", "gain", "most_lost", "loss"]].round(2)
           moved most_gained  gain most_lost  loss
        0   0.15         sad  0.13     angry -0.15
    """
    names = [*labels, INVALID]
    one_hot = np.eye(len(names))
    rows = []
    for contrast in contrasts:
        pair = paired_answers(predictions, contrast)
        first, second = (
            label_codes(pair.answers[name], labels, "prediction", missing=True) for name in contrast
        )
        change = pair.by_speaker(one_hot[first] - one_hot[second])
        share = change.sum(axis=0) / len(first)
        most, least = int(share.argmax()), int(share.argmin())
        clustered = joint_sign_flip_p(change, resamples=resamples, seed=seed)
        independent = _homogeneity(one_hot[first].T @ one_hot[second])
        rows.append((
            *contrast, float(np.abs(share).sum() / 2), names[most], float(share[most]),
            names[least], float(share[least]), clustered, *independent,
        ))  # fmt: skip
    effect = ["moved", "most_gained", "gain", "most_lost", "loss"]
    p_values = ["shift_p", "stuart_maxwell_p", "bhapkar_p"]
    return pd.DataFrame(rows, columns=["condition", "reference", *effect, *p_values])


def _homogeneity(table: np.ndarray) -> tuple[float, float]:
    """P-values of Stuart and Maxwell, and of Bhapkar, for the classes that occur."""
    from statsmodels.stats.contingency_tables import SquareTable
    from statsmodels.tools.sm_exceptions import SingularMatrixWarning

    used = (table.sum(axis=0) + table.sum(axis=1)) > 0
    table = table[np.ix_(used, used)]
    if (table == table.T).all():
        return 1.0, 1.0
    p_values = []
    for method in ("stuart_maxwell", "bhapkar"):
        with warnings.catch_warnings():
            warnings.simplefilter("error", SingularMatrixWarning)
            try:
                found = SquareTable(table, shift_zeros=False).homogeneity(method).pvalue
            except (SingularMatrixWarning, np.linalg.LinAlgError):
                found = np.nan
        p_values.append(float(found))
    return p_values[0], p_values[1]
