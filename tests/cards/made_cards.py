"""Two models that differ only in what is said of them: bundles, scenes made by hand, and signed cards."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine

from medground.audit.log import AuditLog
from medground.audit.tables import create_tables
from medground.cards.card_file import CardFile, CardModel, write_card
from medground.cards.evidence import Evidence, evidence_of
from medground.cards.facts import facts_of
from medground.cards.findings import Finding
from medground.cards.keys import PublicKey, load_signing_key
from medground.cards.measured import Resampling
from medground.cards.record import record_export
from medground.cards.registry import Carded
from medground.cards.signing import sign_directory
from medground.cards.verify import Verification
from medground.evaluation.scene import ENDING, Scene, SceneImage
from medground.model.bundle_facts import shipped_bundle_path
from tests.audit.chains import Clock
from tests.cards.made_evidence import files_of
from tests.cards.small_card import write_forms

HERE, ELSEWHERE = (0.0, 0.0, 10.0, 10.0), (40.0, 40.0, 50.0, 50.0)
COMMON, RARE = ("nodule", "mass", "effusion"), "cavity"
BOXES = {**dict.fromkeys(COMMON, 300), RARE: 12}
EACH = 20
USUAL: Mapping[str, int] = {**dict.fromkeys(COMMON, 12), RARE: 16}
VALID = "films, valid part"
EXPORTED_AT = "2026-01-02T03:04:05Z"


def films(found: Mapping[str, int] = USUAL, *, presence: float = 0.5, data: str = VALID, **changes: Any) -> Scene:
    """Twenty films of each finding, of which so many are boxed; every second question is about what is not there.

    What is not found has a box elsewhere that scores less, so AP50 is the share of the 101 recall levels that are
    reached: (1 + floor(100 x found / 20)) / 101. The stated probability is the same for all, and half of what is asked
    about is there, so the calibration error is |probability - 1/2|.
    """
    images = tuple(
        SceneImage(
            image_id=f"{concept}-{row}",
            patient_id=f"patient-{concept}-{row:02d}",
            exhaustive_for=tuple(BOXES),
            truths=((concept, HERE),),
            detections=((concept, HERE, 0.9) if row < found[concept] else (concept, ELSEWHERE, 0.3),),
            answers=((concept, True, "found", presence), (_other(concept), False, "not_found", presence)),
            columns=64,
            rows=64,
        )
        for concept in BOXES
        for row in range(EACH)
    )
    return Scene(system="", data=data, training_boxes=BOXES, real_boxes=BOXES, images=images, **changes)


def _other(concept: str) -> str:
    return next(other for other in BOXES if other != concept)


def phantoms(scene: Scene, first: int) -> Scene:
    """The same images as phantoms, of seeds from one on."""
    named = {image.image_id: f"phantom-{first + row}" for row, image in enumerate(scene.images)}
    images = (i.model_copy(update=dict.fromkeys(("image_id", "patient_id"), named[i.image_id])) for i in scene.images)
    return scene.model_copy(update={"images": tuple(images)})


def made_bundle(folder: Path, version: str) -> Path:
    """The shipped bundle under another version, and so with another hash."""
    bundle = Path(shutil.copytree(shipped_bundle_path(), folder))
    _say(bundle / "manifest.json", lambda manifest: {**manifest, "version": version})
    return bundle


def evidence_for(
    scenes: Mapping[str, Scene],
    *,
    version: str = "1",
    scope: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
) -> Evidence:
    """Evidence of the shipped bundle under a version, measured with these scenes."""
    files = checked(files_of({}))
    manifest = json.loads(files["manifest.json"]) | {"version": version}
    if scope is not None:
        files["scope.json"] = json.dumps(scope(json.loads(files["scope.json"]))).encode()
        manifest["files"]["scope.json"] = hashlib.sha256(files["scope.json"]).hexdigest()
    files["manifest.json"] = json.dumps(manifest, indent=1).encode()
    sha256 = hashlib.sha256(files["manifest.json"]).hexdigest()
    for part, scene in scenes.items():
        named = scene.model_copy(update={"system": f"model {version} ({sha256[:12]})"})
        files[f"scenes/{part}{ENDING}"] = gzip.compress(named.model_dump_json().encode(), mtime=0)
    return evidence_of(files)


def checked(files: dict[str, bytes]) -> dict[str, bytes]:
    """Evidence whose real data sets were checked for leaks."""
    found = {"images": 9, "leaks": 0, "words": "By patient, file and picture."}
    cards = {name: json.loads(content) for name, content in files.items() if name.startswith("data_cards/")}
    real = {name: card | {"leak_check": found} for name, card in cards.items() if not card["synthetic"]}
    return files | {name: json.dumps(card).encode() for name, card in real.items()}


def held(evidence: Evidence, *findings: Finding, sha256: str | None = None) -> Carded:
    """A model whose card was found to be so."""
    own = evidence.manifest_sha256
    key = PublicKey("maker", "f" * 64, None)  # type: ignore[arg-type]  # nothing is checked with it here
    model = CardModel(name="compact", version="1", sha256=own)
    card = CardFile(model=model, exported_at=EXPORTED_AT, files={"facts.json": "0" * 64})
    found = Verification(findings, key, card, None, 1, 1)
    return Carded(sha256 or own, found, None if findings else evidence)


def _say(path: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    path.write_text(json.dumps(change(json.loads(path.read_bytes())), indent=1))


def signed_card(folder: Path, bundle: Path, scenes: Mapping[str, Scene], private: Path) -> Path:
    """A card of a bundle in a folder of its own, signed and recorded; its page is a title and no more."""
    files = checked(files_of({}))
    files["manifest.json"] = (bundle / "manifest.json").read_bytes()
    sha256 = hashlib.sha256(files["manifest.json"]).hexdigest()
    manifest = json.loads(files["manifest.json"])
    for part, scene in scenes.items():
        named = scene.model_copy(update={"system": f"model ({sha256[:12]})"})
        files[f"scenes/{part}{ENDING}"] = gzip.compress(named.model_dump_json().encode(), mtime=0)
    written = {f"evidence/{name}": content for name, content in files.items()}
    written |= {"model_card.html": b"<!doctype html><title>made</title>\n"}
    for name, content in written.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    write_forms(folder, facts_of(evidence_of(files), Resampling(resamples=20)))
    key = load_signing_key(private)
    model = CardModel(name=manifest["name"], version=manifest["version"], sha256=sha256)
    write_card(folder, model, EXPORTED_AT)
    sign_directory(folder, key)
    engine = create_engine("sqlite://")
    create_tables(engine)
    record_export(folder, key, AuditLog(engine, Clock()), None, Clock())
    engine.dispose()
    return folder
