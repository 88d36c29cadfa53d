"""Slices of a volume: which of them lie beside each other, and which of their boxes are one finding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import numpy as np

from medground.inference.views import View
from medground.model.reading import Candidate
from medground.schema.box import Box

MIN_IOU = 0.3
MAX_GAP = 1  # slices a finding may be missed on and still be one finding
MAX_GAP_MM = 3.0  # millimetres it may be missed for, however many slices these hold
SAME_STEP = 1.3  # slices no farther apart than so many usual steps are neighbours
BESIDE_MM, FARTHEST_MM = 3.0, 8.0  # how far the slices beside a slice should lie, and how far they may


@dataclass(frozen=True, slots=True)
class SliceCandidate:
    """A candidate and the slice it lies on, counted in the order of position along the volume."""

    slice_index: int
    candidate: Candidate

    @property
    def score(self) -> float:
        """The candidate's score, 0..1."""
        return self.candidate.score


@dataclass(frozen=True, slots=True)
class Track:
    """One finding through a volume, its members in the order of position."""

    members: tuple[SliceCandidate, ...]

    @property
    def best(self) -> SliceCandidate:
        """The member that represents the finding: the best score, and the first of equals."""
        return max(self.members, key=lambda member: member.score)


@dataclass(frozen=True, slots=True)
class Stack:
    """Where the slices of a volume lie, so that findings are linked in millimetres.

    Attributes:
        places_mm: of each slice along the normal, rising.
        pixel_mm: distance of neighbouring pixels.
    """

    places_mm: tuple[float, ...]
    pixel_mm: float

    @property
    def step_mm(self) -> float:
        """The usual distance of neighbouring slices; 0 of a single one."""
        steps = [after - before for before, after in pairwise(self.places_mm)]
        return median(steps) if steps else 0.0


def stack_of(views: Sequence[View]) -> Stack | None:
    """Where the views of a volume lie; None where the header leaves it open or two lie in one place."""
    places = [view.plane.along_normal_mm for view in views if view.plane is not None]
    header = views[0].header
    if len(places) < len(views) or header is None or header.spacing_mm is None:
        return None
    if any(after <= before for before, after in pairwise(places)):
        return None
    return Stack(tuple(places), max(header.spacing_mm))


def beside(places_mm: Sequence[float] | None, count: int) -> list[tuple[int | None, int | None]]:
    """The slices below and above each slice: those nearest to `BESIDE_MM` away, thin or thick as they may be.

    Args:
        places_mm: of each slice along the normal, rising; None where unknown: then the next ones.
        count: of the slices.

    Returns:
        For each slice the two indices, never falling from slice to slice; None where none lies within `FARTHEST_MM`.
    """
    if places_mm is None:
        return [(at - 1 if at else None, at + 1 if at + 1 < count else None) for at in range(count)]
    places = np.asarray(places_mm, dtype=np.float64)
    found = []
    for at, place in enumerate(places):
        below, above = place - places[:at], places[at + 1 :] - place
        sides: list[int | None] = []
        for away, first in ((below, 0), (above, at + 1)):
            off = np.where((away > 0) & (away <= FARTHEST_MM), np.abs(away - BESIDE_MM), np.inf)
            sides.append(first + int(off.argmin()) if len(off) and np.isfinite(off.min()) else None)
        found.append((sides[0], sides[1]))
    return found


def link(
    slices: Sequence[Sequence[Candidate]],
    stack: Stack | None = None,
    *,
    min_iou: float = MIN_IOU,
    max_gap: int = MAX_GAP,
) -> list[Track]:
    """Link candidates of one finding slice by slice.

    On each slice the pairs of an open track and a candidate are taken in the order of their overlap, each side once.
    A track stays open over `max_gap` slices on which nothing was taken, or over `MAX_GAP_MM` where the stack is known;
    and then no pair is taken that lies farther apart than the finding is wide, unless as neighbouring slices of this
    stack do: what is 8 mm wide on one slice is not what is seen 20 mm above it, where slices are missing. A candidate
    that nothing is linked to is a finding of its own: a small lesion may lie on one slice.

    Args:
        slices: candidates per slice, in the order of position.
        stack: where the slices lie; None counts slices only.
        min_iou: least overlap of the boxes, 0..1.
        max_gap: slices that may be missed.

    Returns:
        Tracks, best score first; every candidate is in exactly one.
    """

    def is_open(track: list[SliceCandidate], index: int) -> bool:
        last = track[-1].slice_index
        return index - last <= 1 + max_gap or (stack is not None and _missed_mm(stack, last, index) <= MAX_GAP_MM)

    def reaches(a: SliceCandidate, index: int, candidate: Candidate) -> bool:
        if stack is None:
            return True
        apart_mm = stack.places_mm[index] - stack.places_mm[a.slice_index]
        wide_mm = stack.pixel_mm * max(_long_px(a.candidate), _long_px(candidate))
        return apart_mm <= max(wide_mm, MAX_GAP_MM, SAME_STEP * stack.step_mm)

    tracks: list[list[SliceCandidate]] = []
    for index, candidates in enumerate(slices):
        open_tracks = [track for track in tracks if is_open(track, index)]
        pairs = [
            (_iou(track[-1].candidate, candidate), t, c)
            for t, track in enumerate(open_tracks)
            for c, candidate in enumerate(candidates)
            if reaches(track[-1], index, candidate)
        ]
        taken_tracks: set[int] = set()
        taken: set[int] = set()
        for overlap, t, c in sorted(pairs, key=lambda pair: (-pair[0], pair[1], pair[2])):
            if overlap < min_iou:
                break
            if t not in taken_tracks and c not in taken:
                open_tracks[t].append(SliceCandidate(index, candidates[c]))
                taken_tracks.add(t)
                taken.add(c)
        tracks += [[SliceCandidate(index, candidate)] for c, candidate in enumerate(candidates) if c not in taken]
    linked = [Track(tuple(track)) for track in tracks]
    return sorted(linked, key=lambda track: (-track.best.score, track.members[0].slice_index))


def _missed_mm(stack: Stack, last: int, index: int) -> float:
    """From the last slice of a track to the one before `index`: how long nothing was seen."""
    return stack.places_mm[index - 1] - stack.places_mm[last]


def _long_px(candidate: Candidate) -> float:
    x1, y1, x2, y2 = candidate.box_xyxy_px
    return max(x2 - x1, y2 - y1)


def _iou(a: Candidate, b: Candidate) -> float:
    return _box(a).iou(_box(b))


def _box(candidate: Candidate) -> Box:
    x1, y1, x2, y2 = candidate.box_xyxy_px
    return Box(x1=x1, y1=y1, x2=x2, y2=y2)
