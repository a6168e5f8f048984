"""A study in which all is odd: recordings, and names of files, speakers and a class."""

import shutil

import pandas as pd
import yaml
from bad_audio import BadRecording, bad_audio

from sercue.cli import main
from sercue.corpora import load_corpus

#: What a browser, LaTeX or matplotlib would take for an instruction.
LABEL = "<script>window.ran = 'label'</script>"
SPEAKERS = [
    "<b onclick=alert(1)>$\\frac$ & 'Ann'_1%",
    "<img src=x onerror=\"window.ran = 'speaker'\">",
]
# A folder and a file in it, as the slash says.
FILE = "<script>window.ran = 'file'</script>.wav"
NAMES = [
    "<script>alert(2)<.wav", " a space before.wav", "it's \"quoted\".wav", "new\nline.wav",
    "驚き שלום.wav", "$x^$ & 100%.wav", "d,e;f\t.wav",
]  # fmt: skip
SETTINGS = {
    "study": "odd",
    "corpus": "table",
    "model_options": {"epochs": 1},
    "controls": False,
    "conditions": ["none", "aligned"],
    "templates": ["plain"],
    "label_orders": 1,
    "tuning_limit": 4,
    "resamples": 100,
}


def odd_recordings(folder):
    """Every kind of bad and odd recording, one of them with a name that is a script."""
    made = bad_audio(folder)
    (folder / FILE).parent.mkdir()
    shutil.copy(folder / "header.wav", folder / FILE)
    return made | {"header only, and a script for a name": BadRecording(FILE, "no samples")}


def write_odd_study(folder):
    """Speech of two classes of the demo, some of it under odd names, among odd recordings."""
    odd = odd_recordings(folder)
    corpus = load_corpus("demo", speakers=6, sentences=2)
    demo = corpus.table.reset_index()
    first, second = sorted(corpus.labels)[:2]
    demo = demo[demo["emotion"].isin([first, second])]
    files = [*NAMES, *(f"speech_{number}.wav" for number in range(len(NAMES), len(demo)))]
    for own, new in zip(demo["file"], files, strict=True):
        shutil.copy(corpus.path(own), folder / new)
    speech = demo[["emotion", "speaker", "partition"]].assign(file=files, start=0.0, end=None)
    named = dict(zip(speech["speaker"].unique(), SPEAKERS, strict=False))
    speech = speech.replace({"speaker": named, "emotion": {first: LABEL}})
    rows = [(recording.file, *recording.segment) for recording in odd.values()]
    rest = pd.DataFrame(rows, columns=["file", "start", "end"])
    rest = rest.assign(emotion=second, speaker=SPEAKERS[0], partition=speech["partition"].iloc[0])
    pd.concat([speech, rest]).to_csv(folder / "corpus.csv", index=False)
    settings = SETTINGS | {"corpus_root": str(folder / "corpus.csv")}
    (folder / "study.yaml").write_text(yaml.safe_dump(settings))


def run_odd_study(folder):
    """The two notebooks that show recordings, without those that are no use."""
    write_odd_study(folder)
    chosen = ["--only", "01", "03", "--set", "bad_audio=leave_out"]
    assert main(["run", str(folder / "study.yaml"), "--out", str(folder / "out"), *chosen]) == 0
