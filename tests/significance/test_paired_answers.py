"""One answer per utterance and condition, chosen by the plan and not by the result."""

import numpy as np
import pandas as pd
import pytest

from sercue.errors import InputError
from sercue.statistics.measures import example_predictions
from sercue.statistics.speakers import paired_answers, primary_cell


def test_an_utterance_is_counted_once():
    """Copies over templates, orders and replicates leave the first of each."""
    rows = example_predictions().assign(replicate=0, template="plain", label_order=0)
    copies = [
        rows.assign(template=template, label_order=order, replicate=replicate)
        for template in ("plain", "long")
        for order in (0, 1)
        for replicate in (0, 1)
    ]
    found = primary_cell(pd.concat(copies, ignore_index=True))
    pd.testing.assert_frame_equal(found[rows.columns], rows)


def test_answers_stand_beside_their_speakers():
    """Sums over speakers are those of a group-by; an invalid answer is not right."""
    rows = example_predictions(speakers=3, utterances=5)
    rows.loc[rows.index % 6 == 0, "prediction"] = None
    shuffled = rows.sample(frac=1, random_state=1)
    pair = paired_answers(shuffled, ["aligned", "none"])
    sums = pair.by_speaker(pair.right.astype(float))
    right = (rows["truth"] == rows["prediction"]).groupby([rows["speaker"], rows["condition"]])
    expected = right.sum().unstack()[["aligned", "none"]]
    assert sorted(map(tuple, sums)) == sorted(map(tuple, expected.to_numpy(float)))
    assert np.all((pair.answers["none"].isna()) <= ~pair.right[:, 1])


def test_cells_that_do_not_match_are_refused():
    rows = example_predictions()
    with pytest.raises(InputError, match="occurs twice under condition"):
        primary_cell(pd.concat([rows, rows]))
    none = rows[rows["condition"] == "none"]
    partial = pd.concat([rows, none.assign(template="b")])
    first = partial["utterance"] == "s0_1.wav"
    lacking = first & (partial["template"] == "plain") & (partial["condition"] == "none")
    with pytest.raises(InputError, match="in the primary cell that none lacks"):
        paired_answers(partial[~lacking], ["aligned", "none"])
