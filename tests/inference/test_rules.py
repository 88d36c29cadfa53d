import pytest
from pydantic import ValidationError

from medground.data.vocabulary import load_vocabulary
from medground.inference.rules import RuleTable, load_rules, recommend
from medground.schema.anatomy import Zone
from medground.schema.result import Description, Finding, FindingConcept, Origin, SizeMm, SpacingSource, Urgency

VOCABULARY = load_vocabulary()
TABLE = load_rules()


def finding(key: str, size_mm: SizeMm | None = None, zone: Zone | None = None) -> Finding:
    concept = VOCABULARY[key]
    return Finding(
        id="f1",
        source="a.dcm",
        series_instance_uid=None,
        sop_instance_uid=None,
        frame=1,
        box_xyxy_px=(10, 20, 30, 50),
        size_mm=size_mm,
        score=0.5,
        concept=FindingConcept(key=key, name=concept.name, code=concept.code),
        laterality=None,
        zone=zone,
        description=Description(text="", statements=()),
    )


def mm(
    width: float, height: float, source: SpacingSource = SpacingSource.PATIENT_PLANE, depth: float | None = None
) -> SizeMm:
    return SizeMm(width=width, height=height, depth=depth, spacing_source=source)


@pytest.mark.parametrize(
    ("key", "size_mm", "rule", "urgency"),
    [
        ("nodule", None, "nodule-radiograph", Urgency.ROUTINE),
        ("nodule", mm(12, 9, SpacingSource.DETECTOR), "nodule-radiograph", Urgency.ROUTINE),
        ("nodule", mm(12, 9, SpacingSource.CALIBRATION), "nodule-radiograph", Urgency.ROUTINE),
        ("nodule", mm(8.1, 5), "nodule-ct-over-8mm", Urgency.URGENT),
        ("nodule", mm(5, 8.0), "nodule-ct-6-to-8mm", Urgency.ROUTINE),
        ("nodule", mm(6.0, 5.9), "nodule-ct-under-6mm", Urgency.ROUTINE),
        ("nodule", mm(5, 5, depth=9), "nodule-ct-over-8mm", Urgency.URGENT),
        ("mass", None, "mass", Urgency.URGENT),
        ("diffuse_nodules", None, "diffuse-nodules", Urgency.URGENT),
        ("pneumothorax", None, "pneumothorax", Urgency.EMERGENT),
        ("pleural_effusion", None, "pleural-effusion", Urgency.URGENT),
        ("pneumonia", None, "airspace", Urgency.URGENT),
        ("consolidation", None, "airspace", Urgency.URGENT),
        ("infiltration", None, "airspace", Urgency.URGENT),
        ("cavity", None, "cavity", Urgency.URGENT),
        ("cardiomegaly", None, "cardiomegaly", Urgency.ROUTINE),
        ("emphysema", None, "emphysema", Urgency.ROUTINE),
        ("fibrosis", None, "fibrosis", Urgency.ROUTINE),
        ("calcification", None, "calcification", Urgency.ROUTINE),
        ("fracture", None, "fracture", Urgency.URGENT),
        ("atelectasis", None, "default", Urgency.ROUTINE),
        ("pleural_thickening", None, "default", Urgency.ROUTINE),
        ("gallstone", None, "default", Urgency.ROUTINE),
    ],
)
def test_table(key: str, size_mm: SizeMm | None, rule: str, urgency: Urgency) -> None:
    advice = recommend(finding(key, size_mm), TABLE)
    assert (advice.rule, advice.urgency) == (rule, urgency)
    assert advice.finding_id == "f1"
    assert advice.origin == Origin.RULE


def test_every_rule_can_be_reached_and_is_complete() -> None:
    sizes = [None, mm(4, 4), mm(7, 7), mm(20, 20)]
    reached = {recommend(finding(c.key, size), TABLE).rule for c in VOCABULARY.concepts for size in sizes}
    assert reached == {rule.id for rule in (*TABLE.rules, TABLE.default)}
    keys = {concept.key for concept in VOCABULARY.concepts}
    for rule in (*TABLE.rules, TABLE.default):
        assert set(rule.concepts) <= keys
        assert rule.next_step.endswith(".")
        assert len(rule.citation) > 30
        assert rule.code.scheme in ("SCT", "99MEDGROUND")
        assert len(rule.code.meaning) <= 64


def test_ct_guideline_is_never_applied_to_lengths_on_a_detector() -> None:
    for rule in TABLE.rules:
        if "Detected on CT" in rule.citation:
            assert rule.spacing_sources == (SpacingSource.PATIENT_PLANE,)


def test_zone_is_a_condition() -> None:
    upper = TABLE.default.model_copy(update={"id": "apex", "concepts": ("mass",), "zones": (Zone.UPPER,)})
    table = TABLE.model_copy(update={"rules": (upper,)})
    assert recommend(finding("mass", zone=Zone.UPPER), table).rule == "apex"
    assert recommend(finding("mass", zone=Zone.LOWER), table).rule == "default"
    assert recommend(finding("mass"), table).rule == "default"


def test_two_rules_of_one_name_are_refused() -> None:
    with pytest.raises(ValidationError, match="unique"):
        RuleTable(version=1, rules=(TABLE.rules[0], TABLE.rules[0]), default=TABLE.default)


def test_is_read_once() -> None:
    assert load_rules() is TABLE
