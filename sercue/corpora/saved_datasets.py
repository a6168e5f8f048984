"""The corpus ``datasets``: what the ``datasets`` library of Hugging Face saves or loads."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import audformat
import pandas as pd
import soundfile

from sercue.answers import folded
from sercue.corpora.corpus import Corpus
from sercue.corpora.recordings import DECODED_DIRECTLY, SUFFIXES
from sercue.corpora.rows import (
    RowsOptions,
    assigned_partitions,
    captured_speakers,
    corpus_of_rows,
    listed_names,
    named_partitions,
    reading,
    relative_files,
)
from sercue.corpora.table import segment_bounds
from sercue.errors import InputError, shortened, unknown
from sercue.storage.files import cache_folder, folder_written_aside

if TYPE_CHECKING:
    from datasets import Dataset, DatasetBuilder, DatasetDict, Features

# The longest name of a file that common file systems take, less room for a number.
_LONGEST = 200

#: The recordings of each split, in the order of its rows: each ``bytes`` and ``path``, or nothing.
Recordings = Mapping[str, Iterable[Mapping[str, Any] | None]]


def written_files(recordings: Recordings, shared: bool) -> list[str | None]:
    """Where the recording of each row lies, after those inside the dataset have been written.

    Args:
        recordings: iterated twice if anything has to be written
        shared: whether rows with the same recording have the same file, as segments do

    Returns:
        a path a row, split by split; ``None`` for a row without a recording
    """
    rows = _described(recordings)
    files = rows["path"].copy()
    inside = rows[rows["digest"].notna()]
    if len(inside):
        names = _names(inside, shared)
        folder = cache_folder() / "datasets" / _key(names, inside["digest"])
        if not folder.is_dir():
            _write(folder, recordings, dict(zip(inside.index, names, strict=True)))
        files[inside.index] = [str(folder / name) for name in names]
    return [file or None for file in files]


def recorded_name(recording: Mapping[str, Any] | None) -> str | None:
    r"""The name of the file that a recording was made from, without its folders.

    Examples:
        >>> recorded_name({"bytes": None, "path": "wav\\03a01Fa.wav"})
        '03a01Fa.wav'
    """
    path = (recording or {}).get("path") or ""
    return PurePosixPath(path.replace("\\", "/")).name or None


def _described(recordings: Recordings) -> pd.DataFrame:
    """Of each row its split and number, path, content, and the name that a file of it might have.

    A name that begins with a point is a suffix alone.
    """
    described = [
        (split, number, *_description(recording))
        for split, listed in recordings.items()
        for number, recording in enumerate(listed)
    ]
    columns = ["split", "number", "path", "digest", "name"]
    return pd.DataFrame(described, columns=columns, dtype=object)


def _description(
    recording: Mapping[str, Any] | None,
) -> tuple[str | None, str | None, str | None]:
    path, content = (recording or {}).get("path"), (recording or {}).get("bytes")
    if content is None:
        return path, None, None
    if not content:
        return None, None, None
    name = recorded_name(recording) or ""
    # What a dataset says becomes the name of a file here: nothing hidden, nothing that leads away.
    if name.startswith(".") or not name.isprintable():
        name = ""
    return path, hashlib.sha256(content).hexdigest(), name[-_LONGEST:] + _suffix(name, content)


def _suffix(name: str, content: bytes) -> str:
    """What a name lacks to tell the format."""
    if name.lower().endswith(DECODED_DIRECTLY):
        return ""
    try:
        found = soundfile.info(io.BytesIO(content)).format
    # What is not known is left for the reader of recordings to refuse.
    except Exception:
        found = ""
    return SUFFIXES.get(found, "" if PurePosixPath(name).suffix else ".wav")


def _names(rows: pd.DataFrame, shared: bool) -> pd.Series:
    """A file for each row, below the folder of the dataset, of the same name on every call."""
    first = rows.groupby(["split", "digest" if shared else "number"], sort=False).head(1)
    alike = first["split"] + "/" + first["name"].map(folded)
    bare = first["name"].str.startswith(".")
    numbers = first["number"].map("{:06}".format) + bare.map({True: "", False: "-"})
    numbered = bare | alike.duplicated(keep=False)
    names = first["split"] + "/" + numbers.where(numbered, "") + first["name"]
    if not shared:
        return names
    at = names.groupby([first["split"], first["digest"]]).first()
    keys = pd.MultiIndex.from_frame(rows[["split", "digest"]])
    return pd.Series(at.reindex(keys).to_numpy(), index=rows.index)


def _key(names: pd.Series, digests: pd.Series) -> str:
    """What identifies the folder: the names and contents of all files in it."""
    lines = sorted({f"{digest} {name}" for name, digest in zip(names, digests, strict=True)})
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _write(folder: Path, recordings: Recordings, names: Mapping[int, str]) -> None:
    """All files or none: written aside and renamed.

    Args:
        folder: where the files are in the end
        recordings: those of all rows
        names: of the files, by the number of the row among all
    """
    rows = (recording for listed in recordings.values() for recording in listed)
    with folder_written_aside(folder) as aside:
        for number, recording in enumerate(rows):
            if number in names and recording:
                file = aside / names[number]
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(recording["bytes"])


LICENCE = "that of the dataset, from its card"
LAYOUT = (
    "a folder that the datasets library saved (save_to_disk) or can load (Parquet files, say), or "
    "the name of a repository on the Hugging Face hub"
)
#: The options that have another name than the column of a corpus.
_OPTIONS = {"emotion": "label"}
Splits = str | Sequence[str] | Mapping[str, str | Sequence[str]]


class DatasetsOptions(RowsOptions):
    r"""Where in a dataset the reader finds what it needs.

    Attributes:
        audio: the column of the recordings: an audio feature, encoded bytes, or paths
        label: the column of the emotions; of a class label its names count
        speaker: the column of the speakers; that of the recordings stands for their file names
        speaker_pattern: a regular expression that finds the speaker in what ``speaker`` says, if
            that is more than the speaker, by its one group: ``^(\d\d)`` in ``03a01Fa.wav``
        sex: the column of the sex, used if known of everyone
        fold: the column of the folds, of a corpus to be cross-validated
        start: the column of the beginning of a segment, in seconds
        end: the column of its end, in seconds
        splits: the splits to read, or a mapping from train, dev and test to splits. By default
            all. Splits called train, dev (or val, valid, validation) and test are the partitions
            if there is one to train and one to test.
        config: the configuration of the repository
        revision: the commit, tag or branch of the repository
    """

    audio: str = "audio"
    label: str = "label"
    speaker: str = "speaker"
    speaker_pattern: str | None = None
    sex: str | None = None
    fold: str | None = None
    start: str | None = None
    end: str | None = None
    splits: Splits | None = None
    config: str | None = None
    revision: str | None = None


def read_datasets(root: Path, options: DatasetsOptions, *, seed: int = 0) -> Corpus:
    """Read a dataset of Hugging Face's library ``datasets``.

    Recordings inside the dataset are written once, byte by byte as they are, to ``datasets`` in
    the cache; those that the dataset only refers to stay where they are. Nothing is decoded, so
    neither torchcodec nor ffmpeg is needed, and no code of a repository is run.

    Args:
        root: a folder that was saved with ``save_to_disk``; a folder that ``load_dataset`` can
            load; or the name of a repository, such as ``owner/name``
        options: where in it the reader finds what it needs
        seed: of the speaker-disjoint partition that is made if the dataset has none

    Returns:
        corpus whose files are named as in the dataset, numbered where it has two of a name or
        none; rows without recording, label or speaker are left out

    Raises:
        InputError: if the library is not installed, if the dataset cannot be loaded, or if a
            column or split is not in it
    """
    audio = options.audio
    parts, partitions = _parts(_loaded(root, options.config, options.revision), options.splits)
    columns = ("emotion", "speaker", "sex", "fold", "start", "end")
    named = {column: getattr(options, _OPTIONS.get(column, column)) for column in columns}
    wanted = {column: name for column, name in named.items() if name is not None}
    # Its rows are read from the disk only now.
    with reading(repr(str(root)), LAYOUT):
        recordings = {name: _encoded(part, audio) for name, part in parts.items()}
        rows = pd.concat(
            [_rows(part, recordings[name], audio, wanted, name) for name, part in parts.items()],
            ignore_index=True,
        )
        if partitions:
            rows["partition"] = rows["split"].map(partitions)
        if options.speaker_pattern is not None:
            rows["speaker"] = captured_speakers(rows["speaker"], options.speaker_pattern)
        segmented = options.start is not None or options.end is not None
        base, rows = _placed(rows, written_files(recordings, segmented), root)
    stated = next(iter(parts.values())).info.license
    return corpus_of_rows("datasets", base, rows, options, seed=seed, licence=stated)


def _loaded(root: Path, config: str | None, revision: str | None) -> Dataset | DatasetDict:
    try:
        import datasets
    except ImportError:
        raise InputError(
            "corpus 'datasets': the library datasets is not installed; `pip install datasets` "
            "installs it"
        ) from None
    with reading(repr(str(root)), LAYOUT):
        if any((root / name).is_file() for name in ("dataset_dict.json", "state.json")):
            _refuse_options(root, config=config, revision=revision)
            return datasets.load_from_disk(str(root))
        if root.exists():
            _refuse_options(root, revision=revision)
        builder = _builder(root.as_posix(), name=config, revision=revision)
        builder.download_and_prepare()
        return builder.as_dataset()


def _refuse_options(root: Path, **options: str | None) -> None:
    """Options that would be passed over, since they are of repositories alone."""
    for name, value in options.items():
        if value is not None:
            raise InputError(
                f"{name}: found {shortened(value)}, but {root} is a folder; valid is to leave it "
                "out, or the name of a repository as corpus_root"
            )


def _builder(path: str, **options: str | None) -> DatasetBuilder:
    """What ``datasets.load_dataset`` reads with, but for what it would lose or cannot do."""
    from datasets import Audio, load_dataset_builder
    from datasets.packaged_modules.audiofolder.audiofolder import AudioFolder
    from datasets.packaged_modules.csv.csv import Csv

    class Named(Audio):
        """A recording by its path, for which the library itself wants torchcodec."""

        def encode_example(self, value: str) -> dict[str, str | None]:
            return {"bytes": None, "path": value}

    load = partial(
        load_dataset_builder, path, cache_dir=str(cache_folder() / "datasets" / "arrow"), **options
    )
    builder = load()
    files = [file for listed in builder.config.data_files.values() for file in listed]
    if isinstance(builder, Csv):
        written: dict[str, Any] = builder.config.pd_read_csv_kwargs
        columns = pd.read_csv(files[0], **(written | {"nrows": 0, "chunksize": None})).columns
        return load(features=_all_text(columns), keep_default_na=False, na_values=[""])
    if isinstance(builder, AudioFolder):
        listing = [file for file in files if PurePosixPath(file).name == "metadata.csv"]
        if listing:
            features = _all_text(pd.read_csv(listing[0], nrows=0).columns)
            features["audio"] = Audio()
            builder = load(features=features)
            builder.info.features["audio"] = Named()
        builder.BASE_FEATURE = Named
    return builder


def _all_text(columns: Iterable[str]) -> Features:
    """Columns as the corpus ``table`` reads them: as text, so that 03 and 3 are two speakers."""
    from datasets import Features, Value

    return Features({name: Value("large_string") for name in columns if name != "file_name"})


def _parts(
    loaded: Dataset | DatasetDict, splits: Splits | None
) -> tuple[dict[str, Dataset], dict[str, str] | None]:
    """The splits to read, and the partition that each is, if they are."""
    parts = dict(loaded) if isinstance(loaded, dict) else {str(loaded.split or "all"): loaded}
    # It becomes a folder.
    odd = [name for name in parts if not re.fullmatch(r"\w[\w.-]*", name)]
    if odd:
        raise InputError(f"corpus_root: found the split {odd[0]!r}; valid are letters and digits")
    partitions = assigned_partitions(splits, "splits") if isinstance(splits, Mapping) else None
    chosen = list(partitions or listed_names(splits or parts))
    for name in chosen:
        if name not in parts:
            raise unknown("split", name, parts)
    return {name: parts[name] for name in chosen}, partitions or named_partitions(chosen)


def _encoded(part: Dataset, audio: str) -> Sequence[Mapping[str, Any] | None]:
    """The recordings of a split, not decoded: ``bytes`` and ``path`` each, read when asked for."""
    from datasets import Audio, Value

    if audio not in part.column_names:
        raise unknown("column in audio", audio, part.column_names)
    column = part.select_columns([audio])
    try:
        if column.features[audio] == Value("large_string"):
            column = column.cast_column(audio, Value("string"))
        return column.cast_column(audio, Audio(decode=False))[audio]
    except Exception as error:
        raise InputError(
            f"audio: column {audio!r} holds {part.features[audio]}; valid are an audio feature, "
            "encoded bytes, or paths"
        ) from error


def _rows(
    part: Dataset,
    recordings: Sequence[Mapping[str, Any] | None],
    audio: str,
    wanted: Mapping[str, str],
    split: str,
) -> pd.DataFrame:
    """The wanted columns of a split."""
    rows = pd.DataFrame({"split": [split] * len(part), "number": range(len(part))}, dtype=object)
    for key, name in wanted.items():
        if name == audio:
            rows[key] = [recorded_name(recording) for recording in recordings]
        elif key in ("start", "end"):
            rows[key] = pd.Series(_cells(part, name, key), dtype=object)
        else:
            rows[key] = pd.Series(_labels(part, name, key), dtype=object)
    return rows


def _cells(part: Dataset, name: str, option: str) -> list[Any]:
    if name not in part.column_names:
        raise unknown(f"column in {_OPTIONS.get(option, option)}", name, part.column_names)
    return list(part.select_columns([name])[name])


def _labels(part: Dataset, name: str, option: str) -> list[str | None]:
    """A column as text: the names of class labels, and nothing for what is missing."""
    from datasets import ClassLabel, Value

    cells = _cells(part, name, option)
    feature = part.features[name]
    if isinstance(feature, ClassLabel):
        # -1 stands for no label in datasets whose test labels are not published.
        return [None if cell is None or cell < 0 else feature.int2str(cell) for cell in cells]
    if not isinstance(feature, Value) or "float" in feature.dtype:
        raise InputError(
            f"{_OPTIONS.get(option, option)}: column {name!r} holds {feature}; valid are class "
            "labels, text or whole numbers"
        )
    return [None if cell is None else str(cell).strip() or None for cell in cells]


def _placed(
    rows: pd.DataFrame, files: Sequence[str | None], root: Path
) -> tuple[Path, pd.DataFrame]:
    """The folder of all files, and the rows by file, start and end."""
    numbers = rows["split"] + "/" + rows["number"].map("{:06}".format)
    there = pd.Series([file is not None for file in files], index=rows.index)
    base, names = relative_files([file for file in files if file is not None], root)
    placed = numbers.where(~there, pd.Series(names, index=rows.index[there], dtype=object))
    starts, ends = segment_bounds(rows, root)
    rows["reason"] = there.map({True: None, False: "no recording"})
    rows["detail"] = ("row " + numbers).where(rows["reason"].notna(), "")
    return base, rows.set_index(audformat.segmented_index(placed, starts, ends))
