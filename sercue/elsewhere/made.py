"""From files of answers to the predictions and the corpus of a study that was asked elsewhere."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path, PurePath
from typing import Any

import audformat
import numpy as np
import pandas as pd

from sercue.answers import plain_words, same_word, spelled_alike
from sercue.corpora.audio_variants import AUDIO_VARIANTS, SILENT, SWAPPED
from sercue.corpora.corpus import MISSING, Corpus, check_rows, first_names, nothing_left_out
from sercue.corpora.rows import NOT_STATED as NO_LICENCE
from sercue.corpora.rows import PARTITION_NAMES, relative_files, row_numbers
from sercue.elsewhere.formats import NO_ANSWER, AnswersFile, as_text, read_file
from sercue.errors import InputError, refuse_unknown, shortened, unknown
from sercue.privacy import public_name
from sercue.settings import ELSEWHERE, Settings, settings_from
from sercue.storage.tables import categorical
from sercue.study.store import KnownAnswers
from sercue.study_corpus import pseudonymised
from sercue.tokens.catalogue import is_main, is_ours, parse_condition
from sercue.tokens.catalogue import shortened as shortened_names
from sercue.tokens.condition import AT, PLUS, parts_heard, told_by_name
from sercue.tokens.prompts import FORMS

#: Column to what files may call it; the first that is there counts. A harness's own target stands
#: before a label, which may be the number of a class in the data that it read.
COLUMNS = {
    "utterance": ("utterance", "file", "id", "doc_id"),
    "speaker": ("speaker", "speaker_id"),
    "truth": ("truth", "target", "emotion", "label"),
} | {
    name: (name,)
    for name in ("condition", "template", "label_order", "replicate", "answer", "prediction",
                 "model", "heard_class", "sex", "partition")
}  # fmt: skip
#: Study keys that answers made elsewhere leave open; all others follow from them.
KEYS = ("study", "labels", "anonymise", "partition", "seed", "resamples", "confidence", "margin")
_OF_UTTERANCE = ("speaker", "truth", "sex", "partition")
_CELL = ["template", "label_order", "replicate"]
_ROW = ["utterance", "condition", *_CELL]
#: A model that the files do not name.
NOT_STATED = "not stated"
#: Column with the file that a row stands in.
_FILE = "in_file"
_ONE_WORDING = "one wording"
_EMPTY, _NOT_FINITE = "no answer in the file", "its probabilities are not finite"
# Probabilities add up to 1 but for what they were rounded to.
_ROUNDED = 0.02


@dataclass(frozen=True, eq=False)
class Made:
    """Answers that were made elsewhere, as a study has them.

    Attributes:
        settings: the study
        corpus: the utterances that are evaluated, and those left out; it has no recordings
        predictions: as ``run_study`` returns them, but for what is not known of their prompts
        files: the files that were read
        notes: what was found, each with a name
        own: the corpus under its own names, if that of reports has pseudonyms
    """

    settings: Settings
    corpus: Corpus
    predictions: pd.DataFrame
    files: list[AnswersFile]
    notes: list[tuple[str, str]] = field(default_factory=list)
    own: Corpus | None = None


def read_made(
    files: Sequence[str],
    *,
    truth: str | None = None,
    renamed: Mapping[str, str] | None = None,
    reference: str | None = None,
    model: str | None = None,
    keys: Mapping[str, Any] | None = None,
    sources: Mapping[str, str] | None = None,
) -> Made:
    """Read answers that were made elsewhere.

    Args:
        files: paths; one with ``NAME=`` before it holds the answers under one condition
        truth: a file that says of utterances who speaks and which class is true
        renamed: condition, as the files name it, to its name in the study
        reference: the condition that others are compared with, where there is neither ``none``
            nor ``aligned``
        model: which has answered; by default what the files say
        keys: study keys, of ``KEYS`` and ``out``
        sources: key to how errors begin of it

    Raises:
        InputError: naming the file, what was found and what is valid
    """
    keys = dict(keys or {})
    if wrong := [key for key in keys if key not in (*KEYS, "out")]:
        told = unknown("study key for answers made elsewhere", wrong[0], KEYS)
        raise InputError(f"--set {wrong[0]}: {told}; all others follow from the answers")
    sources = {"out": "--out", **(sources or {})}
    settings_from({"corpus": ELSEWHERE, **keys}, "study", sources)
    named = [_named(text) for text in files]
    read = [read_file(path) for _, path in named]
    parts = [_columns(one, condition) for one, (condition, _) in zip(read, named, strict=True)]
    notes = [("answers", f"{one.name}: {one.format}, {len(one.rows):,} rows") for one in read]
    rows = pd.concat(parts, ignore_index=True)
    name = ", ".join(dict.fromkeys(one.name for one in read))
    extra = [] if truth is None else [read_file(Path(truth).expanduser())]
    rows, lost = _with_truth(rows, name, extra, notes)
    rows = _checked(rows, name, [str(column) for one in read for column in one.rows])
    rows["condition"], conditions = _conditions(rows["condition"], renamed or {}, reference, notes)
    rows, words = _with_labels(rows, keys.get("labels"), name, notes)
    partition = str(keys.get("partition", "test"))
    rows = _evaluated(rows, partition, "partition" in keys, notes)
    rows = _without_repeats(rows, name, notes)
    rows, incomplete = _complete(rows, notes)
    decoding, answers = _answers(rows, words, name, notes)
    values = keys | {
        "study": keys.get("study") or _study_name(read[0].name),
        "corpus": ELSEWHERE,
        "corpus_options": {"files": [f"{one.name} ({one.digest})" for one in [*read, *extra]]},
        "model": _without_folder(model or _model(read, rows, name)),
        "decoding": decoding,
        "conditions": conditions,
        "templates": list(dict.fromkeys(rows["template"])),
        "label_orders": int(rows["label_order"].nunique()),
        "replicates": int(rows["replicate"].nunique()),
        "labels": words if any(label != word for label, word in words.items()) else list(words),
        "controls": False,
    }
    settings = settings_from(values, name, sources)
    corpus = _corpus(rows, lost | incomplete, list(words), name, partition)
    check_rows(corpus)
    shown = pseudonymised(corpus) if settings.anonymise else corpus
    predictions = _predictions(rows, corpus, shown, words, answers, settings)
    if len(why := predictions["why_invalid"].dropna().astype("str")):
        reasons = ", ".join(f"{reason} ({n:,})" for reason, n in why.value_counts().items())
        count = f"{len(why):,} of {len(predictions):,} rows count as wrong"
        notes.append(("invalid", f"{count}: {reasons}"))
    own = corpus if settings.anonymise else None
    return Made(settings, shown, predictions, [*read, *extra], notes, own)


def _named(text: str) -> tuple[str | None, Path]:
    """The condition that is named for a whole file, and the file."""
    path = Path(text).expanduser()
    condition, equals, rest = text.partition("=")
    if not equals or path.exists():
        return None, path
    return condition.strip(), Path(rest).expanduser()


def _columns(file: AnswersFile, condition: str | None) -> pd.DataFrame:
    """The rows under our names for their columns; ``p_<label>`` as they are."""
    found = [str(name) for name in file.rows]
    held = file.rows.set_axis(found, axis=1)
    columns = _filled(held, COLUMNS, file)
    shares = [name for name in found if name.startswith("p_")]
    columns |= {name: held[name] for name in (*shares, NO_ANSWER) if name in held}
    if condition is not None:
        columns["condition"] = pd.Series(condition, held.index, dtype=object)
    table = pd.DataFrame(columns, index=held.index).assign(**{_FILE: file.name})
    lacking = [c for c in ("utterance", "condition") if c not in table]
    if not shares and not {"answer", "prediction"} & set(table):
        lacking.append("answer")
    if lacking:
        raise InputError(f"{file.name}: {_lack(lacking[0], found)}")
    return table


def _filled(held: pd.DataFrame, columns: Iterable[str], file: AnswersFile) -> dict[str, pd.Series]:
    """Those of our columns that a file fills, under whichever of their names comes first."""
    filled = {}
    for column in columns:
        alike = (same_word(name, list(map(str, held))) for name in COLUMNS[column])
        cells = (as_text(held[name], file.name) for name in alike if name is not None)
        first = next((texts for texts in cells if texts.notna().any()), None)
        if first is None:
            continue
        filled[column] = first
        for other in cells if column == "truth" and file.format.startswith("CSV") else ():
            pairs = pd.DataFrame({"one": first, "other": other}).dropna().drop_duplicates()
            # Numbers for the same classes contradict nothing.
            if pairs["one"].duplicated().any() or pairs["other"].duplicated().any():
                raise InputError(
                    f"{file.name}: columns {first.name!r} and {other.name!r} could both be the "
                    "truth, and differ; valid is one of them"
                )
    return filled


def _lack(column: str, found: Sequence[str]) -> str:
    """That a column is missing, what is there, and what would be valid."""
    valid = {
        "condition": "a column condition, or the condition of a whole file before its name: "
        "NAME=FILE",
        "answer": "a column answer (what the model wrote), prediction (a label), or p_<label> for "
        "each label",
        "speaker": "a column speaker, here or in the file of --truth: all intervals and tests are "
        "over speakers, since utterances of one speaker are not independent",
        "truth": f"a column {', '.join(COLUMNS['truth'])}, here or in the file of --truth",
    }.get(column, f"a column {', '.join(COLUMNS[column])}")
    near = get_close_matches(column, found, n=1, cutoff=0.6)
    hint = f" (is it {near[0]!r}?)" if near else ""
    return f"no {column}{hint}; found {first_names(map(repr, found))}; valid is {valid}"


def _numbers(cells: pd.Series, name: str) -> pd.Series:
    numbers = pd.to_numeric(cells, errors="coerce").astype(float)
    said = cells.astype("string").str.strip().str.casefold()
    text = numbers.isna() & cells.notna() & ~said.isin(["nan", "na", "none", "null"]).fillna(False)
    wrong = (text | (numbers < 0) | (numbers > 1 + _ROUNDED)).to_numpy(bool)
    if wrong.any():
        raise InputError(
            f"{name}: column {cells.name!r}, {row_numbers(wrong)}: found "
            f"{shortened(cells[wrong].iloc[0])}; valid are probabilities from 0 to 1, with a point"
        )
    return numbers


def _with_truth(
    rows: pd.DataFrame, name: str, truth: list[AnswersFile], notes: list[tuple[str, str]]
) -> tuple[pd.DataFrame, dict[str, str]]:
    """The rows with what is known of their utterances, and why others are left out."""
    if not truth:
        return rows, {}
    (file,) = truth
    known = _facts(file)
    used = known.index.isin(rows["utterance"])
    if not used.any():
        asked = rows["utterance"].dropna().iloc[0]
        raise InputError(
            f"--truth: no utterance of {name} is in {file.name}; found {asked!r} there and "
            f"{known.index[0]!r} here; valid is the same name for the same utterance"
        )
    text = f"{file.name}: {file.format}, {len(known):,} utterances, {int((~used).sum()):,} of them"
    notes.append(("truth", f"{text} without an answer"))
    strange = ~rows["utterance"].isin(known.index) & rows["utterance"].notna()
    lost = dict.fromkeys(rows.loc[strange, "utterance"], "not in the file of --truth")
    if lost:
        notes.append(("left out", f"{len(lost):,} utterances that {file.name} does not have"))
    rows = rows[~strange].reset_index(drop=True)
    for column in map(str, known):
        told = rows["utterance"].map(known[column])
        if column in rows:
            _check_agreement(rows, told, column, name, file.name, set(known[column]))
        rows[column] = told
    return rows, lost


def _facts(file: AnswersFile) -> pd.DataFrame:
    """What the file of ``--truth`` says of each utterance."""
    found = [str(name) for name in file.rows]
    held = file.rows.set_axis(found, axis=1)
    columns = _filled(held, ("utterance", *_OF_UTTERANCE), file)
    if "utterance" not in columns or len(columns) < 2:
        raise InputError(f"--truth: {file.name}: {_lack('utterance', found)}, and a speaker")
    table = pd.DataFrame(columns).dropna(subset="utterance").drop_duplicates()
    twice = table["utterance"].duplicated()
    if twice.any():
        raise InputError(
            f"--truth: {file.name} says different things of {int(twice.sum())} utterances: "
            f"{first_names(table.loc[twice, 'utterance'])}; valid is one row per utterance"
        )
    return table.set_index("utterance")


def _check_agreement(
    rows: pd.DataFrame, told: pd.Series, column: str, name: str, file: str, valid: set[str]
) -> None:
    """Raise where a file of answers and that of ``--truth`` contradict each other.

    What is no class in the other, such as the letter of an option, says nothing else.
    """
    differ = rows[column].notna() & told.notna() & (rows[column] != told)
    if column == "truth":
        differ &= rows[column].isin(valid)
    if differ.any():
        row = rows[differ].iloc[0]
        raise InputError(
            f"--truth: the {column} of {int(differ.sum())} rows is another than in {name}: of "
            f"utterance {row['utterance']!r} found {row[column]!r} in {name} and "
            f"{told[differ].iloc[0]!r} in {file}; valid is one of both"
        )


def _checked(rows: pd.DataFrame, name: str, found: Sequence[str]) -> pd.DataFrame:
    """The rows with all columns, none of the needed cells empty."""
    for column in ("speaker", "truth"):
        if column not in rows:
            raise InputError(f"{name}: {_lack(column, list(dict.fromkeys(found)))}")
    for column in ("utterance", "speaker", "truth", "condition"):
        if (empty := rows[column].isna()).any():
            raise InputError(
                f"{name}: nothing in column {column} of {row_numbers(empty)}; valid is a value in "
                "every row"
            )
    for column in filter(rows.columns.__contains__, _OF_UTTERANCE):
        several = rows.groupby("utterance", sort=False)[column].nunique() > 1
        if several.any():
            utterance = several.index[several][0]
            told = rows.loc[rows["utterance"] == utterance, column].unique()
            raise InputError(
                f"{name}: {int(several.sum())} utterances have more than one {column}, for "
                f"instance {utterance!r}: {first_names(map(repr, told))}; valid is one. Of "
                "several files, names of utterances must be the same in all of them"
            )
    if (number := rows["speaker"].nunique()) < 2:
        raise InputError(
            f"{name}: found {number} speaker ({rows['speaker'].iloc[0]!r}); valid are two or more, "
            "since intervals and tests are over speakers"
        )
    rows = rows.assign(**{c: rows.get(c, pd.Series(index=rows.index, dtype=object)) for c in _CELL})
    rows["template"] = rows["template"].fillna(_ONE_WORDING)
    for column in _CELL[1:]:
        # Whole numbers from 0 for each different text, numbers in their own order.
        texts = sorted(rows[column].dropna().unique(), key=lambda text: (len(text), text))
        places = {text: place for place, text in enumerate(texts)}
        rows[column] = rows[column].map(places).fillna(0).astype(int)
    files = rows["utterance"].unique()
    if any(map(os.path.isabs, files)):
        rows["utterance"] = rows["utterance"].map(
            dict(zip(files, relative_files(files, Path.cwd())[1], strict=True))
        )
    return rows


def _conditions(
    found: pd.Series, renamed: Mapping[str, str], reference: str | None, notes: list[Any]
) -> tuple[pd.Series, list[str]]:
    """The condition of each row as the study names it, and all of them, references first."""
    told = list(dict.fromkeys(found))
    refuse_unknown("condition in --rename", renamed, told)
    names = {name: _condition(renamed.get(name, name)) for name in told}
    if twice := [name for name in names.values() if list(names.values()).count(name) > 1]:
        both = [name for name, ours in names.items() if ours == twice[0]]
        raise InputError(f"conditions {' and '.join(map(repr, both))} are both {twice[0]!r}")
    listed = list(names.values())
    first: list[str] = [name for name in ("none", "aligned") if name in listed]
    own = [name for name in listed if not is_ours(name)]
    if reference is not None:
        reference = names.get(reference, reference)
        if reference not in listed:
            raise unknown("condition in --reference", reference, listed)
        if first and reference not in first:
            raise InputError(
                f"--reference: found {reference!r} beside {' and '.join(first)}, with which all "
                "others are compared; valid is to leave it out"
            )
        if not first and is_ours(reference):
            raise InputError(
                f"--reference: found {reference!r}, a perturbation of sercue, with which "
                f"nothing is compared; valid is a name of your own, or --rename {reference}=none"
            )
        first = first or [reference]
    if own and not first and len(listed) > 1:
        raise InputError(
            f"conditions: found {', '.join(map(repr, listed))}; valid is --reference NAME for the "
            "one with which others are compared, or --rename NAME=none for the one that has the "
            "audio alone"
        )
    ordered = [*first, *(name for name in listed if name not in first)]
    notes.append(("conditions", ", ".join(shortened_names(ordered))))
    if apart := [name for name in ordered if not is_main(name)]:
        notes.append((
            "apart",
            f"{', '.join(apart)}: form, audio or single concepts differ, so that they are in no "
            "planned contrast and not in the table of UAR; tables/uar.csv has them",
        ))  # fmt: skip
    if own:
        near = {n: get_close_matches(n, ("none", "aligned", "shuffled"), 1, 0.75) for n in own}
        meant = [f"{name} (is it {alike[0]}?)" if alike else name for name, alike in near.items()]
        notes.append(("own names", f"{', '.join(meant)}: what they show is not known"))
    return found.map(names), ordered


def _condition(text: str) -> str:
    """A condition's name as the study spells it, if it is one of ours."""
    if is_ours(text):
        try:
            return parse_condition(text).name
        except InputError:
            # Of concepts that another scheme has.
            if parts_heard(text)[1] in AUDIO_VARIANTS and told_by_name(text)[2]:
                return text
            raise
    if AT.strip() in text:
        raise InputError(
            f"condition {text!r}: '@' stands between tokens and other audio of sercue; valid "
            "is a name without it"
        )
    return text


def _with_labels(
    rows: pd.DataFrame, given: Any, name: str, notes: list[tuple[str, str]]
) -> tuple[pd.DataFrame, dict[str, str]]:
    """The rows with the truth as the study spells it, and the words of each label, in order."""
    shown = dict(given) if isinstance(given, Mapping) else {}
    named = [name.removeprefix("p_") for name in map(str, rows) if name.startswith("p_")]
    true = sorted(rows["truth"].unique())
    of_labels = any(same_word(label, given or true) is not None for label in named)
    if named and {"answer", "prediction"} & set(rows) and not of_labels:
        # Such as p_value; the answers are in another column.
        rows = rows.drop(columns=[f"p_{label}" for label in named])
        notes.append(("not used", ", ".join(f"p_{label}" for label in named)))
        named = []
    labels = list(given) if given else sorted({*true, *named})
    for group in spelled_alike(labels):
        raise InputError(
            f"{name}: labels {' and '.join(map(repr, group))} are the same words; valid is one "
            "spelling"
        )
    if not given and (missing := sorted(MISSING & set(true))):
        raise InputError(
            f"{name}: {int((rows['truth'] == missing[0]).sum()):,} rows have the class "
            f"{missing[0]!r}, as programs write a missing value; valid is to leave them out, or to "
            "list every class with --set labels=[...]"
        )
    known = {label: same_word(label, labels) for label in true}
    if lacking := [label for label, of in known.items() if of is None]:
        raise InputError(
            f"labels: {first_names(map(repr, lacking))} of the truth is not among "
            f"{', '.join(labels)}; valid is to list every class"
        )
    if named and (missing := [label for label in labels if same_word(label, named) is None]):
        raise InputError(
            f"{name}: no column {', '.join(f'p_{label}' for label in missing)}; found "
            f"{', '.join(f'p_{label}' for label in named)}; valid is a column for each label"
        )
    if strange := [label for label in named if same_word(label, labels) is None]:
        raise InputError(
            f"{name}: column p_{strange[0]} is of no label; the labels are {', '.join(labels)}"
        )
    if len(labels) < 2:
        raise InputError(f"{name}: found the class {', '.join(labels)} alone; valid are two")
    names = {f"p_{label}": f"p_{same_word(label, labels)}" for label in named}
    numbers = {of: _numbers(rows[column], name) for column, of in names.items()}
    rows = rows.drop(columns=list(names)).assign(truth=rows["truth"].map(known), **numbers)
    return rows, {label: str(shown.get(label, label)) for label in labels}


def _evaluated(
    rows: pd.DataFrame, partition: str, chosen: bool, notes: list[tuple[str, str]]
) -> pd.DataFrame:
    """The rows of the partition that is evaluated, where partitions are known and one is chosen."""
    if "partition" not in rows:
        return rows
    meant = rows["partition"].map(lambda name: PARTITION_NAMES.get(plain_words(str(name)), name))
    counts = rows["utterance"].groupby(meant).nunique()
    found = ", ".join(f"{part} ({number:,})" for part, number in counts.items())
    if not chosen:
        notes.append(("partitions", f"utterances of {found}: all are evaluated"))
        return rows
    if partition not in counts:
        raise InputError(f"--set partition: found {partition!r}; valid are {found}")
    notes.append(("partitions", f"utterances of {found}: those of {partition} are evaluated"))
    return rows[meant == partition].reset_index(drop=True)


def _without_repeats(rows: pd.DataFrame, name: str, notes: list[tuple[str, str]]) -> pd.DataFrame:
    """The rows, each answer once; the same question with two answers is an error."""
    shares = [column for column in rows if str(column).startswith("p_")]
    said = [c for c in (*shares, "prediction", "answer") if c in rows]
    once = rows[~rows.duplicated([*_ROW, *said])]
    differ = once.duplicated(_ROW, keep=False)
    if differ.any():
        row = once[differ].iloc[0]
        raise InputError(
            f"{name}: {int(once.duplicated(_ROW).sum()):,} rows answer what another row answers, "
            f"and differently, for instance utterance {row['utterance']!r} under condition "
            f"{row['condition']!r}; valid is one row per utterance and condition, or columns "
            "template, label_order or replicate that tell them apart"
        )
    if repeated := len(rows) - len(once):
        notes.append(("duplicates", f"{repeated:,} rows repeat another one and count once"))
    return once.reset_index(drop=True)


def _complete(
    rows: pd.DataFrame, notes: list[tuple[str, str]]
) -> tuple[pd.DataFrame, dict[str, str]]:
    """The rows of utterances that are answered in all that any is, and why others are left out."""
    number, whole = _whole(rows)
    if not len(whole) and len(rows[_CELL].drop_duplicates()) > 1:
        # As where each utterance was asked with an order of the labels of its own.
        place = rows.groupby(["utterance", "condition"], sort=False).cumcount()
        rows = rows.assign(template=_ONE_WORDING, label_order=0, replicate=place)
        number, whole = _whole(rows)
        notes.append((
            "repetitions",
            "template, label_order and replicate differ between utterances: they count as "
            "replicates",
        ))  # fmt: skip
    if not len(whole):
        counts = rows.groupby("condition", sort=False)["utterance"].nunique()
        told = ", ".join(f"{name} {count:,}" for name, count in counts.items())
        raise InputError(
            f"utterances: none is answered under every condition (utterances by condition: {told}; "
            f"{rows['utterance'].nunique():,} in all); valid are the same utterances under all, "
            "since comparisons are paired"
        )
    kept = rows["utterance"].isin(whole)
    lost = rows.loc[~kept, "utterance"].unique()
    if len(lost):
        notes.append((
            "left out",
            f"{len(lost):,} of {len(number):,} utterances are not answered under every condition; "
            "artifacts/left_out.parquet lists them",
        ))  # fmt: skip
    if (speakers := rows.loc[kept, "speaker"].nunique()) < 2:
        raise InputError(
            f"speakers: {speakers} has utterances that are answered under every condition; valid "
            "are two or more"
        )
    why = dict.fromkeys(lost, "not answered under every condition")
    return rows[kept].reset_index(drop=True), why


def _whole(rows: pd.DataFrame) -> tuple[pd.Series, pd.Index]:
    """In how many cells each utterance is answered, and which are in all of them."""
    cells = rows.groupby(["condition", *_CELL], sort=False).ngroup()
    number = cells.groupby(rows["utterance"]).nunique()
    return number, number.index[number == cells.nunique()]


def _answers(
    rows: pd.DataFrame, words: Mapping[str, str], name: str, notes: list[tuple[str, str]]
) -> tuple[str, pd.DataFrame]:
    """How answers were given, and what ``KnownAnswers`` takes of each row."""
    given = rows.get(NO_ANSWER, pd.Series(index=rows.index, dtype=object)).astype(object)
    shares = [f"p_{label}" for label in words]
    if shares[0] in rows:
        there = rows[shares].notna().any(axis=1).groupby([rows[_FILE], rows["condition"]]).any()
        if not there.all():
            file, condition = there.index[~there][0]
            raise InputError(
                f"{file}: no probability under condition {condition!r}, and other rows have them; "
                "valid are p_<label> for all answers, or for none"
            )
        mass = rows[shares].sum(axis=1, skipna=False)
        if (wrong := (mass > 1 + _ROUNDED).to_numpy()).any():
            raise InputError(
                f"{name}: {row_numbers(wrong)}: the probabilities of the labels add up to "
                f"{mass[wrong].iloc[0]:.3f}; valid is 1 at most"
            )
        rounded = (mass - 1).abs() < _ROUNDED
        known = rows[shares].div(mass.where(~rounded & (mass > 0), 1), axis=0)
        why = given.mask(given.isna() & ~(mass > 0), _NOT_FINITE)
        _note_others(rows, known, words, notes)
        return "score", known.assign(label_mass=mass, **{NO_ANSWER: why})
    texts = rows.get("answer", pd.Series(index=rows.index, dtype=object))
    if "prediction" in rows:
        texts = _predicted(rows, words, name).fillna(texts)
    why = given.mask(given.isna() & texts.isna(), _EMPTY)
    return "generate", pd.DataFrame({"answer": texts.where(why.isna(), None), NO_ANSWER: why})


def _note_others(
    rows: pd.DataFrame, shares: pd.DataFrame, words: Mapping[str, str], notes: list[Any]
) -> None:
    """Whether a column of predictions says something else than the probabilities."""
    if "prediction" not in rows:
        return
    likeliest = np.array(list(words), dtype=object)[shares.fillna(-1).to_numpy().argmax(axis=1)]
    said = rows["prediction"].map(lambda text: same_word(str(text), words))
    if differ := int((said.notna() & (said.to_numpy() != likeliest)).sum()):
        notes.append((
            "predictions",
            f"in {differ:,} rows the column prediction is not the likeliest label; the "
            "probabilities count",
        ))  # fmt: skip


def _predicted(rows: pd.DataFrame, words: Mapping[str, str], name: str) -> pd.Series:
    """The words of the label in each row's prediction."""
    said = rows["prediction"]
    labels = {text: same_word(text, words) for text in said.dropna().unique()}
    if strange := [text for text, label in labels.items() if label is None]:
        number = int(said.isin(strange).sum())
        raise InputError(
            f"{name}: column prediction: found {first_names(map(repr, strange))} in {number:,} "
            f"rows; valid are the labels {', '.join(words)}. What the model wrote belongs into a "
            "column answer, where a text that names no label counts as wrong"
        )
    return said.map({text: words[label] for text, label in labels.items() if label})


def _model(read: Iterable[AnswersFile], rows: pd.DataFrame, name: str) -> str:
    """The model that the files name."""
    named = {one.model for one in read if one.model}
    if "model" in rows:
        named |= set(rows["model"].dropna())
    if len(named) > 1:
        raise InputError(
            f"{name}: found the models {', '.join(sorted(named))}; valid are answers of one model "
            "at a time"
        )
    return next(iter(named), NOT_STATED)


def _without_folder(model: str) -> str:
    """A model as reports may call it.

    Examples:
        >>> _without_folder("hf:/home/me/tuned"), _without_folder("~/tuned"), _without_folder("a/b")
        ('hf:tuned', 'tuned', 'a/b')
    """
    shown = public_name(model)
    return PurePath(shown).name if shown.startswith(("/", "~", ".")) else shown


def _study_name(file: str) -> str:
    """A study's name from that of a file: what a folder may be called."""
    kept = "".join(c if c.isalnum() or c in "_-+" else "_" for c in Path(file).stem).strip("_")
    return kept.encode()[:80].decode("utf-8", "ignore") or "answers"


def _corpus(
    rows: pd.DataFrame, lost: Mapping[str, str], labels: list[str], name: str, partition: str
) -> Corpus:
    """The utterances as a corpus without recordings."""
    first = rows.drop_duplicates("utterance").set_index("utterance")
    table = pd.DataFrame(
        {"emotion": first["truth"], "speaker": first["speaker"], "partition": partition}
    )
    if "sex" in first and first["sex"].notna().all():
        table["sex"] = first["sex"]
    left_out = nothing_left_out()
    if lost:
        # Of a path that was not matched, the common folder is not known.
        names = [PurePath(text).name if os.path.isabs(text) else text for text in lost]
        gone = pd.DataFrame({"reason": list(lost.values()), "detail": ""}, names)
        gone = gone.reindex(columns=list(left_out)).assign(partition=partition).astype(object)
        left_out = _indexed(gone.where(gone.notna(), None))
    neutral = next((label for label in labels if plain_words(label) == "neutral"), None)
    return Corpus(
        name, Path(), _indexed(table), tuple(labels), neutral, NO_LICENCE, left_out=left_out
    )


def _indexed(table: pd.DataFrame) -> pd.DataFrame:
    return table.set_index(audformat.segmented_index(list(table.index)))


def _predictions(
    rows: pd.DataFrame,
    corpus: Corpus,
    shown: Corpus,
    words: Mapping[str, str],
    answers: pd.DataFrame,
    settings: Settings,
) -> pd.DataFrame:
    """Predictions as ``run_study`` returns them, by the same reading of the answers."""
    names = [corpus.table.index.get_level_values(0), shown.table.index.get_level_values(0)]
    of_utterance = dict(zip(*names, strict=True))
    of_speaker = dict(zip(corpus.table["speaker"], shown.table["speaker"], strict=True))
    facts = {name: told_by_name(name) for name in settings.conditions}
    family = rows["condition"].map({name: told[0] for name, told in facts.items()})
    heard = {name: parts_heard(name)[1] for name in settings.conditions}
    nothing = np.full(len(rows), -1)
    plan = pd.DataFrame(
        {
            "utterance": _coded(rows["utterance"].map(of_utterance)),
            "speaker": _coded(rows["speaker"].map(of_speaker)),
            "truth": pd.Categorical(rows["truth"], categories=sorted(words)),
            "condition": _coded(rows["condition"]),
            "family": _coded(family),
            "dose": rows["condition"].map({n: told[1] for n, told in facts.items()}).astype(float),
            "concepts": _coded(
                rows["condition"].map({n: PLUS.join(told[2]) for n, told in facts.items()})
            ),
            "heard": _coded(rows["condition"].map(heard)),
            "heard_class": _heard_class(rows, heard, words),
            # Of own tokens alone it is known whose they are.
            "tokens_class": pd.Categorical(
                rows["truth"].where(family.isin(["aligned", *FORMS])), categories=sorted(words)
            ),
            "replicate": rows["replicate"],
            "template": _coded(rows["template"]),
            "label_order": rows["label_order"],
            # Each row is a question of its own.
            "prompt": categorical(map(str, range(len(rows))), np.arange(len(rows))),
            "audio": categorical([""], nothing + 1),
            "model": categorical([settings.model], nothing + 1),
            "decoding": categorical([settings.decoding], nothing + 1),
            "options": categorical([""], nothing + 1),
        }
    )
    known = KnownAnswers(plan, words, settings.decoding)
    known.add(plan[["audio", "prompt", "model", "decoding", "options"]].join(answers))
    # What is not known is left empty: no hash stands for a recording or a prompt.
    unseen = dict.fromkeys(("audio", "prompt", "options"), categorical([], nothing))
    return known.predictions().assign(**unseen)


def _coded(texts: pd.Series) -> pd.Categorical:
    codes, values = pd.factorize(texts)
    return categorical(values, codes)


def _heard_class(
    rows: pd.DataFrame, heard: Mapping[str, str], words: Mapping[str, str]
) -> pd.Categorical:
    """The class of what is heard: the truth, nothing in silence, what the file says of swaps."""
    kinds = rows["condition"].map(heard)
    swapped = kinds == SWAPPED
    told = rows["truth"].mask(kinds == SILENT)
    if swapped.any():
        given = rows.get("heard_class", pd.Series(index=rows.index, dtype=object))
        given = given.map(lambda text: same_word(str(text), words))
        if (lacking := (swapped & given.isna()).to_numpy()).any():
            raise InputError(
                f"heard_class: nothing, or no label, in {row_numbers(lacking)}; under swapped "
                "audio valid is a column with the class of the audio that was heard"
            )
        told = told.mask(swapped, given)
    return pd.Categorical(told, categories=sorted(words))
