"""Do tests and intervals hold what they promise? Type-I error and coverage by simulation.

Run as ``python tests/calibration/calibrate.py``. It writes ``RESULTS.md`` beside this file; with
``--studies 50`` or ``--only reliance`` it is quick, prints its table, and writes nothing.
"""

from __future__ import annotations

import argparse
import datetime
import gc
import time
from collections.abc import Sequence
from pathlib import Path

import checks_controls
import checks_crossing
import checks_family
import checks_features
import checks_intervals
import checks_neutral
import checks_reliance
import checks_tests
import joblib
import numpy as np
import pandas as pd
from checks import Check

CHECKS: tuple[Check, ...] = (
    *checks_intervals.CHECKS, *checks_reliance.CHECKS, *checks_tests.CHECKS,
    *checks_features.CHECKS, *checks_neutral.CHECKS, *checks_family.CHECKS,
    *checks_controls.CHECKS, *checks_crossing.CHECKS,
)  # fmt: skip
SPEAKERS = (8, 24, 51)
#: Speakers much alike in size and classes, or of very unequal size and lacking classes.
KINDS = {"even": {}, "uneven": {"size_spread": 1.0, "concentration": 4.0}}
GOALS = {
    "coverage": (0.93, 0.97), "error": (0.04, 0.06), "family": (0.0, 0.05), "power": (0.0, 1.0),
}  # fmt: skip
TITLES = {
    "coverage": "Coverage of nominal 95 % intervals (goal 93 to 97)",
    "error": "Type-I error at the nominal 5 % (goal 4 to 6; lower is conservative)",
    "family": "Any error in a family of tests at the nominal 5 % (goal at most 5)",
    "power": "Power where data are unbalanced (no goal)",
}
RESULTS = Path(__file__).with_name("RESULTS.md")
# A rate of 5 % is then known to 0.5 points.
_LONG = 1800

_ABOUT = """\
# Calibration of the tests and intervals

Written by `make calibrate`: {today}, seed {seed}, {minutes:.0f} minutes of processor time.

Four classes with shares of 15, 10, 50 and 25 %. *Even* speakers have 40 utterances (reliance: 20)
give or take a factor of 1.5; *uneven* ones a factor of 2.7, and many lack classes. Every rate is in
per cent, with its Monte Carlo standard error; **bold** ones are outside the goal by more than two
of these.

- UAR and what is made of it, tests of answers and classes (`simulate.py`): speakers differ in
  ability (sd 0.5 on the log-odds), in ability under each condition (0.4) and in leanings to classes
  (0.3, and 0.2 under each condition), utterances in ease (1.0).
- Reliance (`simulate_choices.py`): four conditions an utterance; speakers' weights of audio and
  tokens differ (means 1.0 and 0.5, sd 0.4 and 0.3), and so do leanings to labels. The truth is what
  one fit of 20,000 speakers gives. *Tokens classified*: what words tell is learnt from as many
  training speakers, and a block favours one label by 1.5 nats. *Block without content*: the same,
  and the tokens have no weight.
- Controls (`simulate_controls.py`): the content-blind model hears the audio alone as neutral too
  often, and any token block takes this away, whatever it says. To the redundant model the tokens
  are the evidence of the audio they come from, at half the weight. Both answer anew under each
  condition.
- Audio crossed with tokens (`simulate_crossing.py`): weights of the class that is heard and of the
  class of the tokens (means 1.5 and 1.0 on the log-odds, sd over speakers 0.5 and 0.4); one label
  is preferred under all conditions, by 1.0, and speakers lean to classes as above. *Tokens that
  tell nothing*: and any block of tokens favours that label by another 0.8.
- Unbalanced: one speaker of all has half of the utterances, or the rarest class has three. The
  deciding test is the one that `compare` would take in the default family of contrasts: with eight
  speakers the t test, else sign flips.
- Features (`simulate_features.py`): speakers differ in level (sd 1.0), in level under each emotion
  (0.5), utterances within that (1.0). Each of 25 features of a corpus is a test.

Fieller's interval of a share is judged where it has two ends. Rows that name independent
utterances, Stuart-Maxwell, Bhapkar, Hotelling, BCa, percentiles, a studentised bootstrap, a
sandwich or uncorrected tests are standard choices that were not taken."""


def calibrate(
    number: int,
    *,
    seed: int = 0,
    checks: Sequence[Check] = CHECKS,
    speakers: Sequence[int] = SPEAKERS,
    kinds: Sequence[str] = tuple(KINDS),
    jobs: int = 1,
) -> pd.DataFrame:
    """Rates over simulated studies.

    Args:
        number: simulated studies a design; some checks see a share of them
        seed: of the studies
        checks: what is checked
        speakers: numbers of speakers
        kinds: kinds of speakers
        jobs: processes

    Returns:
        DataFrame, one row per quantity, kind and number of speakers: ``goal``, ``check``,
        ``quantity``, ``kind``, ``speakers``, ``rate`` (0 to 1), ``studies`` (that could be judged;
        of features, tests), ``seconds`` of processor time
    """
    # The truth is that of infinitely many speakers, whatever their sizes.
    plan = [
        (check, truth, kind, size)
        for check, truth in [(check, check.truth(check.design)) for check in checks]
        for kind in kinds
        for size in speakers
    ]
    tables = joblib.Parallel(n_jobs=jobs)(
        joblib.delayed(_rates)(*one, max(1, round(number * one[0].share)), seed) for one in plan
    )
    return pd.concat(tables, ignore_index=True)


def _rates(
    check: Check, truth: np.ndarray, kind: str, speakers: int, number: int, seed: int
) -> pd.DataFrame:
    # ``multipletests`` collects garbage at every call: 50 ms of looking at modules that stay.
    gc.freeze()
    began = time.process_time()
    design = check.design.with_(speakers=speakers, **KINDS[kind])
    found = [check.made(study, truth) for study in check.studies(design, number, seed)]
    outcomes = pd.DataFrame(
        {name: np.hstack([one[name] for one in found]).astype(float) for name in found[0]}
    )
    return pd.DataFrame(
        {
            "goal": [check.goals.get(name, check.goal) for name in outcomes],
            "check": check.name, "quantity": outcomes.columns, "kind": kind,
            "speakers": speakers, "rate": outcomes.mean().to_numpy(),
            "studies": outcomes.count().to_numpy(),
            "seconds": (time.process_time() - began) / outcomes.shape[1],
        }
    )  # fmt: skip


def written(rates: pd.DataFrame, seed: int) -> str:
    """The committed table, in Markdown."""
    today, minutes = datetime.date.today().isoformat(), rates["seconds"].sum() / 60
    text = [_ABOUT.format(today=today, seed=seed, minutes=minutes)]
    for goal, rows in rates.groupby("goal", sort=False):
        text += ["", f"## {TITLES[str(goal)]}", "", *_markdown(rows, GOALS[str(goal)])]
    return "\n".join(text) + "\n"


def _markdown(rates: pd.DataFrame, goal: tuple[float, float]) -> list[str]:
    columns = [(kind, size) for kind in KINDS for size in SPEAKERS]
    lines = [
        "| | " + " | ".join(f"{size} {kind}" for kind, size in columns) + " | studies |",
        "|---|" + "---:|" * (len(columns) + 1),
    ]
    for quantity, rows in rates.groupby("quantity", sort=False):
        known = rows.set_index(["kind", "speakers"])
        cells = [_cell(*known.loc[column, ["rate", "studies"]], goal) for column in columns]
        lines.append(f"| {quantity} | {' | '.join(cells)} | {rows['studies'].max()} |")
    return lines


def _cell(rate: float, number: float, goal: tuple[float, float]) -> str:
    # A rate of 0 or 1 among few studies is not known without error.
    error = np.sqrt(max(rate * (1 - rate), 0.05 * 0.95) / number)
    text = f"{100 * rate:.1f} ± {100 * error:.1f}"
    outside = rate < goal[0] - 2 * error or rate > goal[1] + 2 * error
    return f"**{text}**" if outside else text


def main() -> None:
    """Run the long form, or a short one."""
    names = [check.name for check in CHECKS]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=_LONG, help="simulated studies a design")
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="checks to make")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    options = parser.parse_args()
    chosen = [check for check in CHECKS if check.name in options.only]
    rates = calibrate(options.studies, seed=options.seed, checks=chosen, jobs=options.jobs)
    text = written(rates, options.seed)
    print(text)
    print(rates.groupby("check", sort=False)["seconds"].sum().round(1).to_string())
    if options.studies >= _LONG and chosen == list(CHECKS):
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
