"""The bundle: everything a model needs to answer, in a folder whose manifest holds the SHA-256 of every file.

manifest.json          name, version, digests
config.json            ModelConfig
weights.safetensors    network and familiarity
tokenizer.json         text encoder's tokenizer
vocabulary.json        names and codes
scope.json             what it was trained for, thresholds
calibration.json       logistic curves
training_summary.json  data, budget, figures
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from medground.model.calibration import Calibration
from medground.model.config import ModelConfig
from medground.model.familiarity import Familiarity
from medground.model.network import GroundingNetwork, channels_last
from medground.model.scope import Scope
from medground.schema.config import StrictConfig
from medground.schema.errors import BundleDamagedError, BundleError, BundleMissingError
from medground.schema.result import ModelInfo
from medground.schema.vocabulary import Vocabulary

SHIPPED = "compact"
MAX_FILE_BYTES = 15 * 2**20
Part = TypeVar("Part", bound=StrictConfig)


class Manifest(StrictConfig):
    """Name, version, training data sets, and file name to SHA-256."""

    format: int = 1
    name: str
    version: str
    trained_on: tuple[str, ...]
    files: dict[str, str]


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle in memory."""

    info: ModelInfo
    network: GroundingNetwork
    tokenizer: Tokenizer
    vocabulary: Vocabulary
    scope: Scope
    calibration: Calibration
    familiarity: Familiarity
    summary: dict[str, Any]


def shipped_bundle_path() -> Path:
    """The bundle that comes with the package."""
    return Path(str(resources.files("medground") / "bundles" / SHIPPED))


def save_bundle(bundle: Bundle, folder: Path) -> str:
    """Writes a bundle beside `folder` and renames it into place.

    Returns:
        The SHA-256 of the manifest, by which results name the model.

    Raises:
        ValueError: if a file would exceed 15 MiB.
        BundleError: if it cannot be written, e.g. on a full disk; a bundle that was there before still is.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".bundle-", dir=folder.parent))
    try:
        _write(bundle, partial)
        _put_in_place(partial, folder)
    except (OSError, SafetensorError) as error:
        raise BundleError(f"the bundle {folder.name} cannot be written ({error}); make room and try again") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return _sha256(folder / "manifest.json")


def _write(bundle: Bundle, partial: Path) -> None:
    tensors = {f"network.{name}": _half(value).contiguous() for name, value in bundle.network.state_dict().items()}
    for name in ("means_MC", "precisions_MCC", "distances_MR"):
        tensors[f"familiarity.{name}"] = getattr(bundle.familiarity, name).contiguous()
    save_file(tensors, partial / "weights.safetensors")
    bundle.tokenizer.save(str(partial / "tokenizer.json"), pretty=False)
    for name, part in (
        ("config", bundle.network.config),
        ("vocabulary", bundle.vocabulary),
        ("scope", bundle.scope),
        ("calibration", bundle.calibration),
    ):
        (partial / f"{name}.json").write_text(part.model_dump_json(indent=1) + "\n", encoding="utf-8")
    summary = json.dumps(bundle.summary, indent=1, ensure_ascii=False, sort_keys=True)
    (partial / "training_summary.json").write_text(summary + "\n", encoding="utf-8")
    too_large = [path.name for path in partial.iterdir() if path.stat().st_size > MAX_FILE_BYTES]
    if too_large:
        raise ValueError(f"bundle files {too_large} exceed 15 MiB; make the model smaller")
    manifest = Manifest(
        name=bundle.info.name,
        version=bundle.info.version,
        trained_on=bundle.info.trained_on,
        files={path.name: _sha256(path) for path in sorted(partial.iterdir())},
    )
    (partial / "manifest.json").write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")


def _put_in_place(partial: Path, folder: Path) -> None:
    """Readable for everybody, under its name, whole."""
    partial.chmod(0o755)
    for path in partial.iterdir():
        path.chmod(0o644)
    if folder.exists():
        retired = folder.with_name(f".{folder.name}.retired")
        shutil.rmtree(retired, ignore_errors=True)
        folder.rename(retired)
        partial.rename(folder)
        shutil.rmtree(retired)
    else:
        partial.rename(folder)


def _half(value: torch.Tensor) -> torch.Tensor:
    """Kernels and matrices in half precision; vectors (norms, biases, scales) stay as they are."""
    return value.half() if value.dtype == torch.float32 and value.ndim > 1 else value


def round_as_stored(network: GroundingNetwork) -> None:
    """Rounds the weights to what a bundle stores, so that what is calibrated is what is served."""
    network.load_state_dict({name: _half(value).to(value.dtype) for name, value in network.state_dict().items()})


def read_bundle(folder: Path | None = None) -> Bundle:
    """Reads and checks a bundle; the shipped one by default.

    Raises:
        BundleMissingError: if the folder or a file of it is absent.
        BundleDamagedError: if a file differs from the manifest or cannot be parsed.
    """
    path = folder or shipped_bundle_path()
    if not (path / "manifest.json").is_file():
        raise BundleMissingError(
            f"there is no model bundle at {path}; give one with --bundle or install medground anew"
        )
    manifest = _parse(Manifest, path / "manifest.json")
    for name, digest in manifest.files.items():
        if Path(name).name != name:
            raise BundleDamagedError(f"the bundle's manifest names {name!r}, which is not a file of the bundle")
        if not (path / name).is_file():
            raise BundleMissingError(f"{name} is missing from the bundle at {path}; install the bundle anew")
        if _sha256(path / name) != digest:
            raise BundleDamagedError(
                f"{name} in the bundle at {path} differs from its manifest; it was changed or damaged: install it anew"
            )
    config = _parse(ModelConfig, path / "config.json")
    network = GroundingNetwork(config)
    try:
        stored = load_file(path / "weights.safetensors")
        tensors = {name: value.float() if value.is_floating_point() else value for name, value in stored.items()}
        network.load_state_dict(_strip(tensors, "network."))
        familiarity = Familiarity(**_strip(tensors, "familiarity."))
        tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
        summary = json.loads((path / "training_summary.json").read_text(encoding="utf-8"))
    except (SafetensorError, RuntimeError, TypeError, ValueError, OSError) as error:
        raise BundleDamagedError(f"the bundle at {path} cannot be read: {str(error).splitlines()[0]}") from error
    network.eval().requires_grad_(False)
    channels_last(network)
    info = ModelInfo(
        name=manifest.name,
        version=manifest.version,
        sha256=_sha256(path / "manifest.json"),
        trained_on=manifest.trained_on,
    )
    return Bundle(
        info,
        network,
        tokenizer,
        _parse(Vocabulary, path / "vocabulary.json"),
        _parse(Scope, path / "scope.json"),
        _parse(Calibration, path / "calibration.json"),
        familiarity,
        summary,
    )


def _strip(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _parse(kind: type[Part], path: Path) -> Part:
    try:
        return kind.model_validate_json(path.read_bytes())
    except OSError as error:
        raise BundleMissingError(f"{path.name} is missing from the bundle at {path.parent}") from error
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise BundleDamagedError(f"{path.name} in the bundle at {path.parent} cannot be parsed: {reason}") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
