"""All that is asked reaches the model: else it would be said to ignore what it never saw."""

import datetime
import json
import shutil

import pytest
import transformers
from checkpoint_parts import QWEN_LAYOUT, extractor
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from sercue.check.study import check_study
from sercue.errors import InputError
from sercue.models import chats
from sercue.models.chat import AudioChatModel
from sercue.models.chat_inputs import ChatInputs
from sercue.models.checkpoint import Checkpoint

PROMPTS = ["Cues: energy=low. Emotion:", "Cues: energy=high. Emotion:"]


@pytest.fixture
def with_template(qwen_checkpoint, tmp_path):
    """A checkpoint with another chat template."""

    def make(template):
        folder = shutil.copytree(qwen_checkpoint, tmp_path / "copy", dirs_exist_ok=True)
        (folder / "chat_template.jinja").write_text(template)
        return folder

    return make


def words_alone(known, normalizer=None):
    """Inputs by a tokenizer of whole words, one token for all others."""
    marks = ["<unk>", "<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>", "<end>"]
    vocabulary = {word: number for number, word in enumerate([*marks, *known])}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    if normalizer:
        words.normalizer = normalizer
    words.add_special_tokens(marks)
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="<unk>", pad_token="<end>", eos_token="<end>"
    )
    layout = QWEN_LAYOUT.replace("<|im_start|>{{ m['role'] }}\n", "").replace("<|im_end|>", "<end>")
    layout = layout.replace("<|im_start|>assistant\n", "")
    processor = transformers.Qwen2AudioProcessor(extractor(), tokenizer, chat_template=layout)
    return ChatInputs(processor, "mine")


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("c['text']", True),
        ("c['text'] | trim", True),
        ("c['value']", False),
        ("c['text'][:20]", False),
        ("c['text'] | upper", False),
        ("c['text'] | truncate(9)", False),
    ],
)
def test_a_template_that_does_not_write_the_whole_text_is_refused(
    with_template, audio, text, valid
):
    """Then all conditions are one prompt, and a report would say that cues are ignored."""
    model = AudioChatModel(
        with_template(QWEN_LAYOUT.replace("c['text']", text)), name="mine", device="cpu"
    )
    if valid:
        assert len(model.prompt_tokens(audio, PROMPTS)) == 2
        return
    with pytest.raises(InputError, match=r"'mine': its chat template does not write the whole"):
        model.prompt_tokens(audio, PROMPTS)


def test_words_that_the_tokenizer_does_not_know_are_refused(audio):
    """Two labels in Chinese would be one unknown token each, and so the same prompt."""
    inputs = words_alone(["Emotion", ":", "angry"])
    assert inputs.encode([audio], [["Emotion: angry"]]).ids
    with pytest.raises(InputError, match=r"prompts: the tokenizer of mine does not write '生气'"):
        inputs.encode([audio], [["Emotion: angry", "Emotion: 生气"]])
    with pytest.raises(InputError, match=r"labels: the tokenizer of mine does not write '生气'"):
        inputs.answer_tokens("Emotion:", "生气")


def test_prompts_that_become_the_same_tokens_are_refused(audio):
    """A tokenizer may drop accents and case, and with them all that two wordings differ by."""
    inputs = words_alone(["emotion", "a"], normalizers.BertNormalizer())
    assert inputs.encode([audio], [["Émotion a", "emotion"]]).ids
    with pytest.raises(InputError, match=r"prompts: 'Émotion' and 'emotion' have the same tokens"):
        inputs.encode([audio], [["Émotion", "emotion"]])


def test_the_check_says_that_the_prompts_reach_the_model(study):
    told = dict(check_study(study(long=None)).rows)["chat"]
    number = int(told.split()[2])
    assert number > 1
    assert "is in the model's chat as a whole" in told


def test_the_check_finds_a_template_that_drops_one_label_order(study, with_template):
    """What a prompt of the study has, and the trial of the template lacks."""
    layout = QWEN_LAYOUT.replace("c['text']", "c['text'] | replace('neutral, angry', '')")
    with pytest.raises(InputError, match="does not write the whole text"):
        check_study(study(long=None, model=f"hf:{with_template(layout)}", label_orders=2))


ENDLESS = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
HUGE = "{{ 'a' * 10000000000 }}"


@pytest.mark.parametrize(("template", "why"), [(ENDLESS, "does not end"), (HUGE, "memory")])
def test_a_template_without_end_is_refused(with_template, template, why, monkeypatch):
    """It would hold up the check for days, or take all memory; the sandbox allows both."""
    monkeypatch.setitem(chats._TRIAL, "seconds", 1)
    with pytest.raises(InputError, match=f"'mine': its chat template.*{why}"):
        Checkpoint(with_template(template + QWEN_LAYOUT), "mine").check()


def test_templates_of_the_hub_pass_the_trial(with_template):
    """With the tags and functions that transformers has beyond jinja's own."""
    extended = (
        "{% generation %}{% endgeneration %}{% for i in [1] %}{% break %}{% endfor %}"
        "{% set ns = namespace(a=1) %}{{ messages | tojson | length > 0 or '' }}"
    )
    template = QWEN_LAYOUT.replace("{{ m['role'] }}", extended + "{{ m['role'] }}")
    Checkpoint(with_template(template), "mine").check()


@pytest.mark.parametrize("call", ["{{ [1, 2] | random }}", "{{ lipsum() }}"])
def test_a_template_that_changes_by_chance_is_refused(with_template, call):
    """The same question would be another one on the next run, under the same key."""
    with pytest.raises(InputError, match="its chat template changes by chance"):
        Checkpoint(with_template(call + QWEN_LAYOUT), "mine").check()


def test_the_date_in_a_template_is_always_the_same(with_template, audio):
    """Templates of Llama write today's date, so that answers would change by the day."""
    dated = "{{ strftime_now('%d %b %Y|%Y-%m-%d|%A, %d %B') }}"
    folder = with_template(dated + QWEN_LAYOUT)
    processor = Checkpoint(folder, "mine").processor
    inputs = ChatInputs(processor, "mine")
    (ids,) = inputs.encode([audio], [["Emotion:"]]).ids[0]
    told = datetime.date(2024, 7, 26).strftime("%d %b %Y|%Y-%m-%d|%A, %d %B")
    assert processor.tokenizer.decode(ids).startswith(told)


def test_a_mark_of_the_audio_that_is_no_token_is_refused(qwen_checkpoint, tmp_path):
    """Then no audio would be in the prompt."""
    folder = shutil.copytree(qwen_checkpoint, tmp_path / "copy")
    file = folder / "config.json"
    config = json.loads(file.read_text())
    file.write_text(json.dumps(config | {"audio_token_index": 9}))
    with pytest.raises(InputError, match=r"audio_token_(id|index) 9, but its processor marks"):
        Checkpoint(folder, "mine").check()
