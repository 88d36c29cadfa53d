"""Sightings: a reader's boxes with everything that header and geometry add, and what a question keeps of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from medground.inference.describe import Place
from medground.inference.examine import Examination, Look
from medground.inference.lengths import fits
from medground.inference.location import (
    extent_of,
    side_of,
    size_of,
    slice_step_mm,
    tells_side,
    tells_zone,
    zone_of,
)
from medground.inference.verdict import overall_presence, presence_where_asked
from medground.inference.views import View
from medground.inference.volumes import link, stack_of
from medground.model.reading import Candidate, Phrase
from medground.schema.anatomy import Domain, Side
from medground.schema.box import Box
from medground.schema.result import Extent, PlaceAsked, Understood
from medground.schema.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class Sighting:
    """One possible finding.

    Attributes:
        concept: vocabulary key.
        candidate: box, score and appearance; in a volume those of the slice with the best score.
        view: the image or slice of `candidate`.
        place: where it lies, measured.
        extent: through a volume, else None.
    """

    concept: str
    candidate: Candidate
    view: View
    place: Place
    extent: Extent | None = None

    @property
    def score(self) -> float:
        """Calibrated probability, 0..1."""
        return self.candidate.score


@dataclass(frozen=True, slots=True)
class Seen:
    """What one examination says to one question: presence per phrase, 0..1, and all its sightings."""

    examination: Examination
    phrases: tuple[Phrase, ...]
    presence: tuple[float, ...]
    sightings: tuple[Sighting, ...]

    def settles(self, understood: Understood) -> bool:
        """Whether side and zone asked for can be told on these images."""
        header, domain = self.examination.looks[0].view.header, self.examination.domain or Domain.OTHER
        side = understood.side is None or tells_side(header, domain)
        return side and (understood.zone is None or tells_zone(header, domain))


@dataclass(frozen=True, slots=True)
class Part:
    """Part of a question: where to look, and for which findings.

    Attributes:
        understood: the question with side and zone of this part, or without where these images can't tell them.
        place: as asked for; None where one place holds for all.
        keys: findings of the part; None for all that are looked for.
    """

    understood: Understood
    place: PlaceAsked | None = None
    keys: frozenset[str] | None = None

    def holds(self, sighting: Sighting, also: Sequence[str] = ()) -> bool:
        """Whether a sighting, which may have further names, is of the part and not elsewhere."""
        return (self.names(sighting.concept) or any(map(self.names, also))) and lies_where_asked(
            sighting, self.understood
        )

    def names(self, concept: str) -> bool:
        """Whether a finding is of the part."""
        return self.keys is None or concept in self.keys

    @property
    def is_placed(self) -> bool:
        """Whether it names its own side or zone."""
        return self.place is not None and (self.place.side, self.place.zone) != (None, None)

    @property
    def where(self) -> str:
        """Its own place in words: "on the left side", "in the upper zone on the right side"."""
        side, zone = (self.place.side, self.place.zone) if self.place else (None, None)
        sides = "on both sides" if side == Side.BILATERAL else f"on the {side} side"
        return " ".join(([f"in the {zone}"] if zone else []) + ([sides] if side else []))


def parts_of(understood: Understood, seen: Sequence[Seen], vocabulary: Vocabulary) -> list[Part]:
    """The parts of a question: one per finding and place where these differ, else one for all.

    What was looked for on none of the images is left out. So is an order among what one image can't tell: the largest
    of those that are new is not the largest of those that are seen.
    """
    if understood.beyond_image:
        understood = understood.model_copy(update={"relation": None, "rank": 1, "count": None})
    heard = {phrase.concept for one in seen for phrase in one.phrases}
    parts = [
        Part(
            understood.model_copy(update={"side": place.side, "zone": place.zone}),
            place,
            vocabulary.descendants(place.concept),
        )
        for place in understood.places
        if heard & vocabulary.descendants(place.concept)
    ]
    return parts or [Part(understood)]


def presence_of(part: Part, seen: Sequence[Seen], floor: float) -> float:
    """Probability that a part is there, 0..1: the best of the images.

    On both sides it is there only as surely as on the less certain side.

    Args:
        part: of the question.
        seen: what the images say that count; at least one.
        floor: score below which the reader reported no box, 0..1.
    """
    if part.understood.side == Side.BILATERAL:
        sides = [part.understood.model_copy(update={"side": side}) for side in (Side.LEFT, Side.RIGHT)]
        return min(presence_of(replace(part, understood=side), seen, floor) for side in sides)
    values = []
    for one in seen:
        own = [s for s in one.sightings if part.names(s.concept)]
        inside, outside = [s.score for s in own if part.holds(s)], [s.score for s in own if not part.holds(s)]
        heard = [value for phrase, value in zip(one.phrases, one.presence, strict=True) if part.names(phrase.concept)]
        values.append(presence_where_asked(overall_presence(heard, [*inside, *outside]), inside, outside, floor))
    return max(values)


def see(examination: Examination, phrases: Sequence[Phrase]) -> Seen:
    """Collect what was seen of each phrase; boxes of neighbouring slices become one sighting.

    Args:
        examination: within scope.
        phrases: targets of the question on that kind of image, all of which were read.

    Returns:
        Presence, in a volume that of the slice that shows it best, and sightings.
    """
    presence: list[float] = []
    sightings: list[Sighting] = []
    for phrase in phrases:
        on_views = [
            next(heard for heard in look.reading.phrases if heard.phrase == phrase) for look in examination.looks
        ]
        presence.append(max(heard.presence for heard in on_views))
        per_view = [heard.candidates for heard in on_views]
        sightings += (
            _volume(examination, phrase, per_view)
            if examination.group.is_volume
            else _flat(examination, phrase, per_view)
        )
    return Seen(examination, tuple(phrases), tuple(presence), tuple(sightings))


def _flat(examination: Examination, phrase: Phrase, per_view: Sequence[Sequence[Candidate]]) -> list[Sighting]:
    return [
        Sighting(phrase.concept, candidate, look.view, _place(look, candidate))
        for look, candidates in zip(examination.looks, per_view, strict=True)
        for candidate in candidates
    ]


def _volume(examination: Examination, phrase: Phrase, per_view: Sequence[Sequence[Candidate]]) -> list[Sighting]:
    views = examination.group.views
    at = {(view.key, view.frame): index for index, view in enumerate(views)}
    # Slices out of scope keep their place, or a finding would be linked across them as if they were not there.
    slices: list[Sequence[Candidate]] = [()] * len(views)
    looks: dict[int, Look] = {}
    for look, candidates in zip(examination.looks, per_view, strict=True):
        index = at[look.view.key, look.view.frame]
        slices[index], looks[index] = candidates, look
    step_mm = slice_step_mm(views)
    found = []
    for track in link(slices, stack_of(views)):
        extent, depth_mm = extent_of([(views[m.slice_index], m.candidate.box_xyxy_px) for m in track.members], step_mm)
        look, best = looks[track.best.slice_index], track.best.candidate
        found.append(Sighting(phrase.concept, best, look.view, _place(look, best, depth_mm), extent))
    return found


def _place(look: Look, candidate: Candidate, depth_mm: float | None = None) -> Place:
    header, domain, box = look.view.header, look.reading.domain, candidate.box_xyxy_px
    return Place(
        domain=domain,
        box=Box(x1=box[0], y1=box[1], x2=box[2], y2=box[3]),
        rows=look.rows,
        columns=look.columns,
        side=side_of(header, domain, box),
        header_tells_side=tells_side(header, domain),
        zone=zone_of(header, domain, box),
        size_mm=size_of(look.view, box, depth_mm),
    )


def lies_where_asked(sighting: Sighting, understood: Understood) -> bool:
    """Whether a sighting is not elsewhere and not of another size than asked for.

    One on the midline is on neither side, and is not ruled out by either; nor is one of a size that is not known.
    """
    if size_fits(sighting, understood) is False:
        return False
    side = understood.side in (None, Side.BILATERAL) or sighting.place.side in (None, Side.BILATERAL, understood.side)
    return side and (understood.zone is None or sighting.place.zone in (None, understood.zone))


def size_fits(sighting: Sighting, understood: Understood) -> bool | None:
    """Whether a sighting is as large as asked; None where that cannot be told."""
    if understood.size is None:
        return True
    size = sighting.place.size_mm
    return None if size is None else fits(max(size.width, size.height, size.depth or 0.0), understood.size)


def is_settled(sighting: Sighting, understood: Understood) -> bool:
    """Whether side and zone of a sighting are known as far as the question asks for them."""
    return (understood.side is None or sighting.place.side is not None) and (
        understood.zone is None or sighting.place.zone is not None
    )
