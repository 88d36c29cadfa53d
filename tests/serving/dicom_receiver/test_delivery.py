"""What a status means for whoever sent."""

from __future__ import annotations

import pytest

from medground.serving.dicom_receiver.delivery import Delivery, outcome_of


@pytest.mark.parametrize(
    ("statuses", "delivery"),
    [
        ((0x0000, 0xB000, 0xB006, 0xB007, 0x0107, 0x0116), Delivery.ARRIVED),
        ((0xA700, 0xA7FF, 0x0110, 0x0213), Delivery.TRANSIENT),
        ((0xA900, 0xC000, 0xCFFF, 0x0111, 0x0122, 0x0124, 0x0210, 0xA800, 0xFFFF), Delivery.PERMANENT),
    ],
)
def test_each_status_has_its_meaning(statuses: tuple[int, ...], delivery: Delivery) -> None:
    for status in statuses:
        outcome = outcome_of(status)
        assert (outcome.delivery, outcome.status) == (delivery, status)
        assert (outcome.problem == "") is (delivery is Delivery.ARRIVED)
