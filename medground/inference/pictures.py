"""Pictures: the images that an answer speaks of, with its boxes and words on them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medground.dicom.geometry import columns_toward_left
from medground.imaging.overlay import Caption, Mark, draw_overlay
from medground.inference.ground import Grounded
from medground.inference.views import Study, View
from medground.inference.words import meaning, verdict_words, whereabouts
from medground.schema.errors import InputError
from medground.schema.result import Answer, BoxPx, Finding

MAX_DESCRIBED = 3  # descriptions below a picture; the rest are in results.json
MAX_KEPT = 4  # decoded images held at once
MAX_IMAGES = 20  # pictures per answer: a study of a thousand frames is not turned into a thousand files


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawn image of an answer; study, question and image are counted from 1."""

    study: int
    question: int
    image: int
    drawn: Image.Image


def draw_answers(grounded: Grounded) -> Iterator[Picture]:
    """Draw every answer on the images it speaks of, one at a time.

    An answer with findings is drawn on each image that bears one; any other on the first image that was examined, or
    where none was, on the first that can be shown.

    Args:
        grounded: a result with its studies.
    """
    for s, (study, result) in enumerate(zip(grounded.studies, grounded.result.studies, strict=True), start=1):
        shown: dict[View, NDArray[np.float32]] = {}  # the questions of a study mostly meet the same few images
        for a, answer in enumerate(result.answers, start=1):
            for i, view in enumerate(_views(study, answer, shown), start=1):
                side = columns_toward_left(view.header) if view.header else None
                caption = _caption(f"Study {s}, question {a}, image {i}", answer, view)
                marks = _marks(answer, view)
                yield Picture(s, a, i, draw_overlay(_pixels(view, shown), marks, caption, columns_toward_left=side))


def _pixels(view: View, shown: dict[View, NDArray[np.float32]]) -> NDArray[np.float32]:
    if view not in shown:
        if len(shown) >= MAX_KEPT:
            shown.clear()
        shown[view] = view.display()
    return shown[view]


def _views(study: Study, answer: Answer, shown: dict[View, NDArray[np.float32]]) -> list[View]:
    """The images to draw an answer on."""
    by_place = {(view.source, view.frame): view for view in study.views}
    bearing = dict.fromkeys((finding.source, finding.frame) for finding in answer.findings)
    if bearing:
        return [by_place[place] for place in bearing][:MAX_IMAGES]
    examined = {(one.source, frame) for one in answer.examined for frame in one.frames}
    for group in study.groups:
        looked_at = [view for view in group.views if (view.source, view.frame) in examined]
        if looked_at:
            return [looked_at[len(looked_at) // 2 if group.is_volume else 0]]
    for view in study.views:
        try:
            _pixels(view, shown)
        except InputError:
            continue  # refused, as the result says
        return [view]
    return []


def _marks(answer: Answer, view: View) -> list[Mark]:
    marks = []
    for number, finding in enumerate(answer.findings, start=1):
        box = _box_on(finding, view)
        if box is not None:
            said = finding.description.text if number <= MAX_DESCRIBED else ""
            marks.append(Mark(number, finding.concept.name, finding.score, box, whereabouts(finding), said))
    return marks


def _box_on(finding: Finding, view: View) -> BoxPx | None:
    """The box of a finding on that image or slice."""
    if (finding.source, finding.frame) == (view.source, view.frame):
        return finding.box_xyxy_px
    for part in finding.extent.slices if finding.extent else ():
        if (part.sop_instance_uid, part.frame) == (view.sop_instance_uid, view.frame):
            return part.box_xyxy_px
    return None


def _caption(title: str, answer: Answer, view: View) -> Caption:
    elsewhere = sum(_box_on(finding, view) is None for finding in answer.findings)
    notes = (f"{elsewhere} more finding(s) on other images of this study.",) if elsewhere else ()
    words = meaning(answer.understood, answer.verdict)
    return Caption(title, answer.query, words, verdict_words(answer), (*notes, *answer.warnings))
