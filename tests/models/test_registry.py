"""Names of models: a wrong one must be found before anything is fetched or trained."""

import subprocess
import sys

import numpy as np
import pytest

from sercue.corpora.corpus import example_corpus
from sercue.errors import InputError
from sercue.models import CARDS, AudioLanguageModel, available_models, load_model


def test_a_folder_loads_by_its_path(qwen_checkpoint, audio):
    """``hf:`` takes a folder as well as a repository: how downloaded weights are used offline."""
    model = load_model(f"hf:{qwen_checkpoint}", device="cpu", batch_size=2)
    assert isinstance(model, AudioLanguageModel)
    scores = model.score(audio, ["Emotion:"], ["angry", "neutral"])
    assert np.isfinite(scores).all()


def test_the_protocol_refuses_what_cannot_score():
    """An endpoint implements it later: the check must be one that can fail."""
    assert not isinstance(object(), AudioLanguageModel)


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("sercue-tony", {}, "did you mean 'sercue-tiny'"),
        ("hf:", {}, "unknown model 'hf:'"),
        ("sercue-tiny", {}, "^corpus: "),
        ("sercue-tiny", {"corpus": example_corpus()}, "^tokens: "),
        ("qwen2-audio", {"options": {"recipe": "grounded"}}, "option of qwen2-audio 'recipe'"),
        ("qwen2-audio", {"device": "tpu"}, "device: found 'tpu'"),
    ],
)
def test_wrong_requests_are_named(name, given, message):
    """Each of these comes from a study file."""
    with pytest.raises(InputError, match=message):
        load_model(name, **given)


def test_cards_are_complete():
    """The table is what a user chooses from; memory is the parameters times the bytes of each."""
    table = available_models().set_index("name")
    assert list(table.index) == [card.name for card in CARDS]
    assert (table["licence"] != "").all()
    large = table.loc["qwen2-audio"]
    assert large["GB float32"] == pytest.approx(2 * large["GB bfloat16"], rel=0.01)
    # The checkpoint on the hub is 16.79 GB in bfloat16.
    assert large["GB bfloat16"] == pytest.approx(16.79, rel=0.02)


def test_naming_models_imports_neither_torch_nor_transformers():
    """``sercue models`` and every import of the package must stay quick."""
    code = (
        "import sys, sercue.models as m; m.available_models(); "
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
