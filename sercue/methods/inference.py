"""Measures and statistics of a study, in words: those that its conditions allow, and no others."""

from __future__ import annotations

from collections.abc import Callable

from sercue.baselines import SVM, TOKENS_ONLY
from sercue.evaluated import EvaluatedRun
from sercue.interventions import about_concepts, doses_of, facts_by_name
from sercue.methods.references import listed
from sercue.reliance import subset_conditions
from sercue.significance.permutation import ENUMERATED

_SPLIT = {"aligned", "shuffled", "shuffled_within_class"}
_PAGE = 3


def statistics_text(run: EvaluatedRun) -> str:
    """What was measured and tested, and how.

    Args:
        run: a finished run
    """
    return " ".join(filter(None, (part(run) for part in _PARTS)))


def _measures(run: EvaluatedRun) -> str:
    known = set(run.measures["condition"])
    trained = {
        TOKENS_ONLY: "a logistic regression on the tokens alone",
        SVM: "a linear support vector machine on all functionals",
    }
    beside = [words for name, words in trained.items() if name in known]
    chance = f"chance (1/{len(run.labels)})"
    return (
        "The measure is unweighted average recall (UAR), the mean recall of the classes "
        f"(audmetric {run.provenance['versions']['audmetric']}). UAR− is that under `none`, UAR+ "
        f"under `aligned`. It is read against {listed([chance, *beside])}."
    )


def _intervals(run: EvaluatedRun) -> str:
    level = f"{run.parameters['confidence']:.0%}"
    return (
        f"Intervals are of {level} and over speakers: standard errors clustered by speaker with "
        "the CR2 correction [Bell and McCaffrey, 2002] and quantiles of Student's t on "
        "Satterthwaite's degrees of freedom [Pustejovsky and Tipton, 2018]."
    )


def _contrasts(run: EvaluatedRun) -> str:
    if run.tests.empty:
        return ""
    speakers = int(run.tests["speakers"].max())
    return (
        f"{len(run.tests)} contrasts between conditions were planned, each paired by utterance and "
        f"over {speakers} speakers: aligned against none, and every other condition but those "
        "about single concepts against either, as far as the study has them. Their p-values were "
        "corrected for the family [Holm, 1979]. Beside them stand permutation tests that exchange "
        f"the two conditions for whole speakers ({_patterns(run, speakers)}), and McNemar's test "
        "[McNemar, 1947] of one answer an utterance, that to the first wording, label order and "
        "replicate, with speakers kept together [Durkalski et al., 2003] by the same permutations. "
        "Of each contrast the smallest difference that would be found with a power of 80% is given."
    )


def _patterns(run: EvaluatedRun, speakers: int) -> str:
    if speakers <= ENUMERATED:
        return "all patterns of signs"
    return f"{run.parameters['resamples']} patterns of signs drawn"


def _equivalence(run: EvaluatedRun) -> str:
    if run.tests.empty:
        return ""
    claims = ["whether two conditions are equal in UAR"]
    if "aligned" in set(run.tests["reference"]):
        claims.append("whether answers do not gather in one class")
    return (
        f"{_sentence(listed(claims))} was tested as equivalence, by two one-sided tests "
        f"[Schuirmann, 1987] against a margin of {run.parameters['margin']:g}."
    )


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _doses(run: EvaluatedRun) -> str:
    families = {
        k: v for k, v in doses_of(facts_by_name(run.parameters["conditions"])).items() if len(v) > 1
    }
    if not families:
        return ""
    page = any(len(doses) >= _PAGE for doses in families.values())
    tests = ["a contrast of slope", "a permutation of the doses within speakers"]
    tests += ["Page's test [Page, 1963]"] if page else []
    return f"The trend with the dose of {listed(families)} was tested by {listed(tests)}."


def _split(run: EvaluatedRun) -> str:
    if not set(run.parameters["conditions"]) >= _SPLIT:
        return ""
    return (
        "The difference of aligned to shuffled tokens was split into what they tell of the "
        "utterance and what of its class, the shares with Fieller's interval [Fieller, 1954]."
    )


def _wording(run: EvaluatedRun) -> str:
    if len(run.parameters["templates"]) < 2 and run.parameters["label_orders"] < 2:
        return ""
    return (
        "How much UAR varies with the prompt and with the speaker was estimated by variance "
        "components [Searle et al., 1992]."
    )


def _reliance(run: EvaluatedRun) -> str:
    table = run.artifacts.load("reliance.parquet", run.settings, **run.inputs)
    if table is None:
        return ""
    return (
        "The reliance on the tokens is their share in the weights of a conditional logit "
        "[McFadden, 1974] of the answers on the model's own log-probabilities without tokens and "
        "on those of a classifier of the tokens, with Fieller's interval [Fieller, 1954] over "
        "speakers."
    )


def _controls(run: EvaluatedRun) -> str:
    name = "controls.parquet"
    there = run.parameters["controls"] and (run.artifacts.folder / name).is_file()
    table = run.artifacts.read(name) if there else None
    if table is None or table.empty or not run.is_its_own(run.artifacts.stamp(table)):
        return ""
    return (
        "The model stands beside three small control models that were trained on this corpus to "
        "rely on the audio, on the tokens, or on both."
    )


def _concepts(run: EvaluatedRun) -> str:
    names = run.parameters["conditions"]
    if not any(map(about_concepts, names)):
        return ""
    text = "Effects of single concepts are a family of their own, corrected by Holm's method"
    if set(subset_conditions()) <= set(names):
        return f"{text}; each concept's part in all of them is its Shapley value [Shapley, 1953]."
    return f"{text}."


_PARTS: tuple[Callable[[EvaluatedRun], str], ...] = (
    _measures, _intervals, _contrasts, _equivalence, _doses, _split, _wording, _reliance, _controls,
    _concepts,
)  # fmt: skip
