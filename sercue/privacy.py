"""The way out: what of a study, its machine and its keys may be told to others.

Keys are kept out of every byte: ``write_text``, the terminal and the logs call ``without_secrets``.
Folders and servers are taken out once, where a text is made for others: of parameters and commands
when they are recorded, of a notebook and its error when it has been executed. The index, the
methods and comparisons are made from these; a page cleans its notebook again, which somebody may
have run by hand since.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import yaml

if TYPE_CHECKING:
    from pydantic import BaseModel

HUB_VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
KEY_VARIABLE = "OPENAI_API_KEY"
#: Stands where a key was.
INSTEAD = "[key]"
# Beginnings of the names of loggers that tell what is sent and got, at a level that somebody may
# have turned on.
_TALKATIVE = ("openai", "httpx", "httpcore", "huggingface_hub", "transformers")
# What is shorter guards nothing and stands in many a text: `none`, `EMPTY`, `x`.
_SHORTEST = 8
_NAMES = re.compile(
    r"(.*[_-])?(api[_-]?key|key|token|password|passwd|secret|credentials?|authorization|auth)",
    re.IGNORECASE,
)


# Those above, and what studies and servers of this process name besides.
_VARIABLES = {KEY_VARIABLE, *HUB_VARIABLES}


def guard_key(variable: str) -> None:
    """Keep the key that an environment variable holds out of all that this process writes."""
    _VARIABLES.add(variable)


def without_secrets(text: str) -> str:
    r"""A text in which no guarded key of the environment stands, in whatever way it is written.

    Beside the key itself, that is how URLs, JSON, HTML and LaTeX write it. Guarded are the keys of
    the hub, ``OPENAI_API_KEY``, and those of ``guard_key``.

    Args:
        text: any

    Examples:
        >>> os.environ["MY_KEY"] = "sk_0123456789"
        >>> guard_key("MY_KEY")
        >>> without_secrets(r"wrong keys: sk_0123456789, sk\_0123456789, sk%5F0123456789")
        'wrong keys: [key], [key], [key]'
        >>> del os.environ["MY_KEY"]
    """
    held = {os.environ.get(name, "").strip() for name in _VARIABLES}
    # The longest first: one may be the beginning of another.
    for key in sorted(held, key=len, reverse=True):
        if len(key) >= _SHORTEST:
            text = _as_written(key).sub(INSTEAD, text)
    return text


@lru_cache
def _as_written(key: str) -> re.Pattern[str]:
    """The ways to write a key: its marks as in JSON and shells, URLs, HTML, and LaTeX."""
    written = ""
    for mark in key:
        own, code = re.escape(mark), f"{ord(mark):02x}"
        ways = [
            rf"\\*{own}",
            rf"(?i:%{code}|\\+u00{code})",
            r"&\#?\w+;",
            r"\\[a-z]+\{\}",
            rf"\${own}\$",
        ]
        written += mark if mark.isalnum() else rf"(?:\{{\}})?(?:{'|'.join(ways)})"
    # A key of digits alone, such as local servers are given, may stand within a number.
    return re.compile(rf"(?<![\d.]){written}(?!\d)" if key.isdigit() else written)


def check_no_secret(options: Mapping[str, Any]) -> None:
    """Refuse options of a study that hold a key: studies are shown in reports and sent to others.

    Raises:
        ValueError: naming the option, and not what it holds

    Examples:
        >>> check_no_secret({"key_variable": "MY_KEY", "tree_tokens": 4096})
        >>> check_no_secret({"api_key": "sk-0123"})
        Traceback (most recent call last):
        ...
        ValueError: 'api_key' is what a key is called (not shown here); a key belongs into the \
environment: into OPENAI_API_KEY, or the variable that key_variable names
    """
    where = (
        f"(not shown here); a key belongs into the environment: into {KEY_VARIABLE}, or the "
        "variable that key_variable names"
    )
    for name, value in options.items():
        if _NAMES.fullmatch(name):
            raise ValueError(f"{name!r} is what a key is called {where}")
        written = json.dumps(value, ensure_ascii=False, default=str)
        if without_secrets(written) != written:
            raise ValueError(f"{name!r} holds a key of this environment {where}")


def hide_in_logs() -> None:
    """Keep the guarded keys out of what the libraries log that talk to servers."""
    for name in list(logging.root.manager.loggerDict):
        if name.startswith(_TALKATIVE):
            logging.getLogger(name).addFilter(_WITHOUT_SECRETS)


class _WithoutSecrets(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        """Let all pass, with the keys taken out."""
        told = record.getMessage()
        record.msg, record.args = without_secrets(told), ()
        if record.exc_info:
            # Formatters take the text that is there, and would write their own of the error.
            error = logging.Formatter().formatException(record.exc_info)
            record.exc_text, record.exc_info = without_secrets(error), None
        return True


# One for all: a logger takes the same filter once.
_WITHOUT_SECRETS = _WithoutSecrets()


#: The option whose value is as that of the key ``model``.
_MODEL = "--model-name"
_KEYS_OF_PATHS = ("corpus_root", "out", "scheme")
_OPTIONS = ("corpus_options", "model_options")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def shareable(settings: BaseModel) -> dict[str, Any]:
    """The parameters without the folders and servers of this machine.

    Args:
        settings: of a study

    Examples:
        >>> from sercue.settings import Settings
        >>> shareable(Settings(corpus="emodb", corpus_root="/home/me/emodb"))["corpus_root"]
        'emodb'
    """
    return {key: _public(key, value) for key, value in settings.model_dump().items()}


def shareable_command(given: Sequence[str]) -> str:
    """A command line as others may see it.

    Args:
        given: the words after ``sercue``

    Examples:
        >>> shareable_command(["run", "/home/me/mine.yaml", "--set", "corpus_root=~/emodb"])
        'sercue run mine.yaml --set corpus_root=emodb'
    """
    before = [None, *given]
    words = [
        _public_word(f"model={word}").removeprefix("model=")
        if option == _MODEL
        else _public_word(word)
        for option, word in zip(before, given, strict=False)
    ]
    return shlex.join(["sercue", *words])


def _public_word(word: str) -> str:
    key, equals, text = word.partition("=")
    if not equals:
        return str(_without_places(word))
    if key == "--set":
        return f"{key}={_public_word(text)}"
    if key == _MODEL:
        return f"{key}{_public_word(f'model={text}').removeprefix('model')}"
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        value = text
    shown = _public(key.lstrip("-"), value)
    if isinstance(shown, str) and shown == value:
        shown = _last_part(shown)
    if shown == value:
        return word
    return f"{key}={shown if isinstance(shown, str) else json.dumps(shown)}"


def public_name(model: str, mark: str = ":") -> str:
    """How reports call a model: of a folder on this machine only the last part.

    Args:
        model: as a study names it
        mark: what stands between the kind of a model, or its provider, and its name

    Examples:
        >>> public_name("hf:/home/me/checkpoint"), public_name("hf:organisation/model")
        ('hf:checkpoint', 'hf:organisation/model')
        >>> public_name("vllm//home/me/tuned", "/"), public_name("openai/gpt-4o", "/")
        ('vllm/tuned', 'openai/gpt-4o')
    """
    kind, _, place = model.partition(mark)
    return f"{kind}{mark}{PurePath(place).name}" if place.startswith(("/", "~", ".")) else model


def _public(key: str, value: Any) -> Any:
    if key == "model" and isinstance(value, str):
        return public_name(value)
    if key == "baselines" and isinstance(value, list):
        return [public_name(str(one)) for one in value]
    if key in _KEYS_OF_PATHS and isinstance(value, str):
        return PurePath(_without_places(value)).name
    if key in _OPTIONS or (isinstance(value, str) and _ADDRESS.match(value)):
        return _without_places(value)
    return value


def _without_places(value: Any) -> Any:
    """A value as others may see it: of a path its last part, of an address how to speak to it."""
    if isinstance(value, str):
        return _public_address(value) if _ADDRESS.match(value) else _last_part(value)
    if isinstance(value, list | tuple):
        return [_without_places(entry) for entry in value]
    if isinstance(value, dict):
        return {key: _without_places(entry) for key, entry in value.items()}
    return value


def _public_address(address: str) -> str:
    scheme = address.partition("://")[0]
    if scheme == "file":
        return PurePosixPath(address).name
    try:
        parts = urlsplit(address)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return f"{scheme}://HOST"
    # A query may hold a key; a path is that of an interface, if it is short.
    return f"{scheme}://HOST{port}{parts.path if parts.path.count('/') < 3 else ''}"


def _last_part(text: str) -> str:
    """Of a path that leads to or through folders of this machine, its last part."""
    if PureWindowsPath(text).drive:
        return PureWindowsPath(text).name
    path = PurePosixPath(text)
    return path.name if text.startswith(("/", "~")) or ".." in path.parts else text


_CACHES = ("SERCUE_CACHE", "HF_HOME", "HF_HUB_CACHE", "XDG_CACHE_HOME")
# Where the package lies, and so its files in a traceback: a checkout, or an environment.
_INSTALLED = Path(__file__).resolve().parents[1]
_Told = TypeVar("_Told")


def without_private_paths(value: _Told, settings: BaseModel | None = None) -> _Told:
    """What may be told: no folder of this machine, and so no user, no server and no key.

    Of the paths among a study's settings, and of those of the caches, the last part is left, and of
    a server how to speak to it, as in ``provenance.json``; the current folder and that of the
    package are a dot, and the home folder a tilde. Keys are those that the environment holds.

    Args:
        value: a text such as a message or a traceback; or lists and mappings, which keep their
            types, with texts in them
        settings: the study, as far as it is known

    Examples:
        >>> from sercue.settings import Settings
        >>> settings = Settings(corpus="iemocap", corpus_root="/home/me/IEMOCAP")
        >>> without_private_paths("no such file: /home/me/IEMOCAP/Session1", settings)
        'no such file: IEMOCAP/Session1'
        >>> without_private_paths(["/home/me/IEMOCAP", {"seed": 1}], settings)
        ['IEMOCAP', {'seed': 1}]
    """
    named = (os.environ.get(name, "").rstrip("/") for name in _CACHES)
    replaced = {path: Path(path).name for path in named if Path(path).is_absolute()}
    replaced |= {str(_INSTALLED): ".", str(Path.cwd()): ".", str(Path.home()): "~"}
    if settings is not None:
        changed = dict(_changed(settings.model_dump(), shareable(settings)))
        hosts = [urlsplit(given).hostname for given in changed if "://" in given]
        replaced |= dict.fromkeys(filter(None, hosts), "HOST") | changed
    # The root folder, home of some services, stands in every path.
    known = {path: shown for path, shown in replaced.items() if len(path) > 1}
    # The longest first: one may be the beginning of another.
    paths = "|".join(map(re.escape, sorted(known, key=len, reverse=True)))
    whole = re.compile(rf"(?<![\w.~-])(?:{paths})(?![\w.-])")

    def told(value: Any) -> Any:
        if isinstance(value, str):
            return without_secrets(whole.sub(lambda found: known[found[0]], value))
        if isinstance(value, list):
            return [told(inner) for inner in value]
        if isinstance(value, dict):
            return type(value)((key, told(inner)) for key, inner in value.items())
        return value

    return told(value)


def _changed(given: Any, shared: Any) -> Iterator[tuple[str, str]]:
    """Each text among the settings that others see otherwise, with what they see."""
    if isinstance(given, str) and given != shared:
        yield given, shared
    elif isinstance(given, dict):
        for key, value in given.items():
            yield from _changed(value, shared[key])
    elif isinstance(given, list):
        for value, shown in zip(given, shared, strict=True):
            yield from _changed(value, shown)


# Of the parameters, those that may begin with a tilde.
_PATHS = ("corpus_root", "out", "scheme", "model")


def clean_notebook(notebook: Any, settings: BaseModel) -> None:
    """Take what names this machine out of an executed notebook, which is sent with its report.

    That is out of its outputs, errors and what papermill notes of the run. The cell of parameters
    stays fit to run here: in it the home folder becomes ``~``, which a study's paths may begin
    with, and other folders stay.

    Args:
        notebook: as papermill leaves it; changed in place
        settings: the study
    """
    home = str(Path.home())
    path = rf'(^(?:{"|".join(_PATHS)}) = "(?:hf:)?|"clap:){re.escape(home)}(?=[/"])'
    notebook.metadata = without_private_paths(notebook.metadata, settings)
    for cell in notebook.cells:
        cell.metadata = without_private_paths(cell.metadata, settings)
        if "injected-parameters" in cell.metadata.get("tags", []) and len(home) > 1:
            cell.source = re.sub(path, r"\1~", cell.source, flags=re.MULTILINE)
        for output in cell.get("outputs", []):
            # Pictures are text in a notebook, too, and stay.
            kept = {k: v for k, v in output.get("data", {}).items() if not k.startswith("text/")}
            output.update(without_private_paths(output, settings))
            output.get("data", {}).update(kept)
