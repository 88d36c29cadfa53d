"""The image file behind a record: its stored size, its orientation tag, and whether it can be decoded to the end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from medground.schema.box import Box

_ORIENTATION_TAG = 274


@dataclass(frozen=True, slots=True)
class StoredImage:
    """What the file itself says.

    Attributes:
        columns: stored width, pixels.
        rows: stored height, pixels.
        orientation: Exif orientation, 1..8; 1 means shown as stored.
    """

    columns: int
    rows: int
    orientation: int = 1

    @property
    def shown_size(self) -> tuple[int, int]:
        """Width and height as a viewer that obeys the orientation shows it, pixels."""
        return (self.rows, self.columns) if self.orientation >= 5 else (self.columns, self.rows)

    def to_stored(self, shown: Box) -> Box:
        """Map a box drawn on the image as shown back to stored pixels.

        Args:
            shown: box in the frame of `shown_size`.

        Returns:
            The same place in stored pixels.

        Source: Exif 2.3, 4.6.4.A, tag 274 Orientation.
        """
        corners = [self._stored_point(x, y) for x, y in ((shown.x1, shown.y1), (shown.x2, shown.y2))]
        (xa, ya), (xb, yb) = corners
        return Box(x1=min(xa, xb), y1=min(ya, yb), x2=max(xa, xb), y2=max(ya, yb))

    def _stored_point(self, x: float, y: float) -> tuple[float, float]:
        width, height = self.columns, self.rows
        return {
            1: (x, y),
            2: (width - x, y),
            3: (width - x, height - y),
            4: (x, height - y),
            5: (y, x),
            6: (y, height - x),
            7: (width - y, height - x),
            8: (width - y, x),
        }[self.orientation]


def inspect(path: Path) -> StoredImage:
    """Decode an image file to its end and say what it is.

    Args:
        path: PNG or JPEG file.

    Returns:
        Its stored size and orientation.

    Raises:
        OSError: if the file is absent, not an image, or cut short.
    """
    with Image.open(path) as image:
        orientation = image.getexif().get(_ORIENTATION_TAG, 1)
        image.load()
        columns, rows = image.size
    return StoredImage(columns, rows, orientation if orientation in range(1, 9) else 1)
