"""What must be known of a language to read an answer in it: its word boundaries and negations."""

from __future__ import annotations

import re
from dataclasses import dataclass


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
