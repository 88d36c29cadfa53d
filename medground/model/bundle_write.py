"""Writing a bundle: whole or not at all. What the files are stands in `bundle`."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, float32

from medground.model.backbones.compact import CompactBackbone
from medground.model.bundle import Bundle, folder_digest, in_base
from medground.model.bundle_facts import BASE, Manifest, sha256_of
from medground.model.cases_file import write_cases
from medground.model.config import ModelConfig, QwenBackboneConfig
from medground.model.network import GroundingNetwork
from medground.schema.errors import BundleError

MAX_FILE_BYTES = 15 * 2**20


def save_bundle(bundle: Bundle, folder: Path) -> str:
    """Writes a bundle beside `folder` and renames it into place.

    Returns:
        The SHA-256 of the manifest, by which results name the model.

    Raises:
        ValueError: if a file of a compact model would exceed 15 MiB.
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
    return sha256_of(folder / "manifest.json")


def round_as_stored(network: GroundingNetwork) -> None:
    """Rounds the weights to what a bundle stores, so that what is calibrated is what is served."""
    state = network.learned_state()
    network.load_learned_state({n: v if in_base(n) else _half(v).to(v.dtype) for n, v in state.items()})


def _write(bundle: Bundle, partial: Path) -> None:
    network = bundle.network
    learned = {name: value for name, value in network.learned_state().items() if not in_base(name)}
    tensors = {f"network.{name}": _half(value).contiguous() for name, value in learned.items()}
    for name in ("means_MC", "precisions_MCC", "distances_MR"):
        tensors[f"familiarity.{name}"] = getattr(bundle.familiarity, name).contiguous()
    if isinstance(network.backbone, CompactBackbone):
        # Its own `save` tells of a full disk by a bare Exception.
        (partial / "tokenizer.json").write_text(network.backbone.tokenizer.to_str(pretty=False), encoding="utf-8")
    config = _config(network, partial)
    save_file(tensors, partial / "weights.safetensors")
    for name, part in (
        ("config", config),
        ("vocabulary", bundle.vocabulary),
        ("scope", bundle.scope),
        ("calibration", bundle.calibration),
    ):
        (partial / f"{name}.json").write_text(part.model_dump_json(indent=1) + "\n", encoding="utf-8")
    summary = json.dumps(bundle.summary, indent=1, ensure_ascii=False, sort_keys=True)
    (partial / "training_summary.json").write_text(summary + "\n", encoding="utf-8")
    write_cases(bundle.cases, partial, bundle.vocabulary)
    files = sorted(path for path in partial.rglob("*") if path.is_file())
    too_large = [path.name for path in files if path.stat().st_size > MAX_FILE_BYTES]
    if too_large and isinstance(network.backbone, CompactBackbone):
        raise ValueError(f"bundle files {too_large} exceed 15 MiB; make the model smaller")
    manifest = Manifest(
        name=bundle.info.name,
        version=bundle.info.version,
        trained_on=bundle.info.trained_on,
        files={path.relative_to(partial).as_posix(): sha256_of(path) for path in files},
    )
    (partial / "manifest.json").write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")


def _config(network: GroundingNetwork, partial: Path) -> ModelConfig:
    """The sizes; of pretrained weights only name and digest, and the weights themselves where they learned."""
    backbone = network.config.backbone
    if not isinstance(backbone, QwenBackboneConfig):
        return network.config
    weights = network.backbone.pretrained()
    if not network.backbone.given():
        weights = partial / BASE
        network.backbone.save_pretrained(weights)
    digest = folder_digest(weights) if weights else ""
    source = Path(backbone.source)
    name = source.name if source.is_dir() else backbone.source  # a hub id is whole, a folder is somebody's own
    named = backbone.model_copy(update={"source": name, "base_sha256": digest})
    return network.config.model_copy(update={"backbone": named})


def _put_in_place(partial: Path, folder: Path) -> None:
    """Readable for everybody, under its name, whole."""
    partial.chmod(0o755)
    for path in partial.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    if folder.exists():
        retired = folder.with_name(f".{folder.name}.retired")
        shutil.rmtree(retired, ignore_errors=True)
        folder.rename(retired)
        partial.rename(folder)
        shutil.rmtree(retired)
    else:
        partial.rename(folder)


def _half(value: Tensor) -> Tensor:
    """Kernels and matrices in half precision; vectors (norms, biases, scales) stay as they are."""
    return value.half() if value.dtype == float32 and value.ndim > 1 else value
