"""Chooses how a trained network is read, calibrates it on other images, and puts its bundle together."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from medground.data.dataset import Pool
from medground.data.sample import Held, restore
from medground.data.splits import TRAIN
from medground.evaluation.detection import Detection, ImageTruth, Truth, average_precision
from medground.imaging.letterbox import Letterbox
from medground.imaging.preprocess import BLACK, ModelImage
from medground.inference.closer import BORDER_PX, FIRST_LOOK_BOXES, FIRST_LOOK_SCORE, plan
from medground.inference.request import Looking
from medground.model.bundle import Bundle
from medground.model.calibration import IDENTITY, Calibration
from medground.model.familiarity import Familiarity
from medground.model.grounder import Grounder
from medground.model.network import GroundingNetwork
from medground.model.reading import Phrase
from medground.model.scope import Scope, TrainedConcept
from medground.schema.anatomy import DOMAINS, Domain
from medground.schema.result import ModelInfo
from medground.schema.vocabulary import Vocabulary
from medground.training.calibrate import ENOUGH, Reading, fit_calibration, fit_close, fit_familiarity, hits_of
from medground.training.recipe import Recipe
from pipelines.development import Development, kind_of, large_images
from pipelines.prototypes import choose_share, fit_prototypes
from pipelines.sources import PHANTOM, Sources, say

CHEST_NAME, LIMB_NAME, BLOOD_NAME = "NIH ChestX-ray14 / ChestX-Det", "FracAtlas", "BCCD"
QUERY_WEIGHTS = (0.0, 0.3)
MIRROR_GAIN = 0.005  # of mean AP50: less is not worth reading each image twice
NAMES = {"shipped": "medground-compact"}  # what ships keeps its name from version to version


@dataclass(frozen=True, slots=True)
class _Choice:
    """How the images to choose by are read best, and the mean AP50 of that."""

    mean: float
    query_weight: float
    mirror: bool


def framed(held: Held) -> ModelImage:
    """A held image as the model's input; its own frame stands for the stored one."""
    rows, columns = held.pixels_HW.shape
    box = Letterbox.fit(columns, rows, max(columns, rows))

    def padded(pixels_HW: NDArray[np.uint8]) -> torch.Tensor:
        return box.apply(torch.from_numpy(restore(pixels_HW)), fill=BLACK)

    beside = None if held.beside_2HW is None else (padded(held.beside_2HW[0]), padded(held.beside_2HW[1]))
    return ModelImage(padded(held.pixels_HW), box, 0.0, beside=beside)


def trained_concepts(recipe: Recipe, pools: Sequence[Pool]) -> tuple[TrainedConcept, ...]:
    """What was learned on which kind of image, counted in the training pools."""
    images: Counter[tuple[str, int]] = Counter()
    boxes: Counter[tuple[str, int]] = Counter()
    real: Counter[tuple[str, int]] = Counter()
    words: dict[tuple[str, int], set[str]] = defaultdict(set)
    for held in (held for pool in pools for held in pool.items):
        for concept in {c for c in held.concepts if c in recipe.concepts}:
            key = (concept, held.domain)
            images[key] += 1
            boxes[key] += held.concepts.count(concept)
            real[key] += held.concepts.count(concept) * (held.real and not held.copied)
            for said, name in zip(held.appearance, held.concepts, strict=True):
                words[key] |= set(said) if name == concept else set()
    return tuple(
        TrainedConcept(
            concept=concept,
            domain=DOMAINS[domain],
            images=images[concept, domain],
            boxes=boxes[concept, domain],
            real_boxes=real[concept, domain],
            synthetic_only=real[concept, domain] == 0,
            described=bool(words[concept, domain]),
            words=tuple(sorted(words[concept, domain])),
        )
        for concept, domain in sorted(boxes)
    )


def drawn_from(recipe: Recipe, sources: Sources, pools: Sequence[Pool]) -> tuple[str, ...]:
    """Names of the data sets that a training drew from."""
    mix = recipe.mix
    chest = (mix.share_chest and sources.chest[TRAIN]) or (mix.share_unlabelled and sources.unlabelled)
    used = {
        PHANTOM: any(not held.real for pool in pools for held in pool.items),
        CHEST_NAME: chest,
        LIMB_NAME: mix.share_limb and sources.limb[TRAIN],
        BLOOD_NAME: (mix.share_blood or mix.share_other) and sources.blood[TRAIN],
    }
    return tuple(name for name, drawn in used.items() if drawn)


def asked(recipe: Recipe, vocabulary: Vocabulary, scope: Scope, domain: Domain) -> list[Phrase]:
    """The preferred English and Chinese name, in turn, of each concept the domain is answered about."""
    concepts = [concept for concept in recipe.concepts if scope.find(concept, domain)]
    return [
        Phrase(key, vocabulary[key].names["zh" if row % 2 and "zh" in vocabulary[key].names else "en"][0])
        for row, key in enumerate(concepts)
    ]


def read_development(
    grounder: Grounder, recipe: Recipe, images: Sequence[Held]
) -> tuple[list[Reading], list[tuple[Domain, NDArray[np.float32]]], dict[str, float]]:
    """Raw readings of every question, image vectors, and AP50 by kind of image, concept and real or synthetic."""
    readings: list[Reading] = []
    vectors: list[tuple[Domain, NDArray[np.float32]]] = []
    truths: dict[str, list[ImageTruth]] = defaultdict(list)
    found: dict[str, list[Detection]] = defaultdict(list)
    for number, held in enumerate(images):
        domain = DOMAINS[held.domain]
        questions = asked(recipe, grounder.vocabulary, grounder.scope, domain)
        raws, vector = grounder.raw(framed(held), questions)
        vectors.append((domain, vector.numpy()))
        group = kind_of(held)
        name = str(number)
        boxes = [(c, tuple(map(float, b))) for c, b in zip(held.concepts, held.boxes_G4, strict=True)]
        truths[group].append(
            ImageTruth(
                name, name, tuple(Truth(name, c, (b[0], b[1], b[2], b[3])) for c, b in boxes), held.exhaustive_for
            )
        )
        for question, raw in zip(questions, raws, strict=True):
            mine = torch.from_numpy(held.boxes_G4[[c == question.concept for c in held.concepts]])
            exhaustive = question.concept in held.exhaustive_for
            present = True if len(mine) else False if exhaustive else None
            hits = hits_of(raw.boxes_N4, mine, exhaustive=exhaustive)
            logits = tuple(float(x) for x in raw.logits_N)
            readings.append(Reading(question.concept, domain, held.real, present, raw.presence_logit, logits, hits))
            for box, logit in zip(raw.boxes_N4.tolist(), logits, strict=True):
                found[group].append(Detection(name, question.concept, (box[0], box[1], box[2], box[3]), logit))
    figures = {}
    for group, known in truths.items():
        for concept in recipe.concepts:
            value = average_precision(known, found[group], concept)
            if value is not None:
                figures[f"{group}/{concept}"] = value
    return readings, vectors, figures


def fit_bundle(
    recipe: Recipe,
    network: GroundingNetwork,
    vocabulary: Vocabulary,
    sources: Sources,
    pools: Sequence[Pool],
    development: Development,
    *,
    before: Sequence[str] = (),
) -> tuple[Bundle, dict[str, dict[str, float]]]:
    """Chooses the shares of prototypes and query decoder by mean AP50, then fits on other images what answers need.

    Args:
        recipe: that trained it.
        network: modified in place.
        vocabulary: names of the concepts.
        sources: real records.
        pools: that `training_pools` made of them.
        development: images to choose by and to calibrate on.
        before: names of what its weights had learned from before that.

    Returns:
        The bundle (its summary empty) and AP50 by share, of the images to choose by.
    """
    close = any(pool.scale is not None for pool in pools)
    trained_on = tuple(dict.fromkeys((*drawn_from(recipe, sources, pools), *before)))
    pools = whole(pools)
    scope = Scope(trained=trained_concepts(recipe, pools))
    name = NAMES.get(recipe.name, f"medground-{recipe.name}")
    info = ModelInfo(name=name, version=recipe.version, sha256="", trained_on=trained_on)
    fit_prototypes(recipe, network, vocabulary, pools)
    raw = uncalibrated(info, network, vocabulary, scope)
    choice, tables = _choose(raw, recipe, development.choose)
    grounder = Grounder(raw, query_weight=choice.query_weight, mirror=choice.mirror)
    readings, vectors, _ = read_development(grounder, recipe, development.calibrate)
    train_vectors = list(image_vectors(raw, pools))
    _say_unseen(train_vectors, vectors)
    bundle = replace(
        raw,
        scope=scope.model_copy(update={"query_weight": choice.query_weight, "mirror": choice.mirror}),
        calibration=calibrated(readings),
        familiarity=fit_familiarity(train_vectors, vectors),
    )
    return (_reading_closely(bundle, recipe, development) if close else bundle), tables


def _choose(raw: Bundle, recipe: Recipe, images: Sequence[Held]) -> tuple[_Choice, dict[str, dict[str, float]]]:
    """How images are read best; the network is left with the share of prototypes that was chosen."""
    plain = Grounder(raw, query_weight=0.0)
    tables = choose_share(raw.network, lambda: read_development(plain, recipe, images)[2])
    best: _Choice | None = None
    for mirror in (False, True):
        for weight in QUERY_WEIGHTS if best is None else (best.query_weight,):
            figures = read_development(Grounder(raw, query_weight=weight, mirror=mirror), recipe, images)[2]
            mean = float(np.mean(list(figures.values()))) if figures else 0.0
            name = f"query weight {weight}{', mirrored too' if mirror else ''}"
            tables[name] = {"mean": mean, **figures}
            say(f"{name}: mean development AP50 {mean:.4f}")
            if best is None or mean > best.mean + (MIRROR_GAIN if mirror else 0.0):
                best = _Choice(mean, weight, mirror)
    if best is None:
        raise ValueError("there is no query weight to choose from")
    return best, tables


def calibrated(readings: Sequence[Reading]) -> Calibration:
    """Curves of the images to calibrate on; what they show too little of is said.

    A finding with too few examples has the curve of its kind of image, such a kind the common one, and where nothing at
    all is known scores stay what the network makes them. Nothing is borrowed from the images that choices were made by.
    """
    fitted = fit_calibration(readings)
    keys = {key for one in readings for key in (one.domain.value, f"{one.domain.value}/{one.concept}")}
    for name, curves in (("boxes", fitted.box), ("presence", fitted.presence)):
        few = sorted(keys - curves.keys())
        if few:
            say(
                f"calibration of {name}: fewer than {ENOUGH} examples or counterexamples of {', '.join(few)}; "
                "the curve of the kind of image serves, or the common one"
            )
        common = curves.get("")
        if common is None or min(common.positives, common.negatives) == 0:
            say(f"calibration of {name}: no examples, or no counterexamples; raw scores stand for the common curve")
    return fitted.model_copy(
        update={"box": {**IDENTITY.box, **fitted.box}, "presence": {**IDENTITY.presence, **fitted.presence}}
    )


def _say_unseen(
    train: Iterable[tuple[Domain, NDArray[np.float32]]], calibrate: Iterable[tuple[Domain, NDArray[np.float32]]]
) -> None:
    unseen = {domain for domain, _ in train} - {domain for domain, _ in calibrate}
    for domain in sorted(unseen):
        say(f"calibration: no {domain.value} to tell by what is ordinary; every {domain.value} counts as unfamiliar")


def _reading_closely(bundle: Bundle, recipe: Recipe, development: Development) -> Bundle:
    """The bundle with curves of boxes on crops; it looks closer on the kinds of images that were enough to fit them."""
    seen = read_closely(Grounder(bundle), recipe, large_images(recipe, development))
    fitted = bundle.calibration.model_copy(update={"close": fit_close(seen)})
    able = tuple(domain for domain in DOMAINS if domain.value in fitted.close)
    scope = bundle.scope.model_copy(update={"reads_crops": able})
    return replace(bundle, calibration=fitted, scope=scope)


def whole(pools: Sequence[Pool]) -> list[Pool]:
    """The pools of images in the model frame; the others show the same films, or parts of such."""
    return [pool for pool in pools if pool.scale is None]


def read_closely(grounder: Grounder, recipe: Recipe, images: Iterable[Held]) -> list[Reading]:
    """Raw boxes of the crops that a first look at each image sends the closer look to."""
    readings = []
    for held in images:
        domain, full_HW = DOMAINS[held.domain], torch.from_numpy(restore(held.pixels_HW))
        rows, columns = full_HW.shape
        letterbox = Letterbox.fit(columns, rows, recipe.model.image_size_px)
        image = ModelImage(letterbox.apply(full_HW, fill=BLACK), letterbox, 0.0, full_HW)
        questions = asked(recipe, grounder.vocabulary, grounder.scope, domain)
        (first,) = grounder.read([image], questions, max_boxes=FIRST_LOOK_BOXES, min_score=FIRST_LOOK_SCORE)
        for window in plan(first, image, Looking.CLOSER).windows:
            raws, _ = grounder.raw(window.image(full_HW), questions)
            for question, raw in zip(questions, raws, strict=True):
                mine = torch.from_numpy(held.boxes_G4[[c == question.concept for c in held.concepts]])
                boxes = [window.shifted((b[0], b[1], b[2], b[3])) for b in raw.boxes_N4.tolist()]
                inside = [
                    row for row, box in enumerate(boxes) if not window.cuts(box, columns, rows, BORDER_PX / window.zoom)
                ]
                found = torch.tensor([boxes[row] for row in inside], dtype=torch.float64).reshape(-1, 4)
                hits = hits_of(found, mine, exhaustive=question.concept in held.exhaustive_for)
                logits = tuple(float(raw.logits_N[row]) for row in inside)
                readings.append(Reading(question.concept, domain, held.real, None, raw.presence_logit, logits, hits))
    return readings


def uncalibrated(info: ModelInfo, network: GroundingNetwork, vocabulary: Vocabulary, scope: Scope) -> Bundle:
    """A bundle that answers with raw scores and knows no typical image."""
    width = network.backbone.image_width
    nowhere = Familiarity(
        torch.zeros(len(DOMAINS), width),
        torch.zeros(len(DOMAINS), width, width),
        torch.full((len(DOMAINS), 1), torch.inf),
    )
    return Bundle(info, network, vocabulary, scope, IDENTITY, nowhere, {})


def development_judge(
    recipe: Recipe, vocabulary: Vocabulary, development: Development, pools: Sequence[Pool]
) -> Callable[[GroundingNetwork], float]:
    """Mean AP50 of the dense boxes on the images to choose by: what stages choose their best weights by."""
    scope = Scope(trained=trained_concepts(recipe, whole(pools)))
    info = ModelInfo(name=recipe.name, version=recipe.version, sha256="", trained_on=())

    def judge(network: GroundingNetwork) -> float:
        grounder = Grounder(uncalibrated(info, network, vocabulary, scope), query_weight=0.0, mirror=False)
        figures = read_development(grounder, recipe, development.choose)[2]
        return float(np.mean(list(figures.values()))) if figures else 0.0

    return judge


def image_vectors(
    bundle: Bundle, pools: Sequence[Pool], limit: int = 500
) -> Iterator[tuple[Domain, NDArray[np.float32]]]:
    """Image vectors of at most `limit` images of each pool, unaugmented."""
    grounder = Grounder(bundle, query_weight=0.0)
    for pool in pools:
        for held in pool.items[:limit]:
            yield DOMAINS[held.domain], grounder.raw(framed(held), [])[1].numpy()


def development_figures(tables: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """The tables of `fit_bundle`, rounded for the summary."""
    return {name: {key: round(value, 4) for key, value in table.items()} for name, table in tables.items()}
