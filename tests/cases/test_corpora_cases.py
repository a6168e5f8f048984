"""Small corpora that were handled wrongly, where they lie beside the checkout."""

from pathlib import Path

import pytest

from sercue.corpora import load_corpus
from sercue.corpora.corpus_check import check_corpus
from sercue.corpora.inspection import inspect_audio
from sercue.errors import InputError

CASES = Path(__file__).parents[2].parent / "shared" / "cases"
SAVEE = r"^(?P<speaker>[A-Z]+)/(?P<emotion>[a-z]+)\d+\.wav$"


@pytest.fixture
def case(request):
    folder = CASES / request.param
    if not folder.exists():
        pytest.skip(f"{folder} is not there")
    return folder


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("seg_comma_start", r"column 'start', rows 1, 2, .* found '0,5', .* a point, not a comma"),
        ("seg_inf", r"column 'end', rows 1, 2, .* found 'inf', valid are seconds"),
        ("csv_trailing_comma", "the rows of .* have one field more than the header, which has 3"),
    ],
    indirect=["case"],
)
def test_a_table_is_refused_with_what_is_wrong_in_it(case, message):
    with pytest.raises(InputError, match=message):
        load_corpus("table", case / "corpus.csv", check_files=False)


@pytest.mark.parametrize("case", ["hf_audiofolder"], indirect=True)
def test_an_audiofolder_is_read_without_decoding(case, tmp_path, monkeypatch):
    pytest.importorskip("datasets")
    monkeypatch.setenv("SERCUE_CACHE", str(tmp_path))
    corpus = load_corpus("datasets", case)
    assert corpus.table["speaker"].value_counts().to_dict() == {f"0{n}": 8 for n in range(6)}
    assert corpus.labels == ("angry", "happy", "neutral", "sad")
    assert corpus.path("s00_angry_0.wav").samefile(case / "s00_angry_0.wav")


@pytest.mark.parametrize("case", ["savee"], indirect=True)
def test_four_speakers_in_folders_are_four_folds_and_said_so(case):
    corpus = load_corpus("folders", case, speaker=SAVEE)
    assert dict(zip(corpus.table["speaker"], corpus.table["fold"], strict=True)) == {
        "DC": "speaker 1", "JE": "speaker 2", "JK": "speaker 3", "KL": "speaker 4",
    }  # fmt: skip
    found = check_corpus(corpus, inspect_audio(corpus)).set_index("check")
    assert found.loc["few speakers", "verdict"] == "note"


@pytest.mark.parametrize("case", ["one_utterance_per_speaker"], indirect=True)
def test_one_utterance_per_speaker_has_all_designs_but_those_centred_by_speaker(case, tmp_path):
    from sercue.run import Run
    from sercue.settings import Settings
    from sercue.tables.findings import left_out_designs

    root = str(case / "corpus.csv")
    run = Run(Settings(corpus="table", corpus_root=root, out=str(tmp_path)))
    assert run.designs.index.tolist() == [
        "5 quantile", "5 width", "3 quantile", "3 width", "5 quantile, without VOICE_QUALITY",
        "sercue: 3 quantile",
    ]  # fmt: skip
    assert "Left out: 5 quantile, centred by speaker, " in left_out_designs(run.designs)
