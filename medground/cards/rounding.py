"""How a number of the card is written: the one place where anything is rounded."""

from __future__ import annotations

from typing import Literal

NOTHING = "–"
Style = Literal["figure", "setting", "tenths", "percent"]


def shown(number: float | int | str | bool | None, style: Style = "figure") -> str:
    """A number in the words of the card.

    Args:
        number: of the facts, unrounded.
        style: `figure`: three decimals, whole numbers whole; `setting`: as it was set, six significant digits;
            `tenths`: one decimal; `percent`: of a share, in whole hundredths.

    Returns:
        Digits, with commas between thousands but in settings; a dash for nothing, words for what is no number.
    """
    if number is None:
        return NOTHING
    if isinstance(number, bool):
        return "yes" if number else "no"
    if isinstance(number, str):
        return number
    if style == "percent":
        return f"{100 * number:.0f}"
    if style == "setting":
        return f"{number}" if isinstance(number, int) else f"{number:.6g}"
    if isinstance(number, int):
        return f"{number:,}"
    return f"{number:,.1f}" if style == "tenths" else f"{number:,.3f}"
