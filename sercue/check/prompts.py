"""How many prompts a study has, before and after equal ones are merged."""

from __future__ import annotations

from sercue.check.rehearsal import Rehearsal

# Rows that are planned in some seconds.
_COUNTED = 300_000


def check_prompts(study: Rehearsal) -> str:
    """The number of prompts, and what merging equal ones leaves of it.

    Args:
        study: the study; if it is measured and its tokens are known, every prompt is written out

    Raises:
        InputError: if a condition, the templates or the label orders cannot be had here
    """
    s, total = study.settings, study.planned
    # Planned in any case: a condition that cannot be had with these utterances ends the study.
    _ = study.some_prompts
    counted = _merged(study, total) if study.measured and study.extracted else " at most"
    return (
        f"{study.evaluated} utterances of {s.partition!r} x {study.variants} conditions and "
        f"replicates x {len(s.templates)} templates x {s.label_orders} label orders = "
        f"{total} prompts{counted}"
    )


def _merged(study: Rehearsal, total: int) -> str:
    if total <= _COUNTED:
        different = len(study.plan()[["row", "prompt"]].drop_duplicates())
        return f", {different} after merging equal ones"
    sample = study.every_prompt[["row", "prompt"]]
    different = round(total * len(sample.drop_duplicates()) / len(sample))
    share = sample["row"].nunique()
    return f", about {different} after merging equal ones (counted on {share} utterances)"
