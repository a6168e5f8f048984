"""Labels, speakers and file names are a stranger's text: a page shows them and runs nothing."""

import shutil

import pandas as pd
import pytest
import yaml
from visits import UNFOLD, visited

import sercue
from sercue.cli import main

LABEL = "<script>window.ran = 'label'</script>"
SPEAKER = "<img src=x onerror=\"window.ran = 'speaker'\">"
# A folder and a file in it, as the slash says.
FILE = "<script>window.ran = 'file'</script>.wav"
COLUMNS = ["emotion", "speaker", "partition"]
SETTINGS = {
    "study": "hostile",
    "corpus": "table",
    "bad_audio": "leave_out",
    "controls": False,
    "model_options": {"epochs": 1},
    "conditions": ["none", "aligned"],
    "templates": ["plain"],
    "tuning_limit": 4,
    "resamples": 100,
}


@pytest.fixture(scope="session")
def hostile_study(browser_path, small_study, tmp_path_factory):
    """Two notebooks about a corpus in which a class, a speaker and a file are called such names.

    Its speech is the small study's; the file with the hostile name is cut short, so that the
    report has to list it.
    """
    folder = tmp_path_factory.mktemp("hostile")
    corpus = sercue.load_corpus("demo", **small_study.settings["corpus_options"])
    settings = SETTINGS | {"corpus_root": str(write_corpus(folder, corpus))}
    file = folder / "hostile.yaml"
    file.write_text(yaml.safe_dump(settings))
    command = ["run", str(file), "--out", str(folder / "out"), "--only", "01", "03"]
    assert main(command) == 0
    return folder / "out"


@pytest.mark.parametrize(
    ("name", "shown"),
    [("01_feature_exploration", [LABEL, FILE]), ("03_prompting", [LABEL]), ("index", [])],
)
def test_hostile_names_are_shown_as_text_and_run_nothing(name, shown, hostile_study, browser):
    with visited(browser, hostile_study / f"{name}.html") as visit:
        visit.page.evaluate(UNFOLD)
        assert visit.page.evaluate("window.ran") is None
        assert visit.troubles == []
        text = visit.page.locator("body").inner_text()
    assert [one for one in shown if one not in text] == []


def write_corpus(folder, corpus):
    """The recordings of two classes under new names, and the table that lists them."""
    rows = corpus.table.reset_index()
    rows = rows[rows["emotion"].isin(sorted(corpus.labels)[:2])]
    names = [f"{number}.wav" for number in range(len(rows))]
    for source, name in zip(rows["file"], names, strict=True):
        shutil.copy(corpus.root / source, folder / name)
    (folder / FILE).parent.mkdir()
    (folder / FILE).write_bytes((folder / names[0]).read_bytes()[:60])
    table = pd.DataFrame({"file": names} | {name: rows[name].array for name in COLUMNS})
    table = pd.concat([table, table[:1].assign(file=FILE)])
    table = table.replace({table["emotion"].iloc[0]: LABEL, table["speaker"].iloc[0]: SPEAKER})
    table.to_csv(folder / "corpus.csv", index=False)
    return folder / "corpus.csv"
