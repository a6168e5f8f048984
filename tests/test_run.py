"""A run: its stages, its files, and what it says of itself."""

import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import papermill
import pytest

from sercue import settings as settings_module
from sercue.artifacts import Artifacts
from sercue.corpora.corpus import example_corpus
from sercue.errors import DecodingError, InputError
from sercue.privacy import shareable
from sercue.provenance import read, record
from sercue.report.notebooks import notebook_files
from sercue.run import Run, open_run
from sercue.running import EXECUTED
from sercue.settings import Settings, fixture_notice, is_by_hand, run_folder, scratch_folder
from sercue.statistics.calibration import corrected_answers, example_answers
from sercue.statistics.measures import LABELS, uar
from sercue.study.plan import plan_study
from sercue.tables.examples import prompt_examples, wording_examples
from sercue.tokens.concepts import WORDS


@pytest.fixture
def finished(small_study):
    parameters = small_study.settings | {"out": str(small_study.folder)}
    return open_run(parameters | {"not_a_key": 1, "pd": pd, "__builtins__": {}}, reuse=True)


def test_stored_rows_come_back_in_the_order_of_the_plan(finished):
    """The primary cell of McNemar's test and every resample depend on it."""
    plan = finished.plan()
    rows = ["utterance", "condition", "replicate", "template", "label_order"]
    pd.testing.assert_frame_equal(finished.predictions[rows], plan[rows], check_dtype=False)


def test_the_stored_corpus_is_the_corpus(finished, small_study):
    fresh = open_run(small_study.settings | {"out": str(small_study.folder)}).corpus
    pd.testing.assert_frame_equal(
        finished.corpus.table, fresh.table, check_dtype=False, check_index_type=False
    )
    assert finished.corpus.labels == fresh.labels
    assert finished.corpus.synthetic


def test_artifacts_of_other_settings_are_not_taken(small_study, tmp_path):
    """Or notebook 05 would report on a study that nobody asked for."""
    artifacts = Artifacts(small_study.folder / "artifacts")
    assert artifacts.load("features.parquet", "other settings") is None
    assert artifacts.load_predictions("other settings") is None
    assert artifacts.load_corpus("other settings") is None
    assert Artifacts(tmp_path).load_predictions("any") is None


def test_measures_hold_conditions_and_baselines(finished, small_study):
    table = finished.measures
    assert table["condition"].tolist()[:5] == small_study.settings["conditions"]
    assert table["baseline"].sum() == 3
    assert ((table["uar_low"] <= table["uar"]) & (table["uar"] <= table["uar_high"])).all()
    assert finished.references["chance"] == 0.25
    assert len(finished.references) == 3


def test_changed_answers_and_speakers_are_those_of_the_predictions(finished):
    """In the first wording and label order; of each speaker, over all prompts."""
    rows = finished.predictions
    first = rows[(rows["template"] == "plain") & (rows["label_order"] == 0)]
    own, opposed = (
        first[first["condition"] == name].set_index("utterance")["prediction"].astype(object)
        for name in ("aligned", "conflicting")
    )
    changed = finished.changed("conflicting", "aligned")
    assert set(changed.index) == set(own.index[own != opposed])
    assert changed["p_aligned"].between(0, 1).all()
    speakers = finished.speakers()
    assert set(speakers.index) == set(rows["speaker"])
    assert speakers["utterances"].sum() == rows["utterance"].nunique()
    assert "conflicting − aligned" in speakers


def test_the_label_prior_of_a_finished_study_needs_no_model(finished, monkeypatch):
    """Notebook 04 stored the answers of development speakers that notebook 03 had asked for."""
    monkeypatch.setattr(Run, "ask", lambda *_, **__: pytest.fail("asked"))
    assert set(finished.prior_answers) == {"dev speakers"}
    assert not set(finished.tried["speaker"]) & set(finished.predictions["speaker"])
    assert set(finished.corrected["condition"]) == set(finished.predictions["condition"])
    assert finished.label_prior.index.tolist() == [
        ("dev speakers", prompt, quantity) for prompt in ("no tokens", "tokens")
        for quantity in ("mean probability", "divisor")
    ]  # fmt: skip
    assert any("Corrected for the label prior (dev speakers" in text for text in finished.findings)


def test_without_stored_answers_of_others_only_silence_tells_the_label_prior(tmp_path):
    """Answers that were made elsewhere: no model is there to be asked."""
    names = ["none", "aligned", "none @ silent"]
    answers = example_answers(conditions=names, speakers=8)
    run = Run(Settings(out=str(tmp_path), conditions=names), reuse=True)
    corpus = replace(example_corpus(), labels=tuple(LABELS))
    run.__dict__.update(predictions=answers, corpus=corpus, content="made", _left=object())
    run.__dict__["inputs"] = {"content": "made", "answers": "made"}
    assert run.corrected[["source", "condition"]].values.tolist() == [["silence", "none"]]
    run = Run(Settings(out=str(tmp_path), conditions=names), reuse=True)
    main = answers[answers["condition"] != "none @ silent"]
    run.__dict__.update(predictions=main, corpus=corpus, content="made", _left=object())
    run.__dict__["inputs"] = {"content": "made", "answers": "made"}
    with pytest.raises(InputError, match="answers about dev speakers are not stored"):
        _ = run.corrected


def test_in_a_cross_validation_other_folds_tell_the_label_prior(tmp_path):
    """Against the correction of each fold by the other, by hand."""
    table = example_corpus(4, 6).table
    table = table.assign(partition="test", fold=table["speaker"].replace({"s1": "s0", "s3": "s2"}))
    corpus = replace(example_corpus(), table=table, labels=tuple(LABELS))
    answers = example_answers(bias=(0, 1, 0)).assign(heard="own")
    run = Run(Settings(out=str(tmp_path), conditions=["none", "aligned"]))
    run.__dict__.update(predictions=answers, corpus=corpus)
    parts = [answers[answers["speaker"].isin(pair)] for pair in (("s0", "s1"), ("s2", "s3"))]
    expected = pd.concat(
        [corrected_answers(one, other, LABELS) for one, other in (parts, parts[::-1])]
    )
    aligned = expected[expected["condition"] == "aligned"]
    found = run.corrected.set_index("condition")["corrected"]
    assert set(run.corrected["source"]) == {"other folds"}
    assert found["aligned"] == pytest.approx(uar(aligned["truth"], aligned["prediction"], LABELS))


def test_other_folds_tell_no_label_prior_of_another_model(tmp_path):
    """A model of each fold has a preference of its own: its answers to silence alone tell it."""
    table = example_corpus(4, 6).table
    table = table.assign(partition="test", fold=table["speaker"].replace({"s1": "s0", "s3": "s2"}))
    corpus = replace(example_corpus(), table=table, labels=tuple(LABELS))
    answers = example_answers(bias=(0, 1, 0)).assign(heard="own")
    several = answers.assign(model=answers["speaker"].isin(["s0", "s1"]).map(str))
    run = Run(Settings(out=str(tmp_path), conditions=["none", "aligned"]))
    run.__dict__.update(predictions=several, corpus=corpus)
    with pytest.raises(InputError, match="each fold has a model of its own"):
        _ = run.corrected
    silent = several[several["condition"] == "none"]
    silent = silent.assign(condition="none @ silent", heard="silent")
    run = Run(Settings(out=str(tmp_path), conditions=["none", "aligned", "none @ silent"]))
    run.__dict__.update(predictions=pd.concat([several, silent]), corpus=corpus)
    assert set(run.prior_answers) == {"silence"}
    assert run.corrected["source"].tolist() == ["silence"]


def test_prompts_are_tried_in_the_decodings_that_the_model_can_do(finished, monkeypatch):
    """A server that only writes answers must not end notebook 03, unless the study is to score."""

    def ask(self, store, decoding, **_):
        if decoding == "score":
            raise DecodingError("no likelihoods")
        return pd.DataFrame({"decoding": [decoding]})

    monkeypatch.setattr(Run, "ask", ask)
    with pytest.raises(DecodingError):
        _ = finished.prompting
    finished.settings = finished.settings.model_copy(update={"decoding": "generate"})
    assert finished.prompting["decoding"].tolist() == ["generate"]


def test_a_bad_parameter_of_a_notebook_is_named():
    with pytest.raises(InputError, match="notebook parameters: bins: found 4"):
        open_run({"bins": 4})


DECLARED = 'study = "mine"\nseed = 0'
OPENED = "run = sercue.open_run(globals())"


@pytest.mark.parametrize(
    "cells",
    [
        [f"{DECLARED}\nsed = 1", OPENED],
        [DECLARED, "# Parameters\nsed = 1\n", "import sercue", OPENED],
        [f"{DECLARED}\nsed = 1", OPENED, OPENED],
        [f"{DECLARED}\nsed = 1\n{OPENED}"],
        [f"%matplotlib inline\n{DECLARED}\nsed: int = 1", OPENED],
        ["seed, sed = 0, 1", OPENED],
    ],
    ids=[
        "by hand",
        "by papermill",
        "opened again",
        "in one cell",
        "annotated",
        "in a tuple",
    ],
)
def test_a_parameter_that_nobody_declares_is_an_error_in_a_notebook(cells):
    with pytest.raises(InputError, match="unknown study key 'sed': did you mean 'seed'"):
        open_run(made(cells))


@pytest.mark.parametrize("opened", [[OPENED], [OPENED, OPENED]], ids=["once", "again"])
def test_a_parameter_that_is_misspelt_in_a_cell_of_its_own_is_an_error(opened):
    with pytest.raises(InputError, match="'conditons': did you mean 'conditions'"):
        open_run(made([DECLARED, "conditons = ['none']", *opened], conditons=["none"]))


@pytest.mark.parametrize(
    "cells",
    [
        [DECLARED, OPENED, "sed = 1", "sed = dict(seed=1)"],
        [f"{DECLARED}\nsed = 1", OPENED, DECLARED, OPENED],
        [f"sed = 'a'\n{DECLARED}\ncorpus_root = sed + '/b'", OPENED],
        ["%matplotlib inline", DECLARED, OPENED],
        [f"{DECLARED}\nmy_note = 'hello'\nfigsize = (3, 4)", OPENED],
        [DECLARED, "seeds = [1, 2]\nlabel = 'sad'", OPENED],
    ],
    ids=[
        "a variable",
        "mended since",
        "a step on the way",
        "magics",
        "names of their own",
        "plurals",
    ],
)
def test_what_is_no_parameter_of_a_notebook_is_not_read(cells, tmp_path):
    run = open_run(made(cells, out=str(tmp_path)))
    assert run.settings == Settings(study="mine", out=str(tmp_path))


def made(cells, **more):
    """What a kernel holds once it has executed these cells, the last of which opens the run."""
    return {"__builtins__": {}, "In": ["", *cells], "study": "mine", "seed": 0, "sed": 1, **more}


def test_a_mapping_with_an_unknown_key_is_refused():
    with pytest.raises(InputError, match="unknown study key 'sed'"):
        open_run({"sed": 1})


def test_plain_papermill_shows_an_unknown_parameter_in_its_report(tmp_path):
    notebook, done = notebook_files()[0], tmp_path / "done.ipynb"
    parameters = {"out": str(tmp_path / "out"), "sed": 1}
    with pytest.raises(papermill.PapermillExecutionError):
        papermill.execute_notebook(notebook, done, parameters, progress_bar=False)
    assert "unknown study key 'sed': did you mean 'seed'?" in done.read_text(encoding="utf-8")


def test_where_a_run_writes(tmp_path, monkeypatch):
    assert run_folder(Settings(out=str(tmp_path))) == tmp_path
    assert run_folder(Settings(study="mine")).parts[-2:] == ("reports", "mine")
    assert scratch_folder("mine").parts[-2:] == ("scratch", "mine")
    assert is_by_hand(Settings())
    assert not is_by_hand(Settings(out=str(tmp_path)))
    monkeypatch.setenv(EXECUTED, "1")
    assert not is_by_hand(Settings())


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project folder of its own, as an installed package has it: the current folder."""
    monkeypatch.setattr(settings_module, "project_folder", lambda: tmp_path)
    return tmp_path


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_two_finished_studies_are_read_side_by_side(small_study, project):
    """Nothing is written into either; corpus, answers and tests are those that lie there."""
    first = shutil.copytree(small_study.as_left, project / "reports" / "first")
    second = small_study.evaluated_again(project / "reports" / "second", confidence=0.5)
    before = contents(project / "reports")
    one, other = open_run(str(first)), open_run(second)
    pd.testing.assert_frame_equal(one.predictions, other.predictions)
    both = one.measures.merge(other.measures, on="condition", suffixes=("_one", "_other"))
    assert (both["uar_one"] == both["uar_other"]).all()
    assert (both["uar_low_one"] <= both["uar_low_other"]).all()
    assert len(one.tests) == 7
    assert not one.controls.empty
    assert one.settings.corpus_options == small_study.settings["corpus_options"]
    assert contents(project / "reports") == before
    assert {path.name for path in (project / "scratch").iterdir()} == {"first", "second"}


def test_a_study_opened_by_hand_takes_over_what_lies_in_its_reports(small_study, project):
    shutil.copytree(small_study.as_left, project / "reports" / "small")
    before = contents(project)
    run = open_run(small_study.settings)
    assert run.folder == project / "scratch" / "small"
    assert len(run.predictions) == 448
    assert "answering" not in vars(run.model), "the model was asked"
    assert not run.controls.empty
    assert open_run(small_study.settings, reuse=True)._left is not None
    assert before.items() <= contents(project).items()
    assert "scratch/small" in run._repr_html_()


def test_what_was_asked_by_hand_is_not_asked_again_by_the_study(small_study, project):
    shutil.copytree(small_study.as_left, project / "scratch" / "small")
    run = Run(Settings(**small_study.settings))
    assert run.folder == project / "reports" / "small"
    assert len(run.predictions) == 448
    assert "answering" not in vars(run.model), "the model was asked"


@pytest.mark.parametrize("files", [[], ["artifacts/provenance.json"]])
def test_a_folder_without_a_finished_study_is_named(files, small_study, project):
    place = project / "half"
    for file in files:
        (place / file).parent.mkdir(parents=True)
        shutil.copy(small_study.as_left / file, place / file)
    with pytest.raises(InputError, match=r"half: .*; valid is"):
        open_run(place)


@pytest.mark.parametrize(
    ("corpus", "model", "reasons"),
    [
        ("demo", "sercue-tiny", ["speech is synthetic", "model is a tiny one"]),
        ("demo", "qwen2-audio", ["speech is synthetic"]),
        ("emodb", "sercue-tiny", ["model is a tiny one"]),
        ("emodb", "hf:me/mine", []),
    ],
)
def test_a_fixture_says_why_it_is_one(corpus, model, reasons):
    notice = fixture_notice(Settings(corpus=corpus, model=model))
    assert (notice is None) == (not reasons)
    assert all(reason in notice for reason in reasons)


def test_provenance_is_merged_and_names_no_folder(tmp_path):
    path = tmp_path / "deep" / "provenance.json"
    record(path, seconds={"01": 1.0}, model="a")
    record(path, seconds={"02": 2.0}, model="b")
    assert read(path) == {"seconds": {"01": 1.0, "02": 2.0}, "model": "b"}
    here = {"corpus_root": "/home/someone/corpora/emodb", "out": "/srv/x", "model": "hf:~/mine"}
    told = shareable(Settings(**here))
    assert (told["corpus_root"], told["out"], told["model"]) == ("emodb", "x", "hf:mine")
    assert shareable(Settings(scheduler="tcp://login1:8786"))["scheduler"] == "tcp://HOST:8786"


def example_plan(labels=("<b>", "sad")):
    corpus = example_corpus(speakers=2, utterances=2)
    tokens = pd.DataFrame(
        {"energy": ["low", "high"] * 2, "pitch": ["low", "mid"] * 2}, corpus.table.index
    )
    words = dict(zip(corpus.labels, labels, strict=True))
    return plan_study(
        corpus,
        tokens,
        conditions=["none", "aligned", "conflicting"],
        label_words=words,
        orders=2,
        templates=["plain", "question", "annotator"],
    )


def test_examples_mark_what_a_condition_changed():
    """By hand: the first utterance is low, low; mirrored, both are high."""
    shown = prompt_examples(example_plan(), ["plain"]).data
    none, aligned, conflicting = shown.split('<div class="prompt">')[1:]
    assert "<mark>" not in none + aligned
    assert "energy=low, pitch=low" in aligned
    assert "<mark>energy=high</mark>, <mark>pitch=high</mark>" in conflicting


def test_examples_show_markup_in_labels_as_text():
    shown = prompt_examples(example_plan(), ["plain"]).data + wording_examples(example_plan()).data
    assert "<b>, sad" not in shown
    assert "&lt;b&gt;, sad" in shown
    assert shown.count("label order 1") == 3


def test_the_plan_is_a_function_of_the_seed():
    assert example_plan().equals(example_plan())
    assert np.array_equal(example_plan()["prompt"], example_plan()["prompt"])


def test_a_run_plans_with_the_keys_of_its_study(tmp_path):
    """Seed, repetitions, orders and partition among them, none of which is its default here."""
    keys = {"conditions": ["shuffled", "corrupted(0.5)"], "templates": ["plain"],
            "replicates": 2, "partition": "dev"}  # fmt: skip
    run = Run(Settings(seed=7, label_orders=2, out=str(tmp_path), **keys))
    corpus = example_corpus(speakers=3, utterances=6)
    corpus.table["partition"] = "dev"
    tokens = pd.DataFrame({"energy": ["low", "mid", "high"] * 6}, corpus.table.index)
    run.corpus, run.tokens, run.scores = corpus, tokens, None
    run.binning = SimpleNamespace(words=WORDS[3])
    seventh, first = (plan_study(corpus, tokens, seed=seed, orders=2, **keys) for seed in (7, 0))
    pd.testing.assert_frame_equal(run.plan(), seventh)
    assert not run.plan().equals(first)
