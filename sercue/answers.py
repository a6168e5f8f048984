"""Which label a written answer names, in many languages, and when two texts are the same words."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sercue.errors import shortened


@dataclass(frozen=True)
class Language:
    """A language whose sentences are read.

    Attributes:
        name: in English
        negations: what denies, as alternatives of a pattern on text as ``plain_words`` writes it;
            whole words where the script parts words, else anywhere
        common: words that tell the language, for those in Latin script, which many languages
            share; empty where the script or alphabet tells enough
    """

    name: str
    negations: str
    common: str = ""


_APOSTROPHE = r"(?:['’ʼ‘`′]| \u0301)"
_SPACED = (
    Language(
        "English",
        rf"not|no|non|none|nothing|nobody|never|neither|nor|without|cannot|hardly|barely|scarcely|"
        rf"lack(?:s|ed|ing)?|\w*n{_APOSTROPHE}t|"
        r"(?:ai|is|are|was|were|do|does|did|has|have|had|would|could|should|ca|wo)nt|"
        r"unable|unclear|impossible|whether|instead|(?:rather|other) than|anything but|far from|"
        r"opposite|false",
        "the this that is are was be it its he she they his her their of in and or with but "
        "because as very quite so more most slightly clearly definitely probably likely seems "
        "seemed sound sounds sounding appears feel feels feeling speaker person voice tone "
        "emotion emotional recording audio speech mood answer choice class option label would "
        "say think from by for an angry anger happy happiness joy joyful sad sadness neutral "
        "fear fearful afraid scared disgust disgusted surprise surprised calm bored boredom "
        "excited frustrated contempt",
    ),
    Language(
        "German",
        r"nicht|nichts|nie|niemals|niemand\w*|nirgend\w*|kein\w*|weder|ohne|nein|kaum|mitnichten|"
        r"ob|unmöglich|schwerlich|alles andere",
        "der die das dem den ist ein eine einen und es er sie ich im mit sehr eher klingt wirkt "
        "scheint hört stimme sprecher sprecherin person aufnahme antwort wütend wut ärger "
        "ärgerlich verärgert traurig trauer fröhlich freude freudig glücklich ängstlich angst ekel "
        "überraschung überrascht gelangweilt langeweile ruhig",
    ),
    Language(
        "Dutch",
        r"niet|niets|niemand|geen\w*|nooit|noch|zonder|nee|neen|nauwelijks",
        "de het een van hij zij deze klinkt lijkt erg heel spreker spreekster stem persoon opname "
        "emotie antwoord boos boosheid woede blij blijdschap vrolijk verdrietig verdriet bang "
        "neutraal walging verbaasd",
    ),
    Language(
        "French",
        r"ne|n['’ʼ]\w*|pas|jamais|sans|non|ni|aucun\w*|rien|nul(?:le)?s?|guère|guere|loin|sauf",
        "le la les est un une il elle de du des cette ce voix personne locuteur locutrice semble "
        "paraît très plutôt émotion réponse enregistrement colère joie joyeux joyeuse heureux "
        "heureuse triste tristesse peur dégoût neutre surpris",
    ),
    Language(
        "Spanish",
        r"no|nunca|jamás|jamas|ni|sin|tampoco|nada|nadie|ningún|ningun\w*|apenas",
        "el los es está del que voz hablante persona suena parece muy más emoción respuesta "
        "grabación enojado enojada enfadado enfadada enfado enojo ira tristeza feliz felicidad "
        "alegre alegría miedo asco neutro sorpresa",
    ),
    Language(
        "Italian",
        r"no|non|mai|né|nè|ne|senza|nessun\w*|niente|nulla|neanche|neppure|nemmeno",
        "il lo è della che voce parlante sembra molto emozione risposta registrazione arrabbiato "
        "arrabbiata rabbia tristezza felice felicità gioia paura disgusto neutrale sorpresa",
    ),
    Language(
        "Portuguese",
        r"não|nao|nunca|jamais|nem|sem|nenhum\w*|nada|ninguém|ninguem|tampouco",
        "os é uma do em voz falante pessoa muito emoção resposta áudio gravação soa raiva zangado "
        "zangada alegria medo nojo surpresa",
    ),
    Language(
        "Swedish",
        r"inte|ej|icke|ingen|inget|inga|ingenting|aldrig|utan|knappast|varken|nej",
        "och är det den ett han hon röst rösten talaren låter personen mycket känslan känsla arg "
        "ilska glad glädje ledsen sorg sorgsen rädd rädsla",
    ),
    Language(
        "Danish",
        r"ikke|ej|ingen|intet|aldrig|uden|hverken|næppe|nej",
        "og er det den et han hun stemme stemmen taleren lyder personen meget følelsen følelse "
        "vred vrede glad glæde trist ked bange",
    ),
    Language(
        "Norwegian",
        r"ikke|ikkje|ingen|intet|ingenting|aldri|uten|verken|neppe",
        "og er det den et han hun stemme stemmen taleren høres virker personen veldig følelsen "
        "følelse sint sinne glad glede trist redd nøytral",
    ),
    Language(
        "Polish",
        r"nie|bez|nigdy|ani|żaden|żadn\w*|nikt|nic|brak",
        "jest się głos mówca mówiący mówiąca osoba brzmi bardzo emocja emocją nagranie zły zła "
        "złość smutny smutna smutek szczęśliwy szczęśliwa radość strach neutralny",
    ),
    Language("Russian", r"не|нет|ни|без|никогда|ничуть|нисколько|нельзя"),
    # Of languages that have no words above, what denies in the most ordinary sentence, since a
    # sentence of theirs may happen to hold one of the words above.
    Language(
        "",
        r"nije|nisam|nisu|nema|není|neni|ei|nem|nincs|nu|fara|fără|degil|nuk|tidak|bukan|tanpa|"
        r"hindi|hana|нема|няма|нито|никога",
    ),
)  # fmt: skip
_UNSPACED = (
    # 非常 is "very", 不仅 "not only", 差不多 "nearly", 无疑 "doubtless", 未来 "future".
    Language(
        "Chinese",
        "(?<!差)不(?!仅|錯|错)|没|沒|[无無](?!疑|比)|非(?!常)|未(?!来|來)|否|莫(?!名)|勿|毋|唔|冇|缺乏|缺少|"
        "难以|難以|很少|(?<![特分])别(?!人)",
    ),
    # まず is "first", はず is "should".
    Language(
        "Japanese",
        "ない|(?<!少)なく|(?<!は)なし|難い|がたい|とは異な|なかっ|なけれ|ません|まへん|[せじらたかがわれ]ず(?!っ)",
    ),
    Language("Korean", r"않|아니|아닙|아닌|아닐|없|말고|부족|(?<!\w)[안못](?!\w)"),
)
#: The languages whose sentences are read, in English.
READ = tuple(language.name for language in (*_SPACED, *_UNSPACED) if language.name)

_WHOLE = "|".join(language.negations for language in _SPACED)
_ANYWHERE = "|".join(language.negations for language in _UNSPACED)
_NEGATION = re.compile(rf"(?<!\w)(?:{_WHOLE})(?!\w)|{_ANYWHERE}")
# "no" is "in the" in Portuguese, which these letters and words tell.
_PORTUGUESE = re.compile(r"[ãõ]|(?<!\w)(?:é|uma|áudio)(?!\w)")
_IN_THE = re.compile(r"(?<!\w)no(?!\w)")
_COMMON = frozenset(" ".join(language.common for language in _SPACED).split())

_KANA = "\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"
_HAN = "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003fffd"
_LATIN = "a-zàáâãäåæçèéêëìíîïñòóôõöøœùúûüÿąćęłńśźż"
# Letters of the languages above. Those of other languages have more in most of their sentences.
_LETTERS = re.compile(f"[{_LATIN}ʼа-яё{_KANA}{_HAN}\u1100-\u11ff\uac00-\ud7a3]")
_IN_LATIN = re.compile(f"[{_LATIN}]")

# Katakana parts words from its surroundings, not from itself: アンハッピー is not ハッピー.
KATAKANA = "\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"
#: Characters of scripts that part no words, for use in a class of a pattern: Han, Hiragana, Thai,
#: Lao, Tibetan, Burmese, Khmer, Tai, Balinese, Javanese.
UNSPACED = (
    f"{_HAN}\u3041-\u309f\u0e01-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u1950-\u19ff"
    "\u1a20-\u1aaf\u1b00-\u1b7f\ua980-\ua9ff\uaa60-\uaa7f"
)
#: What Korean attaches to a noun: particles and forms of "to be".
KOREAN_ENDINGS = (
    "(?:이)?라고|적입니다|적이다|입니다|이다|이에요|예요|이|가|은|는|을|를|으로|로|의|과|와|도|에"
)


def denies(text: str) -> bool:
    """Whether a text holds a negation of any language whose negations are known.

    The tables of all languages apply at once: which one an answer is in cannot be told from a few
    words, and an answer that is invalid without need is counted, while one read as its opposite
    would be a wrong number.

    Args:
        text: as ``plain_words`` writes it, without the words of the label

    Examples:
        >>> denies("er klingt nicht"), denies("他听起来非常"), denies("a pessoa no áudio está")
        (True, False, False)
    """
    return bool(_NEGATION.search(_IN_THE.sub(" ", text) if _PORTUGUESE.search(text) else text))


def negations_known(rest: str, text: str) -> bool:
    """Whether a text is in a language whose negations are known, as far as its writing tells.

    Args:
        rest: the text without the words of the label: its letters must be those of the languages
        text: the whole: where the rest is in Latin script, some word of it must be a common one

    Examples:
        >>> text = "the speaker sounds"
        >>> negations_known(text, f"{text} kızgın"), negations_known("mutlu görünmüyor", "")
        (True, False)
    """
    if not all(map(_LETTERS.match, filter(str.isalpha, rest))):
        return False
    return not _IN_LATIN.search(rest) or not _COMMON.isdisjoint(re.findall(r"\w+", text))


# Why an answer is invalid.
NO_LABEL = "names no label"
SEVERAL_LABELS = "names more than one label"
DENIED = "denies a label"
UNFINISHED = "its reasoning was not finished"
ONE_CHARACTER = "names a label of one character among other words"
OTHER_LANGUAGE = "is more than a label, in a language whose negations are not known"

# Markdown sets words off by them; within a word they belong to it.
_UNDERSCORES_AROUND = re.compile(r"(?<!_)_++(?!\w)|(?<!\w)_++")
# Change how the character before them looks, and are no part of what is written.
_VARIATION_SELECTORS = re.compile("[\u034f\ufe00-\ufe0f\U000e0100-\U000e01ef]")
# What reasoning stands in, as open models write it.
_REASONING = re.compile(r"[<\[](/?)(?:think|thinking|thought|reasoning)[>\]]", re.IGNORECASE)
# A letter or digit of a script that parts words by spaces.
_IN_WORD = rf"[^\W{UNSPACED}{KATAKANA}]"
_SENTENCE_ENDS = re.compile(r"[.!]\W*\s|[。！\n]")
_HANGUL = re.compile("[\uac00-\ud7a3]")


def parse_answer(answer: str, words: Mapping[str, str]) -> str | None:
    """The label that an answer names, or ``None`` if it is invalid; see ``read_answer``.

    Examples:
        >>> words = {"anger": "angry", "sadness": "sad"}
        >>> parse_answer("The speaker sounds Angry.", words)
        'anger'
        >>> parse_answer("angry or sad", words) is None
        True
    """
    return read_answer(answer, words)[0]


def read_answer(answer: str, words: Mapping[str, str]) -> tuple[str | None, str | None]:
    """The label that an answer names, or why it names none.

    Whole words are matched as ``plain_words`` writes them: without regard to case, spacing and to
    how Unicode composes a character; where a script does not part words, they may stand anywhere.
    Where one label's words hold another's ("very sad", "sad") the longer match counts. Reasoning in
    tags such as ``<think>`` is no part of the answer. An answer with a negation beside the label is
    invalid. A label of one character, and an answer in a language whose negations are not known
    (see ``sercue.answers``), are read only where the label stands alone, whatever punctuation is
    around it. Nothing is guessed by similarity of spelling.

    Args:
        answer: what the model wrote
        words: label to the words that the prompt shows for it

    Returns:
        the label and ``None``, or ``None`` and the reason

    Examples:
        >>> words = {"anger": "angry", "sadness": "sad"}
        >>> read_answer("angry or sad", words)
        (None, 'names more than one label')
        >>> read_answer("<think>Not sad.</think> The speaker is angry.", words)
        ('anger', None)
    """
    said = _without_reasoning(answer)
    if said is None:
        return None, UNFINISHED
    text = plain_words(said)
    named: dict[tuple[int, int], set[str]] = {}
    for label, word in words.items():
        for span in _spans(plain_words(word), text):
            named.setdefault(span, set()).add(label)
    labels: set[str] = set()
    pieces, last = [], 0
    for start, end in sorted(named, key=lambda span: (span[0], -span[1])):
        # What lies within a longer match does not count.
        if end > last:
            labels |= named[start, end]
            pieces.append(text[last:start])
            last = end
    rest = "\n".join([*pieces, text[last:]])
    if not labels:
        return None, NO_LABEL
    if denies(rest) and not (len(labels) == 1 and _said_first(said, words[min(labels)])):
        return None, DENIED
    if len(labels) > 1:
        return None, SEVERAL_LABELS
    label = labels.pop()
    if any(map(str.isalpha, rest)):
        if len(plain_words(words[label])) == 1:
            return None, ONE_CHARACTER
        if not negations_known(rest, text):
            return None, OTHER_LANGUAGE
    return label, None


def _said_first(said: str, word: str) -> bool:
    """Whether a label is a sentence of its own, whose reasons follow: these may deny other things.

    "Neutral. The speaker shows no strong emotion." is the most ordinary answer for its class.
    """
    first, *reasons = _SENTENCE_ENDS.split(said.strip(), maxsplit=1)
    start = plain_words(reasons[0]).split(" ")[0] if reasons else ""
    # A script without spaces has no first word; its negations have two characters at most.
    start = start[:2] if re.match(f"[{UNSPACED}{KATAKANA}]", start) else start
    if not start or denies(start):
        return False
    return _only_letters(first) == _only_letters(word)


def _only_letters(text: str) -> str:
    return "".join(filter(str.isalnum, plain_words(text)))


def _without_reasoning(answer: str) -> str | None:
    """An answer without what stands in tags of reasoning; ``None`` if that has no end.

    A template may have opened it in the prompt: then the answer begins within it.
    """
    kept, open_ = [], False
    first, *rest = _REASONING.split(answer)
    kept.append(first)
    for closing, text in zip(rest[::2], rest[1::2], strict=True):
        if closing and not open_:
            kept.clear()
        open_ = not closing
        if not open_:
            kept.append(text)
    return None if open_ else " ".join(kept)


def same_word(name: str, names: Iterable[str]) -> str | None:
    """The one of some names that is a name: spelled so, or else the only one of the same words.

    Examples:
        >>> same_word("Fear", ["fear", "joy"]), same_word("Fear", ["fear", "FEAR"])
        ('fear', None)
    """
    names = list(names)
    if name in names:
        return name
    alike = [other for other in names if plain_words(other) == plain_words(name)]
    return alike[0] if len(alike) == 1 else None


def spelled_alike(names: Iterable[str]) -> list[list[str]]:
    """Different names that are the same words, and so cannot be told apart; each group in order.

    Examples:
        >>> spelled_alike(["Fear", "joy", "fear", "joy"])
        [['Fear', 'fear']]
    """
    groups: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        groups.setdefault(plain_words(name), []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def classes_of(labels: Iterable[str] | Mapping[str, str]) -> dict[str, str]:
    """The class that each label of a study stands for: itself, unless two are the same words.

    Labels that differ in spelling only are one class where a mapping shows them as the same text.
    The class is called as that text if one of the labels is, else as the first of them.

    Args:
        labels: the labels, or label to the words that prompts show for it

    Raises:
        ValueError: if there is no label, if one has no words, or if an answer could not tell two
            of them apart

    Examples:
        >>> classes_of({"joy": "glad", "Fear": "fear", "fear": "fear"})
        {'joy': 'joy', 'Fear': 'fear', 'fear': 'fear'}
    """
    shown = dict(labels) if isinstance(labels, Mapping) else {}
    listed = list(labels)
    classes = {label: label for label in listed}
    for group in spelled_alike(listed):
        words = {shown.get(label) for label in group}
        if len(words) > 1 or not shown:
            raise ValueError(
                f"{shortened(group)} are the same words; valid are words of their own, or to show "
                f"them as one class: labels: {one_class(group)}"
            )
        word = shown[group[0]]
        classes |= dict.fromkeys(group, word if word in group else group[0])
    names = list(dict.fromkeys(classes.values())) if shown else listed
    check_distinct(names)
    check_distinct([shown.get(name, name) for name in names])
    return classes


def one_class(spellings: Sequence[str]) -> str:
    """What ``labels`` of a study says to make spellings one class, in ASCII: they may look alike.

    Examples:
        >>> print(one_class(["Fear", "fear"]))
        {"Fear": "fear", "fear": "fear"}
    """
    # Best as they are compared: composed, and without characters that cannot be seen.
    words = min(spellings, key=lambda spelling: (spelling != plain_words(spelling), len(spelling)))
    return json.dumps(dict.fromkeys(spellings, words))


def check_distinct(words: list[str]) -> None:
    """Refuse words that an answer cannot tell apart: it names a label however it is capitalised.

    Raises:
        ValueError: if there are none, if one is empty, or if two are the same

    Examples:
        >>> check_distinct(["sad", "Sad"])
        Traceback (most recent call last):
        ...
        ValueError: ['sad', 'Sad'] are the same words; valid are words of their own
    """
    alike = [plain_words(word) for word in words]
    if not words or not all(alike):
        raise ValueError("valid are one or more labels, each with words that are not empty")
    twice = [word for word, plain in zip(words, alike, strict=True) if alike.count(plain) > 1]
    if twice:
        raise ValueError(f"{shortened(twice)} are the same words; valid are words of their own")


def plain_words(text: str) -> str:
    r"""A text as answers and labels are compared: what looks the same is the same.

    Unicode's compatibility form, case folded, without invisible characters and without the
    underscores that Markdown puts around words; all spacing is one space.

    Examples:
        >>> plain_words("  __Very\n\u200bSAD__ ")
        'very sad'
        >>> plain_words("wu\u0308tend") == plain_words("wütend")
        True
    """
    return " ".join(_UNDERSCORES_AROUND.sub(" ", folded(text)).split())


def folded(text: str) -> str:
    """A text as names of files are compared: what ``plain_words`` does to characters, not words.

    That is NFKC_Casefold, in which the Unicode Standard (3.13, D147) compares identifiers.

    Examples:
        >>> folded("_A/Fu\u0308r.WAV") == "_a/für.wav"
        True
    """
    if text.isascii():
        return text.casefold()
    seen = "".join(char for char in text if unicodedata.category(char) != "Cf")
    shown = _VARIATION_SELECTORS.sub("", seen)
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", shown).casefold())


def _spans(word: str, text: str) -> list[tuple[int, int]]:
    """Where a word stands in a text, whole: its script does not go on beside it."""
    if not word:
        return []
    before, after = (_same_script(char) for char in (word[0], word[-1]))
    ending = f"(?:{KOREAN_ENDINGS})?" if _HANGUL.match(word[-1]) else ""
    # Ahead of the place, so that occurrences that overlap are all found.
    found = re.finditer(rf"(?<!{before})(?={re.escape(word)}{ending}(?!{after}))", text)
    spans = ((match.start(), match.start() + len(word)) for match in found)
    return [span for span in spans if not _goes_on(text, *span)]


def _same_script(char: str) -> str:
    """A pattern of the characters that would make one word with this one beside them."""
    if re.match(f"[{UNSPACED}]", char):
        return r"[^\s\S]"
    return f"[{KATAKANA}]" if re.match(f"[{KATAKANA}]", char) else _IN_WORD


def _goes_on(text: str, start: int, end: int) -> bool:
    """Whether a mark, such as a vowel sign of Devanagari, makes a word longer than this place.

    Before a word of a script without spaces, it is the end of the word before.
    """
    before, after = text[max(start - 1, 0) : start], text[end : end + 1]
    marks = [bool(char) and unicodedata.category(char).startswith("M") for char in (before, after)]
    return marks[1] or (marks[0] and not re.match(f"[{UNSPACED}]", before))
