"""`chai.xml`: the CHAI Applied Model Card, version 0.2.

Figures stand as JSON in `ValueJson`, unrounded. What nobody states of a model is said to be not stated.

Source: Coalition for Health AI, Applied Model Card schema v0.2, https://mc.chai.org/v0.2/schema.xsd
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from xml.etree import ElementTree

from medground.cards.contents import CardFacts
from medground.cards.forms.chai_order import ROOT, problems_in
from medground.cards.forms.figures import Figure, error_figures_of, figures_of, group_figures_of, part_of
from medground.cards.rounding import shown
from medground.data.cards.stated import NOT_STATED

NAMESPACE = "https://mc.chai.org/v0.2/schema.xsd"
_FIRST_LINE = '<?xml version="1.0" encoding="UTF-8"?>\n'
MODEL_TYPE = "Neural network that answers questions about an image with boxes"
Tree = Sequence[tuple[str, "str | Tree"]]


def chai_of(facts: CardFacts) -> bytes:
    """The card as XML; equal facts give equal bytes.

    Args:
        facts: of the card.
    """
    root = ElementTree.Element(ROOT, {"xmlns": NAMESPACE})
    _grow(
        root,
        (
            ("BasicInfo", _basic(facts)),
            ("ReleaseInfo", _release(facts)),
            ("ModelSummary", (("Summary", facts.summary), ("Keywords", _keywords(facts)))),
            ("UsesAndDirections", _uses(facts)),
            ("Warnings", _warnings(facts)),
            ("TrustIngredients", (("AISystemFacts", _system(facts)), ("TransparencyInformation", _openness(facts)))),
            ("KeyMetrics", _metrics(facts)),
            ("Resources", _resources(facts)),
            ("Bibliography", _lines(data.cite for data in facts.training_data)),
        ),
    )
    return _written(root)


def chai_problems(content: bytes) -> list[str]:
    """What is wrong with a `chai.xml`: order and number of its elements, as in the schema, and its form.

    Args:
        content: of the file.
    """
    # Another encoding would hide from the next check what a parser then reads.
    if not content.startswith(_FIRST_LINE.encode()):
        return ["it does not begin with the line that every one begins with"]
    if b"<!" in content:
        return ["it holds a declaration or a comment, and none is written"]
    try:
        root = ElementTree.fromstring(content)  # without declarations there are no entities to expand
    except (ElementTree.ParseError, RecursionError, ValueError) as error:
        return [f"it is no XML: {error}"]
    found = list(problems_in(root, f"{{{NAMESPACE}}}"))
    if found:
        return found
    for element in root.iter():
        element.tag = element.tag.removeprefix(f"{{{NAMESPACE}}}")
    root.set("xmlns", NAMESPACE)
    return [] if _written(root) == content else ["it is written in another form"]


def _grow(parent: ElementTree.Element, tree: Tree) -> None:
    for name, value in tree:
        child = ElementTree.SubElement(parent, name)
        if isinstance(value, str):
            child.text = _characters(value)
        else:
            _grow(child, value)


def _written(root: ElementTree.Element) -> bytes:
    ElementTree.indent(root)
    return f"{_FIRST_LINE}{ElementTree.tostring(root, encoding='unicode')}\n".encode()


def _characters(text: str) -> str:
    """Without what XML 1.0 cannot hold, and with one kind of line end, which is all that a reader would get."""
    return "".join(
        c
        for c in text.replace("\r\n", "\n").replace("\r", "\n")
        if c in "\n\t" or (c >= " " and c not in "\ufffe\uffff")
    )


def _lines(words: Iterable[str]) -> str:
    return "\n".join(words) or NOT_STATED


def _basic(facts: CardFacts) -> Tree:
    return (("ModelName", facts.title), ("ModelDeveloper", facts.developer), ("DeveloperContact", facts.contact))


def _release(facts: CardFacts) -> Tree:
    dates = [change.date for change in facts.changes if change.version == facts.model.version]
    return (
        ("ReleaseStage", NOT_STATED),
        ("ReleaseDate", dates[0] if dates else NOT_STATED),
        ("ReleaseVersion", facts.model.version),
        ("GlobalAvailability", NOT_STATED),
        ("RegulatoryApproval", facts.regulatory),
    )


def _keywords(facts: CardFacts) -> Tree:
    words = [*sorted({row.domain.value for row in facts.classes}), *sorted({row.name for row in facts.classes})]
    return tuple(("Keyword", word) for word in words)


def _uses(facts: CardFacts) -> Tree:
    return (
        ("IntendedUseAndWorkflow", _lines(facts.intended_use)),
        ("PrimaryIntendedUsers", _lines(facts.users)),
        ("HowToUse", _lines(facts.oversight)),
        ("TargetedPatientPopulation", NOT_STATED),
        ("CautionedOutOfScopeSettings", _lines((*facts.out_of_scope, *facts.never_shown))),
    )


def _warnings(facts: CardFacts) -> Tree:
    return (
        ("KnownRisksAndLimitations", _lines(weakness.words for weakness in facts.weaknesses)),
        ("KnownBiasesOrEthicalConsiderations", _lines(facts.ethics)),
        ("ClinicalRiskLevel", facts.regulatory),
    )


def _system(facts: CardFacts) -> Tree:
    at = facts.thresholds
    outputs = (
        f'Boxes with scores, and for each question "found" from a probability of {shown(at.found, "setting")}, '
        f'"not found" up to {shown(at.not_found, "setting")}, "uncertain" between them.'
    )
    return (
        ("OutcomesAndOutputs", outputs),
        ("ModelType", f"{MODEL_TYPE}: {facts.model.kind}, {shown(facts.model.parameters)} parameters"),
        ("InputDataSource", _lines(sorted({row.domain.value for row in facts.classes}))),
        ("OutputAndInputDataTypes", "In: an image and a question in words. Out: boxes, scores and verdicts."),
        ("DevelopmentDataCharacterization", _lines(_data(facts))),
        ("BiasMitigationApproaches", NOT_STATED),
        ("OngoingMaintenance", _lines(f"{c.version}, {c.date}: {c.words}" for c in facts.changes)),
        ("Transparency", "MODEL_CARD.md, model_card.html, and the evidence that every figure is computed from."),
    )


def _data(facts: CardFacts) -> Iterator[str]:
    for data in facts.training_data:
        parts = ", ".join(f"{part} {shown(count.images)}" for part, count in data.parts.items())
        made = "made by code" if data.synthetic else "real"
        sizes = f"; images: {parts}" if parts else ""
        yield f"{data.title} ({made}{sizes}). In it: {data.who} Not in it: {data.not_in}"


def _openness(facts: CardFacts) -> Tree:
    return (
        ("FundingSource", NOT_STATED),
        ("ThirdPartyInformation", _lines(f"{data.title}: {data.licence}" for data in facts.training_data)),
        ("StakeholdersConsulted", NOT_STATED),
    )


def _resources(facts: CardFacts) -> Tree:
    return (
        ("EvaluationReferences", _lines(file.path for file in facts.files if file.path.endswith(".scene.json.gz"))),
        ("PeerReviewedPublications", NOT_STATED),
        ("PatientConsentOrDisclosure", _lines(facts.ethics)),
    )


def _metrics(facts: CardFacts) -> Tree:
    each = facts.evaluations
    return (
        (
            "UsefulnessUsabilityEfficacy",
            _metric(
                facts,
                "Boxes on what is asked for",
                [(part_of(one), figure) for one in each for figure in figures_of(facts, one)],
                _lines(
                    f"{part_of(one)}: {w.words}" for one in each for w in facts.weaknesses if w.evaluation == one.name
                ),
            ),
        ),
        (
            "FairnessEquity",
            _metric(
                facts,
                "The same for every group that the images name",
                [(part_of(one), figure) for one in each for figure in group_figures_of(facts, one)],
                _lines(w.words for w in facts.weaknesses if w.rule in ("groups", "people unknown")),
            ),
        ),
        (
            "SafetyReliability",
            _metric(
                facts,
                "Few false alarms, and probabilities that can be taken at their word",
                [(part_of(one), figure) for one in each for figure in error_figures_of(one)],
                _lines(w.words for w in facts.weaknesses if w.rule in ("false alarms", "probabilities off")),
            ),
        ),
    )


def _metric(facts: CardFacts, goal: str, figures: Sequence[tuple[str, Figure]], meaning: str) -> Tree:
    results: list[tuple[str, str]] = [
        (f"{part}: {one.label}, {one.about}", _value(facts, one)) for part, one in figures
    ]
    rows = results or [("Nothing could be measured", "null")]
    return (
        ("MetricGoal", goal),
        ("Results", tuple(("MetricResult", (("Label", label), ("ValueJson", value))) for label, value in rows)),
        ("Interpretation", meaning),
        ("TestType", "On stored images; not in clinical use"),
        ("TestingDataDescription", _lines(_tested(facts))),
        (
            "ValidationProcessAndJustification",
            f"{shown(facts.method.level, 'percent')}% intervals by resampling patients; every figure follows from the "
            "evidence beside this file and can be computed again.",
        ),
    )


def _tested(facts: CardFacts) -> Iterator[str]:
    for one in facts.evaluations:
        apart = "" if one.synthetic else " as far as the source tells them apart"
        yield f"{part_of(one)}: {shown(one.n_images)} images of {shown(one.n_patients)} patients{apart}"


def _value(facts: CardFacts, figure: Figure) -> str:
    number: dict[str, float | int] = {"value": figure.value, "low": figure.low, "high": figure.high}
    number["level"] = facts.method.level
    if figure.images is not None:
        number["images"] = figure.images
    number[figure.unit] = figure.counted
    return json.dumps(number, allow_nan=False)
