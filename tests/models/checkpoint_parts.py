"""What tiny random checkpoints are made of: a tokenizer, sizes, layouts of chats."""

import base64
import io
import json
from dataclasses import dataclass, field
from pathlib import Path

import soundfile
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

LAYOUT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% for c in m['content'] %}"
    "{% if c['type'] == 'audio' %}AUDIO\n{% else %}{{ c['text'] }}{% endif %}{% endfor %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
QWEN_LAYOUT = LAYOUT.replace("AUDIO", "<|audio_bos|><|AUDIO|><|audio_eos|>")
# Processors find some of these in their tokenizer by these names.
NAMED_MARKS = {
    "audio_token": "<|AUDIO|>",
    "audio_bos_token": "<|audio_bos|>",
    "audio_eos_token": "<|audio_eos|>",
    "boa_token": "<|audio_bos|>",
    "eoa_token": "<|audio_eos|>",
    "image_token": "<|IMAGE|>",
    "boi_token": "<|vision_bos|>",
    "eoi_token": "<|vision_eos|>",
    "video_token": "<|VIDEO|>",
    "vision_bos_token": "<|vision_bos|>",
    "vision_eos_token": "<|vision_eos|>",
}
MARKS = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<bos>",
    "<sound>",
    "<|sound_bos|>",
    "<|sound_eos|>",
    *dict.fromkeys(NAMED_MARKS.values()),
]
TEXT = "Listen to the recording. Options: angry, neutral. Cues: energy=low, pitch=high. Emotion:"
# The default spread makes every next token about equally likely, so that greedy answers
# would hang on rounding.
SPREAD = 0.3
SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 64,
    "pad_token_id": 0,
    "eos_token_id": 2,
    "bos_token_id": None,
    "initializer_range": SPREAD,
}
ENCODER = {
    "d_model": 32,
    "encoder_layers": 2,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 64,
    "num_mel_bins": 16,
    "max_source_positions": 100,
}
FLAMINGO_ENCODER = {
    "model_type": "audioflamingo3_encoder",
    "num_mel_bins": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "hidden_size": 32,
    "max_source_positions": 100,
    "initializer_range": SPREAD,
}
VISION = {"depth": 1, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2}
MROPE = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0}


def tokenizer():
    """Byte-level BPE that knows few words: "neutral" is one token, "surprised" several."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=MARKS, initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator([TEXT, "angry", "neutral"] * 9, trainer)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        pad_token="<|endoftext|>",
        eos_token="<|im_end|>",
        padding_side="left",
        extra_special_tokens=NAMED_MARKS,
    )


def extractor():
    return transformers.WhisperFeatureExtractor(feature_size=16, chunk_length=2)


@dataclass
class ProcessorFiles:
    """The files of a processor whose class cannot be made here, as its parts for images and
    videos need torchvision: one ``preprocessor_config.json`` for all parts, as on the hub."""

    name: str
    tokenizer: transformers.PreTrainedTokenizerFast
    extractor: transformers.SequenceFeatureExtractor
    layout: str
    vision: dict = field(default_factory=dict)

    def save_pretrained(self, folder):
        self.tokenizer.save_pretrained(folder)
        settings = {**json.loads(self.extractor.to_json_string()), **self.vision}
        settings["processor_class"] = self.name
        Path(folder, "preprocessor_config.json").write_text(json.dumps(settings))
        Path(folder, "chat_template.jinja").write_text(self.layout)


def turn(processor, text, audio):
    """One user turn as the processor wants it: Mistral's take no samples, but a file."""
    heard = {"type": "audio", "audio": audio}
    if isinstance(processor.tokenizer, transformers.MistralCommonBackend):
        file = io.BytesIO()
        soundfile.write(file, audio, 16_000, format="WAV", subtype="FLOAT")
        heard = {"type": "audio", "base64": base64.b64encode(file.getvalue()).decode()}
    return {"role": "user", "content": [heard, {"type": "text", "text": text}]}
