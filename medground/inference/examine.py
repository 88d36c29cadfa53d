"""Looks at a study's views with a reader, once for all questions, and keeps what lies within its scope."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from medground.imaging.preprocess import ModelImage, prepare
from medground.imaging.upright import AS_IT_IS
from medground.inference.closer import FIRST_LOOK_BOXES, FIRST_LOOK_SCORE, Closer, look_closer
from medground.inference.reader import Reader
from medground.inference.request import Looking
from medground.inference.scope import gate_header, gate_pixels, gate_reading
from medground.inference.targets import phrases_of
from medground.inference.understand import Question
from medground.inference.views import Group, View, upright
from medground.inference.volumes import beside, stack_of
from medground.model.reading import ImageReading, Phrase
from medground.schema.anatomy import Domain
from medground.schema.errors import InputError
from medground.schema.result import Refusal

BATCH, BATCH_PX = 8, 2**26  # images read together: so many, and no more than so many stored pixels of them are kept
# A body CT shows the chest on about a third of its slices; one slice of a head CT that passes for lung makes no chest.
MIN_VOLUME_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a reader reports, boxes per phrase and image and the least score, and how closely it looks."""

    max_boxes: int
    floor: float
    looking: Looking = Looking.ONCE


@dataclass(frozen=True, slots=True)
class Look:
    """What the reader made of one view of `columns` x `rows` pixels; `share` of it was looked at closely, 0..1."""

    view: View
    reading: ImageReading
    columns: int
    rows: int
    share: float = 0.0


@dataclass(frozen=True, slots=True)
class Examination:
    """What was seen of a group.

    Attributes:
        group: what was looked at.
        domain: what kind of image it is; None where it lies out of scope.
        looks: the views within scope, in order; empty where `domain` is None.
        reason: why it is out of scope, one sentence; empty otherwise.
        refused: views that could not be decoded.
        decoded: how many views were decoded; out of scope by the header, only one is tried.
    """

    group: Group
    domain: Domain | None
    looks: tuple[Look, ...] = ()
    reason: str = ""
    refused: tuple[Refusal, ...] = ()
    decoded: int = 0


def examine(
    group: Group, questions: Sequence[Question], reader: Reader, limits: Limits, looked_at: Callable[[], None]
) -> Examination:
    """Look at every view of a group.

    Args:
        group: an image, or a volume.
        questions: everything that is asked of it.
        reader: the model.
        limits: how much it reports.
        looked_at: called after each view, for progress.

    Returns:
        What was seen, or why nothing can be said.
    """
    header = group.views[0].header
    gate = gate_header(header.modality, header.body_part, header.sop_class_uid) if header else gate_header(None, None)
    looks: list[Look] = []
    reasons: list[str] = []
    refused: list[Refusal] = []
    if not gate.domains:
        # The first frame is decoded all the same: a damaged image is an error, whatever it shows. The first of a volume
        # is the lowest slice, whatever its number.
        first = group.views[0]
        decoded = int((first.frame == 1 or group.is_volume) and _pixels(first, refused) is not None)
        for _ in group.views:
            looked_at()
        return Examination(group, None, reason=gate.reason, refused=tuple(refused), decoded=decoded)
    phrases = phrases_of(questions, gate.domains, reader)
    prepared = _prepared(group, reader, limits, reasons, refused, looked_at)
    for batch in _batches(_with_neighbours(prepared, group) if group.is_volume else prepared):
        for view, image, closer in _read(batch, phrases, gate.domains, reader, limits, reasons):
            looks.append(_as_stored(view, image, closer))
    return _within_scope(group, looks, reasons, tuple(refused))


def _as_stored(view: View, image: ModelImage, closer: Closer) -> Look:
    """A look in pixels of the stored image, which was turned upright to be read."""
    columns, rows, turn = image.letterbox.columns, image.letterbox.rows, upright(view)
    if turn == AS_IT_IS:
        return Look(view, closer.reading, columns, rows, closer.share)
    columns, rows = (rows, columns) if turn.swap else (columns, rows)
    phrases = tuple(
        replace(
            heard,
            candidates=tuple(replace(c, box_xyxy_px=turn.back(c.box_xyxy_px, columns, rows)) for c in heard.candidates),
        )
        for heard in closer.reading.phrases
    )
    return Look(view, replace(closer.reading, phrases=phrases), columns, rows, closer.share)


def _read(
    batch: Sequence[tuple[View, ModelImage]],
    phrases: Sequence[Phrase],
    domains: frozenset[Domain],
    reader: Reader,
    limits: Limits,
    reasons: list[str],
) -> list[tuple[View, ModelImage, Closer]]:
    """Reads a batch once, and what of it lies within scope as closely as is wanted."""
    once = limits.looking == Looking.ONCE
    floor = limits.floor if once else min(limits.floor, FIRST_LOOK_SCORE)
    most = limits.max_boxes if once else max(limits.max_boxes, FIRST_LOOK_BOXES)
    images = [image for _, image in batch]
    readings = reader.read(images, phrases, max_boxes=most, min_score=floor)
    kept = []
    for (view, image), reading in zip(batch, readings, strict=True):
        reason = gate_reading(reading, domains, reader.scope)
        if reason:
            reasons.append(reason)
        else:
            kept.append((view, image, reading))
    if once:
        return [(view, image, Closer(reading, 0.0)) for view, image, reading in kept]
    closer = look_closer(
        [image for _, image, _ in kept],
        [reading for *_, reading in kept],
        phrases,
        reader,
        looking=limits.looking,
        max_boxes=limits.max_boxes,
        floor=limits.floor,
    )
    return [(view, image, seen) for (view, image, _), seen in zip(kept, closer, strict=True)]


def _within_scope(group: Group, looks: list[Look], reasons: list[str], refused: tuple[Refusal, ...]) -> Examination:
    decoded = len(group.views) - len(refused)
    kinds = [look.reading.domain for look in looks]
    domain = max(kinds, key=kinds.count) if kinds else None
    same_kind = tuple(look for look in looks if look.reading.domain == domain)
    if same_kind and len(same_kind) >= MIN_VOLUME_SHARE * decoded:
        return Examination(group, domain, same_kind, refused=refused, decoded=decoded)
    reason = max(reasons, key=reasons.count) if reasons else "no image of it could be decoded"
    return Examination(group, None, reason=reason, refused=refused, decoded=decoded)


def _prepared(
    group: Group,
    reader: Reader,
    limits: Limits,
    reasons: list[str],
    refused: list[Refusal],
    looked_at: Callable[[], None],
) -> Iterator[tuple[View, ModelImage]]:
    """Decode one view after the other; those that fail or are out of scope by their pixels are left out."""
    for view in group.views:
        pixels = _pixels(view, refused)
        looked_at()
        if pixels is not None:
            image = prepare(upright(view).apply(pixels), reader.image_size_px, keep_full=limits.looking != Looking.ONCE)
            reason = gate_pixels(pixels.shape[1], pixels.shape[0], image.colourfulness, reader.scope)
            if reason:
                reasons.append(reason)
            else:
                yield view, image


def _with_neighbours(items: Iterator[tuple[View, ModelImage]], group: Group) -> Iterator[tuple[View, ModelImage]]:
    """Each slice with the slices beside it; where one is missing, the slice stands in for it."""
    stack = stack_of(group.views)
    wanted = beside(stack.places_mm if stack else None, len(group.views))
    at = {(view.key, view.frame): index for index, view in enumerate(group.views)}
    held: dict[int, tuple[View, ModelImage]] = {}
    last = -1
    for index, (below, above) in enumerate(wanted):
        while last < (index if above is None else above):
            item = next(items, None)
            last = len(wanted) if item is None else at[item[0].key, item[0].frame]
            if item is not None:
                held[last] = item
        if index in held:
            view, image = held[index]
            sides = [_beside(image, held.get(index if n is None else n)) for n in (below, above)]
            yield view, replace(image, beside=(sides[0], sides[1]))
        for gone in [n for n in held if n < (index if below is None else below)]:
            del held[gone]


def _beside(image: ModelImage, other: tuple[View, ModelImage] | None) -> Tensor:
    """The pixels of another slice, or the image's own where there is none of its size."""
    own_HW = image.pixels_HW
    return own_HW if other is None or other[1].pixels_HW.shape != own_HW.shape else other[1].pixels_HW


def _pixels(view: View, refused: list[Refusal]) -> NDArray[np.float32] | None:
    try:
        return view.display()
    except InputError as error:
        frame = f", frame {view.frame}" if view.frame > 1 else ""
        refused.append(Refusal(source=f"{view.source}{frame}", error=str(error)))
        return None


def _batches(views: Iterator[tuple[View, ModelImage]]) -> Iterator[list[tuple[View, ModelImage]]]:
    batch: list[tuple[View, ModelImage]] = []
    held_px = 0
    for view, image in views:
        batch.append((view, image))
        held_px += image.full_HW.numel() if image.full_HW is not None else 0
        if len(batch) == BATCH or held_px >= BATCH_PX:
            yield batch
            batch, held_px = [], 0
    if batch:
        yield batch
