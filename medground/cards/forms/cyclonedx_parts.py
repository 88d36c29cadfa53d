"""The parts of a bill of materials beside the model: data, packages, and how the model was trained."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from medground.cards.contents import CardFacts, DataFacts, EvidenceFile, StageFacts, Versions
from medground.cards.forms.figures import part_of
from medground.cards.forms.licences import spdx_expression, spdx_id
from medground.cards.results import Evaluation

MODEL, DATA, STAGE, MEASURED = "model", "data:", "stage:", "measured:"
"""What references begin with."""
PREFIX = "medground:"
"""Of the names of properties."""


def purl_of(name: str, version: str) -> str:
    """The package URL of a Python package.

    Args:
        name: as it is called.
        version: a local label (`+cpu`) included.

    Source: package-url/purl-spec, types, `pypi`.
    """
    return f"pkg:pypi/{quote(re.sub(r'_', '-', name).lower())}@{quote(version, safe='')}"


def licensed(words: str | None) -> list[dict[str, Any]]:
    """A licence by its SPDX identifier where that is certain, else in its maker's words.

    Args:
        words: of the maker; None if he does not say.
    """
    if not words:
        return []
    if expression := spdx_expression(words):
        return [{"expression": expression}]
    known = spdx_id(words)
    return [{"license": {"id": known} if known else {"name": words}}]


def properties(values: Mapping[str, object]) -> list[dict[str, str]]:
    """Properties by name; what is None is left out.

    Args:
        values: as they stand in the facts.
    """
    return [{"name": f"{PREFIX}{name}", "value": str(value)} for name, value in values.items() if value is not None]


def file_reference(file: EvidenceFile) -> dict[str, Any]:
    """A file of the evidence, with its hash.

    Args:
        file: of the card.
    """
    return {"type": "evidence", "url": quote(file.path), "hashes": [{"alg": "SHA-256", "content": file.sha256}]}


def packages(versions: Versions) -> Iterator[dict[str, Any]]:
    """A component for each package that the figures were computed with.

    Args:
        versions: of the card.
    """
    for name, version in sorted(versions.packages.items()):
        ref = purl_of(name, version)
        licences = licensed(versions.licences.get(name))
        yield {
            "type": "library",
            "bom-ref": ref,
            "name": name,
            "version": version,
            **({"licenses": licences} if licences else {}),
            "purl": ref,
        }


def data_components(facts: CardFacts) -> Iterator[dict[str, Any]]:
    """A component for each data set, trained on or measured.

    Args:
        facts: of the card.
    """
    files = {file.path: file for file in facts.files}
    for data in facts.training_data:
        yield _trained(data, files.get(f"evidence/data_cards/{data.key}.json"))
    for one in facts.evaluations:
        yield _measured(one, files.get(f"evidence/scenes/{one.name}.scene.json.gz"))


def _trained(data: DataFacts, file: EvidenceFile | None) -> dict[str, Any]:
    check = data.leak_check
    counts: dict[str, object] = {"synthetic": str(data.synthetic).lower(), "cite": data.cite}
    for part, count in data.parts.items():
        counts |= {f"{part}:{name}": getattr(count, name) for name in ("images", "patients", "boxes")}
    if check:
        counts |= {"leak_check": check.words, "leak_check:images": check.images, "leak_check:leaks": check.leaks}
    return {
        "type": "data",
        "bom-ref": f"{DATA}{data.key}",
        "name": data.title,
        "description": f"In it: {data.who} Not in it: {data.not_in}",
        "licenses": licensed(data.licence),
        **({"externalReferences": [file_reference(file)]} if file else {}),
        "data": [{"type": "dataset", "name": data.key, "contents": {"url": quote(data.source, safe="/:?#&=%~+,;@")}}],
        "properties": properties(counts),
    }


def _measured(one: Evaluation, file: EvidenceFile | None) -> dict[str, Any]:
    told = f"Measured; this part {one.touched}" if one.touched else "Measured, not trained on"
    counts = {"images": one.n_images, "patients": one.n_patients, "resamples": one.resamples, "seed": one.seed}
    return {
        "type": "data",
        "bom-ref": f"{MEASURED}{one.name}",
        "name": part_of(one),
        "description": f"{told}: {one.system}",
        **({"externalReferences": [file_reference(file)]} if file else {}),
        "data": [{"type": "dataset", "name": one.name}],
        "properties": properties({"synthetic": str(one.synthetic).lower(), **counts}),
    }


def training(facts: CardFacts) -> dict[str, Any]:
    """How the model was made: one workflow with a task for each stage, each after the one before.

    Args:
        facts: of the card.
    """
    refs = [f"{STAGE}{n}:{stage.name}" for n, stage in enumerate(facts.stages)]
    compute = facts.compute
    return {
        "bom-ref": "training",
        "workflows": [
            {
                "bom-ref": "training:workflow",
                "uid": facts.model.sha256,
                "name": compute.recipe or "training",
                "tasks": [_task(ref, stage) for ref, stage in zip(refs, facts.stages, strict=True)],
                "taskDependencies": [
                    {"ref": ref, **({"dependsOn": [refs[n - 1]]} if n else {})} for n, ref in enumerate(refs)
                ],
                "taskTypes": ["build"],
                "inputs": [{"resource": {"ref": f"{DATA}{data.key}"}} for data in facts.training_data],
                "outputs": [{"type": "artifact", "resource": {"ref": MODEL}}],
                "properties": properties(
                    {
                        "recipe_sha256": compute.recipe_sha256,
                        "seed": compute.seed,
                        "batch": compute.batch,
                        "last_call_seconds": compute.last_call_seconds,
                        **{f"version:{name}": version for name, version in facts.versions.training.items()},
                    }
                ),
            }
        ],
    }


def _task(ref: str, stage: StageFacts) -> dict[str, Any]:
    of = {
        "steps": stage.steps,
        "trainable": ", ".join(stage.trainable),
        "pools": ", ".join(stage.pools) or "everything",
    }
    return {
        "bom-ref": ref,
        "uid": ref,
        "name": stage.name,
        "taskTypes": ["build"],
        "properties": properties({**of, **stage.settings}),
    }
