"""The processor of a checkpoint: what turns audio and chat into the model's inputs."""

from __future__ import annotations

from typing import Any

import transformers
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING

_VISION = ("image_processor", "video_processor")


class _Unseeing(dict[str, Any]):
    """Stands where a part for images or videos is left out.

    Processors read these of their parts even where there is nothing to see, and print their parts
    as JSON: hence an empty dictionary.
    """

    model_input_names: tuple[str, ...] = ()
    merge_size = 1


def load_processor(source: str, config: Any, **where: Any) -> Any:
    """The processor of a folder or repository, without its eyes if their library is missing.

    Processors of models that also see take in ``torchvision`` as they load. Sound needs none of
    it, so what cannot be loaded for that reason is left out, and the rest is as it would be.

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
    heard = _hearing(processor_class)
    parts = [
        _Unseeing() if name in _VISION else _part(name).from_pretrained(source, **where)
        for name in heard.get_attributes()
    ]
    settings, _ = heard.get_processor_dict(source, **where)
    return heard.from_args_and_dict(parts, settings)


def _part(name: str) -> Any:
    return transformers.AutoTokenizer if name == "tokenizer" else transformers.AutoFeatureExtractor


def _hearing(processor_class: Any) -> Any:
    """The same class of processor, but one that may lack the parts for images and videos."""

    def check(self: Any, name: str, part: Any) -> Any:
        if isinstance(part, _Unseeing):
            return _Unseeing
        return processor_class.check_argument_for_proper_class(self, name, part)

    return type(
        processor_class.__name__, (processor_class,), {"check_argument_for_proper_class": check}
    )
