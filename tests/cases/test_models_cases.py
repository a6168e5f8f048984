"""Checkpoints that were handled wrongly: each is refused by the quick check, in one line."""

from pathlib import Path

import pytest

from sercue.errors import InputError
from sercue.models.chat import AudioChatModel

CASES = Path(__file__).parents[2].parent / "shared" / "cases" / "checkpoints"
WRONG = {
    "t_text_dropped": "its chat template does not write the whole text beside an audio",
    "t_twice": r"writes the mark of the audio \(<\|AUDIO\|>\) 2 times",
    "small_vocab": "its tokenizer has 329 tokens, but its weights have embeddings of 300",
    "no_pad": "names neither a token for padding nor one for the end",
    "awq": "gptqmodel",
}


@pytest.mark.skipif(not CASES.is_dir(), reason="these cases are not here")
@pytest.mark.parametrize("case", WRONG)
def test_the_quick_check_says_what_is_wrong_with_a_checkpoint(case):
    """Two of them were refused after the check had passed, one was never refused."""
    with pytest.raises(InputError, match=WRONG[case]) as caught:
        AudioChatModel(CASES / case, name="mine", device="cpu").check()
    assert str(caught.value).startswith("model 'mine': ")
    assert "\n" not in str(caught.value)
