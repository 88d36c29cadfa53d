"""The evidence of a card: everything that its numbers are computed from, as a folder that is read within limits.

manifest.json, config.json, scope.json, calibration.json, training_summary.json, vocabulary.json   as in the bundle
weights.json        how many numbers the weights hold; the weights themselves are not here
stated.yaml         what the makers say
environment.json    Python, machine kind and packages of whoever collected it
code.json           version and commit of the code, and when it was collected
data_cards/*.json   the data sets: terms, parts, leak check
scenes/*.scene.json.gz   predictions and truth of each measured part; patients under pseudonyms
images.json         the groups of each image
pictures/*.png      wrong answers on phantoms
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field, RootModel, ValidationError

from medground.cards.contents import DataFacts
from medground.cards.findings import printable
from medground.cards.stated import Stated, read_stated
from medground.cards.summary import require_types
from medground.evaluation.scene import ENDING, Scene, unpacked
from medground.model.bundle_facts import Manifest
from medground.model.scope import Scope
from medground.schema.config import StrictConfig
from medground.schema.errors import CardError
from medground.schema.subgroup import Axis
from medground.schema.vocabulary import Vocabulary

FOLDER = "evidence"
SCENES, DATA_CARDS, PICTURES = "scenes", "data_cards", "pictures"
MANIFEST, IMAGES, STATED = "manifest.json", "images.json", "stated.yaml"
ENVIRONMENT, CODE, WEIGHTS = "environment.json", "code.json", "weights.json"
WEIGHTS_FILE = "weights.safetensors"  # of the bundle
OF_BUNDLE = ("config.json", "scope.json", "calibration.json", "training_summary.json", "vocabulary.json")
SINGLE = (MANIFEST, *OF_BUNDLE, IMAGES, STATED, ENVIRONMENT, CODE, WEIGHTS)
MOST_FILES, MOST_BYTES, MOST_SCENE_BYTES = 200, 64 << 20, 128 << 20
"""Of files: their number, of all the bytes, and of all scenes the bytes that they unpack to."""
_NAME = r"[a-z0-9][a-z0-9_-]{0,59}"
_MANY = re.compile(rf"{SCENES}/{_NAME}{re.escape(ENDING)}|{DATA_CARDS}/{_NAME}\.json|{PICTURES}/{_NAME}\.png")
Part = TypeVar("Part", bound=StrictConfig)


class Package(StrictConfig):
    """A package that medground runs on."""

    name: str
    version: str
    licence: str | None = None
    requires: tuple[str, ...] = ()


class Environment(StrictConfig):
    """With what it was measured; of the machine its kind alone.

    Attributes:
        python: version.
        system: operating system.
        machine: processor family.
        cpu: widest instructions that torch uses, which settle how sums are rounded.
        packages: medground's own and those that it needs, by name.
    """

    python: str
    system: str
    machine: str
    cpu: str
    packages: tuple[Package, ...]


class Code(StrictConfig):
    """Which code it was.

    Attributes:
        version: of medground.
        commit: of its repository; None where there is none.
        uncommitted: whether files differed from that commit.
        collected_at: UTC, as `2026-01-02T03:04:05Z`: the date of the card.
    """

    version: str
    commit: str | None
    uncommitted: bool
    collected_at: str = Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")


class Weights(StrictConfig):
    """The weights, without them."""

    parameters: int
    bytes: int
    sha256: str


class Groups(RootModel[dict[str, dict[str, dict[Axis, str]]]]):
    """Part to image to its groups."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """The folder in memory.

    Attributes:
        manifest, manifest_sha256: of the bundle.
        config, summary: of the bundle, as they are.
        scope, vocabulary: of the bundle.
        scenes: part to scene, with the groups of its images.
        files: every file as it is, by its path in the folder.
    """

    manifest: Manifest
    manifest_sha256: str
    config: Mapping[str, Any]
    scope: Scope
    summary: Mapping[str, Any]
    vocabulary: Vocabulary
    stated: Stated
    weights: Weights
    environment: Environment
    code: Code
    data_cards: tuple[DataFacts, ...]
    scenes: Mapping[str, Scene]
    files: Mapping[str, bytes]

    @property
    def pictures(self) -> dict[str, bytes]:
        """File name to PNG."""
        return {Path(name).name: content for name, content in self.files.items() if name.startswith(f"{PICTURES}/")}

    def names(self) -> dict[str, str]:
        """Concept to its English name."""
        return {concept.key: concept.name for concept in self.vocabulary.concepts}


def read_evidence(folder: Path) -> Evidence:
    """Reads the folder.

    Args:
        folder: of the evidence.

    Raises:
        CardError: something is missing, too much, too large, damaged, or not of this bundle.
    """
    return evidence_of(_files(folder))


def _files(folder: Path) -> dict[str, bytes]:
    if not folder.is_dir():
        raise CardError(f"no evidence is at {folder}: collect it by python -m pipelines card-evidence")
    there = list(islice(folder.rglob("*"), 2 * MOST_FILES + 1))  # no more are looked at, folders among them
    paths = [path for path in there if not path.is_dir() or path.is_symlink()]
    if len(paths) > MOST_FILES or len(there) > 2 * MOST_FILES:
        raise CardError(f"the evidence at {folder} has more than {MOST_FILES} files or as many folders: it is none")
    found, size = {}, 0
    for path in sorted(paths):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not path.is_file() or not (name in SINGLE or _MANY.fullmatch(name)):
            raise CardError(f"{printable(name)} is no part of the evidence of a card: take it out of {folder}")
        size += path.stat().st_size
        if size > MOST_BYTES:
            raise CardError(f"the files of the evidence up to {name} have {size} bytes, more than {MOST_BYTES}")
        found[name] = path.read_bytes()
    return found


def evidence_of(files: Mapping[str, bytes]) -> Evidence:
    """Evidence from the content of its files.

    Args:
        files: path in the folder to content.

    Raises:
        CardError: as `read_evidence`.
    """
    for name in SINGLE:
        if name not in files:
            raise CardError(
                f"{name} is missing from the evidence: collect it anew by python -m pipelines card-evidence"
            )
    manifest = parsed(Manifest, files[MANIFEST], MANIFEST)
    for name in OF_BUNDLE:
        if hashlib.sha256(files[name]).hexdigest() != manifest.files.get(name):
            raise CardError(f"{name} in the evidence is not the one of the bundle whose manifest stands beside it")
    stated = read_stated(files[STATED])
    if stated.model != manifest.name:
        raise CardError(f"what is stated is of {stated.model!r}, the model is {manifest.name!r}: give its own --stated")
    weights = parsed(Weights, files[WEIGHTS], WEIGHTS)
    if weights.sha256 != manifest.files.get(WEIGHTS_FILE):
        raise CardError(f"{WEIGHTS} in the evidence is not about the weights of the bundle whose manifest stands there")
    groups, sha256 = _groups(files[IMAGES]), hashlib.sha256(files[MANIFEST]).hexdigest()
    return Evidence(
        manifest=manifest,
        manifest_sha256=sha256,
        config=_object(files["config.json"], "config.json"),
        scope=parsed(Scope, files["scope.json"], "scope.json"),
        summary=_object(files["training_summary.json"], "training_summary.json"),
        vocabulary=parsed(Vocabulary, files["vocabulary.json"], "vocabulary.json"),
        stated=stated,
        weights=weights,
        environment=parsed(Environment, files[ENVIRONMENT], ENVIRONMENT),
        code=parsed(Code, files[CODE], CODE),
        data_cards=tuple(parsed(DataFacts, files[n], n) for n in sorted(files) if n.startswith(f"{DATA_CARDS}/")),
        scenes=_own(_scenes(files, groups), sha256),
        files=dict(files),
    )


def parsed(kind: type[Part], content: bytes, name: str) -> Part:
    """A file of the evidence.

    Args:
        kind: what it should be.
        content: JSON.
        name: for the message.

    Raises:
        CardError: it is something else.
    """
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise CardError(f"{name} in the evidence cannot be read: {where}: {first['msg']}") from None


def _object(content: bytes, name: str) -> dict[str, Any]:
    try:
        tree = RootModel[dict[str, Any]].model_validate_json(content).root
    except ValidationError:
        raise CardError(f"{name} in the evidence is no JSON object: collect the evidence anew") from None
    return require_types(tree, name)


def _own(scenes: Mapping[str, Scene], sha256: str) -> Mapping[str, Scene]:
    for part, scene in scenes.items():
        if sha256[:12] not in scene.system:
            raise CardError(f"the scene {part} was measured with {scene.system!r}, not with the model {sha256[:12]}")
    return scenes


def _groups(content: bytes) -> dict[str, dict[str, dict[Axis, str]]]:
    try:
        return Groups.model_validate_json(content).root
    except ValidationError:
        raise CardError(f"{IMAGES} in the evidence does not say groups of images: collect the evidence anew") from None


def _scenes(files: Mapping[str, bytes], groups: Mapping[str, Mapping[str, dict[Axis, str]]]) -> dict[str, Scene]:
    """Part to scene; all of them together unpack to no more than the limit."""
    left, found = MOST_SCENE_BYTES, {}
    for name in sorted(name for name in files if name.startswith(f"{SCENES}/")):
        try:
            text = unpacked(files[name], left)
        except ValueError as error:
            raise CardError(f"{name} in the evidence is no scene ({error}): collect the evidence anew") from None
        left -= len(text)
        found[Path(name).name.removesuffix(ENDING)] = _scene(text, name, groups)
    return found


def _scene(text: bytes, name: str, groups: Mapping[str, Mapping[str, dict[Axis, str]]]) -> Scene:
    """A scene with the groups that stand apart from it."""
    try:
        scene = Scene.model_validate_json(text)
    except ValidationError:
        raise CardError(f"{name} in the evidence is no scene: collect the evidence anew") from None
    known = groups.get(Path(name).name.removesuffix(ENDING), {})
    images = tuple(i.model_copy(update={"attributes": known.get(i.image_id, {})}) for i in scene.images)
    return scene.model_copy(update={"images": images})
