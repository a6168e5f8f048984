"""The keys of a study file, their valid values, and what a notebook sets of them and where."""

from __future__ import annotations

import ast
import difflib
import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from sercue.answers import classes_of
from sercue.corpora.audio_variants import AUDIO_VARIANTS, OWN
from sercue.errors import InputError, unknown
from sercue.features import feature_columns
from sercue.models.cards import CLAP, TINY, contrastive_name
from sercue.models.endpoint import resolve_url, variable
from sercue.options import MOST_BYTES, Options, check_plain, checked, home_written_out, plain_yaml
from sercue.privacy import check_no_secret, guard_key
from sercue.running import EXECUTED
from sercue.storage.files import notebooks_folder, project_folder
from sercue.tokens.binning import check_thresholds
from sercue.tokens.catalogue import crossed, parse_conditions
from sercue.tokens.prompts import DEFAULT_TEMPLATES, resolve_templates
from sercue.tokens.schemes import DEFAULT, Scheme, read_scheme

CORPUS_KEYS = (
    "corpus", "corpus_root", "corpus_options", "labels", "drop_labels", "fold", "channel",
    "bad_audio", "anonymise", "limit", "seed",
)  # fmt: skip
BINNING_KEYS = ("scheme", "bins", "binning", "thresholds", "centre")
MODEL_KEYS = ("model", "model_revision", "model_options", "device", "dtype")
PROMPT_KEYS = ("decoding", "max_new_tokens", "templates", "label_orders", "concept_wordings")
STUDY_KEYS = (
    *CORPUS_KEYS, *BINNING_KEYS, *MODEL_KEYS, *PROMPT_KEYS, "partition", "conditions", "replicates",
)  # fmt: skip
CONTROL_KEYS = (*STUDY_KEYS, "controls")
BASELINE_KEYS = (*CORPUS_KEYS, "partition", "device", "dtype", "baselines")
ANALYSIS_KEYS = (*CONTROL_KEYS, "baselines", "resamples", "confidence", "margin")

# What readers of a corpus take besides their own options, most of it study keys of their own.
_NO_OPTIONS = {*CORPUS_KEYS, "name", "root", "check_files"}
_Name = Annotated[str, Field(max_length=200)]
# With ``~`` written out, so that one folder has one name.
_Path = Annotated[str, AfterValidator(home_written_out)]
#: The corpus of a study whose answers another program obtained: see ``elsewhere/``.
ELSEWHERE = "answers made elsewhere"
FIXTURE = (
    "A fixture, not evidence: {why}. These numbers test the software; "
    "they say nothing about people or about any published model."
)


class Settings(Options):
    """All keys of a study file; the defaults are those of the demo study.

    Attributes:
        study: name of the study and of its folder below ``reports``
        out: folder to write to instead of ``reports/<study>`` (by hand: ``scratch/<study>``)
        corpus: name of the corpus reader, see ``sercue corpora``
        corpus_root: folder (or file, for ``table``) of the corpus on this machine
        corpus_options: further options of that reader
        labels: the labels in their order, or a mapping from label to the words that prompts show;
            labels that differ only in spelling and have the same words are one class
        drop_labels: labels whose utterances are left out
        fold: the fold to evaluate, or ``all`` to cross-validate; without folds, each speaker is one
        channel: the channel to use, counted from 0; by default all channels that are not silent are
            averaged
        bad_audio: ``stop`` at recordings that cannot be used, or ``leave_out`` and report them
        anonymise: whether everything that is written has pseudonyms for utterances and speakers
        partition: the partition that is evaluated
        limit: largest number of utterances of each partition
        tuning_limit: largest number of utterances on which notebook 03 tries the prompts
        scheme: of the tokens: ``paper``, ``sercue``, or a file of your own, see ``sercue schemes``
        bins: number of bins of an ordinal concept, 3 or 5; by default that of the scheme
        binning: ``quantile``, ``width`` or ``thresholds``
        thresholds: ordinal concept to its ``bins - 1`` edges, with ``binning: thresholds`` only
        centre: ``speaker`` or ``sex``: the groups whose medians are subtracted from each feature
        model: name of the model, see ``sercue models``
        model_revision: revision of the checkpoint
        model_options: further options of that model
        device: ``auto``, ``cpu``, ``cuda``, ``mps`` or one of several such as ``cuda:1``
        dtype: ``auto``, ``float32``, ``bfloat16`` or ``float16``
        decoding: ``score`` (likelihood of each label) or ``generate`` (greedy, parsed)
        max_new_tokens: largest number of tokens of a generated answer
        templates: names of templates, or mappings with their fields
        label_orders: number of counterbalanced orders of the label options
        concept_wordings: ``first`` asks conditions about single concepts (``only``, ``without``,
            ``flip``) in the first template and label order alone, ``all`` in every one
        audio: what is heard, see ``AUDIO_VARIANTS``: the utterance itself (``own``), always, and
            other audio, under which ``none``, ``aligned`` and ``conflicting`` are asked, too
        conditions: the conditions, see ``parse_condition``; those that ``audio`` adds come last
        replicates: repetitions of each random condition
        controls: whether control models of known reliance are trained and evaluated as well
        baselines: contrastive models that answer without training, as references: ``clap`` for
            the one of ``cards.CLAP_CARD``, or ``clap:`` with a folder or a repository, optionally
            followed by ``@`` and a revision, such as one with weights as safetensors
        seed: seed of everything random
        batch_size: largest number of recordings in one forward pass; halved when memory runs out
        scheduler: address of a ``dask.distributed`` scheduler whose workers share the work
        resamples: bootstrap resamples of speakers
        confidence: level of all intervals
        margin: difference (in UAR, share or entropy) below which two conditions count as equal
    """

    study: str = "demo"
    out: _Path | None = None
    corpus: _Name = "demo"
    corpus_root: _Path | None = None
    # Of options only what is wrong is named: one of a model may be a key.
    corpus_options: dict[str, Any] = Field({}, repr=False)
    labels: list[_Name] | dict[_Name, _Name] | None = None
    drop_labels: list[_Name] = Field([])
    fold: _Name | int | None = None
    channel: int | None = Field(None, ge=0)
    bad_audio: Literal["stop", "leave_out"] = "stop"
    anonymise: bool = False
    partition: Literal["train", "dev", "test"] = "test"
    limit: int | None = Field(None, ge=1)
    tuning_limit: int = Field(100, ge=1)
    scheme: _Path = DEFAULT
    bins: Literal[3, 5] | None = Field(None, validate_default=True)
    binning: Literal["quantile", "width", "thresholds"] = "quantile"
    thresholds: dict[str, list[float]] | None = Field(None, validate_default=True)
    centre: Literal["speaker", "sex"] | None = None
    model: str = "sercue-tiny"
    model_revision: str | None = None
    model_options: dict[str, Any] = Field({}, repr=False)
    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    decoding: Literal["score", "generate"] = "score"
    max_new_tokens: int = Field(8, ge=1, le=256)
    templates: list[str | dict[str, str]] = Field(list(DEFAULT_TEMPLATES))
    label_orders: int = Field(2, ge=1)
    concept_wordings: Literal["first", "all"] = "first"
    audio: list[_Name] = Field([OWN])
    conditions: list[_Name] = Field([
        "none", "aligned", "shuffled", "shuffled_within_class", "conflicting", "constant",
        "masked(1)", "corrupted(0.25)", "corrupted(0.5)", "corrupted(0.75)", "corrupted(1)",
    ], validate_default=True)  # fmt: skip
    replicates: int = Field(2, ge=1, le=1000)
    controls: bool = True
    baselines: list[str] = Field([])
    seed: int = Field(0, ge=0, lt=2**32)
    batch_size: int = Field(8, ge=1)
    scheduler: str | None = Field(None, pattern=r"^(tcp|tls)://\S+:\d+$")
    resamples: int = Field(10_000, ge=100, le=1_000_000)
    confidence: float = Field(0.95, gt=0, lt=1)
    margin: float = Field(0.05, gt=0, lt=1)

    @field_validator("*", mode="before")
    @classmethod
    def _is_plain(cls, value: Any) -> Any:
        check_plain(value)
        return value

    @field_validator("study")
    @classmethod
    def _is_a_folder_name(cls, study: str) -> str:
        # Bytes, as file systems count: their names have 255, less what is added to this one.
        if not re.fullmatch(r"\w([\w .+-]*[\w+-])?", study) or len(study.encode()) > 100:
            raise ValueError(
                "valid is a folder name of letters, digits, space, '_', '-', '+', '.', that ends "
                "in no space or '.', of at most 100 bytes"
            )
        return study

    @field_validator("out", "corpus_root", "model", "model_revision")
    @classmethod
    def _says_something(cls, text: str | None) -> str | None:
        if text is not None and not text.strip():
            raise ValueError("valid is a text that is not empty, or to leave the key out")
        return text

    @field_validator("scheme")
    @classmethod
    def _is_a_scheme(cls, scheme: str) -> str:
        try:
            read_scheme(scheme, columns=feature_columns())
        except InputError as error:
            raise ValueError(str(error).removeprefix("scheme: ")) from None
        return scheme

    @field_validator("bins")
    @classmethod
    def _are_bins_of_the_scheme(cls, bins: int | None, others: ValidationInfo) -> int | None:
        if "scheme" in others.data:
            read_scheme(others.data["scheme"], bins=bins)
        return bins

    @field_validator("thresholds")
    @classmethod
    def _are_thresholds(
        cls, thresholds: dict[str, list[float]] | None, others: ValidationInfo
    ) -> dict[str, list[float]] | None:
        binning = others.data.get("binning")
        if binning == "thresholds" and {"scheme", "bins"} <= set(others.data):
            scheme = read_scheme(others.data["scheme"], bins=others.data["bins"])
            check_thresholds(thresholds or {}, scheme.concepts)
        elif binning not in (None, "thresholds") and thresholds is not None:
            raise ValueError(
                f"binning is {binning}, which does not use them; valid is binning: thresholds, or "
                "to leave them out"
            )
        return thresholds

    @field_validator("model")
    @classmethod
    def _is_a_model(cls, model: str) -> str:
        folder = model.removeprefix("hf:")
        return f"hf:{home_written_out(folder)}" if model.startswith("hf:~") else model

    @field_validator("baselines")
    @classmethod
    def _are_baselines(cls, baselines: list[str]) -> list[str]:
        names = [contrastive_name(baseline) for baseline in baselines]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} stands twice; valid are baselines of other names")
        kind = f"{CLAP}:"
        return [
            kind + home_written_out(one.removeprefix(kind)) if one.startswith(f"{kind}~") else one
            for one in baselines
        ]

    @field_validator("labels")
    @classmethod
    def _are_told_apart(
        cls, labels: list[str] | dict[str, str] | None
    ) -> list[str] | dict[str, str] | None:
        if labels is not None:
            classes_of(labels)
        return labels

    @field_validator("corpus_options")
    @classmethod
    def _are_options(cls, options: dict[str, Any]) -> dict[str, Any]:
        for name in sorted(_NO_OPTIONS & set(options)):
            own = "is a study key of its own" if name in CORPUS_KEYS else "is no option"
            raise ValueError(f"{name!r} {own}; `sercue corpora` lists the options of each corpus")
        check_no_secret(options)
        return options

    @field_validator("model_options")
    @classmethod
    def _hold_no_secret(cls, options: dict[str, Any]) -> dict[str, Any]:
        if "key_variable" in options:
            guard_key(variable(options["key_variable"]))
        check_no_secret(options)
        if isinstance(options.get("base_url"), str):
            resolve_url(options["base_url"])
        return options

    @field_validator("device")
    @classmethod
    def _is_a_device(cls, device: str) -> str:
        if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", device):
            raise ValueError("valid are auto, cpu, mps, cuda, cuda:0, cuda:1, ...")
        return device

    @field_validator("audio")
    @classmethod
    def _are_variants(cls, audio: list[str]) -> list[str]:
        for name in audio:
            if name not in AUDIO_VARIANTS:
                raise ValueError(str(unknown("audio", name, AUDIO_VARIANTS)))
        return list(dict.fromkeys([OWN, *audio]))

    @field_validator("conditions")
    @classmethod
    def _are_conditions(cls, conditions: list[str], others: ValidationInfo) -> list[str]:
        if "scheme" not in others.data or others.data.get("corpus") == ELSEWHERE:
            return conditions
        concepts = read_scheme(others.data["scheme"]).names
        names = [condition.name for condition in parse_conditions(conditions, concepts)]
        return crossed(names, others.data.get("audio", ()))

    @field_validator("templates")
    @classmethod
    def _are_templates(
        cls, templates: list[str | dict[str, str]], others: ValidationInfo
    ) -> list[str | dict[str, str]]:
        if others.data.get("corpus") != ELSEWHERE:
            resolve_templates(templates)
        return templates

    @property
    def made_elsewhere(self) -> bool:
        """Whether another program obtained the answers: of their prompts nothing is known."""
        return self.corpus == ELSEWHERE

    @cached_property
    def tokens(self) -> Scheme:
        """The scheme of the tokens, with the number of bins that the study sets.

        It is read once, so that results carry its content even if the file is edited later.
        """
        return read_scheme(self.scheme, bins=self.bins)

    def only(self, keys: Iterable[str]) -> dict[str, Any]:
        """Some of the settings, by name."""
        return self.model_dump(include=set(keys))

    def fingerprint(self, keys: Iterable[str] = STUDY_KEYS) -> str:
        """A short hash of the settings that decide a result.

        Examples:
            >>> Settings(out="a").fingerprint() == Settings(out="b").fingerprint()
            True
            >>> Settings(seed=0).fingerprint() == Settings(seed=1).fingerprint()
            False
        """
        chosen = self.only(keys)
        if "scheme" in chosen:
            # A file can be changed under its name.
            chosen["scheme"] = self.tokens.digest
        text = json.dumps(chosen, sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


#: All but where a run writes, and how fast it works.
RESULT_KEYS = tuple(sorted(set(Settings.model_fields) - {"out", "scheduler", "batch_size"}))


def settings_from(
    values: Mapping[str, Any], source: str = "study", sources: Mapping[str, str] | None = None
) -> Settings:
    """Check the keys and values of a study.

    Args:
        values: key to value, as a study file or a notebook's parameters give them
        source: where they come from, for the error message
        sources: key to how the message begins where the key comes from elsewhere, as ``--set seed``

    Raises:
        InputError: naming the key, what was found and what is valid

    Examples:
        >>> settings_from({"sed": 1}, "my.yaml")
        Traceback (most recent call last):
        ...
        sercue.errors.InputError: my.yaml: unknown study key 'sed': did you mean 'seed'? ...
    """
    return checked(Settings, values, "study key", source, sources)


def read_study(
    path: str | Path,
    overrides: Mapping[str, Any] | None = None,
    sources: Mapping[str, str] | None = None,
) -> Settings:
    """Read a study file.

    Args:
        path: a YAML file that maps study keys to values, each once, without aliases and tags; or
            the name of one that is shipped, such as ``demo``
        overrides: keys to set over those of the file
        sources: key to what errors blame for it in place of the file

    Raises:
        InputError: if the file is not there or is not such a file, or a key or value is not valid
    """
    file = shipped_studies().get(str(path), Path(path))
    try:
        with file.open("rb") as opened:
            # No more than tells that it is too much: a path may name a device without an end.
            values = plain_yaml(opened.read(MOST_BYTES + 1))
    # A name with a zero byte in it is a ValueError, as is InputError.
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: cannot be read as a study file: {error}") from None
    if values is None:
        values = {}
    if not isinstance(values, dict):
        kind = type(values).__name__
        raise InputError(f"{path}: found a {kind}, valid is a mapping from study keys to values")
    values = {str(key): value for key, value in values.items()}
    return settings_from(values | dict(overrides or {}), str(path), sources)


def shipped_studies() -> dict[str, Path]:
    """The study files that come with the package, by name.

    Examples:
        >>> sorted(shipped_studies())[:3]
        ['audformat', 'crema_d', 'datasets']
    """
    files = sorted((notebooks_folder() / "studies").glob("*.yaml"))
    return {file.stem: file for file in files}


# Lines of IPython's own.
_MAGIC = re.compile(r"^\s*[%!].*$", re.MULTILINE)


def run_folder(settings: Settings) -> Path:
    """Where a study writes: ``out`` if it is set, else ``reports/<study>`` of the project."""
    if settings.out is not None:
        return Path(settings.out).expanduser()
    return project_folder() / "reports" / settings.study


def scratch_folder(name: str) -> Path:
    """Where a run writes that was opened by hand, so that the study itself stays as it is."""
    return project_folder() / "scratch" / name


def is_by_hand(settings: Settings) -> bool:
    """Whether a run is opened by hand: ``sercue run`` did not start this, and ``out`` is not set.

    An executed notebook that is opened in JupyterLab, and one that papermill executes, are that,
    too: neither the parameters that were injected nor anything else tells the two apart.
    """
    return settings.out is None and not os.environ.get(EXECUTED)


def set_in_cells(history: Sequence[str]) -> set[str]:
    """What the cells of parameters set that were executed before a run is opened.

    Args:
        history: sources of the executed cells; the last one is the one that opens the run
    """
    found: set[str] = set()
    for place, source in enumerate(reversed(history)):
        # What was wrong when a run was opened earlier may have been mended since.
        if place and found and "open_run(" in source:
            break
        found |= _set_as_parameters(source)
    return found


def elsewhere_notice(settings: Settings) -> str | None:
    """What a reader must know of answers that sercue did not ask for.

    Examples:
        >>> elsewhere_notice(Settings()) is None
        True
    """
    if not settings.made_elsewhere:
        return None
    files = ", ".join(file.rpartition(" (")[0] for file in settings.corpus_options.get("files", []))
    return (
        f"The answers were obtained by another program and read from {files}. Their prompts and "
        "recordings are not known here: what is said of tokens and of audio holds for studies that "
        "sercue runs itself."
    )


def fixture_notice(settings: Settings) -> str | None:
    """The warning that a study on synthetic speech or with a tiny model must carry.

    Examples:
        >>> fixture_notice(Settings(corpus="emodb", model="qwen2-audio")) is None
        True
    """
    reasons = []
    if settings.corpus == "demo":
        reasons.append("the speech is synthetic")
    if settings.model == TINY:
        reasons.append("the model is a tiny one, trained here on the corpus itself")
    return FIXTURE.format(why=" and ".join(reasons)) if reasons else None


def _set_as_parameters(source: str) -> set[str]:
    r"""What a cell sets, if papermill wrote it; or study keys, and names that are nearly one.

    What the cell itself reads again is no parameter, but a step on the way to one.

    Examples:
        >>> sorted(_set_as_parameters("bins = 3\nsed = 1\nd = 'a'\ncorpus_root = f'{d}/b'"))
        ['bins', 'sed']
        >>> _set_as_parameters("number = 1"), _set_as_parameters("label = 'sad'")
        (set(), set())
        >>> _set_as_parameters("conditons = ['none']")
        {'conditons'}
    """
    try:
        tree = ast.parse(_MAGIC.sub("", source))
    except (SyntaxError, ValueError):  # other magics of IPython, lone surrogates
        return set()
    injected = source.startswith("# Parameters")
    names = set()
    for statement in tree.body:
        if isinstance(statement, ast.Assign):
            targets, value = statement.targets, statement.value
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            targets, value = [statement.target], statement.value
        else:
            continue
        if injected or _is_plain(value):
            nodes = [node for target in targets for node in ast.walk(target)]
            names |= {node.id for node in nodes if isinstance(node, ast.Name)}
    names -= {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }
    keys = Settings.model_fields.keys()
    if injected:
        return names
    # In a cell of their own, users set what else they like; a name that is nearly a key is none.
    # Where no key stands beside it, it must be nearer, and no singular or plural of one.
    cutoff = 0.8 if names & keys else 0.9
    near = {name for name in names - keys if difflib.get_close_matches(name, keys, cutoff=cutoff)}
    if not names & keys:
        near -= {name for name in near if {f"{name}s", name.removesuffix("s")} & keys}
    return (names & keys) | near


def _is_plain(value: ast.expr) -> bool:
    try:
        ast.literal_eval(value)
    except ValueError:
        return False
    return True
