"""The methods of a study: what its artifacts say, in full, and nothing of this machine."""

import hashlib
import html
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import jinja2
import jinja2.meta
import mistune
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from sercue.artifacts import Artifacts
from sercue.corpora.corpus import example_corpus
from sercue.errors import InputError
from sercue.privacy import shareable
from sercue.report import methods
from sercue.report.finished import read_run
from sercue.report.methods import code, methods_text, write_methods
from sercue.settings import Settings
from sercue.statistics.attribution import subset_conditions
from sercue.tokens.binning import Binning, FoldBinning


@pytest.fixture(scope="module")
def text(small_study):
    return methods_text(small_study.folder)


@pytest.fixture
def copy(small_study, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(small_study.folder, folder)
    return folder


def change_parameters(folder, **values):
    path = folder / "artifacts" / "provenance.json"
    held = json.loads(path.read_text())
    held["parameters"] |= values
    path.write_text(json.dumps(held))


def change_stamp(folder, name, **values):
    artifacts = Artifacts(folder / "artifacts")
    table = artifacts.read(name)
    stamp = artifacts.stamp(table) | values
    artifacts.save(name, table, **{k: v for k, v in stamp.items() if k != "schema"})


def asked_as(folder, names):
    """Let a finished study have asked conditions of these names instead of its first ones."""
    path = folder / "artifacts" / "measures.parquet"
    table = pq.read_table(path)
    own = table.filter(pc.invert(table["baseline"])).slice(0, len(names))
    assert own.num_rows == len(names)
    place = table.schema.get_field_index("condition")
    pq.write_table(own.set_column(place, "condition", pa.array(names)), path)
    change_parameters(folder, conditions=names)
    path = folder / "artifacts" / "provenance.json"
    held = json.loads(path.read_text())
    held["predictions"]["rows"] = sum(own["rows"].to_pylist())
    path.write_text(json.dumps(held))


def test_the_prompts_are_those_that_were_asked(text, small_study):
    """By their hashes, which the answers keep: quoted are the very bytes that the model read."""
    quoted = re.findall(r"```text\n(.*?)\n```", text, re.DOTALL)
    hashes = [hashlib.blake2b(prompt.encode(), digest_size=16).hexdigest() for prompt in quoted]
    parts = (small_study.folder / "artifacts" / "predictions").glob("*.parquet")
    answers = pd.concat(map(pd.read_parquet, parts))
    first = answers[(answers["condition"] == "aligned") & (answers["label_order"] == 0)]
    assert len(quoted) == len(small_study.settings["templates"])
    assert set(hashes) <= set(first["prompt"])


def test_the_correction_for_the_label_prior_says_whose_answers_it_rests_on(text, copy):
    assert "a set of reference answers: those to speakers who were not evaluated, with" in text
    assert "Calibrate before use" in text
    change_parameters(copy, decoding="generate")
    assert "Brier" not in methods_text(copy)


def test_answers_of_an_earlier_study_to_others_are_no_source_of_the_label_prior(copy):
    change_stamp(copy, "tried.parquet", answers="of before")
    assert "label prior" not in methods_text(copy)


def test_other_folds_are_a_source_of_the_label_prior_if_one_model_answers_all(copy):
    corpus = example_corpus(4, 6)
    corpus = replace(
        corpus, table=corpus.table.assign(partition="test", fold=corpus.table["speaker"])
    )
    assert methods._prior_sources(read_run(copy), corpus) == []
    change_parameters(copy, model="audio-flamingo-3")
    found = methods._prior_sources(read_run(copy), corpus)
    assert found == ["the speakers of the other folds"]


def test_changed_answers_are_told_where_both_conditions_were_asked(text, copy):
    told = "Changed answers under conflicting instead of aligned tokens were counted on the same"
    assert told in text
    asked_as(copy, ["none", "aligned", "nonsense"])
    assert told not in methods_text(copy)


def test_controls_of_the_form_are_a_family_of_their_own(text, copy):
    assert "in other forms" not in text
    assert "with other audio or with aligned tokens in another form, against each" in text
    asked_as(copy, ["none", "aligned", "nonsense", "prose"])
    told = methods_text(copy)
    assert "in other forms (`nonsense` and `prose`) was compared" in told
    assert "these contrasts are a family of their own, corrected with Holm's method" in told


def test_other_audio_is_told_with_its_sources_and_what_is_made_of_it(text, copy):
    """Only of the variants that were asked, with the sources of these."""
    assert "Under conditions with @" not in text
    assert "A token is kept" not in text
    assert "follow ratio" not in text
    names = ["none", "aligned", "aligned @ swapped", "none @ lowpass", "aligned @ lowpass"]
    asked_as(copy, names)
    told = methods_text(copy)
    assert "Low-pass filtering masks the words as in [Rogers et al., 1971]." in told
    assert "- Rogers, P. L., Scherer, K. R., and Rosenthal, R. (1971)" in told
    assert "Random splicing is the technique" not in told
    assert "The other audio of up to 100 evaluated utterances was analysed and binned" in told
    assert "another utterance of another class" in told
    assert "Lowpass audio has the length of the utterance and its RMS level. Swapped audio" in told
    assert "and its difference from the gain under the own audio (interaction), with Holm" in told
    assert "The follow ratio is the pull of the tokens divided by the sum of both" in told


def test_the_voice_is_told_where_silence_and_audio_without_words_were_asked(copy, monkeypatch):
    """Silence has the length of the utterance and no level."""
    asked_as(copy, ["none", "aligned", "none @ silent", "none @ reversed"])
    monkeypatch.setattr(methods, "crossed_variants", lambda _: ["silent", "reversed"])
    told = methods_text(copy)
    assert "with reversed audio to that with silence, both without tokens (voice), with" in told
    assert "Silent and reversed audio have the length of the utterance, and reversed audio" in told
    assert "Swapped audio" not in told


def test_counts_are_those_of_the_corpus_table(text, small_study):
    table = pd.read_parquet(small_study.folder / "artifacts" / "utterances.parquet")
    assert f"{len(table)} utterances from {table['speaker'].nunique()} speakers" in text
    for partition, rows in table.groupby("partition"):
        part = f"{partition}, {len(rows)} utterances from {rows['speaker'].nunique()} speaker"
        assert part in text
    for label, number in table["emotion"].value_counts().items():
        assert f"{label} {number}" in text


def test_thresholds_and_signs_are_those_that_were_fitted(text, small_study):
    stored = json.loads((small_study.folder / "artifacts" / "binning.json").read_text())
    *ordinal, quality = stored["concepts"]
    for concept in ordinal:
        name = concept["name"].replace("_", r"\_")
        (edges,) = stored["thresholds"][concept["name"]].values()
        told = ", ".join(f"{e:.3f}" for e in edges)
        assert f"| {name} | {told.replace('-', '−')} |" in text
        for feature, sign in concept["features"].items():
            assert f"{'+' if sign > 0 else '−'}{feature}" in text
    plain = " ".join(text.split())
    assert all(f"{word} if `{rule}`" in plain for word, rule in quality["rules"].items())
    # Twelve women and twelve men to train: too few for edges of their own.
    assert "for PITCH and FORMANTS; here they were fitted to all training utterances" in plain


def test_model_seed_conditions_and_versions_are_named(text, small_study):
    held = json.loads((small_study.folder / "artifacts" / "provenance.json").read_text())
    assert f"`{held['model']['identity']}`" in text
    assert f"seed {held['parameters']['seed']}" in text
    assert f"{held['predictions']['rows']} answers" in text
    for condition in small_study.settings["conditions"]:
        assert f"- `{condition}`: " in text
    for package in ("opensmile", "torch", "transformers", "statsmodels"):
        assert f"{package} {held['versions'][package]}" in text
    assert "A fixture, not evidence" in text


def test_training_data_are_told_where_the_corpus_is_among_them(text, copy):
    assert "training data of" not in text
    change_parameters(copy, model="audio-flamingo-3")
    path = copy / "artifacts" / "provenance.json"
    held = json.loads(path.read_text())
    held["corpus"]["name"] = "iemocap"
    path.write_text(json.dumps(held))
    assert "IEMOCAP is listed among the training data of audio-flamingo-3" in methods_text(copy)


def test_controls_are_named_if_they_are_of_this_corpus(text, copy):
    """Whatever the model beside them answered; not those of a corpus that was corrected since."""
    assert "three small control models" in text
    change_stamp(copy, "controls.parquet", content="of before")
    assert "control models" not in methods_text(copy)


def test_every_citation_has_its_reference_and_every_reference_is_cited(text):
    body, references = text.split("## References")
    cited = {tuple(found.split(", ")) for found in re.findall(r"\[([^\[\]]+, \d{4})\]", body)}
    listed = references.strip().splitlines()
    assert len(cited) == len(listed) > 5
    for names, year in cited:
        first = re.split(" et al| and ", names)[0]
        assert len([r for r in listed if r.startswith(f"- {first}, ") and f"({year})" in r]) == 1
    assert listed == sorted(listed)


def test_no_statistic_is_named_that_the_study_has_no_conditions_for(text):
    """It has one dose beside aligned, no shuffle within the class and no single concepts."""
    assert "Page's test" not in text
    assert "Shapley" not in text
    assert "Fieller's interval [Fieller, 1954] over speakers" in text
    assert "was split into" not in text
    assert "The trend with the dose of corrupted" in text


def test_opposites_and_what_is_random_are_those_of_the_scheme(text):
    """Typed from the scheme ``paper``: one opposite per word, so that none is drawn."""
    told = " ".join(text.split())
    assert "the middle word stays as it is." in told
    pairs = "ROUGH for MODAL, MODAL for ROUGH, PRESSED for BREATHY, BREATHY for PRESSED"
    assert rf"words of VOICE\_QUALITY are {pairs} and MODAL for CREAKY; any other word" in told
    assert "The random conditions (`shuffled` and `corrupted(0.5)`) have 2 replicates" in told


def test_presence_and_content_are_told_where_every_subset_is_asked(small_study, monkeypatch):
    """Of the facts of a study with these conditions, which the small one has not."""
    every = ["none", *subset_conditions()]
    facts = methods._statistics_facts

    def of_every_subset(run, concepts):
        asked = {"parameters": run.parameters | {"conditions": every}}
        return facts(replace(run, provenance=run.provenance | asked), concepts)

    monkeypatch.setattr(methods, "_statistics_facts", of_every_subset)
    told = " ".join(methods_text(small_study.folder).split())
    assert "In `only(...)` and `without(...)` the token block names every concept" in told
    assert "a hidden one has the word unknown" in told
    assert "content (`aligned` against `masked(1)`)" in told
    assert "its Shapley value [Shapley, 1953] over all subsets of the concepts" in told


def test_reliance_of_another_study_is_not_named(copy):
    """Its table may be left from settings before: the stamp tells."""
    table = pd.read_parquet(copy / "artifacts" / "reliance.parquet")
    table.attrs["sercue"] = {"settings": "of another study"}
    table.to_parquet(copy / "artifacts" / "reliance.parquet")
    assert "conditional logit" not in methods_text(copy)


def test_nothing_names_a_folder_or_a_server(copy, tmp_path):
    """Options may hold both; a text for a paper is for others."""
    study = Settings(
        corpus_options={"table": "/home/someone/files.csv"},
        model_options={"base_url": "http://host.of.mine:8000/v1", "timeout": 9},
    )
    recorded = shareable(study)
    change_parameters(copy, **{key: recorded[key] for key in ("corpus_options", "model_options")})
    written = methods_text(copy)
    assert "files.csv" in written
    assert '"timeout": 9' in written
    for private in ("/home", "someone", "host.of.mine", str(tmp_path)):
        assert private not in written


def test_generated_answers_and_label_words_are_told(copy):
    words = {"angry": "furious", "happy": "happy", "neutral": "neutral", "sad": "sad"}
    change_parameters(copy, decoding="generate", max_new_tokens=5, labels=words, label_orders=1)
    text = methods_text(copy)
    assert "decoded greedily, with at most 5 new tokens" in text
    assert "log-likelihoods" not in text
    assert "furious stands for angry" in text
    assert "one label order: furious, happy, neutral, sad." in text


def test_a_scheme_of_ones_own_need_not_be_at_hand(copy):
    """Of its path the last part is told; nothing of that name lies here."""
    change_parameters(copy, scheme="mine.yaml")
    text = " ".join(methods_text(copy).split())
    assert "by the scheme mine.yaml, with these signs" in text


def test_folds_have_thresholds_of_their_own(copy):
    """A cross-validated run keeps one binning a fold and has no training partition."""
    artifacts = copy / "artifacts"
    one = Binning.load(artifacts / "binning.json")
    FoldBinning({"1": one, "2": one}).save(artifacts / "binning.json")
    table = pd.read_parquet(artifacts / "utterances.parquet")
    halves = pd.Series(pd.factorize(table["speaker"])[0] % 2 + 1, table.index).astype(str)
    crossed = table.assign(partition="test", fold=halves)
    crossed.attrs = table.attrs
    crossed.to_parquet(artifacts / "utterances.parquet")
    text = methods_text(copy)
    assert "cross-validated over 2 folds (1, 2)" in text
    assert "No speaker occurs in more than one fold." in text
    assert "separately for each fold" in text
    assert "It pools the folds: each recall is taken over the utterances of all folds" in text
    assert text.count("| ENERGY | ") == 2


def test_the_template_has_all_that_it_names_and_names_all_that_it_has(small_study, monkeypatch):
    """In the sentences, too, that no study here calls for."""
    given, render = {}, jinja2.Template.render
    monkeypatch.setattr(
        jinja2.Template,
        "render",
        lambda self, **facts: given.update(facts) or render(self, **facts),
    )
    methods_text(small_study.folder)
    source = (Path(methods.__file__).parents[1] / "templates" / "methods.md.j2").read_text("utf-8")
    environment = jinja2.Environment()
    environment.filters = dict.fromkeys(re.findall(r"\w+", source), str)
    assert jinja2.meta.find_undeclared_variables(environment.parse(source)) == set(given)


def test_it_is_written_beside_the_reports(copy):
    path = write_methods(copy)
    assert path == copy / "methods.md"
    assert path.read_text(encoding="utf-8") == methods_text(copy)


def test_an_unfinished_run_has_no_methods(copy):
    (copy / "artifacts" / "tests.parquet").unlink()
    (copy / "methods.md").unlink()
    with pytest.raises(InputError, match=r"no artifacts/tests.parquet, which notebook 05 writes"):
        write_methods(copy)
    assert not (copy / "methods.md").exists()


MARKED = ["*sad*", "__a_b__", "<b>c</b>", "d|e", "`f` ```g```", "[h](i) &amp; $j$", "k\n# l"]


@pytest.mark.parametrize("labels", [MARKED[:4], MARKED[3:]])
def test_marks_in_labels_are_shown_as_they_are(copy, labels):
    """Rendered by a Markdown library: what a reader sees is what the label says, on one line."""
    names = ["angry", "happy", "neutral", "sad"]
    change_parameters(copy, labels=dict(zip(names, labels, strict=True)), label_orders=1)
    page = mistune.html(methods_text(copy))
    seen = [" ".join(label.split()) for label in labels]
    stand = [f"{word} stands for {name}" for word, name in zip(seen, names, strict=True)]
    first, _, quoted = html.unescape(re.sub("</?(?:p|em)>", "", page)).partition("<pre>")
    assert f"label order: {', '.join(seen)}. In the prompts, {', '.join(stand[:3])} and " in first
    assert f"options: {', '.join(labels)}. Acoustic" in quoted


@pytest.mark.parametrize("text", MARKED)
def test_code_is_shown_as_it_is(text):
    page = mistune.html(code(text))
    assert html.unescape(page) == f"<p><code>{' '.join(text.split())}</code></p>\n"


def test_how_generated_answers_are_read_is_told(copy):
    """With the languages whose negations are known, as a reader of the numbers must know."""
    change_parameters(copy, decoding="generate")
    text = methods_text(copy)
    assert "Negations are recognised in English, German, Dutch, French, Spanish" in text
    assert "valid only if it is the label and nothing else" in text
