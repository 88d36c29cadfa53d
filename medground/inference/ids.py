"""Identifiers that depend on what was asked of which pixels, and on nothing else.

The same instances, question, bundle and settings give the same id on every machine and under every file name, so a
review stays attached to its finding when the question is asked again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from medground.schema.result import ModelInfo, Settings

_LENGTH = 24  # hexadecimal digits, 96 bits: no collision in any archive, short enough to read aloud


def file_digest(data: bytes) -> str:
    """SHA-256 of a file's bytes in hexadecimal: what a plain picture is known by."""
    return hashlib.sha256(data).hexdigest()


def instance_key(sop_instance_uid: str | None, source: Path | bytes) -> str:
    """What an image is known by: its SOP Instance UID, or the digest of the file where it has none."""
    if sop_instance_uid:
        return sop_instance_uid
    return file_digest(source if isinstance(source, bytes) else source.read_bytes())


def result_id(studies: Iterable[Iterable[str]], queries: Sequence[str], model: ModelInfo, settings: Settings) -> str:
    """Id of a whole result.

    Args:
        studies: instance keys of each study, in any order.
        queries: the questions in the order asked.
        model: the model that answered.
        settings: what else the result depends on.

    Returns:
        24 hexadecimal digits.
    """
    return _digest("result", sorted(sorted(keys) for keys in studies), list(queries), *_basis(model, settings))


def answer_id(instances: Iterable[str], query: str, model: ModelInfo, settings: Settings) -> str:
    """Id of the answer to one question about one study; `instances` are its instance keys in any order."""
    return _digest("answer", sorted(instances), query, *_basis(model, settings))


def finding_id(answer: str, instance: str, frame: int, concept: str, rank: int) -> str:
    """Id of a finding.

    The rank stands for the box: coordinates differ in the last bits between processors, the order does not.

    Args:
        answer: id of the answer it belongs to.
        instance: key of the image it lies on.
        frame: 1-based frame.
        concept: vocabulary key.
        rank: place in the answer, 0 for the best score.

    Returns:
        24 hexadecimal digits.
    """
    return _digest("finding", answer, instance, frame, concept, rank)


def _basis(model: ModelInfo, settings: Settings) -> tuple[str, dict[str, object]]:
    return model.sha256, settings.model_dump(mode="json")


def _digest(*parts: object) -> str:
    canonical = json.dumps(parts, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:_LENGTH]
