"""Label prior and calibration against scikit-learn, statsmodels and arithmetic by hand."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from sercue.errors import InputError
from sercue.statistics.calibration import (
    calibration,
    corrected_answers,
    corrected_uar,
    example_answers,
    label_prior,
    reliability,
    silent_answers,
)
from sercue.statistics.measures import LABELS, uar

P = [f"p_{label}" for label in LABELS]


@pytest.fixture(scope="module")
def answers():
    """Ten speakers of nine utterances, asked without tokens in two wordings of unlike bias."""
    plain = example_answers(1.0, (0, 2, 0), conditions=["none"], speakers=10, utterances=9)
    other = example_answers(1.0, (1, 0, 0), conditions=["none"], speakers=10, utterances=9, seed=1)
    return pd.concat([plain, other.assign(template="question")], ignore_index=True)


@pytest.fixture(scope="module")
def measured(answers):
    return calibration(answers, LABELS).iloc[0]


def one(table, **chosen):
    for column, value in chosen.items():
        table = table[table[column] == value]
    return table


def pairwise(rows):
    """Mean over pairs of classes of scikit-learn's area under the ROC curve between the two."""
    areas = []
    for first, second in combinations(LABELS, 2):
        own = rows[rows["truth"].isin([first, second])]
        margin = np.log(own[f"p_{first}"]) - np.log(own[f"p_{second}"])
        areas.append(roc_auc_score(own["truth"] == first, margin))
    return np.mean(areas)


def test_brier_and_log_loss_are_those_of_scikit_learn(answers, measured):
    assert measured["answers"] == 180
    expected = brier_score_loss(answers["truth"], answers[P], labels=list(LABELS))
    assert measured["brier"] == pytest.approx(expected)
    expected = log_loss(answers["truth"], answers[P], labels=list(LABELS))
    assert measured["log_loss"] == pytest.approx(expected)


def test_intervals_of_means_are_clustered_by_speaker(answers, measured):
    """For speakers of equal size, those of the mean of the speakers' means."""
    truth = (answers["truth"].to_numpy()[:, None] == np.array(LABELS)).astype(float)
    loss = ((answers[P].to_numpy() - truth) ** 2).sum(axis=1)
    means = pd.DataFrame({"loss": loss}).groupby(answers["speaker"]).mean()
    low, high = smf.ols("loss ~ 1", means).fit().conf_int().loc["Intercept"]
    assert (measured["brier_low"], measured["brier_high"]) == pytest.approx((low, high))


def test_overconfidence_is_what_answers_claim_less_what_they_keep(answers, measured):
    right = answers["prediction"] == answers["truth"]
    assert measured["overconfidence"] == pytest.approx((answers[P].max(axis=1) - right).mean())


def test_a_probability_of_zero_is_finite_and_counted(answers):
    rows = answers.copy()
    first = rows.index[0]
    rows.loc[first, [f"p_{rows['truth'][first]}"]] = 0.0
    table = calibration(rows, LABELS).iloc[0]
    assert table["floored"] == 1
    rest = -np.log([row[f"p_{row['truth']}"] for _, row in rows.drop(index=first).iterrows()])
    assert table["log_loss"] == pytest.approx((rest.sum() - np.log(1e-12)) / len(rows))


def test_the_area_under_the_curve_is_that_of_each_wording(answers, measured):
    parts = [pairwise(rows) for _, rows in answers.groupby("template")]
    assert measured["auroc"] == pytest.approx(np.mean(parts))


def test_the_area_under_the_curve_is_that_of_each_model():
    """Of two folds that models of opposite preferences answered; by hand, of each fold alone."""
    folds = [
        example_answers(3.0, bias, conditions=["none"], speakers=6, utterances=9, seed=seed).assign(
            model=f"model of fold {seed}"
        )
        for seed, bias in ((1, (4, 0, -4)), (2, (-4, 0, 4)))
    ]
    for number, rows in enumerate(folds):
        rows[["speaker", "utterance"]] = f"{number}" + rows[["speaker", "utterance"]]
    found = calibration(pd.concat(folds, ignore_index=True), LABELS)["auroc"].item()
    assert found == pytest.approx(np.mean([pairwise(rows) for rows in folds]))
    assert pairwise(pd.concat(folds, ignore_index=True)) < found - 0.1


def test_no_label_prior_changes_the_area_but_one_changes_the_answers(answers, measured):
    corrected = corrected_answers(answers, answers, LABELS)
    assert (corrected["prediction"] != answers["prediction"]).any()
    again = calibration(corrected, LABELS).iloc[0]
    columns = ["auroc", "auroc_low", "auroc_high"]
    assert again[columns].tolist() == pytest.approx(measured[columns].tolist())


def test_the_error_of_the_area_is_that_of_new_speakers():
    """Of 100 samples of ten speakers who differ in their voices, standard deviation by hand."""
    estimates, widths = [], []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        rows = example_answers(1.0, conditions=["none"], speakers=10, utterances=9, seed=seed)
        voice = rng.normal(size=(10, 3))[rows["speaker"].str[1:].astype(int)]
        p = rows[P].to_numpy() * np.exp(voice)
        rows[P] = p / p.sum(axis=1, keepdims=True)
        row = calibration(rows, LABELS).iloc[0]
        estimates.append(row["auroc"])
        widths.append((row["auroc_high"] - row["auroc_low"]) / 2)
    # Half a width is t(.975, about 9) standard errors.
    assert np.median(widths) / 2.26 == pytest.approx(np.std(estimates), rel=0.2)


def test_expected_calibration_error_is_that_of_equal_bins(answers, measured):
    right = (answers["prediction"] == answers["truth"]).to_numpy()
    sure = answers[P].max(axis=1).to_numpy()
    accuracy, probability = calibration_curve(right, sure, n_bins=10, strategy="quantile")
    assert measured["ece"] == pytest.approx(np.abs(accuracy - probability).mean())
    table = reliability(answers, LABELS)
    assert table["accuracy"].tolist() == pytest.approx(accuracy)
    assert table["probability"].tolist() == pytest.approx(probability)
    assert table["share"].tolist() == pytest.approx([0.1] * 10)
    assert (table["low"] <= table["accuracy"]).all()


def test_the_error_of_calibration_is_a_jackknife_over_speakers(answers, measured):
    """Bins as they are; each speaker left out in turn, by hand."""
    right = (answers["prediction"] == answers["truth"]).to_numpy(float)
    sure = answers[P].max(axis=1).to_numpy()
    within = np.searchsorted(np.quantile(sure, np.arange(1, 10) / 10), sure)
    left = []
    for speaker in answers["speaker"].unique():
        kept = (answers["speaker"] != speaker).to_numpy()
        apart = pd.Series((sure - right)[kept]).groupby(within[kept]).sum()
        left.append(apart.abs().sum() / kept.sum())
    se = np.sqrt(9 / 10 * ((np.array(left) - np.mean(left)) ** 2).sum())
    assert measured["ece_high"] - measured["ece"] == pytest.approx(2.262157 * se, rel=1e-5)


def test_equal_probabilities_stay_in_one_bin():
    rows = example_answers(conditions=["none"])
    rows[P] = [0.2, 0.5, 0.3]
    rows["prediction"] = "neutral"
    (row,) = reliability(rows, LABELS).to_dict("records")
    assert (row["probability"], row["share"]) == (0.5, 1.0)
    assert row["accuracy"] == pytest.approx(1 / 3)
    assert calibration(rows, LABELS)["ece"].item() == pytest.approx(0.5 - 1 / 3)


def by_hand():
    """Two speakers, two wordings: probabilities that are easily divided."""
    rows = [
        ("a", "s", "sad", "plain", 0.2, 0.2, 0.6),
        ("b", "t", "angry", "plain", 0.6, 0.2, 0.2),
        ("c", "t", "angry", "plain", 0.4, 0.4, 0.2),
        ("a", "s", "sad", "question", 0.1, 0.8, 0.1),
    ]
    columns = ["utterance", "speaker", "truth", "template", *P]
    return pd.DataFrame(rows, columns=columns).assign(
        condition="none", label_order=0, replicate=0, decoding="score", prediction="sad"
    )


def test_after_its_correction_no_label_is_preferred(answers):
    """The mean over the classes of their means, in each wording, whatever their numbers."""
    told = answers.drop(index=answers.index[answers["truth"] == "sad"][::2])
    corrected = corrected_answers(told, told, LABELS)
    by = corrected.groupby(["template", "truth"])[P].mean().groupby("template").mean()
    assert by.to_numpy() == pytest.approx(np.full((2, 3), 1 / 3), abs=1e-5)


def test_answers_that_are_all_alike_are_the_prior():
    """Contextual calibration: probabilities divided by those of what says nothing, by hand."""
    told = by_hand().assign(truth="silent")
    told.loc[told["template"] == "plain", P] = [0.5, 0.3, 0.2]
    corrected = corrected_answers(by_hand(), told, LABELS)
    odds = np.array([0.2, 0.2, 0.6]) / [0.5, 0.3, 0.2]
    assert corrected[P].iloc[0].tolist() == pytest.approx((odds / odds.sum()).tolist())
    # In the other wording the one answer is that of what says nothing.
    assert corrected[P].iloc[3].tolist() == pytest.approx([1 / 3] * 3)


def test_the_prior_is_shown_with_its_speakers():
    """Over both wordings: a utterance counts once, and both classes alike."""
    table = label_prior({"dev": by_hand()}, LABELS).loc["dev", "no tokens", "mean probability"]
    assert table["utterances"] == 3
    assert table["angry"] == pytest.approx((0.15 + 0.5) / 2)
    assert table["neutral"] == pytest.approx((0.5 + 0.3) / 2)
    # Of each class one speaker: nothing is known of others.
    assert (table["angry_low"], table["angry_high"]) == (0, 1)


def test_the_prior_that_is_divided_out_is_shown_beside_it():
    """Where all answers of a wording are alike it is these; of two wordings the mean is shown."""
    told = by_hand()
    told.loc[told["template"] == "plain", P] = [0.5, 0.3, 0.2]
    table = label_prior({"dev": told}, LABELS).loc["dev", "no tokens", "divisor"]
    other = told.loc[told["template"] != "plain", P].drop_duplicates()
    assert len(other) == 1
    mean = (np.array([0.5, 0.3, 0.2]) + other.to_numpy()[0]) / 2
    assert table[list(LABELS)].tolist() == pytest.approx(mean.tolist())
    assert table.filter(regex="_low|_high").isna().all()


def test_answers_to_tokens_are_corrected_by_answers_to_tokens():
    rows = pd.concat([by_hand(), by_hand().assign(condition="shuffled")])
    rows = rows.query("template == 'plain'")
    told = rows.assign(condition=rows["condition"].replace("shuffled", "aligned"))
    told.loc[told["condition"] == "aligned", P] = [0.5, 0.25, 0.25]
    corrected = one(corrected_answers(rows, told, LABELS), condition="shuffled")
    odds = np.array([0.2, 0.2, 0.6]) / [0.5, 0.25, 0.25]
    assert corrected[P].iloc[0].tolist() == pytest.approx((odds / odds.sum()).tolist())


def test_silence_tells_the_prior_of_prompts_without_tokens_alone(answers):
    """A token speaks for some label; only a block in which all are hidden does not."""
    names = ("none", "none @ silent", "aligned", "aligned @ silent")
    asked = [answers.assign(condition=name) for name in names]
    predictions = pd.concat(asked, ignore_index=True)
    silent = silent_answers(predictions)
    assert set(silent["condition"]) == {"none"}
    assert silent["truth"].nunique() == 1
    main = predictions[predictions["condition"].isin(["none", "aligned"])]
    assert corrected_uar(main, {"silence": silent}, LABELS)["condition"].tolist() == ["none"]
    hidden = answers.assign(condition="masked(1) @ silent")
    silent = silent_answers(pd.concat([predictions, hidden], ignore_index=True))
    assert set(silent["condition"]) == {"none", "masked(1)"}
    table = corrected_uar(main, {"silence": silent}, LABELS)
    assert table["condition"].tolist() == ["none", "aligned"]


def test_an_utterance_is_corrected_by_the_other_folds(answers):
    folds = answers.assign(fold=np.where(answers["speaker"] < "s5", "1", "2"))
    corrected = corrected_answers(folds, folds, LABELS)
    answers = answers.assign(where=folds["fold"])
    parts = [
        corrected_answers(one(answers, where=own), one(answers, where=other), LABELS)
        for own, other in (("1", "2"), ("2", "1"))
    ]
    expected = pd.concat(parts).sort_index().drop(columns="where")
    pd.testing.assert_frame_equal(corrected[expected.columns], expected)


def test_silence_tells_the_prior_of_the_model_that_heard_it():
    """Each model by itself, by hand, though both answered under one wording."""
    asked = []
    for name, p in (("first", [0.5, 0.3, 0.2]), ("second", [0.2, 0.2, 0.6])):
        silent = by_hand().query("template == 'plain'").assign(model=name, truth="silent")
        silent[P] = p
        asked.append(silent)
    rows = by_hand().query("template == 'plain'").assign(model=["first", "first", "second"])
    corrected = corrected_answers(rows.astype({"model": "category"}), pd.concat(asked), LABELS)
    odds = rows[P].to_numpy() / [[0.5, 0.3, 0.2], [0.5, 0.3, 0.2], [0.2, 0.2, 0.6]]
    assert corrected[P].to_numpy() == pytest.approx(odds / odds.sum(axis=1, keepdims=True))


def test_uar_before_and_after_is_that_of_the_answers(answers):
    predictions = pd.concat([answers, answers.assign(condition="aligned")], ignore_index=True)
    # Tokens of one prior for both: the same gain before and after, 0.
    table = corrected_uar(predictions, {"dev": predictions}, LABELS).set_index("condition")
    after = corrected_answers(answers, answers, LABELS)
    assert table["uar"]["none"] == pytest.approx(
        uar(answers["truth"], answers["prediction"], LABELS)
    )
    assert table["corrected"]["none"] == pytest.approx(
        uar(after["truth"], after["prediction"], LABELS)
    )
    assert table["difference"].tolist() == pytest.approx(
        (table["corrected"] - table["uar"]).tolist()
    )
    assert table["gain"]["aligned"] == pytest.approx(0)
    assert np.isnan(table["gain"]["none"])
    speakers = [
        uar(after["truth"][own], after["prediction"][own], LABELS)
        - uar(answers["truth"][own], answers["prediction"][own], LABELS)
        for own in (answers["speaker"] == name for name in answers["speaker"].unique())
    ]
    low, high = smf.ols("d ~ 1", pd.DataFrame({"d": speakers})).fit().conf_int().loc["Intercept"]
    assert table.loc["none", ["low", "high"]].tolist() == pytest.approx([low, high])


def test_a_bias_hides_what_a_model_hears_and_the_correction_shows_it():
    """The case of a UAR at chance: with a prior of another sample of speakers."""
    heard = example_answers(3.0, (0, 9, 0), conditions=["none"], speakers=20, utterances=12)
    other = example_answers(
        3.0, (0, 9, 0), conditions=["none"], speakers=10, utterances=12, seed=9
    ).replace({"speaker": r"^s"}, "t", regex=True)
    row = corrected_uar(heard, {"dev": other}, LABELS).iloc[0]
    assert row["uar"] < 0.36
    assert row["corrected"] > 0.85
    assert row["low"] > 0
    deaf = example_answers(0.0, (0, 9, 0), conditions=["none"], speakers=20, utterances=12)
    row = corrected_uar(deaf, {"dev": other}, LABELS).iloc[0]
    assert row["low"] < 0 < row["high"]
    areas = [calibration(rows, LABELS)["auroc"].item() for rows in (heard, deaf)]
    assert areas[0] > 0.95
    assert areas[1] == pytest.approx(0.5, abs=0.06)


def test_answers_without_probabilities_are_refused(answers):
    with pytest.raises(InputError, match="found no probabilities of labels; valid are scored"):
        calibration(answers.assign(**dict.fromkeys(P, np.nan)), LABELS)
    with pytest.raises(InputError, match="no column p_angry"):
        calibration(answers.drop(columns="p_angry"), LABELS)


def test_answers_whose_scores_are_not_finite_are_left_out_and_stay_invalid(answers):
    rows = answers.copy()
    lost = rows["utterance"] == "s0_0.wav"
    rows.loc[lost, P], rows.loc[lost, "prediction"] = np.nan, None
    table = calibration(rows, LABELS).iloc[0]
    assert table["answers"] == 178
    known = rows[~lost]
    expected = brier_score_loss(known["truth"], known[P], labels=list(LABELS))
    assert table["brier"] == pytest.approx(expected)
    assert corrected_answers(rows, rows, LABELS)["prediction"].isna().sum() == 2


def test_a_prior_of_other_wordings_corrects_nothing(answers):
    with pytest.raises(InputError, match="found no answers in the wordings"):
        corrected_uar(answers, {"dev": answers.assign(template="mine")}, LABELS)
