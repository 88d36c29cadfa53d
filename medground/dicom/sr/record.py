"""Parts of a result as content items and back, field by field.

A field is a TEXT item under the name of the field, a list is several, a part a CONTAINER with its fields below it; a
part that has a text is a TEXT item with its other fields as properties. Verdicts and codes are CODE items. Floats are
written as Python repr, the shortest text that gives the same number back. The schema stays the one list of fields: a
new one travels without a change here.
"""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel
from pydicom import Dataset
from pydicom.sr.coding import Code

from medground.dicom.sr import codes
from medground.dicom.sr.items import CONTAINS, HAS_PROPERTIES, code_item, container, text_item, unquoted
from medground.dicom.sr.tree import Node
from medground.schema.errors import UnreadableFileError
from medground.schema.result import Answer, Extent, Finding, StudyResult, Verdict
from medground.schema.vocabulary import Code as SchemaCode

Part = TypeVar("Part", bound=BaseModel)

_OWN_TEXT = "text"  # the field that is the value of the item itself
# Fields that stand elsewhere in the report: in its header, its groups, its coordinates and its measurements. Cases that
# a finding looks like stand nowhere: outside the bundle they mean nothing.
_ELSEWHERE: dict[type[BaseModel], frozenset[str]] = {
    StudyResult: frozenset({"study_instance_uid"}),
    Answer: frozenset({"findings"}),
    Finding: frozenset({"id", "series_instance_uid", "sop_instance_uid", "frame", "box_xyxy_px", "size_mm", "similar"}),
    Extent: frozenset({"slices"}),
}


def to_items(part: BaseModel, relationship: str = CONTAINS) -> list[Dataset]:
    """The fields of a part as content items, without those that stand elsewhere in the report.

    Raises:
        UsageError: a code that DICOM cannot hold.
    """
    elsewhere = _ELSEWHERE.get(type(part), frozenset()) | {_OWN_TEXT}
    fields = (name for name in type(part).model_fields if name not in elsewhere)
    return [item for name in fields for item in _items(codes.field_name(name), getattr(part, name), relationship)]


def coded(code: SchemaCode) -> Code:
    """A code of the schema as pydicom has it."""
    return Code(code.value, code.scheme, code.meaning)


def _items(name: Code, value: object, relationship: str) -> list[Dataset]:
    if value is None:
        return []
    if isinstance(value, tuple):
        if value and all(isinstance(one, int | float) for one in value):
            return [text_item(name, " ".join(map(_plain, value)), relationship)]
        return [item for one in value for item in _items(name, one, relationship)]
    if isinstance(value, Verdict):
        return [code_item(name, codes.VERDICTS[value], relationship)]
    if isinstance(value, SchemaCode):
        return [code_item(name, coded(value), relationship)]
    if isinstance(value, BaseModel):
        if _OWN_TEXT not in type(value).model_fields:
            return [container(name, to_items(value), relationship)]
        return [text_item(name, getattr(value, _OWN_TEXT), relationship, to_items(value, HAS_PROPERTIES))]
    return [text_item(name, _plain(value), relationship)]


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, float) else str(value)


def from_node(kind: type[Part], node: Node, **known: object) -> Part:
    """A part from the items below a node.

    Args:
        kind: class of the part.
        node: its container, or its text.
        known: fields that stand elsewhere in the report.

    Raises:
        UnreadableFileError: an item that stands twice where one belongs.
        ValueError: a field is absent or of the wrong form.
    """
    by_name: dict[tuple[str, str], list[Node]] = {}
    for child in node.children:
        by_name.setdefault(child.key, []).append(child)
    values: dict[str, object] = {}
    for field, info in kind.model_fields.items():
        if field in known:
            values[field] = known[field]
        elif field == _OWN_TEXT and node.text is not None:
            values[field] = unquoted(node.text)
        else:
            name = codes.field_name(field)
            found = by_name.get((name.scheme_designator, name.value), [])
            values.update(_values(field, info.annotation, found))
    return kind.model_validate(values)


def _values(field: str, annotation: Any, nodes: Sequence[Node]) -> Mapping[str, object]:
    """The value of a field, as a mapping that is empty where the report has none and the field may have none."""
    options = get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)
    kind = next(option for option in options if option is not type(None))
    if get_origin(kind) is tuple:
        element = get_args(kind)[0]
        if element in (int, float):
            if len(nodes) > 1:
                raise UnreadableFileError(f"the report has {len(nodes)} items {field!r} where one belongs")
            return {field: [number for node in nodes for number in (node.text or "").split()]}
        return {field: [_value(element, node) for node in nodes]}
    if len(nodes) > 1:
        raise UnreadableFileError(f"the report has {len(nodes)} items {field!r} where one belongs")
    if nodes:
        return {field: _value(kind, nodes[0])}
    return {field: None} if type(None) in options else {}


def _value(kind: Any, node: Node) -> object:
    if kind is Verdict:
        return next((verdict for verdict, code in codes.VERDICTS.items() if _same(code, node.code)), None)
    if kind is SchemaCode:
        if node.code is None:
            raise UnreadableFileError(f"the item {node.name.meaning!r} of the report has no code")
        return SchemaCode(scheme=node.code.scheme_designator, value=node.code.value, meaning=node.code.meaning)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return from_node(kind, node)
    return None if node.text is None else unquoted(node.text)


def _same(code: Code, other: Code | None) -> bool:
    return other is not None and (code.scheme_designator, code.value) == (other.scheme_designator, other.value)
