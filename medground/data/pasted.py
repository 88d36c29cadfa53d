"""Images with rare lesions pasted in, made once before training: a view of them then costs no more than any other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from medground.data.copy_paste import PasteConfig
from medground.data.frame_cache import FrameCache
from medground.data.lesion_bank import LesionBank
from medground.data.repeat_factor import concepts_by_image, rare_concepts
from medground.data.sample import Held, quantise
from medground.data.transforms.frames import view_from
from medground.data.transforms.view import View
from medground.schema.anatomy import DOMAINS
from medground.schema.record import ImageRecord
from medground.schema.vocabulary import Vocabulary

MOST_LESIONS = 3


def pasted(
    records: Sequence[ImageRecord],
    vocabulary: Vocabulary,
    *,
    size_px: int,
    copies: int,
    below: float,
    cache: Path,
    seed: int,
    note: Callable[[str], None],
) -> list[Held]:
    """Copies of images, each with one to three lesions of rare findings put where such a lesion might be.

    Args:
        records: images of the training part, shown as pictures (no Hounsfield units).
        vocabulary: has every concept of the records.
        size_px: long side of the frame.
        copies: tries for each image; where no lesion fits, none comes of it.
        below: a finding on a smaller share of the images is rare.
        cache: folder of the frames.
        seed: of everything that is drawn.
        note: called with a progress line.
    """
    frames = FrameCache(records, size_px, cache)
    concepts = concepts_by_image(records)
    bank = LesionBank(frames, concepts, rare_concepts(concepts, below), PasteConfig(), vocabulary)
    made = []
    for number, record in enumerate(records):
        whole = view_from(record, frames.frame_of(record))
        for copy in range(copies):
            rng = np.random.default_rng((seed, number, copy))
            view = whole
            for _ in range(int(rng.integers(1, MOST_LESIONS + 1))):
                view = bank.enrich(view, rng)
            if view is not whole:
                made.append(held_view(view))
        if (number + 1) % 100 == 0:
            note(f"pasting: {number + 1} of {len(records)} images, {len(made)} made")
    return made


def held_view(view: View) -> Held:
    """A shown view with pasted lesions as it is kept in memory."""
    boxes = np.array([region.box.xyxy_px for region in view.record.regions], dtype=np.float32).reshape(-1, 4)
    return Held(
        quantise(view.pixels_HW.numpy()),
        boxes,
        tuple(region.concept for region in view.record.regions),
        view.record.exhaustive_for,
        DOMAINS.index(view.record.domain),
        tuple(region.appearance for region in view.record.regions),
        not view.record.synthetic,
        copied=True,
    )
