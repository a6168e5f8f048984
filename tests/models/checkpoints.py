"""Tiny random checkpoints of real architectures, written as ``save_pretrained`` writes them."""

from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

LAYOUT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% for c in m['content'] %}"
    "{% if c['type'] == 'audio' %}AUDIO\n{% else %}{{ c['text'] }}{% endif %}{% endfor %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
MARKS = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|AUDIO|>",
    "<|audio_bos|>",
    "<|audio_eos|>",
    "<sound>",
    "<|IMAGE|>",
    "<|VIDEO|>",
    "<|vision_bos|>",
    "<|vision_eos|>",
]
TEXT = "Listen to the recording. Options: angry, neutral. Cues: energy=low, pitch=high. Emotion:"
SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 64,
    "pad_token_id": 0,
    "eos_token_id": 2,
    "bos_token_id": None,
    # The default spread makes every next token about equally likely, so that greedy answers
    # would hang on rounding.
    "initializer_range": 0.3,
}
ENCODER = {
    "d_model": 32,
    "encoder_layers": 2,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 64,
    "num_mel_bins": 16,
    "max_source_positions": 100,
}


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
    )


def extractor():
    return transformers.WhisperFeatureExtractor(feature_size=16, chunk_length=2)


def qwen2_audio(words):
    token = words.convert_tokens_to_ids("<|AUDIO|>")
    config = transformers.Qwen2AudioConfig(
        audio_config={"model_type": "qwen2_audio_encoder", "initializer_range": 0.3, **ENCODER},
        text_config={"model_type": "qwen2", "vocab_size": len(words), **SIZES},
        audio_token_index=token,
    )
    layout = LAYOUT.replace("AUDIO", "<|audio_bos|><|AUDIO|><|audio_eos|>")
    processor = transformers.Qwen2AudioProcessor(extractor(), words, chat_template=layout)
    return transformers.Qwen2AudioForConditionalGeneration(config), processor


def audio_flamingo_3(words):
    config = transformers.AudioFlamingo3Config(
        audio_config={
            "num_mel_bins": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 64,
            "hidden_size": 32,
            "max_source_positions": 100,
            "initializer_range": 0.3,
        },
        text_config={"model_type": "qwen2", "vocab_size": len(words), **SIZES},
        audio_token_id=words.convert_tokens_to_ids("<sound>"),
    )
    layout = LAYOUT.replace("AUDIO", "<sound>")
    processor = transformers.AudioFlamingo3Processor(
        extractor(), words, chat_template=layout, max_audio_len=6
    )
    return transformers.AudioFlamingo3ForConditionalGeneration(config), processor


def qwen2_5_omni_thinker(words):
    """The thinker behind Qwen2-Audio's processor: its own one needs torchvision, and the
    arithmetic of audio tokens is the same."""
    of = words.convert_tokens_to_ids
    config = transformers.Qwen2_5OmniThinkerConfig(
        audio_config={**ENCODER, "n_window": 50, "output_dim": 32},
        vision_config={
            "depth": 1,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "out_hidden_size": 32,
        },
        text_config={
            **SIZES,
            "vocab_size": len(words),
            "rope_parameters": {
                "rope_type": "default",
                "mrope_section": [1, 1, 2],
                "rope_theta": 10000.0,
            },
        },
        audio_token_index=of("<|AUDIO|>"),
        audio_token_id=of("<|AUDIO|>"),
        image_token_id=of("<|IMAGE|>"),
        video_token_id=of("<|VIDEO|>"),
        audio_start_token_id=of("<|audio_bos|>"),
        audio_end_token_id=of("<|audio_eos|>"),
        vision_start_token_id=of("<|vision_bos|>"),
        vision_end_token_id=of("<|vision_eos|>"),
    )
    layout = LAYOUT.replace("AUDIO", "<|audio_bos|><|AUDIO|><|audio_eos|>")
    processor = transformers.Qwen2AudioProcessor(extractor(), words, chat_template=layout)
    return transformers.Qwen2_5OmniThinkerForConditionalGeneration(config), processor


ARCHITECTURES = {
    "qwen2-audio": qwen2_audio,
    "audio-flamingo-3": audio_flamingo_3,
    "qwen2.5-omni-thinker": qwen2_5_omni_thinker,
}


def write_checkpoint(architecture: str, folder: Path) -> Path:
    """Random weights from a fixed seed, in ``folder``."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model, processor = ARCHITECTURES[architecture](tokenizer())
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
