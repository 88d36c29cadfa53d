"""Links the boxes of neighbouring slices into findings that run through a volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from medground.model.reading import Candidate
from medground.schema.box import Box

MIN_IOU = 0.3
MAX_GAP = 1  # slices a finding may be missed on and still be one finding


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


def link(slices: Sequence[Sequence[Candidate]], *, min_iou: float = MIN_IOU, max_gap: int = MAX_GAP) -> list[Track]:
    """Link candidates of one finding slice by slice.

    On each slice the pairs of an open track and a candidate are taken in the order of their overlap, each side once.
    A track stays open over `max_gap` slices on which nothing was taken. A candidate that nothing is linked to is a
    finding of its own: a small lesion may lie on one slice.

    Args:
        slices: candidates per slice, in the order of position.
        min_iou: least overlap of the boxes, 0..1.
        max_gap: slices that may be missed.

    Returns:
        Tracks, best score first; every candidate is in exactly one.
    """
    tracks: list[list[SliceCandidate]] = []
    for index, candidates in enumerate(slices):
        open_tracks = [track for track in tracks if index - track[-1].slice_index <= 1 + max_gap]
        pairs = [
            (_iou(track[-1].candidate, candidate), t, c)
            for t, track in enumerate(open_tracks)
            for c, candidate in enumerate(candidates)
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


def _iou(a: Candidate, b: Candidate) -> float:
    return _box(a).iou(_box(b))


def _box(candidate: Candidate) -> Box:
    x1, y1, x2, y2 = candidate.box_xyxy_px
    return Box(x1=x1, y1=y1, x2=x2, y2=y2)
