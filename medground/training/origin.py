"""What a training began with besides its recipe: a checkpoint remembers it, so that no other one goes on from it."""

from __future__ import annotations

from pathlib import Path

from medground.schema.config import StrictConfig
from medground.schema.errors import CheckpointError


class Start(StrictConfig):
    """The bundle whose weights a training began with.

    Attributes:
        bundle: its name, its version and the first digits of its digest.
        sha256: of its manifest.
        trained_on: names of the data sets that it learned from, and what it was started from itself.
        fold, large_fold: of the chest films and of the large limb films, held out of all that it learned from.
        tells_all: whether it says all of that; bundles from before leave out what they were started from.
    """

    bundle: str
    sha256: str
    trained_on: tuple[str, ...]
    fold: int | None = None
    large_fold: int | None = None
    tells_all: bool = True


class Origin(StrictConfig):
    """What was said when a training began.

    Attributes:
        fold, large_fold: of the chest films and of the large limb films, held out; None for the published parts.
        base: pretrained weights that the network is built around, with their digest; empty without such.
        mode: what of them learns; empty without such.
        start: the bundle whose weights it began with; None for random ones.
    """

    fold: int | None = None
    large_fold: int | None = None
    base: str = ""
    mode: str = ""
    start: Start | None = None

    def refuse_another(self, now: Origin, folder: Path) -> None:
        """Refuses to go on with what a checkpoint was not begun with.

        Args:
            now: what is said this time; without a start, the one there was is meant.
            folder: of the checkpoint, for the message.

        Raises:
            CheckpointError: naming what differs.
        """
        pairs = [
            ("--fold", _number(self.fold), _number(now.fold)),
            ("--large-fold", _number(self.large_fold), _number(now.large_fold)),
            ("--base", self.base or "none", now.base or "none"),
            ("--mode", self.mode or "none", now.mode or "none"),
        ]
        if now.start and (self.start is None or self.start.sha256 != now.start.sha256):
            pairs.append(("--start", self.start.bundle if self.start else "none", now.start.bundle))
        others = [f"{option} (was {was}, now {said})" for option, was, said in pairs if was != said]
        if others:
            raise CheckpointError(
                f"the training in {folder} was begun with another {' and another '.join(others)}, so it may have seen "
                "what is to be held out now; say what it was begun with, or begin anew in another --out"
            )


def _number(fold: int | None) -> str:
    return "none" if fold is None else str(fold)
