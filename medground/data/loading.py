"""From records to training pairs: an augmented view, a question that is true of it, and what makes it hard.

What is drawn is a function of seed and number alone, whichever worker draws it and whatever was drawn before. The
question is written from the record of the view, after everything was done to it, so its words follow the picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from monai.transforms import Compose
from torch import Tensor
from torch.utils.data import Dataset

from medground.data.columnar import DataSet
from medground.data.copy_paste import PasteConfig
from medground.data.frame_cache import FrameCache
from medground.data.hard_negatives import HardNegative, hard_negatives
from medground.data.lesion_bank import LesionBank
from medground.data.mosaic import TILES, mosaic
from medground.data.pairs.wording import Language
from medground.data.pairs.write import write_pairs
from medground.data.repeat_factor import concepts_by_image, rare_concepts, repeat_factors
from medground.data.transforms.frames import view_from
from medground.data.transforms.geometry import RandFlipd, RandQuarterTurnd, RandZoomCropd, ZoomConfig
from medground.data.transforms.intensity import RandIntensityd, RandWindowd, WindowConfig
from medground.data.transforms.view import View, transformed
from medground.schema.anatomy import Domain
from medground.schema.config import StrictConfig
from medground.schema.errors import DataSetError
from medground.schema.pair import Pair, PairKind
from medground.schema.record import ImageRecord
from medground.schema.vocabulary import Vocabulary

_TRIES = 16
_ANSWERED = {
    PairKind.PRESENT: 4,
    PairKind.RELATION: 1,
    PairKind.ORDER: 1,
    PairKind.COUNT: 1,
    PairKind.NEGATED: 1,
}
"""Kinds of question that have an answer, with how often they are asked, relative to each other."""
_EMPTY = {
    PairKind.ABSENT: 2,
    PairKind.CONFUSABLE: 2,
    PairKind.WRONG_SIDE: 2,
    PairKind.WRONG_ZONE: 1,
    PairKind.WRONG_SIZE: 1,
}
"""The same of those without."""
_COMPARING = frozenset({PairKind.RELATION, PairKind.ORDER, PairKind.WRONG_SIZE})


class LoadConfig(StrictConfig):
    """How training pairs are made.

    Attributes:
        frame_px: long side that images are read at, once.
        zoom, window, paste: see their classes.
        flip: probability of a mirror image.
        turned: domains that are turned by quarter turns.
        mosaic: probability of four images in one.
        copy_paste: probability that a rare lesion is looked for, to paste in.
        rare: a concept on a smaller share of the images is pasted.
        repeat: a concept on a smaller share of the images is drawn more often, see `repeat_factors`.
        empty: probability of a question that nothing answers, where there is a choice.
        languages: of the questions.
        background: background boxes to a pair, at most.
    """

    frame_px: int = 512
    zoom: ZoomConfig = ZoomConfig()
    window: WindowConfig = WindowConfig()
    paste: PasteConfig = PasteConfig()
    flip: float = 0.5
    turned: frozenset[Domain] = frozenset({Domain.LIMB_RADIOGRAPH})
    mosaic: float = 0.1
    copy_paste: float = 0.3
    rare: float = 0.02
    repeat: float = 0.05
    empty: float = 0.3
    languages: tuple[Language, ...] = ("en", "zh")
    background: int = 4


@dataclass(frozen=True, slots=True)
class TrainingPair:
    """One training example.

    Attributes:
        view: the picture, standardised, and its record.
        pair: the question; its targets number the regions of the view's record.
        negatives: boxes that do not answer it though they might seem to, of one of the targets.
    """

    view: View
    pair: Pair
    negatives: tuple[HardNegative, ...]


@dataclass(frozen=True, slots=True)
class PairBatch:
    """Training pairs side by side; B of them, each with G boxes that answer and N that do not.

    Attributes:
        images_B1HW: standardised pixels.
        targets_BG4: boxes that answer, xyxy pixels; empty where nothing does.
        negatives_BN4: hard negatives, xyxy pixels.
        complete_B: True where every box that answers is there.
        pairs: the whole of each.
    """

    images_B1HW: Tensor
    targets_BG4: tuple[Tensor, ...]
    negatives_BN4: tuple[Tensor, ...]
    complete_B: Tensor
    pairs: tuple[TrainingPair, ...]


class TrainingPairs(Dataset[TrainingPair]):
    """Training pair number `n` is drawn, and changed, by a generator seeded with (seed, n).

    Args:
        records: images of the training part, e.g. of `checked_parts`.
        vocabulary: has every concept of the records.
        config: see there.
        cache: folder of the frames.
        seed: of everything that is drawn.
        length: number of pairs.

    Raises:
        DataSetError: there are no records.
    """

    def __init__(
        self,
        records: Sequence[ImageRecord],
        vocabulary: Vocabulary,
        config: LoadConfig,
        *,
        cache: Path,
        seed: int,
        length: int,
    ) -> None:
        if not len(records):
            raise DataSetError("there are no images to train on: the data set, or its training part, is empty")
        self.frames = FrameCache(records, config.frame_px, cache)
        self.vocabulary = vocabulary
        self.config = config
        self.seed = seed
        self.length = length
        concepts = concepts_by_image(records)
        self.drawn_up_to = np.cumsum(repeat_factors(concepts, config.repeat))
        rare = rare_concepts(concepts, config.rare)
        self.bank = LesionBank(self.frames, concepts, rare, config.paste, vocabulary)
        self.rows_of_domain = _rows_of_domain(records) if config.mosaic > 0 else {}
        self.showing = Compose([RandWindowd(config.window, config.frame_px)])
        self.changing = Compose(
            [
                RandQuarterTurnd(config.turned),
                RandFlipd(config.flip),
                RandZoomCropd(config.zoom, vocabulary),
                RandIntensityd(),
            ]
        )

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> TrainingPair:
        """The pair of that number.

        Raises:
            DataSetError: no image that was drawn leaves anything to ask about.
            InputError: an image cannot be read.
        """
        if not 0 <= index < self.length:
            raise IndexError(index)
        rng = np.random.default_rng((self.seed, index))
        for _ in range(_TRIES):
            view = self.view(self._draw(rng), rng)
            pair = self._ask(view.record, rng)
            if pair is not None:
                return TrainingPair(view, pair, self._negatives(view.record, pair, rng))
        raise DataSetError(
            f"{_TRIES} images drawn and nothing to ask about them: they need labelled regions, or findings that they "
            "are labelled exhaustively for"
        )

    def view(self, row: int, rng: np.random.Generator) -> View:
        """A random view of one image, or of four with it."""
        first = self._read(row, rng)
        view = transformed(first, self.showing, rng)
        if rng.random() < self.config.mosaic:
            rows = self.rows_of_domain[view.record.domain]
            others = [self._read(int(rows[int(rng.integers(len(rows)))]), rng) for _ in range(3)]
            shown = [view, *(transformed(other, self.showing, rng) for other in others)]
            view = mosaic(shown, self.config.frame_px, rng, self.vocabulary)
        return transformed(view, self.changing, rng)

    def _draw(self, rng: np.random.Generator) -> int:
        """A row, as often as its repeat factor says."""
        return int(np.searchsorted(self.drawn_up_to, rng.random() * self.drawn_up_to[-1], side="right"))

    def _read(self, row: int, rng: np.random.Generator) -> View:
        record: ImageRecord = self.frames.data[row]
        view = view_from(record, self.frames.frame_of(record))
        return self.bank.enrich(view, rng) if rng.random() < self.config.copy_paste else view

    def _ask(self, record: ImageRecord, rng: np.random.Generator) -> Pair | None:
        """A question: with or without an answer, then of a kind, then any of that kind; the other sort if need be."""
        language = self.config.languages[int(rng.integers(len(self.config.languages)))]
        compares = TILES not in record.attributes  # the tiles are to different scales
        orders = [
            [kind for kind in _in_random_order(kinds, rng) if compares or kind not in _COMPARING]
            for kinds in (_ANSWERED, _EMPTY)
        ]
        if rng.random() < self.config.empty:
            orders.reverse()
        for kind in (*orders[0], *orders[1]):
            pairs = write_pairs(record, self.vocabulary, rng, languages=(language,), kinds=(kind,))
            if pairs:
                return pairs[int(rng.integers(len(pairs)))]
        return None

    def _negatives(self, record: ImageRecord, pair: Pair, rng: np.random.Generator) -> tuple[HardNegative, ...]:
        """Those of one target; none where another box may answer too."""
        if not pair.targets or not pair.complete:
            return ()
        target = pair.targets[int(rng.integers(len(pair.targets)))]
        answers = [record.regions[index].box for index in pair.targets]
        found = hard_negatives(record, target, rng, self.vocabulary, background=self.config.background)
        return tuple(negative for negative in found if negative.box not in answers)


def collate(pairs: Sequence[TrainingPair]) -> PairBatch:
    """Put training pairs of one size side by side."""
    return PairBatch(
        torch.stack([pair.view.pixels_HW[None] for pair in pairs]),
        tuple(_boxes([pair.view.record.regions[index].box.xyxy_px for index in pair.pair.targets]) for pair in pairs),
        tuple(_boxes([negative.box.xyxy_px for negative in pair.negatives]) for pair in pairs),
        torch.tensor([pair.pair.complete for pair in pairs]),
        tuple(pairs),
    )


def _in_random_order(kinds: Mapping[PairKind, int], rng: np.random.Generator) -> list[PairKind]:
    weights = np.array(list(kinds.values()), dtype=np.float64)
    order = rng.choice(len(kinds), size=len(kinds), replace=False, p=weights / weights.sum())
    return [list(kinds)[int(place)] for place in order]


def _boxes(boxes: Sequence[tuple[float, float, float, float]]) -> Tensor:
    return torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)


def _rows_of_domain(records: Sequence[ImageRecord]) -> dict[Domain, list[int]]:
    domains = records.column("domain") if isinstance(records, DataSet) else [record.domain for record in records]
    found: dict[Domain, list[int]] = {}
    for row, domain in enumerate(domains):
        found.setdefault(Domain(domain), []).append(row)
    return found
