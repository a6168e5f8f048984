"""What sercue reads is data: nothing in its source could run code that a file or a hub holds."""

import ast
from pathlib import Path

import pytest

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
