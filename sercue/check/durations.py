"""How long something takes, for a person."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """A time to two figures, in the unit that one would say it in.

    Args:
        seconds: the time

    Examples:
        >>> [duration(seconds) for seconds in (0.034, 4.13, 700, 11_500, 400_000)]
        ['0.034 s', '4.1 s', '12 min', '3.2 h', '4.6 days']
    """
    for unit, size in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 1.5 * size:
            return f"{_two_figures(seconds / size)} {unit}"
    return f"{_two_figures(seconds)} s"


def _two_figures(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"
