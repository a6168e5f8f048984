"""Answers of other harnesses: what is read of them, what is refused, and what comes of it."""

import json
import zipfile
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from cells import execute
from sklearn.metrics import recall_score
from test_no_python_shown import PYTHON, texts_of

from sercue.artifacts import Artifacts
from sercue.cli import main
from sercue.elsewhere import read_made, store_made
from sercue.errors import InputError
from sercue.report.methods import methods_text
from sercue.run import open_run
from sercue.statistics.crossing import follow, followed

LABELS = ["angry", "happy", "neutral", "sad"]


def answers(speakers=4, right=(("none", 0.5), ("aligned", 0.8)), seed=0):
    """Two utterances of each class per speaker; a label is answered at random, or is right."""
    generator = np.random.default_rng(seed)
    rows = [
        (f"s{speaker}_{label}_{take}.wav", f"s{speaker}", label, condition,
         label if generator.random() < share else generator.choice(LABELS))
        for speaker in range(speakers) for label in LABELS for take in (0, 1)
        for condition, share in right
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["utterance", "speaker", "truth", "condition", "prediction"])


@pytest.fixture
def read(tmp_path):
    """Reads a table of answers as CSV, as it is or as a text."""

    def made(table, name="answers.csv", **options):
        text = table.to_csv(index=False) if isinstance(table, pd.DataFrame) else table
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return read_made([str(path)], **options)

    return made


def opened(made, folder):
    """The run of answers that were read, in a folder."""
    made = replace(made, settings=made.settings.model_copy(update={"out": str(folder)}))
    store_made(made)
    return open_run(made.settings.model_dump())


def balanced(table, condition):
    """Balanced accuracy by scikit-learn."""
    rows = table[table["condition"] == condition]
    return recall_score(rows["truth"], rows["prediction"], labels=LABELS, average="macro")


def test_uar_is_balanced_accuracy(read, tmp_path):
    table = answers()
    run = opened(read(table), tmp_path / "out")
    expected = [balanced(table, condition) for condition in ("none", "aligned")]
    assert run.measures["condition"].tolist() == ["none", "aligned"]
    assert run.measures["uar"].tolist() == pytest.approx(expected, abs=1e-12)
    difference = expected[1] - expected[0]
    assert run.tests["difference"].tolist() == pytest.approx([difference], abs=1e-12)


def test_a_study_and_the_csv_of_its_predictions_have_the_same_numbers(small_study, tmp_path):
    """Probabilities of every wording, order and replicate, under conditions of ours."""
    study = open_run(small_study.settings | {"out": str(small_study.folder)}, reuse=True)
    told = study.predictions.filter(regex="utterance|speaker|truth|condition|template|order|^p_")
    told = told.assign(replicate=study.predictions["replicate"])
    told.to_csv(tmp_path / "again.csv", index=False)
    run = opened(
        read_made([str(tmp_path / "again.csv")], keys={"resamples": 500}), tmp_path / "out"
    )
    own = study.measures[~study.measures["baseline"]]
    pd.testing.assert_frame_equal(run.measures, own, rtol=1e-12)
    pd.testing.assert_frame_equal(run.tests, study.tests, rtol=1e-9)
    pd.testing.assert_frame_equal(run.dose_trend, study.dose_trend, rtol=1e-9)


FORMATS = {
    "semicolons": lambda table: table.to_csv(index=False, sep=";"),
    "tabs": lambda table: table.to_csv(index=False, sep="\t"),
    "a byte order mark": lambda table: "\ufeff" + table.to_csv(index=False),
    "line ends of Windows": lambda table: table.to_csv(index=False, lineterminator="\r\n"),
    "JSON lines": lambda table: table.to_json(orient="records", lines=True),
    "a list in JSON": lambda table: table.to_json(orient="records"),
    "Parquet": lambda table: table.to_parquet(index=False),
    "capital letters": lambda table: table.rename(columns=str.title).to_csv(index=False),
    "other names": lambda table: table.rename(
        columns={"utterance": "file", "truth": "emotion", "speaker": "speaker_id"}
    ).to_csv(index=False),
    "what the model wrote": lambda table: (
        table.assign(answer="It sounds " + table["prediction"] + ".")
        .drop(columns="prediction").to_csv(index=False)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
def test_a_table_may_be_written_in_many_ways(name, read):
    table = answers()
    made = read(FORMATS[name](table))
    told = made.predictions[["utterance", "speaker", "truth", "condition", "prediction"]]
    assert told.astype("str").to_numpy().tolist() == table.astype("str").to_numpy().tolist()


def lmms_eval(table, folder, *, doc):
    """Samples as lmms-eval logs them, a file per condition: without ``doc`` since 2024."""
    files = []
    for condition, rows in table.groupby("condition", sort=False):
        records = [
            {"doc_id": number, "target": row["truth"], "filtered_resps": [f"{row['prediction']}."],
             "resps": [[f"{row['prediction']}."]], "input": "What is the emotion?",
             "emotion_acc": {"score": 1.0}, "doc_hash": "0" * 64}
            | ({"doc": {"speaker": row["speaker"], "audio": {"path": "x"}}} if doc else {})
            for number, row in enumerate(rows.to_dict("records"))
        ]  # fmt: skip
        place = folder / str(condition)
        place.mkdir()
        file = place / "20260101_120000_samples_emotion.jsonl"
        file.write_text("".join(f"{json.dumps(record)}\n" for record in records))
        files.append(f"{condition}={file}")
    return files


@pytest.mark.parametrize("doc", [True, False])
def test_samples_of_lmms_eval(doc, tmp_path):
    table = answers()
    speakers = table.loc[table["condition"] == "none", ["speaker"]].reset_index(drop=True)
    speakers.rename_axis("doc_id").to_csv(tmp_path / "truth.csv")
    files = lmms_eval(table, tmp_path, doc=doc)
    made = read_made(files, truth=None if doc else str(tmp_path / "truth.csv"))
    run = opened(made, tmp_path / "out")
    expected = [balanced(table, condition) for condition in ("none", "aligned")]
    assert run.measures["uar"].tolist() == pytest.approx(expected, abs=1e-12)
    assert [file.format for file in made.files[:2]] == ["samples of lmms-eval"] * 2


def inspect_log(table):
    """A log as Inspect writes it, but for what is not read; the last sample ended in an error."""
    samples = [
        {"id": number, "epoch": 1, "target": row["truth"],
         "metadata": {"file": row["utterance"], "speaker": row["speaker"],
                      "condition": row["condition"]},
         "output": {"model": "gpt-4o", "choices": [
             {"message": {"role": "assistant", "content": [
                 {"type": "reasoning", "reasoning": "sad?"},
                 {"type": "text", "text": row["prediction"]}]}}],
             **({"completion": row["prediction"]} if number % 2 else {})},
         "scores": {"match": {"value": "C"}}}
        for number, row in enumerate(table.to_dict("records"), 1)
    ]  # fmt: skip
    samples[-1] |= {"output": {"choices": [], "completion": ""}, "error": {"message": "429"}}
    header = {"version": 2, "status": "success",
              "eval": {"task": "emotion", "model": "vllm//home/me/tuned"}}  # fmt: skip
    return header, samples


@pytest.mark.parametrize("ending", ["json", "eval"])
def test_a_log_of_inspect(ending, tmp_path):
    table = answers()
    header, samples = inspect_log(table)
    path = tmp_path / f"log.{ending}"
    if ending == "json":
        path.write_text(json.dumps(header | {"samples": samples}))
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("header.json", json.dumps(header))
            archive.writestr("summaries.json", "[]")
            for sample in samples:
                name = f"samples/{sample['id']}_epoch_1.json"
                archive.writestr(name, json.dumps(sample))
    made = read_made([str(path)])
    table.loc[len(table) - 1, "prediction"] = "none"
    run = opened(made, tmp_path / "out")
    expected = [balanced(table, condition) for condition in ("none", "aligned")]
    assert run.measures["uar"].tolist() == pytest.approx(expected, abs=1e-12)
    assert made.settings.model == "vllm/tuned"
    assert made.predictions["why_invalid"].dropna().tolist() == ["the harness reported an error"]


def with_probabilities(table):
    """The answer gets .7, the other labels share the rest."""
    shares = {f"p_{name}": np.where(table["prediction"] == name, 0.7, 0.1) for name in LABELS}
    return table.drop(columns="prediction").assign(**shares)


def test_probabilities(read):
    table = answers()
    made = read(with_probabilities(table))
    assert made.settings.decoding == "score"
    assert made.predictions["prediction"].tolist() == table["prediction"].tolist()


def test_probabilities_that_are_not_numbers_make_an_answer_invalid(read):
    table = with_probabilities(answers())
    table.loc[3, "p_sad"] = np.nan
    written = table.astype(object)
    written.loc[5, "p_happy"] = "nan"
    made = read(written)
    assert np.flatnonzero(~made.predictions["valid"]).tolist() == [3, 5]
    assert made.predictions["why_invalid"].dropna().unique() == ["its probabilities are not finite"]
    told = "2 of 64 rows count as wrong: its probabilities are not finite (2)"
    assert ("invalid", told) in made.notes


def test_answers_that_name_no_class_or_are_empty_count_as_wrong(read):
    table = answers().rename(columns={"prediction": "answer"})
    table.loc[[0, 1], "answer"] = ["I cannot tell.", None]
    made = read(table)
    reasons = made.predictions["why_invalid"].astype(object)[:2].tolist()
    assert reasons == ["names no label", "no answer in the file"]
    assert made.predictions["prediction"].isna().tolist()[:3] == [True, True, False]
    told = dict(made.notes)["invalid"]
    assert told.startswith("2 of 64 rows count as wrong: ")
    assert "names no label (1)" in told


def test_the_target_of_a_harness_is_the_truth_and_not_the_label_of_its_data(tmp_path):
    table = answers()
    files = lmms_eval(table, tmp_path, doc=True)
    for path in (text.partition("=")[2] for text in files):
        with open(path) as file:
            records = [json.loads(line) for line in file]
        for number, record in enumerate(records):
            record["doc"]["label"] = number % 4
        with open(path, "w") as file:
            file.writelines(json.dumps(record) + "\n" for record in records)
    made = read_made(files)
    assert made.predictions["truth"].astype("str").tolist() == (
        [*table.loc[table["condition"] == "none", "truth"]] * 2
    )


def test_columns_that_number_the_same_classes_are_one_truth(read):
    table = answers()
    made = read(table.rename(columns={"truth": "emotion"}).assign(
        label=table["truth"].map(LABELS.index)))  # fmt: skip
    assert made.predictions["truth"].tolist() == table["truth"].tolist()


def files_by_condition(table, folder, changes):
    """A CSV per condition, with what changes in each."""
    paths = []
    for condition, rows in table.groupby("condition", sort=False):
        paths.append(str(folder / f"{condition}.csv"))
        changes.get(condition, lambda rows: rows)(rows).to_csv(paths[-1], index=False)
    return paths


def test_one_file_may_hold_labels_and_another_texts(tmp_path):
    table = answers()
    texts = {"aligned": lambda rows: rows.rename(columns={"prediction": "answer"})}
    made = read_made(files_by_condition(table, tmp_path, texts))
    expected = table.sort_values("condition", kind="stable", ascending=False)["prediction"]
    assert made.predictions["prediction"].tolist() == expected.tolist()


def test_probabilities_of_one_file_alone_are_refused(tmp_path):
    files = files_by_condition(answers(), tmp_path, {"none": with_probabilities})
    with pytest.raises(InputError, match=r"aligned\.csv: no probability under condition 'aligned'"):
        read_made(files)


def test_columns_that_begin_alike_are_no_probabilities(read):
    table = answers()
    made = read(table.assign(p_value=17))
    assert made.predictions["prediction"].tolist() == table["prediction"].tolist()
    assert ("not used", "p_value") in made.notes


def test_words_of_labels_are_those_of_the_study(read):
    """Answers may call a class otherwise than the truth does."""
    table = answers().rename(columns={"prediction": "answer"})
    words = {"angry": "anger", "happy": "happiness", "neutral": "neutral", "sad": "sadness"}
    made = read(table.assign(answer=table["answer"].map(words)), keys={"labels": words})
    assert made.predictions["prediction"].tolist() == table["answer"].tolist()


def test_orders_of_the_labels_may_differ_between_utterances(read, tmp_path):
    """As where a harness shuffles the options anew each time; each answer is one replicate."""
    table = answers().assign(label_order=lambda rows: np.arange(len(rows)) % 3)
    made = read(table)
    assert made.predictions[["replicate", "label_order"]].to_numpy().max() == 0
    assert "repetitions" in dict(made.notes)
    expected = [balanced(table, condition) for condition in ("none", "aligned")]
    assert opened(made, tmp_path / "out").measures["uar"].tolist() == pytest.approx(expected)


class TestWhatIsLeftOutIsCounted:
    def test_an_utterance_that_lacks_a_condition(self, read, tmp_path):
        made = read(answers().drop(index=[0, 5]))
        assert len(made.corpus.table) == 30
        assert made.predictions.groupby("condition").size().tolist() == [30, 30]
        (told,) = (note for name, note in made.notes if name == "left out")
        assert told.startswith("2 of 32 utterances are not answered under every condition; ")
        run = opened(made, tmp_path / "out")
        assert run.corpus.left_out["reason"].unique() == ["not answered under every condition"]

    def test_rows_that_repeat_another(self, read):
        table = answers()
        made = read(pd.concat([table, table.iloc[:3]]))
        assert len(made.predictions) == len(table)
        assert ("duplicates", "3 rows repeat another one and count once") in made.notes

    def test_utterances_that_the_truth_does_not_have(self, read, tmp_path):
        table = answers()
        truth = table.drop_duplicates("utterance")[["utterance", "speaker", "truth"]]
        truth.iloc[4:].to_csv(tmp_path / "truth.csv", index=False)
        made = read(table.drop(columns=["speaker", "truth"]), truth=str(tmp_path / "truth.csv"))
        assert len(made.corpus.table) == 28
        assert ("left out", "4 utterances that truth.csv does not have") in made.notes

    def test_a_partition_is_chosen(self, read):
        table = answers().assign(partition=lambda rows: rows["speaker"].map(
            {"s0": "train", "s1": "devel", "s2": "test", "s3": "test"}
        ))  # fmt: skip
        assert len(read(table).corpus.table) == 32
        made = read(table, keys={"partition": "test"})
        assert sorted(made.corpus.table["speaker"].unique()) == ["s2", "s3"]


def changed(column, value, rows=slice(None)):
    def change(table):
        table = table.astype(object)
        table.loc[table.index[rows], column] = value
        return table

    return change


def one_more(**cells):
    return lambda table: pd.concat([table, pd.DataFrame([table.iloc[0].to_dict() | cells])])


OF_OWN = [("without", 0.5), ("with", 0.8)]
REFUSED = {
    "no speaker": (lambda t: t.drop(columns="speaker"), "no speaker.*over\\s+speakers"),
    "a column that is misspelled": (
        lambda t: t.rename(columns={"speaker": "speakr"}), "no speaker.*is it 'speakr'"),
    "no truth": (lambda t: t.drop(columns="truth"), "no truth.*target, emotion, label"),
    "no utterance": (lambda t: t.drop(columns="utterance"), "no utterance.*file, id, doc_id"),
    "no condition": (lambda t: t.drop(columns="condition"), "no condition.*NAME=FILE"),
    "no answer": (lambda t: t.drop(columns="prediction"), "no answer.*p_<label>"),
    "no row": (lambda t: t.iloc[:0], "no row in it"),
    "an empty file": (lambda t: "", "the file is empty"),
    "spaces alone": (lambda t: " \n\n", "the file is empty"),
    "no text": (lambda t: b"\xff\xfe\x00abc", "no UTF-8"),
    "a broken archive": (lambda t: b"PK\x03\x04abc", r"\.eval log"),
    "a broken Parquet": (lambda t: b"PAR1abc", "cannot be read"),
    "JSON of something else": (lambda t: "[1, 2]", "without records"),
    "a line that is cut": (lambda t: '{"a": 1}\n{"a": ', "line 2 is no JSON"),
    "a log without samples": (lambda t: '{"samples": [], "eval": {}}', "no row in it"),
    "a log of other entries": (
        lambda t: '{"samples": [{"id": 1, "output": [1]}], "eval": {}}', "not as in logs of"),
    "JSON without a log": (lambda t: '{"samples": [{"id": 1}]}', "without an entry 'eval'"),
    "likelihoods": (
        lambda t: '{"doc_id": 1, "filtered_resps": [["-1.2", "True"], ["-3", "False"]]}',
        "likelihoods of choices|Likelihoods of choices"),
    "two columns of a name": (
        lambda t: t.to_csv(index=False).replace("speaker", "truth", 1), "two columns 'truth'"),
    "rows that are too long": (
        lambda t: t.to_csv(index=False).replace("\ns", "\nx,y,s"), "more fields than the header"),
    "an empty cell": (changed("speaker", None, slice(4, 6)), r"column speaker of rows 5, 6 \(2 in"),
    "one speaker": (changed("speaker", "s0"), "found 1 speaker .*over speakers"),
    "two spellings of a speaker": (changed("speaker", "S1", slice(0, 16)), "the same words"),
    "two classes of an utterance": (changed("truth", "sad", slice(0, 1)), "more than one truth"),
    "a label that is not the truth": (
        lambda t: t.assign(label=t["prediction"]), "'truth' and 'label' could both be the truth"),
    "two sexes of an utterance": (
        lambda t: changed("sex", "male", slice(0, 1))(t.assign(sex="female")), "more than one sex"),
    "two partitions of an utterance": (
        lambda t: changed("partition", "train", slice(0, 1))(t.assign(partition="test")),
        "more than one partition"),
    "a missing class": (changed("truth", "nan", slice(0, 4)), "4 rows have the class 'nan'"),
    "a class alone": (lambda t: t.assign(truth="sad", prediction="sad"), "the class sad alone"),
    "a label that is no class": (changed("prediction", "bored", slice(0, 2)),
                                 "found 'bored' in 2 rows; valid are the labels angry, happy"),
    "answers that contradict": (
        lambda t: one_more(prediction="sad" if t["prediction"].iloc[0] != "sad" else "happy")(t),
        "1 rows answer what another row answers, and differently"),
    "no utterance under both": (
        lambda t: t[t["condition"].eq("none") ^ t["speaker"].isin(["s0", "s1"])],
        "none is answered under every condition.*aligned 16, none 16"),
    "probabilities of other labels": (
        lambda t: with_probabilities(t).rename(columns={"p_sad": "p_bored"}), "no column p_sad"),
    "logarithms": (lambda t: with_probabilities(t).assign(p_sad=-2.5), "found '-2.5'"),
    "decimal commas": (
        lambda t: with_probabilities(t).to_csv(index=False, sep=";", decimal=","), "with a point"),
    "a sum above 1": (lambda t: with_probabilities(t).assign(p_sad=0.9), "add up to"),
    "two models": (lambda t: t.assign(model=[f"m{n % 2}" for n in range(len(t))]), "m0, m1"),
    "an at sign": (changed("condition", "mine @ loud"), "'@' stands between"),
    "swapped audio of no class": (
        lambda t: t.replace({"condition": {"aligned": "aligned @ swapped"}}), "heard_class"),
    "a dose that is none": (
        lambda t: t.replace({"condition": {"aligned": "corrupted(2)"}}), "p from 0 to 1"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_named(name, read):
    change, message = REFUSED[name]
    with pytest.raises(InputError, match=message):
        read(change(answers()))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "valid is --reference NAME"),
        ({"reference": "wihout"}, "did you mean 'without'"),
        ({"renamed": {"wih": "none"}}, "did you mean 'with'"),
        ({"renamed": {"with": "none", "without": "none"}}, "'without' and 'with' are both 'none'"),
        ({"renamed": {"with": "aligned"}, "reference": "without"}, "with which all others"),
        ({"renamed": {"with": "shuffled"}, "reference": "shuffled"}, "a perturbation of sercue"),
        ({"keys": {"controls": True}}, "--set controls: unknown study key"),
        ({"keys": {"labels": "angry"}}, "labels: found 'angry'"),
        ({"reference": "with", "keys": {"labels": ["angry", "sad"]}}, "'happy', 'neutral' of the"),
        ({"keys": {"confidence": 2}}, "confidence: found 2"),
    ],
)
def test_conditions_of_ones_own_and_options(options, message, read):
    with pytest.raises(InputError, match=message):
        read(answers(right=OF_OWN), **options)


def test_truth_that_contradicts_or_knows_nothing(read, tmp_path):
    table = answers()
    truth = table.drop_duplicates("utterance")[["utterance", "speaker", "truth"]]
    path = tmp_path / "truth.csv"
    for change, message in (
        (changed("speaker", "s9", slice(0, 1)), "speaker of 2 rows is another"),
        (changed("truth", "sad", slice(0, 1)), "truth of 2 rows is another"),
        (lambda t: t.assign(sex="female"), "sex of 64 rows is another"),
        (one_more(speaker="s9"), "different things of 1 utterances"),
        (lambda t: t.assign(utterance="x" + t["utterance"]), "no utterance of answers.csv is in"),
        (lambda t: t[["utterance"]], "and a speaker"),
    ):
        change(truth).to_csv(path, index=False)
        with pytest.raises(InputError, match=message):
            read(table.assign(sex="male"), truth=str(path))


def test_conditions_of_ones_own_are_compared_with_the_reference(read, tmp_path):
    table = answers(right=[("with", 0.8), ("without", 0.5), ("more", 0.9)])
    run = opened(read(table, reference="without"), tmp_path / "out")
    pairs = run.tests[["condition", "reference"]].to_numpy().tolist()
    assert pairs == [["with", "without"], ["more", "without"]]
    assert set(run.answer) <= {"Differences", "Inconclusive contrasts"}


def test_conditions_outside_the_planned_contrasts_are_told(read, tmp_path):
    names = ("none", "aligned", "prose", "only(pitch)", "aligned @ silent", "mine")
    made = read(answers(right=[(name, 0.5) for name in names]))
    told = dict(made.notes)["apart"]
    assert told.startswith("prose, only(pitch), aligned @ silent: ")
    run = opened(made, tmp_path / "out")
    assert set(run.tests["condition"]) == {"aligned", "mine"}


def test_methods_say_of_several_conditions_what_they_mean(read, tmp_path):
    run = opened(read(answers()), tmp_path / "out")
    _ = run.answer
    text = " ".join(methods_text(run.folder).split())
    assert "`none` and `aligned` are taken to mean what sercue means by them." in text


def test_renamed_conditions_are_ours(read):
    made = read(answers(right=OF_OWN), renamed={"with": "aligned", "without": "none"})
    assert made.settings.conditions == ["none", "aligned"]


def test_other_audio_has_the_class_that_was_heard(read):
    """Answers follow the audio in three of four utterances, counted by hand."""
    right = [(name, 0.5) for name in ("none", "aligned", "none @ swapped", "aligned @ swapped",
                                      "aligned@silent")]  # fmt: skip
    table = answers(right=right)
    turned = dict(zip(LABELS, [*LABELS[1:], LABELS[0]], strict=True))
    table["heard_class"] = table["truth"].map(turned)
    conflict = table["condition"] == "aligned @ swapped"
    follows = conflict & (conflict.cumsum() % 4 > 0)
    table["prediction"] = table["prediction"].mask(conflict, table["truth"])
    table["prediction"] = table["prediction"].mask(follows, table["heard_class"])
    made = read(table)
    assert made.settings.conditions[-1] == "aligned @ silent"
    heard = made.predictions.groupby("heard", observed=True)["heard_class"].nunique()
    assert heard.to_dict() == {"own": 4, "silent": 0, "swapped": 4}
    told = followed(made.predictions)
    assert told["condition"].unique().tolist() == ["aligned @ swapped"]
    shares = told.set_index("follows")["share"]
    assert shares[["audio", "tokens", "neither"]].tolist() == pytest.approx([0.75, 0.25, 0])
    with pytest.raises(InputError, match="do not say which utterance was heard"):
        follow(made.predictions)


def test_one_condition_has_no_contrast(read, tmp_path):
    run = opened(read(answers(right=[("mine", 0.6)])), tmp_path / "out")
    assert (len(run.measures), len(run.tests)) == (1, 0)


def test_pseudonyms(read, tmp_path, cache):
    run = opened(read(answers(), keys={"anonymise": True}), tmp_path / "out")
    names = {*run.predictions["utterance"], *run.predictions["speaker"]}
    assert all(name[0] in "us" and "_" not in name for name in names)
    assert run.predictions["speaker"].nunique() == 4
    assert len(pd.read_csv(cache / "pseudonyms" / "answers.csv")) == 32


def test_pseudonyms_of_a_study_that_is_refused_are_not_written(read, tmp_path, cache):
    """Those of the study that is there would be lost."""
    Artifacts(tmp_path / "out" / "artifacts").record(parameters={"corpus": "emodb"})
    with pytest.raises(InputError, match="found a study of the corpus"):
        opened(read(answers(), "refused.csv", keys={"anonymise": True}), tmp_path / "out")
    assert not list(cache.rglob("refused.csv"))


def test_no_folder_of_this_machine_is_kept(read, tmp_path):
    table = answers()
    placed = table.assign(utterance=f"{tmp_path}/wav/" + table["utterance"])
    truth = placed.drop_duplicates("utterance")[["utterance", "speaker", "truth"]]
    truth.iloc[1:].to_csv(tmp_path / "truth.csv", index=False)
    made = read(placed, truth=str(tmp_path / "truth.csv"), model=f"{tmp_path}/tuned")
    run = opened(made, tmp_path / "out")
    assert run.predictions["utterance"].tolist() == table["utterance"].tolist()[2:]
    assert run.corpus.left_out.index[0][0] == table["utterance"][0]
    told = (tmp_path / "out" / "artifacts" / "provenance.json").read_text()
    assert str(tmp_path) not in told


def test_many_rows(read):
    """A hundred thousand, in seconds; no duration is asserted."""
    table = pd.concat([answers(speakers=156, right=[("none", 0.5), ("a", 0.5)], seed=seed).assign(
        replicate=seed) for seed in range(41)])  # fmt: skip
    assert len(read(table).predictions) == len(table) > 100_000


class TestWhatIsStored:
    def test_the_same_file_gives_the_same_bytes(self, read, tmp_path):
        table = answers()
        run = opened(read(table), tmp_path / "out")
        _ = run.measures, run.tests
        first = stored(tmp_path / "out")
        run = opened(read(table), tmp_path / "out")
        _ = run.measures, run.tests
        assert stored(tmp_path / "out") == first

    def test_another_file_in_its_place_is_another_study(self, read, tmp_path):
        uar = []
        for seed in (0, 1):
            table = answers(seed=seed)
            run = opened(read(table), tmp_path / "out")
            uar.append(run.measures["uar"].tolist())
            assert uar[-1] == pytest.approx([balanced(table, c) for c in ("none", "aligned")])
        assert uar[0] != uar[1]

    def test_a_study_that_was_asked_is_not_overwritten(self, read, tmp_path):
        Artifacts(tmp_path / "out" / "artifacts").record(parameters={"corpus": "emodb"})
        with pytest.raises(InputError, match=r"out: found a study of the corpus 'emodb'"):
            opened(read(answers()), tmp_path / "out")


def stored(folder):
    """The bytes of its tables; the part of predictions is named by chance."""
    paths = [*folder.glob("artifacts/*.parquet"), *folder.glob("artifacts/predictions/*")]
    return {path.name[:5]: path.read_bytes() for path in sorted(paths)}


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """Notebooks 04 and 05 on two conditions of their own and 12 speakers, in this process."""
    folder = tmp_path_factory.mktemp("shown")
    answers(12, OF_OWN).to_csv(folder / "answers.csv", index=False)
    made = read_made([str(folder / "answers.csv")], reference="without")
    run = opened(made, folder / "out")
    return run, [execute(number, run) for number in ("04", "05")]


class TestNotebooks:
    def test_say_what_cannot_be_had_in_words(self, shown):
        texts = [text for notebook in shown[1] for text in texts_of(notebook)]
        assert [text for text in texts if PYTHON.search(text)] == []
        missing = " ".join(text for notebook in shown[1] for text in notebook.missing)
        assert "the tokens that each prompt showed are not known" in missing
        assert "control models need recordings and tokens" in missing

    def test_claim_nothing_of_recordings(self, shown):
        texts = " ".join(text for notebook in shown[1] for text in texts_of(notebook))
        assert "By hash" not in texts
        assert "no recording is at hand" in texts

    def test_captions_name_no_reference_classifiers(self, shown):
        texts = " ".join(text for notebook in shown[1] for text in texts_of(notebook))
        assert "UAR by condition." in texts
        assert "with reference classifiers" not in texts

    def test_methods_name_the_file_and_say_what_is_not_known(self, shown):
        run, _ = shown
        _ = run.answer
        text = methods_text(run.folder)
        digest = json.loads((run.folder / "artifacts" / "provenance.json").read_text())["elsewhere"]
        assert f"answers.csv (CSV with commas, digest `{digest[0]['digest']}`)" in text
        assert "every other condition against `without`" in text
        assert not {"openSMILE", "eGeMAPS", "**Prompts.**"} & set(text.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.csv"], "nowhere.csv: cannot be read (No such file or directory); valid are CSV"),
        (["answers.csv", "--rename", "none"], "--rename: found 'none', valid is OWN=NAME"),
        (["answers.csv", "--set", "modle=x"], "--set modle: unknown study key"),
        (["answers.csv", "--set", "confidence=2"], "--set confidence: found 2"),
        (["answers.csv", "--out", " "], "--out: found ' '"),
        (["answers.csv", "--truth", "nowhere.csv"], "nowhere.csv: cannot be read"),
    ],
)
def test_the_command_tells_what_is_wrong_with_its_words(
    arguments, message, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    answers().to_csv("answers.csv", index=False)
    assert main(["analyse", *arguments]) == 2
    told = capsys.readouterr().err
    assert told.startswith("sercue: error: ")
    assert message in told
