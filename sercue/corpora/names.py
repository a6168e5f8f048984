"""Corpora that keep their labels in the names of their files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from sercue.answers import folded
from sercue.errors import InputError


@dataclass(frozen=True)
class NameScheme:
    r"""How a corpus names its files.

    Attributes:
        corpus: what the corpus is called
        pattern: of a whole name without its folder; its named groups are the codes
        valid: the parts of a name and their codes, in words
        layout: how the corpus must lie on disk

    Examples:
        >>> pattern = re.compile(r"(?P<speaker>\d\d)(?P<emotion>[WN])\.wav")
        >>> scheme = NameScheme("Toy", pattern, "SSE.wav", "a folder of SSE.wav")
        >>> scheme.codes(Path("toy"), ["wav/03W.wav", "wav/08N.wav"])
                    speaker emotion
        wav/03W.wav      03       W
        wav/08N.wav      08       N
    """

    corpus: str
    pattern: re.Pattern[str]
    valid: str
    layout: str

    def codes(self, folder: Path, files: list[str]) -> pd.DataFrame:
        """The codes of each name.

        Args:
            folder: where the files lie, for the messages
            files: their names, with or without folders

        Returns:
            one row a file, indexed by ``files``, one column a named group of the pattern

        Raises:
            InputError: if there is no file, if a name is not of this scheme, or if a name is there
                twice; the first five are listed
        """
        if not files:
            raise InputError(f"corpus_root: no WAV file in {folder}; expected is {self.layout}")
        matches = [self.pattern.fullmatch(_name(file)) for file in files]
        bad = [file for file, match in zip(files, matches, strict=True) if match is None]
        if bad:
            raise InputError(
                f"corpus_root: {len(bad)} of {len(files)} files in {folder} are not named as "
                f"{self.corpus} names them: {_listed(bad)}. Valid is {self.valid}"
            )
        names = pd.Series([folded(_name(file)) for file in files], index=files)
        twice = names[names.duplicated(keep=False)].sort_values(kind="stable").index.tolist()
        if twice:
            raise InputError(
                f"corpus_root: {len(twice)} files in {folder} share their name with another: "
                f"{_listed(twice)}. Valid is one file a recording"
            )
        return pd.DataFrame([match.groupdict() for match in matches if match], index=files)


def visible_names(folder: Path, pattern: str = "*.wav") -> list[str]:
    """The names below a folder that a pattern finds, in order; hidden files are no recordings.

    Args:
        folder: where to look
        pattern: as ``Path.glob`` takes it

    Returns:
        names relative to ``folder`` in posix form; macOS leaves ``._`` files beside recordings,
        which are left out
    """
    found = (path for path in folder.glob(pattern) if not path.name.startswith("."))
    return sorted(path.relative_to(folder).as_posix() for path in found)


def _name(file: str) -> str:
    return file.rpartition("/")[2]


def _listed(files: list[str]) -> str:
    return f"{', '.join(files[:5])}{', ...' if len(files) > 5 else ''}"
