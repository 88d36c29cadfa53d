"""The stages that recipes of the compact model are put together from."""

from __future__ import annotations

from medground.training.miner import MinerConfig
from medground.training.recipe import Recipe, Stage
from medground.training.restoration import RestorationConfig
from pipelines.recipes.compact import HEADS, QUERIES, TEXT, TOP_VISION, VISION, WORDS

KERNELS = 4.0  # rate of orthogonal steps, in learning rates


def turned(recipe: Recipe) -> Recipe:
    """The recipe with orthogonal steps of kernels in every stage."""
    stages = tuple(stage.model_copy(update={"kernel_rate": KERNELS}) for stage in recipe.stages)
    return recipe.model_copy(update={"stages": stages})


def telling(stage: Stage) -> Stage:
    """The stage with the describer taught as well, so that features hold what words are about."""
    return stage.model_copy(update={"words": True, "joint": True, "trainable": (*stage.trainable, WORDS)})


def with_every_loss(stage: Stage) -> Stage:
    """The stage with the query decoder and the describer taught as well, so that features serve both."""
    update = {"queries_per_image": 2, "denoising": 2, "trainable": (*stage.trainable, *QUERIES)}
    return telling(stage.model_copy(update=update))


def restore(steps: int, pools: tuple[str, ...]) -> Stage:
    """Pretraining without labels: hidden patches of films."""
    return Stage(
        name="restore",
        steps=steps,
        trainable=(VISION,),
        pools=pools,
        dense=False,
        restoration=RestorationConfig(),
        size_px=256,
        scale=(0.5, 1.0),
        mosaic=0.0,
    )


def general(steps: int, pools: tuple[str, ...] = (), *, looks: int = 0) -> Stage:
    """Everything open, on small views: what boxes and words are at all."""
    return Stage(
        name="general",
        steps=steps,
        trainable=(VISION, TEXT, *HEADS),
        pools=pools,
        size_px=256,
        scale=(0.42, 0.9),
        mosaic=0.4,
        judge_every=max(1, steps // looks) if looks else 0,
    )


def everything(steps: int, *, rate: float, every: int, warmup: int = 40, pools: tuple[str, ...] = ()) -> Stage:
    """All layers open on views of full size; `every` so many steps it looks at the development part."""
    return Stage(
        name="open",
        steps=steps,
        trainable=(VISION, TEXT, *HEADS),
        pools=pools,
        learning_rate=rate,
        warmup_steps=warmup,
        judge_every=every,
    )


def align(steps: int) -> Stage:
    """Stage 1: the vision tower frozen; text, boxes and heads learn what it sees."""
    return Stage(name="align", steps=steps, trainable=(TEXT, *HEADS), learning_rate=5e-4, warmup_steps=20)


def joint(steps: int, *, ewc: float = 0.02, general_pools: tuple[str, ...] = ("phantom",), looks: int = 4) -> Stage:
    """Stage 2: the top of the vision tower open, held by what general data need of it."""
    return Stage(
        name="joint",
        steps=steps,
        trainable=(*TOP_VISION, TEXT, *HEADS),
        warmup_steps=min(50, steps // 4 + 1),
        ewc=ewc,
        ewc_samples=32,
        general_pools=general_pools,
        judge_every=max(1, steps // looks) if looks else 0,
    )


def hard(steps: int, *, every: int = 3, looks: int = 2) -> Stage:
    """Stage 3: what was just got wrong is shown again, among fresh views."""
    return Stage(
        name="hard",
        steps=steps,
        trainable=(*TOP_VISION, TEXT, *HEADS),
        learning_rate=2e-4,
        warmup_steps=min(20, steps // 4 + 1),
        mosaic=0.0,
        miner=MinerConfig(every=every),
        judge_every=max(1, steps // looks) if looks else 0,
    )


def queries(steps: int, *, words: bool) -> Stage:
    """The query decoder, and the describer, on top of frozen features."""
    return Stage(
        name="queries",
        steps=steps,
        trainable=(*QUERIES, *((WORDS,) if words else ())),
        learning_rate=5e-4,
        warmup_steps=min(50, steps // 4 + 1),
        queries_per_image=2,
        denoising=2,
        dense=False,
        words=words,
    )
