"""The simulated control models do what they are said to do; speakers can be made unbalanced."""

import numpy as np
import pytest
from checks_controls import ALONE, OF_CONCEPTS, SHOWN
from checks_family import CONTRASTS, PLANNED, decided
from checks_neutral import true_neutral_shift
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import norm
from simulate import Design, simulate
from simulate_controls import (
    CONCEPTS,
    CONTENT_BLIND,
    GROUNDED,
    REDUNDANT,
    control_studies,
    control_uar,
)
from speakers import Speakers, spoken

from sercue.statistics.attribution import concept_effects, shapley
from sercue.statistics.contrasts import compare

CONDITIONS = (
    "none", "masked(1)", "constant", "aligned", "shuffled", "shuffled_within_class", "conflicting",
    "corrupted(0.5)", "masked(0.5)", f"only({CONCEPTS[0]})", f"without({CONCEPTS[0]})",
    f"flip({CONCEPTS[0]})",
)  # fmt: skip
SILENT = ("none", "masked(1)", "constant")
# Alike speakers and utterances and two classes, so that recall is one integral.
PLAIN = {
    "conditions": CONDITIONS, "labels": ("calm", "angry"), "shares": (0.5, 0.5), "ability": 0.0,
    "ability_condition": 0.0, "leaning": 0.0, "leaning_condition": 0.0, "ease": 0.0,
    "strength": 1.5, "noise": 2.0,
}  # fmt: skip
CLOSE = 0.006


def recall(shift, spread):
    """Share of right answers where evidence for the right one of two classes is normal.

    The difference of two Gumbel variables is logistic.
    """
    return quad(lambda z: expit(shift + spread * z) * norm.pdf(z), -10, 10)[0]


def by_condition(design):
    return dict(zip(design.conditions, control_uar(design, 60_000), strict=True))


def test_a_content_blind_model_knows_only_whether_there_is_a_block():
    """Two classes, noise of sd 2 on each: 1.5 ± 2√2 in favour; the lean adds 1 to one of them."""
    found = by_condition(CONTENT_BLIND.with_(**PLAIN, lean=(1.0, 0.0)))
    wide = 2 * np.sqrt(2)
    leaning = (recall(2.5, wide) + recall(0.5, wide)) / 2
    assert found.pop("none") == pytest.approx(leaning, abs=CLOSE)
    assert [*found.values()] == pytest.approx([recall(1.5, wide)] * len(found), abs=CLOSE)


def test_redundant_tokens_add_nothing_and_those_of_the_same_class_do():
    """Half the weight on a second, independent draw halves the variance; the opposite leaves 0."""
    found = by_condition(REDUNDANT.with_(**PLAIN))
    wide = 2 * np.sqrt(2)
    own, averaged = recall(1.5, wide), recall(1.5, 2.0)
    shuffled = (averaged + recall(0.0, 2.0)) / 2
    # A sixth of the tokens, with half of the weight, takes back twice what it brought.
    one_flipped = recall(1.5 * 5 / 6, wide * 5 / 6)
    expected = dict.fromkeys(CONDITIONS, own) | {
        "shuffled": shuffled, "shuffled_within_class": averaged, "conflicting": 0.5,
        "corrupted(0.5)": (own + shuffled) / 2, f"flip({CONCEPTS[0]})": one_flipped,
    }  # fmt: skip
    assert found == pytest.approx(expected, abs=CLOSE)


def test_new_tokens_help_a_grounded_model_by_as_much_as_is_shown_of_them():
    """Two independent draws with weights 1 - w and w: w is 1/2 of the share of concepts shown."""
    found = by_condition(GROUNDED.with_(**PLAIN))

    def weighted(w):
        return recall(1.5, 2 * np.sqrt(2) * np.hypot(1 - w, w))

    expected = dict.fromkeys(SILENT, weighted(0)) | {
        "aligned": weighted(1 / 2), "shuffled_within_class": weighted(1 / 2),
        "masked(0.5)": weighted(1 / 4), f"only({CONCEPTS[0]})": weighted(1 / 12),
        f"without({CONCEPTS[0]})": weighted(5 / 12),
    }  # fmt: skip
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=CLOSE)


def test_the_truths_hold_among_speakers_who_differ():
    """Blocks alike to the content-blind; own tokens as good as none to the redundant model."""
    blind = by_condition(CONTENT_BLIND.with_(conditions=CONDITIONS))
    block = blind["masked(1)"]
    assert blind.pop("none") < block - 0.04
    assert [*blind.values()] == pytest.approx([block] * len(blind), abs=CLOSE)
    redundant = by_condition(REDUNDANT.with_(conditions=CONDITIONS))
    own = redundant["aligned"]
    assert [redundant[name] for name in SILENT] == pytest.approx([own] * 3, abs=CLOSE)
    assert redundant["shuffled_within_class"] > own + 0.04
    assert redundant["shuffled"] < own - 0.1


@pytest.mark.parametrize("sampled", [False, True])
def test_a_content_blind_model_answers_all_blocks_alike_but_for_chance(sampled):
    design = CONTENT_BLIND.with_(sampled=sampled, conditions=CONDITIONS)
    answers = next(control_studies(design, 1)).prediction
    assert (answers[0] != answers[1]).any()
    assert (answers[1:] == answers[1]).all() != sampled


def test_decided_p_values_are_those_of_the_table():
    """Of all planned contrasts; flips decide with ten speakers, the t test with eight."""
    for speakers, by in ((8, "t"), (10, "flips")):
        study = simulate(Design(speakers=speakers, strength=(1.0,) * len(PLANNED)), seed=3)
        table = compare(study.predictions(PLANNED), study.design.labels, CONTRASTS, resamples=99)
        found = decided(study.counted(PLANNED), CONTRASTS, resamples=99)
        assert table.loc[table["step"] == "family", "decided_by"].unique().tolist() == [by]
        names = {"t": "p", "flips": "permutation_p", "holm_p": "holm_p"}
        for name, column in names.items():
            np.testing.assert_allclose(found[name], table[column])


def test_p_values_of_concepts_are_those_of_the_tables():
    """From counts, with weights of all 64 subsets, as from predictions."""
    design = GROUNDED.with_(speakers=6, utterances=15, conditions=SHOWN)
    study = next(control_studies(design, 1))
    rows, labels, worth = study.predictions(SHOWN), design.labels, study.counted(SHOWN).uar
    whole, alone = shapley(rows, labels), concept_effects(rows, labels)
    assert whole["concept"].tolist() == alone["concept"].tolist() == list(CONCEPTS)
    for weights, table, column in ((OF_CONCEPTS, whole, "shapley"), (ALONE, alone, "effect")):
        found = worth.combine(weights)
        np.testing.assert_allclose(found.estimate, table[column], atol=1e-12)
        np.testing.assert_allclose(found.p_value(), table["p"])


def test_the_true_shift_towards_neutral_is_what_many_speakers_show():
    """The share of answers, among utterances of all other classes."""
    bias = ((0.0, 0.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0))
    design = Design(speakers=3000, utterances=20, bias=bias)
    study = simulate(design, seed=5)
    said = study.prediction[:, study.truth != 2] == 2
    shown = said[1].mean() - said[0].mean()
    assert true_neutral_shift(design) == pytest.approx([shown], abs=0.01)


def test_one_speaker_can_have_half_of_the_data_and_a_class_three_utterances():
    speaker, _ = spoken(Speakers(speakers=10, largest=0.5), np.random.default_rng(0))
    assert np.mean(speaker == 0) == pytest.approx(0.5, abs=0.002)
    _, truth = spoken(Speakers(speakers=10, rarest=3), np.random.default_rng(0))
    assert np.bincount(truth).argmin() == 1
    assert np.bincount(truth)[1] == 3
