"""What limits the inference is named: the class, the speaker, and how few speakers there are."""

from dataclasses import replace

import audformat
import numpy as np
import pandas as pd
import pytest
from made_material import confounded_corpus
from scipy import stats

from sercue.check import study
from sercue.corpora.audio_variants import partners
from sercue.corpora.corpus import example_corpus, select_fold
from sercue.settings import Settings
from sercue.study_corpus import pseudonymised
from sercue.tables.limits import confounding, limits, other_folds, other_voices


def corpus(speakers, trained=3, **changes):
    """Test speakers with ten utterances each of angry and sad, and some who train on as many.

    Changes are by class: the utterances of each test speaker, from the first on; of others none.
    """
    numbers = {"angry": [10] * speakers, "sad": [10] * speakers} | changes
    rows = [
        (label, f"s{speaker}", "test")
        for label, of_speakers in numbers.items()
        for speaker, number in enumerate(of_speakers)
        for _ in range(number)
    ]
    trainers = [f"t{n}" for n in range(trained) for _ in range(10)]
    rows += [(label, name, "train") for label in numbers for name in trainers]
    table = pd.DataFrame(rows, columns=["emotion", "speaker", "partition"])
    table.index = audformat.segmented_index([f"{n}.wav" for n in range(len(table))])
    return replace(example_corpus(), table=table, labels=tuple(numbers))


def test_twenty_speakers_of_equal_size_have_no_limits():
    assert limits(corpus(20)) == []


def test_the_class_that_one_speaker_has_is_named():
    """With its recall of no known error there is no interval at all, however many speakers."""
    sentence, folds = limits(corpus(20, fear=[0, 3]))
    assert folds.startswith("With `fold: all`")
    assert "since class 'fear' has test utterances from one speaker only (s1: 3 in all)." in (
        sentence
    )


def test_a_rare_class_is_named_with_what_one_answer_does_to_uar():
    """Seven utterances, one of three classes: 1 / (3 x 7) = 0.048."""
    first = limits(corpus(20, fear=[1] * 7))[0]
    assert (
        "only 7 utterances from 7 speakers for class 'fear' (one utterance changes UAR by .048)"
        in first
    )
    assert "'sad'" not in first


def test_rare_classes_of_the_same_size_are_named_together():
    first = limits(corpus(20, fear=[1] * 7, joy=[1] * 7, awe=[2, 2]))[0]
    assert "7 utterances from 7 speakers for each of the classes 'fear', 'joy' (" in first
    assert "4 utterances from 2 speakers for class 'awe' (" in first


def test_a_class_of_few_of_the_speakers_is_named():
    """Thirty utterances are many, and from three of twenty speakers: 1 / (3 x 30) = 0.011."""
    first = limits(corpus(20, fear=[10] * 3))[0]
    assert (
        "only 30 utterances from 3 speakers for class 'fear' (one utterance changes UAR by .011)"
        in first
    )


def test_the_speaker_who_has_half_of_the_utterances_is_named():
    """90 of each class beside 9 others with 10: 180 of 360."""
    numbers = [90] + [10] * 9
    assert limits(corpus(10, angry=numbers, sad=numbers))[0] == (
        "Speaker s0 has 50\u202f% of the test utterances (180 of 360)."
    )


def test_the_speaker_who_has_half_of_one_class_is_named():
    """20 of 42 of one class, and 30 of 162 of all."""
    first = limits(corpus(12, sad=[20] + [2] * 11))[0]
    assert first == "Speaker s0 has 48\u202f% of the test utterances of class 'sad' (20 of 42)."


@pytest.mark.parametrize("speakers", [2, 3])
def test_a_third_or_half_is_an_equal_part_where_speakers_are_three_or_two(speakers):
    assert not any(told.startswith("Speaker s") for told in limits(corpus(speakers)))


def test_what_unequal_speakers_cost_is_told_in_standard_errors():
    """One speaker with nearly all is compared with the rest as one: about one degree of freedom.

    50, 1, 1, 1 utterances; Student's t with 1.06 and with 3 degrees of freedom.
    """
    numbers = [50, 1, 1, 1]
    only = corpus(4, angry=numbers, sad=numbers)
    told = next(told for told in limits(only) if "degrees of freedom" in told)
    reach, usual = stats.t.ppf(0.975, [1.06, 3])
    assert told.startswith("The intervals have 1.1 degrees of freedom, where 4 speakers")
    assert f"{usual:.1f}." in told
    assert float(told.partition("interval reaches ")[2].split()[0]) == pytest.approx(reach, abs=0.3)


@pytest.mark.parametrize(("speakers", "said"), [(8, True), (19, True), (20, False)])
def test_few_speakers_are_said_to_be_few(speakers, said):
    assert ("Comparisons of conditions rest on" in " ".join(limits(corpus(speakers)))) == said


def test_folds_are_the_way_out_of_four_test_speakers():
    """2 / 2^4; four who are tested and six who train are ten."""
    assert limits(corpus(4, trained=6))[-1] == (
        "With 4 speakers a sign-flip test cannot give a p-value below 2/2^4 = .125; where that is "
        "too large for a correction, t tests decide. With `fold: all`, all 10 speakers of the "
        "corpus are evaluated, with thresholds, classifiers and trained models fitted on the "
        "others."
    )
    assert "sign-flip" not in " ".join(limits(corpus(10)))


def test_whoever_has_folds_already_is_not_told_to_make_some():
    last = limits(select_fold(corpus(4, trained=2), "all"))[-1]
    assert "2/2^6 = .031; where" in last
    assert "All speakers of the corpus are evaluated" in last
    assert "fold: all" not in last


def test_speakers_with_pseudonyms_keep_them():
    numbers = [90] + [10] * 9
    hidden = pseudonymised(corpus(10, angry=numbers, sad=numbers), b"key")
    name = hidden.rows("test")["speaker"].value_counts().idxmax()
    first = limits(hidden)[0]
    assert name != "s0"
    assert first.startswith(f"Speaker {name} has 50\u202f%")


def test_a_class_that_no_test_speaker_has_is_named():
    first = limits(corpus(20, fear=[0]))[0]
    assert first == (
        "The test speakers have no utterance of class 'fear': no recall can be measured there."
    )


def with_partition(partition, fear):
    """Twelve test speakers with all they need, and four others whose fear is rare."""
    whole = corpus(12, trained=4, fear=[10] * 12)
    table = whole.table.copy()
    others = table["partition"] == "train"
    table.loc[others, "partition"] = partition
    spare = table.index[others & (table["emotion"] == "fear")]
    return whole.with_table(table.drop(spare[fear:]))


@pytest.mark.parametrize(
    ("partition", "use"),
    [("train", "thresholds and classifiers are fitted"), ("dev", "prompts are tried out")],
)
def test_classes_that_are_rare_where_something_is_fitted_are_named(partition, use):
    """Four speakers have ten of each; 25 of fear are those of three, 12 of two, 7 of one."""
    few = {"train": 25, "dev": 9}[partition]
    assert any(use in line for line in limits(with_partition(partition, few)))
    (told,) = [line for line in limits(with_partition(partition, 7)) if use in line]
    assert "only 7 utterances from 1 speaker for class 'fear'" in told
    (told,) = [line for line in limits(with_partition(partition, 0)) if use in line]
    assert told.endswith("has none for class 'fear'.")
    assert not any(use in line for line in limits(with_partition(partition, 40)))


def test_three_training_speakers_of_a_class_are_few_and_dev_speakers_enough():
    """Thresholds are fitted on them; prompts are only tried out."""
    (told,) = [line for line in limits(with_partition("train", 25)) if "partition" in line]
    assert told == (
        "The training partition, on which thresholds and classifiers are fitted, has only 25 "
        "utterances from 3 speakers for class 'fear'."
    )
    assert "partition" not in " ".join(limits(with_partition("dev", 25)))


def test_folds_are_suggested_where_they_give_a_class_more_speakers():
    """Five of twenty test speakers would do; three and three of four who train make six."""
    told = limits(corpus(20, trained=3, fear=[10] * 3))[-1]
    assert told.startswith(
        "With `fold: all`, all 23 speakers of the corpus are evaluated (60 utterances from 6 "
        "speakers for class 'fear'), with"
    )
    assert "fold: all" not in " ".join(limits(corpus(20, trained=3, fear=[10] * 5)))


def test_speakers_with_one_class_each_are_named_first():
    """Counted by hand from the table; how much they explain is in tests of the crossing."""
    confounded = confounded_corpus(crossed=3)
    classes = confounded.table.groupby("speaker")["emotion"].nunique()
    single = int((classes == 1).sum())
    first, second = limits(confounded)[:2]
    assert first.startswith(
        f"Emotion and speaker are confounded: {single} of {len(classes)} speakers have utterances "
        "of one class only, and speakers account for "
    )
    assert "they need 10 speakers with two or more classes, and there are 3." in first
    tested = confounded.rows("test")
    each = tested.groupby("emotion")["speaker"].nunique()
    assert f"(by class: {', '.join(f'{label} {each[label]}' for label in each.index)})" in second


def test_enough_speakers_with_several_classes_tell_what_the_others_do_not():
    (sentence,) = confounding(confounded_corpus(crossed=12))
    assert sentence.startswith("Emotion and speaker are confounded")
    assert "not given" not in sentence
    assert confounding(confounded_corpus(crossed=20)) == []


def test_speakers_with_a_single_utterance_are_not_taken_for_confounded():
    """Nobody can have two classes in one utterance; each is an observation of its own."""
    alone = corpus(20).table.groupby(["speaker", "emotion"]).head(1)
    alone = alone.groupby("speaker").sample(1, random_state=0)
    assert confounding(replace(example_corpus(), table=alone)) == []


def test_speakers_who_have_one_class_by_chance_are_not_taken_for_confounded():
    """Two utterances each, nine of ten of one class: most speakers have that class alone."""
    rng = np.random.default_rng(0)
    index = audformat.segmented_index([f"{n}.wav" for n in range(600)])
    table = pd.DataFrame({"speaker": np.repeat([f"s{n}" for n in range(300)], 2)}, index)
    table["emotion"] = rng.choice(["neutral", "angry"], 600, p=[0.9, 0.1])
    assert (table.groupby("speaker")["emotion"].nunique() == 1).mean() > 0.7
    drawn = replace(example_corpus(), table=table.assign(partition="test"))
    assert confounding(drawn) == []


def test_only_those_who_could_have_two_classes_are_counted():
    """29 speakers of mostly one class, and ten with a single utterance."""
    confounded = confounded_corpus(crossed=3)
    extra = confounded.table.iloc[:10].assign(speaker=[f"t{n}" for n in range(10)])
    extra.index = audformat.segmented_index([f"extra{n}.wav" for n in range(10)])
    (sentence,) = confounding(confounded.with_table(pd.concat([confounded.table, extra])))
    assert ": 26 of 29 speakers with two or more utterances have utterances of one" in sentence


def test_a_label_that_no_utterance_has_is_named():
    """Of a corpus made by hand, whose labels are more than its classes."""
    told = limits(replace(corpus(20), labels=("angry", "sad", "fear")))
    assert told == [
        "The test speakers have no utterance of class 'fear': no recall can be measured there.",
        "The training partition, on which thresholds and classifiers are fitted, has none for "
        "class 'fear'.",
        "With `fold: all`, all 23 speakers of the corpus are evaluated, with thresholds, "
        "classifiers and trained models fitted on the others.",
    ]


def test_swapped_audio_of_another_voice_is_a_limit():
    """By hand: s0 and s1 have both classes, s2 only angry utterances."""
    rows = corpus(3, angry=[2, 2, 2], sad=[2, 2, 0]).rows("test")
    assert other_voices(partners(rows))[0].startswith("For 2 of 10 utterances, swapped audio is")
    assert other_voices(partners(rows[rows["speaker"] != "s2"])) == []
    assert other_voices(pd.DataFrame()) == []


def test_swapped_audio_of_another_fold_may_have_been_heard_in_training():
    """By hand: s0 and s1 have one class each, so that each is heard in the place of the other."""
    whole = corpus(4, angry=[2, 0, 2, 2], sad=[0, 2, 2, 2])
    rows = whole.rows("test")
    folded = replace(whole, table=rows.assign(fold=rows["speaker"]))
    table = folded.table
    told = other_folds(partners(table), folded)
    assert told[0].startswith("For 4 of 12 utterances, swapped audio is that of another fold: ")
    swapped = {"audio": ["own", "swapped"], "fold": "all"}
    assert study._of_other_folds(Settings(**swapped), folded) == told
    assert study._of_other_folds(Settings(fold="all"), folded) == []
    large = {"model": "qwen2-audio", "controls": False}
    assert study._of_other_folds(Settings(**swapped, **large), folded) == []
    pairs = replace(folded, table=table.assign(fold="all of them"))
    assert other_folds(partners(table), pairs) == []
    assert other_folds(partners(table), whole) == []
    assert other_folds(pd.DataFrame(), folded) == []
