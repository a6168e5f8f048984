"""A small server that tells log-probabilities of prompts in the way that vLLM does."""

import base64
import io
import json
import threading

import soundfile
import torch
import transformers
from serving import JSON, completion, failure


class PromptLogprobs:
    """What vLLM's chat completions say of a prompt, computed by a checkpoint of transformers.

    Its contract: ``prompt_logprobs`` tells of every token of the prompt but the first its own
    log-probability (and of that many more); ``continue_final_message`` leaves the assistant's turn
    open, and excludes ``add_generation_prompt``; settings of ``generation_config.json`` apply
    unless the request says otherwise.
    """

    def __init__(self, checkpoint, name, shipped_penalty=1.0):
        self.name = name
        self.shipped_penalty = shipped_penalty
        self.processor = transformers.AutoProcessor.from_pretrained(checkpoint)
        kind = transformers.Qwen2AudioForConditionalGeneration
        self.model = kind.from_pretrained(checkpoint).eval()
        self._lock = threading.Lock()

    def __call__(self, seen):
        if seen.path.endswith("/models"):
            card = {"id": self.name, "object": "model", "created": 0, "owned_by": "vllm"}
            card |= {"root": "/weights/tiny", "max_model_len": 512}
            return 200, JSON, json.dumps({"object": "list", "data": [card]}).encode()
        if seen.body["model"] != self.name:
            return failure(404, f"The model `{seen.body['model']}` does not exist.")
        open_end = seen.body.get("continue_final_message", False)
        if open_end and seen.body.get("add_generation_prompt", True):
            return failure(400, "Cannot set both `continue_final_message` and the other")
        with self._lock, torch.inference_mode():
            return self._completion(seen.body, open_end)

    def _completion(self, body, open_end):
        inputs = self._inputs(body, open_end)
        penalty = body.get("repetition_penalty", self.shipped_penalty)
        length, most = inputs["input_ids"].shape[1], body["max_tokens"]
        made = self.model.generate(
            **inputs, max_new_tokens=most, do_sample=False, repetition_penalty=penalty
        )
        content = self.processor.decode(made[0, length:], skip_special_tokens=True)
        more = body.get("prompt_logprobs")
        told = {} if more is None else {"prompt_logprobs": self._told(inputs, more)}
        return completion(content, model=self.name, system_fingerprint="vllm-1-abc", **told)

    def _inputs(self, body, open_end):
        messages, audios = [], []
        for message in body["messages"]:
            parts = message["content"]
            parts = [{"type": "text", "text": parts}] if isinstance(parts, str) else parts
            for part in parts:
                if part["type"] == "input_audio":
                    file = io.BytesIO(base64.b64decode(part["input_audio"]["data"]))
                    audios.append(soundfile.read(file, dtype="float32")[0])
            shown = [{"type": "audio"} if p["type"] == "input_audio" else p for p in parts]
            messages.append({"role": message["role"], "content": shown})
        text = self.processor.apply_chat_template(
            messages,
            tokenize=False,
            add_generation_prompt=not open_end,
            continue_final_message=open_end,
        )
        return self.processor(text=text, audio=audios, sampling_rate=16_000, return_tensors="pt")

    def _told(self, inputs, more):
        ids = inputs["input_ids"][0]
        logs = self.model(**inputs).logits[0].log_softmax(-1)
        told = [None]
        for place in range(1, len(ids)):
            row = logs[place - 1]
            shown = [int(ids[place]), *row.topk(more).indices.tolist()]
            told.append({str(i): self._token(i, float(row[i])) for i in dict.fromkeys(shown)})
        return told

    def _token(self, number, logprob):
        text = self.processor.tokenizer.decode([number])
        return {"logprob": logprob, "rank": 1, "decoded_token": text}
