"""Whether a file can be decoded and is whole: whole and cut files of every format."""

import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from bad_audio import BadRecording, corpus_of, inspected, voice, write
from unprivileged import run_unprivileged

from sercue.corpora.inspection import inspect_audio


def test_a_file_without_permission_is_named_so():
    imports = "from pathlib import Path; from sercue.corpora.recordings import unreadable"
    look = "print([unreadable(Path(name)).reason for name in sys.argv[1:]])"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        write(folder, "closed.wav", voice())
        (folder / "closed.wav").chmod(0)
        (folder / "closed").mkdir()
        write(folder / "closed", "inner.wav", voice())
        (folder / "closed").chmod(0)
        try:
            printed = run_unprivileged(
                imports, look, folder / "closed.wav", folder / "closed/inner.wav"
            )
        finally:
            (folder / "closed").chmod(0o755)
    assert printed == "['no permission', 'no permission']"


def test_a_name_that_is_not_utf8_is_named_so(tmp_path):
    """Latin-1 names on an old disk: neither an index nor Parquet can hold them."""
    path = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.wav")
    write(tmp_path, "plain.wav", voice())
    os.replace(tmp_path / "plain.wav", path)
    facts = inspected(tmp_path, "u1.wav", files={"u1.wav": Path(path)})
    assert facts["problem"].tolist() == ["name is not valid UTF-8"]


@pytest.mark.parametrize("file", ["a.wav", "a.flac", "a.mp3", "a.ogg", "a.aiff"])
def test_whole_files_of_every_format_are_whole(tmp_path, file):
    """Of many lengths, since a frame of MP3 or Ogg is seldom full at the end."""
    rng = np.random.default_rng(0)
    for samples in [3000, 16000, *rng.integers(3000, 40_000, 6)]:
        for rate in (8000, 16000, 44100):
            write(tmp_path, file, voice(3)[:samples], rate)
            assert inspected(tmp_path, file).iloc[0]["problem"] == ""


@pytest.mark.parametrize("file", ["a.ogg", "a.opus"])
@pytest.mark.parametrize("rate", [8000, 16000, 48000])
def test_whole_opus_is_whole(tmp_path, rate, file):
    write(tmp_path, file, voice(2.345, rate), rate, format="OGG", subtype="OPUS")
    facts = inspected(tmp_path, file).iloc[0]
    assert facts[["problem", "format"]].tolist() == ["", "OGG"]
    assert "another format" not in facts["note"]
    assert facts["seconds"] == pytest.approx(2.345, abs=0.001)


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("file", ["a.wav", "a.flac", "a.mp3", "a.ogg"])
def test_wherever_a_file_is_cut_it_is_seen(tmp_path, file, kept):
    content = write(tmp_path, file, voice(4))
    (tmp_path / file).write_bytes(content[: int(kept * len(content))])
    problem = inspected(tmp_path, file).iloc[0]["problem"]
    assert problem in {"cut short or damaged", "cannot be decoded"}


def test_formats_are_those_that_libsndfile_names(tmp_path):
    for file in ("a.wav", "a.flac", "a.mp3", "a.ogg"):
        write(tmp_path, file, voice())
        facts = inspected(tmp_path, file).iloc[0]
        assert facts["format"] == soundfile.info(tmp_path / file).format == file[2:].upper()
        assert facts["note"] == ""


def test_failures_keep_their_names_among_threads(tmp_path):
    """libsndfile keeps one message for all threads, which must not be mixed up."""
    header = write(tmp_path, "a.wav", voice())[:30]
    for number in range(100):
        (tmp_path / f"text{number}.wav").write_bytes(b"this is not audio %d" % number)
        (tmp_path / f"header{number}.wav").write_bytes(header + bytes([number]))
    names = [f"{kind}{number}.wav" for number in range(100) for kind in ("text", "header")]
    corpus = corpus_of(tmp_path, [BadRecording(name) for name in names])
    facts = inspect_audio(corpus, cache=tmp_path / "cache", workers=8, progress=False)
    assert facts["problem"].tolist() == ["not audio", "cannot be decoded"] * 100
