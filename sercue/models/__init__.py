"""Audio language models: the ones a study can name, and the interface they share."""

from sercue.models.registry import (
    CARDS,
    TINY,
    AudioLanguageModel,
    ModelCard,
    available_models,
    load_model,
)

__all__ = ["CARDS", "TINY", "AudioLanguageModel", "ModelCard", "available_models", "load_model"]
