"""The page of utterances in a browser: filters, order, keys, and a study of ten thousand."""

import hashlib
import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from made_study import LABELS, made_study
from playwright.sync_api import expect
from visits import DESKTOP, NOTHING, PHONE, STANDS_OUT, brightness, serious, visited

from sercue.report.utterances import write_utterances

CONDITIONS = ["none", "aligned", "conflicting", "corrupted(0.5)", "only(each)"]


@pytest.fixture(scope="module")
def study(browser_path, cache, tmp_path_factory):
    """A page of eighty utterances that may be played, and the predictions behind it."""
    folder = tmp_path_factory.mktemp("study")
    settings, predictions = made_study(
        folder, 80, may_share=True, recorded=True, conditions=CONDITIONS, templates=["question"]
    )
    return write_utterances(folder, settings), predictions.set_index(["condition", "utterance"])


@pytest.fixture
def page(study, browser):
    with visited(browser, study[0]) as visit:
        expect(entries(visit.page).first).to_be_visible()
        yield visit.page
        assert visit.troubles == []
        assert visit.requests == [study[0].as_uri()]


def test_a_page_asks_for_nothing_and_plays_a_recording(page):
    page.locator("audio").evaluate("audio => { audio.muted = true; return audio.play(); }")
    page.wait_for_function("document.querySelector('audio').currentTime > 0")


@pytest.mark.parametrize(
    ("answer", "kept"),
    [
        ("all answers", lambda row, other: True),
        ("correct", lambda row, other: row.prediction == row.truth),
        ("wrong", lambda row, other: row.prediction != row.truth),
        ("changed", lambda row, other: row.prediction != other.prediction),
        ("changed from correct to wrong",
         lambda row, other: other.prediction == row.truth != row.prediction),
        ("changed from wrong to correct",
         lambda row, other: other.prediction != row.truth == row.prediction),
        ("unchanged", lambda row, other: row.prediction == other.prediction),
    ],
)  # fmt: skip
def test_a_filter_lists_those_of_the_predictions(answer, kept, study, page):
    rows = study[1]
    pairs = zip(rows.loc["corrupted(0.5)"].itertuples(), rows.loc["none"].itertuples(), strict=True)
    wanted = {row.Index for row, other in pairs if kept(row, other)}
    page.get_by_label("Compared with").select_option("none")
    page.get_by_label("Condition", exact=True).select_option("corrupted(0.5)")
    page.get_by_label("Answer", exact=True).select_option(answer)
    expect(page.get_by_role("status")).to_have_text(f"{len(wanted)} of 80 utterances")
    assert set(names(page)) <= wanted


def test_filters_of_class_speaker_and_name_go_together(study, page):
    page.get_by_label("True class").select_option("happy")
    page.get_by_label("Speaker").select_option("anna_5")
    expect(page.get_by_role("status")).to_have_text("10 of 80 utterances")
    page.get_by_label("Name contains").fill("00005")
    assert names(page) == ["take_00005.wav"]
    page.get_by_label("Name contains").fill("00006")
    expect(page.get_by_role("status")).to_have_text("0 of 80 utterances")
    expect(page.get_by_text("No utterance is listed.")).to_be_visible()


def test_the_order_follows_confidence_and_change_of_probability(study, page):
    rows = study[1]
    shares = rows[[f"p_{label}" for label in LABELS]].max(axis=1).loc["conflicting"]
    page.get_by_label("Sort by").select_option("confidence, lowest first")
    assert names(page)[0] == shares.idxmin()
    true = rows.apply(lambda row: row[f"p_{row['truth']}"], axis=1)
    change = true.loc["conflicting"] - true.loc["aligned"]
    page.get_by_label("Sort by").select_option(
        "change in probability of the true class, largest gain first"
    )
    assert names(page)[0] == change.idxmax()
    expect(entries(page).first).to_contain_text(f"+{change.max():.3f}".replace("+0", "+"))


def test_the_prompts_are_those_that_were_asked(study, page):
    """Letter for letter, by the digest that each prediction has of its prompt."""
    name = page.get_by_role("heading", level=2).inner_text()
    page.get_by_text("Prompts of all conditions").click()
    blocks = page.locator("details .prompt")
    conditions = study[1].index.get_level_values("condition").unique()
    expect(blocks).to_have_count(len(conditions))
    for block in blocks.all():
        condition = block.locator("b").text_content()
        text = block.locator("p").text_content()
        digest = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
        assert digest == study[1].loc[(condition, name), "prompt"]


def test_tokens_that_are_not_its_own_are_marked(study, page):
    """Those that differ from its aligned ones."""
    name = page.get_by_role("heading", level=2).inner_text()
    shown = study[1].filter(like="shown_").astype("str").xs(name, level="utterance")
    differ = shown.loc["conflicting"] != shown.loc["aligned"]
    blocks = page.locator("#chosen > .prompt")
    assert blocks.nth(0).locator("mark").count() == 0
    assert blocks.nth(1).locator("mark").count() == differ.sum() > 0


def test_probabilities_are_those_of_the_predictions(study, page):
    name = page.get_by_role("heading", level=2).inner_text()
    row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="conflicting"))
    shown = row.locator("td.share").all_inner_texts()
    held = study[1].loc[("conflicting", name), [f"p_{label}" for label in LABELS]]
    assert shown == [f"{share:.3f}".lstrip("0") for share in held]
    assert row.locator("td.given").count() == 1


def test_keys_move_through_the_list_and_the_chosen_one_stays_in_view(page):
    page.get_by_label("Answer", exact=True).select_option("all answers")
    listing = page.get_by_role("listbox")
    listing.focus()
    for key, wanted in (("Home", 0), ("ArrowDown", 1), ("ArrowUp", 0), ("End", 79), ("PageUp", 71)):
        page.keyboard.press(key)
        name = f"take_{wanted:05d}.wav"
        expect(page.get_by_role("heading", level=2)).to_have_text(name)
        chosen = chosen_entry(page)
        expect(chosen).to_contain_text(name)
        expect(chosen).to_be_in_viewport()
        assert listing.get_attribute("aria-activedescendant") == chosen.get_attribute("id")
        assert chosen.get_attribute("aria-posinset") == str(wanted + 1)
        assert chosen.get_attribute("aria-setsize") == "80"


def test_an_address_names_an_utterance(study, browser):
    """So that one can be sent to somebody."""
    with visited(browser, study[0]) as visit:
        entries(visit.page).nth(3).click()
        address = visit.page.url
        name = visit.page.get_by_role("heading", level=2).inner_text()
        again = visit.page.context.new_page()
        again.goto(address)
        expect(again.get_by_role("heading", level=2)).to_have_text(name)


@pytest.mark.parametrize(
    ("scheme", "viewport"), [("light", DESKTOP), ("dark", PHONE)], ids=["light wide", "dark narrow"]
)
def test_axe_finds_nothing_serious_in_the_page(scheme, viewport, study, browser):
    with visited(browser, study[0], color_scheme=scheme, viewport=viewport) as visit:
        expect(entries(visit.page).first).to_be_visible()
        assert serious(Axe().run(visit.page)) == []


def test_a_page_fits_a_phone(study, browser):
    with visited(browser, study[0], viewport=PHONE) as visit:
        expect(entries(visit.page).first).to_be_visible()
        assert visit.page.evaluate(STANDS_OUT) == NOTHING


def test_on_a_phone_one_gets_to_the_utterance_and_back(study, browser):
    with visited(browser, study[0], viewport=PHONE) as visit:
        entries(visit.page).nth(2).click()
        expect(visit.page.get_by_role("heading", level=2)).to_be_in_viewport()
        visit.page.get_by_role("button", name="Back to the list").click()
        expect(visit.page.get_by_role("listbox")).to_be_focused()
        expect(chosen_entry(visit.page)).to_be_in_viewport()


def test_a_page_is_dark_or_light_as_its_reader_is(study, browser):
    paper = {}
    for scheme in ("light", "dark"):
        with visited(browser, study[0], color_scheme=scheme) as visit:
            expect(entries(visit.page).first).to_be_visible()
            paper[scheme] = brightness(visit.page)
    assert paper["light"] > 0.7
    assert paper["dark"] < 0.4


def test_paper_has_the_chosen_utterance_alone(page):
    page.emulate_media(media="print")
    expect(page.get_by_role("listbox", include_hidden=True)).to_be_hidden()
    expect(page.locator("#chosen table").first).to_be_visible()


def test_without_probabilities_answers_are_left(browser_path, cache, tmp_path, browser):
    """Those that name no class say why, and can be listed."""
    settings, predictions = made_study(tmp_path, may_share=True, decoding="generate")
    invalid = predictions.query("condition == 'conflicting' and not valid")
    with visited(browser, write_utterances(tmp_path, settings)) as visit:
        visit.page.get_by_label("Answer", exact=True).select_option("no class named")
        assert names(visit.page) == list(invalid["utterance"])
        expect(visit.page.get_by_text("no class (no label) ✗").first).to_be_visible()
        assert visit.page.get_by_label("Sort by").locator("option").all_inner_texts() == ["name"]
        assert visit.troubles == []


@pytest.fixture(scope="module")
def crossed(browser_path, cache, tmp_path_factory):
    """A page of a study with other audio, and its predictions under swapped audio."""
    folder = tmp_path_factory.mktemp("crossed")
    names = ["none", "aligned", "none @ swapped", "aligned @ swapped", "aligned @ silent"]
    settings, predictions = made_study(
        folder, 24, may_share=True, recorded=True, conditions=names,
        audio=["own", "swapped", "silent"],
    )  # fmt: skip
    return write_utterances(folder, settings), predictions


@pytest.mark.parametrize("follows", ["audio", "tokens", "neither"])
def test_under_swapped_audio_answers_are_listed_by_what_they_follow(follows, crossed, browser):
    rows = crossed[1][crossed[1]["condition"] == "aligned @ swapped"].astype("str")
    audio = rows["prediction"] == rows["heard_class"]
    tokens = rows["prediction"] == rows["tokens_class"]
    wanted = {"audio": audio, "tokens": tokens, "neither": ~audio & ~tokens}[follows]
    with visited(browser, crossed[0]) as visit:
        visit.page.get_by_label("Condition", exact=True).select_option("aligned @ swapped")
        told = "neither class" if follows == "neither" else f"class of {follows}"
        choice = f"swapped audio: {told}"
        visit.page.get_by_label("Answer", exact=True).select_option(choice)
        count = visit.page.get_by_role("status")
        expect(count).to_have_text(f"{wanted.sum()} of 24 utterances")
        expect(entries(visit.page).first).to_contain_text(f"({follows})")
        visit.page.get_by_label("Answer", exact=True).select_option("wrong")
        expect(count).to_have_text("0 of 24 utterances")
        assert visit.troubles == []


def test_the_partner_is_named_and_played_and_silence_is_said(crossed, browser):
    """The partner is the utterance whose own audio is what was heard."""
    rows = crossed[1].astype("str")
    own = rows[rows["condition"] == "aligned"].set_index("audio")
    with visited(browser, crossed[0]) as visit:
        name = visit.page.get_by_role("heading", level=2).inner_text()
        asked = rows[(rows["condition"] == "aligned @ swapped") & (rows["utterance"] == name)]
        partner = own.loc[asked["audio"].item()]
        note = visit.page.locator("#chosen .partner")
        expect(note).to_contain_text(
            f"{partner['utterance']} ({partner['truth']}, speaker {partner['speaker']})"
        )
        players = visit.page.locator("#chosen audio")
        assert [one.get_attribute("aria-label") for one in players.all()] == [
            f"Recording of {name}", f"Recording of {partner['utterance']}",
        ]  # fmt: skip
        sources = {one.get_attribute("src") for one in players.all()}
        assert len(sources) == 2
        silent = visit.page.get_by_role("rowheader", name="aligned @ silent")
        expect(silent).to_contain_text("(no audio)")


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["wide", "narrow"])
def test_a_page_of_other_audio_fits_and_axe_finds_nothing_serious(viewport, crossed, browser):
    with visited(browser, crossed[0], viewport=viewport) as visit:
        visit.page.get_by_label("Condition", exact=True).select_option("aligned @ swapped")
        expect(entries(visit.page).first).to_be_visible()
        assert serious(Axe().run(visit.page)) == []
        assert visit.page.evaluate(STANDS_OUT) == NOTHING


def test_a_private_corpus_shows_pseudonyms_and_no_player(cache, tmp_path, browser):
    settings, _ = made_study(tmp_path, recorded=True)
    with visited(browser, write_utterances(tmp_path, settings)) as visit:
        expect(entries(visit.page).first).to_be_visible()
        assert visit.page.locator("audio").count() == 0
        expect(visit.page.get_by_text("may not be passed on").first).to_be_visible()
        assert not re.search("take_|anna", visit.page.content())
        assert all(re.fullmatch("u[0-9a-f]{12}", name) for name in names(visit.page))


def test_hostile_names_are_text(cache, tmp_path, browser):
    evil = "</script><script>window.ran = 1</script>"
    settings, _ = made_study(tmp_path, may_share=True, speakers=[evil])
    with visited(browser, write_utterances(tmp_path, settings)) as visit:
        expect(entries(visit.page).first).to_contain_text(evil)
        expect(visit.page.get_by_label("Speaker").locator("option").last).to_have_text(evil)
        assert visit.page.evaluate("window.ran") is None
        assert visit.troubles == []


def test_ten_thousand_utterances_are_filtered_and_few_of_them_drawn(cache, tmp_path, browser):
    settings, predictions = made_study(tmp_path, 10_000, conditions=[*CONDITIONS, "shuffled"])
    file = write_utterances(tmp_path, settings)
    given = predictions.pivot(index="utterance", columns="condition", values="prediction")
    changed = (given["conflicting"].astype(str) != given["shuffled"].astype(str)).sum()
    with visited(browser, file) as visit:
        page = visit.page
        expect(page.get_by_role("status")).to_have_text("10,000 of 10,000 utterances")
        page.get_by_label("Compared with").select_option("shuffled")
        page.get_by_label("Answer", exact=True).select_option("changed")
        expect(page.get_by_role("status")).to_have_text(f"{changed:,} of 10,000 utterances")
        page.get_by_role("listbox").focus()
        page.keyboard.press("End")
        expect(chosen_entry(page)).to_have_attribute("aria-posinset", str(changed))
        assert entries(page).count() < 60
        assert visit.troubles == []
    assert file.stat().st_size < 3_000_000


def entries(page):
    """The entries of the list that are drawn."""
    return page.get_by_role("listbox").get_by_role("option")


def chosen_entry(page):
    """The entry that is chosen."""
    return page.get_by_role("listbox").get_by_role("option", selected=True)


def names(page):
    """Their names."""
    return page.locator("#list .name").all_inner_texts()
