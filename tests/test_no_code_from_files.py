"""What sercue reads is data: nothing in its source could run code that a file or a hub holds."""

import ast
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sercue.corpora import load_corpus
from sercue.corpora.inspection import inspect_audio
from sercue.errors import InputError
from sercue.features import extract_features

SOURCE = Path(__file__).resolve().parents[1] / "sercue"
# joblib and dask move objects between processes of their own with such a format; files they read
# none of, and neither does sercue.
MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "shelve", "marshal", "jsonpickle",
           "code", "runpy", "imp"}  # fmt: skip
CALLS = {"eval", "exec", "compile", "__import__", "execfile", "read_pickle", "to_pickle",
         "unsafe_load", "full_load", "load_all", "load_module", "exec_module"}  # fmt: skip
LOADERS = {"torch": {"weights_only": True}, "np": {}, "numpy": {}, "joblib": None, "yaml": None}


def findings(source):
    """What may run code, as line and name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from ((node.lineno, name) for name in _modules(node) if name in MODULES)
            yield from ((node.lineno, "joblib.load") for name in _loads(node) if name)
        elif isinstance(node, ast.Call):
            problem = _of_call(node)
            if problem:
                yield node.lineno, problem


def _modules(node):
    if isinstance(node, ast.ImportFrom):
        return [(node.module or "").partition(".")[0]]
    return [alias.name.partition(".")[0] for alias in node.names]


def _loads(node):
    if isinstance(node, ast.ImportFrom) and (node.module or "") in {*LOADERS}:
        return [alias.name == "load" for alias in node.names]
    return []


def _of_call(node):
    name = ast.unparse(node.func)
    home, _, last = name.rpartition(".")
    given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
    if "trust_remote_code" in given and given["trust_remote_code"] != "False":
        return "trust_remote_code"
    if given.get("allow_pickle", "False") != "False":
        return "allow_pickle"
    # A pattern is compiled by re.compile, and a model by model.eval(): neither is the built-in.
    if last in CALLS and (not home or last not in {"eval", "compile"}):
        return name
    if last != "load" or home not in LOADERS:
        return None
    if home == "yaml":
        loader = given.get("Loader", "")
        return None if loader in {"_PlainLoader", "yaml.SafeLoader"} else name
    needed = LOADERS[home]
    safe = needed is not None and all(given.get(k) == str(v) for k, v in needed.items())
    return None if safe else name


@pytest.mark.parametrize(
    "file", sorted(SOURCE.rglob("*.py")), ids=lambda file: str(file.relative_to(SOURCE))
)
def test_no_module_can_run_what_it_reads(file):
    # Dask moves objects between its own processes; what a worker gets so comes from no file.
    of_dask = ["pickle"] if file.relative_to(SOURCE).as_posix() == "distributed/worker.py" else []
    assert [name for _, name in findings(file.read_text(encoding="utf-8"))] == of_dask


def test_notebooks_run_no_code_from_files():
    for file in sorted((SOURCE.parent / "notebooks").glob("*.ipynb")):
        text = file.read_text(encoding="utf-8")
        assert [name for name in ("pickle", "trust_remote_code", "eval(") if name in text] == []


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from dill import loads",
        "from joblib import load",
        "joblib.load(path)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "yaml.load(text, Loader=yaml.Loader)",
        "yaml.unsafe_load(text)",
        "pd.read_pickle(path)",
        "eval(text)",
        "exec(text)",
        "AutoModel.from_pretrained(path, trust_remote_code=True)",
        "AutoModel.from_pretrained(path, trust_remote_code=options.trust)",
    ],
)
def test_what_would_run_code_is_found(line):
    """Or the search above would pass on anything."""
    assert list(findings(line))


@pytest.mark.parametrize(
    "line",
    ["re.compile(text)", "model.eval()", "np.load(path)", "torch.load(path, weights_only=True)",
     "yaml.load(text, Loader=yaml.SafeLoader)", "json.load(file)"],
)  # fmt: skip
def test_what_runs_none_is_let_pass(line):
    assert list(findings(line)) == []


class Trap:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.fixture
def trap(tmp_path):
    """A pickle that would leave a mark; nothing that reads files may have left it."""
    mark = tmp_path / "mark"
    content = pickle.dumps(Trap(mark))
    yield content
    assert not mark.exists()
    pickle.loads(content)
    assert mark.exists(), "the trap does not work, so that nothing was tested"


@pytest.mark.parametrize(
    ("corpus", "file", "options"),
    [
        ("table", "corpus.csv", {}),
        ("table", "corpus.parquet", {}),
        ("table", "corpus.pkl", {}),
        ("audformat", "db.yaml", {}),
        ("datasets", "data/train.parquet", {}),
        ("datasets", "data/train.csv", {}),
        ("datasets", "data/train.json", {}),
        ("datasets", "data/train.pkl", {}),
        ("datasets", "dataset_dict.json", {}),
        ("datasets", "state.json", {}),
        ("datasets", "metadata.csv", {}),
        ("iemocap", "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt", {}),
        ("fau_aibo", "labels/chunk_labels_2cl_corpus.txt", {}),
    ],
)
def test_a_pickle_in_place_of_a_file_that_a_reader_opens_is_refused(
    corpus, file, options, trap, tmp_path, monkeypatch
):
    if corpus == "datasets":
        pytest.importorskip("datasets")
    monkeypatch.setenv("SERCUE_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "corpus" / file
    path.parent.mkdir(parents=True)
    path.write_bytes(trap)
    root = path if corpus == "table" else tmp_path / "corpus"
    with pytest.raises(InputError):
        load_corpus(corpus, root, **options)


def test_a_pickle_in_place_of_a_recording_or_of_what_is_cached_is_not_opened(
    trap, tmp_path, monkeypatch
):
    cache = tmp_path / "cache"
    monkeypatch.setenv("SERCUE_CACHE", str(cache))
    for number, label in enumerate(["sad", "sad", "happy", "happy"]):
        (tmp_path / "corpus" / label).mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(number).normal(0, 0.1, 16000)
        soundfile.write(tmp_path / "corpus" / label / f"{number % 2}.wav", noise, 16000)
    corpus = load_corpus("folders", tmp_path / "corpus", speaker=r"(\d)\.wav$")
    before = extract_features(corpus, progress=False)
    inspect_audio(corpus)
    cached = [file for file in cache.rglob("*") if file.is_file()]
    assert cached
    for file in cached:
        file.write_bytes(trap)
        file.with_suffix(".pkl").write_bytes(trap)
    assert extract_features(corpus, progress=False).equals(before)
    corpus.path("sad/0.wav").write_bytes(trap)
    assert (inspect_audio(corpus)["problem"] != "").sum() == 1
