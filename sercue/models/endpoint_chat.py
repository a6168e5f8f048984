"""What is sent to a server for an utterance and a prompt."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from scipy.io import wavfile

#: The likeliest token each time. The penalties are sent since servers otherwise apply those that
#: a repository ships: transformers derives its one from ``frequency_penalty``.
GREEDY = {"temperature": 0, "top_p": 1, "seed": 0, "frequency_penalty": 0, "presence_penalty": 0}
#: The same for servers that have a name of its own for it, vLLM and SGLang among them.
NO_PENALTY = {"repetition_penalty": 1.0}
#: Log-probabilities of the prompt's own tokens, and of no others at their places.
PROMPT_LOGPROBS = {"prompt_logprobs": 0}
#: The chat ends within the assistant's turn, so that its words are the last ones of the prompt.
OPEN_ANSWER = {"add_generation_prompt": False, "continue_final_message": True}

#: Texts to try a server with, the second of them far longer.
PROBES = (
    "?",
    "Which emotion? Anger, fear, joy, sadness, surprise, disgust, boredom or none of them?",
)


def wav_base64(samples: np.ndarray, sampling_rate: int) -> str:
    """A recording as the text that requests carry: a WAV file of 32-bit floats, base64.

    Floats, since the servers decode with libsndfile or FFmpeg, which read them, and 16-bit samples
    would round what was resampled: the model hears exactly ``samples``.

    Args:
        samples: float array (samples,)
        sampling_rate: in Hz

    Examples:
        >>> text = wav_base64(np.zeros(16000), 16000)
        >>> base64.b64decode(text)[:4], len(base64.b64decode(text))
        (b'RIFF', 64058)
    """
    file = io.BytesIO()
    wavfile.write(file, sampling_rate, np.asarray(samples, dtype=np.float32))
    return base64.b64encode(file.getvalue()).decode("ascii")


def greedy_request(served: str, wave: str, prompt: str, max_tokens: int) -> dict[str, Any]:
    """The request for the greedy answer to one prompt about one recording.

    Args:
        served: the model's name on the server
        wave: the recording, as ``wav_base64`` writes it
        prompt: text of the user turn, behind the audio
        max_tokens: most tokens of the answer
    """
    messages = [_user_turn(wave, prompt)]
    return {"model": served, "messages": messages, "max_tokens": max_tokens, **GREEDY}


def scoring_request(
    served: str, wave: str, prompt: str, answer: str | None = None
) -> dict[str, Any]:
    """The request for the log-probabilities of a prompt, with an answer given or none yet."""
    request = greedy_request(served, wave, prompt, 1) | {"extra_body": dict(PROMPT_LOGPROBS)}
    if answer is not None:
        request["messages"].append({"role": "assistant", "content": answer})
        request["extra_body"] |= OPEN_ANSWER
    return request


def _user_turn(wave: str, prompt: str) -> dict[str, Any]:
    audio = {"type": "input_audio", "input_audio": {"data": wave, "format": "wav"}}
    return {"role": "user", "content": [audio, {"type": "text", "text": prompt}]}
