"""Functionals and descriptor means of eGeMAPS, cached by content; which are missing, and why."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import joblib
import numpy as np
import opensmile
import pandas as pd
from opensmile import FeatureLevel
from opensmile.core.config import config
from opensmile.core.lib import OpenSMILE

from sercue.corpora.audio import SAMPLING_RATE, SHORTEST, audio_digests, read_utterance
from sercue.corpora.audio_variants import OWN, variant_digest, varied
from sercue.corpora.corpus import Corpus, utterance_ids
from sercue.corpora.recordings import naming
from sercue.errors import InputError
from sercue.running import progress_bar
from sercue.storage.files import cache_folder
from sercue.storage.tables import CACHED_FEATURES, read_parts, through_cache
from sercue.tokens.concepts import (
    UNKNOWN,
    Category,
    Concept,
    functionals_of,
    measurable,
    needs_voice,
    source_of,
)

if TYPE_CHECKING:
    from distributed import Client

# What is extracted together: digests, values by digest, and the reason for each that failed.
_Batch: TypeAlias = tuple[pd.Series, tuple[pd.DataFrame, dict[str, str]]]
# Some seconds of work: what an interruption can cost.
_BATCH = 200
#: Utterances at most whose tokens are measured in other audio.
HEARD = 100
# To be raised when the same recording would get other values, or more of them.
_VERSION = 3
# A frame is voiced where openSMILE finds a fundamental frequency; it writes 0 elsewhere.
_F0 = "F0semitoneFrom27.5Hz_sma3nz"


def extract_features(
    corpus: Corpus,
    *,
    cache: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    client: Client | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """The 88 eGeMAPSv02 functionals of each utterance, at 16 kHz mono, limited to full scale.

    Features that were extracted before are taken from the cache. It is keyed by the bytes of the
    recording and the segment: a changed file is extracted again, a renamed one is not. Batches are
    stored as they come, so that an interrupted run continues where it stopped. The descriptors of
    ``extract_descriptors`` are extracted and cached in the same pass.

    Args:
        corpus: the utterances
        cache: folder of the cached features, by default ``features`` in ``cache_folder()``
        workers: threads, by default one per core (openSMILE works outside Python's lock)
        client: of a ``dask.distributed`` scheduler, whose workers extract instead; they read the
            recordings at the same paths. ``connect`` makes one.
        progress: whether to show a progress bar

    Returns:
        float64, shape (utterances, 88), indexed as ``corpus.table``; NaN for an utterance of less
        than ``SHORTEST`` seconds

    Raises:
        InputError: if recordings cannot be processed, naming them and why; the others have been
            extracted and cached by then
        ServerError: if the scheduler or all its workers are gone

    Source:
        Eyben et al.: The Geneva Minimalistic Acoustic Parameter Set (GeMAPS) for Voice Research
        and Affective Computing. IEEE Transactions on Affective Computing 7(2), 2016, 190-202.
    """
    rows = extract_all(corpus, cache=cache, workers=workers, client=client, progress=progress)
    return rows[_names(FeatureLevel.Functionals)]


def extract_descriptors(
    corpus: Corpus,
    *,
    cache: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    client: Client | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Means of the 25 eGeMAPSv02 low-level descriptors of each utterance, at 16 kHz mono.

    They are extracted and cached together with the functionals, in one pass over each recording;
    the second of the two functions finds its values in the cache.

    A frame is voiced if its F0 is above 0. In other frames openSMILE writes 0 for F0, jitter,
    shimmer, harmonics-to-noise ratio and harmonic differences, and -201 for most levels of
    formants, whose frequencies and bandwidths it estimates there, too. Jitter and shimmer are also
    0 in voiced frames with too few regular periods. All these values count as they are, whereas
    functionals leave out every 0 of descriptors named ``nz``.

    Args:
        corpus: the utterances
        cache: as of ``extract_features``
        workers: as of ``extract_features``
        client: as of ``extract_features``
        progress: whether to show a progress bar

    Returns:
        float64, shape (utterances, 52), indexed as ``corpus.table``: ``mean(<descriptor>)`` over
        all frames; ``voiced_mean(<descriptor>)`` over voiced frames, NaN where there is none;
        ``voiced_share`` of the frames (0 to 1); ``voiced_frames``, their number. A row of an
        utterance of less than ``SHORTEST`` seconds is NaN.

    Raises:
        InputError: as ``extract_features``
        ServerError: as ``extract_features``

    Source:
        As of ``extract_features``.
    """
    rows = extract_all(corpus, cache=cache, workers=workers, client=client, progress=progress)
    return rows[descriptor_columns()]


def descriptor_columns() -> list[str]:
    """The columns of ``extract_descriptors``, in their order.

    Examples:
        >>> columns = descriptor_columns()
        >>> len(columns), columns[0], columns[25], columns[-2:]
        (52, 'mean(Loudness_sma3)', 'voiced_mean(Loudness_sma3)', ['voiced_share', 'voiced_frames'])
    """
    names = _names(FeatureLevel.LowLevelDescriptors)
    means = [f"{mean}({name})" for mean in ("mean", "voiced_mean") for name in names]
    return [*means, "voiced_share", "voiced_frames"]


def feature_columns() -> tuple[str, ...]:
    """The columns of ``extract_all``, of which concepts may be made: known without a recording.

    Examples:
        >>> len(feature_columns()), feature_columns()[0]
        (140, 'F0semitoneFrom27.5Hz_sma3nz_amean')
    """
    return (*_names(FeatureLevel.Functionals), *descriptor_columns())


def extract_all(
    corpus: Corpus,
    *,
    cache: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    client: Client | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Functionals and descriptors of each utterance: the columns of both functions above.

    Args:
        corpus: the utterances
        cache: as of ``extract_features``
        workers: as of ``extract_features``
        client: as of ``extract_features``
        progress: whether to show a progress bar

    Returns:
        float64, shape (utterances, 140), indexed as ``corpus.table``

    Raises:
        InputError: as ``extract_features``
        ServerError: as ``extract_features``
    """
    digests = audio_digests(corpus)
    return _of_cache(corpus, digests, cache, progress, workers=workers, client=client)


def extract_heard(
    corpus: Corpus,
    variant: str,
    *,
    seed: int = 0,
    cache: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """The same of what is heard in place of each utterance, as ``varied`` makes it at 16 kHz.

    Nothing of it is written but the values, which are cached beside those of the recordings.

    Args:
        corpus: the utterances
        variant: one of ``AUDIO_VARIANTS`` that is made of the utterance itself: not ``swapped``
        seed: of the study
        cache: as of ``extract_features``
        progress: as of ``extract_features``

    Returns:
        as ``extract_all``

    Raises:
        InputError: as ``extract_features``
    """
    digests = audio_digests(corpus).map(lambda own: variant_digest(own, variant, seed))
    return _of_cache(corpus, digests, cache, progress, variant=variant)


def _of_cache(
    corpus: Corpus,
    digests: pd.Series,
    cache: str | os.PathLike[str] | None,
    progress: bool,
    **how: Any,
) -> pd.DataFrame:
    """The values of each digest, those that are not in the cache extracted and stored first."""

    def measured(missing: pd.Series) -> Iterator[pd.DataFrame]:
        failures: dict[str, str] = {}
        batches = [missing.iloc[n : n + _BATCH] for n in range(0, len(missing), _BATCH)]
        number = len(missing)
        with progress_bar(total=number, desc="eGeMAPS", unit="utt", disable=not progress) as bar:
            for batch, (rows, failed) in _extracted(corpus, batches, **how):
                failures |= failed
                yield rows
                bar.update(len(batch))
        if failures:
            listed = [
                f"  {reason if file in reason else f'{file}: {reason}'}"
                for file, reason in list(failures.items())[:5]
            ]
            more = ["  ..."] if len(failures) > 5 else []
            told = f"{len(failures)} recordings cannot be processed:"
            raise InputError("\n".join([told, *listed, *more]))

    return through_cache(_folder(cache), CACHED_FEATURES, digests, measured)


def extracted(digests: pd.Series) -> pd.Series:
    """Whether functionals and descriptors of each utterance are in the cache.

    Args:
        digests: as ``audio_digests`` has them

    Returns:
        bool, indexed as ``digests``
    """
    return digests.isin(read_parts(_folder(None), CACHED_FEATURES).index)


def _folder(cache: str | os.PathLike[str] | None) -> Path:
    """Where the features lie that this version of openSMILE extracted."""
    folder = cache_folder() / "features" if cache is None else Path(cache)
    return folder / extraction()


def extraction() -> str:
    """What features depend on besides the audio: the feature set, and who extracts it."""
    return f"eGeMAPSv02-{opensmile.__version__}-{_VERSION}"


def functionals() -> opensmile.Smile:
    """The openSMILE extractor of the eGeMAPSv02 functionals."""
    return _smile(FeatureLevel.Functionals)


def _smile(level: FeatureLevel) -> opensmile.Smile:
    return opensmile.Smile(feature_set=opensmile.FeatureSet.eGeMAPSv02, feature_level=level)


@cache
def _names(level: FeatureLevel) -> list[str]:
    return list(_smile(level).feature_names)


class Extractor:
    """Functionals and descriptors of eGeMAPSv02 by one pass of openSMILE over the samples.

    ``opensmile.Smile`` gives one level per pass, and nearly all of its time goes into the
    descriptors. openSMILE itself comes with a sink for two levels; its functionals and frames are
    bit for bit those of ``opensmile.Smile``.

    Attributes:
        columns: names of the values: 88 functionals, then ``descriptor_columns()``
    """

    def __init__(self) -> None:
        smile = functionals()
        root = Path(smile.default_config_root)
        self.columns = list(feature_columns())
        self._config = smile.config_path
        self._options = {
            "source": root / config.EXTERNAL_INPUT_CONFIG,
            "sink": root / config.EXTERNAL_OUTPUT_MULTI_CONFIG,
            "bufferModeRbConf": root / "shared" / "BufferModeRb.conf.inc",
            "frameModeFunctionalsConf": root / "shared" / "FrameModeFunctionals.conf.inc",
            "nBits": 16,
        }

    def __call__(self, samples: np.ndarray, sampling_rate: int) -> np.ndarray:
        """The values of a signal.

        Args:
            samples: float32, shape (samples,), from -1 to below 1
            sampling_rate: in Hz

        Returns:
            float64, shape (140,); NaN, with a warning, if the signal is too short
        """
        whole, descriptors = self._levels(samples, sampling_rate)
        if not whole:
            warnings.warn("Segment too short, filling with NaN.", stacklevel=2)
            return np.full(len(self.columns), np.nan)
        frames = np.array(descriptors, dtype=float)
        voiced = frames[:, _names(FeatureLevel.LowLevelDescriptors).index(_F0)] > 0
        none = np.full(frames.shape[1], np.nan)
        of_voiced = frames[voiced].mean(axis=0) if voiced.any() else none
        voicing = [voiced.mean(), voiced.sum()]
        return np.concatenate([whole[0], frames.mean(axis=0), of_voiced, voicing])

    def _levels(
        self, samples: np.ndarray, sampling_rate: int
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """What is written once, with the functionals, and for each frame, with its descriptors."""
        whole: list[np.ndarray] = []
        frames: list[np.ndarray] = []
        smile = OpenSMILE()
        try:
            smile.initialize(self._config, self._options | {"sampleRate": sampling_rate})
            # openSMILE reuses the memory of a frame for the next one.
            smile.external_sink_set_callback("extsinkfunc", lambda x: whole.append(x.copy()))
            smile.external_sink_set_callback("extsinklld", lambda x: frames.append(x.copy()))
            steps = (samples * np.float32(2**15)).astype(np.int16)
            source = config.EXTERNAL_SOURCE_COMPONENT
            smile.external_audio_source_write_data(source, steps.tobytes())
            smile.external_audio_source_set_eoi(source)
            smile.run()
        finally:
            smile.free()
        return whole, frames


def _extracted(
    corpus: Corpus,
    batches: list[pd.Series],
    *,
    workers: int | None = None,
    client: Client | None = None,
    variant: str = OWN,
) -> Iterator[_Batch]:
    """The batches, each with what ``_extract`` makes of it: here, or on the workers of a client."""
    if client is not None:
        from sercue.distributed.connection import Call, spread
        from sercue.distributed.study import excerpt

        places = [corpus.table.index.get_indexer_for(batch.index) for batch in batches]
        calls = (
            Call(batch, (excerpt(corpus, rows), batch), list(utterance_ids(batch.index)))
            for batch, rows in zip(batches, places, strict=True)
        )
        yield from spread(client, _extract_on_worker, calls)
        return
    with ThreadPoolExecutor(workers or joblib.cpu_count()) as pool:
        smile = Extractor()
        for batch in batches:
            yield batch, _extract(corpus, batch, smile, pool, variant)


def _extract_on_worker(corpus: Corpus, batch: pd.Series) -> tuple[pd.DataFrame, dict[str, str]]:
    """The same, by one thread: a worker has as many calls at once as it has threads."""
    from sercue.distributed.worker import stray_files

    strays = stray_files(corpus, batch.tolist())
    here = batch[~batch.index.get_level_values("file").isin(list(strays))]
    with ThreadPoolExecutor(1) as pool:
        rows, failed = _extract(corpus, here, _extractor_of_process(), pool)
    return rows, strays | failed


@cache
def _extractor_of_process() -> Extractor:
    return Extractor()


def _extract(
    corpus: Corpus, batch: pd.Series, smile: Extractor, pool: ThreadPoolExecutor, variant: str = OWN
) -> tuple[pd.DataFrame, dict[str, str]]:
    """The features of a batch, indexed by digest, and the reason for each that failed."""

    def one(key: tuple[str, pd.Timedelta, pd.Timedelta], digest: str) -> np.ndarray | str:
        try:
            samples = varied(read_utterance(corpus, key), SAMPLING_RATE, variant, digest)
            with naming(corpus.path(key[0]), "openSMILE cannot measure it"):
                return smile(samples, SAMPLING_RATE)
        except InputError as error:
            return str(error)

    results = list(pool.map(one, batch.index, batch))
    done = [(d, r) for d, r in zip(batch, results, strict=True) if not isinstance(r, str)]
    failed = {k[0]: r for k, r in zip(batch.index, results, strict=True) if isinstance(r, str)}
    rows = pd.DataFrame(
        np.array([values for _, values in done]).reshape(len(done), len(smile.columns)),
        index=pd.Index([digest for digest, _ in done], name="audio", dtype=object),
        columns=smile.columns,
    )
    return rows, failed


TOO_SHORT = f"shorter than {SHORTEST} s"
NO_VOICE = "no voiced frame"
INFINITE = "infinite level (digital silence)"
UNDEFINED = "not a number"
NO_SLOPE = "no slope (0 is kept)"
#: Values of fewer voiced frames (one per 10 ms) rest on almost nothing; they are kept, and counted.
FEW_FRAMES = 10
FEW_VOICED = f"1 to {FEW_FRAMES - 1} voiced frames (values are kept)"


def missing_reasons(features: pd.DataFrame) -> pd.DataFrame:
    """Why each functional or descriptor of each utterance could not be measured.

    - shorter than ``SHORTEST`` seconds: openSMILE has no window to analyse, and all are NaN
    - no voiced frame: openSMILE writes 0 for every functional of voiced frames; a ``voiced_mean``
      is NaN
    - infinite: a level in dB where every sample is 0
    - no slope: slopes of F0 and loudness are 0 by convention where there is none,
      and their deviations where there is one. The shipped schemes do not use them; that 0 is kept.

    Args:
        features: as ``extract_features`` or ``extract_descriptors`` return them

    Returns:
        DataFrame of the same shape: the reason, ``""`` where there is a measurement

    Examples:
        >>> table = pd.DataFrame({"equivalentSoundLevel_dBp": [-30.0, -np.inf]})
        >>> missing_reasons(table)["equivalentSoundLevel_dBp"].tolist()
        ['', 'infinite level (digital silence)']
    """
    values = features.astype(float)
    empty = values.isna().to_numpy()
    infinite = np.isinf(values.to_numpy())
    unmeasured = measurable(features).isna().to_numpy()
    slope = np.array(["Slope" in str(name) for name in values])
    reasons = np.full(values.shape, "", dtype=object)
    reasons[(values == 0).to_numpy() & slope] = NO_SLOPE
    reasons[unmeasured & ~empty & ~infinite] = NO_VOICE
    reasons[infinite] = INFINITE
    reasons[empty] = UNDEFINED
    if "voiced_frames" in values:
        reasons[empty & (values[["voiced_frames"]] == 0).to_numpy()] = NO_VOICE
    reasons[empty.all(axis=1)] = TOO_SHORT
    return pd.DataFrame(reasons, index=features.index, columns=features.columns)


def missing_functionals(
    features: pd.DataFrame, corpus: Corpus, concepts: Sequence[Concept | Category] = ()
) -> pd.DataFrame:
    """How many utterances lack functionals for each reason, and under which emotion.

    If functionals are missing more often under one emotion than under another, their absence is
    itself informative. Utterances with fewer than ``FEW_FRAMES`` voiced frames have all
    functionals, but a row of their own, since functionals of voiced frames are then means over very
    few frames.

    Args:
        features: functionals as openSMILE wrote them, indexed as ``corpus.table``; with means of
            descriptors and ``voiced_frames`` if concepts are made of them
        corpus: names the emotion of each row
        concepts: those of a scheme, such as ``read_scheme("paper").concepts``

    Returns:
        DataFrame, one row per reason, ``"any"`` first: ``functionals`` (that lack somewhere, or
        rest on few voiced frames), ``utterances``, ``share`` (of all), ``concepts`` (whose token is
        ``unknown`` for it), then for each emotion the share of its utterances (0 to 1)

    Examples:
        >>> from sercue.corpora.corpus import example_corpus
        >>> corpus = example_corpus(speakers=2, utterances=2)
        >>> level = [-30.0, -np.inf, -28.0, -31.0]
        >>> features = pd.DataFrame({"equivalentSoundLevel_dBp": level}, corpus.table.index)
        >>> loud = [Concept("energy", {"equivalentSoundLevel_dBp": 1})]
        >>> table = missing_functionals(features, corpus, loud)
        >>> table[["utterances", "share", "concepts", "neutral"]]
                                          utterances  share concepts  neutral
        any                                        1   0.25   energy      0.5
        infinite level (digital silence)           1   0.25   energy      0.5
    """
    reasons = missing_reasons(features)
    emotion = corpus.table.loc[features.index, "emotion"].astype(str)
    ordered = (TOO_SHORT, NO_VOICE, INFINITE, UNDEFINED, NO_SLOPE)
    present = set(np.unique(reasons.to_numpy().astype(str)))
    lacking = (reasons != "") & (reasons != NO_SLOPE)
    masks = {"any": lacking} | {name: reasons == name for name in ordered if name in present}
    if "voiced_frames" in features:
        few = features["voiced_frames"].between(1, FEW_FRAMES, inclusive="left")
        if few.any():
            names = map(str, features)
            voiced = [needs_voice(name) or name.startswith("voiced_mean(") for name in names]
            masks[FEW_VOICED] = pd.DataFrame(np.outer(few, voiced), few.index, features.columns)
    unknown = {concept.name: _is_unknown(concept, features) for concept in concepts}
    rows = {}
    for name, mask in masks.items():
        lost = [
            concept.name
            for concept in concepts
            if (mask.filter(concept.columns).any(axis=1) & unknown[concept.name]).any()
        ]
        touched = mask.any(axis=1)
        by_emotion = touched.groupby(emotion.to_numpy()).mean().reindex(corpus.labels)
        rows[name] = {
            "functionals": functionals_of(mask).any().sum(),
            "utterances": int(touched.sum()),
            "share": float(touched.mean()),
            "concepts": "" if name in (NO_SLOPE, FEW_VOICED) else ", ".join(lost),
            **{label: float(by_emotion[label]) for label in corpus.labels},
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def _is_unknown(concept: Concept | Category, features: pd.DataFrame) -> pd.Series:
    """In which rows the token is ``unknown``; a rule may give a word to speech without voice."""
    values = measurable(features).reindex(columns=list(concept.columns))
    if isinstance(concept, Concept):
        return values.isna().any(axis=1)
    sources = [source_of(measure) for measure in concept.measures.values()]
    # Which word it is does not matter: of what can be measured, any value will do.
    z = 0 * values[sources].set_axis(list(concept.measures), axis=1)
    return concept.tokens(z, values) == UNKNOWN
