"""Limits: how much one input may ask of the machine. pydicom sets none of its own."""

from __future__ import annotations

from pydantic import Field

from medground.schema.config import StrictConfig
from medground.schema.errors import LimitError

FREE_INFLATED_BYTES = 64 * 2**20  # a black image may well shrink to a thousandth; up to here that harms nobody


class Limits(StrictConfig):
    """Upper bounds on one input; whatever passes one is refused with a `LimitError` that names it.

    Attributes:
        max_file_bytes: size of a file, ZIPs included.
        max_inflated_bytes: size of a deflated data set, or of one member of a ZIP, after inflation.
        max_inflate_ratio: bytes after inflation to bytes before, where they are more than `FREE_INFLATED_BYTES`; also
            of a compressed frame.
        max_header_bytes: size of everything before the pixel data.
        max_elements: data elements and sequence items outside the pixel data.
        max_nesting: depth of sequences within sequences.
        max_pixels_per_frame: rows times columns, as the header and as the compressed stream itself declare them.
        max_frame_bytes: size of one frame after decoding: the largest frame with 16 bits to a pixel. To show it takes
            four bytes a pixel more.
        max_frames: frames of one object.
        max_volume_bytes: size of the float32 voxels of one volume.
        max_files: files in one folder with its subfolders, or in one ZIP.
        max_zip_bytes: total size of the members of one ZIP after inflation.
    """

    max_file_bytes: int = Field(default=2 * 2**30, gt=0)
    max_inflated_bytes: int = Field(default=2**30, gt=0)
    max_inflate_ratio: int = Field(default=1000, gt=0)
    max_header_bytes: int = Field(default=2**28, gt=0)
    max_elements: int = Field(default=1_000_000, gt=0)
    max_nesting: int = Field(default=64, gt=0, le=128)  # pydicom itself recurses, four calls to a level
    max_pixels_per_frame: int = Field(default=2**28, gt=0)
    max_frame_bytes: int = Field(default=2**29, gt=0)
    max_frames: int = Field(default=65536, gt=0)
    max_volume_bytes: int = Field(default=8 * 2**30, gt=0)
    max_files: int = Field(default=200_000, gt=0)
    max_zip_bytes: int = Field(default=3 * 2**30, gt=0)

    def check_inflation(self, packed_bytes: int, inflated_bytes: int, what: str) -> None:
        """Refuse a bomb, before it is inflated where its size is known.

        Args:
            packed_bytes: before inflation.
            inflated_bytes: after it.
            what: what inflates, for the message.

        Raises:
            LimitError: more bytes than `max_inflated_bytes`, or than `max_inflate_ratio` allows.
        """
        if inflated_bytes > self.max_inflated_bytes:
            raise LimitError(f"{what} inflates to more than {self.max_inflated_bytes} bytes (limit max_inflated_bytes)")
        if inflated_bytes > self.free_or_in_proportion(packed_bytes):
            raise LimitError(
                f"{what} has {packed_bytes} bytes and inflates to more than {self.max_inflate_ratio} times as much "
                "(limit max_inflate_ratio)"
            )

    def free_or_in_proportion(self, packed_bytes: int) -> int:
        """Bytes that so many may inflate to by `max_inflate_ratio` alone."""
        return max(FREE_INFLATED_BYTES, self.max_inflate_ratio * packed_bytes)
