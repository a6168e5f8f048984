"""The ``sercue`` command."""

from __future__ import annotations

import argparse
import gc
import io
import os
import re
import sys
import tempfile
import textwrap
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import islice, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sercue.errors import InputError, ServerError, StorageError, bounded, shortened
from sercue.privacy import shareable_command, without_private_paths, without_secrets
from sercue.running import Stopped, stoppable
from sercue.storage.files import is_of_storage

if TYPE_CHECKING:
    import pandas as pd

    from sercue.check.study import StudyCheck
    from sercue.report.notebooks import Outcome


_KEPT = "what is done is kept, run again to go on"
_VALUED = ("--only", "--set", "--out", "--truth", "--rename", "--reference", "--model-name")
#: Option to what its further values look like; other words are no values of it.
_FURTHER = {"--only": re.compile(r"\d+"), "--set": re.compile(r"\w+=.*", re.DOTALL)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        exit status: 0 if all went well, 1 if a notebook, a disk, a server or this program failed,
        2 if the input is not valid, 130, 143 or 129 if the command was stopped by Ctrl-C, SIGTERM
        or SIGHUP, and 141 if nobody reads what it prints
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if arguments is None:
        # Imports make a million objects that stay: a search for garbage takes long, and finds none.
        gc.set_threshold(50_000)
        # Where it is there, jsonschema has it make forty grammars of web addresses, in one or two
        # seconds; no notebook is checked for such.
        sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    # Names may have letters that a terminal's encoding lacks: they are written as Python does.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(_in_order(given))
    try:
        with stoppable(ends=arguments is None):
            return int(options.command(options, given))
    except InputError as error:
        return _ended(f"error: {error}", 2)
    except (StorageError, ServerError) as error:
        return _ended(f"error: {error}", 1)
    except Stopped as stopped:
        return _ended(f"stopped; {_KEPT}", stopped.status)
    except BrokenPipeError:
        # Nobody reads what is printed; the interpreter must not try again.
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + 13
    except Exception as error:
        if not (isinstance(error, OSError) and is_of_storage(error)):
            return _unforeseen(error, options)
        place = f"{error.filename}: " if error.filename else ""
        return _ended(f"error: {place}{error.strerror}; {_KEPT}", 1)
    finally:
        if arguments is None:
            # Nor does the interpreter look for any when it ends.
            gc.freeze()


def _ended(told: str, status: int) -> int:
    # Where the terminal is gone, the status is all that is left to tell.
    with suppress(OSError):
        print(f"sercue: {bounded(without_secrets(told))}", file=sys.stderr)
    return status


def _unforeseen(error: Exception, options: argparse.Namespace) -> int:
    """Tell an error that nobody foresaw in one line, and where its whole traceback lies."""
    package = Path(__file__).parent
    within = [
        f"{frame.name} of {Path(frame.filename).relative_to(package.parent)}"
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).is_relative_to(package)
    ]
    parts = ["".join(traceback.format_exception(error)), str(error)]
    whole, message = without_private_paths(parts, getattr(options, "settings", None))
    first = message.strip().partition("\n")[0]
    try:
        with tempfile.NamedTemporaryFile(
            "wb", prefix="sercue-", suffix=".log", delete=False
        ) as log:
            log.write(whole.encode("utf-8", "backslashreplace"))
        stored = f"the whole traceback is in {log.name}"
    except OSError as fault:
        stored = f"its traceback could not be stored ({fault.strerror})"
    doing = f"`sercue {options.command.__name__.strip('_')}` failed in {within[-1]}"
    return _ended(f"error: {doing}: {type(error).__name__}: {shortened(first)}; {stored}", 1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sercue",
        description="Do audio language models use acoustic cues in the prompt in a grounded way?",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="run the notebooks of a study into HTML reports")
    run.add_argument(
        "--only", action="append", metavar="NN", help="numbers of the notebooks to run"
    )
    run.set_defaults(command=_run)
    check = commands.add_parser("check", help="validate a study before any hour of compute")
    check.add_argument(
        "--quick", action="store_true", help="do not measure the time that it will take"
    )
    check.set_defaults(command=_check)
    for command in (run, check):
        command.add_argument(
            "study", metavar="STUDY.yaml", help="the study file, or the name of a shipped study"
        )
    analyse = commands.add_parser(
        "analyse",
        help="statistics of answers that another program obtained",
        description="Intervals, contrasts and reports of answers that another program obtained: "
        "notebooks 04 and 05. Columns are found by name: utterance (or file, id, doc_id), speaker, "
        "truth (or target, emotion, label), condition, and answer (what the model wrote), "
        "prediction (a label) or p_<label> for each label; optionally template, label_order, "
        "replicate. See docs/elsewhere.md.",
    )
    analyse.add_argument(
        "files",
        nargs="+",
        metavar="[CONDITION=]FILE",
        help="CSV, TSV, Parquet, JSON lines, samples of lmms-eval, log of Inspect; with a "
        "condition before it if all answers in it are of one",
    )
    analyse.add_argument(
        "--truth", metavar="FILE", help="utterance, speaker and emotion, where the answers lack it"
    )
    analyse.add_argument(
        "--rename",
        action="append",
        default=[],
        metavar="OWN=NAME",
        help="a condition of the files and what sercue calls it: --rename with_cues=aligned",
    )
    analyse.add_argument(
        "--reference",
        metavar="NAME",
        help="the condition that others are compared with, where none is called none or aligned",
    )
    analyse.add_argument("--model-name", metavar="NAME", help="which model has answered")
    analyse.set_defaults(command=_analyse)
    compare = commands.add_parser("compare", help="put finished studies side by side, on one page")
    compare.add_argument("folders", nargs="+", metavar="FOLDER", help="what `sercue run` wrote")
    compare.set_defaults(command=_compare)
    over_file = "study keys to set over those of the file; values are YAML"
    allowed = "study, labels, anonymise, partition, seed, resamples, confidence, margin"
    for command, keys in ((run, over_file), (check, over_file), (analyse, allowed)):
        command.allow_abbrev = False  # `_in_order` knows whole names
        command.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=keys)
    places = {run: "", check: "", analyse: ": reports/<study>", compare: ": reports/comparison"}
    for command, place in places.items():
        command.add_argument("--out", metavar="DIR", help=f"folder to write to{place}")
    for kind, listed in (("studies", _studies), ("schemes", _schemes)):
        shipped = commands.add_parser(kind, help=f"list the {kind} that are shipped")
        shipped.add_argument(
            "--copy", metavar="NAME", help="copy one into the current folder, to be edited"
        )
        shipped.set_defaults(command=listed)
    commands.add_parser("corpora", help="list the corpora").set_defaults(command=_corpora)
    commands.add_parser("models", help="list the models").set_defaults(command=_models)
    return parser


def _in_order(given: Sequence[str]) -> list[str]:
    """The words of a command with its options first, each value behind an option of its own.

    Examples:
        >>> " ".join(_in_order("run --only 04 05 my.yaml --set seed=1 bins=5".split()))
        'run --only 04 --only 05 --set seed=1 --set bins=5 my.yaml'
    """
    command, words = list(given[:1]), iter(given[1:])
    options: list[str] = []
    files: list[str] = []
    several = ""
    for word in words:
        if word == "--":
            files += [word, *words]
        elif word.startswith("-"):
            several = word.partition("=")[0]
            options += [word, *islice(words, several == word and several in _VALUED)]
        elif several in _FURTHER and _FURTHER[several].fullmatch(word):
            options += [several, word]
        else:
            files.append(word)
    return command + options + files


def _settings(options: argparse.Namespace) -> Any:
    from sercue.settings import read_study

    overrides = dict(_assignment(text) for text in options.set)
    sources = {key: f"--set {key}" for key in overrides}
    if options.out is not None:
        overrides["out"], sources["out"] = options.out, "--out"
    options.settings = read_study(options.study, overrides, sources)
    return options.settings


def _assignment(text: str) -> tuple[str, Any]:
    from sercue.options import plain_yaml

    key, equals, value = text.partition("=")
    if not equals or not key:
        raise InputError(f"--set: found {shortened(text)}, valid is KEY=VALUE")
    try:
        return key, plain_yaml(value)
    except InputError as error:
        raise InputError(f"--set {key}: {shortened(value)} is not valid YAML: {error}") from None


def _run(options: argparse.Namespace, given: Sequence[str]) -> int:
    from sercue.report.kernels import forked_kernels, imported_for

    # What kernels need is imported while this process imports its own and checks the study.
    with forked_kernels(*imported_for(options.only)) as manager:
        settings = _settings(options)
        from sercue.check.study import check_study
        from sercue.report.notebooks import choose_notebooks, run_notebooks
        from sercue.settings import run_folder

        choose_notebooks(options.only)
        _print_check(check_study(settings))
        command = shareable_command(given)
        outcomes = run_notebooks(settings, only=options.only, command=command, manager=manager)
    return _reported(outcomes, run_folder(settings))


def _reported(outcomes: Sequence[Outcome], folder: Path) -> int:
    """Tell what became of notebooks, and where their reports are."""
    rows = []
    for o in outcomes:
        told = f": {o.error}" if o.error else f" in {o.seconds:.0f} s"
        rows.append((o.notebook.stem, f"{o.state}{told}"))
    _print_rows(rows)
    print(f"report: {folder / 'index.html'}")
    failed = [o.error for o in outcomes if o.state == "failed" and o.error]
    if failed and not any(error.endswith(_KEPT) for error in failed):
        _ended(_KEPT, 1)
    return 0 if all(outcome.state == "done" for outcome in outcomes) else 1


def _check(options: argparse.Namespace, given: Sequence[str]) -> int:
    settings = _settings(options)
    from sercue.check.study import check_study

    _print_check(check_study(settings, measure=not options.quick))
    return 0


def _analyse(options: argparse.Namespace, given: Sequence[str]) -> int:
    from sercue.elsewhere import NOTEBOOKS, read_made, store_made
    from sercue.report.notebooks import run_notebooks

    keys = dict(_assignment(text) for text in options.set)
    renamed = [text.partition("=") for text in options.rename]
    for own, equals, name in renamed:
        if not (own and equals and name):
            raise InputError(f"--rename: found {shortened(own)}, valid is OWN=NAME")
    made = read_made(
        options.files,
        truth=options.truth,
        renamed={own.strip(): name.strip() for own, _, name in renamed},
        reference=options.reference,
        model=options.model_name,
        keys=keys | ({} if options.out is None else {"out": options.out}),
        sources={key: f"--set {key}" for key in keys} | {"out": "--out", "model": "--model-name"},
    )
    options.settings = made.settings
    _print_rows(made.notes)
    folder = store_made(made)
    command = shareable_command(given)
    return _reported(run_notebooks(made.settings, only=NOTEBOOKS, command=command), folder)


def _compare(options: argparse.Namespace, given: Sequence[str]) -> int:
    from sercue.report.comparison import write_comparison
    from sercue.storage.files import project_folder

    out = options.out or project_folder() / "reports" / "comparison"
    page = write_comparison(options.folders, out, command=shareable_command(given))
    print(f"comparison: {page}")
    return 0


def _studies(options: argparse.Namespace, given: Sequence[str]) -> int:
    from sercue.settings import shipped_studies

    return _shipped("study", shipped_studies(), options.copy, "sercue run {}")


def _schemes(options: argparse.Namespace, given: Sequence[str]) -> int:
    from sercue.tokens.schemes import shipped_schemes

    return _shipped("scheme", shipped_schemes(), options.copy, "name it in a study (scheme: {})")


def _shipped(kind: str, files: Mapping[str, Path], chosen: str | None, then: str) -> int:
    """List shipped files with the comments that they begin with, or copy one."""
    from sercue.errors import unknown

    if chosen is None:
        for name, file in files.items():
            comment = takewhile(re.compile("# [^ ]").match, file.read_text("utf-8").split("\n"))
            print(name, *textwrap.wrap(" ".join(line[2:] for line in comment), 96), sep="\n    ")
        return 0
    if chosen not in files:
        raise unknown(kind, chosen, files)
    copy = Path(files[chosen].name)
    try:
        with copy.open("xb") as opened:
            opened.write(files[chosen].read_bytes())
    except FileExistsError:
        raise InputError(f"--copy {chosen}: {copy} is there already") from None
    print(f"copied: {copy}; edit it, then {then.format(copy)}")
    return 0


def _corpora(options: argparse.Namespace, given: Sequence[str]) -> int:
    from sercue.corpora import available_corpora

    _print_cards(available_corpora())
    return 0


def _models(options: argparse.Namespace, given: Sequence[str]) -> int:
    from sercue.models import available_models, fits_this_device

    table = fits_this_device(available_models()).set_index("name").replace("", "-")
    table["parameters"] = table["parameters"].map("{:,}".format)
    _print_cards(table.rename(columns={"seconds": "longest (s)"}))
    print("hf:<repository or folder>: any other audio chat model of transformers")
    print("endpoint:<served name>: a model on a server with OpenAI's chat completions")
    return 0


def _print_cards(table: pd.DataFrame) -> None:
    """One block an entry: a table this wide fits no terminal."""
    for name, card in table.iterrows():
        print(name)
        for column, value in card.items():
            first = f"  {column:<14}"
            print(textwrap.fill(str(value), 100, initial_indent=first, subsequent_indent=" " * 16))


def _print_rows(rows: Sequence[tuple[str, str]]) -> None:
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        print(f"{name:<{width}}  {bounded(without_secrets(text))}", flush=True)


def _print_check(check: StudyCheck) -> None:
    """What was found of the corpus and the study; then what stops it, if anything does."""
    findings = check.corpus[check.corpus["verdict"] != "ok"]
    for finding in findings.to_dict("records"):
        text = "{verdict}: {check}: {found}".format_map(finding)
        text += f"; expected: {finding['expected']}" if finding["expected"] else ""
        text += f" ({finding['examples']})" if finding["examples"] else ""
        print(textwrap.fill(bounded(text), 100, subsequent_indent="    "))
    _print_rows(check.rows)
    if check.problem is not None:
        raise check.problem


if __name__ == "__main__":
    sys.exit(main())
