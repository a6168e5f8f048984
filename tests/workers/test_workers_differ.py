"""Machines that are not alike: recordings, versions, and features of one broken file."""

import os
import shutil
import subprocess
import sys

import audiofile
import numpy as np
import pandas as pd
import pytest
import soundfile
from conftest import connected_to
from hashing_model import HashingModel, calls

from sercue import features as features_module
from sercue.corpora.audio import audio_digests
from sercue.distributed import worker
from sercue.errors import InputError
from sercue.features import extract_descriptors, extract_features
from sercue.study import run_study


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(features_module, "_BATCH", 5)


@pytest.mark.parametrize("extract", [extract_features, extract_descriptors])
def test_features_are_those_of_this_machine(client, corpus, tmp_path, small_batches, extract):
    """To the last bit; and a second call finds them in the cache."""
    expected = extract(corpus, cache=tmp_path / "here", progress=False)
    found = extract(corpus, cache=tmp_path / "there", client=client, progress=False)
    pd.testing.assert_frame_equal(found, expected, check_exact=True)
    assert len(list((tmp_path / "there").rglob("part-*.parquet"))) == 5
    shutil.rmtree(corpus.root)
    with pytest.raises(InputError, match="cannot be read"):
        extract_features(corpus, cache=tmp_path / "new", client=client, progress=False)


def test_one_broken_file_does_not_stop_the_rest(client, corpus, tmp_path, small_batches):
    corpus.path("s1_3.wav").write_text("this is not audio")
    with pytest.raises(InputError, match=r"1 recordings cannot be processed:\n.*s1_3\.wav: cannot"):
        extract_features(corpus, cache=tmp_path / "cache", client=client, progress=False)
    good = corpus.with_table(corpus.table.drop(index=corpus.table.index[11]))
    features = extract_features(good, cache=tmp_path / "cache", progress=False)
    assert features.notna().all(axis=None)


def test_segments_are_found_again_by_their_rows(client, corpus, tmp_path):
    """Rows are sent by place; whole files have no end, which is equal to nothing."""
    index = corpus.table.index.set_levels(pd.to_timedelta(["0s"]), level="start")
    assert index.get_level_values("end").isna().all()
    table = corpus.table.set_axis(index)
    cut = corpus.with_table(table)
    found = extract_features(cut, cache=tmp_path / "there", client=client, progress=False)
    expected = extract_features(cut, cache=tmp_path / "here", progress=False)
    pd.testing.assert_frame_equal(found, expected, check_exact=True)


def study(corpus, tokens, asked, **options):
    options = {"conditions": ["none", "aligned"], "templates": ["plain"]} | options
    return run_study(corpus, tokens, HashingModel(asked), progress=False, **options)


def test_a_recording_that_a_worker_lacks_is_told_with_the_worker(client, corpus, tokens, asked):
    digests = audio_digests(corpus)
    corpus.path("s2_3.wav").unlink()
    message = r"s2_3\.wav: cannot be read on worker tcp://.*at the same path on every machine"
    with pytest.raises(InputError, match=message):
        study(corpus, tokens, asked, client=client, digests=digests)


def test_another_recording_at_the_same_path_is_refused(client, corpus, tokens, asked):
    """Or answers would be stored under the content of the recording that they are not about."""
    digests = audio_digests(corpus)
    soundfile.write(corpus.path("s2_3.wav"), np.full(1600, 0.2), 16000)
    with pytest.raises(InputError, match=r"s2_3\.wav: another recording on worker tcp://"):
        study(corpus, tokens, asked, client=client, digests=digests)
    assert not any("s2_3" in text for text in calls(asked))


def test_a_file_that_changes_is_read_again(corpus):
    """What a worker remembers of a file is for its many segments, not for ever."""
    digests = audio_digests(corpus)
    assert worker.stray_files(corpus, digests.tolist()) == {}
    samples, rate = audiofile.read(str(corpus.path("s0_0.wav")))
    audiofile.write(str(corpus.path("s0_0.wav")), samples[::-1], rate)
    assert list(worker.stray_files(corpus, digests.tolist())) == ["s0_0.wav"]


@pytest.fixture
def other_worker(cluster, tmp_path):
    """Start a worker, from the command line, whose packages are looked up in a folder first."""
    running = []

    def start(shadow):
        command = [sys.executable, "-m", "distributed.cli.dask_worker", cluster.scheduler_address,
                   "--no-nanny", "--no-dashboard", "--nthreads", "1",
                   "--local-directory", str(tmp_path / "scratch")]  # fmt: skip
        path = os.pathsep.join([str(shadow), *filter(None, sys.path)])
        environment = os.environ | {"PYTHONPATH": path}
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        # Elsewhere: Python looks into the current folder before all others.
        running.append(subprocess.Popen(command, env=environment, cwd=tmp_path, **quiet))

    yield start
    for process in running:
        process.kill()
        process.wait()


def test_a_worker_with_another_version_is_refused(
    cluster, corpus, tokens, asked, other_worker, tmp_path
):
    """Its numbers may be others, and nobody would see which of the answers were its own."""
    card = tmp_path / "shadow" / "transformers-0.1.dist-info" / "METADATA"
    card.parent.mkdir(parents=True)
    card.write_text("Metadata-Version: 2.1\nName: transformers\nVersion: 0.1\n")
    other_worker(tmp_path / "shadow")
    told = r"worker tcp://.*: found transformers 0\.1, but .* where the study is run from"
    refused(cluster, corpus, tokens, asked, told)


def test_a_worker_without_sercue_is_refused(cluster, corpus, tokens, asked, other_worker, tmp_path):
    module = tmp_path / "shadow" / "sercue" / "__init__.py"
    module.parent.mkdir(parents=True)
    # An editable install finds what an empty package lacks.
    module.write_text("raise ModuleNotFoundError(\"No module named 'sercue'\", name='sercue')\n")
    other_worker(tmp_path / "shadow")
    told = r"worker tcp://.*: found no sercue .* there \(.*No module named 'sercue"
    refused(cluster, corpus, tokens, asked, told)


def refused(cluster, corpus, tokens, asked, told):
    with connected_to(cluster, 3) as client, pytest.raises(InputError, match=told):
        study(corpus, tokens, asked, client=client)
    assert calls(asked) == []


def test_a_worker_that_joins_later_is_refused_as_well():
    """Every call brings the versions along."""
    with pytest.raises(InputError, match=r"^worker there: found torch .*, but 0\.1 where"):
        worker.work(b"", worker.versions() | {"torch": "0.1"}, worker="there")
