"""Text as LaTeX prints it, in whatever encoding its fonts have."""

from __future__ import annotations

import unicodedata

_OWN = {mark: f"\\{mark}" for mark in "&%$#_{}"} | {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
}  # fmt: skip
# LaTeX's oldest font encoding, still the default, has other signs in these places.
_ASCII = {"<": "$<$", ">": "$>$", "|": "$|$", '"': "''", "`": "{}`"}
_SIGNS = {
    "−": "$-$", "±": r"$\pm$", "×": r"$\times$", "·": r"$\cdot$", "≤": r"$\leq$", "≥": r"$\geq$",
    "≠": r"$\neq$", "≈": r"$\approx$", "→": r"$\to$", "←": r"$\leftarrow$", "²": "$^2$",
    "³": "$^3$", "°": r"$^\circ$", "µ": r"$\mu$", "†": r"\dag{}", "‡": r"\ddag{}", "\u00a0": "~",
    "–": "--", "—": "---", "…": r"\ldots{}", "‘": "`", "’": "'", "“": "``", "”": "''",
    "„": ",,", "«": r"$\ll$", "»": r"$\gg$", "ß": r"\ss{}", "æ": r"\ae{}", "Æ": r"\AE{}",
    "œ": r"\oe{}", "Œ": r"\OE{}", "ø": r"\o{}", "Ø": r"\O{}", "ł": r"\l{}", "Ł": r"\L{}",
    "ı": r"\i{}", "§": r"\S{}",
    # What a model wrote may be no text.
    "\ufffd": "?",
}  # fmt: skip
_ACCENTS = {
    "\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0304": "=", "\u0306": "u",
    "\u0307": ".", "\u0308": '"', "\u030a": "r", "\u030b": "H", "\u030c": "v", "\u0323": "d",
    "\u0327": "c",
}  # fmt: skip
_GREEK = "GREEK SMALL LETTER "


def latex_text(text: str) -> str:
    r"""A text with everything escaped that LaTeX would read otherwise or has no letter for.

    Needs neither a package nor another font encoding. Of other scripts, letters stay as they are:
    see ``unprintable``.

    Args:
        text: plain text

    Examples:
        >>> latex_text("p < 5 % of a_b, −.1 ± .2, η²")
        'p $<$ 5 \\% of a\\_b, $-$.1 $\\pm$ .2, $\\eta$$^2$'
        >>> latex_text("Zoë -- müde")
        'Zo\\"{e} -{}- m\\"{u}de'
    """
    # Two hyphens would become a dash, two commas a quotation mark.
    apart = (
        "{}" if before == character and character in "-,'" else ""
        for before, character in zip(f" {text}", text, strict=False)
    )
    return "".join(map("".join, zip(apart, map(_of_character, text), strict=True)))


def unprintable(text: str) -> str:
    """The letters of a text for which pdfLaTeX needs further packages, or XeLaTeX instead.

    Args:
        text: plain text

    Examples:
        >>> unprintable("müde, ü, ω"), unprintable("злость")
        ('', 'злость')
    """
    return "".join(dict.fromkeys(c for c in text if ord(c) > 126 and _of_character(c) == c))


def _of_character(character: str) -> str:
    known = _OWN.get(character) or _ASCII.get(character) or _SIGNS.get(character)
    if known:
        return known
    if not character.isprintable():
        return " " if character.isspace() else ""
    if ord(character) < 127:
        return character
    name = unicodedata.name(character, "")
    letter = name.removeprefix(_GREEK).lower().replace("lamda", "lambda")
    # An omicron has no command of its own: it is an o.
    if name.startswith(_GREEK) and letter.isalpha():
        return "o" if letter == "omicron" else rf"$\{letter}$"
    return _accented(character)


def _accented(character: str) -> str:
    base, *marks = list(unicodedata.normalize("NFD", character))
    if ord(base) > 126 or len(marks) != 1 or marks[0] not in _ACCENTS:
        return character
    # An accent takes the place of the dot.
    letter = r"\i" if base == "i" and marks[0] != "\u0323" else base
    return f"\\{_ACCENTS[marks[0]]}{{{letter}}}"
