"""Collects the evidence of a card from a bundle and the scenes that were measured with it."""

from __future__ import annotations

import gzip
import json
import math
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

from medground.cards.contents import DataFacts, PartCount
from medground.cards.evidence import (
    CODE,
    DATA_CARDS,
    ENVIRONMENT,
    IMAGES,
    MANIFEST,
    OF_BUNDLE,
    PICTURES,
    SCENES,
    STATED,
    WEIGHTS,
    WEIGHTS_FILE,
    Code,
    Environment,
    Evidence,
    Weights,
    evidence_of,
)
from medground.cards.pictures import draw_failures
from medground.cards.pseudonyms import image_names, kept_groups, under_pseudonyms
from medground.cards.stated import Stated, read_stated
from medground.evaluation.files import replace_file
from medground.evaluation.scene import ENDING, Scene, load_scene
from medground.model.bundle_facts import read_facts, sha256_of
from medground.schema.config import StrictConfig
from medground.schema.errors import CardError


def collect(
    bundle: Path,
    scenes: Mapping[str, Path],
    *,
    stated: bytes,
    environment: Environment,
    code: Code,
    data_cards: Sequence[DataFacts] | None = None,
) -> Evidence:
    """Collects the evidence; patients and images of real data get pseudonyms whose key is thrown away.

    Order, sizes and boxes stay as they are: whoever has the films can tell by those which is which.

    Args:
        bundle: folder of the model.
        scenes: part to the file that `python -m pipelines evaluate` wrote.
        stated: the makers' YAML.
        environment: with what it was measured.
        code: which code it was.
        data_cards: of what it was trained on; as stated, and counted from the training's summary, if None.

    Raises:
        CardError: a scene is of another model, or something does not fit.
        BundleError: the bundle is missing or damaged.
    """
    info = read_facts(bundle).info
    files = {name: (bundle / name).read_bytes() for name in (MANIFEST, *OF_BUNDLE)}
    measured = {part: _own(load_scene(path), path, info.sha256) for part, path in sorted(scenes.items())}
    renamed = {part: under_pseudonyms(scene) for part, scene in measured.items()}
    groups = {part: _groups(scene, renamed[part]) for part, scene in measured.items()}
    summary = json.loads(files["training_summary.json"])
    cards = stated_data(read_stated(stated), summary) if data_cards is None else data_cards
    files |= {
        STATED: stated,
        ENVIRONMENT: _json(environment),
        CODE: _json(code),
        WEIGHTS: _json(weights_of(bundle / WEIGHTS_FILE)),
        IMAGES: (json.dumps(groups, indent=1, sort_keys=True) + "\n").encode(),
    }
    files |= {f"{SCENES}/{part}{ENDING}": _packed(scene) for part, scene in renamed.items()}
    files |= {f"{DATA_CARDS}/{card.key}.json": _json(card) for card in cards}
    files |= {f"{PICTURES}/{name}": content for name, content in draw_failures(renamed).items()}
    return evidence_of(files)


def write_evidence(evidence: Evidence, folder: Path) -> None:
    """Writes the folder.

    Args:
        evidence: to write.
        folder: new or empty.

    Raises:
        CardError: there is something in it.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CardError(f"{folder} is not empty: name a new folder for the evidence, or take away what is there")
    for name, content in evidence.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, content)


def stated_data(stated: Stated, summary: Mapping[str, object]) -> list[DataFacts]:
    """A card for each data set, with the sizes of its parts that the training wrote down."""
    parts = summary.get("parts")
    sizes = parts if isinstance(parts, dict) else {}
    return [
        DataFacts(
            **data.model_dump(exclude={"pools"}),
            parts={part: PartCount(images=images) for part, images in sizes.get(data.key, {}).items()},
        )
        for data in stated.data
    ]


def weights_of(path: Path) -> Weights:
    """Counts the numbers of a safetensors file from its header.

    Args:
        path: of the file.
    """
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    counts = [math.prod(entry["shape"]) for name, entry in header.items() if name.startswith("network.")]
    return Weights(parameters=sum(counts), bytes=path.stat().st_size, sha256=sha256_of(path))


def _own(scene: Scene, path: Path, sha256: str) -> Scene:
    if sha256[:12] not in scene.system:
        raise CardError(f"{path.name} was measured with {scene.system}, not with the model {sha256[:12]} of this card")
    return scene


def _groups(scene: Scene, renamed: Scene) -> dict[str, dict[str, str]]:
    new = image_names(scene, renamed)
    return {
        new[image.image_id]: {axis.value: word for axis, word in sorted(groups.items())}
        for image, groups in zip(scene.images, kept_groups(scene), strict=True)
        if groups
    }


def _packed(scene: Scene) -> bytes:
    """As `save_scene` writes it: equal scenes give equal bytes."""
    return gzip.compress(scene.model_dump_json().encode(), mtime=0)


def _json(part: StrictConfig) -> bytes:
    return (part.model_dump_json(indent=1) + "\n").encode()
