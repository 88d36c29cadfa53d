"""The arms of every campaign: what is trained, what each bundle is measured on, and how it is read there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medground.data.splits import DEV, VALID
from medground.evaluation.scene import ENDING
from pipelines.measure import file_stem, label
from pipelines.recipes.ablations import CHANGES
from pipelines.recipes.chest import ARMS
from pipelines.sources import BLOOD, CHEST, FOLDS, LARGE_FOLDS, LIMB, PHANTOM

SHIPPED = "shipped bundle"
LARGE_LIMBS = "large-limbs"
STARTS = {"chest-tuned": "films"}  # arms that start from another training
SHARES = (0.0, 0.2, 0.4, 0.5)  # of prototypes, where a campaign is about them
FORCED = 0.4  # share of prototypes in a campaign that is about other parts too


@dataclass(frozen=True, slots=True)
class Look:
    """What a bundle is measured on, and how it is read.

    Attributes:
        name: of the data set.
        part: of it.
        share: of the prototypes, whatever the fit chose; its choice if None.
        plain: read by the dense head alone and never mirrored, whatever the fit chose.
    """

    name: str
    part: str
    share: float | None = None
    plain: bool = False

    def options(self) -> list[str]:
        """Of the command that measures it."""
        options = ["--set", self.name, "--part", self.part]
        options += [] if self.share is None else ["--share", f"{self.share:g}"]
        return options + (["--query-weight", "0", "--no-mirror"] if self.plain else [])

    def file_stem(self, fold: int | None) -> str:
        """Of what that command writes, where a fold of the data set is measured or None."""
        query_weight, mirror = (0.0, False) if self.plain else (None, None)
        return file_stem(label(self.name, fold, self.part), self.share, query_weight=query_weight, mirror=mirror)


@dataclass(frozen=True, slots=True)
class Arm:
    """One training and what it is measured on.

    Attributes:
        recipe: by its name.
        name: of the data set.
        fold: of the chest films, or of the large limb films; None for the published parts.
        looks: at what it learned; none where training is all.
        start: what it starts from: a recipe that is trained first, or `SHIPPED`; empty for random weights.
    """

    recipe: str
    name: str
    fold: int | None
    looks: tuple[Look, ...] = ()
    start: str = ""

    @property
    def folder(self) -> str:
        """Of its work, below the campaign's."""
        return self.recipe if self.fold is None else f"{self.recipe}-fold{self.fold}"

    def scene_file(self, look: Look, out: Path) -> Path:
        """Where the scene of a look lies, below the campaign's folder."""
        fold = self.fold if look.name == self.name else None
        return out / self.folder / f"{look.file_stem(fold)}{ENDING}"


def campaigns(best: str) -> dict[str, list[Arm]]:
    """Every campaign by name.

    Args:
        best: the arm of the chest films that all five folds are done with.
    """
    films, phantoms = Look(CHEST, DEV), Look(PHANTOM, DEV)
    shares = tuple(Look(BLOOD, DEV, share=share, plain=True) for share in SHARES)
    return {
        "chest-arms": [Arm(name, CHEST, 0, (films,), STARTS.get(name, "")) for name in ARMS],
        "chest-folds": [Arm(best, CHEST, fold, (Look(CHEST, VALID),), STARTS.get(best, "")) for fold in range(FOLDS)],
        "ablations": [
            Arm(f"ablation-{change}", CHEST, 0, (films, phantoms, *_forced(films, change))) for change in CHANGES
        ],
        "limb": [Arm("limb-tuned", LIMB, None, (Look(LIMB, VALID),), SHIPPED)],
        "blood": [Arm("blood", BLOOD, None, (Look(BLOOD, VALID),))],
        "five": [Arm(name, BLOOD, None, shares) for name in ("blood-five", "blood-five-paste")],
        "phantom-stages": [Arm("phantom-stages", PHANTOM, None, (phantoms,))],
        LARGE_LIMBS: [Arm("limb-close", LIMB, fold, (), "phantoms") for fold in range(LARGE_FOLDS)],
    }


def _forced(look: Look, change: str) -> tuple[Look, ...]:
    """Of the base, the same with a share of prototypes: if its fit gave them none, leaving them out changes nothing."""
    return (Look(look.name, look.part, share=FORCED),) if change == "base" else ()


def first_of(arms: Sequence[Arm]) -> list[Arm]:
    """The trainings that some of the arms start from, each once."""
    names = dict.fromkeys(arm.start for arm in arms if arm.start not in ("", SHIPPED))
    return [Arm(name, arms[0].name, None) for name in names]
