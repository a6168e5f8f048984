"""Text for LaTeX: nothing in a label, a file's name or a caption is read as a command."""

import string

import pytest

from sercue.tables.latex import latex_text, unprintable

# From the list of LaTeX's special characters, and of those that its default font encoding, OT1,
# has other signs for.
SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#",
    "%": r"\%", "_": r"\_", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": "$<$",
    ">": "$>$", "|": "$|$", '"': "''", "`": "{}`",
}  # fmt: skip


def test_each_special_character_has_its_command_and_no_other_is_touched():
    assert {c: latex_text(c) for c in SPECIAL} == SPECIAL
    plain = [c for c in string.printable if c not in SPECIAL and c not in string.whitespace]
    assert [c for c in plain if latex_text(c) != c] == []


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("−.031 ± .012", r"$-$.031 $\pm$ .012"),
        ("η², ω², κ, λ, ρ", r"$\eta$$^2$, $\omega$$^2$, $\kappa$, $\lambda$, $\rho$"),
        ("a – b", "a -- b"),
        ("[.588,\u00a0.749]", "[.588,~.749]"),
        ("wütend, señal, tří, Ångström", r"w\"{u}tend, se\~{n}al, t\v{r}\'{\i}, \r{A}ngstr\"{o}m"),
        ("groß, cœur, fælles, łza", r"gro\ss{}, c\oe{}ur, f\ae{}lles, \l{}za"),
        ("a\ufffdb", "a?b"),
        ("line\nbreak\tand\x00nothing", "line break andnothing"),
    ],
)
def test_signs_and_accents_are_printed_in_any_font_encoding(text, printed):
    assert latex_text(text) == printed


def test_no_ligature_changes_what_a_text_says():
    """Two hyphens in a name are two hyphens, two commas no quotation mark."""
    assert latex_text("a--b---c,,d''e") == "a-{}-b-{}-{}-c,{},d'{}'e"


def test_letters_of_other_scripts_stay_and_are_told():
    """There is no command for them: who sets the paper has to choose a font."""
    assert latex_text("злость 愤怒") == "злость 愤怒"
    assert unprintable("злость, 愤怒, wütend, −1, κ") == "злость愤怒"
