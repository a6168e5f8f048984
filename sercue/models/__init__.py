"""Audio language models: the ones a study can name, and the interface they share.

Each public name is imported from its module at first use: the modules that compute (``prefix``,
``packed``) need numpy, torch and transformers alone, and can be imported where no more is
installed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from sercue.models.availability import check_available, fits_this_device
    from sercue.models.cards import CARDS, TINY, ModelCard, NoAnswer
    from sercue.models.registry import AudioLanguageModel, available_models, load_model
    from sercue.models.windows import Windowed

__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "availability": ["check_available", "fits_this_device"],
        "cards": ["CARDS", "TINY", "ModelCard", "NoAnswer"],
        "registry": ["AudioLanguageModel", "available_models", "load_model"],
        "windows": ["Windowed"],
    },
)

__all__ = [
    "CARDS", "TINY", "AudioLanguageModel", "ModelCard", "NoAnswer", "Windowed", "available_models",
    "check_available", "fits_this_device", "load_model",
]  # fmt: skip
