"""Recordings that were heard wrongly: near and above full scale, half silent, of the telephone."""

from pathlib import Path

import audformat
import pandas as pd
import pytest

from sercue.corpora.audio import read_audio, read_utterance
from sercue.corpora.corpus import Corpus
from sercue.corpora.inspection import inspect_audio
from sercue.errors import InputError
from sercue.features import functionals

CASES = Path(__file__).parents[2].parent / "shared" / "cases"
RATE = 16000
HNR = "HNRdBACF_sma3nz_amean"
# Of one voice at several levels, from openSMILE at 0.9 of full scale. Those that were clipped
# before, or by the encoder, are another sound.
HNRS = {
    "peak090.wav": 4.369, "peak100_16bit_44k.wav": 4.369, "peak105_float.wav": 4.369,
    "peak120_float.wav": 4.369, "clipped_16bit_44k.wav": 4.357, "loud.mp3": 4.268,
}  # fmt: skip
LIMITED = ["clipped_16bit_44k.wav", "loud.mp3", "peak105_float.wav", "peak120_float.wav"]


@pytest.fixture
def case(request, tmp_path):
    """The corpus of a case, with the facts of its recordings."""
    folder = CASES / request.param
    if not folder.is_dir():
        pytest.skip("the cases are not here")
    files = sorted(
        file.relative_to(folder).as_posix()
        for file in folder.rglob("*")
        if file.suffix in (".wav", ".mp3")
    )
    index = audformat.segmented_index(files)
    table = pd.DataFrame({"emotion": "a", "speaker": "s", "partition": "train"}, index=index)
    corpus = Corpus(request.param, folder, table, ("a",), None, "none")
    facts = inspect_audio(corpus, cache=tmp_path, progress=False)
    return corpus, facts.set_index(index.get_level_values("file"))


@pytest.mark.parametrize("case", ["overshoot"], indirect=True)
def test_loud_recordings_have_the_hnr_of_soft_ones_and_are_noted(case):
    corpus, facts = case
    smile = functionals()
    place = smile.feature_names.index(HNR)
    for file, expected in HNRS.items():
        found = smile(read_audio(corpus.path(file)), RATE).ravel()[place]
        assert found == pytest.approx(expected, abs=0.01), file
    limited = facts["note"].str.contains("limited to full scale")
    assert sorted(facts.index[limited]) == LIMITED


@pytest.mark.parametrize("case", ["float_int16_scale"], indirect=True)
def test_integers_written_as_floats_are_refused(case):
    corpus, facts = case
    assert facts["problem"].value_counts().to_dict() == {"samples far above full scale": 48}
    for key in corpus.table.index:
        with pytest.raises(InputError, match=r"\.wav: its samples go up to .*; full scale is 1"):
            read_utterance(corpus, key)


@pytest.mark.parametrize("case", ["half_stereo"], indirect=True)
def test_a_silent_channel_does_not_halve_the_level(case):
    corpus, facts = case
    stereo = facts.index[facts["channels"] == 2]
    assert (facts.loc[stereo, "note"] == "silent channels").all()
    assert (facts.drop(stereo)["note"] == "").all()
    assert len(stereo) == 24
    for file in stereo:
        both = [abs(read_audio(corpus.path(file), channel=channel)).max() for channel in (0, 1)]
        assert abs(read_audio(corpus.path(file))).max() == max(both)


@pytest.mark.parametrize("case", ["gsm"], indirect=True)
def test_recordings_of_call_centres_are_used(case):
    corpus, facts = case
    assert len(facts) == 24
    assert (facts["problem"] == "").all()
    for key, seconds in zip(corpus.table.index, facts["seconds"], strict=True):
        assert len(read_utterance(corpus, key)) == pytest.approx(seconds * RATE, abs=1)
