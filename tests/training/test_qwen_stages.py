"""A tiny random Qwen learns phantom films by heart through the three stages, and keeps them in its bundle."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from medground.data.augment import AugmentConfig
from medground.data.dataset import Pool
from medground.data.phantom.chest_radiograph import PhantomImage, chest_radiograph
from medground.data.pools import hold
from medground.data.vocabulary import load_vocabulary
from medground.evaluation.detection import Detection, ImageTruth, Truth, ap_by_concept
from medground.imaging.preprocess import prepare
from medground.model.backbones.qwen_config import Mode
from medground.model.bundle import Bundle, read_bundle
from medground.model.bundle_write import round_as_stored, save_bundle
from medground.model.calibration import Calibration, Curve
from medground.model.familiarity import Familiarity
from medground.model.grounder import Grounder
from medground.model.reading import ImageReading, Phrase
from medground.model.scope import Scope, TrainedConcept
from medground.schema.anatomy import DOMAINS, Domain
from medground.schema.errors import UsageError
from medground.schema.result import ModelInfo
from medground.training.checkpoint import load_checkpoint
from medground.training.miner import MinerConfig
from medground.training.recipe import Recipe
from medground.training.trainer import Surroundings, Trainer
from pipelines.recipes.qwen import qwen, tiny_qwen
from pipelines.train import new_network
from tests.tiny_qwen import build

FILMS, SIZE_PX = 20, 128
CONCEPTS = ("mass", "cardiomegaly", "pleural_effusion")
STEPS = (30, 190, 40)
BATCH = 10


class Numbers:
    """Keeps what a run logs."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, dict[str, float]]] = []

    def metrics(self, values: dict[str, float], step: int) -> None:
        self.rows.append((step, dict(values)))


@pytest.fixture(scope="module")
def films() -> list[PhantomImage]:
    """Films with none to three findings; what is absent is asked about, too.

    Films with a lesion below ten pixels (at this size a blunted angle is one cell or less) are passed over.
    """
    kept: list[PhantomImage] = []
    seed = 0
    while len(kept) < FILMS:
        found = [concept for bit, concept in enumerate(CONCEPTS) if (len(kept) + 1) >> bit & 1]
        film = chest_radiograph(seed, size_px=SIZE_PX, findings=found)
        sides = [min(x2 - x1, y2 - y1) for x1, y1, x2, y2 in (region.box.xyxy_px for region in film.regions)]
        if all(side >= 10 for side in sides):
            kept.append(film)
        seed += 1
    return kept


@pytest.fixture(scope="module")
def pool(films: list[PhantomImage]) -> Pool:
    held = tuple(
        hold(
            film.pixels,
            film.regions,
            exhaustive_for=CONCEPTS,
            domain=Domain.CHEST_RADIOGRAPH,
            real=False,
            size_px=SIZE_PX,
        )
        for film in films
    )
    return Pool("phantom", 1.0, held, (1.0,) * len(held))


def by_heart(base: Path, mode: Mode, steps: tuple[int, int, int], batch: int) -> Recipe:
    """The recipe for those concepts on whole views."""
    tiny = tiny_qwen(str(base), mode=mode)
    stages = tuple(
        stage.model_copy(update={"steps": count, "warmup_steps": min(10, count // 2)})
        for stage, count in zip(tiny.stages, steps, strict=True)
    )
    mined = stages[2].model_copy(update={"miner": MinerConfig(every=2, batch=batch), "learning_rate": 1e-3})
    return tiny.model_copy(
        update={
            "batch": batch,
            "concepts": CONCEPTS,
            "model": tiny.model.model_copy(update={"classes": CONCEPTS}),
            "augment": AugmentConfig(size_px=SIZE_PX, scale=(1.0, 1.0), aspect=0.0, flip=0.0),
            "stages": (*stages[:2], mined),
        }
    )


def make_trainer(recipe: Recipe, pool: Pool, folder: Path) -> Trainer:
    torch.manual_seed(recipe.seed)
    vocabulary = load_vocabulary()
    around = Surroundings(folder, Numbers(), lambda _: None)
    return Trainer(recipe, new_network(recipe, vocabulary), vocabulary, [pool], around)


def bundle_of(trainer: Trainer, films: list[PhantomImage]) -> Bundle:
    """The trained network, rounded, with curves that leave scores as they are."""
    network = trainer.network.eval().requires_grad_(False)
    round_as_stored(network)
    words = {c: {w for f in films for r in f.regions if r.concept == c for w in r.appearance} for c in CONCEPTS}
    trained = tuple(
        TrainedConcept(
            concept=concept,
            domain=Domain.CHEST_RADIOGRAPH,
            images=FILMS,
            boxes=FILMS,
            real_boxes=0,
            synthetic_only=True,
            described=True,
            words=tuple(sorted(words[concept])),
        )
        for concept in CONCEPTS
    )
    width, kinds = network.backbone.image_width, len(DOMAINS)
    return Bundle(
        ModelInfo(name="by heart", version="0", sha256="", trained_on=("phantom",)),
        network,
        load_vocabulary(),
        Scope(trained=trained),
        Calibration(
            box={"": Curve(weights=(1.0,), offset=0.0, positives=1, negatives=1)},
            presence={"": Curve(weights=(1.0, 0.0), offset=0.0, positives=1, negatives=1)},
        ),
        Familiarity(torch.zeros(kinds, width), torch.eye(width).repeat(kinds, 1, 1), torch.full((kinds, 3), 1e6)),
        {},
    )


def answers(bundle: Bundle, films: list[PhantomImage]) -> list[tuple[ImageReading, list[tuple[str, ...]]]]:
    """The reading of each film, and what the best box of each phrase is described as."""
    phrases = [Phrase(concept, bundle.vocabulary[concept].name) for concept in CONCEPTS]
    images = [prepare(film.pixels, SIZE_PX) for film in films]
    grounder = Grounder(bundle)
    readings = grounder.read(images, phrases, max_boxes=5, min_score=0.0)
    best = [
        [(h.candidates[0].region, h.phrase.concept, reading.domain) for h in reading.phrases] for reading in readings
    ]
    return [(reading, grounder.describe(regions)) for reading, regions in zip(readings, best, strict=True)]


def precision(readings: list[ImageReading], films: list[PhantomImage]) -> dict[str, float]:
    """AP at an overlap of a half, of each concept."""
    truths, found = [], []
    for number, (film, reading) in enumerate(zip(films, readings, strict=True)):
        name = str(number)
        truths.append(
            ImageTruth(
                name,
                name,
                tuple(Truth(name, region.concept, region.box.xyxy_px) for region in film.regions),
                frozenset(CONCEPTS),
            )
        )
        found += [
            Detection(name, asked.phrase.concept, candidate.box_xyxy_px, candidate.score)
            for asked in reading.phrases
            for candidate in asked.candidates
        ]
    return ap_by_concept(truths, found, CONCEPTS)


def described(told: list[tuple[ImageReading, list[tuple[str, ...]]]], films: list[PhantomImage]) -> list[bool]:
    """Of each finding that is there once: whether the best box says its words, all of them and in order."""
    right = []
    for film, (reading, descriptions) in zip(films, told, strict=True):
        for asked, words in zip(reading.phrases, descriptions, strict=True):
            own = [region for region in film.regions if region.concept == asked.phrase.concept]
            if len(own) == 1:
                right.append(words == own[0].appearance)
    return right


@pytest.mark.slow
@pytest.mark.parametrize(("family", "mode"), [("qwen2_5_vl", Mode.FULL), ("qwen3_vl", Mode.LORA)])
def test_sixty_questions_are_learnt_by_heart_and_answered_alike_from_the_bundle(
    family: str, mode: Mode, films: list[PhantomImage], pool: Pool, tmp_path: Path
) -> None:
    base = build(family, tmp_path / "base", sure=20.0)
    trainer = make_trainer(by_heart(base, mode, STEPS, BATCH), pool, tmp_path)
    assert trainer.run(resume=False)
    bundle = bundle_of(trainer, films)
    before = answers(bundle, films)
    readings = [reading for reading, _ in before]
    figures = precision(readings, films)
    assert sum(len(reading.phrases) for reading in readings) >= 50
    assert min(figures.values()) >= 0.8, figures
    right = described(before, films)
    assert sum(right) >= 0.8 * len(right)

    save_bundle(bundle, tmp_path / "bundle")
    again = read_bundle(tmp_path / "bundle", base=None if mode is Mode.FULL else base)
    assert answers(again, films) == before


def test_stopped_in_joint_tuning_it_ends_with_the_same_bits_and_keeps_what_is_learned_alone(
    pool: Pool, tmp_path: Path
) -> None:
    recipe = by_heart(build("qwen3_vl", tmp_path / "base"), Mode.LORA, (2, 3, 2), 2)
    whole = make_trainer(recipe, pool, tmp_path / "whole")
    untouched = {name: value.clone() for name, value in whole.network.state_dict().items()}
    assert whole.run(resume=False)
    assert not make_trainer(recipe, pool, tmp_path / "cut").run(resume=False, stop_after=4)
    second = make_trainer(recipe, pool, tmp_path / "cut")
    assert second.run(resume=True)
    ended, resumed = whole.network.state_dict(), second.network.state_dict()
    assert all(torch.equal(ended[name], resumed[name]) for name in ended)
    given = {f"backbone.{name}" for name in whole.network.backbone.given()}
    assert all(torch.equal(ended[name], untouched[name]) for name in given)
    moved = [name for name in ended if "lora_" in name and not torch.equal(ended[name], untouched[name])]
    assert {".visual." in name for name in moved} == {True, False}
    saved = load_checkpoint(tmp_path / "cut" / "checkpoint.safetensors", second.digest)
    assert set(saved.weights) == set(saved.average) == set(ended) - given


@pytest.mark.parametrize("family", ["qwen2_vl", "qwen3_vl"])
def test_each_prefix_of_each_stage_names_parameters(family: str, tmp_path: Path) -> None:
    base = str(build(family, tmp_path / "base"))
    for mode in Mode:
        recipe = tiny_qwen(base, mode=mode)
        network = new_network(recipe, load_vocabulary())
        names = {name for name, _ in network.named_parameters()}
        given = {f"backbone.{name}" for name in network.backbone.given()}
        opened = [{name for name in names - given if name.startswith(stage.trainable)} for stage in recipe.stages]
        for prefix in recipe.stages[2].trainable:
            assert any(name.startswith(prefix) for name in opened[2]), prefix
        assert opened[0] == {name for name in names if not name.startswith("backbone.base.")}
        towers = {name for name in opened[1] if name.startswith("backbone.base.")}
        assert opened[1] == opened[2] == opened[0] | towers
        if mode is Mode.LORA:
            assert towers == {name for name in names if "lora_" in name}
        blocks = {name.split("blocks.")[1].split(".")[0] for name in towers if ".visual.blocks." in name}
        assert blocks == {Mode.FROZEN: set(), Mode.LORA: {"0", "1", "2"}, Mode.FULL: {"2"}}[mode]


def test_weights_that_learn_whole_are_float32_and_their_depth_must_be_known(tmp_path: Path) -> None:
    assert qwen("someone/model").model.backbone.bfloat16
    whole = build("qwen2_vl", tmp_path)
    assert not qwen(str(whole), mode=Mode.FULL).model.backbone.bfloat16
    with pytest.raises(UsageError, match="does not tell how many"):
        qwen("someone/model", mode=Mode.FULL)
