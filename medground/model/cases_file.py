"""The files of cases in a bundle, and reading them with a limit to everything.

cases.json          what is known of each case
cases.safetensors   `features` (N, D), float16, and `picture.ID` (rows, columns), uint8, of those that have one
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load, save

from medground.imaging.thumbnail import LARGEST_PX
from medground.model.cases import MOST_CASES, Case, Cases, Picture
from medground.schema.config import StrictConfig
from medground.schema.errors import BundleDamagedError, BundleError
from medground.schema.vocabulary import Vocabulary

WORDS_FILE: Final = "cases.json"
NUMBERS_FILE: Final = "cases.safetensors"
CASE_FILES: Final = (WORDS_FILE, NUMBERS_FILE)
MOST_BYTES: Final = {WORDS_FILE: 2**20, NUMBERS_FILE: 15 * 2**20}
_MOST_WIDE = 16_384
_FEATURES, _PICTURE = "features", "picture."


class _Listed(StrictConfig):
    cases: tuple[Case, ...] = Field(max_length=MOST_CASES)


def write_cases(cases: Cases, folder: Path, vocabulary: Vocabulary) -> None:
    """Write the two files; nothing where there are no cases.

    Args:
        cases: of the bundle.
        folder: of the bundle.
        vocabulary: of the bundle; a case is of a finding in it.

    Raises:
        BundleError: they would be too large, or could not be read again; nothing was written.
    """
    if not cases.known:
        return
    arrays = {_FEATURES: np.ascontiguousarray(cases.features_ND)}
    arrays |= {f"{_PICTURE}{key}": np.ascontiguousarray(picture) for key, picture in cases.pictures.items()}
    try:
        words = (_Listed(cases=cases.known).model_dump_json(indent=1) + "\n").encode()
        contents = {WORDS_FILE: words, NUMBERS_FILE: save(arrays)}
        for name, content in contents.items():
            if len(content) > MOST_BYTES[name]:
                raise BundleError(
                    f"{name} would have {len(content)} bytes, at most {MOST_BYTES[name]} are read: keep fewer cases"
                )
        _parsed(words, contents[NUMBERS_FILE], vocabulary)
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise BundleError(f"the cases could not be read again: {_why(error)[:200]}") from error
    for name, content in contents.items():
        (folder / name).write_bytes(content)


def read_cases(folder: Path, vocabulary: Vocabulary) -> Cases:
    """Read the two files of a bundle.

    Args:
        folder: of the bundle.
        vocabulary: of the bundle; a case is of a finding in it.

    Raises:
        BundleDamagedError: a file is absent, too large, or holds anything but what it should.
    """
    try:
        words, numbers = (_content(folder / name) for name in CASE_FILES)
        return _parsed(words, numbers, vocabulary)
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        raise BundleDamagedError(f"the cases of the bundle at {folder} cannot be read: {_why(error)[:200]}") from error


def _parsed(words: bytes, numbers: bytes, vocabulary: Vocabulary) -> Cases:
    known = _Listed.model_validate_json(words).cases
    arrays: dict[str, NDArray[np.generic]] = load(numbers)
    return _checked(known, arrays, vocabulary)


def _why(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return f"{WORDS_FILE}: {error.errors()[0]['msg']}"
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(MOST_BYTES[path.name] + 1)
    if len(content) > MOST_BYTES[path.name]:
        raise ValueError(f"{path.name} has more than {MOST_BYTES[path.name]} bytes")
    return content


def _checked(known: tuple[Case, ...], arrays: dict[str, NDArray[np.generic]], vocabulary: Vocabulary) -> Cases:
    """The cases, if files and entries agree.

    Raises:
        ValueError: they do not.
    """
    if len({one.id for one in known}) != len(known):
        raise ValueError("a case is there twice")
    named = {concept.key for concept in vocabulary.concepts}
    stranger = next((one.concept for one in known if one.concept not in named), None)
    if stranger is not None:
        raise ValueError(f"a case is of {stranger[:40]!r}, which the vocabulary lacks")
    features = arrays.pop(_FEATURES)
    if features.dtype != np.float16 or features.ndim != 2 or len(features) != len(known):
        raise ValueError(f"features are {features.dtype} of {features.shape}, for {len(known)} cases")
    if not 0 < features.shape[1] <= _MOST_WIDE or not np.isfinite(features.astype(np.float32)).all():
        raise ValueError("features are too wide, or not finite")
    pictures: dict[str, NDArray[np.uint8]] = {}
    for one in known:
        if (one.picture is Picture.KEPT) != (one.box_xyxy_px is not None):
            raise ValueError(f"case {one.id} has a picture or a box, and not both")
        if one.box_xyxy_px is not None:
            pictures[one.id] = _picture(arrays.pop(f"{_PICTURE}{one.id}"), one.box_xyxy_px)
    if arrays:
        raise ValueError(f"{len(arrays)} arrays belong to no case")
    return Cases(known, features.astype(np.float16), pictures)


def _picture(picture: NDArray[np.generic], box: tuple[float, float, float, float]) -> NDArray[np.uint8]:
    if picture.dtype != np.uint8 or picture.ndim != 2 or not 0 < min(picture.shape) <= max(picture.shape) <= LARGEST_PX:
        raise ValueError(f"a picture is {picture.dtype} of {picture.shape}")
    x1, y1, x2, y2 = box
    if not (0 <= x1 < x2 <= picture.shape[1] and 0 <= y1 < y2 <= picture.shape[0]):  # also refuses NaN
        raise ValueError("a box leaves its picture")
    return picture.astype(np.uint8)
