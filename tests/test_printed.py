"""Tables as a paper prints them: numbers with their intervals, and names in words."""

import pandas as pd

from sercue.tables.exhibits import table_exhibit
from sercue.tables.printed import rounded, worded


def test_an_interval_stands_in_the_column_of_its_number():
    """Both ways in which tables name the ends; a column that is no interval stays."""
    table = pd.DataFrame(
        {"uar": [0.5], "uar_low": [0.4], "uar_high": [0.6], "difference": [-0.1], "low": [-0.2],
         "high": [0.0], "share": [0.25], "lower": [1.0]}
    )  # fmt: skip
    shown = rounded(table)
    assert shown.columns.tolist() == ["UAR", "difference", "share", "lower"]
    assert shown.iloc[0].tolist() == [
        ".500 [.400, .600]", "−.100 [−.200, +.000]", ".250", "1.000",
    ]  # fmt: skip


def test_a_number_without_an_interval_stands_alone_and_nothing_is_a_dash():
    nothing = float("nan")
    table = pd.DataFrame({"uar": [0.5, nothing], "low": [nothing] * 2, "high": [nothing] * 2})
    assert rounded(table)["UAR"].tolist() == [".500", "–"]


def test_a_label_is_never_put_into_words():
    """A corpus may have a label with an underscore: it is a name, not code of ours."""
    table = pd.DataFrame(
        {"not_negative": [1], "macro_f1": [0.5]}, pd.Index([0], name="label_order")
    )
    shown = worded(table)
    assert shown.columns.tolist() == ["not_negative", "macro F1"]
    assert shown.index.name == "label order"
    # What was handed in is as it was.
    assert table.index.name == "label_order"


def test_minus_signs_are_no_hyphens(tmp_path):
    """In HTML and LaTeX; names with hyphens and ranges of years stay."""
    cells = ["-.100 [-.200, .000]", "audio-bound", "2011-12", "e-3"]
    exhibit = table_exhibit(pd.DataFrame({"x": cells}), "c", tmp_path / "t")
    html, latex = exhibit._repr_html_(), (tmp_path / "t.tex").read_text()
    for text in ("−.100 [−.200, .000]", "audio-bound", "2011-12", "e-3"):
        assert text in html
    for text in ("$-$.100 [$-$.200, .000]", "audio-bound", "2011-12", "e-3"):
        assert text in latex


def test_only_what_cannot_exceed_one_loses_its_zero():
    """By the name of the quantity, or by a value of the column; beside it the interval decides."""
    table = pd.DataFrame(
        {"uar": [0.5, 1.0], "kappa_none": [-0.2, 0.4], "g": [0.5, 0.4], "odds_ratio": [0.3, 0.9],
         "entropy": [0.9, 2.1], "w_audio": [0.5, 0.6], "w_audio_low": [0.2, 0.3],
         "w_audio_high": [0.7, 0.8]}
    )  # fmt: skip
    first, second = rounded(table, 2).to_numpy().tolist()
    assert first == [".50", "−.20", "0.50", "0.30", "0.90", "0.50 [0.20, 0.70]"]
    assert second == ["1.00", ".40", "0.40", "0.90", "2.10", "0.60 [0.30, 0.80]"]


def test_differences_have_a_sign_and_shares_have_none():
    table = pd.DataFrame({"difference": [0.1, -0.02], "share": [0.1, 0.02]})
    assert rounded(table).to_numpy().tolist() == [["+.100", ".100"], ["−.020", ".020"]]
