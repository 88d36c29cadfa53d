"""How a training begins, and how it goes on: the bundle it starts from, and what its checkpoint remembers of both."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from medground.evaluation.files import replace_file
from medground.model.bundle import folder_digest, read_bundle
from medground.model.bundle_facts import read_facts
from medground.model.config import QwenBackboneConfig
from medground.model.network import GroundingNetwork
from medground.schema.errors import BundleMissingError, UsageError
from medground.training.checkpoint import read_origin
from medground.training.origin import Origin, Start
from medground.training.recipe import Recipe
from medground.training.warm_start import take_weights
from pipelines.held_out import FOLD_OF, TITLES, told_by, why_seen
from pipelines.sources import CHEST, LIMB, say, sets_of

CHECKPOINT = "checkpoint.safetensors"
START_NOTE = "started_from.txt"  # in the work folder: the bundle whose weights it began with


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a training began with.

    Attributes:
        goes_on: whether there is a checkpoint to go on from.
        origin: what was said when it began; None for a checkpoint from before that was kept.
        started_from: the bundle whose weights it began with; empty for random ones.
    """

    goes_on: bool
    origin: Origin | None
    started_from: str

    @property
    def start(self) -> Start | None:
        """The bundle it began with, where more than its name is known."""
        return self.origin.start if self.origin else None

    @property
    def learned_before(self) -> tuple[str, ...] | None:
        """Names of the data sets that the weights had learned from when it began; None if not all are known."""
        if self.start is None:
            return None if self.started_from else ()
        return self.start.trained_on if self.start.tells_all else None

    @property
    def known_before(self) -> tuple[str, ...]:
        """The same as far as it is known, with a word for the rest."""
        if self.learned_before is not None:
            return self.learned_before
        if self.start is None:
            return (f"what {self.started_from} learned from",)
        return (*self.start.trained_on, f"what {self.started_from} was started from")

    def held_out(self, folds: Mapping[str, int | None]) -> dict[str, int | None]:
        """What is held out of all that the weights ever learned from.

        Args:
            folds: held out of this training, as its summary names them; where there is none, its start's count.
        """
        out = dict(folds)
        for name, key in FOLD_OF.items():
            if out[key] is None and self.start and TITLES[name] in self.start.trained_on:
                out[key] = getattr(self.start, key)
        return out


def beginning_of(args: argparse.Namespace, chosen: Recipe, out: Path) -> Beginning:
    """How the training of a command line begins, or what the one that it goes on with began with.

    Args:
        args: of `train`.
        chosen: the recipe.
        out: the work folder.

    Raises:
        CheckpointError: if it would go on with what was begun otherwise.
        UsageError: if the bundle to start from learned from what is to be held out.
        BundleError: if there is no such bundle, or it cannot be read.
    """
    checkpoint = out / CHECKPOINT
    goes_on = checkpoint.is_file() and (args.resume or args.calibrate_only)
    kept = read_origin(checkpoint) if goes_on else None
    if goes_on and kept is None:
        say(
            f"{checkpoint} does not say which films it holds out nor what it started from; what is said now is believed"
        )
        note = out / START_NOTE
        return Beginning(goes_on, None, note.read_text(encoding="utf-8") if note.is_file() else "")
    base, mode = _base(chosen)
    start = read_start(args.start) if args.start else None
    said = Origin(fold=args.fold, large_fold=args.large_fold, base=base, mode=mode, start=start)
    if kept is not None:
        kept.refuse_another(said, out)
    elif start is not None:
        refuse_seen(start, chosen, said)
    origin = kept or said
    return Beginning(goes_on, origin, origin.start.bundle if origin.start else "")


def read_start(folder: Path) -> Start:
    """What a bundle to start from says of itself.

    Raises:
        BundleMissingError, BundleDamagedError: as `read_bundle`.
    """
    if not (folder / "manifest.json").is_file():
        raise BundleMissingError(f"there is no model bundle at {folder}; give the folder of one with --start")
    info = read_facts(folder).info
    return told_by(info, json.loads((folder / "training_summary.json").read_bytes()))


def refuse_seen(start: Start, chosen: Recipe, said: Origin) -> None:
    """Refuses a bundle that learned from what this training is to hold out.

    Raises:
        UsageError: if it did, or may have.
    """
    drawn = sets_of(chosen)
    for name, fold in ((CHEST, said.fold), (LIMB, said.large_fold)):
        if fold is None and name not in drawn:
            continue
        why = why_seen(start, name, fold)
        if not why and fold is not None and not start.tells_all:
            why = "was started from another and does not say what that learned from"
        if why:
            raise UsageError(
                f"--start: {start.bundle} {why}, and what is held out now may be among what it saw; start from one "
                f"that never saw {TITLES[name]}, or that held out the same"
            )


def take_start(network: GroundingNetwork, beginning: Beginning, start: Path | None, out: Path) -> None:
    """Gives a new training the weights of its start, and notes that in its work folder.

    Args:
        network: modified in place.
        beginning: of the training; one that goes on has its weights in its checkpoint.
        start: folder of the bundle.
        out: the work folder.

    Raises:
        UsageError: if none of its weights fits.
        BundleError: if it cannot be read.
    """
    if beginning.goes_on:
        return
    note = out / START_NOTE
    note.unlink(missing_ok=True)
    if start is None:
        return
    taken = take_weights(network, read_bundle(start))
    say(f"{taken.tensors} of {taken.of} tensors start as in {beginning.started_from}")
    replace_file(note, beginning.started_from.encode())


def _base(chosen: Recipe) -> tuple[str, str]:
    """The pretrained weights that a recipe is built around, with their digest, and what of them learns."""
    backbone = chosen.model.backbone
    if not isinstance(backbone, QwenBackboneConfig):
        return "", ""
    folder = Path(backbone.source)
    digest = f" ({folder_digest(folder)[:12]})" if folder.is_dir() else ""
    return f"{backbone.source}{digest}", backbone.mode.value
