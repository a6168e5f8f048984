"""Prompts as the report shows them: what a condition changed is marked, and nothing else."""

import pandas as pd
import pytest
from made_material import CONCEPTS

from sercue.corpora.corpus import example_corpus
from sercue.study.plan import plan_study
from sercue.tables.examples import prompt_examples
from sercue.tokens.prompts import TEMPLATES

OWN = ["low", "mid", "high", "unknown", "low", "high"]


def examples(conditions, template):
    """The blocks of the first utterance, whose tokens are ``OWN``."""
    corpus = example_corpus(speakers=2, utterances=2)
    tokens = pd.DataFrame([OWN, OWN[::-1]] * 2, corpus.table.index, CONCEPTS)
    plan = plan_study(corpus, tokens, conditions=conditions, templates=[template])
    return prompt_examples(plan, [template]).data.split('<div class="prompt">')[1:]


@pytest.mark.parametrize("template", list(TEMPLATES))
def test_hidden_tokens_are_marked_and_own_ones_are_not(template):
    """By hand: of the four that ``only`` hides, DYNAMICS is unknown without being hidden."""
    _, only, without = examples(
        ["aligned", "only(BRIGHTNESS + VOICE_QUALITY)", "without(ENERGY)"], template
    )
    assert (only.count("<mark>"), without.count("<mark>")) == (3, 1)
    written = TEMPLATES[template].show_tokens
    assert f"<mark>{written({'ENERGY': 'unknown'})}</mark>" in only
    assert f"<mark>{written({'ENERGY': 'unknown'})}</mark>" in without
    assert f"<mark>{written({'BRIGHTNESS': 'high'})}" not in only


@pytest.mark.parametrize("template", list(TEMPLATES))
def test_a_flipped_concept_is_the_one_that_is_marked(template):
    _, flipped = examples(["aligned", "flip(FORMANTS)"], template)
    written = TEMPLATES[template].show_tokens({"FORMANTS": "high"})
    assert flipped.count("<mark>") == 1
    assert f"<mark>{written}</mark>" in flipped


def test_an_unknown_token_is_marked_where_a_condition_put_it():
    """By hand: five of the six tokens were known; ``masked(1)`` makes all unknown."""
    _, masked = examples(["aligned", "masked(1)"], "plain")
    assert masked.count("<mark>") == 5
    assert "<mark>DYNAMICS" not in masked
