"""Prompts that a model has no place for, or cannot tell apart, are found before the study."""

import json
import shutil

import pytest
from checkpoints import build_checkpoint
from serving import JSON, Loopback, completion, failure
from test_chat_inputs import alone

from sercue.check.study import check_study
from sercue.errors import InputError
from sercue.models.chat import AudioChatModel
from sercue.tokens.prompts import TEMPLATES

PROMPTS = ["Answer:", TEMPLATES["plain"].render(["angry", "neutral"], {"energy": "low"})]
LABELS = ("angry", "neutral")


def shortened(checkpoint, folder, limit):
    """The same checkpoint, made for so many tokens."""
    shutil.copytree(checkpoint, folder)
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["max_position_embeddings"] = limit
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_the_length_of_a_prompt_is_the_one_that_the_processor_makes(checkpoint, audio):
    """Of each architecture, audio places and chat included: what counts is what the model gets."""
    model = AudioChatModel(checkpoint, device="cpu")
    lengths = model.prompt_tokens(audio, PROMPTS)
    own = [alone(model.checkpoint.processor, audio, prompt) for prompt in PROMPTS]
    assert lengths == [given["input_ids"].shape[1] for given in own]
    assert lengths[0] < lengths[1]


def test_the_limit_is_that_of_the_language_model(checkpoint, request):
    """Audio encoders and speech decoders have positions of their own, which are no limit here."""
    architecture = request.node.callspec.params["checkpoint"]
    config = build_checkpoint(architecture)[0].config
    part = getattr(config, "thinker_config", config)
    expected = part.get_text_config().max_position_embeddings
    assert AudioChatModel(checkpoint, device="cpu").context == expected > 0


def test_check_tells_the_longest_prompt_and_the_limit(study):
    rows = dict(check_study(study(long=None)).rows)
    assert rows["context"].endswith("the model takes 32768")
    assert "about 6.wav" in rows["context"]


def test_a_prompt_that_does_not_fit_is_told_before_the_study(study, qwen_checkpoint, tmp_path):
    """Past the positions that it was made for a model answers, but not as it has learnt to."""
    told = check_study(study(long=None)).rows
    longest = int(dict(told)["context"].split()[2])
    answer = int(dict(told)["context"].split(" and ")[1].split()[0])
    fits = shortened(qwen_checkpoint, tmp_path / "fits", longest + answer)
    assert (
        f"takes {longest + answer}"
        in dict(check_study(study(long=None, model=f"hf:{fits}")).rows)["context"]
    )
    short = shortened(qwen_checkpoint, tmp_path / "short", longest + answer - 1)
    with pytest.raises(InputError) as caught:
        check_study(study(long=None, model=f"hf:{short}"))
    message = str(caught.value)
    assert message.startswith(f"context: found {longest} tokens (template '")
    assert "about 6.wav" in message
    assert f"takes {longest + answer - 1} together" in message
    assert "shorten the template, split long recordings" in message


def test_of_a_recording_heard_in_windows_one_window_must_fit(study):
    """Else the way out that the error on long recordings names would lead nowhere."""
    windows = {"long_audio": "windows"}
    whole = dict(check_study(study(long=None)).rows)["context"]
    split = dict(check_study(study(model_options=windows)).rows)["context"]
    # Three windows of 5 / 3 s: more audio than 0.5 s has, and less than 2 s, the most it hears.
    more = int(split.split()[2]) - int(whole.split()[2])
    assert 0 < more < 25 * 1.5
    assert "about 11.wav" in split


def test_a_template_with_the_mark_of_the_audio_is_told_by_its_name(study):
    """The model would look for a second recording there, hours later."""
    mine = {"name": "mine", "instruction": "<|AUDIO|> One of {labels}.", "cues": "It is {tokens}.",
            "answer": "Answer:"}  # fmt: skip
    with pytest.raises(InputError, match=r"template 'mine' .*<\|AUDIO\|>"):
        check_study(study(long=None, templates=["plain", mine]))


def test_labels_that_begin_alike_for_the_tokenizer_are_told(study):
    """The likelihood of more words is never higher: the longer label would never be answered."""
    words = {"angry": "an", "neutral": "an oak"}
    with pytest.raises(InputError, match=r"'an oak' \(label 'neutral'\) begins with 'an'"):
        check_study(study(long=None, labels=words))
    assert check_study(study(long=None, labels=words, decoding="generate")).problem is None


def test_an_answer_too_short_for_a_label_is_told(study):
    """Each answer would be cut within the label's words, and count as invalid."""
    words = {"angry": "quick to anger", "neutral": "calm"}
    keys = {"long": None, "labels": words, "decoding": "generate"}
    with pytest.raises(InputError, match=r"max_new_tokens: found 3, but 'quick to anger'.*valid"):
        check_study(study(**keys, max_new_tokens=3))
    assert check_study(study(**keys, max_new_tokens=20)).problem is None


def served(limit, tokens):
    """A server that takes ``limit`` tokens and counts ``tokens`` in a study's prompts, as vLLM."""

    def answer(seen):
        if seen.path.endswith("/models"):
            card = {"id": "m", "object": "model", "created": 0, "owned_by": "x"}
            listed = {"object": "list", "data": [card | {"max_model_len": limit}]}
            return 200, JSON, json.dumps(listed).encode()
        text = seen.body["messages"][0]["content"][1]["text"]
        counted = tokens if len(text) > 100 else len(text)
        return completion("angry", usage={"prompt_tokens": counted, "completion_tokens": 1})

    return Loopback(answer)


@pytest.mark.parametrize(("tokens", "fits"), [(500, True), (510, False)])
def test_a_server_tells_its_limit_and_the_length_of_a_prompt(study, tokens, fits):
    """Its tokenizer is not here. An answer of 8 tokens comes on top."""
    with served(limit=512, tokens=tokens) as server:
        keys = {"model": "endpoint:m", "device": "auto", "dtype": "auto", "decoding": "generate"}
        keys["model_options"] = {"base_url": server.url, "retries": 0}
        if fits:
            told = dict(check_study(study(long=None, **keys)).rows)["context"]
            assert told.startswith("at most 500 tokens")
            assert told.endswith("takes 512")
        else:
            with pytest.raises(InputError, match=r"found 510 tokens.* and 8 of an .* takes 512"):
                check_study(study(long=None, **keys))


def test_what_a_server_refuses_is_told_with_the_template(study):
    """It need not say its limit to have one."""

    def answer(seen):
        texts = [part.get("text", "") for part in seen.body["messages"][0]["content"]]
        too_long = len(texts[1]) > 100
        return failure(400, "maximum context length") if too_long else completion("angry")

    with Loopback(answer) as server:
        keys = {"model": "endpoint:m", "device": "auto", "dtype": "auto", "decoding": "generate"}
        keys["model_options"] = {"base_url": server.url, "retries": 0}
        with pytest.raises(InputError, match=r"template 'paper' about 6\.wav.*maximum context"):
            check_study(study(long=None, **keys))
