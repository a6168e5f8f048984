"""``sercue-tiny`` learns from training rows alone, gives the same weights, never half a model."""

import hashlib

import audformat
import audiofile
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from sercue import study
from sercue.corpora.corpus import Corpus
from sercue.errors import InputError
from sercue.models import load_model
from sercue.models.registry import AudioLanguageModel
from sercue.models.tiny import TinyModel, train_all
from sercue.models.tiny_network import (
    RECIPES,
    Recipe,
    draw_prompts,
    make_processor,
    reading_material,
    spectrograms,
    tiny_options,
    train_tokenizer,
)
from sercue.study import run_study
from sercue.tokens.prompts import TEMPLATES

LABELS = ("angry", "neutral", "very sad")
LEVELS = ("low", "mid", "high")
SMALL = {"width": 32, "heads": 2, "mel_bins": 16, "audio_layers": 1, "text_layers": 1}


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    """Twelve utterances of noise, half a second each; what tells the labels apart is the level."""
    monkeypatch.setenv("SERCUE_CACHE", str(tmp_path / "cache"))
    return _corpus(tmp_path, utterances=4)


def _corpus(root, utterances):
    generator = np.random.default_rng(5)
    rows = [
        (f"{speaker}_{u}.wav", speaker, part, LABELS[u % 3])
        for speaker, part in (("a", "train"), ("b", "dev"), ("c", "test"))
        for u in range(utterances)
    ]
    for file, _, _, label in rows:
        noise = generator.normal(0, 10.0 ** (LABELS.index(label) - 3), 8_000)
        audiofile.write(str(root / file), noise.clip(-1, 1).astype(np.float32), 16_000)
    table = pd.DataFrame(
        {
            "emotion": [label for *_, label in rows],
            "speaker": [speaker for _, speaker, _, _ in rows],
            "partition": [part for _, _, part, _ in rows],
        },
        index=audformat.segmented_index([file for file, *_ in rows]),
    )
    return Corpus("noise", root, table, LABELS, "neutral", "none", True, True)


def _tokens(corpus):
    """One concept whose word is the label's, one that says nothing."""
    words = [LEVELS[LABELS.index(label)] for label in corpus.table["emotion"]]
    return pd.DataFrame({"energy": words, "voice quality": "mid"}, index=corpus.table.index)


def _model(corpus, tokens=None, **options):
    tokens = _tokens(corpus) if tokens is None else tokens
    options = {"epochs": 1, **SMALL, **options}
    return load_model("sercue-tiny", corpus=corpus, tokens=tokens, options=options, device="cpu")


def test_two_trainings_give_equal_weights(corpus, tmp_path, monkeypatch):
    """Reproducible from the seed; another seed must give others, or nothing was seeded."""
    weights = []
    for cache, seed in (("one", 0), ("two", 0), ("three", 1)):
        monkeypatch.setenv("SERCUE_CACHE", str(tmp_path / cache))
        np.random.seed(len(weights))  # noqa: NPY002 the global state must not matter
        model = _model(corpus, seed=seed)
        model.train()
        weights.append(load_file(model.folder / "model.safetensors"))
    same = [np.array_equal(weights[0][name], weights[1][name]) for name in weights[0]]
    assert all(same)
    name = "language_model.model.embed_tokens.weight"
    name = next(key for key in weights[0] if key.endswith("embed_tokens.weight"))
    assert not np.array_equal(weights[0][name], weights[2][name])


def test_training_side_by_side_gives_the_same_weights(corpus, tmp_path, monkeypatch):
    """However many processes train at once, and however many threads torch has: equal bytes."""
    stored = []
    for cache, jobs in (("apart", 1), ("together", 2)):
        monkeypatch.setenv("SERCUE_CACHE", str(tmp_path / cache))
        models = [_model(corpus, seed=seed) for seed in (0, 1, 0)]
        train_all(models, jobs=jobs)
        assert all(model.trained for model in models)
        stored.append([(model.folder / "model.safetensors").read_bytes() for model in models])
    assert stored[0] == stored[1]
    assert stored[0][0] == stored[0][2] != stored[0][1]


def test_processes_that_ask_side_by_side_get_the_same_answers(tmp_path, monkeypatch):
    """To the last bit, although swapped audio of one batch is another's own: it is asked once."""
    monkeypatch.setenv("SERCUE_CACHE", str(tmp_path / "cache"))
    corpus = _corpus(tmp_path, utterances=9)
    tokens = _tokens(corpus)
    options = {"epochs": 1, **SMALL}
    model = load_model(
        "sercue-tiny", corpus=corpus, tokens=tokens, options=options, device="cpu", batch_size=1
    )
    names = ["none", "aligned", "shuffled", "none @ swapped", "aligned @ swapped"]
    asked = {"conditions": names, "templates": ["plain"], "words": LEVELS, "progress": False}
    one = run_study(corpus, tokens, model, **asked)
    monkeypatch.setattr(study, "_WORTH_PROCESSES", 1)
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "2")
    monkeypatch.setattr(model.answering, "score", lambda *_: pytest.fail("asked in this process"))
    pd.testing.assert_frame_equal(run_study(corpus, tokens, model, **asked), one, check_exact=True)


def test_training_leaves_torchs_random_state_alone(corpus):
    """A caller's own random numbers must not change because a model was trained."""
    import torch

    before = torch.random.get_rng_state()
    _model(corpus).train()
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("recipe", RECIPES)
def test_it_answers_through_the_path_of_the_large_models(corpus, recipe, audio_of):
    """Stored and read back like a checkpoint of the hub, whatever the recipe."""
    model = _model(corpus, recipe=recipe)
    assert isinstance(model, AudioLanguageModel)
    prompt = TEMPLATES["plain"].render(LABELS, {"energy": "low"})
    scores = model.score([audio_of(corpus)], [[prompt, prompt + "!"]], LABELS)[0]
    assert scores.shape == (2, 3)
    assert (scores < 0).all()
    assert len(model.generate([audio_of(corpus)], [[prompt]], 2)[0]) == 1


@pytest.fixture
def audio_of():
    return lambda corpus: audiofile.read(str(corpus.path("a_0.wav")))[0]


@pytest.mark.parametrize(
    ("options", "condition", "unlike"),
    [
        # Only blanked audio: what it knows it has read off the tokens.
        ({"share_none": 0.0, "share_aligned": 1.0, "blank_audio": 1.0}, "aligned", "conflicting"),
        # Somebody else's audio: the same.
        (
            {"share_none": 0.0, "share_aligned": 1.0, "blank_audio": 0.0, "swap_audio": 1.0},
            "aligned",
            "conflicting",
        ),
        # No tokens at all: what it knows it has heard.
        ({"share_none": 1.0, "share_aligned": 0.0}, "none", None),
    ],
)
def test_it_learns_what_its_recipe_lets_it_learn(tmp_path, monkeypatch, options, condition, unlike):
    """Unheard speakers, a cue that gives the label away: tokens in one case, level in the other."""
    monkeypatch.setenv("SERCUE_CACHE", str(tmp_path / "cache"))
    plain = {"templates": ["plain"], "mel_mask": 0.0, "mel_shift": 0}
    corpus = _corpus(tmp_path, utterances=24)
    model = _model(corpus, epochs=20, learning_rate=0.01, **plain, **options)
    uar = model.train()["dev uar"]
    assert uar[condition] > 0.9
    if unlike:
        assert uar[unlike] < 0.5


def test_nothing_of_the_test_speakers_reaches_the_weights(corpus):
    """Leakage: the key covers all that training reads, and other partitions are not in it."""
    table = corpus.table.copy()
    held_out = (table["partition"] != "train").to_numpy()
    table.loc[held_out, "emotion"] = "neutral"
    tokens = _tokens(corpus)
    tokens[held_out] = "high"
    changed = Corpus("noise", corpus.root, table, LABELS, "neutral", "none", True, True)
    assert _model(changed, tokens).key == _model(corpus).key


@pytest.mark.parametrize("change", ["token", "label", "recipe", "wording", "words", "audio"])
def test_the_key_follows_everything_that_training_reads(corpus, change):
    """A stale model under a new study would be the quietest of errors."""
    key = _model(corpus).key
    tokens, options = _tokens(corpus), {}
    first = corpus.table.index[0]
    if change == "token":
        tokens.loc[first, "energy"] = "unknown"
    if change == "label":
        corpus.table.loc[first, "emotion"] = "neutral"
        corpus.table.loc[corpus.table.index[1], "emotion"] = "angry"
    if change == "recipe":
        options["noise"] = 0.5
    if change == "wording":
        options["templates"] = ["plain"]
    if change == "words":
        options["label_words"] = {"angry": "cross", "neutral": "neutral", "very sad": "sad"}
    if change == "audio":
        audiofile.write(str(corpus.path("a_0.wav")), np.zeros(8_000, np.float32), 16_000)
    assert _model(corpus, tokens, **options).key != key


def test_an_unfinished_folder_is_never_used(corpus):
    """A training that was killed leaves a folder; it must be trained anew, not loaded."""
    model = _model(corpus)
    model.folder.mkdir(parents=True)
    (model.folder / "model.safetensors").write_bytes(b"half a model")
    record = model.train()
    assert record["training utterances"] == 4
    assert len(load_file(model.folder / "model.safetensors")) > 10
    assert [path.name for path in model.folder.parent.glob("[!.]*")] == [model.folder.name]


def test_a_finished_model_is_not_trained_again(corpus, monkeypatch):
    """The second run of a study must find it."""
    first = _model(corpus).train()
    monkeypatch.setattr(TinyModel, "_fit", lambda *_: pytest.fail("it was trained again"))
    assert _model(corpus).train() == first


@pytest.mark.parametrize("file", ["model.safetensors", "training.json", "tokenizer.json"])
def test_a_model_with_a_flipped_bit_is_trained_anew(corpus, file):
    """Its answers would change under the same identity: one bit in the weights is enough."""
    model = _model(corpus)
    model.train()
    path = model.folder / file
    right = path.read_bytes()
    damaged = bytearray(right)
    damaged[len(right) // 2] ^= 1
    path.write_bytes(damaged)
    assert not _model(corpus).trained
    _model(corpus).train()
    assert _model(corpus).trained
    if file != "training.json":  # which holds how long the training took
        assert path.read_bytes() == right


def test_the_sums_of_a_stored_model_are_those_of_sha256sum(corpus):
    """Anybody can verify them with `sha256sum -c`; of the weights, by hashlib."""
    model = _model(corpus)
    model.train()
    sums = dict(line.split()[::-1] for line in (model.folder / "SHA256SUMS").open())
    weights = (model.folder / "model.safetensors").read_bytes()
    assert sums["model.safetensors"] == hashlib.sha256(weights).hexdigest()
    assert {"config.json", "tokenizer.json", "training.json"} < set(sums)


def test_a_training_that_fails_leaves_nothing_behind(corpus, monkeypatch):
    """Neither a folder that looks finished nor rubbish beside it."""

    def fail(*_):
        raise RuntimeError("disk full")

    monkeypatch.setattr(TinyModel, "_fit", fail)
    model = _model(corpus)
    with pytest.raises(RuntimeError, match="disk full"):
        model.train()
    assert list(model.folder.parent.glob("[!.]*")) == []


def test_no_utterance_of_the_corpus_is_cut(corpus):
    """The window is the longest utterance in whole seconds; each frame mask is as long as it."""
    assert _model(corpus).max_seconds == 1.0
    processor = make_processor(["x"], Recipe(mel_bins=16, hop=320), 1)
    _, frames = spectrograms(processor, [np.zeros(8_000), np.zeros(16_000)])
    assert frames.sum(1).tolist() == [8_000 // 320, 16_000 // 320]


@pytest.mark.parametrize(("hop", "seconds"), [(320, 1), (640, 2), (300, 2)])
def test_the_encoder_is_given_an_even_number_of_frames(corpus, hop, seconds):
    """It halves them: of 25 in a second it would take 24, and refuse the rest."""
    model = _model(corpus, hop=hop)
    assert model.max_seconds == seconds
    model.train()


def test_too_long_utterances_are_named(corpus):
    """30 s is what the architecture was made for; a longer recording must be segmented."""
    audiofile.write(str(corpus.path("c_0.wav")), np.zeros(31 * 8_000, np.float32), 8_000)
    with pytest.raises(InputError, match=r"31\.0 s.*30 s at most"):
        _model(corpus).check()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epoch": 1}, "did you mean 'epochs'"),
        ({"recipe": "grounding"}, "did you mean 'grounded'"),
        ({"noise": 1.5}, "noise: found 1.5"),
        ({"epochs": 0}, "epochs: found 0"),
        ({"share_none": 0.7, "share_aligned": 0.7}, "share_none"),
        ({"label_words": {"angry": "cross"}}, "label_words"),
        ({"templates": ["plane"]}, "did you mean 'plain'"),
    ],
)
def test_wrong_options_are_named(corpus, options, message):
    """Options come from study files."""
    with pytest.raises(InputError, match=message):
        _model(corpus, **options)


def test_missing_tokens_are_named(corpus):
    """Prompts without tokens would be trained as something else."""
    with pytest.raises(InputError, match=r"tokens: none for 1 utterances.*c_3\.wav"):
        _model(corpus, _tokens(corpus).iloc[:-1])


@settings(max_examples=50)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_the_tokenizer_encodes_any_text(text):
    """Byte level: users bring label words and templates that it never read."""
    tokenizer = train_tokenizer(["one two"], 300)
    escaped = text.replace("<|", "< |")
    ids = tokenizer(escaped)["input_ids"]
    assert tokenizer.decode(ids, clean_up_tokenization_spaces=False) == escaped


def test_the_tokenizer_reads_every_word_of_the_templates_whole():
    """Reading material must hold all a prompt can show, or tokens cost places and learning."""
    tokens = pd.DataFrame({"energy": ["low", "high"], "voice quality": ["mid", "low"]})
    templates = list(TEMPLATES.values())
    tokenizer = train_tokenizer(reading_material(templates, LABELS, tokens), 1024)
    for template in templates:
        text = template.render(LABELS, {"energy": "unknown", "voice quality": "high"})
        parts = (
            text.replace("=", " = ")
            .replace(":", " :")
            .replace(",", " ,")
            .replace(".", " .")
            .split()
        )
        assert len(tokenizer(text)["input_ids"]) <= len(parts) + 4


def _drawn(tokens, **changes):
    generator = np.random.default_rng(0)
    recipe = tiny_options(changes)
    templates = list(TEMPLATES.values())
    return list(draw_prompts(tokens, templates, LABELS, recipe, generator))


@pytest.fixture
def many():
    generator = np.random.default_rng(9)
    return pd.DataFrame({c: generator.choice(LEVELS, 900) for c in ("energy", "pitch", "dynamics")})


def _is_own(text, row):
    return any(
        t.show_tokens({str(k): v for k, v in row.items()}) in text for t in TEMPLATES.values()
    )


def test_shares_of_the_prompts_are_the_recipes(many):
    """The recipe sets what the model comes to rely on, so its shares must be what they say."""
    drawn = _drawn(
        many, share_none=0.3, share_aligned=0.5, noise=0.5, share_masked=0, blank_audio=0.4,
        swap_audio=0.3,
    )  # fmt: skip
    with_tokens = ["energy" in text for text, _ in drawn]
    own = [
        _is_own(text, row) for (text, _), row in zip(drawn, many.to_dict("records"), strict=True)
    ]
    # 900 draws: three standard errors are below .05. A remaining prompt shows its own tokens if
    # each of the three is either kept (.5) or replaced by the same word (.5 / 3).
    assert np.mean(with_tokens) == pytest.approx(0.7, abs=0.05)
    assert np.mean(own) == pytest.approx(0.5 + 0.2 * (2 / 3) ** 3, abs=0.05)
    heard = pd.Series([audio for _, audio in drawn]).value_counts(normalize=True)
    assert heard["blank"] == pytest.approx(0.7 * 0.4, abs=0.05)
    assert heard["other"] == pytest.approx(0.7 * 0.3, abs=0.05)


def test_tokens_are_hidden_over_the_whole_range(many):
    """A uniform probability a prompt makes each number of hidden tokens of three equally likely."""
    drawn = _drawn(many, share_none=0, share_aligned=1, share_masked=0.8)
    number = pd.Series([text.count("unknown") for text, _ in drawn]).value_counts(normalize=True)
    # 900 draws: three standard errors are below .05. C(3, k) p^k (1-p)^(3-k) has the integral 1/4.
    expected = {0: 0.2 + 0.8 / 4, 1: 0.8 / 4, 2: 0.8 / 4, 3: 0.8 / 4}
    assert number.to_dict() == pytest.approx(expected, abs=0.05)


def test_audio_is_blanked_only_where_tokens_can_answer(many):
    """A prompt with neither would teach to guess, as would one whose tokens are all hidden."""
    for change in ({"blank_audio": 1.0}, {"blank_audio": 0.0, "swap_audio": 1.0}):
        drawn = _drawn(many, **change)
        silent = ["energy" not in text or text.count("unknown") == 3 for text, _ in drawn]
        heard = {audio for (_, audio), own in zip(drawn, silent, strict=True) if own}
        assert heard == {"own"}
        assert any("unknown" in text for (text, _), own in zip(drawn, silent, strict=True) if own)


def test_every_wording_and_order_of_labels_is_drawn(many):
    """What training never showed, the study would ask for the first time."""
    texts = [text for text, _ in _drawn(many)]
    for template in TEMPLATES.values():
        starts = {text for text in texts if text.endswith(template.answer)}
        assert starts
    firsts = {text.split(": ")[1].split(",")[0] for text in texts if text.startswith("Listen")}
    assert firsts == set(LABELS)
