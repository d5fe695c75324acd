"""Figures that count: the number inside a display text, on its way to its value.

Only digits move; everything else of the text ("$", "million", "%") stays as the plan has it, and the last value shown
is the plan's own text, character for character.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal

_NUMBER = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Figure:
    """A display text, cut into what stands before, at and after its first number."""

    display: str
    before: str
    number: str
    after: str

    def at(self, share: float) -> str:
        """Return the text when `share` (0 to 1) of the way is done.

        >>> figure("1,054,156 views").at(0.5), figure("4.5%").at(0.5), figure("1.1 million").at(1.0)
        ('527,078 views', '2.2%', '1.1 million')
        """
        if share >= 1.0 or not self.number:
            return self.display
        plain = Decimal(self.number.replace(",", ""))
        places = -int(plain.as_tuple().exponent)
        now = (plain * Decimal(repr(max(0.0, share)))).quantize(Decimal(1).scaleb(-places), ROUND_DOWN)
        return f"{self.before}{format(now, ',f' if ',' in self.number else 'f')}{self.after}"


def figure(display: str) -> Figure:
    """Cut a display text at its first number.

    >>> figure("about 640,000 views")
    Figure(display='about 640,000 views', before='about ', number='640,000', after=' views')
    """
    match = _NUMBER.search(display)
    if match is None:
        return Figure(display, display, "", "")
    return Figure(display, display[: match.start()], match[0], display[match.end() :])
