"""Bland-Altman agreement of openSMILE with Praat: F0, formants and HNR of a sample."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import parselmouth
import scipy

from sercue.corpora.audio import SAMPLING_RATE, audio_digests, read_utterance
from sercue.corpora.corpus import Corpus, utterance_ids
from sercue.corpora.recordings import naming
from sercue.corpora.rows import stratified_sample
from sercue.running import side_by_side
from sercue.storage.files import cache_folder
from sercue.storage.tables import CACHED_PRAAT, through_cache
from sercue.tokens.concepts import measurable

#: Pitch range of Praat in Hz; openSMILE's is 55 to 1000. Formants below 5.5 kHz, as in openSMILE.
PITCH_RANGE = (60.0, 600.0)
FORMANT_CEILING = 5500.0
#: Agreement is weak below this rank correlation, or above this share of gross errors.
WEAK_CORRELATION = 0.7
WEAK_GROSS = 0.1
# To be raised when the same recording would get other values, or more of them.
_VERSION = 1
_STEP = 0.01
_UNDEFINED_HNR = -200.0
# What Praat's manual recommends for speech: fewer periods underestimate a high HNR.
_PERIODS = 4.5


@dataclass(frozen=True)
class Measure:
    """A quantity that both programs measure.

    Attributes:
        functional: its eGeMAPS functional
        unit: of both
        gross: a difference from here on is a gross error: half an octave of F0, 30 % of a formant;
            ``None`` if the scales differ
        relative: whether ``gross`` is a share of Praat's value
    """

    functional: str
    unit: str
    gross: float | None
    relative: bool = False

    def is_in(self, columns: Iterable[str]) -> bool:
        """Whether one of some features is made of the low-level descriptor of ``functional``.

        Examples:
            >>> MEASURES["F1"].is_in(["voiced_mean(F1frequency_sma3nz)"])
            True
        """
        descriptor, _, _ = self.functional.partition("_sma3")
        return any(descriptor in column for column in columns)


MEASURES = {
    "F0": Measure("F0semitoneFrom27.5Hz_sma3nz_percentile50.0", "semitones", 6.0),
    "F1": Measure("F1frequency_sma3nz_amean", "Hz", 0.3, relative=True),
    "F2": Measure("F2frequency_sma3nz_amean", "Hz", 0.3, relative=True),
    "F3": Measure("F3frequency_sma3nz_amean", "Hz", 0.3, relative=True),
    "HNR": Measure("HNRdBACF_sma3nz_amean", "dB", None),
}


def praat_pairs(
    features: pd.DataFrame,
    corpus: Corpus,
    *,
    utterances: int = 100,
    seed: int = 0,
    cache: str | os.PathLike[str] | None = None,
) -> pd.DataFrame:
    """F0, F1 to F3 and HNR of a sample of utterances by openSMILE and by Praat.

    F0 is the median over voiced frames, in semitones above 27.5 Hz; formants (Burg's method) and
    HNR (autocorrelation) are means over the frames that Praat finds voiced. What Praat measured is
    cached by the bytes of the recording and the segment.

    Args:
        features: functionals, indexed as ``corpus.table``
        corpus: where the recordings are
        utterances: how many to measure, in proportion to emotions and speakers
        seed: of the choice
        cache: folder of what Praat measured, by default that of ``cache_folder()``

    Returns:
        DataFrame, one row per utterance and measure: ``utterance``, ``speaker``, ``measure``,
        ``opensmile``, ``praat``; NaN where a program finds no voiced frame

    Raises:
        InputError: if a recording cannot be read
    """
    rows = stratified_sample(corpus.table.loc[features.index], utterances, seed)
    functionals = {measure.functional: name for name, measure in MEASURES.items()}
    smile = measurable(features).loc[rows.index, list(functionals)].rename(columns=functionals)
    folder = cache_folder() if cache is None else Path(cache)
    folder = folder / f"praat-{_VERSION}-parselmouth-{parselmouth.VERSION}"
    sampled = corpus.with_table(rows)

    def measured(missing: pd.Series) -> Iterator[pd.DataFrame]:
        keys = [(sampled, key) for key in missing.index]
        # Praat holds the interpreter while it works, so that threads would wait for each other.
        found = list(side_by_side(_measured, keys, joblib.cpu_count()))
        index = pd.Index(missing, name="audio", dtype=object)
        yield pd.DataFrame(found, index=index, dtype=float)

    praat = through_cache(folder, CACHED_PRAAT, audio_digests(sampled), measured)
    both = {"opensmile": smile, "praat": praat}
    names = utterance_ids(rows.index)
    tables = [
        pd.DataFrame({program: table[measure].to_numpy() for program, table in both.items()})
        .assign(utterance=names, speaker=rows["speaker"].astype(str).to_numpy(), measure=measure)
        for measure in MEASURES
    ]  # fmt: skip
    columns = ["utterance", "speaker", "measure", "opensmile", "praat"]
    return pd.concat(tables, ignore_index=True)[columns]


def _measured(corpus: Corpus, key: Any) -> dict[str, float]:
    samples = read_utterance(corpus, key)
    with naming(corpus.path(key[0]), "Praat cannot measure it"):
        return measured_by_praat(samples)


def measured_by_praat(signal: np.ndarray) -> dict[str, float]:
    """The measures of one utterance by Praat; NaN without a voiced frame.

    Args:
        signal: samples at 16 kHz, shape (samples,)

    Returns:
        ``F0`` in semitones above 27.5 Hz, ``F1``, ``F2``, ``F3`` in Hz, ``HNR`` in dB

    Examples:
        >>> time = np.arange(16000) / 16000
        >>> tone = sum(np.sin(2 * np.pi * 110 * k * time) / k for k in range(1, 20))
        >>> round(measured_by_praat(0.1 * tone)["F0"], 1)
        24.0
    """
    sound = parselmouth.Sound(signal.astype(float), SAMPLING_RATE)
    nothing = dict.fromkeys(MEASURES, np.nan)
    floor, ceiling = PITCH_RANGE
    # Praat needs three periods of the lowest pitch, and twice a window for the harmonicity.
    if sound.duration <= 2.1 * _PERIODS / floor:
        return nothing
    pitch = sound.to_pitch_ac(_STEP, pitch_floor=floor, pitch_ceiling=ceiling)
    f0 = pitch.selected_array["frequency"]
    voiced = pitch.xs()[f0 > 0]
    if not len(voiced):
        return nothing
    measured = {"F0": float(12 * np.log2(np.median(f0[f0 > 0]) / 27.5))}
    formants = sound.to_formant_burg(_STEP, maximum_formant=FORMANT_CEILING)
    for n in (1, 2, 3):
        measured[f"F{n}"] = _mean(formants.get_value_at_time(n, time) for time in voiced)
    hnr = sound.to_harmonicity_ac(_STEP, minimum_pitch=floor, periods_per_window=_PERIODS)
    nearest = np.abs(hnr.xs()[:, None] - voiced).argmin(axis=0)
    measured["HNR"] = _mean(value for value in hnr.values[0][nearest] if value > _UNDEFINED_HNR)
    return measured


def _mean(values: Iterable[float]) -> float:
    known = np.array([value for value in values if not np.isnan(value)])
    return float(known.mean()) if len(known) else np.nan


def praat_agreement(pairs: pd.DataFrame) -> pd.DataFrame:
    r"""How well openSMILE agrees with Praat, measure by measure.

    Bias and limits of agreement are those of Bland and Altman: the mean of openSMILE less Praat,
    and that mean :math:`\pm 1.96` standard deviations of the differences. They are given where
    both measure on one scale. **HNR is not on one scale**: openSMILE's saturates above some
    10 dB, so that only its rank correlation may be read. Formants depend on how frames are
    weighted and tracked; neither program is the truth.

    A gross error is a difference of more than half an octave (F0: mostly an octave jump in one of
    the programs) or 30 % (formants). Limits assume differences that are about normal and as wide
    for low as for high values: look at the figure. Several utterances of one speaker count as
    independent.

    Args:
        pairs: as ``praat_pairs`` returns them

    Returns:
        DataFrame indexed by ``measure``: ``unit``, ``utterances`` (measured by both), ``one_only``
        (measured by one program only), ``bias``, ``low``, ``high`` (limits of agreement, in that
        unit), ``correlation`` (Pearson), ``rank_correlation`` (Spearman), ``gross`` (share of gross
        errors, 0 to 1)

    References:
        Bland and Altman, "Statistical methods for assessing agreement between two methods of
        clinical measurement", Lancet 327 (1986)

    Examples:
        >>> values = {"opensmile": [10.0, 20.0, 31.0], "praat": [9.0, 21.0, 31.0]}
        >>> pairs = pd.DataFrame(values).assign(measure="F0", utterance=list("abc"))
        >>> praat_agreement(pairs).loc["F0", ["bias", "high", "rank_correlation"]].tolist()
        [0.0, 1.96, 1.0]
    """
    table = {}
    for name, rows in pairs.groupby("measure", sort=False):
        measure, known = MEASURES[str(name)], rows[["opensmile", "praat"]].notna()
        both = rows[known.all(axis=1)]
        smile, praat = both["opensmile"], both["praat"]
        bias, spread = (smile - praat).mean(), 1.96 * (smile - praat).std()
        gross = float(is_gross(both, measure).mean())
        if measure.gross is None:
            bias = spread = gross = np.nan
        correlation = rank_correlation = np.nan
        if len(both) > 2 and smile.nunique() > 1 and praat.nunique() > 1:
            correlation = float(np.corrcoef(smile, praat)[0, 1])
            rank_correlation = float(scipy.stats.spearmanr(smile, praat).statistic)
        table[name] = {
            "unit": measure.unit, "utterances": len(both),
            "one_only": int(known.sum(axis=1).eq(1).sum()),
            "bias": bias, "low": bias - spread, "high": bias + spread,
            "correlation": correlation, "rank_correlation": rank_correlation, "gross": gross,
        }  # fmt: skip
    return pd.DataFrame.from_dict(table, orient="index").rename_axis("measure")


def is_gross(pairs: pd.DataFrame, measure: Measure) -> pd.Series:
    """Which pairs differ grossly; none where the scales differ."""
    if measure.gross is None:
        return pd.Series(False, index=pairs.index)
    difference = (pairs["opensmile"] - pairs["praat"]).abs()
    return difference > measure.gross * (pairs["praat"].abs() if measure.relative else 1)
