"""What is drawn in a figure, in words: axes, what stands on them, colours."""

from __future__ import annotations

from collections.abc import Iterable

from matplotlib.axes import Axes
from matplotlib.figure import Figure

_MOST = 20


def describe(figure: Figure) -> str:
    """What a figure shows, for those who cannot see it: nothing but what is written in it.

    Args:
        figure: a figure that has been drawn once, so that its ticks are made

    Returns:
        a sentence a panel (alike ones once), and one for the legend; of long lists the beginning

    Examples:
        >>> import matplotlib.pyplot as plt
        >>> figure, axes = plt.subplots()
        >>> bars = axes.barh(["none", "aligned"], [0.5, 0.7])
        >>> label = axes.set_xlabel("UAR")
        >>> figure.draw_without_rendering()
        >>> describe(figure)
        'Across: UAR. Down: none, aligned.'
        >>> plt.close(figure)
    """
    panels = [axes for axes in figure.axes if axes.get_visible() and axes.axison]
    drawn = dict.fromkeys(filter(None, map(_panel, panels)))
    shared = [("Across", figure.get_supxlabel()), ("Down", figure.get_supylabel())]
    sentences = [
        *_few(drawn, "; ", 6).split("; "),
        *(f"{where}: {text}" for where, text in shared if text),
        _legend(figure),
    ]
    return " ".join(f"{_flat(sentence)}." for sentence in sentences if sentence)


def _panel(axes: Axes) -> str:
    if axes.get_label() == "<colorbar>":
        return f"Colours: {axes.get_ylabel() or axes.get_xlabel()}"
    title = axes.get_title() or axes.get_title(loc="left")
    across = _axis("Across", axes.get_xlabel(), _names(axes.get_xticklabels()))
    down = _axis("Down", axes.get_ylabel(), _rows(axes))
    return ". ".join(filter(None, [f"Panel {title}" if title else "", across, down]))


def _axis(where: str, label: str, names: list[str]) -> str:
    held = ": ".join(filter(None, [label, _few(names)]))
    return f"{where}: {held}" if held else ""


def _rows(axes: Axes) -> list[str]:
    """What stands on the vertical axis, with the numbers in the margin where each row has one."""
    names = _names(axes.get_yticklabels())
    values = [text.get_text() for text in axes.texts]
    if len(values) != len(names):
        return names
    return [f"{name} {value}" for name, value in zip(names, values, strict=True)]


def _names(labels: Iterable[object]) -> list[str]:
    texts = [label.get_text() for label in labels if label.get_visible()]  # type: ignore[attr-defined]
    return [text for text in texts if text and not _is_number(text)]


def _is_number(text: str) -> bool:
    try:
        float(text.replace("−", "-").rstrip("%"))
    except ValueError:
        return False
    return True


def _legend(figure: Figure) -> str:
    legends = [*figure.legends, *(axes.get_legend() for axes in figure.axes)]
    texts = [text.get_text() for legend in legends if legend for text in legend.get_texts()]
    return f"Legend: {_few(dict.fromkeys(texts))}" if texts else ""


def _few(names: Iterable[str], between: str = ", ", most: int = _MOST) -> str:
    listed = list(names)
    rest = len(listed) - most
    return between.join(listed[:most] + ([f"and {rest} more"] if rest > 0 else []))


def _flat(text: str) -> str:
    return " ".join(text.split())
