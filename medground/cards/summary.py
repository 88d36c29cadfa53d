"""What facts take from the configuration and the training summary of a bundle: each of its type, or refused by name."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from medground.schema.errors import CardError


class _Part(BaseModel):
    """Members that facts read are of their type; others may be anything."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class _Backbone(_Part):
    kind: str = ""


class _Config(_Part):
    image_size_px: int = Field(gt=0)
    backbone: _Backbone = _Backbone()


class _Stage(_Part):
    name: str
    steps: int
    trainable: list[str] = []
    pools: list[str] = []


class _Recipe(_Part):
    name: str | None = None
    seed: int | None = None
    batch: int | None = None
    stages: list[_Stage] = []


class _Summary(_Part):
    pools: dict[str, dict[str, int]] = {}
    parts: dict[str, dict[str, int]] = {}
    recipe: _Recipe = _Recipe()
    recipe_sha256: str | None = None
    seconds_this_call: float | None = None
    versions: dict[str, str] = {}


_KINDS: dict[str, type[_Part]] = {"config.json": _Config, "training_summary.json": _Summary}


def require_types(tree: dict[str, Any], name: str) -> dict[str, Any]:
    """Gives the tree back if facts can be computed from it.

    Args:
        tree: the JSON object of the file.
        name: of the file; `config.json` or `training_summary.json`.

    Raises:
        CardError: a member that facts read is missing or of another type.
    """
    try:
        _KINDS[name].model_validate(tree)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise CardError(f"{name} in the evidence cannot be read: {where}: {first['msg']}") from None
    return tree
