"""The base of every configuration tree."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class StrictConfig(BaseModel):
    """A frozen pydantic model that refuses unknown keys, so a misspelt setting is an error and not a default."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)
