"""Bundles of format 1 (version 0.1) read as those of today: their weights had other names, their sizes other places."""

from __future__ import annotations

from typing import Any

from torch import Tensor

FORMAT = 2
_MOVED = {"text.": "backbone.text.", "backbone.": "backbone.pyramid."} | {
    f"{name}.": f"backbone.{name}." for name in ("describer", "describer_region")
}


def upgraded_config(config: dict[str, Any], written: int) -> dict[str, Any]:
    """The model's sizes in today's form.

    Raises:
        ValueError: if the bundle is of a later format than this program.
    """
    if written > FORMAT:
        raise ValueError(f"it is of format {written}; this medground reads up to {FORMAT}: install a newer one")
    if written == FORMAT:
        return config
    new = dict(config)
    old = new.pop("backbone")
    stem, *channels = old["channels"]
    new["backbone"] = {
        "kind": "compact",
        "stem_width": stem,
        "channels": channels,
        "blocks": old["blocks"],
        "pyramid_width": old["pyramid_width"],
        "activation": "silu",
        "separable": False,
        "text": new.pop("text"),
        "describer": new.pop("describer"),
    }
    new["head"] = {**new["head"], "activation": "silu"}
    return new


def upgraded_weights(weights: dict[str, Tensor], written: int) -> dict[str, Tensor]:
    """The weights under today's names."""
    if written == FORMAT:
        return weights
    return {_renamed(name): value for name, value in weights.items()}


def _renamed(name: str) -> str:
    for old, new in _MOVED.items():
        if name.startswith(old):
            return new + name.removeprefix(old)
    return name
