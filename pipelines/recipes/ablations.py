"""The small base recipe and what becomes of it when one part is left out; all at the same budget."""

from __future__ import annotations

from collections.abc import Callable

from medground.model.config import ModelConfig
from medground.training.recipe import Recipe, Stage
from pipelines.recipes.chest import chest
from pipelines.recipes.compact import EVERYTHING
from pipelines.recipes.stages import align, general, hard, joint, queries, with_every_loss

Change = Callable[[Recipe], Recipe]
GENERAL, ALIGN, JOINT, HARD, QUERY = 220, 20, 120, 40, 40


def base() -> Recipe:
    """Chest films and phantoms, every part on, a few minutes long."""
    full = chest("ablation-base", phantom=True)
    pools = ("chest", "phantom")
    return full.model_copy(
        update={
            "mix": full.mix.model_copy(update={"phantom_radiographs": 512}),
            "augment": full.augment.model_copy(update={"size_px": 256, "scale": (0.45, 0.85)}),
            "stages": (
                general(GENERAL, pools),
                align(ALIGN),
                joint(JOINT, looks=0),
                hard(HARD, looks=0),
                queries(QUERY, words=True),
            ),
        }
    )


def _each_stage(recipe: Recipe, change: Callable[[Stage], Stage]) -> Recipe:
    return recipe.model_copy(update={"stages": tuple(change(stage) for stage in recipe.stages)})


def _model(recipe: Recipe, **parts: object) -> Recipe:
    model: ModelConfig = recipe.model.model_copy(update=parts)
    return recipe.model_copy(update={"model": model})


def no_ewc(recipe: Recipe) -> Recipe:
    """Nothing holds the weights in stage 2."""
    return _each_stage(recipe, lambda stage: stage.model_copy(update={"ewc": 0.0}))


def no_miner(recipe: Recipe) -> Recipe:
    """Stage 3 shows fresh views only."""
    return _each_stage(recipe, lambda stage: stage.model_copy(update={"miner": type(stage.miner)()}))


def no_prototypes(recipe: Recipe) -> Recipe:
    """Text alone scores."""
    silent = recipe.model.prototypes.model_copy(update={"max_share": 0.0})
    return _model(recipe, prototypes=silent)


def single_scale(recipe: Recipe) -> Recipe:
    """Stride 16 alone proposes."""
    return _model(recipe, head=recipe.model.head.model_copy(update={"single_scale": True}))


def no_presence_gate(recipe: Recipe) -> Recipe:
    """The best box alone says whether a finding is there."""
    return _model(recipe, head=recipe.model.head.model_copy(update={"presence_gate": False}))


def dense_only(recipe: Recipe) -> Recipe:
    """No query decoder; its steps go to the joint stage."""
    stages = [s for s in recipe.stages if s.name != "queries"]
    longer = [s.model_copy(update={"steps": s.steps + QUERY}) if s.name == "joint" else s for s in stages]
    return recipe.model_copy(update={"stages": tuple(longer)})


def all_losses(recipe: Recipe) -> Recipe:
    """Stages 2 and 3 with the losses of decoder and describer too, which reach what they look at."""
    return _each_stage(recipe, lambda stage: with_every_loss(stage) if stage.name in ("joint", "hard") else stage)


def plain_detr(recipe: Recipe) -> Recipe:
    """No dense proposals: learned queries and Hungarian matching learn everything, end to end."""
    changed = _model(recipe, decoder=recipe.model.decoder.model_copy(update={"learned": True}))

    def through(stage: Stage) -> Stage:
        own = {
            "dense": False,
            "prototypes": False,
            "queries_per_image": 2,
            "denoising": 0,
            "joint": True,
            "trainable": EVERYTHING,
        }
        return stage.model_copy(update={**own, "miner": type(stage.miner)(), "ewc": 0.0})

    return _each_stage(changed, through)


def recipe_weights(recipe: Recipe) -> Recipe:
    """The losses weighted as in the recipe this model is built on: boxes 0.4, confidence 0.2, description 0.4."""
    losses = recipe.losses.model_copy(
        update={
            "score": 0.2,
            "giou": 0.3,
            "distribution": 0.1,
            "query_score": 0.2,
            "query_giou": 0.2,
            "query_l1": 0.2,
            "words": 0.4,
        }
    )
    return recipe.model_copy(update={"losses": losses})


CHANGES: dict[str, Change] = {
    "base": lambda recipe: recipe,
    "no-ewc": no_ewc,
    "no-prototypes": no_prototypes,
    "no-miner": no_miner,
    "single-scale": single_scale,
    "no-presence-gate": no_presence_gate,
    "plain-detr": plain_detr,
    "dense-only": dense_only,
    "all-losses": all_losses,
    "recipe-weights": recipe_weights,
}


def ablation(change: str) -> Recipe:
    """The base recipe without one part.

    Args:
        change: a key of `CHANGES`.
    """
    name = f"ablation-{change}"
    return CHANGES[change](base()).model_copy(update={"name": name})
