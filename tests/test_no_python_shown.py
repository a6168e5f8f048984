"""Notebooks of any study show words and numbers, and neither Python's texts nor warnings."""

import re
import warnings
from collections import defaultdict

import pytest
import trees
from cells import execute
from made_studies import CLASSES, made_study

from sercue.settings import Settings, read_study, shipped_studies

pytestmark = pytest.mark.usefixtures("figures_unsaved")
PARTS = ("train", "train", "dev", "test", "test")
CELL = re.compile(r"<(t[dh]|li|figcaption|caption|p)\b[^>]*>(.*?)</\1>", re.DOTALL)
TAG = re.compile(r"<[^>]+>")
QUOTED = re.compile(r"""(['"]).*\1""", re.DOTALL)
PYTHON = re.compile(
    r"\bnan\b|&lt;NA|\bNaT\b|\bNone\b(?! of)|\bTrue\b(?! class)|\bFalse\b|np\.|dtype|\w+Error:"
)
OF_CORPUS = {"study", "corpus", "corpus_root", "corpus_options", "model"}
# What IPython does not show, either.
UNSEEN = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)
ODD = {
    "a class missing in the test partition": {
        "rows": [
            (f"s{number}", label, 2, part)
            for number, part in enumerate(PARTS)
            for label in CLASSES
            if (part, label) != ("test", "sad")
        ]
    },
    "one speaker per class": {
        "rows": [
            (f"s{number}", CLASSES[number % 4], 2, "train" if number < 4 else "test")
            for number in range(8)
        ]
    },
    "a single condition": {"conditions": ["none"]},
}


@pytest.fixture(scope="module")
def recordings(cache):
    return trees.demo_recordings()


def texts_of(shown):
    """Every cell, caption and sentence that a notebook shows, without markup."""
    for it in [*shown.tables.values(), *shown.figures.values(), *shown.results]:
        # Jupyter shows a text as Python writes it.
        markup = f"<p>{it!r}</p>" if isinstance(it, str) else it._repr_html_()
        yield from (TAG.sub("", text).strip() for _, text in CELL.findall(markup))
    yield from shown.missing


def leaks(run, capfd, *numbers):
    """What a reader should not see of some notebooks."""
    found = []
    for number in numbers:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            shown = execute(number, run)
        seen = [it for it in caught if not issubclass(it.category, UNSEEN)]
        told = [f"{it.category.__name__}: {it.message}" for it in seen]
        told += [it for it in texts_of(shown) if QUOTED.fullmatch(it) or PYTHON.search(it)]
        told += [line for line in capfd.readouterr().err.splitlines() if "Warning" in line]
        found += [f"{number}: {line}" for line in told]
    return sorted(set(found))


def different_studies():
    """The shipped ones that differ in more than where their corpus lies.

    Of those that differ in their labels alone, that with the most and that with the fewest; not
    the default settings, which the odd corpora have.
    """
    keys = set(Settings.model_fields) - OF_CORPUS
    alike = defaultdict(dict)
    for name in sorted(shipped_studies(), reverse=True):
        study = read_study(name)
        alike[study.fingerprint(keys - {"labels"})][len(study.labels or CLASSES)] = name
    chosen = {of[number] for of in alike.values() for number in (min(of), max(of))}
    default = Settings().fingerprint(keys)
    return sorted(name for name in chosen if read_study(name).fingerprint(keys) != default)


@pytest.mark.parametrize("name", different_studies())
def test_no_shipped_study_shows_python(name, recordings, tmp_path, monkeypatch, capfd):
    """On the smallest corpus that it can be read from; what 01 and 02 show are the corpus' own."""
    run = made_study(name, tmp_path, recordings, monkeypatch)
    assert leaks(run, capfd, "03", "04", "05") == []


@pytest.mark.parametrize("name", ODD)
def test_no_odd_corpus_shows_python(name, recordings, tmp_path, monkeypatch, capfd):
    run = made_study("table", tmp_path, recordings, monkeypatch, **ODD[name])
    assert leaks(run, capfd, "01", "02", "03", "04", "05") == []
