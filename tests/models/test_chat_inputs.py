"""What the model is given must be what its own processor would have given it."""

import math
import shutil

import numpy as np
import pytest
import torch
import transformers
from checkpoint_parts import QWEN_LAYOUT, tokenizer, turn
from checkpoints import ARCHITECTURES
from checkpoints_other import GEMMA_LAYOUT, begun
from tokenizers import pre_tokenizers

from sercue.errors import InputError
from sercue.models.chat_inputs import ChatInputs
from sercue.models.checkpoint import Checkpoint

PROMPTS = ["Emotion:", "Cues: energy=low, pitch=high. Emotion:", "\n Wie fühlt sie sich? 感情 "]


@pytest.fixture(scope="session")
def shorter(audio):
    """Its length is no whole number of frames, where padding shows most."""
    return audio[-9_123:]


@pytest.fixture
def inputs(checkpoint):
    return ChatInputs(Checkpoint(checkpoint, "mine").processor, "mine")


def alone(processor, audio, prompt):
    """What the processor itself makes of one prompt about one recording."""
    return processor.apply_chat_template(
        [turn(processor, prompt, audio)],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
    )


def assert_own_ids(processor, audios, prompts):
    """All ids of a batch equal those of the processor, prompt by prompt."""
    found = ChatInputs(processor, "mine").encode(audios, prompts)
    for audio, texts, ids in zip(audios, prompts, found.ids, strict=True):
        expected = [alone(processor, audio, text)["input_ids"][0].tolist() for text in texts]
        assert ids == expected


def test_ids_equal_the_processors(inputs, audio, shorter):
    """Each recording is prepared once; every prompt's ids must be as if it were asked alone."""
    prompts = [PROMPTS, [*PROMPTS[::-1], "Speak."]]
    assert_own_ids(inputs._processor, [audio, shorter], prompts)


def test_inputs_equal_the_processors(inputs, audio):
    """Features, masks and token types of one recording go through untouched."""
    found = inputs.encode([audio], [PROMPTS])
    expected = dict(alone(inputs._processor, audio, PROMPTS[0]))
    assert found.ids[0][0] == expected.pop("input_ids")[0].tolist()
    del expected["attention_mask"]
    for name, rows in found.per_token.items():
        assert rows == expected.pop(name).tolist()
    assert found.inputs.keys() == expected.keys()
    for name, value in found.inputs.items():
        assert torch.equal(value, torch.as_tensor(expected[name]))
        assert value.dtype == torch.float32 or not value.is_floating_point()


def test_an_utterance_does_not_hang_on_those_beside_it(inputs, audio, shorter):
    """Otherwise a study that is resumed, with other batches, would measure something else."""
    both = inputs.encode([audio, shorter], [PROMPTS, PROMPTS])
    for row, samples in enumerate([audio, shorter]):
        single = inputs.encode([samples], [PROMPTS])
        assert both.ids[row] == single.ids[0]
        assert {name: [rows[row]] for name, rows in both.per_token.items()} == single.per_token
        for name, value in single.inputs.items():
            place = (row, *(slice(size) for size in value.shape[1:]))
            torch.testing.assert_close(both.inputs[name][place], value[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("checkpoint", ["audio-flamingo-3", "music-flamingo"], indirect=True)
def test_audio_of_several_windows_is_spliced_whole(inputs, audio):
    """These take several windows of their feature extractor: three here, of 2 s."""
    long = np.random.default_rng(1).normal(0, 0.05, 5 * 16_000).astype(np.float32)
    found = inputs.encode([audio, long], [PROMPTS, PROMPTS])
    # 500 frames: half of them behind the convolutions, half of these behind the pooling.
    sound = inputs._processor.audio_token_id
    assert [ids.count(sound) for ids in found.ids[1]] == [125] * 3
    assert len(found.inputs["input_features"]) == 1 + 3


def test_text_that_the_processor_writes_beside_the_audio_merges_as_its_own_does(audio, shorter):
    """Gemma 3n puts line breaks around the audio, which the tokenizer may join to the prompt."""
    processor = transformers.Gemma3nProcessor(
        transformers.Gemma3nAudioFeatureExtractor(feature_size=16),
        transformers.SiglipImageProcessorPil(),
        begun(tokenizer()),
        chat_template=GEMMA_LAYOUT.replace(" | trim", ""),
        audio_seq_length=5,
    )
    merged = processor.tokenizer("\n\n\nx", add_special_tokens=False)["input_ids"]
    processor.tokenizer.add_tokens(["\n\n\n"])
    assert processor.tokenizer("\n\n\nx", add_special_tokens=False)["input_ids"] != merged
    assert_own_ids(processor, [audio, shorter], [["a", "\nb", "\n\n"], ["\nc", "d"]])


@pytest.mark.parametrize("by_template", [True, False])
def test_every_text_begins_with_one_beginning(by_template, audio):
    """Some templates write that token and some tokenizers add it; twice would be another text."""
    layout = GEMMA_LAYOUT if by_template else GEMMA_LAYOUT.removeprefix("<bos>")
    words = begun(tokenizer())
    extractor = transformers.WhisperFeatureExtractor(feature_size=16, chunk_length=2)
    processor = transformers.Qwen2AudioProcessor(extractor, words, chat_template=layout)
    for ids in ChatInputs(processor, "mine").encode([audio], [PROMPTS]).ids[0]:
        assert ids[0] == words.bos_token_id
        assert words.bos_token_id not in ids[1:]


def test_batches_need_no_padding_token(written, audio, shorter):
    """Some tokenizers come without one."""
    processor = Checkpoint(written("qwen2-audio"), "mine").processor
    processor.tokenizer.pad_token = None
    found = ChatInputs(processor, "mine").encode([audio, shorter], [PROMPTS, PROMPTS])
    assert len(found.ids[0][0]) > len(found.ids[1][0])


def test_padding_to_minutes_is_left_out_without_any_change(written, audio, shorter):
    """Qwen2.5-Omni's extractor is set to 300 s, of which the encoder takes what the mask holds."""
    processor = Checkpoint(written("qwen2.5-omni"), "mine").processor
    processor.feature_extractor = transformers.WhisperFeatureExtractor(
        feature_size=16, chunk_length=300
    )
    assert_own_ids(processor, [audio, shorter], [PROMPTS, PROMPTS])
    found = ChatInputs(processor, "mine").encode([audio, shorter], [PROMPTS, PROMPTS]).inputs
    for row, samples in enumerate([audio, shorter]):
        expected = alone(processor, samples, PROMPTS[0])
        frames = int(expected["feature_attention_mask"].sum())
        assert int(found["feature_attention_mask"][row].sum()) == frames
        features = found["input_features"][row, :, :frames]
        torch.testing.assert_close(
            features, expected["input_features"][0, :, :frames], rtol=0, atol=1e-6
        )
    assert found["input_features"].shape[2] < 300


def test_a_window_that_the_encoder_needs_whole_is_kept(written, audio):
    """Qwen2-Audio's encoder takes 30 s and nothing else: 3000 frames."""
    processor = Checkpoint(written("qwen2-audio"), "mine").processor
    processor.feature_extractor = transformers.WhisperFeatureExtractor(
        feature_size=16, chunk_length=30
    )
    found = ChatInputs(processor, "mine").encode([audio], [PROMPTS]).inputs
    assert found["input_features"].shape == (1, 16, 3000)


LONGEST = {
    "qwen2-audio": 2,
    "audio-flamingo-3": 6,
    "qwen2.5-omni": 2,
    "music-flamingo": 6,
    "qwen3-omni": math.inf,
    "phi-4-multimodal": math.inf,
    "gemma-4": 30,
    "voxtral": math.inf,
}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_longest_recording_is_what_the_processor_does_not_cut(written, architecture):
    """Asked of the processor: what is cut adds no audio tokens."""
    processor = Checkpoint(written(architecture), "mine").processor
    longest = LONGEST[architecture]
    assert ChatInputs(processor, "mine").max_seconds == longest
    # Without a bound a minute must be taken whole, twice Whisper's window.
    seconds = (longest - 1, longest, longest + 1) if longest < math.inf else (29, 59, 61)
    noise = np.random.default_rng(2).normal(0, 0.05, 61 * 16_000).astype(np.float32)
    short, whole, longer = (
        len(alone(processor, noise[: length * 16_000], "Emotion:")["input_ids"][0])
        for length in seconds
    )
    assert short < whole
    assert (whole < longer) == (longest == math.inf)


@pytest.mark.parametrize("label", ["angry", "very sad"])
def test_answer_tokens_are_those_behind_the_chat(inputs, audio, label):
    """What an answer in the same chat would hold, not the label's tokens on their own."""
    words = inputs.tokenizer
    asked = {"role": "user", "content": [{"type": "text", "text": "Emotion:"}]}
    if isinstance(words, transformers.MistralCommonBackend):
        said = {"role": "assistant", "content": label}
        ids = [
            words.apply_chat_template([asked], tokenize=True, return_dict=False),
            words.apply_chat_template(
                [asked, said], tokenize=True, return_dict=False, continue_final_message=True
            ),
        ]
    else:
        chat = inputs._processor.apply_chat_template([asked], add_generation_prompt=True)
        ids = words([chat, chat + label], add_special_tokens=False)["input_ids"]
    assert ids[0] + inputs.answer_tokens("Emotion:", label) == ids[1]


def test_words_that_begin_otherwise_in_a_line_are_taken_from_the_line(qwen_checkpoint):
    """Such tokenizers put a space before a text's first word, and none behind a line break."""
    processor = Checkpoint(qwen_checkpoint, "mine").processor
    backend = processor.tokenizer.backend_tokenizer
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    found = ChatInputs(processor, "mine").answer_tokens("Emotion:", "angry")
    assert found != processor.tokenizer("angry")["input_ids"]
    assert processor.tokenizer.decode(found) == "angry"


def test_a_label_that_merges_with_the_chat_is_tokenised_alone(qwen_checkpoint):
    """Then no ids of the label stand behind those of the chat."""
    processor = Checkpoint(qwen_checkpoint, "mine").processor
    processor.chat_template = QWEN_LAYOUT + "an"
    found = ChatInputs(processor, "mine").answer_tokens("Emotion:", "gry")
    assert found == processor.tokenizer("gry")["input_ids"]


@pytest.mark.parametrize("samples", [np.zeros(0), np.zeros((1, 16_000)), np.full(16_000, np.nan)])
def test_audio_that_is_no_recording_is_refused(qwen_inputs, samples):
    """Silence from a failed read must not become a prediction."""
    with pytest.raises(InputError, match="audio: found shape"):
        qwen_inputs.encode([samples], [PROMPTS])


@pytest.fixture
def qwen_inputs(qwen_checkpoint):
    return ChatInputs(Checkpoint(qwen_checkpoint, "mine").processor, "mine")


def test_audio_that_is_too_long_is_refused_not_cut(qwen_inputs):
    """A cut recording would be another recording; the message says what was found and is valid."""
    with pytest.raises(InputError, match=r"found 2\.50 s.*takes 2 s at most"):
        qwen_inputs.encode([np.zeros(40_000, dtype=np.float32)], [PROMPTS])


def test_audio_too_short_for_one_audio_token_is_refused(qwen_inputs):
    """The model would be asked about a recording that is not in the prompt."""
    with pytest.raises(InputError, match="no audio"):
        qwen_inputs.encode([np.ones(100, dtype=np.float32)], [PROMPTS])


def test_audio_of_one_audio_token_is_taken(qwen_inputs):
    """Nothing is inserted then, only one mark stays: 480 samples, 3 frames, 2, 1."""
    found = qwen_inputs.encode([np.ones(480, dtype=np.float32)], [PROMPTS])
    assert [ids.count(qwen_inputs._processor.audio_token_id) for ids in found.ids[0]] == [1] * 3


@pytest.mark.parametrize("prompts", [[], [[]], [["a"], ["b"]], [["a"], []]])
def test_prompts_that_do_not_fit_the_recordings_are_refused(qwen_inputs, audio, prompts):
    """An empty list is an error of the caller, not an empty answer."""
    with pytest.raises(InputError, match=r"^prompts: found"):
        qwen_inputs.encode([audio], prompts)


def test_a_prompt_with_the_mark_of_the_audio_is_refused(qwen_inputs, audio):
    """It would be taken for a second recording."""
    with pytest.raises(InputError, match=r"^prompts: found '<\|AUDIO\|>'"):
        qwen_inputs.encode([audio], [["Emotion:", "What is <|AUDIO|>?"]])


@pytest.mark.parametrize("prompts", [["Emotion:"], PROMPTS])
def test_a_template_with_the_text_first_is_refused(qwen_checkpoint, tmp_path, audio, prompts):
    """Then the audio would run once a prompt, and the tokens would not come last."""
    folder = shutil.copytree(qwen_checkpoint, tmp_path / "copy")
    template = "{{ messages[0]['content'][1]['text'] }}<|AUDIO|>"
    (folder / "chat_template.jinja").write_text(template)
    with pytest.raises(InputError, match="audio before the text"):
        ChatInputs(Checkpoint(folder, "mine").processor, "mine").encode([audio], [prompts])
