"""The hub and the folders that models come from, and the processor that lies there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import huggingface_hub
import transformers
from huggingface_hub.errors import (
    GatedRepoError,
    HTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING
from transformers.utils import cached_file

from sercue.errors import InputError, ServerError, StorageError
from sercue.privacy import hide_in_logs, without_secrets

# What the libraries raise where a repository, a file or the hub itself is out of reach.
HUB_ERRORS = (OSError, ValueError, HTTPError)
_LONGEST_QUOTE = 300


def hub_file(repository: str, name: str, revision: str | None) -> str | None:
    """The path of a file of a repository in the local cache, fetched if need be.

    Args:
        repository: such as ``organisation/model``
        name: of the file
        revision: branch, tag or commit

    Returns:
        ``None`` if the repository has no ``config.json`` and that is the file

    Raises:
        OSError: and the others of ``HUB_ERRORS``
    """
    hide_in_logs()
    return cached_file(repository, name, revision=revision)


def hub_holds(repository: str, names: Sequence[str], revision: str | None) -> bool:
    """Whether the cache or else the hub has one of some files; fetches none: weights are large.

    Raises:
        OSError: and the others of ``HUB_ERRORS``, if neither can tell
    """
    hide_in_logs()
    where = {"repo_id": repository, "revision": revision}
    if any(
        isinstance(huggingface_hub.try_to_load_from_cache(filename=name, **where), str)
        for name in names
    ):
        return True
    return any(huggingface_hub.HfApi().file_exists(filename=name, **where) for name in names)


def hub_error(
    error: Exception, model: str, repository: str, revision: str | None = None
) -> InputError:
    """The error for a repository that cannot be read: its cause, and what to do about it.

    Args:
        error: what transformers or huggingface_hub raised
        model: how errors call the model
        repository: which one was asked
        revision: branch, tag or commit that was asked of it

    Examples:
        >>> str(hub_error(OSError("no network"), "mine", "organisation/model"))
        "model 'mine': 'organisation/model' is no folder with a model, not in the local cache, \
and the hub did not give it (no network); name a folder that save_pretrained wrote, or download \
the repository first: hf download organisation/model"
    """
    kinds = {type(cause) for cause in _causes(error)}
    at, of = (f" at revision {revision!r}", f" --revision {revision}") if revision else ("", "")
    if any(issubclass(kind, GatedRepoError) for kind in kinds):
        text = (
            f"{repository!r} is gated, and this machine has no access to it; accept its terms on "
            f"https://huggingface.co/{repository}, and log in here with that account: hf auth login"
        )
    elif any(issubclass(kind, RevisionNotFoundError) for kind in kinds):
        text = (
            f"{repository!r} has no revision {revision!r}; valid are its branches, tags and commits"
        )
    elif any(issubclass(kind, RepositoryNotFoundError) for kind in kinds):
        text = (
            f"the hub has no repository {repository!r}, or none that this machine may read; if it "
            "is private, log in: hf auth login"
        )
    else:
        text = (
            f"{repository!r}{at} is no folder with a model, not in the local cache, and the hub "
            f"did not give it ({first_line(error)}); name a folder that save_pretrained wrote, or "
            f"download the repository first: hf download {repository}{of}"
        )
    return InputError(f"model {model!r}: {text}")


@contextmanager
def told_of_hub(model: str, repository: str, revision: str | None) -> Iterator[None]:
    """Within, what the libraries raise about a repository becomes a ``hub_error``.

    Raises:
        InputError: from the error
    """
    try:
        yield
    except HUB_ERRORS as error:
        raise hub_error(error, model, repository, revision) from error


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it was raised from: transformers wraps the hub's in ``OSError``."""
    while error is not None:
        yield error
        error = error.__cause__


def first_line(error: BaseException) -> str:
    r"""The beginning of an error's message, without keys: a hub may repeat what it was sent.

    Examples:
        >>> first_line(ValueError("Not valid:\n  3 layers, 2 kinds of layers\nin line 8"))
        'Not valid: 3 layers, 2 kinds of layers'
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
    told = " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]
    return without_secrets(told)[:_LONGEST_QUOTE]


@contextmanager
def told_of(model: str, what: str) -> Iterator[None]:
    """Within, any error of a library becomes one line about the model.

    No list of types covers what libraries raise on unsuitable files: configurations, tokenizers and
    networks fail with KeyError, with ZeroDivisionError, and, where they are written in Rust, with
    an exception outside of ``Exception``.

    Args:
        model: how errors call it
        what: what is wrong if it fails, as the sentence goes on after the model's name

    Raises:
        InputError: from the error

    Examples:
        >>> with told_of("mine", "its config.json cannot be used"):
        ...     {}["hidden_size"]
        Traceback (most recent call last):
            ...
        sercue.errors.InputError: model 'mine': its config.json cannot be used \
(KeyError: 'hidden_size')
    """
    try:
        yield
    except (InputError, ServerError, StorageError):
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        kind = type(error).__name__
        raise InputError(f"model {model!r}: {what} ({kind}: {first_line(error)})") from error


_VISION = ("image_processor", "video_processor")


class _Unseeing(dict[str, Any]):
    """Stands where a part for images or videos is left out.

    Processors read these of their parts even where there is nothing to see, and print their parts
    as JSON: hence an empty dictionary.
    """

    model_input_names: tuple[str, ...] = ()
    merge_size = 1


def load_processor(source: str, config: Any, **where: Any) -> Any:
    """The processor of a folder or repository, without vision parts if their library is missing.

    Processors of models that also see import ``torchvision`` as they load. Audio does not need it,
    so parts that cannot be loaded for that reason are left out; the rest is unchanged.

    Args:
        source: a folder, or a hub repository
        config: the model's configuration, which tells the class of its processor
        **where: ``revision`` of a repository

    Raises:
        OSError: and others of transformers, if there is no processor for audio and text
    """
    where["trust_remote_code"] = False
    try:
        processor = transformers.AutoProcessor.from_pretrained(source, **where)
    # A library that is missing shows as any of these, by version and by part.
    except (ImportError, OSError, ValueError):
        if type(config) not in PROCESSOR_MAPPING:
            raise
        processor = _without_vision(PROCESSOR_MAPPING[type(config)], source, where)
    _ = audio_part(processor).sampling_rate, processor.tokenizer
    # Noise that some add to a recording would change the answers from call to call.
    if getattr(audio_part(processor), "dither", None):
        audio_part(processor).dither = 0.0
    # Some repositories keep the template with the tokenizer, where processors do not look.
    if processor.chat_template is None:
        processor.chat_template = getattr(processor.tokenizer, "chat_template", None)
    return processor


def audio_part(processor: Any) -> Any:
    """The part of a processor that takes audio, whichever of two names it goes by."""
    part = getattr(processor, "feature_extractor", None)
    return part if part is not None else processor.audio_processor


def _without_vision(processor_class: Any, source: str, where: dict[str, Any]) -> Any:
    """A processor of that class, but for the parts for images and videos."""

    def check(self: Any, name: str, part: Any) -> Any:
        if isinstance(part, _Unseeing):
            return _Unseeing
        return processor_class.check_argument_for_proper_class(self, name, part)

    own = {"check_argument_for_proper_class": check}
    heard: Any = type(processor_class.__name__, (processor_class,), own)
    parts = []
    for name in heard.get_attributes():
        text = name == "tokenizer"
        part = transformers.AutoTokenizer if text else transformers.AutoFeatureExtractor
        parts.append(_Unseeing() if name in _VISION else part.from_pretrained(source, **where))
    settings, _ = heard.get_processor_dict(source, **where)
    return heard.from_args_and_dict(parts, settings)
