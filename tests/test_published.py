"""Published values: as they were read, each once, and what is not valid named by its line."""

import pandas as pd
import pytest

from sercue.errors import InputError
from sercue.report.published import FILE, of_evaluation, published_values

# Typed from the digest of the paper: UAR with the audio alone and with aligned tokens.
FAU_AIBO = {
    ("qwen2-audio", "dev"): (0.209, 0.240),
    ("qwen2-audio", "test"): (0.206, 0.234),
    ("qwen2.5-omni", "dev"): (0.262, 0.279),
    ("qwen2.5-omni", "test"): (0.230, 0.240),
    ("audio-flamingo-3", "dev"): (0.259, 0.268),
    ("audio-flamingo-3", "test"): (0.253, 0.269),
    ("midashenglm-7b", "dev"): (0.260, 0.263),
    ("audio-flamingo-3-think", "dev"): (0.248, 0.268),
}
IEMOCAP = {
    "qwen2.5-omni": (0.541, 0.582),
    "audio-flamingo-3": (0.754, 0.776),
}
WITHOUT_TOKENS = {"clap": 0.353, "pengi": 0.345, "paraclap": 0.600, "smoothclap": 0.606}
HEAD, FIRST = FILE.read_text(encoding="utf-8").splitlines()[:2]


@pytest.fixture(scope="module")
def values():
    return published_values()


def uar(values, **where):
    rows = values[values["measure"] == "uar"]
    for column, value in where.items():
        rows = rows[rows[column] == value]
    return rows.set_index("condition")["value"]


def test_uar_of_the_paper(values):
    assert len(values.query("corpus == 'fau_aibo'")) == 2 * len(FAU_AIBO)
    assert set(values.query("corpus == 'fau_aibo'")["classes"]) == {5}
    for (model, partition), expected in FAU_AIBO.items():
        found = uar(values, corpus="fau_aibo", model=model, partition=partition)
        assert (found["none"], found["aligned"]) == expected
    for model, expected in IEMOCAP.items():
        found = uar(values, corpus="iemocap", model=model)
        assert (found["none"], found["aligned"]) == expected
    for model, expected in WITHOUT_TOKENS.items():
        assert uar(values, model=model).to_dict() == {"none": expected}


def test_what_is_second_hand_says_so(values):
    """All of the paper and of VoxEmo; of the third publication the text itself was read."""
    first_hand = values["source"].str.contains("2609.39453")
    assert set(values.loc[first_hand, "known"]) == {"full text"}
    assert values.loc[~first_hand, "known"].str.startswith("second-hand").all()


def test_the_digest_that_contradicts_all_others_is_not_used(values):
    assert not values["value"].isin([0.623, 0.638, 0.681, 0.694]).any()


def test_f1_is_never_a_uar(values):
    f1 = values[values["source"].str.contains("2603.08936|2609.39453")]
    assert set(f1["measure"]) == {"macro_f1"}
    assert len(f1) == 9
    assert not set(f1["value"]) & set(values.loc[values["measure"] == "uar", "value"])


def test_values_of_unknown_classes_are_of_no_evaluation(values):
    """They are listed for their corpus only when asked for."""
    strict = of_evaluation(values, "iemocap", 4, "all")
    loose = of_evaluation(values, "iemocap", 4, "all", unknown=True)
    assert strict["classes"].notna().all()
    assert loose.drop(strict.index)["value"].tolist() == [0.573, 0.626]


def edited(folder, **cells):
    """A file of one value, some of its cells changed."""
    row = dict(zip(HEAD.split(","), pd.read_csv(FILE, dtype=str).iloc[0].fillna(""), strict=True))
    path = folder / "values.csv"
    pd.DataFrame([row | cells]).to_csv(path, index=False)
    return path


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ({"measure": "war"}, "line 2: measure: found 'war'; "),
        ({"value": "20.9"}, "line 2: value: found '20.9'; Input should be less than or equal"),
        ({"value": "-0.2"}, "line 2: value: found -0.2, valid are 0 to 1 with uar"),
        ({"value": ""}, "line 2: value: found nothing, valid is a number where there is no p"),
        ({"partition": "devel"}, "line 2: partition: found 'devel'; did you mean 'dev'"),
        ({"classes": "five"}, "line 2: classes: found 'five'; "),
        ({"reference": "none"}, "line 2: reference: found 'none' with the measure uar"),
        ({"measure": "uar_difference"}, "line 2: reference: found None with"),
        ({"source": ""}, "line 2: source: "),
        ({"known": "hearsay"}, "line 2: known: found 'hearsay'"),
        ({"uar": "0.2"}, "line 2: unknown column 'uar'"),
    ],
)
def test_a_cell_that_is_not_valid_is_named(cells, said, tmp_path):
    with pytest.raises(InputError, match=r"values\.csv") as error:
        published_values(edited(tmp_path, **cells))
    assert said in str(error.value)


def test_a_value_that_stands_twice_is_named(tmp_path):
    path = tmp_path / "values.csv"
    path.write_text("\n".join([HEAD, FIRST, FIRST]))
    with pytest.raises(InputError, match=r"values.csv, line 3: the same value of the same source"):
        published_values(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none.csv: cannot be read as published values"):
        published_values(tmp_path / "none.csv")
