"""Results do not outlive what they were made from: each input changed in turn, on a small corpus.

The stages of the notebooks are called as these call them: 04 anew, 05 from what 04 left.
"""

import copy
import json
import shutil
import subprocess
import sys

import nbformat
import numpy as np
import pandas as pd
import pytest
import soundfile

from sercue import run as answers
from sercue import run as stages
from sercue.artifacts import Artifacts, at_work, check_run_folder, made_from
from sercue.corpora.audio import audio_digests
from sercue.errors import InputError
from sercue.features import functionals
from sercue.provenance import invocation, record
from sercue.report.ahead import all_is_stored
from sercue.report.comparison import read_runs, runs_table, settings_table, uar_of_runs
from sercue.report.finished import read_run
from sercue.report.methods import methods_text
from sercue.report.notebooks import _prepare, run_notebooks
from sercue.report.pages import write_index
from sercue.run import Run, open_run
from sercue.settings import RESULT_KEYS, settings_from
from sercue.statistics.controls import CONTROLS
from sercue.storage.tables import append_part, part_files, read_parts

TABLES = ["utterances", "left_out", "features", "tokens", "measures", "tests"]
EVERYTHING = {*TABLES, "binning", "predictions"}
AFTER_ANSWERS = {"predictions", "measures", "tests"}


class Model:
    """Prefers a label by the length of the prompt; counts what it is asked."""

    name, device, dtype, batch_size = "made", "cpu", "float32", 8
    sampling_rate, max_seconds = 16000, np.inf

    def __init__(self, identity):
        self.identity, self.asked = identity, 0

    def score(self, audios, prompts, labels):
        self.asked += sum(map(len, prompts))
        return [
            np.array([[-float((len(p) + n) % 3) for n in range(len(labels))] for p in own])
            for own in prompts
        ]

    def facts(self):
        return {}


def write_corpus(folder):
    """A table of 24 utterances of four speakers, three of them tested; the recordings beside it.

    With one speaker to train on the SVM has nobody to hold out, and searches nothing.
    """
    generator, rows = np.random.default_rng(0), []
    for speaker in "acde":
        for number in range(6):
            file, label = f"{speaker}{number}.wav", ("sad", "happy")[number % 2]
            noise = generator.normal(0, 0.02 * (number + 1), 8000)
            soundfile.write(folder / file, noise, 16000)
            rows.append({"file": file, "emotion": label, "speaker": speaker,
                         "partition": "test" if speaker in "cde" else "train"})  # fmt: skip
    table = folder / "corpus.csv"
    pd.DataFrame(rows).to_csv(table, index=False)
    return table


def functionals_by_content(corpus, **_):
    """What openSMILE would take seconds for: numbers that follow from the bytes of the audio."""
    values = [
        np.random.default_rng(int(digest, 16)).normal(1, 0.1, 88)
        for digest in audio_digests(corpus)
    ]
    return pd.DataFrame(values, corpus.table.index, functionals().feature_names)


class Study:
    """One study of the corpus, opened as often as its notebooks would open it."""

    def __init__(self, corpus, monkeypatch, **changes):
        self.corpus, self.model = corpus, Model("made@1")
        self.settings = {
            "study": "made", "out": str(corpus.parent / "out"), "corpus": "table",
            "corpus_root": str(corpus), "model": "hf:made", "conditions": ["none", "aligned"],
            "templates": ["plain"], "label_orders": 1, "replicates": 1, "controls": False,
            # Of steady tones the means of F0 do not vary.
            "scheme": "sercue",
            "resamples": 100,
        } | changes  # fmt: skip
        monkeypatch.setattr(answers, "load_model", lambda *_, **__: self.model)
        monkeypatch.setattr(stages, "extract_all", functionals_by_content)

    def opened(self, **options):
        return open_run(self.settings, **options)

    def run(self):
        """Notebooks 01 to 04, and then 05."""
        self.measured()
        return self.tested()

    def measured(self):
        run = self.opened()
        _ = run.measures
        return run

    def tested(self):
        run = self.opened(reuse=True)
        _ = run.tests, run.findings
        return run

    @property
    def artifacts(self):
        return Artifacts(self.opened().folder / "artifacts")

    def stamps(self):
        """What each file says that it was made from."""
        artifacts, held = self.artifacts, {}
        for name in TABLES:
            stamp = artifacts.stamp(artifacts.read(f"{name}.parquet"))
            held[name] = {key: stamp.get(key) for key in ("settings", "content", "answers")}
        held["binning"] = json.loads((artifacts.folder / "binning.json").read_text())["sercue"]
        held["predictions"] = artifacts.provenance()["predictions"]
        return held

    def change_table(self, rows=(23,), **columns):
        """Correct the last utterance of the last speaker, or others."""
        table = pd.read_csv(self.corpus, dtype=str)
        for column, value in columns.items():
            table.loc[list(rows), column] = value
        table.to_csv(self.corpus, index=False)


@pytest.fixture(scope="module")
def finished(cache, tmp_path_factory):
    """The folder with the corpus and its study, a copy of it beside, and the run itself."""
    folder = tmp_path_factory.mktemp("finished") / "study"
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        run = Study(write_corpus(folder), patch).run()
    _ = run.predictions, run.content
    shutil.copytree(folder, folder.with_name("as_left"))
    return folder, run


@pytest.fixture
def study(finished, monkeypatch):
    """The finished study, to be run again in the same place, since its path is a setting.

    ``first`` is the run that finished it.
    """
    folder, first = finished
    shutil.rmtree(folder)
    shutil.copytree(folder.with_name("as_left"), folder)
    study = Study(folder / "corpus.csv", monkeypatch)
    study.first = first
    return study


def change_label(study):
    study.change_table(emotion="sad")


def change_speaker(study):
    study.change_table(speaker="c")


def change_partition(study):
    study.change_table(rows=range(18, 24), partition="dev")


def change_audio(study):
    noise = np.random.default_rng(1).normal(0, 0.3, 8000)
    soundfile.write(study.corpus.parent / "e5.wav", noise, 16000)


def change_thresholds(study):
    study.settings["bins"] = 5


def change_template(study):
    study.settings["templates"] = ["question"]


def change_seed(study):
    study.settings["seed"] = 1


def change_model(study):
    study.model = Model("made@2")


CHANGES = {
    "label": (change_label, EVERYTHING, 0),
    "speaker": (change_speaker, EVERYTHING, 0),
    "partition": (change_partition, EVERYTHING, 0),
    "audio": (change_audio, EVERYTHING, 2),
    "thresholds": (change_thresholds, AFTER_ANSWERS | {"tokens", "binning"}, 18),
    "template": (change_template, AFTER_ANSWERS, 36),
    "seed": (change_seed, EVERYTHING - {"binning"}, 0),
    "model": (change_model, AFTER_ANSWERS, 36),
}


def test_whether_all_answers_are_stored_is_told_by_what_they_were_asked_with(study, monkeypatch):
    """Where they are not, one notebook waits for the other; how they are evaluated is the same."""
    settings = settings_from(study.settings, "test")
    # openSMILE extracted none of these features.
    assert not all_is_stored(settings)
    monkeypatch.setattr("sercue.report.ahead.extracted", lambda digests: digests.notna())
    assert all_is_stored(settings)
    assert all_is_stored(settings.model_copy(update={"confidence": 0.9}))
    for changed in ({"seed": 1}, {"controls": True}, {"out": str(study.corpus.parent / "new")}):
        assert not all_is_stored(settings.model_copy(update=changed)), changed
    (study.artifacts.folder / "utterances.parquet").unlink()
    assert not all_is_stored(settings)


@pytest.mark.parametrize("name", CHANGES)
def test_what_rests_on_a_changed_input_is_made_anew_and_nothing_else(study, name):
    """And only those prompts are asked again that changed: two of a recording, or all."""
    change, expected, asked = CHANGES[name]
    before, study.model.asked = study.stamps(), 0
    change(study)
    measured, tested = study.measured(), study.tested()
    after = study.stamps()
    assert {name for name in before if before[name] != after[name]} == expected
    # Of five bins, not all words are other ones.
    assert study.model.asked == asked or (name == "thresholds" and study.model.asked)
    rows = [
        sorted(map(tuple, table[["utterance", "condition", "truth", "speaker"]].astype(str).values))
        for table in (
            measured.predictions,
            tested.predictions,
            read_parts(study.artifacts.folder / "predictions"),
        )
    ]
    assert rows[0] == rows[1] == rows[2]


@pytest.mark.parametrize("name", ["label", "audio"])
def test_05_alone_does_not_show_a_corpus_that_was_corrected_since(study, name):
    """Without 04 in between: what it left is of the corpus as it was."""
    first = study.first
    CHANGES[name][0](study)
    alone = study.tested()
    again = study.run()
    pd.testing.assert_frame_equal(alone.tests, again.tests, check_dtype=False)
    assert alone.content != first.content
    assert alone.predictions["truth"].tolist() == again.predictions["truth"].tolist()


def test_05_alone_takes_what_is_stored_where_the_corpus_is_not_at_hand(study, caplog):
    """Neither recordings nor model are needed; that labels could not be compared is no secret."""
    first = study.first
    for file in study.corpus.parent.glob("*.wav"):
        file.unlink()
    study.model = None
    again = study.tested()
    pd.testing.assert_frame_equal(again.tests, first.tests, check_dtype=False)
    assert "What an earlier notebook stored of the corpus is used" in caplog.text
    study.corpus.unlink()
    pd.testing.assert_frame_equal(study.tested().tests, first.tests, check_dtype=False)


def test_answers_of_a_study_that_was_killed_are_not_those_of_the_finished_one(study):
    """As many rows, stored in the same place, before anything was recorded of them."""
    finished = study.first
    before = finished.predictions
    study.settings["templates"] = ["annotator"]
    study.opened().ask("predictions")
    study.settings["templates"] = ["plain"]
    again = study.tested()
    assert set(again.predictions["template"]) == {"plain"}
    pd.testing.assert_frame_equal(
        again.predictions.astype(object), before.astype(object), check_dtype=False
    )


def test_one_value_that_was_changed_in_the_stored_answers_is_not_evaluated(study):
    """By another program, so that the file has no digest of its own."""
    first = study.first
    (part,) = part_files(study.artifacts.folder / "predictions")
    table = pd.read_parquet(part)
    table.loc[3, "truth"] = "sad" if table.loc[3, "truth"] == "happy" else "happy"
    table.to_parquet(part)
    pd.testing.assert_frame_equal(study.tested().tests, first.tests, check_dtype=False)


def test_controls_of_a_corpus_that_was_corrected_are_asked_again(tmp_path, monkeypatch, cache):
    """Or answers about other speakers and other audio would stand beside those of the model."""
    asked = []

    def ask_controls(run):
        asked.append(run.corpus.table["emotion"].tolist())
        rows = run.ask(templates=["plain"])
        return pd.concat([rows.assign(model=name) for name in CONTROLS], ignore_index=True)

    monkeypatch.setattr(Run, "_ask_controls", ask_controls)
    monkeypatch.setattr(Run, "_untrainable", "")
    study = Study(write_corpus(tmp_path), monkeypatch, controls=True)
    for _ in range(2):
        _ = study.measured().controls
        stored = study.tested().controls
    assert len(asked) == 1
    change_label(study)
    _ = study.measured().controls
    assert len(asked) == 2
    assert asked[0] != asked[1]
    again = study.tested().controls
    assert again["truth"].tolist() != stored["truth"].tolist()


def test_the_index_shows_no_numbers_of_answers_that_are_gone(study):
    """04 ran again after a correction, 05 did not: measures of now would stand beside old tests."""
    settings = settings_from(study.settings)
    folder = study.artifacts.folder.parent

    def shown():
        return "has not been evaluated yet" not in write_index(folder, settings, {}).read_text()

    assert shown()
    change_label(study)
    study.measured()
    assert not shown()
    study.tested()
    assert shown()


def test_pages_and_drawings_of_other_numbers_are_called_out_of_date(study):
    """05 ran alone, after a correction or with another level of confidence."""
    folder, log = study.artifacts.folder.parent, study.artifacts.provenance_file
    names = ["01_feature_exploration", "04_perturbation_study", "05_statistical_testing"]
    (folder / "figures").mkdir()
    (folder / "figures" / "uar.svg").write_text("<svg></svg>")

    def finished(*ended):
        settings = settings_from(study.settings)
        for name in ended:
            (folder / f"{name}.html").touch()
            from_ = made_from(name, settings, study.artifacts.provenance())
            record(log, notebooks={name: {"made_from": from_}})
        index = write_index(folder, settings, {}).read_text()
        return index.count("made with other settings"), 'class="plot"' in index

    assert finished(*names) == (0, True)
    change_label(study)
    study.tested()
    assert finished(names[2]) == (2, False)
    study.run()
    assert finished(*names) == (0, True)
    study.settings["confidence"] = 0.9
    study.tested()
    assert finished(names[2]) == (2, False)


def test_a_comparison_refuses_files_of_two_corpora(study, tmp_path):
    """01 ran again after a correction, and nothing else."""
    folder = study.artifacts.folder.parent
    assert read_run(folder).tests.shape[0] == 1
    change_label(study)
    _ = study.opened().digests
    with pytest.raises(InputError, match="not finished: tokens, binning, measures, tests in its"):
        read_run(folder)


def test_thresholds_with_another_digit_are_not_told(study):
    path = study.artifacts.folder / "binning.json"
    held = json.loads(path.read_text())
    held["thresholds"]["energy"][""][0] += 0.001
    path.write_text(json.dumps(held))
    with pytest.raises(InputError, match=r"binning\.json: its content is not what was written"):
        read_run(study.artifacts.folder.parent)


def test_a_folder_whose_provenance_was_moved_away_is_gone_on_with(study, tmp_path):
    """As the message about one that cannot be read advises."""
    first = study.first
    path = study.artifacts.provenance_file
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match="move it elsewhere"):
        study.opened()
    shutil.move(path, tmp_path / "kept.json")
    (path.parent.parent / "figures").mkdir(exist_ok=True)
    (path.parent.parent / "figures" / "uar.svg").write_text("")
    check_run_folder(path.parent.parent)
    pd.testing.assert_frame_equal(study.run().tests, first.tests, check_dtype=False)


def test_rows_of_answers_that_are_stored_twice_are_not_read_twice(study):
    """As a run leaves them that is killed while it settles."""
    first = study.first
    folder = study.artifacts.folder / "predictions"
    append_part(folder, first.predictions.iloc[:5])
    again = study.tested()
    assert len(again.predictions) == len(first.predictions) == 36
    pd.testing.assert_frame_equal(again.tests, first.tests, check_dtype=False)


def mutations(held, depth=3):
    """Each entry left out, of another type, empty, and null; in mappings and lists below, too."""
    keys = list(held) if isinstance(held, dict) else range(len(held))
    for key in keys:
        value = held[key]
        for other in ("x" if not isinstance(value, str) else 7, [], {}, "", None):
            changed = copy.deepcopy(held)
            changed[key] = other
            yield changed
        changed = copy.deepcopy(held)
        del changed[key]
        yield changed
        if depth > 1 and isinstance(value, dict | list):
            for below in mutations(value, depth - 1):
                changed = copy.deepcopy(held)
                changed[key] = below
                yield changed


def some(mutated, number):
    """As many of them, drawn from all."""
    every = list(mutated)
    drawn = np.random.default_rng(0).choice(len(every), min(number, len(every)), replace=False)
    return [every[place] for place in drawn]


def told(folder):
    """What a comparison shows of a run and the methods say, or the one line of its error."""
    try:
        runs = read_runs([folder])
        shown = uar_of_runs(runs).to_csv(), runs_table(runs).to_csv()
        _ = settings_table(runs), methods_text(folder)
    except InputError as error:
        assert "\n" not in str(error)
        return None
    return shown


def test_altered_provenance_is_refused_in_one_line_or_changes_no_number(study):
    """Whatever happened to the file, and whoever edited it."""
    path = study.artifacts.provenance_file
    folder, whole = path.parent.parent, json.loads(path.read_text())
    assert (expected := told(folder)) is not None
    del whole["packages"]
    refused = 0
    for held in some(mutations(whole), 60):
        path.write_text(json.dumps(held))
        found = told(folder)
        assert found in (None, expected), held
        refused += found is None
    assert refused > 4


def test_altered_provenance_stops_a_run_in_one_line_or_is_mended(study):
    """05 alone, on what an earlier run left; then the index."""
    first = study.first
    path, settings = study.artifacts.provenance_file, settings_from(study.settings)
    whole = {
        key: value
        for key, value in json.loads(path.read_text()).items()
        if key in ("corpus", "model", "predictions", "seconds", "notebooks", "settings", "schema")
    }
    invoked = {"seconds": {"05": 1.0}, "notebooks": {"05": {"outcome": "done"}}}
    for held in some(
        mutations({**whole, **invoked, "runs": [{"number": 1}], "run_count": 1}, 2), 15
    ):
        path.write_text(json.dumps(held))
        try:
            with invocation(path, "sercue run", ["05"]):
                run = study.tested()
                record(path, **invoked)
            write_index(path.parent.parent, settings, {})
        except InputError as error:
            assert "\n" not in str(error)
            continue
        assert run.tests.to_csv() == first.tests.to_csv(), held


def test_files_that_a_loss_of_power_cut_are_made_anew_or_refused_in_one_line(study):
    """Each file of a finished run in turn: half of it or, of every other one, nothing."""
    first = study.first
    folder = study.artifacts.folder.parent
    expected = told(folder)
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    for number, path in enumerate(files):
        content = path.read_bytes()
        if not content:
            continue
        path.write_bytes(content[: len(content) // 2 * (number % 2)])
        assert told(folder) in (None, expected), path
        try:
            assert study.tested().tests.to_csv() == first.tests.to_csv(), path
        except InputError as error:
            assert path.name == "provenance.json"
            assert "\n" not in str(error)
            path.write_bytes(content)


def test_a_notebook_that_was_cut_is_set_aside(tmp_path, caplog):
    """Of one whose page was not written, the page is rendered when others have run."""
    for name, content in {
        "01_a.ipynb": "",
        "02_b.ipynb": '{"cells": [',
        "03_c.ipynb": "[]",
    }.items():
        (tmp_path / name).write_text(content)
    whole = nbformat.writes(nbformat.v4.new_notebook())
    (tmp_path / "04_d.ipynb").write_text(whole)
    _prepare(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"01_a.torn", "02_b.torn", "03_c.torn", "04_d.ipynb"}
    assert "01_a.ipynb could not be read" in caplog.text


AT_WORK = """
import sys
from pathlib import Path
from sercue.artifacts import at_work
with at_work(Path(sys.argv[1]), sys.argv[2]):
    print("at work", flush=True)
    sys.stdin.read()
"""


def test_a_run_of_other_settings_waits_for_the_end_of_one_that_is_at_work(tmp_path):
    """Or tables and figures of both would lie in the folder; two of one study may share it."""
    command = [sys.executable, "-c", AT_WORK, tmp_path, "a"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as first:
        assert first.stdout.readline() == b"at work\n"
        with (
            pytest.raises(InputError, match=rf"other settings is at work .*process {first.pid} on"),
            at_work(tmp_path, "b"),
        ):
            pass
        with at_work(tmp_path, "a"):
            pass
        first.kill()
        first.wait()
    with at_work(tmp_path, "b"):
        assert len(list((tmp_path / "artifacts").glob(".run-*.lock"))) == 1
    assert not list((tmp_path / "artifacts").glob(".run-*.lock"))


def test_two_runs_of_other_settings_on_one_folder_do_not_mix(tmp_path):
    """The second is told at once, before anything of it is written."""
    first, second = ({"out": str(tmp_path), "confidence": level} for level in (0.9, 0.95))
    with (
        at_work(tmp_path, settings_from(first).fingerprint(RESULT_KEYS)),
        pytest.raises(InputError, match="at work"),
    ):
        run_notebooks(settings_from(second), only=["02"])
    with (
        at_work(tmp_path, settings_from(first).fingerprint(RESULT_KEYS)),
        pytest.raises(InputError, match="at work"),
    ):
        open_run(second)
    assert not (tmp_path / "artifacts" / "provenance.json").exists()
