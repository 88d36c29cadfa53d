"""One Pascal VOC annotation file.

Source: Everingham et al., The PASCAL Visual Object Classes Challenge 2007 Development Kit.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from medground.schema.errors import DataSetError

Corners = tuple[float, float, float, float]
_LONGEST_FILE = 16 * 2**20


@dataclass(frozen=True, slots=True)
class VocFile:
    """A parsed annotation.

    Attributes:
        size: width and height as published, pixels; None where the file gives none.
        objects: class name and corners of each box: pixel edges from 0 (VOC itself counts pixels from 1 and includes
            the last one). A box without area stays without area.
    """

    size: tuple[int, int] | None
    objects: tuple[tuple[str, Corners], ...]


def read_voc(path: Path) -> VocFile:
    """Parse an annotation.

    Args:
        path: the XML file.

    Raises:
        DataSetError: if it is not Pascal VOC.
    """
    try:
        text = path.read_bytes()
        if len(text) > _LONGEST_FILE or b"<!ENTITY" in text:  # entities could grow without bound
            raise ValueError("it is no plain annotation file")
        root = ElementTree.fromstring(text)
        size = root.find("size")
        return VocFile(
            None if size is None else (int(_text(size, "width")), int(_text(size, "height"))),
            tuple((_text(item, "name"), _corners(item)) for item in root.iter("object")),
        )
    except (ElementTree.ParseError, ValueError) as error:
        raise DataSetError(
            f"{path.name} is not a Pascal VOC annotation: {error}; compare it with the source"
        ) from error


def _corners(item: ElementTree.Element) -> Corners:
    left, top, right, bottom = (float(_text(item, f"bndbox/{edge}")) for edge in ("xmin", "ymin", "xmax", "ymax"))
    if left >= right or top >= bottom:  # a slip of the mouse, although VOC would call it one pixel
        return (left, top, left, top)
    return (left - 1, top - 1, right, bottom)


def _text(element: ElementTree.Element, path: str) -> str:
    text = element.findtext(path)
    if text is None:
        raise ValueError(f"no <{path}>")
    return text.strip()
