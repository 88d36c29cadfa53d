"""Content items of a structured report (PS3.3 C.17.3) as pydicom data sets, one function for each value type."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence

from pydicom import Dataset
from pydicom.sr.coding import Code
from pydicom.valuerep import format_number_as_ds

from medground.schema.errors import UsageError
from medground.schema.result import BoxPx

CONTAINS, HAS_PROPERTIES, HAS_OBS_CONTEXT = "CONTAINS", "HAS PROPERTIES", "HAS OBS CONTEXT"
HAS_CONCEPT_MOD, HAS_ACQ_CONTEXT = "HAS CONCEPT MOD", "HAS ACQ CONTEXT"
INFERRED_FROM, SELECTED_FROM = "INFERRED FROM", "SELECTED FROM"
Items = Sequence[Dataset]

_SHORT, _LONG = 16, 64  # characters of SH and LO (PS3.5 table 6.2-1)
# Line ends and tabs are text; other control characters, lone surrogates and a blank at the end would not come back.
_NOT_TEXT = re.compile(r'[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]|^"|^\s|\s$|^$')


def code_dataset(code: Code) -> Dataset:
    """A code as the item of a code sequence (PS3.3 8.8).

    Raises:
        UsageError: the code does not fit its elements.
    """
    for what, longest in ((code.scheme_designator, _SHORT), (code.meaning, _LONG)):
        if not 0 < len(what) <= longest or "\\" in what or _NOT_TEXT.search(what):
            raise UsageError(f"the code {code.value!r} has {what!r}: DICOM takes 1 to {longest} printable characters")
    if not code.value or "\\" in code.value or _NOT_TEXT.search(code.value):
        raise UsageError(f"the code value {code.value!r} is none that DICOM can hold")
    item = Dataset()
    if len(code.value) > _SHORT:
        item.LongCodeValue = code.value
    else:
        item.CodeValue = code.value
    item.CodingSchemeDesignator = code.scheme_designator
    item.CodeMeaning = code.meaning
    return item


def text_item(name: Code, words: str, relationship: str = CONTAINS, children: Items = ()) -> Dataset:
    """TEXT; words that an element of text cannot hold stand as a JSON string, see `unquoted`."""
    item = _item("TEXT", name, relationship, children)
    item.TextValue = json.dumps(words) if _NOT_TEXT.search(words) else words
    return item


def unquoted(words: str) -> str:
    """What `text_item` was given, from the value of its element.

    Raises:
        ValueError: it starts as a JSON string and is none.
    """
    return str(json.loads(words)) if words.startswith('"') else words


def code_item(name: Code, value: Code, relationship: str = CONTAINS, children: Items = ()) -> Dataset:
    """CODE."""
    item = _item("CODE", name, relationship, children)
    item.ConceptCodeSequence = [code_dataset(value)]
    return item


def uid_item(name: Code, uid: str, relationship: str) -> Dataset:
    """UIDREF."""
    item = _item("UIDREF", name, relationship)
    item.UID = uid
    return item


def person_item(name: Code, person: str, relationship: str) -> Dataset:
    """PNAME."""
    item = _item("PNAME", name, relationship)
    item.PersonName = person
    return item


def number_item(name: Code, number: float, unit: Code, relationship: str = CONTAINS, children: Items = ()) -> Dataset:
    """NUM, as a decimal string and where that rounds it as the exact binary number too (PS3.3 table C.18.1-1).

    Raises:
        UsageError: no finite number.
    """
    if not math.isfinite(number):
        raise UsageError(f"{name.meaning} is {number}, and a report takes finite numbers only")
    item = _item("NUM", name, relationship, children)
    measured = Dataset()
    measured.NumericValue = format_number_as_ds(float(number)) if isinstance(number, float) else str(number)
    if float(measured.NumericValue) != number:
        measured.FloatingPointValue = number
    measured.MeasurementUnitsCodeSequence = [code_dataset(unit)]
    item.MeasuredValueSequence = [measured]
    return item


def image_item(name: Code, sop_class_uid: str, sop_instance_uid: str, relationship: str, frame: int | None) -> Dataset:
    """IMAGE; `frame` is 1-based, None for an object that is a single image."""
    item = _item("IMAGE", name, relationship)
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = sop_class_uid, sop_instance_uid
    if frame is not None:
        reference.ReferencedFrameNumber = frame
    item.ReferencedSOPSequence = [reference]
    return item


def box_item(name: Code, box_xyxy_px: BoxPx, image: Dataset, relationship: str) -> Dataset:
    """SCOORD: the corners of a box as a closed polyline; SCOORD counts pixels as `Box` does.

    Raises:
        UsageError: a corner is no finite number.
    """
    x1, y1, x2, y2 = box_xyxy_px
    if not all(math.isfinite(edge) and abs(edge) < 2**31 for edge in box_xyxy_px):
        raise UsageError(f"box {box_xyxy_px} has edges that are no pixel coordinates")
    item = _item("SCOORD", name, relationship, [image])
    item.GraphicType = "POLYLINE"
    item.GraphicData = [x1, y1, x2, y1, x2, y2, x1, y2, x1, y1]
    return item


def container(name: Code, children: Items, relationship: str | None = CONTAINS, template: str | None = None) -> Dataset:
    """CONTAINER; `relationship` is None for the root, `template` the identifier of a DCMR template."""
    item = _item("CONTAINER", name, relationship, children)
    item.ContinuityOfContent = "CONTINUOUS"
    if template is not None:
        identification = Dataset()
        identification.MappingResource, identification.TemplateIdentifier = "DCMR", template
        item.ContentTemplateSequence = [identification]
    return item


def _item(value_type: str, name: Code, relationship: str | None, children: Items = ()) -> Dataset:
    item = Dataset()
    if relationship is not None:
        item.RelationshipType = relationship
    item.ValueType = value_type
    item.ConceptNameCodeSequence = [code_dataset(name)]
    if children:
        item.ContentSequence = list(children)
    return item
