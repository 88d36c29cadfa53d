"""`bom.cdx.json`: model, data, packages and training as a CycloneDX 1.6 bill of materials.

Source: OWASP, CycloneDX Specification 1.6 (ECMA-424), machine-learning bill of materials.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from types import MappingProxyType
from typing import Any

from medground.cards.contents import CardFacts
from medground.cards.forms.cyclonedx_parts import (
    DATA,
    MODEL,
    data_components,
    file_reference,
    licensed,
    packages,
    properties,
    purl_of,
    training,
)
from medground.cards.forms.figures import Figure, error_figures_of, figures_of, group_figures_of, part_of
from medground.cards.forms.reading import NotPlainError, has_members, parse_json, values_of, written_json
from medground.cards.rounding import shown

SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"
OWN = "medground"
_MEMBERS = MappingProxyType(
    {
        **dict.fromkeys(("$schema", "bomFormat", "specVersion", "serialNumber"), str),
        "version": int,
        "metadata": dict,
        **dict.fromkeys(("components", "dependencies", "formulation"), list),
    }
)


def bom_of(facts: CardFacts) -> bytes:
    """The card as a bill of materials; equal facts give equal bytes.

    Args:
        facts: of the card.
    """
    return written_json(
        {
            "$schema": SCHEMA,
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'urn:sha256:{facts.model.sha256}')}",
            "version": 1,
            "metadata": _metadata(facts),
            "components": [*data_components(facts), *packages(facts.versions)],
            "dependencies": list(_dependencies(facts)),
            "formulation": [training(facts)],
        }
    )


def bom_problems(content: bytes) -> list[str]:
    """What is wrong with a `bom.cdx.json`, as far as can be seen without the schema.

    Args:
        content: of the file.

    Returns:
        Whether it is no CycloneDX 1.6, names a part twice, or refers to a part that is not in it.
    """
    try:
        bom = parse_json(content)
    except NotPlainError as error:
        return [str(error)]
    if not has_members(bom, _MEMBERS):
        return [f"its members are not {', '.join(_MEMBERS)}, or of another type"]
    found = []
    if (bom["bomFormat"], bom["specVersion"], bom["$schema"]) != ("CycloneDX", "1.6", SCHEMA):
        found.append("it is no CycloneDX 1.6")
    names = list(values_of(bom, "bom-ref"))
    if not all(isinstance(name, str) for name in names) or len(names) != len(set(map(str, names))):
        found.append("it names a part twice")
    wanted = [*values_of(bom, "ref"), *(ref for refs in values_of(bom, "dependsOn") for ref in _listed(refs))]
    found += [
        f"it refers to {ref}, which is not in it" for ref in sorted({str(ref) for ref in wanted} - {*map(str, names)})
    ]
    if written_json(bom) != content:
        found.append("it is written in another form")
    return found


def _listed(refs: Any) -> list[Any]:
    return refs if isinstance(refs, list) else [refs]


def _metadata(facts: CardFacts) -> dict[str, Any]:
    versions = facts.versions
    code = properties({"commit": versions.commit, "uncommitted": str(versions.uncommitted).lower()})
    tool = {"type": "application", "name": OWN, "version": versions.medground, "properties": code}
    return {
        "timestamp": versions.collected_at,
        "tools": {"components": [tool]},
        "component": _model(facts),
    }


def _model(facts: CardFacts) -> dict[str, Any]:
    model = facts.model
    weights = [
        {"type": "file", "bom-ref": "weights", "name": "weights.safetensors", "hashes": _hashes(model.weights_sha256)}
    ]
    return {
        "type": "machine-learning-model",
        "bom-ref": MODEL,
        "authors": [{"name": facts.developer}],
        "name": model.name,
        "version": model.version,
        "description": facts.summary,
        "hashes": _hashes(model.sha256),
        "licenses": licensed(model.licence),
        "externalReferences": [
            {"type": "model-card", "url": "MODEL_CARD.md"},
            *(file_reference(file) for file in facts.files),
        ],
        **({"components": weights} if model.weights_sha256 else {}),
        "modelCard": _card(facts),
        "properties": properties(
            {
                "regulatory": facts.regulatory,
                "hash": "SHA-256 of the bundle's manifest, which names every file of it with its hash",
                "parameters": model.parameters,
                "weights_bytes": model.weights_bytes,
                "image_size_px": model.image_size_px,
                "languages": ", ".join(model.languages),
            }
        ),
    }


def _hashes(sha256: str | None) -> list[dict[str, str]]:
    return [{"alg": "SHA-256", "content": sha256}] if sha256 else []


def _card(facts: CardFacts) -> dict[str, Any]:
    return {
        "modelParameters": {
            "approach": {"type": "supervised"},
            "task": "visual grounding: boxes and a verdict for a question about an image",
            "architectureFamily": facts.model.kind,
            "datasets": [{"ref": f"{DATA}{data.key}"} for data in facts.training_data],
            "inputs": [{"format": "image"}, {"format": "text"}],
            "outputs": [{"format": "boxes with scores"}, {"format": "verdict with a probability"}],
        },
        "quantitativeAnalysis": {"performanceMetrics": list(_metrics(facts))},
        "considerations": {
            "users": list(facts.users),
            "useCases": list(facts.intended_use),
            "technicalLimitations": [
                *(weakness.words for weakness in facts.weaknesses),
                *(f"Not for: {words}" for words in facts.out_of_scope),
                *(f"Never shown: {words}" for words in facts.never_shown),
            ],
            "ethicalConsiderations": [{"name": words} for words in facts.ethics],
            "fairnessAssessments": [
                {"groupAtRisk": "groups of people", "harms": weakness.words}
                for weakness in facts.weaknesses
                if weakness.rule in ("groups", "people unknown")
            ],
        },
        "properties": properties({"oversight": "\n".join(facts.oversight), "compute": facts.compute.words}),
    }


def _metrics(facts: CardFacts) -> Iterator[dict[str, Any]]:
    """Unrounded: a figure as the shortest digits that give the same number back."""
    for one in facts.evaluations:
        for figure in (*figures_of(facts, one), *error_figures_of(one), *group_figures_of(facts, one)):
            yield {
                "type": figure.kind,
                "value": repr(figure.value),
                "slice": f"{part_of(one)}: {figure.about} (n = {_counted(figure)})",
                "confidenceInterval": {"lowerBound": repr(figure.low), "upperBound": repr(figure.high)},
            }


def _counted(figure: Figure) -> str:
    images = "" if figure.images is None else f"{shown(figure.images)} images, "
    return f"{images}{shown(figure.counted)} {figure.unit}"


def _dependencies(facts: CardFacts) -> Iterator[dict[str, Any]]:
    versions = facts.versions
    known = {name: purl_of(name, version) for name, version in versions.packages.items()}
    own = [known[OWN]] if OWN in known else []
    yield {"ref": MODEL, "dependsOn": [*(f"{DATA}{data.key}" for data in facts.training_data), *own]}
    for name, ref in sorted(known.items()):
        needed = sorted({known[other] for other in versions.requires.get(name, ()) if other in known} - {ref})
        yield {"ref": ref, **({"dependsOn": needed} if needed else {})}
