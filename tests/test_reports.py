"""The reports of a study: everything that is promised is written, and nothing asks the network."""

import json
import re
import shutil
from html.parser import HTMLParser

import nbformat
import pandas as pd
import pytest

from sercue.cli import main
from sercue.report import pages as pages_module
from sercue.report.notebooks import _parameters, choose_notebooks, notebook_files
from sercue.run import open_run
from sercue.settings import Settings, settings_from
from sercue.statistics.measures import uar

NAMES = [path.stem for path in notebook_files()]
ARTIFACTS = ["utterances.parquet", "features.parquet", "binning.json", "tokens.parquet",
             "measures.parquet", "tests.parquet", "provenance.json"]  # fmt: skip


class References(HTMLParser):
    """Collects what a page refers to, the alternative texts of its images, and its ids."""

    def __init__(self, text):
        super().__init__()
        self.sources, self.links, self.alts, self.ids = [], [], [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if tag == "img":
            self.alts.append(attributes.get("alt"))
        if "id" in attributes:
            self.ids.add(attributes["id"])
        self.sources += [attributes[name] for name in ("src",) if name in attributes]
        if tag == "link":
            self.sources.append(attributes["href"])
        elif "href" in attributes:
            self.links.append(attributes["href"])


@pytest.fixture(scope="module")
def pages(small_study):
    files = [
        *(small_study.folder / f"{name}.html" for name in NAMES),
        *(small_study.folder / f"{name}.html" for name in ("index", "utterances")),
    ]
    return {file.name: file.read_text(encoding="utf-8") for file in files}


def test_the_study_ran_through(small_study):
    assert small_study.status == 0
    assert len(NAMES) == 5


def test_everything_promised_is_written(small_study):
    folder = small_study.folder
    for name in NAMES:
        assert (folder / f"{name}.html").is_file()
        assert (folder / f"{name}.ipynb").is_file()
    assert [name for name in ARTIFACTS if not (folder / "artifacts" / name).is_file()] == []
    assert list((folder / "artifacts" / "predictions").glob("*.parquet"))
    assert (folder / "methods.md").is_file()
    tables = {path.stem for path in (folder / "tables").glob("*.csv")}
    assert tables == {path.stem for path in (folder / "tables").glob("*.tex")}
    assert {"uar", "contrasts", "recall", "balance"} <= tables
    assert {"uar", "confusions", "contrasts"} <= {
        p.stem for p in (folder / "figures").glob("*.svg")
    }


def test_executed_notebooks_hold_no_error(small_study):
    for name in NAMES:
        notebook = nbformat.read(small_study.folder / f"{name}.ipynb", as_version=4)
        outputs = [o for c in notebook.cells if c.cell_type == "code" for o in c.outputs]
        assert outputs
        assert [o for o in outputs if o.output_type == "error"] == []


def test_pages_ask_for_nothing_from_anywhere(pages):
    """A report must look the same at a collaborator's desk, offline."""
    for text in pages.values():
        assert all(source.startswith("data:") for source in References(text).sources)
        assert "@import" not in text
        assert not re.search(r"url\((?!['\"]?data:)", text)


def test_links_between_pages_resolve(pages):
    for text in pages.values():
        found = References(text)
        for link in found.links:
            is_held = link.startswith("data:")  # a file that the page holds to be saved
            assert is_held or link in pages or link.removeprefix("#") in found.ids, link


def test_every_figure_says_in_words_what_it_shows(pages):
    for name, text in pages.items():
        alts = References(text).alts
        assert all(alts), name
    assert sum(len(References(text).alts) for text in pages.values()) > 12


def test_the_first_screen_says_that_it_is_a_fixture(pages):
    for text in pages.values():
        main = text.split("<main")[1]
        assert "A fixture, not evidence" in main[:300]


def test_every_report_can_be_mailed(pages):
    """Mail servers of universities refuse more than some megabytes."""
    for name, text in pages.items():
        assert len(text.encode()) < 3_000_000, name


def test_no_page_names_a_folder_of_this_machine(pages, small_study):
    for name, text in pages.items():
        assert str(small_study.folder.parent) not in text, name


def test_every_figure_is_there_for_a_paper(small_study):
    figures = small_study.folder / "figures"
    assert {p.stem for p in figures.glob("*.svg")} == {p.stem for p in figures.glob("*.pdf")}


def test_progress_bars_are_not_part_of_a_report(pages):
    for text in pages.values():
        assert "%|" not in text


def test_bars_below_bars_leave_nothing_behind():
    """A model that trains within a study draws its bar below another, moving the cursor."""
    texts = ["\rstudy:   0%|  | 0/64", "\n", "\x1b[A", "\rtraining:  10%|# | 1/9", "\x1b[A\n"]
    outputs = [
        nbformat.v4.new_output("stream", name="stderr", text=text) for text in [*texts, "a warning"]
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1", outputs=outputs)])
    pages_module._drop_progress(notebook)
    assert [output.text for output in notebook.cells[0].outputs] == ["a warning"]


def test_the_index_gives_what_it_takes_to_repeat_the_run(pages):
    text = pages["index.html"]
    assert "sercue run small.yaml" in text
    for part in ("git commit", "torch", "transformers", "opensmile", "tuning_limit"):
        assert part in text


def test_what_limits_the_inference_stands_beside_the_claims(pages):
    """In the summaries of 01, 04 and 05 and on the index; two of six speakers are test."""
    for name, text in pages.items():
        claims = name[:2] in ("01", "04", "05", "in")
        assert ("With 2 speakers a sign-flip test cannot give" in text) == claims


def test_the_headline_number_is_that_of_the_predictions(pages, small_study):
    """Recomputed from the stored rows, from nothing else."""
    predictions = pd.concat(
        map(pd.read_parquet, (small_study.folder / "artifacts" / "predictions").glob("*.parquet"))
    )
    labels = sorted(predictions["truth"].unique())
    for condition in ("none", "aligned"):
        rows = predictions[predictions["condition"] == condition]
        value = uar(rows["truth"], rows["prediction"], labels)
        assert f"{value:.3f} [".lstrip("0") in pages["index.html"]


def test_provenance_names_no_folder_and_all_parameters(small_study):
    text = (small_study.folder / "artifacts" / "provenance.json").read_text()
    held = json.loads(text)
    assert held["parameters"]["corpus_options"] == {"speakers": 6, "sentences": 2}
    assert held["corpus"]["utterances"] == 48
    assert held["model"]["name"] == "sercue-tiny"
    assert set(held["seconds"]) == set(NAMES)
    assert str(small_study.folder.parent) not in text


def test_a_second_run_asks_nothing_again(small_study):
    """Parts keep their names and bytes; what notebook 04 asks is found in them."""
    before = contents(small_study.folder / "artifacts" / "predictions")
    run = open_run(small_study.settings | {"out": str(small_study.folder)})
    assert len(run.predictions) == 448
    assert contents(small_study.folder / "artifacts" / "predictions") == before


def test_05_is_rendered_again_without_model_or_audio(small_study, tmp_path, monkeypatch):
    """Only the run's own files: an empty cache holds no speech, no features and no model."""
    monkeypatch.setenv("SERCUE_CACHE", str(tmp_path / "empty"))
    parameters = small_study.settings | {"out": str(small_study.folder)}
    run = open_run(parameters, reuse=True)
    assert len(run.tests) == 7
    assert not (tmp_path / "empty").exists()
    stored = pd.read_parquet(small_study.folder / "artifacts" / "tests.parquet")
    pd.testing.assert_frame_equal(run.tests, stored[list(run.tests)], check_dtype=False)


def in_the_way(out):
    """A folder where the first figure of 02 belongs, in what looks like the folder of a run."""
    (out / "artifacts").mkdir(parents=True, exist_ok=True)
    if not (out / "artifacts" / "provenance.json").exists():
        (out / "artifacts" / "provenance.json").write_text("{}")
    (out / "figures" / "thresholds.svg").unlink(missing_ok=True)
    (out / "figures" / "thresholds.svg").mkdir(parents=True)


def test_a_failing_notebook_is_saved_and_shown_and_stops_those_that_need_it(
    small_study, tmp_path, capsys
):
    """02 cannot store a figure, and 03 to 05 have nothing to stand on."""
    out = tmp_path / "out"
    in_the_way(out)
    only = ["--only", "02", "03", "04", "05"]
    status = main(["run", str(small_study.file), "--out", str(out), *only])
    assert status == 1
    told = capsys.readouterr().out
    assert "02_binning_design" in told
    assert "failed: StorageError: " in told
    assert "not run: it needs notebook 02" in told
    report = (out / "02_binning_design.html").read_text()
    assert "This notebook stopped with an error." in report
    assert "thresholds.svg could not be stored" in report
    assert "error" in References(report).ids
    assert (out / "02_binning_design.ipynb").is_file()
    assert not (out / "04_perturbation_study.html").exists()
    index = (out / "index.html").read_text()
    assert "stopped with an error" in index
    assert "04_perturbation_study.html" not in References(index).links


def test_the_index_never_shows_the_numbers_of_other_settings(small_study, tmp_path):
    """A run that fails leaves the tables of the run before it; they answer another question."""
    out = tmp_path / "out"
    shutil.copytree(small_study.folder, out)
    changed = ["--only", "02", "--set", "binning=width"]
    in_the_way(out)
    assert main(["run", str(small_study.file), "--out", str(out), *changed]) == 1
    index = (out / "index.html").read_text()
    assert "has not been evaluated yet" in index
    assert "<dt>" not in index.partition("<h2>How to repeat")[0]
    assert References(index).alts == []


def test_only_chosen_notebooks_run():
    assert [path.stem[:2] for path in choose_notebooks(["5", "04"])] == ["04", "05"]
    assert len(choose_notebooks(None)) == 5


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.parquet")}


def test_a_report_shows_the_conditions_as_the_study_file_says_them():
    """The 62 subsets of the concepts, written out, fill the first screen of each report."""
    settings = Settings(conditions=["none", "aligned", "only(any)", "flip(each)"])
    shown = _parameters(settings)
    assert shown["conditions"] == ["none", "aligned", "only(any)", "flip(each)"]
    assert settings_from(shown) == settings


def test_whatever_a_study_file_sets_reaches_every_notebook():
    """Notebook 03 trained controls in spite of `controls: false`, and 01 ignored `centre`."""
    given = {"controls": False, "centre": "speaker", "bins": 5, "margin": 0.1, "tuning_limit": 3}
    assert _parameters(Settings(**given)) == given
