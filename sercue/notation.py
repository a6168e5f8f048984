"""How numbers are written, in tables, sentences and figures alike.

What cannot exceed 1 in size has no zero before the point (.649; −.041), an interval stands in
square brackets, a difference has its sign, a minus is no hyphen, and a line is not broken before
the per cent sign. What can exceed 1 (Hedges' g, bits, hertz, an odds ratio) keeps its zero.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

#: What stands where there is no number.
MISSING = "–"
_LEVEL = 0.05  # of significance
_ZERO = re.compile(r"^([+−]?)0(?=\.)")
# A hyphen that stands for a minus sign: before a number, after no letter or digit.
_NEGATIVE = re.compile(r"(?<![\w.)-])-(?=\.?\d)")


@dataclass(frozen=True)
class Form:
    """How the numbers of one quantity are written.

    Attributes:
        digits: number of decimals
        zero: whether it stands before the point
        sign: whether a plus is written, too
    """

    digits: int = 3
    zero: bool = False
    sign: bool = False

    def of(self, value: float, *ends: float) -> str:
        """A number, with the ends of its interval in brackets if they are known."""
        text = self._one(value)
        if not ends or any(math.isnan(number) for number in (value, *ends)):
            return text
        return f"{text} [{', '.join(map(self._one, ends))}]"

    def of_p(self, value: float) -> str:
        """A p-value; one that rounding would lift to .05 has a digit more."""
        least = 10**-self.digits
        if value < least:
            return f"< {self._one(least)}"
        lifted = value < _LEVEL <= round(value, self.digits)
        return replace(self, digits=self.digits + lifted)._one(value)

    def _one(self, value: float) -> str:
        if math.isnan(value):
            return MISSING
        if math.isinf(value):
            return "∞" if value > 0 else "−∞"
        # Of a difference, the sign of what is rounded to zero tells on which side of it it lies.
        kind = "+" if self.sign else "z"
        text = f"{value + 0.0:{kind}.{self.digits}f}".replace("-", "−")
        return text if self.zero else without_zero(text)


def without_zero(text: str) -> str:
    """A written number without the zero before its point.

    Examples:
        >>> without_zero("−0.25"), without_zero("0"), without_zero("10.5")
        ('−.25', '0', '10.5')
    """
    return _ZERO.sub(r"\1", text)


def bounded(value: float, digits: int = 3) -> str:
    """A number that cannot exceed 1, such as a UAR, a share, a correlation or kappa.

    Examples:
        >>> bounded(0.6491), bounded(-0.041, 2), bounded(1)
        ('.649', '−.04', '1.000')
    """
    return Form(digits).of(value)


def shortest(value: float) -> str:
    """A number that cannot exceed 1 and was chosen, such as a margin, with the digits it has.

    Examples:
        >>> shortest(0.05), shortest(0.025), shortest(1)
        ('.05', '.025', '1')
    """
    return without_zero(with_minus(f"{value:g}"))


def with_interval(value: float, low: float, high: float, digits: int = 3) -> str:
    """A number that cannot exceed 1 with its interval.

    Examples:
        >>> with_interval(0.5, 0.41, 0.6)
        '.500 [.410, .600]'
    """
    return Form(digits).of(value, low, high)


def signed(value: float, *ends: float) -> str:
    """A difference with its sign, and the ends of its interval if they are given.

    Examples:
        >>> signed(-0.1, -0.2, -0.0001), signed(0.25)
        ('−.100 [−.200, −.000]', '+.250')
    """
    return Form(sign=True).of(value, *ends)


def p_value(p: float) -> str:
    """A p-value in a sentence.

    Examples:
        >>> p_value(0.0123), p_value(0.0004), p_value(0.04987)
        ('p = .012', 'p < .001', 'p = .0499')
    """
    text = Form().of_p(p)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def with_minus(text: str) -> str:
    """A text in which minus signs are no hyphens.

    Examples:
        >>> with_minus("-.1 [-.2, 0] of F0-F1")
        '−.1 [−.2, 0] of F0-F1'
    """
    return _NEGATIVE.sub("−", text)


def percent(share: float, digits: int = 0) -> str:
    """A share in per cent, which a line does not break.

    Args:
        share: 1 is all of it
        digits: number of decimals

    Examples:
        >>> percent(0.357) == "36\u202f%", percent(0.0125, 1) == "1.2\u202f%"
        (True, True)
    """
    return f"{share:.{digits}%}".replace("%", "\u202f%")
