"""Which elements an Applied Model Card has in which order, for a check that needs no schema.

Only what `medground.cards.forms.chai` writes is let in: the schema also allows a list of record systems and a signature
of its own.

Source: Coalition for Health AI, Applied Model Card schema v0.2.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import MappingProxyType
from xml.etree.ElementTree import Element

ROOT = "AppliedModelCard"
_MOST_LISTED = 10
_METRIC = (
    *("MetricGoal", "Results", "Interpretation", "TestType", "TestingDataDescription"),
    "ValidationProcessAndJustification",
)
_ORDER = MappingProxyType(
    {
        ROOT: (
            *("BasicInfo", "ReleaseInfo", "ModelSummary", "UsesAndDirections", "Warnings", "TrustIngredients"),
            *("KeyMetrics", "Resources", "Bibliography"),
        ),
        "BasicInfo": ("ModelName", "ModelDeveloper", "DeveloperContact"),
        "ReleaseInfo": (
            *("ReleaseStage", "ReleaseDate", "ReleaseVersion", "GlobalAvailability", "RegulatoryApproval"),
        ),
        "ModelSummary": ("Summary", "Keywords"),
        "UsesAndDirections": (
            *("IntendedUseAndWorkflow", "PrimaryIntendedUsers", "HowToUse", "TargetedPatientPopulation"),
            "CautionedOutOfScopeSettings",
        ),
        "Warnings": ("KnownRisksAndLimitations", "KnownBiasesOrEthicalConsiderations", "ClinicalRiskLevel"),
        "TrustIngredients": ("AISystemFacts", "TransparencyInformation"),
        "AISystemFacts": (
            *("OutcomesAndOutputs", "ModelType", "InputDataSource", "OutputAndInputDataTypes"),
            *("DevelopmentDataCharacterization", "BiasMitigationApproaches", "OngoingMaintenance", "Transparency"),
        ),
        "TransparencyInformation": ("FundingSource", "ThirdPartyInformation", "StakeholdersConsulted"),
        "KeyMetrics": ("UsefulnessUsabilityEfficacy", "FairnessEquity", "SafetyReliability"),
        "UsefulnessUsabilityEfficacy": _METRIC,
        "FairnessEquity": _METRIC,
        "SafetyReliability": _METRIC,
        "MetricResult": ("Label", "ValueJson"),
        "Resources": ("EvaluationReferences", "PeerReviewedPublications", "PatientConsentOrDisclosure"),
    }
)
_MANY = MappingProxyType({"Keywords": ("Keyword", 0), "Results": ("MetricResult", 1)})
"""Elements that repeat one other, and how often at least."""


def problems_in(element: Element, namespace: str) -> Iterator[str]:
    """Where a card has other elements than it should.

    Args:
        element: the root.
        namespace: of every element, in braces.
    """
    if element.tag != f"{namespace}{ROOT}":
        yield f"its first element is {element.tag}, not {ROOT} of v0.2"
    else:
        yield from _problems(element, namespace)


def _problems(element: Element, namespace: str) -> Iterator[str]:
    """Of what is not in order nothing further is looked at, so it may be as deep as it likes."""
    name = element.tag.removeprefix(namespace)
    names = [child.tag.removeprefix(namespace) for child in element]
    if element.attrib:
        yield f"{name} has attributes"
    if names and any((words or "").strip() for words in (element.text, *(child.tail for child in element))):
        yield f"{name} has words between its elements"
    if name in _MANY:
        only, least = _MANY[name]
        if set(names) - {only} or len(names) < least:
            yield f"{name} may hold {only} alone, at least {least}"
            return
    elif tuple(names) != (order := _ORDER.get(name, ())):
        yield f"{name} holds {_listed(names) or 'nothing'}, not {_listed(order) or 'words alone'}"
        return
    for child in element:
        yield from _problems(child, namespace)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_MOST_LISTED])
