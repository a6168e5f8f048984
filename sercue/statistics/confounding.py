"""Whether a corpus can tell the emotion from the speaker: who has utterances of several classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

#: Where most speakers have one class only, what is compared within speakers needs so many who have
#: two or more: with fewer, shares of variance and differences between classes are not given.
ENOUGH_CROSSED = 10
# Of the variance of class membership: up to here, speakers may have one class by chance; from there
# on, the speaker tells more of it than all else.
_SOME_OF_IT, _MOST_OF_IT = 0.1, 0.5


@dataclass(frozen=True)
class Crossing:
    r"""How speakers and classes are crossed.

    Attributes:
        several: how many speakers have two or more utterances
        crossed: how many of them have utterances of two or more classes
        determined: the part of the variance of class membership that lies between speakers, 0
            (independent; may fall below) to 1 (the speaker determines the class): Goodman and
            Kruskal's :math:`\tau`, which is the :math:`R^2` of the classes' indicators on the
            speakers, adjusted as an :math:`R^2` is; NaN of one class, or of speakers with a single
            utterance each
    """

    several: int
    crossed: int
    determined: float

    @classmethod
    def of(cls, speakers: pd.Series, emotions: pd.Series) -> Crossing:
        """The crossing of the speaker and the class of each utterance.

        Examples:
            >>> Crossing.of(pd.Series(list("aabbc")), pd.Series(list("xyxxy")))
            Crossing(several=2, crossed=1, determined=0.166666666667)
        """
        return cls.of_counts(pd.crosstab(speakers.to_numpy(), emotions.to_numpy()).to_numpy())

    @classmethod
    def of_counts(cls, counts: np.ndarray) -> Crossing:
        """The crossing of a table of utterances, shape (speakers, classes)."""
        counts = counts[counts.sum(axis=1) > 0]
        of_speaker, total = counts.sum(axis=1), counts.sum()
        shares = counts.sum(axis=0) / total
        spread, spare = 1 - (shares**2).sum(), total - len(counts)
        determined = np.nan
        if spread > 0 and spare > 0:
            within = 1 - (counts**2 / of_speaker[:, None]).sum() / total
            determined = round(float(1 - within / spread * (total - 1) / spare), 12)
        classes = (counts > 0).sum(axis=1)
        return cls(int((of_speaker > 1).sum()), int((classes > 1).sum()), determined)

    @property
    def mostly_single(self) -> bool:
        """Whether most speakers have one class alone, and more so than by chance."""
        return 2 * self.crossed < self.several and self.determined > _SOME_OF_IT

    @property
    def confounded(self) -> bool:
        """Whether most speakers have one class, or the speaker tells most of the class."""
        return self.mostly_single or self.determined > _MOST_OF_IT

    @property
    def too_few(self) -> bool:
        """Whether most have one class, and too few have several for comparisons within speakers."""
        return self.mostly_single and self.crossed < ENOUGH_CROSSED
