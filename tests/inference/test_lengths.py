"""Limits to the size of a finding: what is read of a question, and which boxes are within them."""

from __future__ import annotations

import pytest

from medground.inference.lengths import fits, read_lengths, size_words
from medground.schema.result import SizeAsked


@pytest.mark.parametrize(
    ("text", "least", "most", "rest"),
    [
        ("nodule larger than 3 cm", 30, None, "nodule"),
        ("any nodule over 8 mm in the left lung?", 8, None, "any nodule in the left lung?"),
        ("nodules between 6 and 8 mm", 6, 8, "nodules"),
        ("nodules of 0.6 to 0.8 cm", 6, 8, "nodules"),
        ("nodule 6-8 mm", 6, 8, "nodule"),
        ("nodules from 6 mm to 1 cm", 6, 10, "nodules from"),
        ("nodules no larger than 1 cm", None, 10, "nodules"),
        ("nodules not smaller than 1 centimetre", 10, None, "nodules"),
        ("a mass of at least 30 millimeters in diameter", 30, None, "a mass"),
        ("mass 3 cm or larger", 30, None, "mass"),
        ("mass with a diameter of more than 3cm", 30, None, "mass"),
        ("nodule > 1.5 cm", 15, None, "nodule"),
        ("nodule <= 5mm", None, 5, "nodule"),
        ("over 8 mm and under 2 cm, any nodule", 8, 20, "and , any nodule"),
        ("直径大于3厘米的肿块", 30, None, "的肿块"),
        ("左肺有没有8毫米以上的结节", 8, None, "左肺有没有 的结节"),
        ("6到8毫米的结节", 6, 8, "的结节"),
        ("小于5mm的结节", None, 5, "的结节"),
        ("不超过1厘米的结节", None, 10, "的结节"),
    ],
)
def test_limits(text: str, least: float | None, most: float | None, rest: str) -> None:
    read = read_lengths(text)
    assert read.asked == SizeAsked(at_least_mm=least, at_most_mm=most)
    assert " ".join(read.rest.split()) == rest
    assert len(read.rest) == len(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a 5 mm nodule", ()),
        ("the larger nodule", ()),
        ("nodule larger than 2 cm and smaller than 1 cm", ("smaller than 1 cm", "larger than 2 cm")),
        ("nodule over 1 cm or over 2 cm", ("over 1 cm", "over 2 cm")),
        ("nodule over 0 mm", ("over 0 mm",)),
        ("nodule over 99999 mm", ("over 99999 mm",)),
        ("larger than before", ()),
    ],
)
def test_what_sets_no_limit(text: str, said: tuple[str, ...]) -> None:
    read = read_lengths(text)
    assert (read.asked, read.said) == (None, said)


@pytest.mark.parametrize(
    ("length_mm", "least", "most", "expected"),
    [
        (33.1, 30, None, True),
        (32.9, 30, None, None),
        (27.1, 30, None, None),
        (26.9, 30, None, False),
        (4.4, None, 5, True),
        (5.4, None, 5, None),
        (5.6, None, 5, False),
        (15, 10, 20, True),
        (10.5, 10, 20, None),
        (25, 10, 20, False),
    ],
)
def test_boxes_near_a_limit_do_not_settle_it(
    length_mm: float, least: float | None, most: float | None, expected: bool | None
) -> None:
    assert fits(length_mm, SizeAsked(at_least_mm=least, at_most_mm=most)) is expected


def test_words() -> None:
    assert size_words(SizeAsked(at_least_mm=8, at_most_mm=12.5)) == "at least 8 mm and at most 12.5 mm"
    assert size_words(SizeAsked(at_most_mm=30)) == "at most 30 mm"
