"""The report rules: which urgency and next step a finding gets, from a cited table that is data.

Nothing here is generated. The first rule of `rules.json` whose conditions all hold is the one that speaks; a finding
that none covers gets the default rule.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Self

from pydantic import Field, model_validator

from medground.schema.anatomy import Zone
from medground.schema.config import StrictConfig
from medground.schema.result import Finding, Recommendation, SpacingSource, Urgency
from medground.schema.vocabulary import Code


class Rule(StrictConfig):
    """One row of the table.

    Attributes:
        id: stable identifier.
        concepts: vocabulary keys it covers.
        over_mm: the longest side of the box must be greater, millimetres; None puts no condition on size.
        spacing_sources: where the millimetres must come from; empty accepts any. Guidelines for CT say nothing of
            lengths magnified onto a detector.
        zones: third of the chest it must lie in; empty accepts any.
        urgency: how soon a person should look.
        next_step: what is suggested.
        code: the next step as a code; scheme 99MEDGROUND where it is private.
        citation: the published guideline it follows.
    """

    id: str
    concepts: tuple[str, ...]
    over_mm: float | None = Field(default=None, ge=0)
    spacing_sources: tuple[SpacingSource, ...] = ()
    zones: tuple[Zone, ...] = ()
    urgency: Urgency
    next_step: str
    code: Code
    citation: str

    def covers(self, finding: Finding) -> bool:
        """Whether all conditions hold for a finding; one without millimetres meets no condition on size."""
        if finding.concept.key not in self.concepts or (self.zones and finding.zone not in self.zones):
            return False
        if self.over_mm is None and not self.spacing_sources:
            return True
        size = finding.size_mm
        if size is None or (self.spacing_sources and size.spacing_source not in self.spacing_sources):
            return False
        return self.over_mm is None or max(size.width, size.height, size.depth or 0.0) > self.over_mm


class RuleTable(StrictConfig):
    """All rules, the more special before the more general.

    Raises:
        ValueError: if two rules have the same id.
    """

    version: int
    rules: tuple[Rule, ...]
    default: Rule

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        ids = [rule.id for rule in (*self.rules, self.default)]
        if len(set(ids)) != len(ids):
            raise ValueError(f"rule ids must be unique, got {sorted(name for name in ids if ids.count(name) > 1)}")
        return self


@cache
def load_rules() -> RuleTable:
    """The rule table that ships with the package; read once."""
    return RuleTable.model_validate_json(files("medground.inference").joinpath("rules.json").read_bytes())


def recommend(finding: Finding, table: RuleTable) -> Recommendation:
    """What the table says of a finding.

    Args:
        finding: a finding of an answer.
        table: the rules.

    Returns:
        Urgency and next step of the first rule that covers it, else of the default rule.
    """
    rule = next((rule for rule in table.rules if rule.covers(finding)), table.default)
    return Recommendation(
        finding_id=finding.id,
        urgency=rule.urgency,
        next_step=rule.next_step,
        rule=rule.id,
        code=rule.code,
        citation=rule.citation,
    )
