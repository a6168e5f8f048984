"""The demo corpus: synthetic emotional speech, made on first use. A fixture, not evidence."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

import audformat
import joblib
import numpy as np
import pandas as pd
from pydantic import Field

from sercue.corpora import praat_speech
from sercue.corpora.corpus import PARTITIONS, Corpus
from sercue.corpora.praat_speech import EMOTIONS, SENTENCES, Voice
from sercue.options import Options
from sercue.running import progress_bar
from sercue.storage.files import cache_folder, folder_written_aside

# Raise it whenever anything changes the bytes of the recordings: cached corpora are keyed by it.
RECIPE = 1
LICENCE = (
    "synthetic speech of this project, made with Praat's speech synthesiser (eSpeak NG voices); "
    "free to use and to share"
)


@dataclass(frozen=True)
class Speaker:
    """A speaker of the demo corpus.

    Attributes:
        name: ``f01`` ... ``f12`` or ``m01`` ... ``m12``
        voice: the voice of the synthesiser, before the speaker's own random ratios
        sex: ``female`` or ``male``
        partition: ``train``, ``dev`` or ``test``
    """

    name: str
    voice: Voice
    sex: str
    partition: str


# Praat has nine female variants. Three of them speak twice, the second time with clearly other
# ratios, and both times in the training partition: no variant is heard in two partitions.
_FEMALE = {
    "train": (
        Voice("Female1"),
        Voice("Annie"),
        Voice("Steph"),
        Voice("Female1", 1.15, 1.08),
        Voice("Annie", 0.82, 0.93),
        Voice("Steph", 1.2, 1.1),
    ),
    "dev": (Voice("Female2"), Voice("Linda")),
    "test": (Voice("Female3"), Voice("Female4"), Voice("Female5"), Voice("Auntie")),
}
_MALE = {
    "train": tuple(map(Voice, ("Male1", "Male3", "Male5", "Andy", "Mario", "Norbert"))),
    "dev": tuple(map(Voice, ("Male2", "Michael"))),
    "test": tuple(map(Voice, ("Male4", "Male6", "Max", "Jacky"))),
}


SPEAKERS = tuple(
    Speaker(f"{sex[0]}{number:02}", voice, sex, partition)
    for sex, voices in (("female", _FEMALE), ("male", _MALE))
    for number, (voice, partition) in enumerate(
        ((voice, partition) for partition in PARTITIONS for voice in voices[partition]), start=1
    )
)


class DemoOptions(Options):
    """Which part of the demo corpus is made, and how fast.

    Attributes:
        speakers: 3 to 24; fewer than 24 take the first of each partition, in proportion
        sentences: 1 to 8; fewer than 8 take the first ones
        workers: processes at a time, by default one per core; no influence on the result
    """

    speakers: int = Field(24, ge=3, le=len(SPEAKERS))
    sentences: int = Field(8, ge=1, le=len(SENTENCES))
    workers: int | None = Field(None, ge=1)


def read_demo(options: DemoOptions, *, seed: int = 0) -> Corpus:
    """The demo corpus, from the cache or made now (about half a minute on two cores).

    Every speaker says every sentence in every emotion. Partitions are speaker-disjoint, have fixed
    speakers, and are balanced by sex: 12 train, 4 dev, 8 test.

    Args:
        options: which part of it
        seed: of all random numbers; the same seed gives the same bytes on the same machine

    Returns:
        corpus with columns ``emotion``, ``speaker``, ``sex``, ``partition``, ``sentence``; 16 kHz
        mono files
    """
    chosen, sentences = select_speakers(options.speakers), options.sentences
    table = demo_table(chosen, sentences)
    key = f"seed{seed}-speakers{options.speakers}-sentences{sentences}-recipe{RECIPE}"
    root = cache_folder() / "demo" / key
    if not _complete(root, table):
        with folder_written_aside(root, lambda there: _complete(there, table)) as aside:
            (aside / "wav").mkdir()
            pool = ThreadPoolExecutor(options.workers or joblib.cpu_count())
            bar = progress_bar(total=len(table), desc="demo speech", unit="utt")
            try:
                jobs = [
                    pool.submit(_record_speaker, aside / "wav", speaker, sentences, seed)
                    for speaker in chosen
                ]
                for job in as_completed(jobs):
                    job.result()
                    bar.update(len(EMOTIONS) * sentences)
            finally:
                bar.close()
                pool.shutdown(cancel_futures=True)
    return Corpus("demo", root, table, EMOTIONS, "neutral", LICENCE, True, True)


def select_speakers(count: int) -> tuple[Speaker, ...]:
    """The first speakers of each partition, in proportion to its size and at least one.

    Women and men alternate, so that a partition of two or more has both.

    Examples:
        >>> [speaker.name for speaker in select_speakers(6)]
        ['f01', 'm01', 'f02', 'f07', 'f09', 'm09']
    """
    listed = {part: [s for s in SPEAKERS if s.partition == part] for part in PARTITIONS}
    sizes = {part: len(members) for part, members in listed.items()}
    counts = dict.fromkeys(PARTITIONS, 1)
    while sum(counts.values()) < count:
        # The partition furthest below its share takes the next speaker.
        counts[min(PARTITIONS, key=lambda part: (counts[part] + 0.5) / sizes[part])] += 1
    chosen: list[Speaker] = []
    for part, members in listed.items():
        women, men = ([s for s in members if s.sex == sex] for sex in ("female", "male"))
        alternating = [s for pair in zip(women, men, strict=True) for s in pair]
        chosen += alternating[: counts[part]]
    return tuple(chosen)


def demo_table(speakers: Sequence[Speaker], sentences: int) -> pd.DataFrame:
    """The table of the corpus: a row for each speaker, emotion and sentence."""
    rows = [
        (f"wav/{s.name}_{emotion}_{sentence}.wav", emotion, s.name, s.sex, s.partition, sentence)
        for s in speakers
        for emotion in EMOTIONS
        for sentence in map(str, range(sentences))
    ]
    columns = ["file", "emotion", "speaker", "sex", "partition", "sentence"]
    table = pd.DataFrame(rows, columns=columns)
    return table.drop(columns="file").set_index(audformat.segmented_index(table["file"]))


def _complete(root: Path, table: pd.DataFrame) -> bool:
    return all((root / file).is_file() for file in table.index.get_level_values("file"))


def _record_speaker(folder: Path, speaker: Speaker, sentences: int, seed: int) -> None:
    job = {
        "voice": asdict(own_voice(speaker, seed)),
        "name": speaker.name,
        "speaker": SPEAKERS.index(speaker),
        "sentences": sentences,
        "seed": int(seed),
        "folder": str(folder),
    }
    # -P keeps the folder of this package, with its table.py and the like, off the import path.
    command = [sys.executable, "-P", praat_speech.__file__]
    done = subprocess.run(command, input=json.dumps(job), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"demo corpus: speaker {speaker.name} failed:\n{done.stderr}")


def own_voice(speaker: Speaker, seed: int) -> Voice:
    """The speaker's voice with the small constant ratios that the seed gives the speaker."""
    # The emotion after the last one: a random stream that no utterance of the speaker uses.
    rng = np.random.default_rng([seed, SPEAKERS.index(speaker), len(EMOTIONS), 0])
    pitch, formants = np.exp(rng.normal(0, [0.05, 0.025]))
    voice = speaker.voice
    return Voice(voice.variant, float(voice.pitch * pitch), float(voice.formants * formants))
