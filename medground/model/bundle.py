"""The bundle: everything a model needs to answer, in a folder whose manifest holds the SHA-256 of every file.

manifest.json          name, version, digests
config.json            ModelConfig
weights.safetensors    network, prototypes and familiarity
tokenizer.json         text encoder's tokenizer (compact backbone)
base/                  pretrained weights that learned themselves (Qwen backbone in mode `full`)
vocabulary.json        names and codes
scope.json             what it was trained for, thresholds
calibration.json       logistic curves
training_summary.json  data, budget, figures
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, float16

from medground.model.backbones.build import build_backbone
from medground.model.calibration import Calibration
from medground.model.config import ModelConfig, QwenBackboneConfig
from medground.model.familiarity import Familiarity
from medground.model.network import GroundingNetwork, channels_last
from medground.model.scope import Scope
from medground.schema.config import StrictConfig
from medground.schema.errors import BundleDamagedError, BundleMissingError
from medground.schema.result import ModelInfo
from medground.schema.vocabulary import Vocabulary

SHIPPED = "compact"
BASE = "base"
FORMAT = 2
Part = TypeVar("Part", bound=StrictConfig)


class Manifest(StrictConfig):
    """Name, version, training data sets, and file name to SHA-256."""

    format: int = FORMAT
    name: str
    version: str
    trained_on: tuple[str, ...]
    files: dict[str, str]


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle in memory."""

    info: ModelInfo
    network: GroundingNetwork
    vocabulary: Vocabulary
    scope: Scope
    calibration: Calibration
    familiarity: Familiarity
    summary: dict[str, Any]


@dataclass(frozen=True, slots=True)
class BundleFacts:
    """What a bundle says of itself, without its weights."""

    info: ModelInfo
    vocabulary: Vocabulary
    scope: Scope


def shipped_bundle_path() -> Path:
    """The bundle that comes with the package."""
    return Path(str(resources.files("medground") / "bundles" / SHIPPED))


def read_bundle(folder: Path | None = None, *, base: str | Path | None = None) -> Bundle:
    """Reads and checks a bundle; the shipped one by default.

    Args:
        folder: of the bundle.
        base: folder or hub id of the pretrained weights, for a bundle that was trained beside some.

    Raises:
        BundleMissingError: if the folder or a file of it is absent, or pretrained weights are.
        BundleDamagedError: if a file differs from the manifest or cannot be parsed.
    """
    path = folder or shipped_bundle_path()
    facts = read_facts(path)
    try:
        stored = load_file(path / "weights.safetensors")
        tensors = {name: v.float() if v.dtype == float16 else v for name, v in stored.items()}
        config = ModelConfig.model_validate_json((path / "config.json").read_bytes())
        network = _network(config, path, base)
        network.load_learned_state({**_learned_base(network), **_strip(tensors, "network.")})
        familiarity = Familiarity(**_strip(tensors, "familiarity."))
        summary = json.loads((path / "training_summary.json").read_text(encoding="utf-8"))
    except (SafetensorError, RuntimeError, TypeError, ValueError, OSError) as error:
        raise BundleDamagedError(f"the bundle at {path} cannot be read: {str(error).splitlines()[0]}") from error
    network.eval().requires_grad_(False)
    channels_last(network)
    return Bundle(
        facts.info,
        network,
        facts.vocabulary,
        facts.scope,
        parse(Calibration, path / "calibration.json"),
        familiarity,
        summary,
    )


def read_facts(folder: Path | None = None) -> BundleFacts:
    """Reads what a bundle says of itself, and checks that its files are those of its manifest.

    Args:
        folder: of the bundle; the shipped one if None.

    Raises:
        BundleMissingError, BundleDamagedError: see `read_bundle`.
    """
    path = folder or shipped_bundle_path()
    if not (path / "manifest.json").is_file():
        raise BundleMissingError(
            f"there is no model bundle at {path}; give one with --bundle or install medground anew"
        )
    manifest = parse(Manifest, path / "manifest.json")
    _check_files(manifest, path)
    if manifest.format != FORMAT:
        found = f"it is of format {manifest.format}, this medground reads format {FORMAT}"
        raise BundleDamagedError(f"the bundle at {path} cannot be read: {found}")
    info = ModelInfo(
        name=manifest.name,
        version=manifest.version,
        sha256=sha256_of(path / "manifest.json"),
        trained_on=manifest.trained_on,
    )
    return BundleFacts(info, parse(Vocabulary, path / "vocabulary.json"), parse(Scope, path / "scope.json"))


def _check_files(manifest: Manifest, path: Path) -> None:
    for name, digest in manifest.files.items():
        parts = PurePosixPath(name).parts
        if (
            ".." in parts
            or PurePosixPath(name).is_absolute()
            or (len(parts) > 1 and parts[0] != BASE)
            or len(parts) > 2
        ):
            raise BundleDamagedError(f"the bundle's manifest names {name!r}, which is not a file of the bundle")
        if not (path / name).is_file():
            raise BundleMissingError(f"{name} is missing from the bundle at {path}; install the bundle anew")
        if sha256_of(path / name) != digest:
            raise BundleDamagedError(
                f"{name} in the bundle at {path} differs from its manifest; it was changed or damaged: install it anew"
            )


def _network(config: ModelConfig, path: Path, base: str | Path | None) -> GroundingNetwork:
    backbone = config.backbone
    if not isinstance(backbone, QwenBackboneConfig):
        tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
        return GroundingNetwork(config, build_backbone(backbone, tokenizer=tokenizer))
    inside = path / BASE
    source = inside if inside.is_dir() else base
    if source is None:
        raise BundleMissingError(
            f"the bundle at {path} was trained beside {backbone.source!r}; give the folder of that model with --base"
        )
    network = GroundingNetwork(config, build_backbone(backbone, base=source))
    found = network.backbone.pretrained()
    if found and not inside.is_dir() and folder_digest(found) != backbone.base_sha256:
        raise BundleDamagedError(
            f"{source} is not the model that the bundle at {path} was trained beside; give that one"
        )
    return network


def _learned_base(network: GroundingNetwork) -> dict[str, Tensor]:
    """Pretrained weights that learned: they come from their own folder, not from `weights.safetensors`."""
    return {name: value for name, value in network.learned_state().items() if in_base(name)}


def in_base(name: str) -> bool:
    """Whether a weight lies in the folder of pretrained weights rather than in `weights.safetensors`."""
    return name.startswith("backbone.base.") and "lora_" not in name


def folder_digest(folder: Path) -> str:
    """SHA-256 over names and contents of the files of pretrained weights; about a second per gigabyte."""
    total = hashlib.sha256()
    for path in sorted(p for p in folder.iterdir() if p.suffix in {".json", ".txt", ".safetensors"}):
        total.update(f"{path.name} {sha256_of(path)}\n".encode())
    return total.hexdigest()


def _strip(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def parse(kind: type[Part], path: Path) -> Part:
    """A part of the bundle from its JSON file.

    Raises:
        BundleMissingError: if it is absent.
        BundleDamagedError: if it cannot be parsed.
    """
    try:
        return kind.model_validate_json(path.read_bytes())
    except OSError as error:
        raise BundleMissingError(f"{path.name} is missing from the bundle at {path.parent}") from error
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise BundleDamagedError(f"{path.name} in the bundle at {path.parent} cannot be parsed: {reason}") from error


def sha256_of(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
