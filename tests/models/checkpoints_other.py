"""Tiny random checkpoints of architectures beyond those of the study."""

import base64
import json
from dataclasses import dataclass
from pathlib import Path

import transformers
from checkpoint_parts import (
    ENCODER,
    FLAMINGO_ENCODER,
    LAYOUT,
    MROPE,
    QWEN_LAYOUT,
    SIZES,
    SPREAD,
    VISION,
    ProcessorFiles,
    extractor,
)
from tokenizers import processors
from transformers.utils import is_mistral_common_available

# Gemma's turns: the text begins with a token of its own, which the template writes.
GEMMA_LAYOUT = (
    "<bos>{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% for c in m['content'] %}"
    "{% if c['type'] == 'audio' %}<|AUDIO|>{% else %}{{ c['text'] | trim }}{% endif %}{% endfor %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>model\n{% endif %}"
)


VOXTRAL_MARKS = {
    0: "<unk>",
    1: "<s>",
    2: "</s>",
    3: "[INST]",
    4: "[/INST]",
    5: "[AVAILABLE_TOOLS]",
    6: "[/AVAILABLE_TOOLS]",
    7: "[TOOL_RESULTS]",
    8: "[/TOOL_RESULTS]",
    9: "[TOOL_CALLS]",
    11: "<pad>",
    14: "[PREFIX]",
    15: "[MIDDLE]",
    16: "[SUFFIX]",
    17: "[SYSTEM_PROMPT]",
    18: "[/SYSTEM_PROMPT]",
    19: "[TOOL_CONTENT]",
    24: "[AUDIO]",
    25: "[BEGIN_AUDIO]",
    32: "[ARGS]",
    33: "[CALL_ID]",
    34: "[TRANSCRIBE]",
}


@dataclass
class TekkenFiles:
    """The files of Voxtral's processor, which has no way to write its tokenizer's."""

    marks: list
    pieces: list
    extractor: transformers.WhisperFeatureExtractor

    def save_pretrained(self, folder):
        settings = json.loads(self.extractor.to_json_string())
        settings["processor_class"] = "VoxtralProcessor"
        Path(folder, "preprocessor_config.json").write_text(json.dumps(settings))
        Path(folder, "tekken.json").write_text(json.dumps(self._tekken()))

    def _tekken(self):
        return {
            "config": {
                "pattern": r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+",
                "num_vocab_tokens": len(self.pieces),
                "default_vocab_size": len(self.marks) + len(self.pieces),
                "default_num_special_tokens": len(self.marks),
                "version": "v13",
            },
            "vocab": [
                {"rank": rank, "token_bytes": base64.b64encode(piece).decode(), "token_str": None}
                for rank, piece in enumerate(self.pieces)
            ],
            "special_tokens": [
                {"rank": rank, "token_str": mark, "is_control": True}
                for rank, mark in enumerate(self.marks)
            ],
            "audio": {
                "sampling_rate": 16_000,
                "frame_rate": 12.5,
                "chunk_length_s": 30.0,
                "audio_encoding_config": {
                    "num_mel_bins": 16,
                    "hop_length": 160,
                    "window_size": 400,
                },
            },
        }


def begun(words):
    """The tokenizer, beginning every text with a token of its own unless told otherwise."""
    words.bos_token = "<bos>"
    words.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A", special_tokens=[("<bos>", words.bos_token_id)]
    )
    return words


def music_flamingo(words):
    of = words.convert_tokens_to_ids
    config = transformers.MusicFlamingoConfig(
        audio_config=FLAMINGO_ENCODER,
        text_config={"model_type": "qwen2", "vocab_size": len(words), **SIZES},
        audio_token_id=of("<sound>"),
        audio_bos_token_id=of("<|sound_bos|>"),
        audio_eos_token_id=of("<|sound_eos|>"),
    )
    processor = transformers.MusicFlamingoProcessor(
        extractor(), words, chat_template=LAYOUT.replace("AUDIO", "<sound>"), max_audio_len=6
    )
    return transformers.MusicFlamingoForConditionalGeneration(config), processor


def qwen3_omni(words):
    """The whole of it but the talker, which its configuration can leave out."""
    of = words.convert_tokens_to_ids
    thinker = {
        "audio_config": {
            **ENCODER,
            "n_window": 50,
            "output_dim": 32,
            "downsample_hidden_size": 8,
            "initializer_range": SPREAD,
        },
        "vision_config": {
            **VISION,
            "out_hidden_size": 32,
            "num_position_embeddings": 16,
            "deepstack_visual_indexes": [0],
        },
        "text_config": {
            **SIZES,
            "vocab_size": len(words),
            "rope_parameters": MROPE,
            "head_dim": 8,
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 32,
        },
        "audio_token_id": of("<|AUDIO|>"),
        "image_token_id": of("<|IMAGE|>"),
        "video_token_id": of("<|VIDEO|>"),
        "audio_start_token_id": of("<|audio_bos|>"),
        "vision_start_token_id": of("<|vision_bos|>"),
        "vision_end_token_id": of("<|vision_eos|>"),
        "initializer_range": SPREAD,
    }
    config = transformers.Qwen3OmniMoeConfig(thinker_config=thinker, enable_audio_output=False)
    files = ProcessorFiles("Qwen3OmniMoeProcessor", words, extractor(), QWEN_LAYOUT)
    return transformers.Qwen3OmniMoeForConditionalGeneration(config), files


def phi_4_multimodal(words):
    of = words.convert_tokens_to_ids
    config = transformers.Phi4MultimodalConfig(
        **SIZES,
        vocab_size=len(words),
        audio_config={
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_blocks": 1,
            "num_attention_heads": 2,
            "ext_pw_out_channel": 32,
            "depthwise_separable_out_channel": 32,
            "nemo_conv_channels": 32,
            "input_size": 80,
            "initializer_range": SPREAD,
            "audio_token_id": of("<|AUDIO|>"),
        },
        vision_config={
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_token_id": of("<|IMAGE|>"),
        },
    )
    files = ProcessorFiles(
        "Phi4MultimodalProcessor",
        words,
        transformers.Phi4MultimodalFeatureExtractor(),
        LAYOUT.replace("AUDIO\n", "<|AUDIO|>"),
    )
    return transformers.Phi4MultimodalForCausalLM(config), files


def gemma_4(words):
    begun(words)
    of = words.convert_tokens_to_ids
    config = transformers.Gemma4Config(
        text_config={
            **SIZES,
            "num_hidden_layers": 3,
            "head_dim": 8,
            "vocab_size": len(words) + 1,
            "vocab_size_per_layer_input": len(words) + 1,
            "hidden_size_per_layer_input": 8,
            "sliding_window": 16,
            "layer_types": ["sliding_attention", "sliding_attention", "full_attention"],
            "bos_token_id": words.bos_token_id,
        },
        vision_config=None,
        audio_config={
            "hidden_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "subsampling_conv_channels": [16, 8],
            "output_proj_dims": 32,
            "initializer_range": SPREAD,
        },
        audio_token_id=of("<|AUDIO|>"),
        boa_token_id=of("<|audio_bos|>"),
        eoa_token_index=of("<|audio_eos|>"),
        image_token_id=of("<|IMAGE|>"),
        video_token_id=of("<|VIDEO|>"),
        initializer_range=SPREAD,
    )
    files = ProcessorFiles(
        "Gemma4Processor",
        words,
        transformers.Gemma4AudioFeatureExtractor(feature_size=16),
        GEMMA_LAYOUT,
    )
    return transformers.Gemma4ForConditionalGeneration(config), files


def voxtral(words):
    """Behind a tokenizer of Mistral's own kind: bytes, some words, and marks at fixed places."""
    marks = [f"<SPECIAL_{number}>" for number in range(40)]
    for number, mark in VOXTRAL_MARKS.items():
        marks[number] = mark
    pieces = [bytes([byte]) for byte in range(256)]
    pieces += [b"ne", b"ut", b"ra", b"neut", b"ral", b"neutral"]
    size = len(marks) + len(pieces)
    config = transformers.VoxtralConfig(
        audio_config={
            "hidden_size": 32,
            # Four frames of 32 make one token.
            "intermediate_size": 128,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "num_mel_bins": 16,
            "initializer_range": SPREAD,
        },
        text_config={**SIZES, "model_type": "llama", "vocab_size": size, "head_dim": 8},
        audio_token_id=24,
    )
    files = TekkenFiles(marks, pieces, transformers.WhisperFeatureExtractor(feature_size=16))
    return transformers.VoxtralForConditionalGeneration(config), files


OTHER = {
    "music-flamingo": music_flamingo,
    "qwen3-omni": qwen3_omni,
    "phi-4-multimodal": phi_4_multimodal,
    "gemma-4": gemma_4,
}
if is_mistral_common_available():
    OTHER["voxtral"] = voxtral
