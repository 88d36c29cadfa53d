"""The content tree of a structured report as plain values, read once, strictly and within limits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from pydicom import Dataset
from pydicom.sr.coding import Code

from medground.dicom.limits import Limits
from medground.schema.errors import LimitError, UnreadableFileError

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Node:
    """A content item.

    Attributes:
        value_type, relationship: as written; empty where absent.
        name: the concept name; empty code where the item has none.
        text: value of TEXT, UIDREF, PNAME, DATETIME, ...
        code: value of CODE.
        dataset: the item, for what is particular to a value type.
        children: content below it.
    """

    value_type: str
    relationship: str
    name: Code
    text: str | None
    code: Code | None
    dataset: Dataset = field(repr=False)
    children: tuple[Node, ...]

    @property
    def key(self) -> Key:
        """Scheme and value of the concept name."""
        return (self.name.scheme_designator, self.name.value)

    def named(self, name: Code) -> Iterator[Node]:
        """The children with that concept name, in order."""
        wanted = (name.scheme_designator, name.value)
        return (child for child in self.children if child.key == wanted)

    def of_type(self, value_type: str) -> Iterator[Node]:
        """The children of that value type, in order."""
        return (child for child in self.children if child.value_type == value_type)

    def only(self, name: Code) -> Node | None:
        """The child with that concept name, None without one.

        Raises:
            UnreadableFileError: more than one.
        """
        found = list(self.named(name))
        if len(found) > 1:
            raise UnreadableFileError(f"the report has {len(found)} items {name.meaning!r} where one belongs")
        return found[0] if found else None


def content_tree(report: Dataset, limits: Limits) -> Node:
    """Read the content tree of a report; what pydicom raises on a damaged element passes through.

    Args:
        report: the data set, or the item of a content sequence.
        limits: `max_nesting` counts levels of content, `max_elements` items.

    Raises:
        LimitError: deeper or larger than the limits allow.
    """
    budget = [limits.max_elements]

    def read(item: Dataset, depth: int) -> Node:
        budget[0] -= 1
        if depth > limits.max_nesting:
            raise LimitError(f"the content is nested deeper than {limits.max_nesting} (limit max_nesting)")
        if budget[0] < 0:
            raise LimitError(f"the report has more than {limits.max_elements} items (limit max_elements)")
        return Node(
            value_type=str(item.get("ValueType") or ""),
            relationship=str(item.get("RelationshipType") or ""),
            name=_code(item, "ConceptNameCodeSequence") or Code("", "", ""),
            text=_text(item),
            code=_code(item, "ConceptCodeSequence"),
            dataset=item,
            children=tuple(read(child, depth + 1) for child in item.get("ContentSequence") or ()),
        )

    return read(report, 1)


def _text(item: Dataset) -> str | None:
    for keyword in ("TextValue", "UID", "PersonName", "DateTime", "Date", "Time"):
        if keyword in item:
            found = item[keyword].value
            return "" if found is None else str(found)
    return None


def _code(item: Dataset, keyword: str) -> Code | None:
    sequence = item.get(keyword)
    if not sequence:
        return None
    first = sequence[0]
    value = first.get("CodeValue") or first.get("LongCodeValue") or first.get("URNCodeValue")
    return Code(str(value or ""), str(first.get("CodingSchemeDesignator") or ""), str(first.get("CodeMeaning") or ""))
