"""Scenes under pseudonyms: the same figures, and nobody's number in them.

A pseudonym is a keyed hash, and the key is thrown away. The number before the dash of a patient's keeps the order of
the patients, which the resampling of figures follows: with it intervals come out the same to the last digit. Order,
sizes and boxes of images are kept: whoever has the films can tell by those which is which.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from medground.evaluation.scene import Scene
from medground.schema.subgroup import Axis

KEY_BYTES, DIGITS = 32, 16
LEAST_PATIENTS = 5
"""In a group that is kept."""


def under_pseudonyms(scene: Scene, key: bytes | None = None) -> Scene:
    """A scene whose patients and images have other names; a scene of phantoms stays as it is.

    Args:
        scene: as it was measured.
        key: of the hash; a new one, which nobody keeps, if None.

    Returns:
        The scene, without the groups of its images and without who drew the boxes of real ones.
    """
    key = secrets.token_bytes(KEY_BYTES) if key is None else key
    known = scene.is_synthetic
    patients = sorted({image.patient_id for image in scene.images})
    width = len(str(len(patients)))
    named = {patient: f"{row:0{width}d}-{_hash(key, 'patient', patient)}" for row, patient in enumerate(patients)}
    images = tuple(
        image.model_copy(
            update={"attributes": {}}
            if known
            else {
                "attributes": {},
                "drawn_by": (),  # who drew a box may be named in it
                "image_id": _hash(key, "image", image.image_id),
                "patient_id": named[image.patient_id],
            }
        )
        for image in scene.images
    )
    return scene.model_copy(update={"images": images})


def kept_groups(scene: Scene) -> list[dict[Axis, str]]:
    """The groups of each image of a scene, without those that would single somebody out.

    Args:
        scene: as it was measured.

    Returns:
        Image by image; of people's images only groups that at least `LEAST_PATIENTS` patients of the scene are in.
    """
    patients: dict[tuple[Axis, str], set[str]] = {}
    for image in scene.images:
        for group in image.attributes.items():
            patients.setdefault(group, set()).add(image.patient_id)
    least = 1 if scene.is_synthetic else LEAST_PATIENTS
    return [
        {axis: word for axis, word in image.attributes.items() if len(patients[axis, word]) >= least}
        for image in scene.images
    ]


def image_names(scene: Scene, renamed: Scene) -> dict[str, str]:
    """Names of images in a scene to those in what `under_pseudonyms` made of it."""
    return {a.image_id: b.image_id for a, b in zip(scene.images, renamed.images, strict=True)}


def _hash(key: bytes, kind: str, name: str) -> str:
    return hmac.new(key, f"{kind}\0{name}".encode(), hashlib.sha256).hexdigest()[:DIGITS]
