"""A trained Qwen backbone on disk: what training changed, and the SHA-256 of the pretrained weights it belongs to.

qwen.json             configuration, mode, digest of the base
trained.safetensors   levels, phrases, describer, adapters
base/                 the pretrained weights, in mode `full` or if asked for
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from medground.model.backbones.qwen_config import Mode, QwenConfig
from medground.model.backbones.qwen_vl import QwenVl, load_qwen
from medground.schema.config import StrictConfig
from medground.schema.errors import BundleDamagedError, BundleError, BundleMissingError, UsageError

PARTS = ("*.json", "*.txt", "*.safetensors")


class StoredQwen(StrictConfig):
    """What `qwen.json` says."""

    format: int = 1
    family: str
    mode: Mode
    config: QwenConfig
    base_sha256: str
    base_inside: bool


def base_digest(folder: Path) -> str:
    """SHA-256 over names and contents of the files of a base that answers depend on; about a second per gigabyte."""
    total = hashlib.sha256()
    for path in sorted({path for pattern in PARTS for path in folder.glob(pattern)}):
        with path.open("rb") as file:
            total.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return total.hexdigest()


def save_qwen(model: QwenVl, folder: Path, *, with_base: bool = False) -> None:
    """Writes a trained backbone beside `folder` and renames it into place.

    Args:
        model: of any mode; in mode `full` its base goes along.
        folder: must not exist.
        with_base: put the base in as well.

    Raises:
        UsageError: if the folder exists.
        BundleError: if it cannot be written; nothing is left behind.
    """
    if folder.exists():
        raise UsageError(f"{folder.name} exists already; choose another name")
    inside = with_base or model.mode is Mode.FULL
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".qwen-", dir=folder.parent))
    try:
        save_file(
            {name: t.contiguous() for name, t in model.trained_tensors().items()}, partial / "trained.safetensors"
        )
        if inside:
            _save_base(model, partial / "base")
        said = StoredQwen(
            family=model.base.config.model_type,
            mode=model.mode,
            config=model.config,
            base_sha256=base_digest(partial / "base" if inside else model.folder),
            base_inside=inside,
        )
        (partial / "qwen.json").write_text(said.model_dump_json(indent=1) + "\n", encoding="utf-8")
        partial.chmod(0o755)
        partial.rename(folder)
    except (OSError, SafetensorError) as error:
        raise BundleError(f"{folder.name} cannot be written ({error}); make room and try again") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _save_base(model: QwenVl, folder: Path) -> None:
    """The pretrained weights: those in memory where they learned, else the files they came from."""
    folder.mkdir()
    if model.mode is Mode.FULL:
        model.base.save_pretrained(folder)
        model.processor.tokenizer.save_pretrained(folder)
        model.processor.image_processor.save_pretrained(folder)
        return
    for path in sorted(path for pattern in PARTS for path in model.folder.glob(pattern)):
        shutil.copyfile(path, folder / path.name)


def read_qwen(folder: Path, *, base: str | Path | None = None, dtype: torch.dtype = torch.bfloat16) -> QwenVl:
    """A trained backbone as it was saved, in evaluation mode.

    Args:
        folder: as `save_qwen` wrote it.
        base: the pretrained weights, where they are not inside.
        dtype: of the towers; answers are identical only in the precision of training.

    Raises:
        BundleMissingError: if a file or the base is absent.
        BundleDamagedError: if a file cannot be read, or the base is not the one it was trained on.
    """
    try:
        said = StoredQwen.model_validate_json((folder / "qwen.json").read_bytes())
        tensors = load_file(folder / "trained.safetensors")
    except FileNotFoundError as error:
        raise BundleMissingError(f"{folder} lacks a file of a trained Qwen backbone; save it anew") from error
    except (ValidationError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise BundleDamagedError(f"the trained Qwen backbone at {folder} cannot be read: {reason}") from error
    source = folder / "base" if said.base_inside else base
    if source is None:
        raise BundleMissingError(f"{folder} was trained beside a {said.family} model; give that model as base")
    model = load_qwen(source, mode=said.mode, dtype=dtype, config=said.config)
    if base_digest(model.folder) != said.base_sha256:
        raise BundleDamagedError(f"{source} is not the model that {folder.name} was trained beside; give that one")
    model.load_trained_tensors(tensors)
    return model.eval()
