"""The study: one row per planned prediction, answered once, stored, resumed."""

import hashlib
from itertools import islice

import numpy as np
import pandas as pd
import pytest
import soundfile

from sercue import study
from sercue.corpora.corpus import Corpus, example_corpus
from sercue.errors import InputError, ServerError
from sercue.models import NoAnswer
from sercue.storage.tables import part_files
from sercue.study import run_study
from sercue.study.plan import plan_study
from sercue.study.store import KEY, ROW
from sercue.tokens.condition import Condition
from sercue.tokens.prompts import TEMPLATES

CONDITIONS = ["none", "aligned", "shuffled", "conflicting", "corrupted(0.5)"]
ALL_CONDITIONS = [
    *CONDITIONS, "shuffled_within_class", "shuffled_within_speaker", "counter_emotion", "constant",
    "masked(0.5)", "only(energy)", "without(energy)", "flip(pitch)",
]  # fmt: skip


class RecordingModel:
    """Answers from a hash of what it hears and reads, and keeps a record of both.

    What is under test here is which prompts are asked and what becomes of the answers; the real
    model has tests of its own, and the notebooks run the two together.
    """

    name = "recording"
    identity = "recording@1/float32"
    dtype = "float32"
    sampling_rate = 16000
    max_seconds = 30.0
    batch_size = 2

    def __init__(self, fails_after=None):
        self.asked = []
        self.heard = []
        self.fails_after = fails_after

    def _ask(self, audio, prompts):
        if self.fails_after is not None and len(self.asked) >= self.fails_after:
            raise RuntimeError("the machine went away")
        self.asked += prompts
        self.heard += [hashlib.sha256(audio.tobytes()).hexdigest()] * len(prompts)

    def score(self, audios, prompts, labels):
        return [self._likelihood(a, p, labels) for a, p in zip(audios, prompts, strict=True)]

    def _likelihood(self, audio, prompts, labels):
        self._ask(audio, prompts)
        return np.array([[-1.0 - self._number(p, word) for word in labels] for p in prompts])

    def generate(self, audios, prompts, max_new_tokens=8):
        return [self._answers(a, p) for a, p in zip(audios, prompts, strict=True)]

    def _answers(self, audio, prompts):
        self._ask(audio, prompts)
        return ["angry" if self._number(p, "") < 0.5 else "well, angry or sad" for p in prompts]

    @staticmethod
    def _number(prompt, word):
        return int(hashlib.sha256(f"{prompt}|{word}".encode()).hexdigest()[:8], 16) / 2**32


@pytest.fixture
def corpus(tmp_path):
    made = example_corpus(speakers=3, utterances=4, labels=3)
    generator = np.random.default_rng(0)
    for file in made.table.index.get_level_values("file"):
        soundfile.write(tmp_path / file, generator.normal(0, 0.1, 1600), 16000)
    return Corpus("made", tmp_path, made.table, made.labels, "neutral", "none", True, True)


@pytest.fixture
def tokens(corpus):
    words = np.random.default_rng(1).choice(["low", "mid", "high"], (len(corpus.table), 2))
    return pd.DataFrame(words, corpus.table.index, ["energy", "pitch"])


def run(corpus, tokens, model, **options):
    options = {"conditions": CONDITIONS, "replicates": 2, "orders": 2, "progress": False} | options
    return run_study(corpus, tokens, model, **options)


def test_one_row_for_each_planned_prediction(corpus, tokens):
    """4 test utterances x (1 + 1 + 3 x 2 replicates) x 3 templates x 2 orders, counted by hand."""
    table = run(corpus, tokens, RecordingModel())
    assert len(table) == 4 * 8 * 3 * 2
    assert not table.duplicated(ROW).any()
    assert set(table["speaker"]) == {"s2"}
    assert table["valid"].all()
    np.testing.assert_allclose(table.filter(like="p_").sum(axis=1), 1)


def test_the_prediction_is_the_likeliest_label(corpus, tokens):
    table = run(corpus, tokens, RecordingModel())
    best = table.filter(like="p_").idxmax(axis=1).str.removeprefix("p_")
    assert (best == table["prediction"]).all()


def test_the_audio_is_the_same_bytes_under_every_condition(corpus, tokens):
    """What the model hears of an utterance is one signal, and its file one content."""
    model = RecordingModel()
    table = run(corpus, tokens, model, conditions=ALL_CONDITIONS)
    assert len(set(model.heard)) == 4
    assert (table.groupby("utterance")["audio"].nunique() == 1).all()
    file = corpus.path(table["utterance"].iloc[0])
    assert hashlib.sha256(file.read_bytes()).hexdigest().startswith(table["audio"].iloc[0])


def blocks(plan):
    """The token block of each prompt, as its template writes the words that it shows."""
    words = plan.filter(like="shown_").astype(object)
    words.columns = [name.removeprefix("shown_") for name in words]
    return [
        TEMPLATES[template].show_tokens(row.dropna().to_dict())
        for template, (_, row) in zip(plan["template"], words.iterrows(), strict=True)
    ]


def test_only_the_token_block_differs_between_conditions(corpus, tokens):
    plan = plan_study(corpus, tokens, conditions=ALL_CONDITIONS, orders=2, replicates=2)
    assert set(plan["condition"]) == set(ALL_CONDITIONS)
    for _, same in plan.groupby(["utterance", "template", "label_order"]):
        without = [
            text.replace(shown, "") for text, shown in zip(same["text"], blocks(same), strict=True)
        ]
        with_block = np.array(without)[(same["condition"] != "none").to_numpy()]
        assert len(set(with_block)) == 1


def test_without_a_token_block_nothing_but_the_block_is_gone(corpus, tokens):
    """The audio-only prompt is that of ``aligned`` less the one sentence that holds the tokens."""
    plan = plan_study(corpus, tokens, conditions=["none", "aligned"], templates=["plain"])
    none, aligned = (plan[plan["condition"] == name] for name in ("none", "aligned"))
    for bare, text, shown in zip(none["text"], aligned["text"], blocks(aligned), strict=True):
        assert text.replace(f"Acoustic cues: {shown}. ", "") == bare


@pytest.mark.parametrize("words", [["sad", "Sad", "calm"], ["sad", " ", "calm"]])
def test_words_that_no_answer_can_tell_apart_are_not_asked(corpus, tokens, words):
    label_words = dict(zip(corpus.labels, words, strict=True))
    with pytest.raises(InputError, match=r"labels: .*(are the same words|not empty)"):
        plan_study(corpus, tokens, conditions=["none"], label_words=label_words)


def test_every_condition_holds_the_same_utterances(corpus, tokens):
    """Those alone in their class among them: without them the conditions were not paired."""
    plan = plan_study(corpus, tokens, conditions=ALL_CONDITIONS)
    held = plan.groupby("condition")["utterance"].agg(frozenset)
    assert len(set(held)) == 1
    assert len(held.iloc[0]) == 4


def test_the_order_of_the_corpus_does_not_change_what_is_asked(corpus, tokens):
    """A corpus listed the other way round gets the same prompts, utterance by utterance."""
    turned = corpus.with_table(corpus.table.iloc[::-1])
    keys = [*ROW[:-1], "text"]
    plans = [
        plan_study(one, tokens, conditions=ALL_CONDITIONS, replicates=2)[keys]
        for one in (corpus, turned)
    ]
    first, second = (plan.sort_values(keys, ignore_index=True) for plan in plans)
    pd.testing.assert_frame_equal(first, second)


def test_a_condition_of_ones_own_is_asked_beside_ours(corpus, tokens):
    loud = Condition("loud", "energy high", lambda m, generator: m.tokens.assign(energy="high"))
    table = run(corpus, tokens, RecordingModel(), conditions=["aligned", loud])
    shown = table[(table["condition"] == "loud") & (table["template"] == "paper")]
    assert len(shown) == 4 * 2
    assert (shown["shown_energy"] == "high").all()
    assert (shown["family"] == "loud").all()


def test_what_a_condition_is_stands_beside_its_answers(corpus, tokens):
    """A dose that is written with an exponent, too, and a family of one's own."""
    louder = Condition(
        "a bit louder", "", lambda m, generator: m.tokens, family="louder", dose=0.25
    )
    quieter = Condition("quieter(2)", "", lambda m, generator: m.tokens)
    names = ["none", "corrupted(0.00001)", "flip(pitch)", louder, quieter]
    table = run(corpus, tokens, RecordingModel(), conditions=names)
    told = table.drop_duplicates("condition").set_index("condition")
    assert told["family"].tolist() == ["none", "corrupted", "flip", "louder", "quieter"]
    np.testing.assert_array_equal(told["dose"], [np.nan, 1e-5, np.nan, 0.25, 2])
    assert told["concepts"].tolist() == ["", "", "pitch", "", ""]


@pytest.mark.parametrize("concept_wordings", ["first", "all"])
def test_single_concepts_are_asked_in_the_first_wording_and_order(corpus, tokens, concept_wordings):
    """Or in all of them; what is asked is the same prompt either way."""
    names = ["aligned", "only(pitch)", "flip(energy)"]
    asked = {"conditions": names, "templates": ["plain", "question"], "orders": 2}
    plan = plan_study(corpus, tokens, **asked, concept_wordings=concept_wordings)
    whole = plan_study(corpus, tokens, **asked, concept_wordings="all")
    first = (whole["template"] == "plain") & (whole["label_order"] == 0)
    kept = (whole["condition"] == "aligned") | first | (concept_wordings == "all")
    columns = ["utterance", "condition", "template", "label_order", "text", "prompt", "shown_pitch"]
    pd.testing.assert_frame_equal(
        plan[columns].astype("str").reset_index(drop=True),
        whole.loc[kept, columns].astype("str").reset_index(drop=True),
    )
    number = plan["condition"].value_counts()
    times = 4 if concept_wordings == "all" else 1
    assert number["only(pitch)"] * 4 == number["aligned"] * times


def test_equal_prompts_of_an_utterance_are_asked_once(corpus, tokens):
    model = RecordingModel()
    tokens[:] = "low"  # a derangement of equal rows shows every utterance its own tokens
    table = run(corpus, tokens, model, conditions=["none", "aligned", "shuffled"], replicates=5)
    assert len(table) == 4 * 7 * 6
    assert len(model.asked) == len(set(model.asked)) * 4 == 4 * 2 * 6


def test_a_second_run_asks_nothing_and_says_the_same(corpus, tokens, tmp_path):
    store = tmp_path / "predictions"
    first = run(corpus, tokens, RecordingModel(), store=store)
    model = RecordingModel()
    second = run(corpus, tokens, model, store=store)
    assert model.asked == []
    pd.testing.assert_frame_equal(first, second)
    stored = pd.concat(map(pd.read_parquet, part_files(store)))
    assert len(stored) == len(first)
    assert set(stored.columns) >= {*ROW, "speaker", "truth", "prediction", "valid", "shown_energy"}


def test_what_was_answered_before_a_crash_is_kept(corpus, tokens, tmp_path, monkeypatch):
    monkeypatch.setattr("sercue.study._BATCHES_AT_ONCE", 1)
    store = tmp_path / "predictions"
    whole = RecordingModel()
    expected = run(corpus, tokens, whole)
    an_utterance = len(whole.asked) // 4
    crashing = RecordingModel(fails_after=2 * an_utterance)
    with pytest.raises(RuntimeError, match="went away"):
        run(corpus, tokens, crashing, store=store)
    resumed = RecordingModel()
    table = run(corpus, tokens, resumed, store=store)
    assert 0 < len(resumed.asked) < len(whole.asked)
    pd.testing.assert_frame_equal(table, expected)


def test_a_study_of_which_a_part_was_never_asked_does_not_end(corpus, tokens, monkeypatch):
    """Whoever lost a batch: its rows would count as invalid answers, and so as wrong ones."""
    monkeypatch.setattr("sercue.study._BATCHES_AT_ONCE", 1)
    asked = study._answered
    monkeypatch.setattr(study, "_answered", lambda *given: islice(asked(*given), 1))
    with pytest.raises(ServerError, match=r"^\d+ of \d+ rows of the study have no answer"):
        run(corpus, tokens, RecordingModel())


def test_a_changed_file_is_asked_again_and_a_renamed_one_is_not(corpus, tokens, tmp_path):
    store = tmp_path / "predictions"
    before = run(corpus, tokens, RecordingModel(), store=store)
    changed, renamed = "s2_0.wav", "s2_1.wav"
    soundfile.write(corpus.root / changed, np.full(1600, 0.2), 16000)
    (corpus.root / renamed).rename(corpus.root / "new name.wav")
    table = corpus.table.rename(index={renamed: "new name.wav"}, level="file")
    model = RecordingModel()
    after = run(
        Corpus("made", corpus.root, table, corpus.labels, "neutral", "none"),
        tokens.set_axis(table.index),
        model,
        store=store,
        conditions=["none", "aligned"],
    )
    assert len(model.asked) == 2 * 6
    assert len(set(model.heard)) == 1
    assert "new name.wav" in set(after["utterance"])
    stored = pd.concat(map(pd.read_parquet, part_files(store)))
    assert len(stored) == len(after), "the store holds this study's rows and no others"
    assert len(before) > len(after)


def test_going_back_to_an_earlier_setting_finds_its_answers(corpus, tokens, tmp_path):
    store = tmp_path / "predictions"
    first = run(corpus, tokens, RecordingModel(), store=store)
    run(corpus, tokens, RecordingModel(), store=store, templates=["plain"])
    model = RecordingModel()
    back = run(corpus, tokens, model, store=store)
    assert model.asked == []
    pd.testing.assert_frame_equal(back, first)


def test_generated_answers_are_parsed_and_never_dropped(corpus, tokens):
    table = run(corpus, tokens, RecordingModel(), decoding="generate")
    invalid = table["answer"] == "well, angry or sad"
    assert 0 < invalid.mean() < 1
    assert (table["valid"] == ~invalid).all()
    assert table.loc[invalid, "prediction"].isna().all()
    assert (table.loc[invalid, "why_invalid"] == "names more than one label").all()
    assert table.loc[~invalid, "why_invalid"].isna().all()
    assert (table.loc[~invalid, "prediction"] == "angry").all()
    assert table.filter(like="p_").isna().all().all()


class FaultyModel(RecordingModel):
    """One whose numbers overflow, or whose server gives no answer, in a share of the prompts."""

    def __init__(self, share, value=np.nan):
        super().__init__()
        self.share, self.value = share, value

    def _likelihood(self, audio, prompts, labels):
        scores = super()._likelihood(audio, prompts, labels)
        scores[[self._number(p, "") < self.share for p in prompts], -1] = self.value
        return scores

    def _answers(self, audio, prompts):
        self._ask(audio, prompts)
        return [
            NoAnswer("filtered") if self._number(p, "") < self.share else "angry" for p in prompts
        ]


@pytest.mark.parametrize("value", [np.nan, -np.inf, np.inf])
def test_scores_that_are_not_finite_are_no_answer(corpus, tokens, value):
    """Softmax would make the first label of such a row likeliest, or one of them certain."""
    model = FaultyModel(0.1, value)
    table = run(corpus, tokens, model)
    faulty = table["prompt"].isin(
        {
            hashlib.blake2b(p.encode(), digest_size=16).hexdigest()
            for p in model.asked
            if model._number(p, "") < 0.1
        }
    )
    assert 0 < faulty.sum() < len(table)
    assert (table["why_invalid"][faulty] == "its scores are not finite").all()
    assert (table["valid"] == ~faulty).all()
    assert table.loc[faulty, "prediction"].isna().all()
    assert table.loc[faulty].filter(like="p_").isna().all().all()
    assert table.loc[~faulty, "why_invalid"].isna().all()


@pytest.mark.parametrize("decoding", ["score", "generate"])
def test_what_was_not_answered_is_asked_again_by_the_next_run(corpus, tokens, tmp_path, decoding):
    store = tmp_path / "predictions"
    first = run(corpus, tokens, FaultyModel(0.1), store=store, decoding=decoding)
    lost = ~first["valid"]
    assert lost.any()
    assert first.loc[lost, "why_invalid"].notna().all()
    whole = FaultyModel(0)
    second = run(corpus, tokens, whole, store=store, decoding=decoding)
    assert (
        len(whole.asked)
        == first[lost].groupby("utterance", observed=True)["prompt"].nunique().sum()
    )
    assert second["valid"].all()
    expected = run(corpus, tokens, FaultyModel(0), decoding=decoding)
    pd.testing.assert_frame_equal(second, expected)
    assert len(pd.concat(map(pd.read_parquet, part_files(store)))) == len(expected)


@pytest.mark.parametrize("decoding", ["score", "generate"])
def test_a_study_without_many_of_its_answers_stops_and_names_model_and_dtype(
    corpus, tokens, tmp_path, decoding
):
    store = tmp_path / "predictions"
    with pytest.raises(
        InputError, match=r"model 'recording' \(dtype float32\): \d+ of \d+ answers"
    ):
        run(corpus, tokens, FaultyModel(0.5), store=store, decoding=decoding)
    assert part_files(store)


def test_predictions_name_labels_and_prompts_show_their_words(corpus, tokens):
    words = {"angry": "rot", "neutral": "grau", "sad": "blau"}
    model = RecordingModel()
    table = run(corpus, tokens, model, label_words=words)
    assert set(table["prediction"]) <= set(words)
    assert all("rot" in prompt and "angry" not in prompt for prompt in model.asked)


def test_words_that_change_their_label_are_scored_again(corpus, tokens, tmp_path):
    """With both orders shown the prompts are the very same; only what a score stands for is not."""
    store, options = tmp_path / "predictions", {"conditions": ["none"], "orders": 6}
    words = {"angry": "rot", "neutral": "grau", "sad": "blau"}
    changed = words | {"angry": "grau", "neutral": "rot"}
    run(corpus, tokens, RecordingModel(), store=store, label_words=words, **options)
    again = run(
        corpus, tokens, model := RecordingModel(), store=store, label_words=changed, **options
    )
    fresh = run(corpus, tokens, RecordingModel(), label_words=changed, **options)
    assert len(model.asked) == len(again)
    pd.testing.assert_frame_equal(again, fresh)


def test_longer_answers_are_generated_again(corpus, tokens, tmp_path):
    """An answer that was cut after two tokens is no answer of eight."""
    options = {"decoding": "generate", "store": tmp_path / "predictions"}
    run(corpus, tokens, RecordingModel(), max_new_tokens=2, **options)
    model = RecordingModel()
    run(corpus, tokens, model, max_new_tokens=8, **options)
    assert model.asked
    back = RecordingModel()
    run(corpus, tokens, back, max_new_tokens=2, **options)
    assert back.asked == []


def test_texts_are_held_once(corpus, tokens):
    """What makes a study of a million rows fit: each column of texts is categorical, in order."""
    table = run(corpus, tokens, RecordingModel())
    texts = ["utterance", "speaker", "truth", "condition", "template", "prediction", "prompt"]
    for name in texts:
        categories = list(table[name].cat.categories)
        assert categories == sorted(set(categories)), name
    assert table.memory_usage(deep=True).sum() / len(table) < 150


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"decoding": "beam"}, "unknown decoding 'beam'"),
        ({"conditions": ["aligend"]}, "did you mean 'aligned'"),
        ({"conditions": ["only(formants)"]}, "unknown concept 'formants'"),
        ({"words": ["soft", "loud"]}, "tokens of 'energy': found"),
        ({"partition": "validation"}, "no utterance in 'validation'; found train, dev, test"),
        ({"orders": 7}, "label_orders: found 7, valid are 1 to 6 for 3 labels"),
    ],
)
def test_a_bad_argument_is_named(corpus, tokens, options, message):
    with pytest.raises(InputError) as error:
        run(corpus, tokens, RecordingModel(), **options)
    assert message in str(error.value)


def test_the_key_of_an_answer_is_its_content():
    assert KEY == ["audio", "prompt", "model", "decoding", "options"]


@pytest.mark.parametrize("name", ["aligned", "shuffled", "shuffled_within_speaker"])
def test_the_class_of_the_tokens_is_that_of_whose_tokens_are_shown(name):
    """Each utterance has a word of its own, which tells whose tokens a prompt shows."""
    corpus = example_corpus(speakers=3, utterances=6)
    words = [f"w{number}" for number in range(18)]
    tokens = pd.DataFrame({"energy": words}, corpus.table.index)
    plan = plan_study(corpus, tokens, conditions=[name], templates=["plain"], words=words)
    emotion = dict(zip(words, corpus.table["emotion"], strict=True))
    assert plan["tokens_class"].tolist() == [emotion[word] for word in plan["shown_energy"]]
    assert (plan["tokens_class"].tolist() == plan["truth"].tolist()) == (name == "aligned")
