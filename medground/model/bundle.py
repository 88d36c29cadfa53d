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
cases.json, .safetensors  lesions that it learnt from, to be shown beside what is like them; may be absent
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, float16

from medground.model.backbones.build import build_backbone
from medground.model.bundle_facts import BASE, parse, read_facts, sha256_of, shipped_bundle_path
from medground.model.calibration import Calibration
from medground.model.cases import Cases
from medground.model.config import ModelConfig, QwenBackboneConfig
from medground.model.familiarity import Familiarity
from medground.model.network import GroundingNetwork, channels_last
from medground.model.roi import SAMPLES
from medground.model.scope import Scope
from medground.schema.anatomy import Domain
from medground.schema.errors import BundleDamagedError, BundleMissingError
from medground.schema.result import ModelInfo
from medground.schema.vocabulary import Vocabulary


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
    cases: Cases = field(default_factory=Cases)

    def is_added(self, concept: str) -> bool:
        """Whether a class was added after training."""
        classes = self.network.config.classes
        return concept in classes and bool(self.network.prototypes.added_C[classes.index(concept)])

    def may_show_cases(self, concept: str, domain: Domain) -> bool:
        """Whether findings of a class on a kind of image are shown with cases, where there are some: it is rare."""
        entry = self.scope.find(concept, domain)
        return self.is_added(concept) or (entry is not None and entry.is_rare)


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
        _check_cases(facts.cases, network)
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
        facts.cases,
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


def _check_cases(cases: Cases, network: GroundingNetwork) -> None:
    width, wanted = cases.features_ND.shape[1], network.backbone.width * SAMPLES**2
    if cases.known and width != wanted:
        raise ValueError(f"its cases have features of {width} numbers, and its network makes {wanted}")


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
