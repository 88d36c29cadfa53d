"""What a bundle says of itself: name, version, words and scope, without its weights and without what reads those."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import TypeVar

from pydantic import ValidationError

from medground.model.cases import Cases
from medground.model.cases_file import CASE_FILES, read_cases
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
class BundleFacts:
    """What a bundle says of itself, without its weights."""

    info: ModelInfo
    vocabulary: Vocabulary
    scope: Scope
    cases: Cases = field(default_factory=Cases, compare=False)


def shipped_bundle_path() -> Path:
    """The bundle that comes with the package."""
    return Path(str(resources.files("medground") / "bundles" / SHIPPED))


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
    vocabulary = parse(Vocabulary, path / "vocabulary.json")
    has_cases = any(name in manifest.files for name in CASE_FILES)
    cases = read_cases(path, vocabulary) if has_cases else Cases()
    return BundleFacts(info, vocabulary, parse(Scope, path / "scope.json"), cases)


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
