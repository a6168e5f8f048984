"""Audio language models: the ones a study can name, and the interface they share.

Each public name is imported from its module at first use: the modules that compute (``tree``,
``prefix``, ``packed``) need numpy and torch alone, and can be imported where no more is installed.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sercue.models.asked import NoAnswer
    from sercue.models.availability import check_available
    from sercue.models.cards import CARDS, TINY, ModelCard
    from sercue.models.memory import fits_this_device
    from sercue.models.registry import AudioLanguageModel, available_models, load_model
    from sercue.models.windows import Windowed

_HOMES = {
    "sercue.models.asked": ["NoAnswer"],
    "sercue.models.availability": ["check_available"],
    "sercue.models.cards": ["CARDS", "TINY", "ModelCard"],
    "sercue.models.memory": ["fits_this_device"],
    "sercue.models.registry": ["AudioLanguageModel", "available_models", "load_model"],
    "sercue.models.windows": ["Windowed"],
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "CARDS",
    "TINY",
    "AudioLanguageModel",
    "ModelCard",
    "NoAnswer",
    "Windowed",
    "available_models",
    "check_available",
    "fits_this_device",
    "load_model",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'sercue.models' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
