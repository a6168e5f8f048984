"""``sercue run --set scheduler=...``: the study of one machine, from several."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from conftest import connected_to

from sercue import load_corpus
from sercue.cli import main
from sercue.features import extract_features
from sercue.models import load_model
from sercue.storage.tables import read_parts
from sercue.study import run_study
from sercue.study.store import ROW
from sercue.tokens.binning import fit_bins
from sercue.tokens.schemes import read_scheme

# On one thread or on two, sums of float32 come out in another order.
CLOSE = {"rtol": 0, "atol": 1e-6}


@pytest.fixture(scope="module")
def spread_study(small_study, cluster, tmp_path_factory):
    """The notebooks that ask a model, executed with workers; the answers are asked afresh."""
    folder = tmp_path_factory.mktemp("spread") / "out"
    scheduler = f"scheduler={cluster.scheduler_address}"
    numbers = ["--only", "03", "04"]
    with connected_to(cluster):
        pass
    assert main(["run", str(small_study.file), "--out", str(folder), *numbers,
                 "--set", scheduler]) == 0  # fmt: skip
    return folder


@pytest.mark.parametrize("store", ["predictions", "prompting_score", "control_cue-bound"])
def test_answers_are_those_of_the_local_run(spread_study, small_study, store):
    """The model under study, the prompts that are tried out, and the controls."""
    found, expected = (
        read_parts(folder / "artifacts" / store).set_index(ROW).sort_index()
        for folder in (spread_study, small_study.folder)
    )
    numbers = found.select_dtypes("number").columns
    np.testing.assert_allclose(found[numbers], expected[numbers], **CLOSE)
    texts = found.columns.difference(numbers)
    pd.testing.assert_frame_equal(found[texts], expected[texts])


def test_tables_are_those_of_the_local_run(spread_study, small_study):
    files = sorted(file.name for file in (spread_study / "tables").glob("*.csv"))
    assert len(files) > 5
    for file in files:
        found, expected = (
            pd.read_csv(folder / "tables" / file) for folder in (spread_study, small_study.folder)
        )
        pd.testing.assert_frame_equal(found, expected, rtol=0, atol=1e-6, obj=file)


def test_nothing_that_is_passed_on_names_the_scheduler(spread_study, cluster):
    """Where a cluster stands is nobody's business; that there was one is recorded."""
    place = cluster.scheduler_address.removeprefix("tcp://")
    written = [spread_study / "index.html", *spread_study.glob("0*.html"),
               spread_study / "artifacts" / "provenance.json"]  # fmt: skip
    assert len(written) == 4
    assert [file.name for file in written if place in file.read_text(encoding="utf-8")] == []
    known = json.loads(written[-1].read_text())
    assert re.fullmatch(r"tcp://HOST:\d+", known["parameters"]["scheduler"])
    assert "scheduler=tcp://HOST" in known["command"]
    assert known["model"]["device"] == "cpu of 2 workers"


@pytest.mark.parametrize("decoding", ["score", "generate"])
def test_a_real_network_answers_the_same_on_workers(client, cache, decoding):
    """On one thread here and there, to the last bit."""
    corpus = load_corpus("demo", speakers=6, sentences=1)
    features = extract_features(corpus, client=client, progress=False)
    concepts = read_scheme("sercue").concepts
    tokens = fit_bins(features, corpus, concepts=concepts).transform(features, corpus)
    tables = [
        run_study(
            corpus, tokens,
            load_model("sercue-tiny", corpus=corpus, tokens=tokens, options={"epochs": 1}),
            conditions=["none", "aligned", "shuffled"], templates=["plain"], decoding=decoding,
            client=given, progress=False,
        )
        for given in (None, client)
    ]  # fmt: skip
    pd.testing.assert_frame_equal(*tables, check_exact=True)


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_scheduler_that_is_gone_is_told_before_anything_runs(
    small_study, command, capsys, monkeypatch
):
    monkeypatch.setattr("sercue.distributed.connection.SECONDS_TO_CONNECT", 1.0)
    gone = ["--set", "scheduler=tcp://127.0.0.1:1"]
    assert main([command, str(small_study.file), *gone]) == 2
    assert "scheduler: no scheduler of dask answers at" in capsys.readouterr().err


def test_check_counts_the_workers(small_study, cluster, capsys):
    given = ["--set", f"scheduler={cluster.scheduler_address}"]
    assert main(["check", str(small_study.file), *given]) == 0
    assert "2 workers with 2 threads, all as here" in capsys.readouterr().out
