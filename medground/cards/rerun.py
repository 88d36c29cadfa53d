"""Runs the model again on the phantoms of a card, each made from its seed, and compares what it says.

Sums of floating-point numbers are rounded by the widest instructions of a processor and in the order of its threads.
So the model runs on as many threads as the scene was measured with, and boxes and scores are the same to the last digit
where the kind of machine and the packages are; elsewhere the boxes that matter must lie within a tolerance. The outcome
says which of both was shown.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from medground.cards.environment import environment
from medground.cards.evidence import FOLDER, Environment, Evidence, read_evidence
from medground.cards.measured import domain_of
from medground.cards.recompute import Difference
from medground.evaluation.scene import ENDING, PHANTOM, Scene, SceneImage
from medground.inference.scene import measure, phantom_cases
from medground.model.grounder import load_grounder
from medground.schema.errors import CardError

LEAST_SCORE = 0.05
"""Boxes below it are compared only where everything must be the same."""
SCORE_APART, BOX_APART_PX = 0.01, 2.0
SETTLES = ("torch", "numpy", "scipy", "pillow", "pydicom")
"""Packages whose version may change a digit."""


@dataclass(frozen=True, slots=True)
class Rerun:
    """What came of it.

    Attributes:
        images: that were read again.
        same_kind: whether machine and packages are those of the evidence.
        exact: whether every box, score and answer is the same to the last digit.
        differences: beyond the tolerance; none if `exact`.
    """

    images: int
    same_kind: bool
    exact: bool
    differences: tuple[Difference, ...]


def rerun(
    directory: Path, bundle: Path | None, *, most: int | None = None, note: Callable[[str], None] | None = None
) -> Rerun:
    """Runs the model on the phantom part.

    Args:
        directory: of the card.
        bundle: of the model; the shipped one if None.
        most: images of each scene, the first of them; all if None.
        note: told how far it is.

    Raises:
        CardError: the bundle is not the one of the card, or no scene is of phantoms.
        BundleError: the bundle is missing or damaged.
    """
    evidence = read_evidence(directory / FOLDER)
    grounder = load_grounder(bundle)
    if grounder.info.sha256 != evidence.manifest_sha256:
        raise CardError(
            f"the card is of the model {evidence.manifest_sha256[:12]}, the bundle is {grounder.info.sha256[:12]}: "
            "give the bundle of the card with --bundle"
        )
    scenes = {part: scene for part, scene in evidence.scenes.items() if scene.is_synthetic}
    if not scenes:
        raise CardError("no scene of the card is of phantoms, so nothing can be made again from seeds")
    found: list[Difference] = []
    images, exact = 0, True
    for part, scene in scenes.items():
        stated = scene.images[:most]
        with tempfile.TemporaryDirectory() as folder, _threads(scene.threads):
            cases = phantom_cases([_seed(image) for image in stated], Path(folder))
            domain = domain_of(scene, evidence.scope)
            if domain is None:
                raise CardError(f"the scene {part} fits no kind of image that the model was trained for")
            again = measure(cases, grounder, domain, system=scene.system, data=scene.data, note=note)
        images += len(stated)
        exact = exact and _without_groups(stated) == _without_groups(again.images)
        if not exact:
            found += _apart(part, stated, again)
    return Rerun(images, is_same_kind(evidence), exact, tuple(found))


@contextmanager
def _threads(number: int | None) -> Iterator[None]:
    """As many threads as the scene was measured with, where it says so."""
    own = torch.get_num_threads()
    torch.set_num_threads(number or own)
    try:
        yield
    finally:
        torch.set_num_threads(own)


def is_same_kind(evidence: Evidence) -> bool:
    """Whether this process runs on the kind of machine, and with the packages, of the evidence."""
    return _kind(environment()) == _kind(evidence.environment)


def _kind(of: Environment) -> tuple[object, ...]:
    versions = {package.name: package.version for package in of.packages}
    return (of.system, of.machine, of.cpu, *(versions.get(name) for name in SETTLES))


def _seed(image: SceneImage) -> int:
    number = image.image_id.removeprefix(PHANTOM)
    if not number.isdigit():
        raise CardError(f"{image.image_id!r} is no phantom's id: the evidence was changed")
    return int(number)


def _without_groups(images: Sequence[SceneImage]) -> list[SceneImage]:
    return [image.model_copy(update={"attributes": {}}) for image in images]


def _apart(part: str, stated: Sequence[SceneImage], again: Scene) -> list[Difference]:
    """Boxes of one side that have no like on the other, and answers that are others."""
    found = []
    file = f"{FOLDER}/scenes/{part}{ENDING}"
    for row, (old, new) in enumerate(zip(stated, again.images, strict=True)):
        where = f"$.images[{row}]"
        for mine, theirs, words in ((old, new, ("a box", "none like it")), (new, old, ("none like it", "a box"))):
            for concept, box, score in mine.detections:
                if score >= LEAST_SCORE and not _has_like(theirs, concept, box, score):
                    about = f"{old.image_id}, {concept}, score {score:.3f}"
                    found.append(Difference(f"{where}.detections", *words, file, about))
        if [a[:3] for a in old.answers] != [a[:3] for a in new.answers]:
            found.append(Difference(f"{where}.answers", "one verdict", "another", file, old.image_id))
        if old.truths != new.truths:
            found.append(Difference(f"{where}.truths", "one truth", "another", file, old.image_id))
    return found


def _has_like(image: SceneImage, concept: str, box: tuple[float, ...], score: float) -> bool:
    return any(
        concept == other
        and abs(score - its_score) <= SCORE_APART
        and all(abs(a - b) <= BOX_APART_PX for a, b in zip(box, its_box, strict=True))
        for other, its_box, its_score in image.detections
    )
