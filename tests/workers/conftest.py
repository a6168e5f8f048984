import logging
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
import soundfile
from distributed import Client, LocalCluster

from sercue.corpora.corpus import Corpus, example_corpus


def local_cluster(**options):
    """Workers in processes of their own on this machine."""
    options = {"n_workers": 2, "threads_per_worker": 1} | options
    # Its own way to be silent would silence what other tests want to read.
    return LocalCluster(processes=True, dashboard_address=None, silence_logs=False, **options)


@pytest.fixture(scope="session", autouse=True)
def silence():
    """Workers that end tell much; dask reads this variable in each process."""
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DASK_LOGGING__DISTRIBUTED", "critical")
        yield


@pytest.fixture(scope="session")
def cluster(cache, silence):
    with local_cluster() as running:
        yield running


@contextmanager
def connected_to(cluster, workers=2):
    """A client of so many workers; where one has gone for good, an error, and no wait."""
    with Client(cluster, set_as_default=False) as client:
        client.wait_for_workers(workers, timeout=300)
        yield client


@pytest.fixture
def client(cluster):
    with connected_to(cluster) as connected:
        yield connected


@pytest.fixture
def mortal_client(cache, silence):
    """Its workers may be killed: on a busy machine dask does not always start them again."""
    with local_cluster() as doomed, connected_to(doomed) as connected:
        yield connected


@pytest.fixture
def asked(tmp_path):
    """Where ``HashingModel`` says what it was asked."""
    folder = tmp_path / "asked"
    folder.mkdir()
    return folder


@pytest.fixture
def corpus(tmp_path):
    """Eight utterances of noise to test on, a tenth of a second each."""
    made = example_corpus(speakers=3, utterances=8, labels=3)
    generator = np.random.default_rng(0)
    folder = tmp_path / "corpus"
    folder.mkdir()
    for file in made.table.index.get_level_values("file"):
        soundfile.write(folder / file, generator.normal(0, 0.1, 1600), 16000)
    return Corpus("made", folder, made.table, made.labels, "neutral", "none", True, True)


@pytest.fixture
def tokens(corpus):
    words = np.random.default_rng(1).choice(["low", "mid", "high"], (len(corpus.table), 2))
    return pd.DataFrame(words, corpus.table.index, ["energy", "pitch"])
