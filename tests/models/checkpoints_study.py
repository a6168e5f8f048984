"""Tiny random checkpoints of the architectures of the study."""

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


def qwen2_audio(words):
    token = words.convert_tokens_to_ids("<|AUDIO|>")
    config = transformers.Qwen2AudioConfig(
        audio_config={"model_type": "qwen2_audio_encoder", "initializer_range": SPREAD, **ENCODER},
        text_config={"model_type": "qwen2", "vocab_size": len(words), **SIZES},
        audio_token_index=token,
    )
    processor = transformers.Qwen2AudioProcessor(extractor(), words, chat_template=QWEN_LAYOUT)
    return transformers.Qwen2AudioForConditionalGeneration(config), processor


def audio_flamingo_3(words):
    config = transformers.AudioFlamingo3Config(
        audio_config=FLAMINGO_ENCODER,
        text_config={"model_type": "qwen2", "vocab_size": len(words), **SIZES},
        audio_token_id=words.convert_tokens_to_ids("<sound>"),
    )
    layout = LAYOUT.replace("AUDIO", "<sound>")
    processor = transformers.AudioFlamingo3Processor(
        extractor(), words, chat_template=layout, max_audio_len=6
    )
    return transformers.AudioFlamingo3ForConditionalGeneration(config), processor


def omni_thinker_config(words):
    of = words.convert_tokens_to_ids
    return {
        "audio_config": {**ENCODER, "n_window": 50, "output_dim": 32, "initializer_range": SPREAD},
        "vision_config": {**VISION, "out_hidden_size": 32},
        "text_config": {**SIZES, "vocab_size": len(words), "rope_parameters": MROPE},
        "audio_token_index": of("<|AUDIO|>"),
        "audio_token_id": of("<|AUDIO|>"),
        "image_token_id": of("<|IMAGE|>"),
        "video_token_id": of("<|VIDEO|>"),
        "audio_start_token_id": of("<|audio_bos|>"),
        "audio_end_token_id": of("<|audio_eos|>"),
        "vision_start_token_id": of("<|vision_bos|>"),
        "vision_end_token_id": of("<|vision_eos|>"),
        "initializer_range": SPREAD,
    }


def qwen2_5_omni(words):
    """The whole of it, as on the hub: thinker, talker, vocoder."""
    speaker = {
        "hidden_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 16,
        "intermediate_size": 32,
        "embedding_size": 32,
        "vocab_size": 64,
        "rope_parameters": {**MROPE, "mrope_section": [2, 3, 3]},
        "pad_token_id": 0,
    }
    diffusion = {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "head_dim": 8,
        "ff_mult": 1,
        "emb_dim": 16,
        "num_embeds": 16,
        "mel_dim": 8,
        "look_ahead_layers": [0],
        "look_backward_layers": [0],
        "enc_emb_dim": 8,
        "enc_dim": 8,
        "enc_channels": [8, 8, 8, 8, 24],
        "enc_attention_channels": 4,
        "enc_res2net_scale": 2,
        "enc_se_channels": 4,
    }
    vocoder = {
        "mel_dim": 8,
        "upsample_initial_channel": 8,
        "resblock_kernel_sizes": [3],
        "resblock_dilation_sizes": [[1, 3, 5]],
        "upsample_rates": [2],
        "upsample_kernel_sizes": [4],
    }
    config = transformers.Qwen2_5OmniConfig(
        thinker_config=omni_thinker_config(words),
        talker_config=speaker,
        token2wav_config={"dit_config": diffusion, "bigvgan_config": vocoder},
    )
    files = ProcessorFiles("Qwen2_5OmniProcessor", words, extractor(), QWEN_LAYOUT)
    return transformers.Qwen2_5OmniForConditionalGeneration(config), files


ORIGINAL = {
    "qwen2-audio": qwen2_audio,
    "audio-flamingo-3": audio_flamingo_3,
    "qwen2.5-omni": qwen2_5_omni,
}
