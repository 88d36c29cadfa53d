"""The facts of a card from its evidence: a pure function, without a clock, a machine or a network."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from medground.cards.checklists import checklist_of
from medground.cards.contents import (
    CardFacts,
    ClassCount,
    Compute,
    DataFacts,
    EvidenceFile,
    Method,
    ModelFacts,
    PoolCount,
    Setting,
    StageFacts,
    Thresholds,
    Versions,
)
from medground.cards.evidence import FOLDER, Evidence
from medground.cards.failures import failures_of
from medground.cards.measured import ON_A_CARD, Resampling, evaluation_of
from medground.cards.untouched import why_touched
from medground.cards.weaknesses import weaknesses_of
from medground.evaluation.detection import COCO_IOUS
from medground.evaluation.froc import FP_PER_IMAGE
from medground.evaluation.normal_images import FOUND
from medground.schema.rarity import RARE_REAL_BOXES

OVERLAP, LEVEL = 0.5, 0.95  # the defaults of `match` and `bootstrap_by_patient`
IMAGES = "images"  # in the counts of a pool, beside the findings
NOT_STATED = "not stated"
_NAMED = ("name", "steps", "trainable", "pools")

__all__ = ["CardFacts", "facts_of"]


def facts_of(evidence: Evidence, how: Resampling = ON_A_CARD) -> CardFacts:
    """Every number and sentence of the card; equal evidence gives equal facts.

    Args:
        evidence: read or collected.
        how: intervals are made; a card has the default.
    """
    names, scope, stated = evidence.names(), evidence.scope, evidence.stated
    measured = [
        evaluation_of(part, scene, scope, names, how, touched=why_touched(scene, evidence.summary))
        for part, scene in evidence.scenes.items()
    ]
    evaluations = tuple(sorted(measured, key=lambda one: (one.synthetic, one.name)))
    classes = _classes(evidence, names)
    facts = CardFacts(
        title=stated.title,
        summary=stated.summary,
        model=_model(evidence),
        thresholds=Thresholds(
            found=scope.found_threshold,
            not_found=scope.not_found_threshold,
            least_score=scope.default_min_score,
            least_familiarity=scope.min_familiarity,
            least_certainty_of_kind=scope.min_domain_probability,
        ),
        developer=stated.developer,
        contact=stated.contact,
        regulatory=stated.regulatory,
        intended_use=stated.intended_use,
        users=stated.users,
        out_of_scope=stated.out_of_scope,
        never_shown=stated.never_shown,
        oversight=stated.oversight,
        ethics=stated.ethics,
        method=Method(
            overlap=OVERLAP,
            overlaps=COCO_IOUS,
            level=LEVEL,
            found_share=FOUND,
            allowances=FP_PER_IMAGE,
            rare_below=RARE_REAL_BOXES,
        ),
        training_data=_data(evidence),
        classes=classes,
        pools=_pools(evidence.summary),
        stages=_stages(evidence),
        evaluations=evaluations,
        known_failures=failures_of(evidence.scenes, names, sorted(evidence.pictures)),
        weaknesses=weaknesses_of(evaluations, classes),
        compute=_compute(evidence),
        versions=_versions(evidence),
        changes=stated.changes,
        files=_files(evidence),
    )
    return facts.model_copy(update={"checklist": checklist_of(facts)})


def _model(evidence: Evidence) -> ModelFacts:
    manifest, config = evidence.manifest, evidence.config
    return ModelFacts(
        name=manifest.name,
        version=manifest.version,
        sha256=evidence.manifest_sha256,
        trained_on=tuple(data.title for data in _data(evidence)) or manifest.trained_on,
        kind=str(config.get("backbone", {}).get("kind", "not stated")),
        parameters=evidence.weights.parameters,
        weights_bytes=evidence.weights.bytes,
        weights_sha256=evidence.weights.sha256,
        image_size_px=int(config["image_size_px"]),
        licence=evidence.stated.licence,
        languages=evidence.stated.languages,
    )


def _data(evidence: Evidence) -> tuple[DataFacts, ...]:
    order = [data.key for data in evidence.stated.data]
    cards = sorted(evidence.data_cards, key=lambda c: (order.index(c.key) if c.key in order else len(order), c.key))
    return tuple(cards)


def _pools(summary: Mapping[str, Any]) -> tuple[PoolCount, ...]:
    return tuple(
        PoolCount(
            name=name,
            images=counts.get(IMAGES, 0),
            boxes=sum(n for concept, n in counts.items() if concept != IMAGES),
            by_finding={concept: n for concept, n in sorted(counts.items()) if concept != IMAGES},
        )
        for name, counts in sorted(summary.get("pools", {}).items())
    )


def _classes(evidence: Evidence, names: Mapping[str, str]) -> tuple[ClassCount, ...]:
    """Rarest first, kind of image by kind of image."""
    return tuple(
        ClassCount(
            concept=t.concept,
            name=names.get(t.concept, t.concept),
            domain=t.domain,
            images=t.images,
            boxes=t.boxes,
            real_boxes=t.real_boxes,
            synthetic_boxes=t.boxes - t.real_boxes,
            rare=t.is_rare,
            synthetic_only=t.synthetic_only,
        )
        for t in sorted(evidence.scope.trained, key=lambda t: (t.domain.value, t.real_boxes, t.concept))
    )


def _stages(evidence: Evidence) -> tuple[StageFacts, ...]:
    stages = evidence.summary.get("recipe", {}).get("stages", [])
    return tuple(
        StageFacts(
            name=stage["name"],
            words=evidence.stated.stages.get(stage["name"], NOT_STATED),
            steps=stage["steps"],
            trainable=tuple(stage.get("trainable", ())),
            pools=tuple(stage.get("pools", ())),
            settings=dict(_flat({k: v for k, v in sorted(stage.items()) if k not in _NAMED})),
        )
        for stage in stages
    )


def _flat(tree: Mapping[str, Any], before: str = "") -> dict[str, Setting]:
    """Settings by dotted names; lists as words."""
    found: dict[str, Setting] = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{before}{name}.")
        else:
            found[f"{before}{name}"] = ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
    return found


def _compute(evidence: Evidence) -> Compute:
    summary = evidence.summary
    recipe = summary.get("recipe", {})
    return Compute(
        words=evidence.stated.compute,
        last_call_seconds=summary.get("seconds_this_call"),
        recipe=recipe.get("name"),
        recipe_sha256=summary.get("recipe_sha256"),
        seed=recipe.get("seed"),
        batch=recipe.get("batch"),
    )


def _versions(evidence: Evidence) -> Versions:
    environment, code = evidence.environment, evidence.code
    return Versions(
        training={name: str(version) for name, version in sorted(evidence.summary.get("versions", {}).items())},
        python=environment.python,
        system=environment.system,
        machine=environment.machine,
        cpu=environment.cpu,
        packages={package.name: package.version for package in environment.packages},
        licences={package.name: package.licence for package in environment.packages if package.licence},
        requires={package.name: package.requires for package in environment.packages if package.requires},
        medground=code.version,
        commit=code.commit,
        uncommitted=code.uncommitted,
        collected_on=code.collected_at[:10],
        collected_at=code.collected_at,
    )


def _files(evidence: Evidence) -> tuple[EvidenceFile, ...]:
    return tuple(
        EvidenceFile(path=f"{FOLDER}/{name}", bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
        for name, content in sorted(evidence.files.items())
    )
