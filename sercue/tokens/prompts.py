"""Prompts: templates and the order of the labels.

A prompt is an instruction with the label options, then the cue block, then the answer cue. The cues
come last but for the answer cue, so that all conditions of an utterance share the longest prefix.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

from sercue.answers import spelled_alike
from sercue.errors import InputError, refuse_unknown, shortened


@dataclass(frozen=True)
class Template:
    """The wording of a prompt.

    Attributes:
        name: how tables and the predictions refer to it
        instruction: the task; ``{labels}`` stands for the label options
        cues: the sentence of the cue block; ``{tokens}`` stands for the tokens
        answer: the answer cue, the end of the prompt. It is processed anew for every condition of
            an utterance, so put directions on how to answer into the instruction.
        item: how one token is written, from ``{concept}`` and ``{word}``
        separator: what stands between two tokens
        label_separator: what stands between two labels
    """

    name: str
    instruction: str
    cues: str
    answer: str
    item: str = "{concept}={word}"
    separator: str = ", "
    label_separator: str = ", "

    def __post_init__(self) -> None:
        marks = {"instruction": ["{labels}"], "cues": ["{tokens}"], "item": ["{concept}", "{word}"]}
        for field, needed in marks.items():
            absent = [mark for mark in needed if mark not in getattr(self, field)]
            if absent:
                raise InputError(
                    f"template {self.name!r}: {field} must hold {' and '.join(absent)}, "
                    f"found {getattr(self, field)!r}"
                )

    def show_tokens(self, tokens: Mapping[str, str]) -> str:
        """The tokens as the prompt writes them.

        Examples:
            >>> TEMPLATES["plain"].show_tokens({"energy": "low", "pitch": "mid"})
            'energy=low, pitch=mid'
        """
        # Not str.format: words and concepts are data and may hold braces.
        return self.separator.join(
            self.item.replace("{concept}", str(concept)).replace("{word}", str(word))
            for concept, word in tokens.items()
        )

    def render(
        self, labels: Sequence[str], tokens: Mapping[str, str] | None = None, form: str = ""
    ) -> str:
        """The whole text of a user turn, without the audio.

        Args:
            labels: the words of the label options, in the order to show
            tokens: concept name to word; ``None`` leaves the cue block out
            form: of the cue block, one of ``FORMS``; by default the template's own

        Raises:
            InputError: if the words of a label contain the separator of labels

        Examples:
            >>> print(TEMPLATES["plain"].render(["angry", "sad"], {"energy": "low"}))
            Listen to the recording and name the emotion of the speaker. Answer with one of these \
options: angry, sad. Acoustic cues: energy=low. Emotion:
        """
        # "a,b" would be read as two options, whatever space the separator has beside its comma.
        mark = self.label_separator.strip()
        mark = mark if mark and not any(map(str.isalnum, mark)) else self.label_separator
        for label in labels:
            if mark in label:
                raise InputError(
                    f"labels: {shortened(label)} holds {mark!r}, which parts the options in "
                    f"template {self.name!r}, so that they cannot be told apart; valid are other "
                    "words for this label (labels maps labels to the words shown), or a template "
                    "with another label_separator"
                )
        options = self.label_separator.join(labels)
        parts = [self.instruction.replace("{labels}", options)]
        if tokens is not None:
            template, shown = (self, tokens) if not form else FORMS[form].of(self, tokens)
            parts.append(template.cues.replace("{tokens}", template.show_tokens(shown)))
        return " ".join([*parts, self.answer])


@dataclass(frozen=True)
class Form:
    """Another form of the cue block, with the same content: a control of what the form does.

    Attributes:
        description: one line for the report
        cues: the sentence; ``{cues}`` stands for that of the template
        item: how one token is written; by default that of the template
        separator: what stands between two tokens; by default that of the template
        plain: whether concepts and words are written as in running text
        made_up: whether concepts have names without a meaning
    """

    description: str
    cues: str = "{cues}"
    item: str | None = None
    separator: str | None = None
    plain: bool = False
    made_up: bool = False

    def of(self, template: Template, tokens: Mapping[str, str]) -> tuple[Template, dict[str, str]]:
        """A template in this form, and the tokens as it shows them.

        Examples:
            >>> made = FORMS["nonsense"].of(TEMPLATES["plain"], {"ENERGY": "LOW", "PITCH": "MID"})
            >>> made[1]
            {'DAX': 'LOW', 'WUG': 'MID'}
        """
        made = replace(
            template,
            cues=self.cues.replace("{cues}", template.cues),
            item=template.item if self.item is None else self.item,
            separator=template.separator if self.separator is None else self.separator,
        )
        names = list(tokens)
        if self.made_up:
            names = [_made_up(place, name.isupper()) for place, name in enumerate(names)]
        shown = dict(zip(names, tokens.values(), strict=True))
        if self.plain:
            shown = {_in_text(name): _in_text(word) for name, word in shown.items()}
        return made, shown


def _made_up(place: int, capitals: bool) -> str:
    name = _MADE_UP[place % len(_MADE_UP)] + "en" * (place // len(_MADE_UP))
    return name.upper() if capitals else name


def _in_text(name: str) -> str:
    return name.replace("_", " ").lower()


# Words without a meaning, as studies of how children learn words use them.
_MADE_UP = ("dax", "wug", "toma", "fep", "blicket", "zup")

#: The forms of the cue block, by name; conditions of these names show aligned tokens in them.
FORMS = {
    "nonsense": Form("the utterance's own words for concepts with made-up names", made_up=True),
    "numbers": Form("the utterance's own scores in place of words, in standard deviations"),
    "prose": Form(
        "the utterance's own tokens in a sentence",
        # As an object the concept needs no verb of its own: pitch is low, formants are low.
        cues="Measurements of this recording describe {tokens}.",
        item="the {concept} as {word}",
        separator=", ",
        plain=True,
    ),
    "framed": Form(
        "the utterance's own tokens, said to be unreliable",
        cues="The following information may be wrong. {cues}",
    ),
}

#: The wordings that are shipped, by name.
TEMPLATES: dict[str, Template] = {
    template.name: template
    for template in (
        # Tokens as arXiv 2606.07309 is said to show them; its wording is not known: this is ours.
        Template(
            name="paper",
            instruction="Listen to the recording and name the emotion of the speaker. "
            "Answer with one of these options: {labels}.",
            cues="Acoustic cues: {tokens}",
            answer="Emotion:",
            item="{concept}: {word}",
            separator=" ",
        ),
        Template(
            name="plain",
            instruction="Listen to the recording and name the emotion of the speaker. "
            "Answer with one of these options: {labels}.",
            cues="Acoustic cues: {tokens}.",
            answer="Emotion:",
        ),
        Template(
            name="question",
            instruction="How does the person in this recording feel? "
            "Reply with exactly one of these and nothing else: {labels}.",
            cues="Measurements of the same recording: {tokens}.",
            answer="Choice:",
            item="{concept} is {word}",
        ),
        Template(
            name="annotator",
            instruction="You annotate speech for a study of emotion. "
            "Assign the recording to one class and give nothing but its name. Classes: {labels}.",
            cues="Compared with other speech, it has {tokens}.",
            answer="Class:",
            item="{word} {concept}",
        ),
    )
}


#: The wordings of a study that names none.
DEFAULT_TEMPLATES = ("paper", "question", "annotator")


def resolve_templates(chosen: Sequence[str | Mapping[str, str] | Template]) -> list[Template]:
    """Templates from a study file: names of ours, or mappings with the fields of ``Template``.

    Raises:
        InputError: if a name or a field is unknown, a field is missing, or a name stands twice

    Examples:
        >>> [template.name for template in resolve_templates(["plain", "question"])]
        ['plain', 'question']
    """
    templates = [_template(choice) for choice in chosen]
    names = [template.name for template in templates]
    if not names:
        raise InputError(f"templates: found none, valid are {', '.join(TEMPLATES)}")
    if len(set(names)) < len(names) or spelled_alike(names):
        raise InputError(f"templates: a name stands twice in {', '.join(names)}")
    return templates


def _template(choice: str | Mapping[str, str] | Template) -> Template:
    if isinstance(choice, Template):
        return choice
    if isinstance(choice, str):
        refuse_unknown("template", [choice], TEMPLATES)
        return TEMPLATES[choice]
    valid = [field.name for field in fields(Template)]
    refuse_unknown("template field", choice, valid)
    absent = [name for name in valid[:4] if name not in choice]
    if absent:
        raise InputError(f"templates: {dict(choice)} lacks {', '.join(absent)}")
    return Template(**choice)


def label_orders(labels: int, orders: int) -> list[tuple[int, ...]]:
    """Counterbalanced orders of the label options: rows of a Williams design.

    Over all rows (as many as labels, twice as many for an odd number) each label stands in each
    place equally often and follows each other label equally often. The rows are sorted so that
    the first is the given order and the second its reverse.

    Args:
        labels: number of labels, at least 2
        orders: number of rows to take, from 1 to all

    Raises:
        InputError: if ``orders`` is out of range

    Source: Williams (1949), Experimental designs balanced for the estimation of residual effects
    of treatments, Australian Journal of Scientific Research A2.

    Examples:
        >>> label_orders(4, 2)
        [(0, 1, 2, 3), (3, 2, 1, 0)]
    """
    zigzag = [(i + 1) // 2 if i % 2 else (labels - i // 2) % labels for i in range(labels)]
    # Named so that the first row reads 0, 1, 2, ...: the corpus' own order.
    name = {place: position for position, place in enumerate(zigzag)}
    shifted = [tuple(name[(z + shift) % labels] for z in zigzag) for shift in range(labels)]
    paired = [row for forward in shifted for row in (forward, forward[::-1])]
    rows = list(dict.fromkeys(paired))
    if not 1 <= orders <= len(rows):
        raise InputError(
            f"label_orders: found {orders}, valid are 1 to {len(rows)} for {labels} labels"
        )
    return rows[:orders]
