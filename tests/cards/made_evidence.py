"""Evidence of the shipped bundle with scenes made by hand, small enough to compute figures of on paper."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Mapping

from medground.cards.collect import stated_data
from medground.cards.evidence import OF_BUNDLE, Code, Environment, Evidence, Package, Weights, evidence_of
from medground.cards.stated import read_stated, shipped_stated
from medground.evaluation.scene import ENDING, Scene, SceneImage
from medground.model.bundle_facts import shipped_bundle_path
from medground.schema.subgroup import Axis

MANIFEST = (shipped_bundle_path() / "manifest.json").read_bytes()
OWN, WEIGHTS = hashlib.sha256(MANIFEST).hexdigest()[:12], json.loads(MANIFEST)["files"]["weights.safetensors"]
COLLECTED_AT = "2026-01-02T03:04:05Z"
A, FAR = (0.0, 0.0, 10.0, 10.0), (40.0, 40.0, 50.0, 50.0)
BOTH = ("cavity", "nodule")
WOMEN, MEN = {Axis.SEX: "female"}, {Axis.SEX: "male"}


def image(name: str, *, truths=(), detections=(), answers=(), groups=None, patient=None) -> SceneImage:
    return SceneImage(
        image_id=name,
        patient_id=patient or f"patient-{name}",
        exhaustive_for=BOTH,
        truths=truths,
        detections=detections,
        answers=answers,
        columns=64,
        rows=64,
        attributes=groups or {},
    )


def four_films() -> Scene:
    """Two nodules, of which one is boxed; a cavity that is boxed; false boxes on two films.

    Nodule: 0.9 is a hit, 0.8 and 0.3 are false. Recall ends at a half, up to where precision is 1: 51 of the 101
    recall levels, so its AP is 51/101. Cavity: its only box is a hit, so its AP is 1.
    """
    absent = ("cavity", False, "not_found", 0.1)
    return Scene(
        system=f"a model ({OWN})",
        data="four films",
        training_boxes={"nodule": 300, "cavity": 12},
        real_boxes={"nodule": 60, "cavity": 0},
        images=(
            image(
                "a",
                truths=(("nodule", A),),
                detections=(("nodule", A, 0.9),),
                answers=(("nodule", True, "found", 0.9), absent),
                groups=WOMEN,
            ),
            image(
                "b",
                truths=(("nodule", A),),
                detections=(("nodule", FAR, 0.8),),
                answers=(("nodule", True, "not_found", 0.1), absent),
                groups=WOMEN,
            ),
            image(
                "c",
                detections=(("nodule", FAR, 0.3),),
                answers=(("nodule", False, "found", 0.6), absent),
                groups=MEN,
            ),
            image(
                "d",
                truths=(("cavity", A),),
                detections=(("cavity", A, 0.7),),
                answers=(("nodule", False, "not_found", 0.2), ("cavity", True, "found", 0.8)),
                groups=MEN,
            ),
        ),
    )


def ten_nodules(found: int) -> Scene:
    """Ten films with a nodule each, of which so many are boxed."""
    images = [
        image(f"{row}", truths=(("nodule", A),), detections=(("nodule", A if row < found else FAR, 0.5),))
        for row in range(10)
    ]
    return Scene(system=f"a model ({OWN})", data="ten films", training_boxes={"nodule": 300}, images=tuple(images))


def files_of(scenes: Mapping[str, Scene]) -> dict[str, bytes]:
    """The files of evidence with these scenes, whose patients keep their names."""
    bundle = shipped_bundle_path()
    files = {name: (bundle / name).read_bytes() for name in ("manifest.json", *OF_BUNDLE)}
    summary = json.loads(files["training_summary.json"])
    groups = {
        part: {i.image_id: {k.value: v for k, v in i.attributes.items()} for i in scene.images if i.attributes}
        for part, scene in scenes.items()
    }
    environment = Environment(
        python="3.11.7", system="Linux", machine="x86_64", cpu="AVX2", packages=(Package(name="torch", version="2.6"),)
    )
    files |= {
        "stated.yaml": shipped_stated(),
        "images.json": json.dumps(groups).encode(),
        "weights.json": Weights(parameters=3_699_312, bytes=8_783_758, sha256=WEIGHTS).model_dump_json().encode(),
        "environment.json": environment.model_dump_json().encode(),
        "code.json": Code(version="0.1.0", commit="1" * 40, uncommitted=False, collected_at=COLLECTED_AT)
        .model_dump_json()
        .encode(),
    }
    files |= {
        f"data_cards/{card.key}.json": card.model_dump_json().encode()
        for card in stated_data(read_stated(shipped_stated()), summary)
    }
    return files | {f"scenes/{part}{ENDING}": packed(scene) for part, scene in scenes.items()}


def packed(scene: Scene) -> bytes:
    bare = tuple(i.model_copy(update={"attributes": {}}) for i in scene.images)
    return gzip.compress(scene.model_copy(update={"images": bare}).model_dump_json().encode(), mtime=0)


def made_evidence(scenes: Mapping[str, Scene] | None = None) -> Evidence:
    return evidence_of(files_of({"films": four_films()} if scenes is None else scenes))
