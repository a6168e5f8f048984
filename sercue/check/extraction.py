"""Whether the features of a study are there, and how long it will take to extract them."""

from __future__ import annotations

import time
from dataclasses import replace

import joblib
import numpy as np
import pandas as pd

from sercue.check.durations import duration
from sercue.check.rehearsal import Rehearsal, spread
from sercue.features import extract_features, extracted

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
    utterances = len(study.corpus.table)
    there = extracted(study.digests)
    missing = study.digests[~there & ~study.digests.duplicated()]
    if missing.empty:
        return f"eGeMAPS of all {utterances} utterances is in the cache"
    left = f"eGeMAPS of {len(missing)} of {utterances} utterances is still to be extracted"
    if not study.measured:
        return left
    number, each = _timed(study, missing)
    whole = each * (len(missing) - number)
    if whole <= _WORTH_WAITING:
        extract_features(study.corpus)
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
    extract_features(replace(study.corpus, table=table[:1]), progress=False)
    begun = time.perf_counter()
    extract_features(replace(study.corpus, table=table), progress=False)
    rest = max(len(table) - 1, 1)
    return len(table), (time.perf_counter() - begun) / rest
