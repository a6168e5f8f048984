"""What an answer names: worked by hand, and as properties that any text has."""

import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sercue.answers import READ, parse_answer, plain_words, read_answer

WORDS = {"anger": "angry", "joy": "happy", "neutral": "neutral", "sadness": "sad"}
# Words inside words, words of several words, marks that patterns give a meaning, other scripts.
HARD = {
    "a": "sad",
    "b": "very sad",
    "c": "C++ (calm)",
    "d": ".*",
    "e": "wütend",
    "f": "गुस्सा",
    "g": "no emotion",
    "h": "悲しい",
    "i": "|",
    "j": "ﬁerce",
    "k": "sad day",
}
few = settings(max_examples=200, derandomize=True)
labels = st.sampled_from(sorted(HARD))
vocabularies = st.dictionaries(st.text(max_size=3), st.text(max_size=12), max_size=6)


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("angry", "anger"),
        ("Angry.", "anger"),
        (" HAPPY\n", "joy"),
        ("The speaker sounds sad to me", "sadness"),
        ("sad, sad, sad", "sadness"),
        ("**neutral**", "neutral"),
        ("angry or sad", None),
        ("angrily", None),
        ("unhappy", None),
        ("anger", None),  # the prompt offered "angry"
        ("not angry", None),
        ("The speaker isn't happy", None),
        ("angri", None),
        ("", None),
    ],
)
def test_what_an_answer_names(answer, label):
    """Worked by hand from the rule: whole words, one label, no denial, no guessing."""
    assert parse_answer(answer, WORDS) == label


def test_the_longer_label_wins_over_a_label_inside_it():
    words = {"a": "sad", "b": "very sad"}
    assert parse_answer("very sad", words) == "b"
    assert parse_answer("sad", words) == "a"
    assert parse_answer("very sad and sad", words) is None


@given(st.text())
def test_any_text_names_a_label_or_none(text):
    assert parse_answer(text, WORDS) in {*WORDS, None}


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("very  sad", "b"),
        ("very\nsad", "b"),
        ("very\u00a0sad", "b"),
        ("_sad_", "a"),
        ("__very sad__.", "b"),
        ("ＳＡＤ", "a"),
        ("s\u200bad", "a"),
        ("\u202esad\u202c", "a"),
        ("s\u00adad", "a"),
        ("das", None),
        ("wu\u0308tend", "e"),
        ("WÜTEND", "e"),
        ("fierce", "j"),
        ("गुस्सा।", "f"),
        ("C++ (Calm)!", "c"),
        ("no emotion", "g"),
        ("No emotion.", "g"),
        ("not no emotion", None),
        ("no sad", None),
        ("isnʼt sad", None),
        ("very sad day", None),  # both "very sad" and "sad day", and neither within the other
        ("a sad day", "k"),
        ("very sad | sad", None),
        ("sad\u0301der", None),
    ],
)
def test_what_an_answer_names_when_words_are_hard(answer, label):
    """By hand: what reads the same is the same, what reads otherwise is not."""
    assert parse_answer(answer, HARD) == label


def test_a_word_is_not_found_within_a_longer_one_of_another_script():
    """Vowel signs are no letters to a pattern; the word goes on with them all the same."""
    assert parse_answer("गुस्सा", {"a": "गुस", "b": "सा"}) is None


def test_a_label_without_words_is_named_by_nothing():
    """Or an empty answer would name it."""
    words = {"nothing": "", "blank": " \u200b", "sad": "sad"}
    assert [parse_answer(text, words) for text in ("", " ", "sad", ".")] == [
        None,
        None,
        "sad",
        None,
    ]


def test_labels_of_the_same_words_are_never_told_apart():
    assert parse_answer("sad", {"a": "sad", "b": "SAD"}) is None


@given(labels)
@few
def test_words_alone_name_their_label(label):
    assert parse_answer(HARD[label], HARD) == label


@given(labels, st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]), st.sampled_from("lut"))
@few
def test_case_and_normal_form_do_not_matter(label, form, case):
    """Tokenizers write characters in the form they were trained on."""
    cased = {"l": str.lower, "u": str.upper, "t": str.title}[case](HARD[label])
    assert parse_answer(unicodedata.normalize(form, cased), HARD) == label


@given(labels, st.text("\u200b\u200d\u2060\ufeff\u202a\u202e\u2066\u2069\u00ad\ufe0f", max_size=5))
@few
def test_invisible_characters_do_not_matter(label, unseen):
    word = HARD[label]
    assert parse_answer(unseen.join(["", word[:1], word[1:], ""]), HARD) == label


@given(labels, st.text(" \t\n.,;:!?\"'()[]{}*_~-–—…«»", max_size=6), st.data())
@few
def test_punctuation_around_does_not_matter(label, before, data):
    after = data.draw(st.text(" \t\n,;:!?\"'()[]{}~-–—…«»", max_size=6))
    text = f"{before} {HARD[label]} {after}"
    assert parse_answer(text, HARD) == label


@given(labels, labels, st.sampled_from([" ", ", ", " or ", "\n", "; "]))
@few
def test_two_labels_are_none(first, second, between):
    """Unless they make up a third, or are one and the same; one character must stand alone."""
    found = parse_answer(f"{HARD[first]}{between}{HARD[second]}", HARD)
    alone = len(HARD[first]) > 1 or "or" not in between
    assert found == (first if first == second and alone else None)


@given(st.text(max_size=80), st.permutations(sorted(HARD)))
@few
@example("very sad day", sorted(HARD, reverse=True))
def test_the_order_of_the_labels_does_not_matter(text, order):
    """Orders are counterbalanced; a parser that has its favourite would undo that."""
    text = f"{text} {HARD[order[0]]} {HARD[order[1]]}"
    assert parse_answer(text, HARD) == parse_answer(text, {name: HARD[name] for name in order})


@given(st.text(max_size=60), vocabularies)
@few
def test_any_text_and_any_words_give_a_label_or_none(text, words):
    found = parse_answer(text, words)
    assert found in {*words, None}
    # What is named stands there: letter by letter, once both are written alike.
    assert found is None or plain_words(words[found]) in plain_words(text)


@given(st.text(max_size=40))
@few
def test_words_written_alike_stay_as_they_are(text):
    assert plain_words(plain_words(text)) == plain_words(text)


@pytest.mark.parametrize(
    "piece", ["sad ", "a", "_", "_a", " ", "\n", "very ", "\u0301", "\u200b", "not ", "((((", "ß"]
)
def test_a_model_that_repeats_itself_to_the_end_is_read(piece):
    """A pattern that starts anew at each letter would take an hour over this answer."""
    words = HARD | {"z": "a" * 150, "y": "_".join("a" * 50)}
    text = piece * (400_000 // len(piece)) + "b"
    assert parse_answer(text, words) == ("a" if piece == "sad " else None)


# Label words of each language, then sentences that affirm and that deny the first one.
LANGUAGES = {
    "English": (
        ["angry", "sad"],
        ["The speaker sounds angry.", "Angry: the voice is loud.", "I would say **angry**",
         "Emotion: angry", "An angry person, and quite loud."],
        ["He is not angry.", "She isn't angry", "it doesnt sound angry", "hardly angry at all",
         "There is no angry tone.", "The voice isn´t angry."],
    ),
    "German": (
        ["wütend", "traurig"],
        ["Der Sprecher klingt wütend.", "Sie ist sehr wütend", "Die Antwort ist: wütend"],
        ["nicht wütend", "Er klingt keineswegs wütend.", "Die Person ist nie wütend."],
    ),
    "Dutch": (
        ["boos", "verdrietig"],
        ["De spreker klinkt boos.", "Het antwoord is boos"],
        ["De spreker klinkt niet boos.", "geenszins boos", "Hij is nooit boos."],
    ),
    "French": (
        ["triste", "en colère"],
        ["La personne semble triste.", "La voix est très triste"],
        ["n'est pas triste", "Elle n’est guère triste.", "Il est pas triste", "aucunement triste"],
    ),
    "Spanish": (
        ["triste", "enojado"],
        ["La persona está muy triste.", "La voz suena triste"],
        ["La persona no está triste.", "nunca triste", "Tampoco suena triste."],
    ),
    "Italian": (
        ["triste", "arrabbiato"],
        ["La persona sembra triste.", "La voce è triste"],
        ["Non è triste.", "La voce non sembra triste", "per niente triste"],
    ),
    "Portuguese": (
        ["triste", "zangado"],
        ["A pessoa no áudio parece triste.", "O falante é muito triste", "É triste no fim."],
        ["A pessoa não está triste.", "Nunca triste", "Ela nem parece triste."],
    ),
    "Swedish": (
        ["arg", "ledsen"],
        ["Personen låter arg.", "Rösten är mycket arg"],
        ["Personen låter inte arg.", "Hon är aldrig arg"],
    ),
    "Danish": (
        ["vred", "trist"],
        ["Personen lyder vred.", "Stemmen er meget vred"],
        ["Personen lyder ikke vred.", "Han er aldrig vred"],
    ),
    "Norwegian": (
        ["sint", "trist"],
        ["Personen høres sint ut.", "Stemmen er veldig sint"],
        ["Personen høres ikke sint ut.", "Hun er aldri sint"],
    ),
    "Polish": (
        ["zły", "smutny"],
        ["Mówca jest bardzo zły.", "Głos brzmi: zły"],
        ["Mówca nie jest zły.", "Nigdy zły"],
    ),
    "Russian": (
        ["злость", "грусть"],
        ["Это злость.", "В голосе слышна злость"],
        ["Это не злость.", "В голосе нет злость"],
    ),
    "Chinese": (
        ["愤怒", "高兴"],
        ["说话者听起来很愤怒。", "他的情绪是非常愤怒的", "答案：愤怒", "愤怒"],
        ["他不愤怒", "说话者并非愤怒。", "没有愤怒的语气", "佢唔愤怒"],
    ),
    "Japanese": (
        ["怒り", "ハッピー"],
        ["話者は怒りを感じています。", "まず、非常に怒りが強いです", "答え：怒り"],
        ["怒りではない", "怒りを感じず、静かです", "怒りは感じられません"],
    ),
    "Korean": (
        ["분노", "슬픔"],
        ["분노입니다.", "화자의 감정은 분노로 들립니다", "정답: 분노"],
        ["분노가 아닙니다.", "분노는 없어요", "분노를 느끼지 않아요"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_sentences_are_read_as_a_speaker_of_the_language_reads_them(language):
    """Sentences that affirm the first label name it, those that deny it are invalid."""
    words, affirmed, denied = LANGUAGES[language]
    labels = {word: word for word in words}
    assert [read_answer(text, labels) for text in affirmed] == [(words[0], None)] * len(affirmed)
    assert [read_answer(text, labels)[1] for text in denied] == ["denies a label"] * len(denied)
    assert language in READ


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("kızgın", "Konuşmacı kızgın görünmüyor."),  # Turkish: does not seem angry
        ("smutně", "Hlas nezní smutně."),  # Czech: does not sound sad
        ("hasira", "Mzungumzaji haonyeshi hasira"),  # Swahili: does not show anger
        ("غاضب", "المتحدث ليس غاضب"),  # Arabic: is not angry
        ("โกรธ", "ผู้พูดไม่โกรธ"),  # Thai: is not angry
        ("ຄຽດ", "ລາວບໍ່ຄຽດ"),  # Lao: is not angry
        ("खुश", "वह खुश नहीं है"),  # Hindi: is not happy
    ],
)
def test_a_language_without_negations_is_read_as_a_label_alone(word, sentence):
    """Whatever denies it there, the sentence is not read; the label is, punctuation around it."""
    why = "is more than a label, in a language whose negations are not known"
    assert read_answer(sentence, {"x": word}) == (None, why)
    assert read_answer(f"**{word}**!", {"x": word}) == ("x", None)


@pytest.mark.parametrize(
    ("answer", "label", "why"),
    [
        ("A sad person", None, "names a label of one character among other words"),
        ("a", "A", None),
        ("**B**.", "B", None),
        ("A or B", None, "names more than one label"),
        ("the B", None, "names a label of one character among other words"),
    ],
)
def test_a_label_of_one_letter_is_not_found_in_an_article(answer, label, why):
    assert read_answer(answer, {"A": "A", "B": "B"}) == (label, why)


@pytest.mark.parametrize(
    ("answer", "read"),
    [
        ("<think>Happy? Not sad.</think>\n\nangry", ("anger", None)),
        ("It could be happy.</think>angry", ("anger", None)),  # opened by the template
        ("[THINK]sad or happy[/THINK]Angry", ("anger", None)),
        ("<think>a</think><think>sad</think>The voice is angry", ("anger", None)),
        ("<think>The speaker sounds angry", (None, "its reasoning was not finished")),
        ("<think>sad</think>", (None, "names no label")),
        ("angry <think>or", (None, "its reasoning was not finished")),
        ("<think>" * 50_000, (None, "its reasoning was not finished")),
    ],
)
def test_reasoning_is_no_part_of_an_answer(answer, read):
    assert read_answer(answer, WORDS) == read


def test_katakana_is_not_read_within_a_longer_word():
    """アンハッピー is "unhappy"."""
    words = {"joy": "ハッピー"}
    assert read_answer("アンハッピーです", words) == (None, "names no label")
    assert read_answer("とてもハッピーです", words) == ("joy", None)


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("Neutral. The speaker shows no strong emotion.", "n"),
        ("**Neutral**\n\nThere is no sign of anger.", "n"),
        ("neutral。声音没有明显起伏。", "n"),
        ("Neutral. Not sad at all.", None),  # another label beside the denial
        ("Sad. No.", None),
        ("Not sad. The voice is calm.", None),
        ("It is unclear whether the speaker is sad.", None),
        ("The speaker is anything but sad.", None),
        ('{"sad": false}', None),
        ("Ich weiß nicht, ob sad passt.", None),
    ],
)
def test_reasons_behind_a_label_may_deny_other_things(answer, label):
    """Models explain a neutral voice by what it lacks; a refusal to answer names no class."""
    assert parse_answer(answer, {"n": "neutral", "s": "sad"}) == ({"s": "s"}.get(label, label))


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("说话人无疑很开心。", "h"),
        ("听起来不仅开心，而且放松。", "h"),
        ("难以判断是否开心", None),
        ("別の声だが、少なくとも開心だ", "h"),
        ("開心なし", None),
    ],
)
def test_words_that_hold_a_sign_of_negation_deny_nothing(answer, label):
    assert parse_answer(answer, {"h": "开心" if "开心" in answer else "開心"}) == label
