"""Corpora whose files say in their paths what they hold: EmoDB, RAVDESS, CREMA-D, and ``folders``.

The first three are acted, and are read by the names of their files. ``folders`` is any corpus whose
recordings lie in a folder for each emotion.
"""

from __future__ import annotations

import mimetypes
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import audformat
import pandas as pd

from sercue.answers import folded, plain_words
from sercue.corpora.corpus import REQUIRED, Corpus, first_names, speaker_folds, with_ratings
from sercue.corpora.recordings import DECODED_DIRECTLY
from sercue.corpora.rows import (
    PARTITION_NAMES,
    RowsOptions,
    captures,
    corpus_of_rows,
    divided,
    meant_partitions,
    named_partitions,
)
from sercue.errors import InputError


@dataclass(frozen=True)
class NamedFiles:
    r"""A corpus whose file names hold its labels.

    Attributes:
        name: registry name
        title: what publications call it
        pattern: of a whole name without its folder. Its groups ``speaker`` and ``emotion`` are
            codes; a group ``sentence`` tells what is said, a group ``kind`` what the recording is.
        names: the parts of a name and their codes, in words
        layout: how the corpus must lie on disk
        licence: under what terms the recordings may be used
        emotions: the class of each code, in the order in which tables show the classes
        sexes: the sex of each speaker
        counts: utterances of each class in the complete corpus, as published
        folder: that holds the recordings; it may be given itself
        globs: where below it files are looked for
        other: reason and detail to leave out recordings of a kind
        votes: from the folder that holds ``folder`` to how often raters chose each class, by the
            name of the file without its ending; ``None`` where they are not there
    """

    name: str
    title: str
    pattern: re.Pattern[str]
    names: str
    layout: str
    licence: str
    emotions: Mapping[str, str]
    sexes: Mapping[str, str]
    counts: Mapping[str, int]
    folder: str = ""
    globs: tuple[str, ...] = ("*.wav",)
    other: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    votes: Callable[[Path], pd.DataFrame | None] | None = None

    def read(self, root: Path, *, seed: int = 0) -> Corpus:
        """Read the corpus in its own layout, with speaker-disjoint partitions made from the seed.

        Args:
            root: the folder that ``layout`` describes
            seed: of the partition

        Returns:
            corpus with columns ``emotion``, ``speaker``, ``partition``, ``sex``, ``sentence`` (its
            code) and ``fold``, of one speaker each, and ``rated_<label>`` if there are votes

        Raises:
            InputError: if there is no recording of speech, or if a file is not named as the corpus
                names its files
        """
        folder = root / self.folder if (root / self.folder).is_dir() else root
        # The same names of utterances, whichever of the two folders was given.
        prefix = f"{self.folder}/" if folder.name == self.folder else ""
        codes = self._codes(folder)
        codes = codes.set_index(audformat.segmented_index([prefix + name for name in codes.index]))
        codes["emotion"] = codes["emotion"].map(self.emotions)
        codes["sex"] = codes["speaker"].map(self.sexes)
        kind = codes.get("kind", pd.Series("", codes.index))
        other = kind.isin(list(self.other))
        if other.all():
            raise InputError(
                f"corpus_root: none of {len(codes)} files in {root} is a recording of speech; "
                f"expected is {self.layout}"
            )
        speech = codes[~other]
        speech = divided(speech.assign(fold=speaker_folds(speech["speaker"])), seed)
        reasons = [self.other[found] for found in kind[other]]
        left_out = codes.loc[other, ["emotion", "speaker"]].assign(partition=None)
        columns = ["reason", "detail"]
        left_out = left_out.join(pd.DataFrame(reasons, left_out.index, columns, dtype=object))
        present = set(speech["emotion"])
        labels = tuple(label for label in self.emotions.values() if label in present)
        speech = speech[[*REQUIRED, "sex", "sentence", "fold"]]
        votes = self.votes(folder.parent if prefix else folder) if self.votes else None
        if votes is not None:
            stems = [Path(file).stem for file in speech.index.get_level_values("file")]
            own = votes.reindex(stems).set_axis(speech.index).fillna(0)
            speech = with_ratings(speech, own, labels)
        return Corpus(
            self.name,
            folder.parent if prefix else folder,
            speech,
            labels,
            "neutral" if "neutral" in present else None,
            self.licence,
            may_share_audio=True,
            left_out=left_out,
            expected=(pd.Series(self.counts).rename_axis("emotion"),),
            # What is left out is a download of its own, and so not missing where it is not.
            listed=sum(self.counts.values()) + int(other.sum()),
        )

    def _codes(self, folder: Path) -> pd.DataFrame:
        """The codes of each name in a folder, one row per file."""
        # macOS leaves hidden files beside recordings.
        found = [path for glob in self.globs for path in folder.glob(glob) if path.name[0] != "."]
        files = sorted(path.relative_to(folder).as_posix() for path in found)
        if not files:
            raise InputError(f"corpus_root: no WAV file in {folder}; expected is {self.layout}")
        names = [file.rpartition("/")[2] for file in files]
        matches = [self.pattern.fullmatch(name) for name in names]
        bad = [file for file, match in zip(files, matches, strict=True) if match is None]
        if bad:
            raise InputError(
                f"corpus_root: {len(bad)} of {len(files)} files in {folder} are not named as "
                f"{self.title} names them: {first_names(bad)}. Valid is {self.names}"
            )
        alike = pd.Series(list(map(folded, names)), index=files).sort_values(kind="stable")
        twice = alike.index[alike.duplicated(keep=False)]
        if len(twice):
            raise InputError(
                f"corpus_root: {len(twice)} files in {folder} share their name with another: "
                f"{first_names(twice)}. Valid is one file per recording"
            )
        return pd.DataFrame([match.groupdict() for match in matches if match], index=files)


# Position 6 of a file name: the first letter of the German word for the emotion.
_EMODB_EMOTIONS = {
    "W": "anger", "L": "boredom", "E": "disgust", "A": "fear", "F": "happiness", "T": "sadness",
    "N": "neutral",
}  # fmt: skip
_EMODB_SEXES = {
    "03": "male", "08": "female", "09": "female", "10": "male", "11": "male",
    "12": "male", "13": "female", "14": "female", "15": "male", "16": "female",
}  # fmt: skip
#: Burkhardt, Paeschke, Rolfes, Sendlmeier, Weiss: A Database of German Emotional Speech.
#: Interspeech 2005, 1517-1520.
EMODB = NamedFiles(
    "emodb",
    "EmoDB",
    re.compile(
        rf"(?P<speaker>{'|'.join(_EMODB_SEXES)})(?P<sentence>[ab]\d\d)"
        rf"(?P<emotion>[{''.join(_EMODB_EMOTIONS)}])[a-z]?\.wav"
    ),
    f"SSTTTEV.wav: speaker ({' '.join(_EMODB_SEXES)}), text (a01 ... b10), emotion "
    f"({' '.join(_EMODB_EMOTIONS)}), version (a letter, or nothing)",
    "a folder with wav/SSTTTEV.wav, for instance wav/03a01Fa.wav, or that wav folder itself",
    "CC0-1.0",
    _EMODB_EMOTIONS,
    _EMODB_SEXES,
    {
        "anger": 127, "boredom": 81, "disgust": 46, "fear": 69, "happiness": 71, "neutral": 79,
        "sadness": 62,
    },
    folder="wav",
)  # fmt: skip

_RAVDESS_EMOTIONS = {
    "01": "neutral", "02": "calm", "03": "happy", "04": "sad", "05": "angry", "06": "fearful",
    "07": "disgust", "08": "surprised",
}  # fmt: skip
#: The speech of Livingstone, Russo: The Ryerson Audio-Visual Database of Emotional Speech and Song
#: (RAVDESS). PLoS ONE 13(5), 2018: e0196391. doi:10.1371/journal.pone.0196391
RAVDESS = NamedFiles(
    "ravdess",
    "RAVDESS",
    re.compile(
        rf"(?P<kind>0[1-3]-0[12])-(?P<emotion>{'|'.join(_RAVDESS_EMOTIONS)})"
        r"-0[12]-(?P<sentence>0[12])-0[12]-(?P<speaker>0[1-9]|1\d|2[0-4])\.(?:wav|mp4)"
    ),
    "MM-VV-EE-II-SS-RR-AA.wav: modality (03 is sound alone), vocal channel (01 speech, 02 song), "
    "emotion (01 ... 08), intensity (01 02), statement (01 02), repetition (01 02), "
    "actor (01 ... 24)",
    "a folder with Actor_01/03-01-06-01-02-01-01.wav and so on to Actor_24, "
    "or with these files themselves",
    "CC BY-NC-SA 4.0: may be shared for non-commercial purposes, with attribution (Livingstone and "
    "Russo 2018) and under the same licence",
    _RAVDESS_EMOTIONS,
    # Actors with an odd number are men, those with an even one women.
    {f"{actor:02}": ("female", "male")[actor % 2] for actor in range(1, 25)},
    # Of each of 24 actors: two statements, twice, at two intensities; neutral speech has one.
    {name: 24 * 2 * 2 * (1 if name == "neutral" else 2) for name in _RAVDESS_EMOTIONS.values()},
    globs=("*.wav", "*.mp4", "Actor_*/*.wav", "Actor_*/*.mp4"),
    other={"03-02": ("song, not speech", "")}
    | dict.fromkeys(("01-01", "01-02"), ("video", "picture and sound"))
    | dict.fromkeys(("02-01", "02-02"), ("video", "picture alone")),
)

_CREMA_D_EMOTIONS = {
    "ANG": "anger", "DIS": "disgust", "FEA": "fear", "HAP": "happy", "NEU": "neutral", "SAD": "sad",
}  # fmt: skip
_SENTENCES = ("IEO", "TIE", "IOM", "IWW", "TAI", "MTI", "IWL", "ITH", "DFA", "ITS", "TSI", "WSI")
# Of the 91 actors the women, by VideoDemographics.csv of the corpus; the others are men.
_WOMEN = (
    1002, 1003, 1004, 1006, 1007, 1008, 1009, 1010, 1012, 1013, 1018, 1020, 1021, 1024, 1025,
    1028, 1029, 1030, 1037, 1043, 1046, 1047, 1049, 1052, 1053, 1054, 1055, 1056, 1058, 1060,
    1061, 1063, 1072, 1073, 1074, 1075, 1076, 1078, 1079, 1082, 1084, 1089, 1091,
)  # fmt: skip


def _crema_d_votes(folder: Path) -> pd.DataFrame | None:
    """What listeners who only heard the voice chose, of ``processedResults/tabulatedVotes.csv``.

    Its rows are numbered from 100001 on for the voice alone, from 200001 for the face alone, and
    from 300001 for both.
    """
    path = folder / "processedResults" / "tabulatedVotes.csv"
    if not path.is_file():
        return None
    names = dict(zip("ADFHNS", _CREMA_D_EMOTIONS.values(), strict=True))
    try:
        table = pd.read_csv(path, index_col=0)
        rows = table[(table.index.astype(int) // 100_000 == 1)].set_index("fileName")[list(names)]
        votes = rows.astype(float).rename(columns=names)
    except (KeyError, ValueError, OSError) as error:
        raise InputError(
            f"corpus_root: {path} cannot be read ({error}); valid are numbered rows with the "
            f"columns {', '.join(names)} and fileName"
        ) from None
    return votes[~votes.index.duplicated()]


#: The label is the emotion that the actor was asked for, not what raters heard. Cao, Cooper,
#: Keutmann, Gur, Nenkova, Verma: CREMA-D: Crowd-sourced Emotional Multimodal Actors Dataset. IEEE
#: Transactions on Affective Computing 5(4), 2014, 377-390. doi:10.1109/TAFFC.2014.2336244
CREMA_D = NamedFiles(
    "crema_d",
    "CREMA-D",
    re.compile(
        rf"(?P<speaker>10(?:0[1-9]|[1-8]\d|9[01]))_(?P<sentence>{'|'.join(_SENTENCES)})"
        # One name of the published corpus, 1040_ITH_SAD_X.wav, has one X.
        rf"_(?P<emotion>{'|'.join(_CREMA_D_EMOTIONS)})_(?:XX?|LO|MD|HI)\.wav"
    ),
    f"AAAA_SSS_EEE_LL.wav: actor (1001 ... 1091), sentence ({' '.join(_SENTENCES)}), emotion "
    f"({' '.join(_CREMA_D_EMOTIONS)}), level (LO MD HI XX)",
    "a folder with AudioWAV/1001_DFA_ANG_XX.wav and so on, or that AudioWAV folder itself",
    "Open Database License (ODbL) 1.0, its contents under the Database Contents License (DbCL) "
    "1.0: may be shared, with attribution (Cao et al. 2014)",
    _CREMA_D_EMOTIONS,
    {str(actor): "female" if actor in _WOMEN else "male" for actor in range(1001, 1092)},
    {name: 1087 if name == "neutral" else 1271 for name in _CREMA_D_EMOTIONS.values()},
    folder="AudioWAV",
    votes=_crema_d_votes,
)


FOLDERS_LAYOUT = (
    "a folder with <emotion>/<file> or train/<emotion>/<file>, dev/..., test/...; the option "
    "speaker is a regular expression that finds the speaker in that path"
)
_GROUPS = ("speaker", "emotion", "sex", "partition", "sentence", "fold")


class FoldersOptions(RowsOptions):
    r"""What a study says of a tree of recordings.

    Attributes:
        speaker: a regular expression that is found in each path below the root (with ``/``
            between folders). Its one group is the speaker: ``^[^/]+/(\d\d)`` finds 03 in
            ``happy/03a01Fa.wav``. Where more is told by the path, groups have names: ``speaker``
            and any of ``emotion`` (then the folders say nothing by themselves), ``sex``,
            ``partition``, ``sentence`` (what is said) and ``fold``.
    """

    speaker: str | None = None


def read_folders(root: Path, options: FoldersOptions, *, seed: int = 0) -> Corpus:
    """Read a tree of recordings with a folder for each emotion.

    Read are wav, flac, mp3, ogg, opus and aiff, at any depth below the folder of the emotion;
    hidden files are not. If the top folders are called train, dev (or val, valid, validation) and
    test, the emotions lie below them and these are the partitions.

    Args:
        root: the folder of the tree
        options: what the study says of it
        seed: of the speaker-disjoint partition that is made if the tree has none

    Returns:
        corpus whose labels are the names of the folders. Recordings above them, and those in
        other formats, are left out.

    Raises:
        InputError: if there is no recording, if the pattern is not valid or does not match a
            path, or if only some top folders are partitions
    """
    if not root.is_dir():
        raise InputError(f"corpus_root: {root} is no folder; expected is {FOLDERS_LAYOUT}")
    listed = sorted(_recordings(root))
    files = [file for file in listed if _is_read(file)]
    if not files:
        formats = ", ".join(DECODED_DIRECTLY)
        raise InputError(
            f"corpus_root: no recording ({formats}) below {root}; expected is {FOLDERS_LAYOUT}"
        )
    rows = captures(files, options.speaker, "speaker", _GROUPS)
    if "partition" in rows:
        rows["partition"] = meant_partitions(rows["partition"], "speaker: its group partition")
    if "emotion" not in rows:
        rows = rows.combine_first(pd.DataFrame(_folders(files, root), dtype=object))
    rows = rows.set_index(audformat.segmented_index(files))
    others = [file for file in listed if not _is_read(file)]
    unread = pd.DataFrame({"detail": [PurePosixPath(file).suffix for file in others]}, dtype=object)
    unread = unread.assign(reason="format not read").set_index(audformat.segmented_index(others))
    rows = pd.concat([rows, unread])
    return corpus_of_rows("folders", root, rows, options, seed=seed)


def _recordings(root: Path) -> Iterator[str]:
    """The paths below the root of what its name calls audio, links followed."""

    def refuse(error: OSError) -> None:
        raise InputError(f"corpus_root: {error.filename} cannot be read ({error.strerror})")

    for folder, folders, files in os.walk(root, onerror=refuse, followlinks=True):
        here = Path(folder)
        # A folder that is called as a recording is listed as one, so that it is found not to be.
        names = files + [name for name in folders if _is_read(name)]
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".")
            and not _is_read(name)
            # A link to a folder above would lead round in circles.
            and not (
                (here / name).is_symlink()
                and here.resolve().is_relative_to((here / name).resolve())
            )
        ]
        for name in names:
            audio = (mimetypes.guess_type(name)[0] or "").startswith("audio/")
            if not name.startswith(".") and (_is_read(name) or audio):
                yield (here / name).relative_to(root).as_posix()


def _is_read(name: str) -> bool:
    return name.lower().endswith(DECODED_DIRECTLY)


def _folders(files: list[str], root: Path) -> dict[str, list[str | None]]:
    """The emotion, and the partition where the top folders are partitions."""
    folders = [PurePosixPath(file).parts[:-1] for file in files]
    tops = sorted({parts[0] for parts in folders if parts})
    others = [top for top in tops if plain_words(top) not in PARTITION_NAMES]
    if others and len(others) < len(tops):
        raise InputError(
            f"corpus_root: of the folders in {root} some are partitions "
            f"({', '.join(top for top in tops if top not in others)}) and some are not "
            f"({', '.join(others[:5])}); valid are emotions alone or partitions alone"
        )
    level = 0 if others else 1
    told = {"emotion": [parts[level] if len(parts) > level else None for parts in folders]}
    meant = named_partitions(tops) if level else None
    if meant:
        told["partition"] = [meant[parts[0]] if parts else None for parts in folders]
    return told
