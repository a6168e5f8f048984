"""The methods of a finished study, in words fit for a paper, from its artifacts alone."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from sercue.answers import READ
from sercue.corpora import available_corpora
from sercue.corpora.corpus import PARTITIONS, Corpus
from sercue.errors import InputError
from sercue.models.cards import CARDS
from sercue.report.finished import EvaluatedRun, public_value, read_run
from sercue.statistics.attribution import subset_conditions
from sercue.statistics.baselines import SVM, TOKENS_ONLY
from sercue.statistics.permutation import ENUMERATED
from sercue.storage.files import write_text
from sercue.tokens.binning import stored_binnings
from sercue.tokens.catalogue import about_concepts, describe_conditions, doses_of, facts_by_name
from sercue.tokens.concepts import UNKNOWN
from sercue.tokens.condition import parts_of
from sercue.tokens.prompts import Template, label_orders, resolve_templates

_MARKS = re.compile(r"([\\`*_\[\]<>|~$&#!])")


def plain(text: object) -> str:
    r"""A text whose marks are no markup, on one line.

    Examples:
        >>> print(plain("*sad*\n<b>"))
        \*sad\* \<b\>
    """
    return _MARKS.sub(r"\\\1", " ".join(str(text).split()))


def code(text: str) -> str:
    """A text as code within a line.

    Examples:
        >>> print(code("a`b"))
        `` a`b ``
    """
    fence = _fence(text, 1)
    space = " " if "`" in text else ""
    return f"{fence}{space}{' '.join(text.split())}{space}{fence}"


def block(text: str) -> str:
    """A text as a block of its own, line by line."""
    fence = _fence(text, 3)
    return f"{fence}text\n{text}\n{fence}"


def _fence(text: str, least: int) -> str:
    """Backticks that the text does not hold."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    return "`" * max(least, longest + 1)


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


def prompt_text(run: EvaluatedRun, corpus: Corpus) -> str:
    """How the prompts are made, and each of them in full.

    Args:
        run: a finished run
        corpus: as its artifacts have it
    """
    shown, words = run.parameters, label_words(run, corpus)
    templates = resolve_templates(shown["templates"])
    orders = label_orders(len(words), shown["label_orders"])
    options = "; ".join(", ".join(plain(words[n]) for n in order) for order in orders)
    first = {str(name): str(word) for name, word in own_tokens(run, corpus).iloc[0].items()}
    one_order, one_wording = len(orders) == 1, len(templates) == 1
    sentences = [
        "A prompt is the audio followed by a text: instruction, label options, tokens, answer cue. "
        f"There {'is one wording' if one_wording else f'are {len(templates)} wordings'} and "
        f"{'one order' if one_order else f'{len(orders)} orders'} of the label options"
        f"{'' if one_order else ', counterbalanced [Williams, 1949]'}: {options}."
        f"{_renamed(words, corpus)}",
        f"{'It reads' if one_wording else 'They read'}, in full, with the first order and, as an "
        "example, the tokens of the first evaluated utterance:",
    ]
    quoted = [_quoted(template, [words[n] for n in orders[0]], first) for template in templates]
    return "\n\n".join([" ".join(sentences), *quoted])


def model_text(run: EvaluatedRun) -> str:
    """The model with the version of its weights, and how it answers.

    Args:
        run: a finished run
    """
    known, shown = run.provenance["model"], run.parameters
    card = next((card for card in CARDS if card.name == shown["model"]), None)
    about = f" ({card.description}{_from(card.repository)})" if card else ""
    sentences = [
        f"The model is {plain(known['name'])}{about}, with the identity {code(known['identity'])}, "
        f"in {known['dtype']} on {plain(known['device'])}."
    ]
    options = public_value(shown["model_options"])
    if options != "{}":
        sentences.append(f"Options of the model: {code(options)}.")
    return " ".join([*sentences, _decoding(shown)])


def condition_text(run: EvaluatedRun) -> str:
    """What each condition shows, and what is random in it.

    Args:
        run: a finished run
    """
    shown = run.parameters
    table = describe_conditions(shown["conditions"])
    names = [str(name) for name in table.index]
    single = [name for name in names if about_concepts(name)]
    main = table.drop(index=single)
    lines = [f"- `{name}`: {text}" for name, text in main["what is shown"].items()]
    lines += [f"- {text}" for text in _families(single, table)]
    replicates, asked = shown["replicates"], run.provenance["predictions"]["rows"]
    head = (
        "Each utterance was asked under these conditions; its audio was the same under all, and "
        "only the tokens in the text differed:"
    )
    random = dict.fromkeys(_kind(str(name)) for name, drawn in table["random"].items() if drawn)
    drawn = (
        f"What is random ({listed(f'`{name}`' for name in random)}) was drawn {replicates} "
        f"{'time' if replicates == 1 else 'times'}. "
        if random
        else ""
    )
    seed = f"All that is random in the study has the seed {shown['seed']}."
    asking = f"In all, {asked} answers were evaluated. "
    return f"{head}\n\n" + "\n".join(lines) + f"\n\n{drawn}{asking}{seed}"


def label_words(run: EvaluatedRun, corpus: Corpus) -> list[str]:
    """What prompts show for each label, in the order of the labels."""
    given = run.parameters["labels"]
    words: Mapping[str, Any] = given if isinstance(given, dict) else {}
    return [str(words.get(label, label)) for label in corpus.labels]


def _quoted(template: Template, labels: list[str], tokens: dict[str, str]) -> str:
    cues = template.cues.replace("{tokens}", "…")
    return (
        f"*{plain(template.name)}*; without tokens, the part “{plain(cues)}” is left out:\n\n"
        f"{block(template.render(labels, tokens))}"
    )


def _renamed(words: list[str], corpus: Corpus) -> str:
    pairs = [(w, n) for w, n in zip(words, corpus.labels, strict=True) if w != n]
    return (
        f" There, {listed(f'{plain(w)} stands for {plain(n)}' for w, n in pairs)}." if pairs else ""
    )


def _from(repository: str) -> str:
    return f", {repository}" if repository else ""


def _decoding(shown: dict[str, Any]) -> str:
    if shown["decoding"] == "score":
        return (
            "Its answer is the label whose words are likeliest as a continuation of the prompt: "
            "the log-likelihoods of their tokens were summed."
        )
    return (
        f"Its answer was decoded greedily, with at most {shown['max_new_tokens']} new tokens. The "
        "words of the labels were searched in it, whole and without regard to case; reasoning in "
        "tags such as `<think>` is not part of it. An answer that names no label, or more than "
        "one, or has a negation, is invalid and counts as wrong. Negations are known of "
        f"{listed(READ)}; an answer in another language, or one that names a label of a single "
        "character, is valid only if it is the label and nothing else."
    )


def _kind(name: str) -> str:
    return f"{parts_of(name)[0]}(...)" if about_concepts(name) else name


def _families(names: list[str], table: pd.DataFrame) -> list[str]:
    """Conditions about concepts by kind, since there may be many of a kind."""
    kinds: dict[str, list[str]] = {}
    for name in names:
        kinds.setdefault(_kind(name), []).append(name)
    shown = table["what is shown"].astype(str).to_dict()
    return [
        f"`{kind}`: {len(members)} of them; `{members[0]}`, for instance: {shown[members[0]]}"
        if len(members) > 1
        else f"`{members[0]}`: {shown[members[0]]}"
        for kind, members in kinds.items()
    ]


_METHODS = {
    "quantile": "so that the training utterances fill the bins equally",
    "width": "into bins of equal width between the 1st and the 99th percentile of the training "
    "utterances",
    "thresholds": "at thresholds that the study states",
}


def corpus_text(run: EvaluatedRun, corpus: Corpus) -> str:
    """The corpus: what it holds, how it is divided, what of it is not used.

    Args:
        run: a finished run
        corpus: as its artifacts have it
    """
    known, shown = run.provenance["corpus"], run.parameters
    made = ", synthetic speech" if corpus.synthetic else ""
    sentences = [
        f"The corpus is {known['name']}{made}{_citation(known['name'])}: {known['utterances']} "
        f"utterances of {known['speakers']} speakers{_sexes(corpus.table)} in "
        f"{len(corpus.labels)} classes ({_counts(corpus.table['emotion'], corpus.labels)})."
    ]
    sentences += _division(corpus, shown["partition"])
    if len(corpus.left_out):
        reasons = corpus.left_out["reason"].value_counts()
        told = listed(f"{number} ({plain(reason)})" for reason, number in reasons.items())
        sentences.append(f"Of the utterances that it lists, these were left out: {told}.")
    sentences += _options(shown)
    sentences.append(f"The hash of the audio's content is {known['content']}.")
    return " ".join(sentences)


def feature_text(run: EvaluatedRun, corpus: Corpus) -> str:
    """The functionals, and how the concepts are made of them.

    Args:
        run: a finished run
        corpus: as its artifacts have it
    """
    shown, binning = run.parameters, next(iter(_binnings(run).values()))
    channel = shown["channel"]
    heard = "the mean of all channels" if channel is None else f"channel {channel} alone"
    silent = " that are not silent" if channel is None else ""
    concepts = "; ".join(
        f"{plain(concept['name'])} ({_signed(concept['functionals'])})"
        for concept in binning["concepts"]
    )
    return (
        f"From the audio, at 16 kHz with {heard}{silent}, limited to full scale, the functionals "
        "of eGeMAPSv02 [Eyben et al., 2016] were extracted with "
        f"openSMILE (Python package opensmile {run.provenance['versions']['opensmile']}). "
        f"{len(binning['concepts'])} acoustic concepts were derived from them, with these signs: "
        f"{concepts}. The score of a concept is the mean of the signed robust z-scores of its "
        "functionals (median and interquartile range of the training utterances"
        f"{_centring(shown['centre'])}). Scores were cut into {len(binning['words'])} words "
        f"({', '.join(binning['words'])}), {_METHODS[shown['binning']]}{_of_folds(run)}. "
        f"{_unknown(run, corpus)}"
    )


def threshold_table(run: EvaluatedRun) -> str:
    """The thresholds of each concept as a Markdown table; of a cross-validation, of each fold."""
    folds, lines = _binnings(run), []
    for fold, binning in folds.items():
        for concept, edges in binning["thresholds"].items():
            cells = [
                plain(concept),
                *([plain(fold)] if fold else []),
                ", ".join(f"{e:.3f}".replace("-", "−") for e in edges),
            ]
            lines.append(" | ".join(cells))
    heads = ["concept", *(["fold"] if "" not in folds else []), "thresholds of the score"]
    rule = " | ".join("---" for _ in heads)
    return "\n".join(f"| {line} |" for line in [" | ".join(heads), rule, *lines])


def own_tokens(run: EvaluatedRun, corpus: Corpus) -> pd.DataFrame:
    """The true tokens of the evaluated utterances."""
    tokens = run.artifacts.read("tokens.parquet")
    return tokens.loc[corpus.rows(run.parameters["partition"]).index]


def _citation(name: str) -> str:
    """Where a corpus of the field is described; corpora of one's own have no such place."""
    citation = str(available_corpora()["citation"].get(name, ""))
    return f" ({citation})" if re.search(r"\b(19|20)\d\d\b", citation) else ""


def _counts(values: pd.Series, names: Any) -> str:
    number = values.value_counts()
    return ", ".join(f"{plain(name)} {number.get(name, 0)}" for name in names)


def _sexes(table: pd.DataFrame) -> str:
    if "sex" not in table:
        return ""
    speakers = table.groupby("speaker")["sex"].first().dropna().value_counts().sort_index()
    return f" ({', '.join(f'{number} {plain(sex)}' for sex, number in speakers.items())})"


def _division(corpus: Corpus, partition: str) -> list[str]:
    if corpus.folds:
        return [
            f"It was cross-validated over {len(corpus.folds)} folds "
            f"({', '.join(map(plain, corpus.folds))}): each was evaluated with everything that is "
            "fitted, thresholds first, fitted on all "
            f"others.{_disjoint(corpus.table, 'fold')}"
        ]
    parts = [
        f"{name} {len(rows)} utterances of {_speakers(rows)}"
        for name in PARTITIONS
        if len(rows := corpus.rows(name))
    ]
    return [
        f"Partitions: {'; '.join(parts)}.{_disjoint(corpus.table, 'partition')} "
        f"Evaluated was {partition}; everything that is fitted was fitted on train."
    ]


def _speakers(rows: pd.DataFrame) -> str:
    number = rows["speaker"].nunique()
    return f"{number} speaker{'s' * (number != 1)}"


def _disjoint(table: pd.DataFrame, column: str) -> str:
    alone = table.groupby("speaker")[column].nunique().max() == 1
    return f" No speaker is in two {column}s." if alone else ""


def _options(shown: dict[str, Any]) -> list[str]:
    told = [
        f"{plain(key)} {code(public_value(shown[key]))}"
        for key in ("corpus_options", "drop_labels", "fold", "limit")
        if shown[key]
    ]
    told += ["names of files and speakers replaced by pseudonyms"] if shown["anonymise"] else []
    return [f"Further settings: {'; '.join(told)}."] if told else []


def _binnings(run: EvaluatedRun) -> dict[str, dict[str, Any]]:
    return stored_binnings(run.artifacts.folder / "binning.json")


def _signed(functionals: dict[str, int]) -> str:
    return ", ".join(f"{'+' if sign > 0 else '−'}{name}" for name, sign in functionals.items())


def _centring(centre: str | None) -> str:
    return f", after taking off the median of each {centre}" if centre else ""


def _of_folds(run: EvaluatedRun) -> str:
    return ", anew for each fold" if len(_binnings(run)) > 1 else ""


def _unknown(run: EvaluatedRun, corpus: Corpus) -> str:
    tokens = own_tokens(run, corpus)
    share = float((tokens == UNKNOWN).to_numpy().mean())
    return (
        f"A score that could not be measured became the word {UNKNOWN} ({share:.1%} of the "
        "evaluated tokens)."
    )


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
    # They rest on the corpus, and not on the answers of the model under study.
    of_corpus = None if table is None else run.artifacts.stamp(table).get("content")
    if table is None or table.empty or of_corpus != run.inputs["content"]:
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


_SOFTWARE = ("python", "torch", "transformers", "opensmile", "statsmodels", "scikit-learn", "scipy")


def methods_text(folder: str | os.PathLike[str]) -> str:
    """The methods of a finished study, in Markdown, fit to be shortened for a paper.

    Everything comes from the artifacts of the run: corpus, features and thresholds, prompts in
    full, model, conditions, seeds, statistics with their references, versions. What they do not
    say is not said.

    Args:
        folder: what ``sercue run`` wrote

    Raises:
        InputError: if it is not the folder of a finished run

    Examples:
        >>> methods_text("nowhere")
        Traceback (most recent call last):
        ...
        sercue.errors.InputError: nowhere: no artifacts/provenance.json in it; valid is the ...
    """
    run = read_run(folder)
    corpus = _corpus(run)
    parts = [
        f"# Methods of the study {plain(run.parameters['study'])}",
        *([f"> {run.notice}"] if run.notice else []),
        "The protocol follows Tsangko, Triantafyllopoulos and Schuller [Tsangko et al., 2026]; "
        "what it leaves open is filled as said here.",
        f"**Corpus.** {corpus_text(run, corpus)}",
        f"**Features and tokens.** {feature_text(run, corpus)}",
        threshold_table(run),
        f"**Prompts.** {prompt_text(run, corpus)}",
        f"**Model.** {model_text(run)}",
        f"**Conditions.** {condition_text(run)}",
        f"**Statistics.** {statistics_text(run)}",
        f"**Software.** {_software(run)}",
    ]
    references = "\n".join(f"- {reference}" for reference in cited("\n".join(parts)))
    return "\n\n".join([*parts, f"## References\n\n{references}"]) + "\n"


def write_methods(folder: str | os.PathLike[str]) -> Path:
    """Write ``methods.md`` into the folder of a finished run; see ``methods_text``.

    Args:
        folder: what ``sercue run`` wrote

    Returns:
        the file

    Raises:
        InputError: if it is not the folder of a finished run
        StorageError: if it cannot be written
    """
    path = Path(folder).expanduser() / "methods.md"
    write_text(path, methods_text(folder))
    return path


def _corpus(run: EvaluatedRun) -> Corpus:
    """The corpus as the artifacts have it, by the stamp that they bear."""
    stamp = run.artifacts.stamp(run.artifacts.read("utterances.parquet"))
    stored = run.artifacts.load_corpus(stamp.get("settings", ""))
    if stored is None:
        raise InputError(
            f"{run.folder}: artifacts/left_out.parquet and artifacts/utterances.parquet are not of "
            "one study; valid is a run whose five notebooks are done"
        )
    return stored[0]


def _software(run: EvaluatedRun) -> str:
    versions, git = run.provenance["versions"], run.provenance.get("git", {})
    state = {True: "", False: ", with uncommitted changes", None: ""}[git.get("clean")]
    commit = f" (commit {git['commit']}{state})" if git.get("commit") else ""
    others = listed(f"{name} {versions[name]}" for name in _SOFTWARE if name in versions)
    return f"sercue {versions['sercue']}{commit}, with {others}."
