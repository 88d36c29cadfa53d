"""One real data set as other systems are trained and measured on it: our samples, our parts, our question counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch.utils.data import DataLoader, Subset

from medground.data.dataset import MixedDataset
from medground.data.sample import Sample
from medground.data.splits import DEV, TRAIN, VALID
from medground.schema.errors import UsageError
from medground.schema.record import ImageRecord
from medground.training.batch import Batch
from medground.training.recipe import DataMix, Recipe
from pipelines.recipes import recipe
from pipelines.sources import BLOOD, CACHE, CHEST, LIMB, load_sources, training_pools

RECIPE_OF = {CHEST: "chest-films", LIMB: "limb-tuned", BLOOD: "blood"}  # whose frame, views and concepts others get
SHARE_OF = {CHEST: "share_chest", LIMB: "share_limb", BLOOD: "share_blood"}


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """Training batches and measured parts of a data set.

    Attributes:
        concepts: vocabulary keys, in the order of the label columns.
        dev, valid: records to choose on, and to be measured on once.
        training_boxes: real boxes of each concept in the training part.
        samples: every sample of the training, in order.
        batch: samples of a step.
        frame_px: long side of the frame that images are kept in, seen in views and measured in.
    """

    concepts: tuple[str, ...]
    dev: tuple[ImageRecord, ...]
    valid: tuple[ImageRecord, ...]
    training_boxes: Mapping[str, int]
    samples: MixedDataset
    batch: int
    frame_px: int

    def batches(self, start: int, end: int) -> Iterator[Batch]:
        """The batches of steps start..end; the same whatever came before."""
        part: Subset[Sample] = Subset(self.samples, range(start * self.batch, end * self.batch))
        yield from DataLoader(part, batch_size=self.batch, num_workers=1, prefetch_factor=4, collate_fn=Batch.of)


def training_set(
    name: str,
    data: Path,
    *,
    fold: int | None = None,
    size_px: int = 384,
    batch: int = 16,
    seed: int = 0,
    cache: Path = CACHE,
    steps: int = 100_000,
) -> TrainingSet:
    """The data of one of our recipes, for a system that is trained on nothing else.

    Args:
        name: `cxr`, `fracatlas` or `bccd`.
        data: folder of the data sets.
        fold: chest films: the fifth of the patients that is held out.
        size_px: side of the views.
        batch: images a step.
        seed: of the samples.
        cache: where lists of copies are kept.
        steps: most steps that will be asked for.

    Raises:
        UsageError: for an unknown name, or where the data set is absent.
    """
    if name not in RECIPE_OF:
        raise UsageError(f"no data set is called {name!r}; choose one of {', '.join(RECIPE_OF)}")
    chosen: Recipe = recipe(RECIPE_OF[name])
    alone = DataMix.model_validate({SHARE_OF[name]: 1.0, "positive": chosen.mix.positive})
    chosen = chosen.model_copy(update={"mix": alone})
    share = chosen.development_fraction
    sources = load_sources(data, fold=fold, development_fraction=share, only=(name,), cache=cache)
    parts = {CHEST: sources.chest, LIMB: sources.limb, BLOOD: sources.blood}[name]
    if not parts[TRAIN]:
        raise UsageError(f"{data / name} holds no training images; give the folder of the data sets with --data")
    pools = training_pools(chosen, sources, cache, workers=1)
    augment = chosen.augment.model_copy(update={"size_px": size_px})
    boxes = Counter(region.concept for record in parts[TRAIN] for region in record.regions)
    samples = MixedDataset(pools, chosen.concepts, augment, seed=seed, length=steps * batch)
    counted = {concept: boxes[concept] for concept in chosen.concepts}
    return TrainingSet(chosen.concepts, parts[DEV], parts[VALID], counted, samples, batch, chosen.model.image_size_px)
