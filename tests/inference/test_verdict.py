from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medground.inference.verdict import decide, overall_presence, presence_where_asked
from medground.schema.result import Verdict

probability = st.floats(0, 1)
scores = st.lists(probability, max_size=4)


@pytest.mark.parametrize(
    ("presence", "shown", "undecided", "verdict"),
    [
        (None, 0, False, Verdict.UNSUPPORTED),
        (None, 3, True, Verdict.UNSUPPORTED),
        (0.0, 0, False, Verdict.NOT_FOUND),
        (0.2, 0, False, Verdict.NOT_FOUND),  # at the threshold
        (0.2, 1, False, Verdict.NOT_FOUND),
        (0.1, 0, True, Verdict.NOT_FOUND),  # nowhere, so not on the left either
        (0.21, 0, False, Verdict.UNCERTAIN),
        (0.21, 2, False, Verdict.UNCERTAIN),
        (0.49, 2, False, Verdict.UNCERTAIN),
        (0.5, 1, False, Verdict.FOUND),  # at the threshold
        (1.0, 9, False, Verdict.FOUND),
        (0.9, 0, False, Verdict.UNCERTAIN),  # nothing to show
        (0.9, 2, True, Verdict.UNCERTAIN),  # the side cannot be settled
    ],
)
def test_table(presence: float | None, shown: int, undecided: bool, verdict: Verdict) -> None:
    assert decide(presence, shown, undecided=undecided, found_threshold=0.5, not_found_threshold=0.2) == verdict


def test_overall_presence_is_the_greatest_part() -> None:
    assert overall_presence([0.3, 0.6], [0.5]) == 0.6
    assert overall_presence([0.3], [0.8, 0.1]) == 0.8
    assert overall_presence([], []) == 0.0


@pytest.mark.parametrize(
    ("overall", "kept", "dropped", "expected"),
    [
        (0.9, [0.8], [0.3], 0.9),  # the best box lies where asked
        (0.9, [0.3], [0.8], 0.3),  # the best box lies elsewhere
        (0.9, [], [0.8], 0.05),  # every box lies elsewhere: at most what was not reported
        (0.9, [], [], 0.9),  # nothing places it
        (0.02, [], [0.8], 0.02),  # never above the overall value
    ],
)
def test_presence_where_asked(overall: float, kept: list[float], dropped: list[float], expected: float) -> None:
    assert presence_where_asked(overall, kept, dropped, floor=0.05) == expected


@given(overall=probability, kept=scores, dropped=scores, floor=probability)
def test_a_place_is_never_more_certain_than_anywhere(
    overall: float, kept: list[float], dropped: list[float], floor: float
) -> None:
    assert presence_where_asked(overall, kept, dropped, floor) <= overall
