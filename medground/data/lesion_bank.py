"""The rare lesions of a training set, to be pasted into others of its images."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from medground.data.copy_paste import PasteConfig, may_receive, paste
from medground.data.frame_cache import FrameCache
from medground.data.lesion_patch import Lesion, cut
from medground.data.transforms.frames import view_from
from medground.data.transforms.view import View
from medground.schema.record import ImageRecord
from medground.schema.vocabulary import Vocabulary

_DRAWS = 4


class LesionBank:
    """Draws lesions of rare concepts.

    Args:
        frames: the images.
        concepts: of each image.
        rare: concepts to paste; those of whole organs and those that `config` never pastes are left out.
        config: how lesions are pasted.
        vocabulary: has every concept of the records.
    """

    def __init__(
        self,
        frames: FrameCache,
        concepts: Sequence[Collection[str]],
        rare: Collection[str],
        config: PasteConfig,
        vocabulary: Vocabulary,
    ) -> None:
        self.frames = frames
        self.config = config
        self.vocabulary = vocabulary
        wanted = sorted(key for key in set(rare) - config.cut.never if not vocabulary[key].image_level)
        self.rows = {key: [row for row, own in enumerate(concepts) if key in own] for key in wanted}

    def draw(self, target: ImageRecord, rng: np.random.Generator) -> Lesion | None:
        """A lesion that the target may receive: each rare concept as often as another, each image of it too.

        Args:
            target: the image to paste into.
            rng: source of chance.

        Returns:
            The lesion; None if none was found in a few draws.
        """
        keys = [key for key, rows in self.rows.items() if rows and key in target.exhaustive_for]
        for _ in range(_DRAWS if keys else 0):
            key = keys[int(rng.integers(len(keys)))]
            row = self.rows[key][int(rng.integers(len(self.rows[key])))]
            record: ImageRecord = self.frames.data[row]
            if record.domain is not target.domain or record.patient_id == target.patient_id:
                continue
            own = [index for index, region in enumerate(record.regions) if region.concept == key]
            view = view_from(record, self.frames.frame_of(record))
            lesion = cut(view, own[int(rng.integers(len(own)))], self.config.cut)
            if lesion is not None and may_receive(target, lesion, self.vocabulary):
                return lesion
        return None

    def enrich(self, view: View, rng: np.random.Generator) -> View:
        """The view with a rare lesion pasted in, or as it is where none fits.

        Args:
            view: as read, neither cropped nor turned.
            rng: source of chance.
        """
        lesion = self.draw(view.record, rng)
        pasted = None if lesion is None else paste(view, lesion, self.config, rng, self.vocabulary)
        return view if pasted is None else pasted
