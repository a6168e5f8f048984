"""Prompts: what is shown, in which order, and what an answer names."""

import itertools
import re
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sercue.errors import InputError
from sercue.tokens.prompts import (
    DEFAULT_TEMPLATES,
    FORMS,
    TEMPLATES,
    Template,
    label_orders,
    resolve_templates,
)
from sercue.tokens.schemes import read_scheme

TOKENS = {"energy": "low", "voice quality": "high"}
LABELS = ["angry", "happy", "neutral", "sad"]


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
class TestEveryTemplate:
    def test_tokens_stand_last_but_for_the_answer_cue(self, template):
        """All conditions of an utterance must share the longest possible prefix."""
        text = template.render(LABELS, TOKENS)
        shown = template.show_tokens(TOKENS)
        assert text.index(shown) > max(text.index(label) for label in LABELS)
        assert text.endswith(f"{template.cues.replace('{tokens}', shown)} {template.answer}")

    def test_without_tokens_only_the_cue_block_is_missing(self, template):
        """`none` must differ from the other conditions by the block and by nothing else."""
        with_block = template.render(LABELS, TOKENS)
        block = template.cues.replace("{tokens}", template.show_tokens(TOKENS)) + " "
        assert with_block.replace(block, "") == template.render(LABELS, None)

    def test_shows_every_label_once_and_every_token(self, template):
        text = template.render(LABELS, TOKENS)
        assert [text.count(label) for label in LABELS] == [1, 1, 1, 1]
        for concept, word in TOKENS.items():
            assert concept in text
            assert word in text

    def test_the_wording_names_no_emotion(self, template):
        """A template that names an emotion outside the options would leak the answer."""
        text = template.render([], {}).lower()
        named = ("anger", "angry", "happ", "joy", "sad", "fear", "afraid", "bored", "disgust",
                 "neutral", "calm", "excite")  # fmt: skip
        assert [word for word in named if word in text] == []


def test_templates_differ_in_every_part():
    """Paraphrases that share their text would understate the sensitivity to wording."""
    chosen = [TEMPLATES[name] for name in DEFAULT_TEMPLATES]
    for first, second in itertools.combinations(chosen, 2):
        assert first.instruction != second.instruction
        assert first.cues != second.cues
        assert first.answer != second.answer


def test_braces_in_data_are_shown_as_they_are():
    """Label words and tokens are data: they must never be taken for format marks."""
    text = TEMPLATES["plain"].render(["{tokens}", "{0}"], {"{labels}": "{word}"})
    assert "{0}" in text
    assert "{labels}=" in text


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (["plane"], "unknown template 'plane': did you mean 'plain'"),
        ([], "templates: found none"),
        (["plain", "plain"], "stands twice"),
        ([{"name": "mine"}], "lacks instruction, cues, answer"),
        ([{"nmae": "mine"}], "unknown template field 'nmae': did you mean 'name'"),
        (
            [{"name": "m", "instruction": "hm", "cues": "{tokens}", "answer": ""}],
            "instruction must hold {labels}",
        ),
    ],
)
def test_a_bad_template_is_named(chosen, message):
    with pytest.raises(InputError) as error:
        resolve_templates(chosen)
    assert message in str(error.value)


def test_a_wording_of_ones_own():
    mine = {"name": "kurz", "instruction": "{labels}?", "cues": "[{tokens}]", "answer": "->"}
    template = resolve_templates([mine])[0]
    assert template == Template(**mine)
    assert template.render(["a", "b"], {"pitch": "low"}) == "a, b? [pitch=low] ->"


@given(st.integers(2, 9))
def test_all_label_orders_are_balanced_for_place_and_for_carry_over(labels):
    """Williams (1949): each label in each place, and after each other label, equally often."""
    number = labels if labels % 2 == 0 else 2 * labels
    orders = label_orders(labels, number)
    places = Counter((place, label) for order in orders for place, label in enumerate(order))
    follows = Counter(pair for order in orders for pair in itertools.pairwise(order))
    assert len(set(orders)) == number
    assert set(places.values()) == {number // labels}
    assert set(follows) == set(itertools.permutations(range(labels), 2))
    assert len(set(follows.values())) == 1
    assert orders[:2] == [tuple(range(labels)), tuple(range(labels))[::-1]]


@pytest.mark.parametrize("orders", [0, 5])
def test_an_impossible_number_of_label_orders_is_refused(orders):
    with pytest.raises(InputError, match="valid are 1 to 4 for 4 labels"):
        label_orders(4, orders)


@pytest.mark.parametrize(
    ("separator", "refused", "fine"),
    [
        (", ", ["happy, excited", "excited"], ["happy or excited", "excited"]),
        (", ", ["happy,excited", "sad"], ["happy and excited", "sad"]),
        (" or ", ["angry or furious", "furious"], ["horror", "angry, furious"]),
        (" | ", ["a|b", "b"], ["a, b", "b"]),
        ("\n", ["a\nb", "b"], ["a, b", "b"]),
    ],
)
def test_options_can_be_taken_apart_again(separator, refused, fine):
    """A reader who splits the options at what parts them finds the labels, and no others."""
    template = replace(TEMPLATES["plain"], label_separator=separator)
    options = template.render(fine).partition("options: ")[2].partition(". Emotion")[0]
    assert options.split(separator) == fine
    with pytest.raises(InputError, match="cannot be told apart"):
        template.render(refused)


def test_templates_whose_names_are_the_same_words_are_refused():
    """Tables and figures know them by their names alone."""
    own = {"name": "Plain", "instruction": "{labels}", "cues": "{tokens}", "answer": ":"}
    with pytest.raises(InputError, match="stands twice"):
        resolve_templates(["plain", own])


def block(form, tokens=None, template="plain"):
    text = TEMPLATES[template].render(LABELS, tokens or TOKENS, form)
    return text.partition(", sad. ")[2].removesuffix(" Emotion:")


def test_forms_write_the_same_words_otherwise():
    """As one would write them by hand."""
    assert block("nonsense") == "Acoustic cues: dax=low, wug=high."
    said = "Measurements of this recording describe the energy as low, the voice quality as high."
    assert block("prose") == said
    cues = "Acoustic cues: energy=low, voice quality=high."
    assert block("framed") == f"The following information may be wrong. {cues}"
    assert block("numbers") == block("") == cues


def test_prose_and_made_up_names_follow_the_spelling_of_the_concepts():
    tokens = {"VOICE_QUALITY": "VERY_HIGH"}
    said = "Measurements of this recording describe the voice quality as very high."
    assert block("prose", tokens) == said
    assert block("nonsense", tokens) == "Acoustic cues: DAX=VERY_HIGH."


@pytest.mark.parametrize("scheme", ["paper", "sercue"])
def test_prose_has_no_verb_that_a_concept_would_have_to_agree_with(scheme):
    """*The formants is* and *the dynamics is* are no English."""
    words = read_scheme(scheme).words
    text = block("prose", {name: own.each[0] for name, own in words.items()})
    assert text.count(" as ") == len(words)
    assert not re.search(r"\b(is|are|was|were|has|have)\b", text)


def test_made_up_names_are_all_different():
    many = {f"concept {n}": "low" for n in range(14)}
    _, shown = FORMS["nonsense"].of(TEMPLATES["plain"], many)
    assert len(shown) == 14


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("template", TEMPLATES)
def test_a_form_changes_nothing_before_the_cue_block(form, template):
    text, own = (TEMPLATES[template].render(LABELS, TOKENS, name) for name in (form, ""))
    before = TEMPLATES[template].render(LABELS).removesuffix(TEMPLATES[template].answer)
    assert text.startswith(before)
    assert own.startswith(before)
    assert text.endswith(f" {TEMPLATES[template].answer}")
