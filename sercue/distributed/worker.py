"""What a worker of a cluster does: the work of this machine, with models that stay loaded.

The scheduler imports this module too, so that it needs nothing beyond the standard library until
a worker is given work.
"""

from __future__ import annotations

import fcntl
import gc
import hashlib
import importlib.metadata
import os
import pickle
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from threading import Lock
from typing import IO, TYPE_CHECKING, Any

from sercue.errors import DecodingError, InputError, ServerError

if TYPE_CHECKING:
    import pandas as pd

    from sercue.corpora.corpus import Corpus

# Kept open for the life of the process: the lock ends with it, however it ends.
_LOCKS: list[IO[bytes]] = []


@cache
def own_slot(number: int) -> int:
    """The slot that is this process's own as long as it lives, the same at each call.

    Where more processes come than there are slots, they share them.

    Args:
        number: slots of this machine
    """
    folder = Path(tempfile.gettempdir()) / f"sercue-gpu-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    taken = take_slot(folder, number)
    return os.getpid() % number if taken is None else taken


def take_slot(folder: Path, number: int) -> int | None:
    """Take the first slot that no living process has.

    A rank among the workers would not do: it changes when workers come and go, and two of them
    would meet on one GPU.

    Args:
        folder: of the lock files, the same for all processes of a machine
        number: slots

    Returns:
        the slot, from 0; ``None`` if all are taken

    Examples:
        >>> folder = Path(tempfile.mkdtemp())
        >>> take_slot(folder, 2), take_slot(folder, 2), take_slot(folder, 2)
        (0, 1, None)
    """
    for slot in range(number):
        file = (folder / f"{slot}.lock").open("wb")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            continue
        _LOCKS.append(file)
        return slot
    return None


# What decides a number, or whether a table can be sent from one machine to the other.
_PACKAGES = ("audresample", "numpy", "opensmile", "pandas", "torch", "transformers")
_SMALL = "sercue-tiny"


@dataclass(frozen=True)
class SentModel:
    """A model on its way to a worker: what it takes to load it there, and no weights.

    Attributes:
        name: how reports call it
        identity: what it must be there, too
        pickled: the model without weights
    """

    name: str
    identity: str
    pickled: bytes


@dataclass
class _Held:
    model: Any
    turn: Lock = field(default_factory=Lock)


_HELD: dict[bytes, _Held] = {}
_LOADING = Lock()


@cache
def versions() -> dict[str, str]:
    """Versions of what decides results, with a hash of sercue's own source.

    The version of sercue does not change with each commit, and two machines may have two of them.

    Examples:
        >>> sorted(versions())[:3]
        ['audresample', 'numpy', 'opensmile']
    """
    found = {"python": ".".join(platform.python_version_tuple()[:2])}
    for package in ("sercue", *_PACKAGES):
        try:
            # What follows a plus tells builds for CPU and GPU apart, which may be mixed.
            found[package] = importlib.metadata.version(package).partition("+")[0]
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    folder, digest = Path(__file__).parents[1], hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    found["sercue"] += f" ({digest.hexdigest()[:12]})"
    return found


def work(call: bytes, expected: Mapping[str, str], worker: str | None = None) -> Any:
    """Do one call on a worker, provided that it has the versions of who asks.

    Args:
        call: a function and its arguments, pickled
        expected: ``versions()`` of who asks
        worker: how errors call this process; by default its address

    Raises:
        InputError: as the function does; or if a version differs
        ServerError: as the function does
    """
    differing = difference(versions(), expected)
    if differing:
        raise InputError(f"worker {worker or own_address()}: {differing}")
    try:
        function, arguments = pickle.loads(call)
        return function(*arguments)
    except (InputError, ServerError) as error:
        # As one of the plain kinds, which can be sent whatever the error itself is made of.
        kinds = (DecodingError, InputError, ServerError)
        raise next(kind for kind in kinds if isinstance(error, kind))(str(error)) from None


def difference(found: Mapping[str, str], expected: Mapping[str, str]) -> str:
    """In words, what another machine has in other versions; an empty text if there is nothing.

    Examples:
        >>> difference({"torch": "2.12.0"}, {"torch": "2.13.0"})
        'found torch 2.12.0, but 2.13.0 where the study is run from'
    """
    told = [
        f"{package} {found.get(package, 'not installed')}, but {version} where the study is run "
        "from"
        for package, version in expected.items()
        if found.get(package) != version
    ]
    return f"found {'; '.join(told)}" if told else ""


def own_address() -> str:
    """The address of this worker, or the name of the machine where there is none."""
    from distributed import get_worker

    try:
        return str(get_worker().address)
    except ValueError:
        return platform.node()


def ask(
    sent: SentModel, function: Callable[..., Any], corpus: Corpus, rows: pd.DataFrame, rest: tuple
) -> Any:
    """Ask a model that this process holds; one call at a time, however many threads there are.

    Args:
        sent: the model
        function: ``function(corpus, model, rows, *rest)`` is called
        corpus: the utterances to ask about
        rows: the prompts; ``source`` is the place in the corpus of the utterance whose audio is
            heard, or other audio made of it, and ``recording`` the digest of its own
        rest: further arguments

    Raises:
        InputError: if a recording is not here or another than the study's; or as the function does
    """
    digests = rows.drop_duplicates("source").set_index("source")["recording"].astype(object)
    strays = stray_files(corpus, digests.loc[list(range(len(corpus.table)))].tolist())
    if strays:
        raise InputError("\n".join(list(strays.values())[:5]))
    return ask_here(sent, function, corpus, rows, rest)


def ask_here(
    sent: SentModel, function: Callable[..., Any], corpus: Corpus, rows: pd.DataFrame, rest: tuple
) -> Any:
    """The same on the machine that the study is run from, in a process beside it."""
    with holding(sent) as model:
        return function(corpus, model, rows, *rest)


@contextmanager
def holding(sent: SentModel) -> Iterator[Any]:
    """A model as this process holds it, loaded once, for nobody else meanwhile.

    Args:
        sent: the model

    Raises:
        InputError: if it cannot be had here, or is another than where the study is run from
    """
    with _LOADING:
        if sent.pickled not in _HELD:
            # Memory is made for one large model; only small ones are held side by side.
            small = {k: held for k, held in _HELD.items() if sent.name == held.model.name == _SMALL}
            _HELD.clear()
            _HELD.update(small)
            gc.collect()
            _HELD[sent.pickled] = _Held(_received(sent))
        held = _HELD[sent.pickled]
        use_own_gpu()
    with held.turn:
        yield held.model


def _received(sent: SentModel) -> Any:
    hint = (
        f"on worker {own_address()}; a model must lie at the same path, and be the same, on every "
        "machine"
    )
    try:
        model = pickle.loads(sent.pickled)
        identity = model.identity
    except InputError as error:
        raise InputError(f"{error} ({hint})") from None
    if identity != sent.identity:
        raise InputError(
            f"model {sent.name!r}: found {identity}, but {sent.identity} where the study is run "
            f"from ({hint})"
        )
    return model


def facts(sent: SentModel) -> dict[str, str]:
    """What a model says of itself where it answers."""
    with holding(sent) as model:
        return model.facts()


def held_devices(name: str) -> dict[str, Any]:
    """Device and batch size of the model of a name that this process holds; empty if none."""
    for held in _HELD.values():
        if held.model.name == name:
            return {"device": held.model.device, "batch_size": held.model.batch_size}
    return {}


def stray_files(corpus: Corpus, digests: Sequence[str]) -> dict[str, str]:
    """Recordings that are not here, or are others than where the study is run from.

    Args:
        corpus: the utterances
        digests: what identifies the audio of each, as ``audio_digests`` has it

    Returns:
        file to what is wrong with it, naming the worker
    """
    from sercue.corpora.audio import utterance_digest

    strays = {}
    for (file, start, end), expected in zip(corpus.table.index, digests, strict=True):
        path = corpus.path(file)
        try:
            status = path.stat()
            content = _content(path, status.st_size, status.st_mtime_ns)
        except (OSError, InputError):
            strays[file] = (
                f"{path}: cannot be read on worker {own_address()}; the corpus must lie at the "
                "same path on every machine"
            )
            continue
        if utterance_digest(content, start, end, corpus.channel) != expected:
            strays[file] = (
                f"{path}: another recording on worker {own_address()} than where the study is run "
                "from; the corpus must be the same on every machine"
            )
    return strays


@lru_cache(maxsize=4096)
def _content(path: Path, size: int, changed: int) -> str:
    """The digest of a file, read once for all its segments; size and time tell a changed one."""
    from sercue.corpora.audio import file_digest

    return file_digest(path)


def use_own_gpu() -> None:
    """Let this thread use a GPU that no other worker of this machine uses, if there are several.

    Workers that were given one each (``CUDA_VISIBLE_DEVICES``) see only that and keep it.
    """
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return
    number = torch.cuda.device_count()
    if number > 1:
        torch.cuda.set_device(own_slot(number))
