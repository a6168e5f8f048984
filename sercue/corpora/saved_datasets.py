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
    segment_bounds,
)
from sercue.errors import InputError, refuse_unknown, shortened
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
        one path per row, split by split; ``None`` for a row without a recording
    """
    described = []
    for split, listed in recordings.items():
        for number, recording in enumerate(listed):
            path, content = (recording or {}).get("path"), (recording or {}).get("bytes")
            digest = hashlib.sha256(content).hexdigest() if content else None
            name = _file_name(recorded_name(recording), content) if content else None
            # Bytes that are none are no recording, whatever the path says.
            described.append((split, number, None if content == b"" else path, digest, name))
    columns = ["split", "number", "path", "digest", "name"]
    rows = pd.DataFrame(described, columns=columns, dtype=object)
    files = rows["path"].copy()
    inside = rows[rows["digest"].notna()]
    if len(inside):
        names = _names(inside, shared)
        # The folder is identified by the names and contents of all files in it.
        lines = sorted({f"{d} {n}" for n, d in zip(names, inside["digest"], strict=True)})
        key = hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
        folder = cache_folder() / "datasets" / key
        if not folder.is_dir():
            with folder_written_aside(folder) as aside:
                every = (recording for listed in recordings.values() for recording in listed)
                for number, recording in enumerate(every):
                    if number in names and recording:
                        file = aside / names[number]
                        file.parent.mkdir(parents=True, exist_ok=True)
                        file.write_bytes(recording["bytes"])
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


def _file_name(name: str | None, content: bytes) -> str:
    """The name that a file of a recording might have: a suffix alone if its own is of no use.

    What a dataset says becomes the name of a file here: nothing hidden, nothing that leads away.
    """
    name = name if name and not name.startswith(".") and name.isprintable() else ""
    if name.lower().endswith(DECODED_DIRECTLY):
        return name[-_LONGEST:]
    try:
        found = soundfile.info(io.BytesIO(content)).format
    # What is not known is left for the reader of recordings to refuse.
    except Exception:
        found = ""
    return name[-_LONGEST:] + SUFFIXES.get(found, "" if PurePosixPath(name).suffix else ".wav")


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


LICENCE = "that of the dataset, from its card"
LAYOUT = (
    "a folder that the datasets library saved (save_to_disk) or can load (Parquet files, say), or "
    "the name of a repository on the Hugging Face hub"
)
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
        sentence: the column of what is said: its text, or the name of it
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
    sentence: str | None = None
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
    loaded, splits = _loaded(root, options.config, options.revision), options.splits
    whole = dict(loaded) if isinstance(loaded, dict) else {str(loaded.split or "all"): loaded}
    # It becomes a folder.
    odd = [name for name in whole if not re.fullmatch(r"\w[\w.-]*", name)]
    if odd:
        raise InputError(f"corpus_root: found the split {odd[0]!r}; valid are letters and digits")
    partitions = assigned_partitions(splits, "splits") if isinstance(splits, Mapping) else None
    chosen = list(partitions or listed_names(splits or whole))
    refuse_unknown("split", chosen, whole)
    parts = {name: whole[name] for name in chosen}
    partitions = partitions or named_partitions(chosen)
    # Its rows are read from the disk only now.
    with reading(repr(str(root)), LAYOUT):
        recordings = {name: _encoded(part, options.audio) for name, part in parts.items()}
        tables = [_rows(part, recordings[name], options, name) for name, part in parts.items()]
        rows = pd.concat(tables, ignore_index=True)
        if partitions:
            rows["partition"] = rows["split"].map(partitions)
        rows["speaker"] = captured_speakers(rows["speaker"], options.speaker_pattern)
        segmented = options.start is not None or options.end is not None
        files = written_files(recordings, segmented)
        numbers = rows["split"] + "/" + rows["number"].map("{:06}".format)
        there = pd.Series([file is not None for file in files], index=rows.index)
        base, names = relative_files([file for file in files if file is not None], root)
        placed = numbers.where(~there, pd.Series(names, index=rows.index[there], dtype=object))
        starts, ends = segment_bounds(rows, root)
        rows["reason"] = there.map({True: None, False: "no recording"})
        rows["detail"] = ("row " + numbers).where(~there, "")
        rows = rows.set_index(audformat.segmented_index(placed, starts, ends))
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
        saved = any((root / name).is_file() for name in ("dataset_dict.json", "state.json"))
        # They would be passed over.
        for name, value in (("config", config if saved else None), ("revision", revision)):
            if value is not None and root.exists():
                raise InputError(
                    f"{name}: found {shortened(value)}, but {root} is a folder; valid is to leave "
                    "it out, or the name of a repository as corpus_root"
                )
        if saved:
            return datasets.load_from_disk(str(root))
        builder = _builder(root.as_posix(), name=config, revision=revision)
        builder.download_and_prepare()
        return builder.as_dataset()


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


def _encoded(part: Dataset, audio: str) -> Sequence[Mapping[str, Any] | None]:
    """The recordings of a split, not decoded: ``bytes`` and ``path`` each, read when asked for."""
    from datasets import Audio, Value

    refuse_unknown("column in audio", [audio], part.column_names)
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
    options: DatasetsOptions,
    split: str,
) -> pd.DataFrame:
    """The columns of a split that the options name: text, and times as they are."""
    from datasets import ClassLabel, Value

    rows = pd.DataFrame({"split": [split] * len(part), "number": range(len(part))}, dtype=object)
    for option in ("label", "speaker", "sex", "sentence", "fold", "start", "end"):
        name = getattr(options, option)
        if name is None:
            continue
        refuse_unknown(f"column in {option}", [name], part.column_names)
        if name == options.audio:
            cells: list[Any] = [recorded_name(recording) for recording in recordings]
        else:
            cells = list(part.select_columns([name])[name])
            feature = part.features[name]
            if option in ("start", "end"):
                pass
            elif isinstance(feature, ClassLabel):
                # -1 stands for no label in datasets whose test labels are not published.
                names = feature.int2str
                cells = [None if cell is None or cell < 0 else names(cell) for cell in cells]
            elif isinstance(feature, Value) and "float" not in feature.dtype:
                cells = [None if cell is None else str(cell).strip() or None for cell in cells]
            else:
                raise InputError(
                    f"{option}: column {name!r} holds {feature}; valid are class labels, text or "
                    "whole numbers"
                )
        rows["emotion" if option == "label" else option] = pd.Series(cells, dtype=object)
    return rows
