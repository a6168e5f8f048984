"""Labels, speakers and file names are a stranger's text: a page shows them and runs nothing."""

import pytest
from odd_study import FILE, LABEL
from visits import UNFOLD, visited


@pytest.mark.parametrize(
    ("name", "shown"),
    [("01_feature_exploration", [LABEL, FILE]), ("03_prompting", [LABEL]), ("index", [])],
)
def test_hostile_names_are_shown_as_text_and_run_nothing(name, shown, odd_study, browser):
    with visited(browser, odd_study / "out" / f"{name}.html") as visit:
        visit.page.evaluate(UNFOLD)
        assert visit.page.evaluate("window.ran") is None
        assert visit.troubles == []
        text = visit.page.locator("body").inner_text()
    assert [one for one in shown if one not in text] == []
