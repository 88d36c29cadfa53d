"""Short words for people about findings and questions, for the table and the pictures."""

from __future__ import annotations

from medground.inference.lengths import size_words
from medground.inference.orders import order_words
from medground.schema.result import Answer, Finding, PlaceAsked, Understood, Verdict


def whereabouts(finding: Finding) -> str:
    """Side, zone and millimetres of a finding, as far as they are known, for example `left upper zone, 20 x 18 mm`."""
    where = [part.value for part in (finding.laterality, finding.zone) if part is not None]
    parts = [" ".join(where)] if where else []
    size = finding.size_mm
    if size is not None:
        lengths = [size.width, size.height, *([size.depth] if size.depth is not None else [])]
        parts.append(f"{' x '.join(f'{length:.0f}' for length in lengths)} mm ({size.spacing_source.value})")
    return ", ".join(parts)


def meaning(understood: Understood, verdict: Verdict) -> str:
    """What a question was taken to mean, in English, for example `largest nodule, left, upper zone`."""
    words = " or ".join(key.replace("_", " ") for key in understood.concepts)
    if understood.negated:
        words = f"anything but {words}" if words else "anything"
    elif not words:
        words = "nothing known" if verdict == Verdict.UNSUPPORTED else "any finding"
    order = [order_words(understood.relation, understood.rank, understood.count)] if understood.relation else []
    place = [part.value for part in (understood.side, understood.zone) if part is not None]
    beyond = [f"not to be told from one image: {', '.join(understood.beyond_image)}"] if understood.beyond_image else []
    if understood.places:
        words = " and ".join(_placed(one) for one in understood.places)
    size = [size_words(understood.size)] if understood.size else []
    return ", ".join([" ".join([*order, *understood.attributes, words]), *place, *size, *beyond])


def _placed(asked: PlaceAsked) -> str:
    """A finding and where it is asked for, for example `nodule (left, upper zone)`."""
    where = ", ".join(part.value for part in (asked.side, asked.zone) if part is not None)
    name = asked.concept.replace("_", " ")
    return f"{name} ({where})" if where else name


def verdict_words(answer: Answer) -> str:
    """The verdict, and how probable the finding is, for example `not found (presence 0.03)`."""
    words = answer.verdict.value.replace("_", " ")
    return words if answer.presence is None else f"{words} (presence {answer.presence:.2f})"
