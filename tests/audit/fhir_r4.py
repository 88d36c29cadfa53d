"""AuditEvent as FHIR R4 (4.0.1) defines it, for what our export uses and for nothing else.

Written from the definition at hl7.org/fhir/R4/auditevent.html: names, cardinalities, types, required bindings and the
invariant sev-1. Codes of value sets that are bound extensibly are checked against the code systems named there.
"""

from __future__ import annotations

import base64
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

HL7 = "http://terminology.hl7.org/CodeSystem"
DCM = "http://dicom.nema.org/resources/ontology/DCM"

_INTERACTIONS = ("read", "update", "delete", "create", "search-type", "operation")

# Codes with their displays, of the systems whose codes we use; those of DICOM are pydicom's to judge.
CODES = {
    f"{HL7}/audit-event-type": {"rest": "RESTful Operation"},
    f"{HL7}/iso-21089-lifecycle": {"attest": "Attest Record Lifecycle Event"},
    "http://hl7.org/fhir/restful-interaction": {code: code for code in _INTERACTIONS},
    f"{HL7}/extra-security-role-type": {"humanuser": "human user"},
    f"{HL7}/audit-entity-type": {"1": "Person", "2": "System Object", "3": "Organization", "4": "Other"},
    f"{HL7}/security-source-type": {"4": "Application Server"},
    f"{HL7}/object-role": {
        "3": "Report",
        "4": "Domain Resource",
        "5": "Master file",
        "13": "Security Resource",
        "20": "Job",
    },
}

FhirString = Annotated[str, StringConstraints(pattern=r"^[ \r\n\t\S]+$", max_length=2**20)]
Code = Annotated[str, StringConstraints(pattern=r"^[^\s]+(\s[^\s]+)*$")]
Uri = Annotated[str, StringConstraints(pattern=r"^\S+:\S+$")]
Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9\-\.]{1,64}$")]
Instant = Annotated[
    str,
    StringConstraints(
        pattern=r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?"
        r"(Z|[+-]((0\d|1[0-3]):[0-5]\d|14:00))$"
    ),
]


def _base64(text: str) -> str:
    base64.b64decode(text, validate=True)
    return text


class Element(BaseModel):
    """No unknown members, and no empty ones."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _nothing_empty(cls, values: Any) -> Any:
        for name, value in values.items():
            if value in (None, "", [], {}):
                raise ValueError(f"{name} is there and empty")
        return values


class Coding(Element):
    system: Uri
    code: Code
    display: FhirString

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.system != DCM and CODES[self.system].get(self.code) != self.display:
            raise ValueError(f"{self.code} {self.display} is not in {self.system}")
        return self


class CodeableConcept(Element):
    coding: list[Coding] = Field(min_length=1)


class Identifier(Element):
    system: Uri
    value: FhirString


class Reference(Element):
    identifier: Identifier | None = None
    display: FhirString | None = None


class Network(Element):
    address: FhirString
    type: Literal["1", "2", "3", "4", "5"]


class Agent(Element):
    type: CodeableConcept | None = None
    who: Reference | None = None
    requestor: bool
    network: Network | None = None


class Source(Element):
    site: FhirString | None = None
    observer: Reference
    type: list[Coding] = []


class Detail(Element):
    type: FhirString
    valueString: FhirString | None = None
    valueBase64Binary: Annotated[str, AfterValidator(_base64)] | None = None

    @model_validator(mode="after")
    def _one_value(self) -> Self:
        if (self.valueString is None) == (self.valueBase64Binary is None):
            raise ValueError("value[x] is 1..1")
        return self


class Entity(Element):
    what: Reference | None = None
    type: Coding | None = None
    role: Coding | None = None
    name: FhirString | None = None
    query: Annotated[str, AfterValidator(_base64)] | None = None
    detail: list[Detail] = []

    @model_validator(mode="after")
    def _sev_1(self) -> Self:
        if self.name is not None and self.query is not None:
            raise ValueError("sev-1: either a name or a query, not both")
        return self


class AuditEvent(Element):
    resourceType: Literal["AuditEvent"]
    id: Id
    type: Coding
    subtype: list[Coding] = []
    action: Literal["C", "R", "U", "D", "E"]
    recorded: Instant
    outcome: Literal["0", "4", "8", "12"]
    agent: list[Agent] = Field(min_length=1)
    source: Source
    entity: list[Entity] = []
