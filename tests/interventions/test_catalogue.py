"""Conditions: what all of them have in common, their names, and conditions of one's own."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_material import (
    ALL,
    CONCEPTS,
    SUBSETS,
    numbered_material,
    random_material,
    random_tokens,
    reordered,
)

from sercue.corpora.corpus import example_corpus
from sercue.errors import InputError
from sercue.statistics.contrasts import planned_contrasts
from sercue.tokens.catalogue import (
    condition_names,
    describe_conditions,
    main_conditions,
    parse_condition,
    parse_conditions,
    shortened,
)
from sercue.tokens.concepts import WORDS, Words
from sercue.tokens.condition import Condition, Material
from sercue.tokens.schemes import read_scheme

MIRRORED = {"low": "high", "high": "low"}


@pytest.mark.parametrize("name", ALL)
@settings(max_examples=20)
@given(st.integers(4, 30), st.sampled_from([3, 5]), st.integers(0, 99), st.booleans())
def test_every_condition_keeps_the_rows_and_leaves_its_input_alone(name, rows, bins, seed, folds):
    """All conditions hold the same utterances: else nothing would be paired."""
    material = random_material(rows, seed, WORDS[bins], folds)
    before = material.tokens.copy()
    shown = parse_condition(name).show(material, seed=seed)
    pd.testing.assert_frame_equal(material.tokens, before)
    if name == "none":
        assert shown is None
        return
    assert shown.index.equals(before.index)
    assert set(np.unique(shown.to_numpy().astype(str))) <= {*WORDS[bins], "unknown"}
    assert shown.columns.equals(before.columns)


@pytest.mark.parametrize("name", ALL[1:])
@settings(max_examples=10)
@given(st.integers(0, 99))
def test_a_seed_and_a_replicate_decide_the_tokens(name, seed):
    condition, material = parse_condition(name), random_material(40, seed)
    first, again, other, elsewhere = (
        condition.show(material, seed=s, replicate=replicate)
        for s, replicate in ((seed, 0), (seed, 0), (seed, 1), (seed + 1, 0))
    )
    pd.testing.assert_frame_equal(first, again)
    random = condition.is_random(material.words)
    assert first.equals(other) == (not random)
    assert first.equals(elsewhere) == (not random)


def test_what_a_condition_does_to_its_material_stays_its_own():
    """Written over in place, tables are whole again for the condition that comes next."""
    material = random_material(12)

    def overwrite(mine, _):
        mine.tokens.loc[:, :] = "low"
        mine.training.tokens.loc[:, :] = "low"
        return mine.tokens

    mine = Condition("all low", "every token is low", overwrite)
    own = parse_condition("aligned").show(material, seed=0)
    assert (mine.show(material, seed=0) == "low").all(axis=None)
    pd.testing.assert_frame_equal(parse_condition("aligned").show(material, seed=0), own)
    assert not (material.ordered.training.tokens == "low").all(axis=None)


@pytest.mark.parametrize("name", ALL[1:])
@settings(max_examples=15)
@given(st.booleans(), st.permutations(range(12)), st.permutations(range(20)))
def test_what_an_utterance_is_shown_does_not_depend_on_the_order_of_rows(
    name, folds, order, training_order
):
    """A table that was sorted otherwise, or read from another file, gives the same study."""
    material = random_material(12, 5, folds=folds)
    condition = parse_condition(name)
    shown = condition.show(material, seed=3)
    again = condition.show(reordered(material, order, training_order), seed=3)
    assert list(again.index) == [material.tokens.index[place] for place in order]
    pd.testing.assert_frame_equal(again.loc[shown.index], shown)


def test_segments_of_one_file_are_put_in_order_too():
    """The index of a real corpus: files, starts, and ends that may be NaT."""
    corpus = example_corpus(speakers=2, utterances=6)
    tokens = random_tokens(12).set_axis(corpus.table.index)
    shuffled = parse_condition("shuffled")
    own = Material.of_corpus(corpus, tokens, WORDS[3])
    reverse = Material.of_corpus(corpus.with_table(corpus.table.iloc[::-1]), tokens, WORDS[3])
    first, second = (shuffled.show(material, seed=0) for material in (own, reverse))
    pd.testing.assert_frame_equal(first, second.loc[first.index])


@pytest.mark.parametrize(
    ("name", "becomes"),
    [
        ("aligned", {"unknown"}),
        ("conflicting", {"unknown"}),
        ("flip(PITCH)", {"unknown"}),
        ("only(PITCH)", {"unknown"}),
        ("without(ENERGY)", {"unknown"}),
        ("masked(0.5)", {"unknown"}),
        ("corrupted(0)", {"unknown"}),
        ("corrupted(1)", {"low", "mid", "high"}),
        ("corrupted(0.5)", {"low", "mid", "high", "unknown"}),
        ("constant", {"mid"}),
    ],
)
def test_what_becomes_of_unknown_tokens(name, becomes):
    """As the table of the package's documentation says."""
    tokens = pd.DataFrame({"ENERGY": ["low"] * 200, "PITCH": ["unknown"] * 200})
    shown = parse_condition(name).show(Material(tokens, WORDS[3]), seed=0)
    assert set(shown["PITCH"]) == becomes


@pytest.mark.parametrize("name", ["shuffled", "shuffled_within_class", "shuffled_within_speaker"])
def test_unknown_tokens_travel_with_the_utterance_that_they_are_of(name):
    """Exchanged are whole utterances: each row that is shown is one of the rows there are."""
    material = random_material(30, 2)
    shown = parse_condition(name).show(material, seed=0)
    rows = set(map(tuple, material.tokens.to_numpy())) | set(
        map(tuple, material.training.tokens.to_numpy())
    )
    assert set(map(tuple, shown.to_numpy())) <= rows
    assert (shown == "unknown").to_numpy().any()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("algned", "unknown condition 'algned': did you mean 'aligned'"),
        ("corrupted", "valid is corrupted(p) with p from 0 to 1"),
        ("corrupted(2)", "valid is corrupted(p) with p from 0 to 1"),
        ("masked(nan)", "valid is masked(p) with p from 0 to 1"),
        ("masked()", "valid is masked(p) with p from 0 to 1"),
        ("corrupted(half)", "valid is corrupted(p) with p from 0 to 1"),
        ("aligned(1)", "aligned takes no parameter"),
        ("", "unknown condition ''"),
        ("corrupted(.5))", "unknown condition"),
        ("only", "condition 'only': unknown concept ''"),
        ("only()", "none at all is the condition masked(1)"),
        ("flip(pich)", "did you mean 'PITCH'"),
        ("only(ENERGY, PITCH)", "several are joined by +"),
        ("only(ENERGY + ENERGY)", "ENERGY stands twice"),
    ],
)
def test_a_bad_condition_is_named(text, message):
    with pytest.raises(InputError) as error:
        parse_condition(text)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("texts", "spelt"),
    [
        (["corrupted(0.5)", "corrupted(.50)"], "'corrupted(0.5)' and 'corrupted(.50)'"),
        (["only(PITCH + ENERGY)", "only(ENERGY+PITCH)"], "as 'only(PITCH + ENERGY)' and"),
        (["aligned", f"only({'+'.join(CONCEPTS)})"], "aligned stands twice"),
    ],
)
def test_a_list_of_conditions_must_name_each_once(texts, spelt):
    with pytest.raises(InputError, match="stands twice") as error:
        parse_conditions(texts)
    assert spelt in str(error.value)


def test_a_list_of_conditions_must_name_one():
    with pytest.raises(InputError, match="found none, valid are none, aligned"):
        parse_conditions([])


@given(st.sampled_from(["corrupted", "masked"]), st.floats(0, 1))
def test_the_canonical_name_of_a_dose_reads_back(family, dose):
    name = parse_condition(f"{family}({dose!r})").name
    again = parse_condition(name)
    assert again.name == name
    assert math.isclose(float(name[len(family) + 1 : -1]), dose, rel_tol=1e-5, abs_tol=1e-12)


@given(
    st.sampled_from(["only", "without", "flip"]),
    st.lists(st.sampled_from(CONCEPTS), min_size=1, max_size=5, unique=True),
    st.sampled_from(["+", " + ", "  +"]),
)
def test_equal_choices_of_concepts_have_one_name(family, chosen, join):
    """Order and spacing are the writer's; the name has the concepts in their own order."""
    name = parse_condition(f" {family} ( {join.join(chosen)} ) ").name
    assert name == f"{family}({' + '.join(c for c in CONCEPTS if c in chosen)})"
    assert parse_condition(name).name == name


def test_all_concepts_are_the_condition_that_they_equal():
    listed = " + ".join(CONCEPTS)
    assert parse_condition(f"only({listed})").name == "aligned"
    assert parse_condition(f"flip({listed})").name == "conflicting"
    assert parse_condition(f"without({listed})").name == "masked(1)"


def test_concepts_of_ones_own_can_be_named():
    """Binning takes other concepts than the six; a condition then takes those."""
    assert parse_condition("without(tempo)", ["tempo", "PITCH"]).name == "without(tempo)"
    with pytest.raises(InputError, match="Valid are: tempo, PITCH"):
        parse_condition("without(ENERGY)", ["tempo", "PITCH"])


@pytest.mark.parametrize("name", ["only(ENERGY)", "without(ENERGY)", "flip(ENERGY)"])
def test_a_concept_without_tokens_is_named(name):
    tokens = pd.DataFrame({"PITCH": ["low", "high"]})
    with pytest.raises(InputError, match=r"unknown concept 'ENERGY'.*Valid are: PITCH"):
        parse_condition(name).show(Material(tokens, WORDS[3]), seed=0)


def test_every_condition_of_the_protocol_is_listed():
    """The names of the protocol's table, typed from there, and the lists of many at once."""
    assert set(condition_names()) == {
        "none", "aligned", "shuffled", "shuffled_within_class", "shuffled_within_speaker",
        "conflicting", "counter_emotion", "corrupted(p)", "replaced(p)", "masked(p)", "constant",
        "only(concepts)", "without(concepts)", "flip(concepts)",
        "only(each)", "without(each)", "flip(each)", "only(any)",
        "nonsense", "numbers", "prose", "framed",
    }  # fmt: skip


def test_the_64_subsets_of_the_concepts_have_64_names():
    assert len(SUBSETS) == 64
    assert [condition.name for condition in parse_conditions(SUBSETS)] == SUBSETS


@pytest.mark.parametrize("name", ["shuffled_within_class", "shuffled_within_speaker"])
def test_what_a_condition_must_know_is_named(name):
    with pytest.raises(InputError, match=r"found no (emotions|speakers), and this condition needs"):
        parse_condition(name).show(Material(random_tokens(4), WORDS[3]), seed=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"words": ("very low", "high")},
            "'ENERGY': found 'low', 'mid', valid are very low, high",
        ),
        ({"emotions": pd.Series(["sad"])}, "emotions: found another index than that of the tokens"),
    ],
)
def test_material_that_does_not_fit_is_refused(change, message):
    """Five-bin tokens with the words of three would otherwise be mirrored in part."""
    tokens = pd.DataFrame({"ENERGY": ["low", "mid"]})
    with pytest.raises(InputError) as error:
        Material(**({"tokens": tokens, "words": WORDS[3]} | change))
    assert message in str(error.value)


def test_a_condition_of_ones_own_takes_a_few_lines():
    """What the documentation promises to a user in a notebook: here, speakers made all alike."""

    def commonest_of_speaker(material, generator):
        groups = material.tokens.groupby(material.speakers)
        return groups.transform(lambda words: words.mode().iloc[0])

    mine = Condition("typical", "the speaker's commonest token", commonest_of_speaker)
    material = numbered_material(["sad"] * 3, ["a", "a", "b"])
    material.tokens.iloc[:2] = "token u001"
    shown = parse_conditions(["none", mine])[1].show(material, seed=0)
    assert shown["ENERGY"].tolist() == ["token u001", "token u001", "token u002"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda material, generator: material.tokens.iloc[:1], "valid are those of material.tok"),
        (lambda material, generator: material.tokens[[]], "no column or an empty cell"),
        (
            lambda material, generator: material.tokens.map(lambda word: None),
            "no column or an empty cell",
        ),
    ],
)
def test_what_a_condition_of_ones_own_returns_is_checked(change, message):
    with pytest.raises(InputError) as error:
        Condition("mine", "", change).show(Material(random_tokens(3), WORDS[3]), seed=0)
    assert "condition 'mine'" in str(error.value)
    assert message in str(error.value)


def test_the_description_counts_what_is_not_the_utterances_own():
    """By hand: own tokens are (low, high), (low, high), (high, unknown)."""
    own = pd.DataFrame({"ENERGY": ["low", "low", "high"], "PITCH": ["high", "high", "unknown"]})
    names = ["none", "aligned", "conflicting", "flip(PITCH)", "only(PITCH)"]
    table = describe_conditions(names, Material(own, WORDS[3]))
    assert table["tokens not own"].round(3).tolist()[1:] == [0, 0.833, 0.333, 0.5]
    assert table["utterances not own"].round(3).tolist()[1:] == [0, 1, 0.667, 1]
    assert table.loc["none", ["tokens not own", "utterances not own"]].isna().all()
    assert table.loc["conflicting", "remarks"] == "1 of 6 tokens are 'unknown' and stay so"
    assert table.loc["flip(PITCH)", "remarks"] == "1 of 3 tokens are 'unknown' and stay so"
    assert table.loc["aligned", "remarks"] == ""


@pytest.mark.parametrize(("scheme", "expected"), [("paper", False), ("sercue", True)])
def test_opposites_are_random_where_the_scheme_gives_a_word_several(scheme, expected):
    """``paper`` names one opposite of each word; ``sercue`` sends the middle to either extreme."""
    words = read_scheme(scheme).words
    pitch = list(words)[1]
    names = ["conflicting", f"flip({pitch})", "shuffled", "aligned", f"only({pitch})"]
    table = describe_conditions(names, words=words)
    assert table["random"].tolist() == [expected, expected, True, False, False]
    conditions = parse_conditions(names, list(words))
    number = [len(condition.replicates(3, words)) for condition in conditions]
    assert number == [3 if random else 1 for random in table["random"]]


def test_a_flip_is_random_only_if_the_words_of_its_own_concepts_are():
    """Typed by hand: ``a`` has a middle word that may become either extreme, ``b`` has none."""
    words = {"a": Words(("low", "mid", "high")), "b": Words(("low", "high"))}
    random = describe_conditions(["flip(a)", "flip(b)", "conflicting"], words=words)["random"]
    assert random.tolist() == [True, False, True]


def test_equal_tokens_of_different_utterances_are_told():
    """A derangement of equal rows shows everybody what is their own; the table must say so."""
    own = pd.DataFrame({"ENERGY": ["low"] * 4})
    table = describe_conditions(["shuffled"], Material(own, WORDS[3]))
    assert table.loc["shuffled", "utterances not own"] == 0


_WORDS = ["none", "only(any)", "only(each)", "without(each)", "flip(each)", "masked(0.5)"]


@given(st.lists(st.sampled_from(_WORDS), unique=True, min_size=1), st.data())
def test_a_list_of_conditions_can_be_shortened_without_changing_it(words, data):
    """What a report shows in place of it must ask the same in the same order."""
    if {"only(any)", "only(each)"} <= set(words):
        words.remove("only(any)")
    names = [condition.name for condition in parse_conditions(words)]
    assert [c.name for c in parse_conditions(shortened(names))] == names
    assert shortened(names) == words
    some = data.draw(st.permutations(names))[: data.draw(st.integers(1, len(names)))]
    assert [c.name for c in parse_conditions(shortened(some))] == some


def test_numbers_are_the_scores_and_nominal_or_unmeasured_concepts_keep_a_word():
    own = pd.DataFrame({"energy": ["low", "unknown"], "voice": ["low", "high"]}, index=["a", "b"])
    scores = pd.DataFrame({"energy": [-0.04, np.nan]}, index=["a", "b"])
    shown = parse_condition("numbers").show(Material(own, WORDS[3], scores=scores), seed=0)
    assert shown.to_numpy().tolist() == [["+0.0 SD", "low"], ["unknown", "high"]]


def test_numbers_need_scores():
    with pytest.raises(InputError, match="material: found no scores"):
        parse_condition("numbers").show(random_material(4, 0), seed=0)


def test_controls_of_form_are_a_family_of_their_own():
    names = ["none", "aligned", "prose", "framed @ silent", "masked(1)"]
    table = pd.DataFrame({"condition": names})
    assert main_conditions(table)["condition"].tolist() == ["none", "aligned", "masked(1)"]
    assert planned_contrasts(names) == planned_contrasts(["none", "aligned", "masked(1)"])
