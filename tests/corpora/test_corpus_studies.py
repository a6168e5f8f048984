"""Studies of corpora that may not be passed on, as a user runs them: their reports, and no leak.

The trees have the official layouts; the speech in them is synthetic.
"""

import base64
import re
from dataclasses import dataclass
from pathlib import Path

import audiofile
import numpy as np
import pandas as pd
import pytest
import trees
import yaml
from cells import sentences_of_summary

from sercue.cli import main
from sercue.run import Run
from sercue.settings import read_study
from sercue.storage.files import cache_folder

STUDIES = Path(__file__).resolve().parents[2] / "notebooks" / "studies"
# The whole way of a study, as short as can be; nothing is to be learnt from its numbers.
SMALL = [
    "model_options={epochs: 1}",
    "controls=false",
    "conditions=[none, aligned, shuffled]",
    "templates=[plain]",
    "label_orders=1",
    "replicates=1",
    "tuning_limit=8",
    "resamples=200",
]
REPORTS = ["index", "01_feature_exploration", "02_binning_design", "03_prompting",
           "04_perturbation_study", "05_statistical_testing", "utterances"]  # fmt: skip


@dataclass(frozen=True)
class Finished:
    """A study that was run: where its corpus lies, where it wrote, how the command ended."""

    corpus: Path
    folder: Path
    status: int


@pytest.fixture(scope="module")
def recordings(cache):
    return trees.demo_recordings()


def run(name, corpus, folder, *changes):
    arguments = ["run", str(STUDIES / f"{name}.yaml"), "--out", str(folder)]
    return Finished(
        corpus, folder, main([*arguments, "--set", f"corpus_root={corpus}", *SMALL, *changes])
    )


@pytest.fixture(scope="module")
def iemocap(recordings, tmp_path_factory):
    """Three of the sessions, each tested on in turn; one turn is digital silence and left out."""
    folder = tmp_path_factory.mktemp("IEMOCAP_full_release")
    trees.iemocap_tree(folder, recordings, sessions=(1, 2, 3))
    silent = folder / "Session2/sentences/wav/Ses02F_impro01/Ses02F_impro01_M002.wav"
    audiofile.write(str(silent), np.zeros(16000, "float32"), 16000)
    return run("iemocap", folder, tmp_path_factory.mktemp("out"), "bad_audio=leave_out")


@pytest.fixture(scope="module")
def fau_aibo(recordings, tmp_path_factory):
    """Five classes; the school Mont is tested on. Notebook 03 shows prompts and recordings."""
    folder = tmp_path_factory.mktemp("fau_aibo")
    trees.fau_aibo_tree(folder, recordings)
    return run("fau_aibo_5", folder, tmp_path_factory.mktemp("out"), "--only", "03")


@pytest.fixture(scope="module")
def development(fau_aibo, tmp_path_factory):
    """The same five classes, evaluated on the development partition: what 04 asks and measures."""
    changes = {"study": "fau_aibo_5_dev", "partition": "dev", "corpus_root": str(fau_aibo.corpus),
               "out": str(tmp_path_factory.mktemp("out"))}  # fmt: skip
    values = {key: yaml.safe_load(value) for key, value in (one.split("=") for one in SMALL)}
    made = Run(read_study("fau_aibo_5", values | changes))
    _ = made.measures
    return made


@pytest.fixture(scope="module", params=["iemocap", "fau_aibo"])
def finished(request):
    return request.getfixturevalue(request.param)


def artifact(study, name):
    return pd.read_parquet(study.folder / "artifacts" / name)


def test_a_study_ends_with_five_reports_and_an_index(iemocap, fau_aibo):
    assert iemocap.status == fau_aibo.status == 0
    assert sorted(file.stem for file in iemocap.folder.glob("*.html")) == sorted(REPORTS)
    for name in REPORTS[1:]:
        assert "Traceback" not in (iemocap.folder / f"{name}.html").read_text()
    # Of one notebook that ran alone.
    assert sentences_of_summary(fau_aibo.folder / "03_prompting.ipynb") >= 3


def test_every_turn_of_iemocap_is_tested_once_by_what_has_not_heard_it(iemocap):
    """48 turns in four classes less the silent one; three models, none of its own session."""
    table = artifact(iemocap, "predictions")
    assert table["utterance"].nunique() == 47
    assert table["speaker"].nunique() == 6
    assert table["model"].nunique() == 3
    fold = artifact(iemocap, "utterances.parquet").groupby("speaker")["fold"].first()
    assert table.groupby(table["speaker"].map(fold))["model"].nunique().tolist() == [1] * 3


def test_what_was_left_out_is_accounted_for(iemocap):
    """60 turns are listed: 12 of other classes, a silent one, and 47 that are used."""
    for notebook in ("01_feature_exploration", "04_perturbation_study"):
        assert "left out: silence" in (iemocap.folder / f"{notebook}.html").read_text()
    table = pd.read_csv(iemocap.folder / "tables" / "denominators.csv", index_col=0)
    assert table["utterances"].to_dict() == {
        "listed": 60, "left out: class not in the study": 12, "left out: silence": 1, "used": 47,
    }  # fmt: skip


def test_fau_aibo_trains_on_one_school_and_tests_on_the_other(fau_aibo):
    table = artifact(fau_aibo, "utterances.parquet")
    owner = pd.read_csv(cache_folder() / "pseudonyms" / "fau_aibo_5.csv")
    child = owner.set_index("speaker_pseudonym")["speaker"].to_dict()
    homes = table.groupby(table["speaker"].map(child))["partition"].unique().map(list)
    assert homes.to_dict() == {
        "Ohm_01": ["train"], "Ohm_02": ["train"], "Ohm_03": ["dev"], "Ohm_04": ["dev"],
        "Mont_01": ["test"], "Mont_02": ["test"], "Mont_03": ["test"], "Mont_04": ["test"],
    }  # fmt: skip
    # The words that prompts show are English, those of the study file.
    prompts = (fau_aibo.folder / "03_prompting.html").read_text()
    assert "angry, emphatic, neutral, positive, other" in prompts


def test_fau_aibo_may_be_evaluated_on_its_development_partition(fau_aibo, development):
    """Ten chunks of each of two children of Ohm, which nothing was fitted on."""
    answers, table = development.predictions, development.corpus.table.reset_index()
    assert set(answers["utterance"]) == set(table.loc[table["partition"] == "dev", "file"])
    assert (answers["utterance"].nunique(), answers["speaker"].nunique()) == (20, 2)
    baselines = development.measures.query("baseline")
    assert baselines["utterances"].tolist() == [20] * len(baselines)


def written_files(study):
    return [file for file in study.folder.rglob("*") if file.is_file()]


def test_nothing_that_is_written_holds_a_recording(finished):
    """Neither the bytes of one, nor the same in base64, nor a player, nor a spectrogram's image."""
    own = [file for file in finished.corpus.rglob("*.wav") if not file.name.startswith("._")]
    # The tree of IEMOCAP has empty files where the corpus has whole dialogues.
    heard = [data for file in own if (data := file.read_bytes())]
    assert len(heard) >= 60
    # From the middle of the samples: 48 bytes are 24 samples, which no two recordings share.
    pieces = [piece for data in heard if any(piece := data[len(data) // 2 :][:48])]
    # Base64 has three ways to cut bytes; the last characters hang on what follows.
    coded = [base64.b64encode(piece[shift:])[:56] for piece in pieces for shift in range(3)]
    assert len(pieces) >= len(heard) - 1
    needles = [*pieces, *coded]
    for file in written_files(finished):
        content = file.read_bytes()
        assert not any(needle in content for needle in needles), file
        if file.suffix in (".html", ".ipynb"):
            text = content.decode()
            assert "<audio" not in text
            # The script of the page of utterances has the words; what it would play stands apart.
            assert not re.search(r"data:audio/\w+;base64,\w", text)
            if file.stem == "utterances":
                assert '<script type="application/json" id="players">{}</script>' in text
            # Figures are vector graphics; a spectrogram would come as pixels.
            assert "image/png" not in text


def test_nothing_that_is_written_holds_a_transcript(iemocap):
    """The tree has one beside the labels; its words, or any four in a row of them, are nowhere."""
    words = trees.TRANSCRIPT.rstrip(".").split()
    pieces = [" ".join(words[first : first + 4]) for first in range(len(words) - 3)]
    assert any(trees.TRANSCRIPT in f.read_text() for f in iemocap.corpus.rglob("transcriptions/*"))
    for file in written_files(iemocap):
        content = file.read_bytes().decode("utf-8", "replace")
        assert not any(piece in content for piece in pieces), file


def test_nothing_that_is_written_names_an_utterance_or_a_speaker(finished):
    """``anonymise: true`` is in both study files; turns and chunks look like these."""
    name = re.compile(rb"Ses0[1-5][FM]|(Ohm|Mont)_\d\d")
    for file in written_files(finished):
        found = name.search(file.read_bytes())
        assert found is None, (file, found)


def test_the_owner_finds_the_recording_behind_a_pseudonym(iemocap):
    owner = pd.read_csv(cache_folder() / "pseudonyms" / "iemocap.csv").set_index("pseudonym")
    for pseudonym in artifact(iemocap, "predictions")["utterance"].unique():
        assert (iemocap.corpus / owner.loc[pseudonym, "file"]).is_file()


def test_answers_that_may_hold_what_was_said_are_not_shown(iemocap):
    """A tiny model of one epoch writes all kinds of words; only those of labels may appear."""
    table = pd.read_csv(iemocap.folder / "tables" / "written_answers.csv")
    allowed = {"angry", "happy", "neutral", "sad"}
    for answer in table["answer"].fillna(""):
        words = set(re.findall(r"\w+", answer.lower()))
        assert words <= allowed or answer == "other words (not shown)"
