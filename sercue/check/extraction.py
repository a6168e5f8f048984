"""Whether the features of a study are there, and how long it will take to extract them."""

from __future__ import annotations

import time

import joblib
import numpy as np
import pandas as pd

from sercue.check.durations import duration
from sercue.check.rehearsal import Rehearsal, spread

# As long as one waits for an exact count of prompts without asking why.
_WORTH_WAITING = 20.0


def check_features(study: Rehearsal) -> str:
    """What is in the cache, and the time that the rest will take.

    Args:
        study: the study; if it is measured, a few are extracted and timed, and all of them where
            that takes a moment

    Raises:
        InputError: if one of the few cannot be processed
    """
    utterances, missing = len(study.corpus.table), study.missing
    if missing.empty:
        return f"eGeMAPS of all {utterances} utterances is in the cache"
    left = f"eGeMAPS of {len(missing)} of {utterances} utterances is still to be extracted"
    if not study.measured:
        return left
    number, each = _timed(study, missing)
    whole = each * (len(missing) - number)
    if whole <= _WORTH_WAITING:
        study.extract(study.corpus.table, progress=True)
        return f"eGeMAPS of all {utterances} utterances is in the cache, {len(missing)} now added"
    return f"{left}: about {duration(whole)}, {duration(each)} each, measured on {number}"


def _timed(study: Rehearsal, missing: pd.Series) -> tuple[int, float]:
    """How many were extracted to find out, and the seconds that each took."""
    seconds = study.seconds.set_axis(study.corpus.table.index).loc[missing.index]
    by_length = np.argsort(seconds.to_numpy(), kind="stable")
    # All cores are busy only with several apiece.
    few = missing.index[spread(by_length, 4 * joblib.cpu_count())]
    table = study.corpus.table.loc[few]
    # The first one waits for openSMILE to load.
    study.extract(table[:1])
    begun = time.perf_counter()
    study.extract(table)
    return len(table), (time.perf_counter() - begun) / max(len(table) - 1, 1)
