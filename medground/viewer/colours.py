"""Colours of questions, which colour-blind eyes tell apart on black (Okabe and Ito, Color Universal Design)."""

from __future__ import annotations

PALETTE = ("#56b4e9", "#e69f00", "#f0e442", "#cc79a7", "#00c79a", "#ff8c5a", "#9bb7ff", "#ffffff")
ADDED = "#7df5ff"


def colour_of(question: int) -> str:
    """The colour of a question.

    Args:
        question: counted from 0; after eight they come again, and the number in the label tells them apart.
    """
    return PALETTE[question % len(PALETTE)]
