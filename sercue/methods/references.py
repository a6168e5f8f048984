"""Where the methods of a study are described: what its text cites."""

from __future__ import annotations

import re
from collections.abc import Iterable

#: What a text writes in square brackets, to the reference in full.
REFERENCES = {
    "Bell and McCaffrey, 2002": "Bell, R. M., and McCaffrey, D. F. (2002). Bias reduction in "
    "standard errors for linear regression with multi-stage samples. Survey Methodology 28.",
    "Pustejovsky and Tipton, 2018": "Pustejovsky, J. E., and Tipton, E. (2018). Small-sample "
    "methods for cluster-robust variance estimation and hypothesis testing in fixed effects "
    "models. Journal of Business & Economic Statistics 36.",
    "Durkalski et al., 2003": "Durkalski, V. L., et al. (2003). Analysis of clustered "
    "matched-pair data. Statistics in Medicine 22.",
    "Eyben et al., 2016": "Eyben, F., et al. (2016). The Geneva Minimalistic Acoustic Parameter "
    "Set (GeMAPS) for voice research and affective computing. IEEE Transactions on Affective "
    "Computing 7(2), 190-202. doi:10.1109/TAFFC.2015.2457417.",
    "Fieller, 1954": "Fieller, E. C. (1954). Some problems in interval estimation. Journal of the "
    "Royal Statistical Society B 16.",
    "Holm, 1979": "Holm, S. (1979). A simple sequentially rejective multiple test procedure. "
    "Scandinavian Journal of Statistics 6.",
    "McFadden, 1974": "McFadden, D. (1974). Conditional logit analysis of qualitative choice "
    "behavior. In: Frontiers in Econometrics.",
    "McNemar, 1947": "McNemar, Q. (1947). Note on the sampling error of the difference between "
    "correlated proportions or percentages. Psychometrika 12.",
    "Page, 1963": "Page, E. B. (1963). Ordered hypotheses for multiple treatments: a significance "
    "test for linear ranks. Journal of the American Statistical Association 58.",
    "Schuirmann, 1987": "Schuirmann, D. J. (1987). A comparison of the two one-sided tests "
    "procedure and the power approach for assessing the equivalence of average bioavailability. "
    "Journal of Pharmacokinetics and Biopharmaceutics 15.",
    "Searle et al., 1992": "Searle, S. R., Casella, G., and McCulloch, C. E. (1992). Variance "
    "Components. Wiley.",
    "Shapley, 1953": "Shapley, L. S. (1953). A value for n-person games. In: Contributions to the "
    "Theory of Games II.",
    "Tsangko et al., 2026": "Tsangko, Triantafyllopoulos and Schuller (2026). Acoustic Cue "
    "Alignment in Audio Language Models for Speech Emotion Recognition. arXiv 2606.07309.",
    "Williams, 1949": "Williams, E. J. (1949). Experimental designs balanced for the estimation of "
    "residual effects of treatments. Australian Journal of Scientific Research A 2.",
}
_CITED = re.compile(r"\[([^\[\]]+)\]")


def cited(text: str) -> list[str]:
    """The references that a text cites, in full and in the order of the alphabet.

    Args:
        text: with citations in square brackets, several parted by semicolons

    Examples:
        >>> cited("corrected [Holm, 1979]; the labels [a, b]")[0][:30]
        'Holm, S. (1979). A simple sequ'
    """
    named = {part.strip() for found in _CITED.findall(text) for part in found.split(";")}
    return sorted(REFERENCES[name] for name in named if name in REFERENCES)


def listed(parts: Iterable[str]) -> str:
    """Words in a row, the last after *and*.

    Examples:
        >>> listed(["a", "b", "c"]), listed(["a"])
        ('a, b and c', 'a')
    """
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last
