"""Runs the model again on the phantoms of a card, each made from its seed, and compares what it says.

Sums of floating-point numbers are rounded by the widest instructions of a processor and in the order of its threads.
So the model runs on as many threads as the scene was measured with, and boxes and scores are the same to the last digit
where the kind of machine and the packages are, and less is a finding there; elsewhere the boxes that matter must lie
within a tolerance. The outcome says which of both was shown.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from medground.cards.environment import environment
from medground.cards.evidence import FOLDER, Environment, Evidence, read_evidence
from medground.cards.measured import domain_of
from medground.cards.recompute import Difference
from medground.evaluation.scene import ENDING, PHANTOM, Scene, SceneImage
from medground.inference.request import Looking
from medground.inference.scene import measure, phantom_cases
from medground.model.grounder import load_grounder
from medground.schema.errors import CardError

LEAST_SCORE = 0.05
"""Boxes below it are compared only where everything must be the same."""
SCORE_APART, BOX_APART_PX = 0.01, 2.0
_EQUAL = {
    "truths": "truth",
    "exhaustive_for": "list of what is known",
    "columns": "width",
    "rows": "height",
    "image_id": "name",
    "patient_id": "patient",
    "drawn_by": "list of who drew",
}
"""What must be the same on every machine, and in words."""
SETTLES = ("torch", "numpy", "scipy", "pillow", "pydicom")
"""Packages whose version may change a digit."""


@dataclass(frozen=True, slots=True)
class Rerun:
    """What came of it.

    Attributes:
        images: that were read again.
        same_kind: whether machine and packages are those of the evidence.
        exact: whether every box, score and answer is the same to the last digit.
        differences: beyond the tolerance, and on the same kind of machine in any digit; none if `exact`.
    """

    images: int
    same_kind: bool
    exact: bool
    differences: tuple[Difference, ...]

    def words(self) -> str:
        """What was shown, in a sentence."""
        where = "on the same kind of machine" if self.same_kind else "on another kind of machine or with other packages"
        if self.exact:
            shown = "every box, score and answer is the same to the last digit"
        elif not self.differences:
            shown = f"all that matters is the same within {SCORE_APART:g} of a score and {BOX_APART_PX:g} pixels"
        else:
            shown = f"{len(self.differences)} differences"
        return f"{self.images} phantoms were read again {where}: {shown}"


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
    images, exact, same_kind = 0, True, is_same_kind(evidence)
    for part, scene in scenes.items():
        stated = scene.images[:most]
        with tempfile.TemporaryDirectory() as folder, _threads(scene.threads):
            cases = phantom_cases([_seed(image) for image in stated], Path(folder))
            domain = domain_of(scene, evidence.scope)
            if domain is None:
                raise CardError(f"the scene {part} fits no kind of image that the model was trained for")
            looking = Looking(scene.look) if scene.look else None
            again = measure(cases, grounder, domain, system=scene.system, data=scene.data, looking=looking, note=note)
        images += len(stated)
        if _without_groups(stated) != _without_groups(again.images):
            exact = False
            # Without the number of threads nobody can ask for every digit.
            found += apart(part, stated, again, to_the_digit=same_kind and scene.threads is not None)
    return Rerun(images, same_kind, exact, tuple(found))


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


def apart(part: str, stated: Sequence[SceneImage], again: Scene, *, to_the_digit: bool) -> list[Difference]:
    """Where two readings of the same images differ by more than they may.

    Args:
        part: of the evidence.
        stated: images as the card has them.
        again: as they were read now.
        to_the_digit: whether an image that only lies within the tolerance is a difference too.
    """
    found: list[Difference] = []
    file = f"{FOLDER}/scenes/{part}{ENDING}"
    for row, (old, new) in enumerate(zip(stated, again.images, strict=True)):
        where, before = f"$.images[{row}]", len(found)
        for concept in sorted({concept for concept, _, _ in (*old.detections, *new.detections)}):
            mine, theirs = _unlike(_boxes(old, concept), _boxes(new, concept))
            for scores, words in ((mine, ("a box", "none like it")), (theirs, ("none like it", "a box"))):
                about = (f"{old.image_id}, {concept}, score {score:.3f}" for score in scores)
                found += [Difference(f"{where}.detections", *words, file, one) for one in about]
        if not _same_answers(old, new):
            found.append(Difference(f"{where}.answers", "one verdict or probability", "another", file, old.image_id))
        for name, kind in _EQUAL.items():
            if getattr(old, name) != getattr(new, name):
                found.append(Difference(f"{where}.{name}", f"one {kind}", "another", file, old.image_id))
        if to_the_digit and len(found) == before and old != new.model_copy(update={"attributes": old.attributes}):
            found.append(Difference(where, "one reading", "another in its last digits", file, old.image_id))
    return found


def _boxes(image: SceneImage, concept: str) -> list[tuple[tuple[float, ...], float]]:
    return [(box, score) for other, box, score in image.detections if other == concept]


def _unlike(
    old: Sequence[tuple[tuple[float, ...], float]], new: Sequence[tuple[tuple[float, ...], float]]
) -> tuple[list[float], list[float]]:
    """Scores of the boxes of each side that matter and have no like on the other; a box is the like of one alone."""
    gain = np.zeros((len(old), len(new)))
    for row, (box, score) in enumerate(old):
        for column, (its_box, its_score) in enumerate(new):
            if abs(score - its_score) <= SCORE_APART and all(
                abs(a - b) <= BOX_APART_PX for a, b in zip(box, its_box, strict=True)
            ):
                gain[row, column] = float(score >= LEAST_SCORE) + float(its_score >= LEAST_SCORE)
    rows, columns = linear_sum_assignment(gain, maximize=True)
    pairs = [(row, column) for row, column in zip(rows, columns, strict=True) if gain[row, column] > 0]
    met_old, met_new = {row for row, _ in pairs}, {column for _, column in pairs}
    return (
        [score for row, (_, score) in enumerate(old) if score >= LEAST_SCORE and row not in met_old],
        [score for column, (_, score) in enumerate(new) if score >= LEAST_SCORE and column not in met_new],
    )


def _same_answers(old: SceneImage, new: SceneImage) -> bool:
    """Whether questions, verdicts and, within the tolerance, stated probabilities are the same."""
    return [answer[:3] for answer in old.answers] == [answer[:3] for answer in new.answers] and all(
        one == other or (one is not None and other is not None and abs(one - other) <= SCORE_APART)
        for (*_, one), (*_, other) in zip(old.answers, new.answers, strict=True)
    )
