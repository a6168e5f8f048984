"""Studies side by side: what the runs' own files say, theirs marked, nothing of other settings."""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from sercue.errors import InputError
from sercue.report.comparison import (
    beside_published,
    compare_studies,
    gain_sentences,
    ordered_conditions,
    printed_losses,
    printed_published,
    printed_table,
    read_runs,
    result_table,
    settings_table,
    write_comparison,
)
from sercue.run import open_run

THEIRS = "published, second-hand"


@pytest.fixture(scope="module")
def other_study(small_study, tmp_path_factory):
    return small_study.evaluated_again(tmp_path_factory.mktemp("studies") / "other", 0.8)


@pytest.fixture(scope="module")
def flamingo(small_study, tmp_path_factory):
    """A study under the names of a model and a corpus of which values are published."""
    folder = small_study.evaluated_again(tmp_path_factory.mktemp("named") / "flamingo", 0.9)
    return renamed(folder, "audio-flamingo-3", "iemocap", whole=True)


def renamed(folder, model, corpus, partition="test", *, whole=False, classes=4):
    """The files of a finished study under other names; of the corpus, all or a part evaluated."""
    change_provenance(
        folder,
        parameters={"model": model, "corpus": corpus, "partition": partition},
        model={"name": model},
        corpus={"name": corpus},
    )
    if whole:
        change_table(folder, "utterances", lambda table: table.assign(partition=partition))
    others = {f"recall_{number}": 0.5 for number in range(classes - 4)}
    named = [f"recall_{label}" for label in ("angry", "happy", "neutral", "sad")][classes:]
    change_table(folder, "measures", lambda table: table.assign(**others).drop(columns=named))
    return folder


def change_table(folder, name, change):
    """A table of the artifacts with its stamp."""
    path = Path(folder) / "artifacts" / f"{name}.parquet"
    table = pd.read_parquet(path)
    changed = change(table)
    changed.attrs = table.attrs
    changed.to_parquet(path)


def change_provenance(folder, **entries):
    path = Path(folder) / "artifacts" / "provenance.json"
    held = json.loads(path.read_text())
    for name, values in entries.items():
        held[name] |= values
    path.write_text(json.dumps(held))


def stored(folder, name):
    return pd.read_parquet(Path(folder) / "artifacts" / f"{name}.parquet")


def test_the_table_has_the_numbers_of_the_runs_files(small_study, other_study):
    """Each row by itself, read from Parquet with pandas alone."""
    table = compare_studies([small_study.folder, other_study])
    assert table["study"].unique().tolist() == ["small", "other"]
    for study, folder in (("small", small_study.folder), ("other", other_study)):
        rows = table[table["study"] == study].set_index("condition")
        measured = stored(folder, "measures").set_index("condition").loc[rows.index]
        assert rows.index.tolist() == small_study.settings["conditions"]
        for column, expected in (("uar", "uar"), ("low", "uar_low"), ("high", "uar_high")):
            assert rows[column].tolist() == measured[expected].tolist()
        tests = stored(folder, "tests").set_index(["condition", "reference"])
        gain = tests.loc[("aligned", "none"), ["difference", "low", "high"]].tolist()
        told = rows.loc["aligned", ["to_none", "to_none_low", "to_none_high"]].tolist()
        assert told == gain
    assert table["fixture"].all()


def test_studies_of_a_corpus_stand_together(small_study, other_study, flamingo):
    """In the order in which their corpora and models were named, not that of the folders."""
    table = compare_studies([small_study.folder, flamingo, other_study])
    assert table["study"].unique().tolist() == ["small", "other", "flamingo", THEIRS]


def test_published_values_stand_in_a_row_of_their_own(small_study, flamingo):
    """Audio alone, the tokens and the opposite tokens, without intervals; all are second-hand."""
    table = compare_studies([small_study.folder, flamingo])
    theirs = table[table["source"] == "published"]
    assert theirs["study"].unique().tolist() == [THEIRS]
    assert theirs[["model", "corpus", "condition", "uar"]].to_numpy().tolist() == [
        ["audio-flamingo-3", "iemocap", "none", 0.754],
        ["audio-flamingo-3", "iemocap", "aligned", 0.776],
        ["audio-flamingo-3", "iemocap", "conflicting", 0.758],
    ]
    assert theirs[["low", "high", "to_none"]].isna().all(axis=None)
    ours = table[(table["study"] == "flamingo") & (table["condition"] == "aligned")]
    assert ours["uar"].item() != 0.776
    assert not table[table["study"] == "flamingo"]["fixture"].any()
    printed = printed_table(table).set_index("Study")
    told = printed.loc[f"{THEIRS} †", ["Classes", "Partition", "UAR−", "UAR+", "UAR+ − UAR−"]]
    assert told.tolist() == ["4", "all", ".754", ".776", "–"]
    assert list(printed.index) == ["small (fixture)", "flamingo", f"{THEIRS} †"]
    assert f"{THEIRS} †" not in printed_losses(table)["Study"].tolist()
    assert printed_losses(table.assign(to_aligned=float("nan"))).empty


@pytest.mark.parametrize(
    ("classes", "partition", "expected"),
    [(5, "dev", {0.209, 0.240}), (5, "test", {0.206, 0.234}), (2, "dev", set())],
)
def test_classes_and_partitions_are_not_mixed_up(
    other_study, tmp_path, classes, partition, expected
):
    """Qwen2-Audio on FAU-Aibo, as the paper has it; of two classes it has nothing."""
    folder = shutil.copytree(other_study, tmp_path / "aibo")
    change_provenance(folder, parameters={"study": "aibo"})
    renamed(folder, "qwen2-audio", "fau_aibo", partition, classes=classes)
    table = compare_studies([folder])
    assert set(table.loc[table["source"] == "published", "uar"]) == expected
    assert table[["classes", "partition"]].drop_duplicates().to_numpy().tolist() == [
        [classes, partition]
    ]
    beside = beside_published(read_runs([folder]))
    assert set(beside.loc[beside["study"] == "aibo", "value"]) == expected
    assert set(beside["partition"]) <= {partition}


def test_ours_stands_beside_values_of_any_measure(flamingo):
    """Each from the files of the run; the rank correlation from scipy."""
    table = beside_published(read_runs([flamingo])).set_index(["measure", "condition"])
    ours = table[table["study"] == "flamingo"]
    measured = stored(flamingo, "measures").set_index("condition")
    for name in ("none", "aligned", "conflicting"):
        found = ours.loc[("uar", name), ["ours", "ours_low", "ours_high"]]
        assert found.tolist() == measured.loc[name, ["uar", "uar_low", "uar_high"]].tolist()
    tests = stored(flamingo, "tests").set_index(["condition", "reference"])
    (lost,) = ours.loc[[("uar_difference", "conflicting")]].query("reference == 'aligned'").ours
    assert lost == tests.loc[("conflicting", "aligned"), "difference"]
    assert ours.loc[("uar_difference", "conflicting"), "value"].dropna().tolist() == [-0.018]
    # One dose beside aligned: two points have no rank correlation.
    assert "spearman_rho" not in ours.index.get_level_values("measure")


def test_f1_is_in_a_table_of_its_own(flamingo):
    """Of models that no study has, and of values whose classes are not known, nothing is ours."""
    table = beside_published(read_runs([flamingo]))
    shown = printed_published(table)
    by_measure = {caption.split(" beside")[0]: rows for caption, rows in shown.items()}
    assert set(by_measure["Published UAR"]["Published"]) == {
        ".541", ".582", ".754", ".776", ".758", ".353", ".345", ".600", ".606",
    }  # fmt: skip
    f1 = by_measure["Published macro F1"]
    assert set(f1["Published"]) == {".573", ".626", ".735", ".693", ".314"}
    assert set(f1["Ours"]) == {"–"}
    assert f1["Classes"].to_dict()["audio-flamingo-3"] == "not known"
    assert f1["Classes"].to_dict()["emobox"] == "4"
    assert "corrupted" not in " ".join(shown)


def test_nothing_published_stands_beside_a_fine_tuned_model(flamingo, tmp_path):
    """The study names its base, and the adapter among the options."""
    tuned = shutil.copytree(flamingo, tmp_path / "tuned")
    change_provenance(tuned, model={"name": "audio-flamingo-3+mine"})
    assert "published" not in compare_studies([tuned])["source"].tolist()


def test_one_row_a_study_and_intervals_beneath(small_study, other_study, tmp_path):
    """The wide table is a pivot of the long one; LaTeX has a line of numbers, one of intervals."""
    table = compare_studies([small_study.folder, other_study])
    wide = result_table(table).reset_index()
    assert wide["study"].tolist() == ["small", "other"]
    pivot = table.pivot_table(index="study", columns="condition", values="uar")
    conditions = small_study.settings["conditions"]
    for condition in conditions:
        assert wide[condition].tolist() == pivot.loc[["small", "other"], condition].tolist()
    write_comparison([small_study.folder, other_study], tmp_path)
    assert pd.read_csv(tmp_path / "tables" / "published.csv").empty
    read = pd.read_csv(tmp_path / "tables" / "compare.csv")
    pd.testing.assert_frame_equal(read, wide, check_dtype=False)
    latex = (tmp_path / "tables" / "compare.tex").read_text()
    assert "".join(set(latex) & set("−†–\u00a0")) == ""
    bodies = [part.split("\\bottomrule")[0] for part in latex.split("\\midrule")[1:]]
    for lines in (body.strip().splitlines() for body in bodies):
        assert len(lines) == 4
        assert {line.count("&") for line in lines} == {lines[0].count("&")}
    cells = [cell for body in bodies for cell in re.findall(r"& (\.\d{3}) ", body.splitlines()[1])]
    assert cells == [f"{value:.3f}".lstrip("0") for value in wide[conditions].iloc[0]]
    assert sum(body.splitlines()[2].count("[") for body in bodies) == len(conditions) + 1


def test_doses_stand_in_ascending_order_whatever_study_comes_first():
    names = ["none", "masked(1)", "corrupted(1)", "none", "masked(0.5)", "corrupted(0.25)"]
    assert ordered_conditions(names) == [
        "none", "masked(0.5)", "masked(1)", "corrupted(0.25)", "corrupted(1)",
    ]  # fmt: skip


def test_a_name_that_stands_twice_is_numbered(small_study, other_study, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(other_study, copy)
    change_provenance(copy, parameters={"study": "small"})
    table = compare_studies([small_study.folder, copy])
    assert table["study"].unique().tolist() == ["small (1)", "small (2)"]


def test_what_differs_between_studies_is_told_and_nothing_else(small_study, other_study):
    """Same corpus, same model: only the level of the intervals."""
    differing = settings_table(read_runs([small_study.folder, other_study]))
    assert differing.index.tolist() == ["confidence"]
    assert differing.loc["confidence"].tolist() == ["0.95", "0.8"]


def test_two_schemes_of_one_name_are_told_apart(small_study, other_study, tmp_path):
    """Two files of one's own are both mine.yaml: runs record what is in them."""
    runs = read_runs([small_study.folder, other_study])
    for place, (run, word) in enumerate(zip(runs.values(), "ab", strict=True)):
        file = tmp_path / word / "mine.yaml"
        file.parent.mkdir()
        text = f"words: {{3: [{word}, m, n]}}\nconcepts: {{v: {{features: {{voiced_share: 1}}}}}}\n"
        file.write_text(text)
        keys = {"scheme": str(file), "conditions": ["none", "aligned"]}
        begun = open_run(keys | {"out": str(tmp_path / f"out{place}")})
        recorded = begun.artifacts.provenance()
        assert recorded["parameters"]["scheme"] == "mine.yaml"
        run.provenance["scheme"] = recorded["scheme"]
    differing = settings_table(runs)
    assert differing.index.tolist() == ["confidence", "scheme content"]
    assert differing.loc["scheme content"].nunique() == 2


def test_of_lists_it_is_told_what_a_study_lacks(small_study, flamingo):
    runs = read_runs([small_study.folder, flamingo])
    runs["flamingo"].provenance["parameters"]["conditions"] = ["none", "aligned", "constant"]
    told = settings_table(runs).loc["conditions"].tolist()
    assert told == ["5 of 6: not constant", "3 of 6: not shuffled, conflicting, corrupted(0.5)"]


@pytest.mark.parametrize("name", ["tests.parquet", "measures.parquet", "tokens.parquet"])
def test_a_run_that_lacks_a_file_is_not_finished(other_study, tmp_path, name):
    copy = tmp_path / "copy"
    shutil.copytree(other_study, copy)
    (copy / "artifacts" / name).unlink()
    with pytest.raises(InputError, match=rf"copy: this run is not finished: no artifacts/{name}"):
        compare_studies([copy])


def test_a_run_begun_again_with_other_settings_is_not_finished(small_study, tmp_path):
    """Notebook 04 was through, 05 was not: tests of the old study beside measures of the new."""
    copy = tmp_path / "copy"
    shutil.copytree(small_study.folder, copy)
    run = open_run(small_study.settings | {"out": str(copy), "confidence": 0.5}, reuse=True)
    _ = run.measures
    with pytest.raises(InputError, match="not finished: its artifacts are of different settings"):
        compare_studies([copy])


def test_tables_of_other_conditions_than_were_asked_are_not_taken(other_study, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(other_study, copy)
    change_provenance(copy, parameters={"conditions": ["none", "aligned"]})
    with pytest.raises(InputError, match="of different settings"):
        compare_studies([copy])


def test_what_is_no_run_is_told(tmp_path, small_study):
    (tmp_path / "artifacts").mkdir()
    with pytest.raises(InputError, match=r"no artifacts/provenance.json in it; valid is"):
        compare_studies([tmp_path])
    (tmp_path / "artifacts" / "provenance.json").write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        compare_studies([tmp_path])
    with pytest.raises(InputError, match="the same study, with the same settings"):
        compare_studies([small_study.folder, small_study.folder])


class Page(HTMLParser):
    """What a page refers to, and its text."""

    def __init__(self, text):
        super().__init__()
        self.sources, self.links, self.alts, self.words = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.sources += [attributes[name] for name in ("src",) if name in attributes]
        if "href" in attributes:
            kind = self.sources if tag == "link" else self.links
            kind.append(attributes["href"])
        self.alts += [attributes.get("alt")] if tag == "img" else []

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture
def page(other_study, flamingo):
    out = flamingo.parent / "out"
    path = write_comparison([other_study, flamingo], out, command="sercue compare <a> b")
    return path.read_text(encoding="utf-8"), out


def test_the_page_stands_alone_and_says_what_is_a_fixture(page, other_study):
    """Sent to others: no request to anywhere, no folder of this machine, markup shown as text."""
    text, out = page
    found = Page(text)
    assert all(source.startswith("data:") for source in found.sources)
    assert not re.search(r"url\((?!['\"]?data:)|@import", text)
    assert all(found.alts)
    assert "other: A fixture, not evidence" in text.split("<body")[1][:1500]
    assert "flamingo: A fixture" not in text
    assert str(other_study.parent) not in text
    assert str(out.parent) not in text
    assert "sercue compare &lt;a&gt; b" in text


def test_the_page_links_to_studies_beside_it_alone(page):
    """A way to any other folder would name folders of this machine."""
    text, out = page
    assert Page(text).links == ["../flamingo/index.html"]
    assert (out / "../flamingo/index.html").is_file()


def test_the_page_names_the_source_of_what_is_published(page):
    text, _ = page
    words = " ".join(" ".join(Page(text).words).split())
    assert "† Published by others: Tsangko, Triantafyllopoulos and Schuller" in words
    assert "arXiv 2606.07309 (second-hand: three sources agree; second-hand: one digest" in words
    assert "audio-flamingo-3: training data are said to include IEMOCAP (second-hand)." in words
    assert "another measure, not to be compared with UAR" in words
    assert "Studies are not tested against each other" in words


def test_the_headline_counts_by_the_test_of_the_primary_contrast(page, other_study):
    """From the stored contrast: the two studies have the same one."""
    tests = stored(other_study, "tests").set_index(["condition", "reference"])
    row = tests.loc[("aligned", "none")]
    if row["holm_p"] >= 0.05:
        side = "is inconclusive"
    else:
        side = f"is significantly {'above' if row['difference'] > 0 else 'below'} zero"
    assert f"(UAR+ − UAR−), 2 studies: it {side} in 2 (other" in page[0]


def test_a_gain_counts_by_its_p_value_and_never_by_its_interval():
    """Two speakers who gain the same have an interval without width, and p = 2 / 2^2."""
    gains = {"wide": (0.1, -0.1, 0.3, 0.2), "sure": (0.1, 0.05, 0.2, 0.01),
             "two": (0.1, 0.1, 0.1, 0.5)}  # fmt: skip
    columns = ["difference", "low", "high", "holm_p"]
    runs = {
        study: SimpleNamespace(
            labels=["calm", "sad"],
            reliance=(float("nan"),) * 3,
            tests=pd.DataFrame([gain], columns=columns).assign(step="primary"),
        )
        for study, gain in gains.items()
    }
    told = gain_sentences(runs)[0].partition("3 studies: it ")[2]
    assert told == (
        "is significantly above zero in 1 (sure +.100 [+.050, +.200]); "
        "is inconclusive in 2 (wide +.100 [−.100, +.300], two +.100 [+.100, +.100])."
    )


def test_reliance_is_that_of_each_studys_own_table(small_study, other_study, tmp_path):
    """Of all answers, by probability. One of other settings than the study's is none of its own."""
    rows = stored(small_study.folder, "reliance").query("by == 'all' and response == 'probability'")
    values = rows.iloc[0][["share", "low", "high"]]
    share, low, high = (f"{v:.3f}".replace("0.", ".").replace("-", "−") for v in values)
    text = write_comparison([small_study.folder, other_study], tmp_path).read_text()
    told = text.partition("(reliance): ")[2]
    assert told.startswith(f"small {share} [{low}, {high}]. ")


def test_a_corpus_of_ones_own_is_called_by_its_file(other_study, tmp_path):
    """Two tables are two corpora."""
    copy = shutil.copytree(other_study, tmp_path / "copy")
    change_provenance(copy, parameters={"corpus_root": "a.csv"}, corpus={"name": "table"})
    (run,) = read_runs([copy]).values()
    assert run.corpus == "table a.csv"


def test_the_files_for_a_paper_are_written(page):
    _, out = page
    names = ["compare.csv", "compare_long.csv", "compare.tex", "published.csv"]
    assert all((out / "tables" / name).stat().st_size for name in names)
    assert (out / "figures" / "compare.svg").is_file()
    assert r"second-hand \dag{}" in (out / "tables" / "compare.tex").read_text()


def test_a_run_of_another_version_is_told(other_study, tmp_path):
    """It knows other study keys, so that what it was cannot be told in words of today."""
    copy = tmp_path / "copy"
    shutil.copytree(other_study, copy)
    path = copy / "artifacts" / "provenance.json"
    held = json.loads(path.read_text())
    del held["parameters"]["margin"]
    path.write_text(json.dumps(held))
    with pytest.raises(InputError, match=r"without the study keys margin; valid is a run of this"):
        compare_studies([copy])


def test_the_settings_that_a_run_was_last_begun_with_count(other_study, tmp_path):
    """A run says by what settings it was begun; tables of others are not its own."""
    copy = tmp_path / "copy"
    shutil.copytree(other_study, copy)
    path = copy / "artifacts" / "provenance.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"settings": "of another study"}))
    with pytest.raises(InputError, match="of different settings"):
        compare_studies([copy])
