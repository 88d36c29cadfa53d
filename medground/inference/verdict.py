"""From calibrated probabilities to a verdict: a table and two formulas, with no hidden state.

======================  ==============  ===========  =============
presence                boxes to show   undecided    verdict
======================  ==============  ===========  =============
none (unsupported)      any             any          unsupported
<= not-found threshold  any             any          not found
>= found threshold      one or more     no           found
anything else           any             any          uncertain
======================  ==============  ===========  =============

`undecided` means that the question names a side, zone or order that these images cannot settle (a picture without a
header). Little enough evidence anywhere answers such a question all the same: what is nowhere is not on the left.
"""

from __future__ import annotations

from collections.abc import Sequence

from medground.schema.result import Verdict


def decide(
    presence: float | None, shown: int, *, undecided: bool, found_threshold: float, not_found_threshold: float
) -> Verdict:
    """Give the verdict for an answer.

    Args:
        presence: calibrated probability that what was asked for is there, 0..1; None where no image supports it.
        shown: number of boxes that would be shown.
        undecided: the side, zone or order asked for cannot be settled on these images.
        found_threshold: at or above it the verdict can be `found`.
        not_found_threshold: at or below it the verdict is `not_found`.

    Returns:
        The verdict of the table above.
    """
    if presence is None:
        return Verdict.UNSUPPORTED
    if presence <= not_found_threshold:
        return Verdict.NOT_FOUND
    if presence >= found_threshold and shown and not undecided:
        return Verdict.FOUND
    return Verdict.UNCERTAIN


def overall_presence(phrase_presence: Sequence[float], scores: Sequence[float]) -> float:
    """Probability that any of the things asked for is on the image.

    It is the greatest of the parts: what is asked is there at least as surely as one of its names, and at least as
    surely as it is in any one box. The parts are correlated, so nothing is multiplied.

    Args:
        phrase_presence: presence of each phrase, 0..1.
        scores: scores of all candidate boxes, 0..1.

    Returns:
        The greatest value, 0 where there is none.
    """
    return max([*phrase_presence, *scores], default=0.0)


def presence_where_asked(overall: float, kept: Sequence[float], dropped: Sequence[float], floor: float) -> float:
    """Probability that it is on the side or in the zone that the question names.

    Where the best box lies there, it is the overall probability. Where the best box lies elsewhere, that box explains
    the overall probability, and only the best box there speaks for the place asked for; boxes below `floor` were never
    reported, so `floor` bounds what may have been missed. With no box at all nothing places it, and the overall
    probability stands.

    Args:
        overall: probability that it is anywhere on the image, 0..1.
        kept: scores of the boxes at the place asked for, 0..1.
        dropped: scores of the other boxes, 0..1.
        floor: score below which the model reported no box, 0..1.

    Returns:
        The probability, never above `overall`.
    """
    best_kept, best_dropped = max(kept, default=0.0), max(dropped, default=0.0)
    if best_kept >= best_dropped:
        return overall
    return min(overall, max(best_kept, floor))
